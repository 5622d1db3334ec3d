"""Files as browsers get them: shown where that is safe, else saved; never guessed at and never run.

An agent's file is handed to whoever has its link: the customer, in our chat page, in a text message, over REST; and a
carrier that takes it along. The link holds a keyed hash that nobody can guess, and opens for as long as
bot/services/conversation/media.py says.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import FileResponse, Response

from bot.core.media import SHOWN
from bot.services.centre import Centre
from bot.services.conversation import media
from store.tables import Attachment

router = APIRouter(include_in_schema=False)
GUARDS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'",
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",
}
OURS_ALONE = {"Cross-Origin-Resource-Policy": "same-origin"}


def hand_over(path: Path, file: Attachment, headers: dict[str, str]) -> Response:
    """The file itself, by the name it came with."""
    return FileResponse(
        path,
        media_type=file.mime,
        filename=file.name or f"{file.kind}-{file.id}",
        content_disposition_type="inline" if file.mime in SHOWN else "attachment",
        headers=GUARDS | headers,
    )


@router.api_route(media.DOOR + "/{attachment_id}/{token}", methods=["GET", "HEAD"])
async def show(request: Request, attachment_id: int, token: str) -> Response:
    """HEAD too, by which a carrier looks at a file before it fetches it. 404 where there is no such file, its time is
    over, or the link is not right."""
    centre: Centre = request.app.state.centre
    now = centre.clock.now()
    file = await centre.db.read(lambda session: media.by_link(session, attachment_id, token, now))
    path = media.path_of(centre, file) if file is not None else None
    if file is None or path is None:
        raise HTTPException(404)
    return hand_over(path, file, {"Cross-Origin-Resource-Policy": "cross-origin"})
