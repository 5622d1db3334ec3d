"""A conversation's files: the customer's, handed to signed-in staff who may see it and to nobody else, and what agents
send. A file that is still being fetched from the provider is waited for.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from bot.console.conversations import page_of, read_written
from bot.console.door import centre_of, refuse, require, see_other, wants_json, write
from bot.console.queries.conversations import visible
from bot.core.media import MediaState
from bot.services.conversation import media
from bot.services.desk import agent_lines
from bot.services.permissions import Function
from bot.services.refusal import RefusedError
from bot.services.staffing.staff import SignedIn
from bot.web.files import OURS_ALONE, hand_over
from bot.web.uploads import UploadRefusedError, upload
from store.tables import Attachment

router = APIRouter(prefix="/console/conversations", include_in_schema=False)
OnTheFloor = Annotated[SignedIn, Depends(require(Function.HANDLE_QUEUE))]
PATIENCE = 15.0  # seconds a browser is kept waiting for a file that is on its way


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
    return hand_over(path, file, OURS_ALONE)


@router.post("/{conversation_id}/files")
async def send(request: Request, conversation_id: int, staff: OnTheFloor) -> Response:
    """One file to the customer: {file, client, quotes} as a form."""
    centre, page = centre_of(request), page_of(conversation_id)
    try:
        async with upload(request) as given:
            written = read_written(given.fields, given.file.name)
            kept = await given.keep(media.folder(centre))
    except UploadRefusedError as error:
        return refuse(request, page, error.code, status=error.status)
    try:
        seq = await write(
            request,
            lambda session, now: agent_lines.send_file(
                session, centre, conversation_id, staff.staff_id, kept, now, written
            ),
        )
    except RefusedError as error:
        await media.remove(centre, kept.file)
        return refuse(request, page, error.code)
    if seq is None:
        await media.remove(centre, kept.file)
    return JSONResponse({"seq": seq}) if wants_json(request) else see_other(page)
