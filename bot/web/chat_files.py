"""Files in the customer's chat: what they send there, and what of it their own page shows again."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import JSONResponse, Response

from bot.core.media import mark
from bot.core.words import ChannelName, Incoming
from bot.services.centre import Centre
from bot.services.conversation import inbox, media, webchat
from bot.web.chat import CLIENT_ID, OURS, chosen, problem, spoken, too_much, visitor
from bot.web.files import OURS_ALONE, hand_over
from bot.web.uploads import Upload, UploadRefusedError, upload

router = APIRouter(include_in_schema=False)


@router.post(webchat.FILES)
async def send(request: Request) -> Response:
    """{client_id, text, file} as a form: one file with what was written to it, taken once however often it is sent."""
    centre: Centre = request.app.state.centre
    token = visitor(request)
    if token is None or OURS not in request.headers:
        return problem(request, "no_visitor")
    if why := await too_much(request, token):
        return problem(request, why)
    try:
        async with upload(request) as given:
            return await _take(request, centre, token, given)
    except UploadRefusedError as refused:
        return problem(request, refused.code)
    except inbox.TooLongError:
        return problem(request, "too_long")


async def _take(request: Request, centre: Centre, token: str, given: Upload) -> Response:
    """What is proved is kept, then committed as a line. Its name on the disk comes from the line's, so that what is
    sent again after a crash between the two lies there once; a line that is known changes nothing any more."""
    client, words = given.fields.get("client_id", ""), inbox.clean(given.fields.get("text", ""))
    if not CLIENT_ID.fullmatch(client):
        return problem(request, "malformed")
    vault = centre.db.vault
    line = webchat.provider_id(vault.blind("webchat visitor", token), client)
    known = await centre.db.read(lambda session: inbox.is_known(session, ChannelName.WEBCHAT, line))
    incoming = Incoming(
        channel=ChannelName.WEBCHAT,
        address=token,
        provider_id=line,
        text=words or mark(given.file.kind, given.file.name),
        language=chosen(request) or spoken(words),
        spoken=request.app.state.look.language(request),
        aside="" if words else "media",
        attachments=() if known else (await given.keep(media.folder(centre), vault.blind(media.FOLDER, line)),),
    )
    receipt = await inbox.receive(centre, incoming)
    return JSONResponse({"state": receipt.state, "repeated": receipt.repeated})


@router.get(webchat.FILES + "/{attachment_id}")
async def show(request: Request, attachment_id: int) -> Response:
    """404 where this visitor sent no such file."""
    centre: Centre = request.app.state.centre
    token = visitor(request)
    file = await centre.db.read(lambda session: webchat.own_file(session, token, attachment_id)) if token else None
    path = media.path_of(centre, file) if file is not None else None
    if file is None or path is None:
        raise HTTPException(404)
    return hand_over(path, file, OURS_ALONE)
