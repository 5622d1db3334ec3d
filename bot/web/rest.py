"""The REST channel in the shape of Rasa's: POST /webhooks/rest/webhook.

    {"sender": "…", "message": "…", "metadata": {"message_id": "…", "language": "zh"}}
      → [{"recipient_id": "…", "text": "…", "buttons": [{"title": "…", "payload": "…"}]}]

`metadata.message_id` makes a request safe to repeat: the same id gets the same answer and does nothing twice. A
sender's name proves nothing: it lives in an address space of its own and is rate-limited (DESIGN §8). While people hold
the conversation the answer is []; their lines are read by GET /webhooks/rest/messages?sender=…&after=<seq>.
(Shape: Rasa documentation, "Your Own Website", REST channels.)
"""

from __future__ import annotations

import hashlib
import itertools
import json
import secrets
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse

from bot.core.words import Author, ChannelName, Incoming, Language, Say
from bot.services.centre import Centre
from bot.services.conversation import inbox, media, transcript
from bot.services.conversation.transcript import Line
from bot.services.delivery.pace import PerAddress
from bot.services.desk import agent_lines
from bot.web.bodies import read_at_most

router = APIRouter()
MAX_BODY = 64 * 1024  # bytes
MAX_SENDER = 120  # characters


_PROCESS, _numbers = secrets.token_hex(12), itertools.count()  # fresh ids without asking the system for each


class BadRequestError(ValueError):
    """The request is not of the channel's shape; the message names the field and what would be right."""


async def webhook(request: Request) -> JSONResponse:
    """One message in, the bot's lines out."""
    centre: Centre = request.app.state.centre
    body = await read_at_most(request, MAX_BODY)
    if body is None:
        return _error(413, f"the request is larger than {MAX_BODY} bytes")
    try:
        incoming = read_message(body)
    except BadRequestError as error:
        return _error(422, str(error))
    limiter: PerAddress = request.app.state.rest_limiter
    if not await limiter.allows(incoming.address, centre.library.current.policies):
        return _error(429, "too many messages from this sender; try again in a second")
    try:
        receipt = await inbox.receive(centre, incoming)
    except inbox.TooLongError as error:
        return _error(413, f"message: {error}")
    return JSONResponse([_line(incoming.address, say) for say in receipt.answers])


router.add_route("/webhooks/rest/webhook", webhook, methods=["POST"])  # plain Starlette: nothing here to be resolved


@router.get("/webhooks/rest/messages", include_in_schema=False)
async def messages(
    request: Request,
    sender: Annotated[str, Query(min_length=1, max_length=MAX_SENDER)],
    after: Annotated[int, Query(ge=0)] = 0,
) -> JSONResponse:
    """The lines of a sender's open conversation after a sequence number, people's included, with their files and what
    they quote."""
    centre: Centre = request.app.state.centre
    lines = await centre.db.read(lambda s: transcript.lines_at(s, ChannelName.REST, sender, after))
    answer = JSONResponse([_read_line(centre, line) for line in lines])
    if any(line.author is Author.AGENT for line in lines):
        await centre.db.write(lambda s: agent_lines.seen_at(s, ChannelName.REST, sender, lines[-1].seq))
    return answer


def _read_line(centre: Centre, line: Line) -> dict[str, Any]:
    """`files` only where there are some, as `quote` ({seq, text}), so that the plain shape stays as it was."""
    told: dict[str, Any] = {
        "seq": line.seq,
        "author": line.author,
        "text": line.text,
        "at": line.at.isoformat(),
    }
    if line.files and line.author is Author.AGENT:
        told["files"] = [{"url": media.link(centre, f), "name": f.name, "type": f.mime} for f in line.files]
    if line.quote:
        told["quote"] = {"seq": line.quote.seq, "text": line.quote.text}
    return told


def read_message(body: bytes) -> Incoming:
    """A request's body as a message; raises BadRequestError."""
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequestError("the body is not JSON") from error
    if not isinstance(raw, Mapping):
        raise BadRequestError("the body is not a JSON object")
    sender, message = raw.get("sender"), raw.get("message")
    if not isinstance(sender, str) or not 0 < len(sender) <= MAX_SENDER:
        raise BadRequestError(f"sender: a text of 1 to {MAX_SENDER} characters is wanted")
    if not isinstance(message, str):
        raise BadRequestError("message: a text is wanted")
    metadata = raw.get("metadata") or {}
    if not isinstance(metadata, Mapping):
        raise BadRequestError("metadata: an object is wanted")
    message_id = metadata.get("message_id")
    if message_id is not None and (not isinstance(message_id, str) or not 0 < len(message_id) <= MAX_SENDER):
        raise BadRequestError(f"metadata.message_id: a text of 1 to {MAX_SENDER} characters is wanted")
    return Incoming(
        channel=ChannelName.REST,
        address=_storable(sender),
        provider_id=_provider_id(sender, message_id),
        text=message,
        language=_language(metadata.get("language")),
    )


def _provider_id(sender: str, message_id: str | None) -> str:
    """A message's id within the channel: the sender's own, kept apart from other senders', or a fresh one."""
    if message_id is None:
        return f"{_PROCESS}-{next(_numbers):x}"
    return hashlib.blake2s(f"{sender}\x00{message_id}".encode("utf-8", "replace")).hexdigest()


def _storable(text: str) -> str:
    """Without what no database stores: NUL and lone surrogates."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def _language(value: Any) -> Language | None:
    if value is None:
        return None
    try:
        return Language(value)
    except ValueError as error:
        raise BadRequestError(f"metadata.language: one of {', '.join(Language)} is wanted") from error


def _line(sender: str, say: Say) -> dict[str, Any]:
    line: dict[str, Any] = {"recipient_id": sender, "text": say.text}
    if say.buttons:
        line["buttons"] = [{"title": b.title, "payload": b.payload} for b in say.buttons]
    return line


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": message}, status)
