"""Twilio's webhooks. Every request is signed with our token over the address Twilio knows us by (HOTLINE_PUBLIC_URL),
whatever proxy stands between; one that is not is answered 403 and does nothing.

Parameters we do not know are part of the signature and otherwise let be; so are blank ones.
(Twilio documentation, "Webhooks security", "Twilio's request to your application", "StatusCallback".)
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

import structlog
from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response
from twilio.request_validator import RequestValidator
from twilio.twiml.messaging_response import MessagingResponse

from bot.channels.twilio.states import message_report, why_failed
from bot.core.media import Attachment, MediaKind
from bot.core.telephone import DOOR, RECORDED, STATUS, CallReport, CallState, OptOut, Recording, Switchboard
from bot.core.words import ChannelName, Incoming

log = structlog.get_logger()
PREFIX = "/twilio"
CALL_STATUS = PREFIX + STATUS
MACHINE = f"{PREFIX}/answered-by"
SMS = f"{PREFIX}/sms"
SMS_STATUS = f"{PREFIX}/sms-status"
MAX_BODY = 64 * 1024  # bytes
MAX_FIELDS = 200
MAX_MEDIA, MAX_URL = 10, 250
KINDS = {"image": MediaKind.PHOTO, "audio": MediaKind.AUDIO, "video": MediaKind.VIDEO}
KEYWORDS: Mapping[str, OptOut] = {
    **dict.fromkeys(
        ("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"),
        OptOut.STOP,
    ),
    **dict.fromkeys(("start", "unstop"), OptOut.START),
    **dict.fromkeys(("help", "info"), OptOut.HELP),
}
"""Words Twilio itself takes as an opt-out, and answers (Twilio documentation, "Support for SMS keywords")."""


class Fields(dict[str, list[str]]):
    """A form's fields, each with its values, blank ones too."""

    @classmethod
    def of(cls, body: str) -> Fields:
        fields = cls()
        for name, value in parse_qsl(body, keep_blank_values=True, max_num_fields=MAX_FIELDS):
            fields.setdefault(name, []).append(value)
        return fields

    def getall(self, name: str) -> list[str]:
        """As the signature's check wants them."""
        return self[name]

    def one(self, name: str) -> str:
        return self.get(name, [""])[0].strip()

    def plain(self) -> dict[str, str]:
        return {name: values[0] for name, values in self.items()}


def routes(switchboard: Switchboard, address: str, token: str) -> APIRouter:
    """`address` is where Twilio reaches us, without a trailing slash; `token` the account's."""
    validator = RequestValidator(token)
    router = APIRouter(include_in_schema=False)

    async def signed(request: Request) -> Fields:
        fields = await _fields(request)
        signature = request.headers.get("X-Twilio-Signature", "")
        if not validator.validate(address + _asked(request), fields, signature):
            log.warning("twilio.not_signed", path=request.url.path)
            raise HTTPException(403, "not signed by Twilio for this address")
        return fields

    @router.post(PREFIX + DOOR)
    async def voice(request: Request) -> Response:
        fields = await signed(request)
        document = await switchboard.ask(_asked(request), fields.plain())
        if document is None:
            raise HTTPException(404, "no such call")
        return Response(document, media_type="text/xml")

    @router.post(CALL_STATUS)
    async def call_status(request: Request) -> Response:
        fields = await signed(request)
        report = _call(fields, _delivery(request))
        if report is not None:
            await switchboard.call(report)
        return Response(status_code=204)

    @router.post(MACHINE)
    async def answered_by(request: Request) -> Response:
        fields = await signed(request)
        sid, delivery_id = fields.one("CallSid"), _delivery(request)
        if sid and delivery_id is not None:
            await switchboard.answered_by(sid, delivery_id, fields.one("AnsweredBy"))
        return Response(status_code=204)

    @router.post(PREFIX + RECORDED)
    async def recorded(request: Request) -> Response:
        fields = await signed(request)
        conversation_id = _number(request.query_params.get("conversation", ""))
        recording = Recording(
            fields.one("RecordingSid"), fields.one("RecordingUrl"), _number(fields.one("RecordingDuration"))
        )
        if conversation_id and recording.sid and fields.one("RecordingStatus") == "completed":
            await switchboard.recorded(conversation_id, recording)
        return Response(status_code=204)

    @router.post(SMS)
    async def sms(request: Request) -> Response:
        fields = await signed(request)
        sid, sender = fields.one("MessageSid") or fields.one("SmsSid"), fields.one("From")
        if sid and sender:
            text = Incoming(ChannelName.SMS, sender, sid, fields.one("Body"), attachments=_media(fields))
            await switchboard.text(text, _opt_out(fields))
        return Response(str(MessagingResponse()), media_type="text/xml")  # answers go by the outbox

    @router.post(SMS_STATUS)
    async def sms_status(request: Request) -> Response:
        fields = await signed(request)
        sid, status = fields.one("MessageSid"), fields.one("MessageStatus")
        report = message_report(sid, _delivery(request), status, _number(fields.one("ErrorCode")) or None)
        if sid and report is not None:
            await switchboard.delivery(report)
        return Response(status_code=204)

    return router


async def _fields(request: Request) -> Fields:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, f"the request is larger than {MAX_BODY} bytes")
    try:
        return Fields.of(body.decode())
    except ValueError as error:
        raise HTTPException(400, "the body is no form") from error


def _asked(request: Request) -> str:
    """Path and query as they were asked for, byte by byte: that is what is signed."""
    path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    query: bytes = request.scope["query_string"]
    asked = path.partition(b"?")[0] + (b"?" + query if query else b"")
    return asked.decode("ascii", "replace")


def _delivery(request: Request) -> int | None:
    return _number(request.query_params.get("delivery", "")) or None


def _number(raw: str) -> int:
    return int(raw) if raw.isascii() and raw.isdecimal() and len(raw) <= 18 else 0


def _call(fields: Fields, delivery_id: int | None) -> CallReport | None:
    """None for a state that is none of a call's."""
    sid, status = fields.one("CallSid"), fields.one("CallStatus")
    if not sid or status not in list(CallState):
        return None
    state = CallState(status)
    error = why_failed(state, fields.one("SipResponseCode"))
    return CallReport(sid, delivery_id, state, _number(fields.one("SequenceNumber")), error)


def _media(fields: Fields) -> tuple[Attachment, ...]:
    """The files of a message: MediaUrl0, MediaContentType0 …"""
    found = []
    for number in range(min(_number(fields.one("NumMedia")), MAX_MEDIA)):
        url, mime = fields.one(f"MediaUrl{number}"), fields.one(f"MediaContentType{number}")
        if 0 < len(url) <= MAX_URL:
            found.append(Attachment(KINDS.get(mime.partition("/")[0], MediaKind.DOCUMENT), url, mime=mime))
    return tuple(found)


def _opt_out(fields: Fields) -> OptOut | None:
    """Whether Twilio has taken this message as an opt-out itself: by Advanced Opt-Out, or by its default words."""
    told = fields.one("OptOutType").lower()
    if told in list(OptOut):
        return OptOut(told)
    return KEYWORDS.get(fields.one("Body").lower())
