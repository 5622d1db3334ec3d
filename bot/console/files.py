"""A customer's files, handed to signed-in staff who may see the conversation, and to nobody else.

Pictures, sound and video may be shown in the page, everything else is only saved; the browser must not guess at a type
and must not run anything (nosniff, sandbox). A file that is still being fetched is waited for.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from sqlalchemy.orm import Session
from starlette.responses import FileResponse, Response

from bot.console.door import centre_of, require
from bot.console.queries.conversations import visible
from bot.core.media import SHOWN, MediaState
from bot.services import media
from bot.services.permissions import Function
from bot.services.staff import SignedIn
from store.tables import Attachment

router = APIRouter(prefix="/console/conversations", include_in_schema=False)
OnTheFloor = Annotated[SignedIn, Depends(require(Function.HANDLE_QUEUE))]
PATIENCE = 15.0  # seconds a browser is kept waiting for a file that is on its way
GUARDS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'",
    "Cache-Control": "private, no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@router.get("/{conversation_id}/files/{attachment_id}")
async def show(request: Request, conversation_id: int, attachment_id: int, staff: OnTheFloor) -> Response:
    """403 where the conversation is none of theirs, 404 where there is no such file, 503 while it is on its way."""
    centre = centre_of(request)

    def look(session: Session) -> tuple[bool, Attachment | None]:
        may = visible(session, conversation_id, staff)
        return may, media.of_conversation(session, conversation_id, attachment_id)

    async with centre.live.listen(f"attachment:{attachment_id}") as ear:
        may, file = await centre.db.read(look)
        if may and file is not None and file.state is MediaState.WAITING:
            await ear.wait(PATIENCE)
            may, file = await centre.db.read(look)
    if not may:
        raise HTTPException(403)
    if file is None or file.state in (MediaState.REFUSED, MediaState.FAILED):
        raise HTTPException(404)
    if file.state is MediaState.WAITING:
        return Response(status_code=503, headers={"Retry-After": "10"})
    path = media.path_of(centre, file)
    if path is None:
        raise HTTPException(404)
    return FileResponse(
        path,
        media_type=file.mime,
        filename=file.name or f"{file.kind}-{file.id}",
        content_disposition_type="inline" if file.mime in SHOWN else "attachment",
        headers=GUARDS,
    )
