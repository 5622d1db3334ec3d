"""A Twilio of our own: its REST API, strict about parameters, and a network of telephones with scripted owners.

It signs its webhooks by itself, walks the TwiML it is given, and counts what it did. Faults are queued for the next
requests that create something. In a test `await twilio.play()` lets the telephones ring; started alone
(`python -m tests.fakes.twilio 8090`, with the settings it prints) everybody answers at once.
(Written by Twilio's OpenAPI description of 2010-04-01 and its webhook documentation.)
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from bot.core.twiml import Dial, Fetch, Gather, Over, Passage, Record, play, reply

SID, TOKEN, NUMBER = "AC" + "0" * 32, "a token of twilio's", "+15005550006"
E164 = re.compile(r"\+[1-9]\d{6,14}")
URL = re.compile(r"https?://\S+")
CREATE_CALL = {
    *("To", "From", "Url", "Method", "StatusCallback", "StatusCallbackEvent", "StatusCallbackMethod", "Timeout"),
    *("AsyncAmd", "AsyncAmdStatusCallback", "AsyncAmdStatusCallbackMethod"),
    *("MachineDetection", "MachineDetectionTimeout", "FallbackUrl", "FallbackMethod", "TimeLimit", "Twiml"),
}
CREATE_MESSAGE = {"To", "From", "Body", "MediaUrl", "StatusCallback", "ValidityPeriod", "MessagingServiceSid"}
MAX_FILES, MAX_MEDIA = 10, 5_000_000
MMS = ("+1", "+61")  # the numbering plans in which files are forwarded
PAGING = {"PageSize", "Page", "PageToken"}
LIST_CALLS = PAGING | {"To", "From", "Status", "StartTime", "StartTime<", "StartTime>", "EndTime", "ParentCallSid"}
LIST_MESSAGES = PAGING | {"To", "From", "DateSent", "DateSent<", "DateSent>"}
MEDIA = {"image/jpeg", "image/png", "image/gif", "application/pdf", "video/mp4", "audio/mpeg", "audio/mp4", "audio/ogg"}
FORM = "application/x-www-form-urlencoded"


@dataclass
class Callee:
    """Who owns a telephone. `does`: answers, busy, no-answer, failed, machine. `keys` are pressed, or said where they
    are words, one at each question; "" is silence, and at their end the callee hangs up. `taken_for` is what Twilio's
    detection makes of them, where that is wrong."""

    does: str = "answers"
    keys: tuple[str, ...] = ()
    sip: str = ""
    taken_for: str = ""


class Refusal(Exception):  # noqa: N818
    """An error as Twilio answers it."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


async def _on(_moment: str) -> None:
    """A request is asked, acted on and answered without anything in between."""


@dataclass
class Twilio:
    """`calls` and `messages` are its resources, `heard` what each number heard, `refused` webhooks that failed.

    `dialled` are the numbers that were rung out of a call, `bridged` those that were connected; `others` says how far
    such calls are, and those that came in, by their sid. `files` are what it keeps for us, by their path below the
    account, `asked_for` those we wanted. `carried` are the files each number got with a message, type and content;
    those of `no_files` can have none.
    `faults` (429, 500, lost, lost-before) meet the next requests that create something: "lost" acts and loses the
    answer. `speechless`: so many lists that are asked for are refused. `chaos` sends every report twice and the first
    ones last. `at` is awaited when a request that creates something is "asked", "acted" on and "answered".
    """

    address: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    texts_in: list[str] = field(default_factory=list)
    callees: dict[str, Callee] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    heard: dict[str, list[str]] = field(default_factory=dict)
    refused: list[tuple[str, int]] = field(default_factory=list)
    unsubscribed: set[str] = field(default_factory=set)
    files: dict[str, bytes] = field(default_factory=dict)
    spoilt: list[str] = field(default_factory=list)
    asked_for: list[str] = field(default_factory=list)
    dialled: list[str] = field(default_factory=list)
    bridged: list[str] = field(default_factory=list)
    others: dict[str, str] = field(default_factory=dict)
    no_files: set[str] = field(default_factory=set)
    carried: dict[str, list[tuple[str, bytes]]] = field(default_factory=dict)
    recordings: int = 0
    speechless: int = 0
    chaos: bool = False
    at_once: bool = False
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    client: httpx.AsyncClient | None = None
    at: Callable[[str], Awaitable[None]] = _on
    _ready: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    # ── REST ──

    @property
    def app(self) -> Starlette:
        base = f"/2010-04-01/Accounts/{SID}"
        return Starlette(
            routes=[
                Route(f"{base}/Calls.json", self._calls, methods=["GET", "POST"]),
                Route(f"{base}/Calls/{{sid}}.json", self._call, methods=["GET", "POST"]),
                Route(f"{base}/Messages.json", self._messages, methods=["GET", "POST"]),
                Route(f"{base}/{{path:path}}", self._file),
            ]
        )

    async def _calls(self, request: Request) -> Response:
        return await self._resource(request, self.calls, "calls", LIST_CALLS, self._new_call)

    async def _messages(self, request: Request) -> Response:
        return await self._resource(request, self.messages, "messages", LIST_MESSAGES, self._new_message)

    async def _resource(
        self, request: Request, kept: list[dict[str, Any]], name: str, filters: set[str], create: Any
    ) -> Response:
        try:
            self._who(request)
            if request.method == "GET":
                if self.speechless:
                    self.speechless -= 1
                    raise Refusal(20500, "Internal Server Error", 500)
                return self._list(request, kept, name, filters)
            if request.headers["content-type"] != FORM:
                raise Refusal(20001, "the body is no form")
            fields = parse_qsl((await request.body()).decode(), keep_blank_values=True)
            return await self._with_faults(lambda: create(fields))
        except Refusal as no:
            return _problem(no)

    async def _call(self, request: Request) -> Response:
        """How far a call is, also one that came in or was dialled; one that is up is given another document."""
        sid = request.path_params["sid"]
        try:
            self._who(request)
            if request.method == "GET":
                known = {**self.others, **{each["sid"]: each["status"] for each in self.calls}}
                if sid not in known:
                    raise Refusal(20404, "not found", 404)
                return JSONResponse({"sid": sid, "account_sid": SID, "status": known[sid]})
            given = _strict(
                parse_qsl((await request.body()).decode(), keep_blank_values=True), {"Url", "Method"}, {"Url"}
            )
            call = next((each for each in self.calls if each["sid"] == sid), None)
            if call is None:
                raise Refusal(20404, "not found", 404)
            if call["status"] != "in-progress":
                raise Refusal(21220, "Call is not in-progress. Cannot redirect.")
        except Refusal as no:
            return _problem(no)
        call["_turned"] = given["Url"]
        return JSONResponse(_public(call))

    async def _file(self, request: Request) -> Response:
        """A picture or a recording; one that is not ready yet is not found."""
        try:
            self._who(request)
        except Refusal as no:
            return _problem(no)
        path: str = request.path_params["path"]
        self.asked_for.append(path)
        content, fault = self.files.get(path), self.spoilt.pop(0) if self.spoilt else ""
        if fault.isdecimal():
            return _problem(Refusal(20000 + int(fault), "as the test wants it", int(fault)))
        if fault and content is not None:
            return _cut_off(content) if fault == "short" else StreamingResponse(_slowly(content))
        return _problem(Refusal(20404, "not found", 404)) if content is None else Response(content)

    def _who(self, request: Request) -> None:
        known = base64.b64encode(f"{SID}:{TOKEN}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {known}":
            raise Refusal(20003, "Authenticate", 401)

    async def _with_faults(self, create: Callable[[], dict[str, Any]]) -> Response:
        fault = self.faults.pop(0) if self.faults else ""
        await self.at("asked")
        if fault == "429":
            return _problem(Refusal(20429, "Too Many Requests", 429), {"Retry-After": "7"})
        if fault == "500":
            return _problem(Refusal(20500, "Internal Server Error", 500))
        if fault == "lost-before":
            return _cut_off()
        resource = create()
        await self.at("acted")
        if self.at_once:
            self._start(resource)
        if fault == "lost":
            return _cut_off()
        return JSONResponse(_public(resource), 201, background=BackgroundTask(self.at, "answered"))

    def _list(self, request: Request, kept: list[dict[str, Any]], name: str, filters: set[str]) -> Response:
        query = request.query_params
        if unknown := set(query) - filters:
            raise Refusal(20001, f"unknown parameter {unknown}")
        found = [r for r in reversed(kept) if all(r[f.lower()] == query[f] for f in ("To", "From") if f in query)]
        size, page = int(query.get("PageSize", 50)), int(query.get("Page", 0))
        rows = found[page * size : (page + 1) * size]
        more = {**query, "Page": str(page + 1), "PageToken": "PA1"}
        after = f"{request.url.path}?{urlencode(more)}" if len(found) > (page + 1) * size else None
        return JSONResponse(
            {name: [_public(r) for r in rows], "page": page, "page_size": size, "next_page_uri": after, "uri": "/"}
        )

    def _new_call(self, fields: list[tuple[str, str]]) -> dict[str, Any]:
        given = _strict(fields, CREATE_CALL, {"To", "From"})
        if "Url" not in given and "Twiml" not in given:
            raise Refusal(21205, "Url is missing")
        for name in ("Url", "StatusCallback"):
            if name in given and not URL.fullmatch(given[name]):
                raise Refusal(21609 if name == "StatusCallback" else 21205, f"{name} is no URL")
        if not 1 <= int(given.get("Timeout", 60)) <= 600:
            raise Refusal(21220, "Timeout is out of range")
        if given.get("MachineDetection", "Enable") not in ("Enable", "DetectMessageEnd"):
            raise Refusal(20001, "MachineDetection")
        if given.get("AsyncAmd") == "true" and not URL.fullmatch(given.get("AsyncAmdStatusCallback", "")):
            raise Refusal(21262, "AsyncAmdStatusCallback")
        events = [value for name, value in fields if name == "StatusCallbackEvent"]
        if set(events) - {"initiated", "ringing", "answered", "completed"}:
            raise Refusal(21626, "StatusCallbackEvent")
        self._may(given, 21210)
        call = {
            **self._common("CA", len(self.calls), given),
            "status": "queued",
            "direction": "outbound-api",
            "answered_by": None,
            "start_time": None,
            "end_time": None,
            "duration": None,
            "_given": given,
            "_events": events or ["completed"],
        }
        self.calls.append(call)
        return call

    def _new_message(self, fields: list[tuple[str, str]]) -> dict[str, Any]:
        given = _strict(fields, CREATE_MESSAGE, {"To"})
        body, links = given.get("Body", ""), [value for name, value in fields if name == "MediaUrl"]
        if len(body) > 1600 or not (body or links):
            raise Refusal(21617 if body else 21602, "Body")
        if len(links) > MAX_FILES:
            raise Refusal(21623, "Number of media files exceeds allowed limit")
        if not all(URL.fullmatch(link) for link in links):
            raise Refusal(21620, "Invalid media URL(s)")
        self._may(given, 21606)
        if (links and given["To"] in self.no_files) or (
            links and not any(given["To"].startswith(plan) and NUMBER.startswith(plan) for plan in MMS)
        ):
            raise Refusal(21612, "Message cannot be sent with the current combination of 'To' and/or 'From' parameters")
        if given["To"] in self.unsubscribed:
            raise Refusal(21610, "Attempt to send to unsubscribed recipient")
        message = {
            **self._common("SM", len(self.messages), given),
            "status": "queued",
            "direction": "outbound-api",
            "body": body,
            "num_media": str(len(links)),
            "num_segments": str(segments(body)),
            "date_sent": None,
            "error_code": None,
            "_given": given,
            "_links": links,
        }
        self.messages.append(message)
        return message

    def _may(self, given: Mapping[str, str], not_ours: int) -> None:
        if not E164.fullmatch(given["To"]):
            raise Refusal(21211, "The 'To' number is not a valid phone number.")
        if given.get("From") != NUMBER:
            raise Refusal(not_ours, "The 'From' number is not ours")

    def _common(self, kind: str, number: int, given: Mapping[str, str]) -> dict[str, Any]:
        at = format_datetime(self.clock())
        return {
            "sid": f"{kind}{number + 1:032x}",
            "account_sid": SID,
            "to": given["To"],
            "from": given["From"],
            "date_created": at,
            "date_updated": at,
            "api_version": "2010-04-01",
            "price": None,
            "price_unit": "USD",
        }

    # ── webhooks ──

    async def post(self, url: str, fields: Mapping[str, str], token: str = TOKEN) -> httpx.Response:
        """A signed webhook, with parameters nobody asked for and a blank one."""
        always = {"AccountSid": SID, "ApiVersion": "2010-04-01", "CallerName": "", "X-Of-2031": "é"}
        form = sorted({**always, **fields}.items())
        assert self.client is not None
        signature = sign(url, form, token)
        headers = {"X-Twilio-Signature": signature, "Content-Type": FORM}
        answer = await self.client.post(url, content=urlencode(form), headers=headers)
        if not answer.is_success and token == TOKEN:
            self.refused.append((url, answer.status_code))
        return answer

    def _start(self, resource: dict[str, Any]) -> None:
        work = self.ring(resource) if resource["sid"].startswith("CA") else self.carry(resource)
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def play(self) -> None:
        """Every call that waits rings, every message arrives."""
        for call in [each for each in self.calls if each["status"] == "queued"]:
            await self.ring(call)
        for message in [each for each in self.messages if each["status"] == "queued"]:
            await self.carry(message)

    async def carry(self, message: dict[str, Any], *states: str, code: int | None = None) -> None:
        """A message's way; by default it arrives, with its files where they can be fetched."""
        reports = []
        if message["_links"] and not states and (code := await self._fetched(message)):
            states = ("failed",)
        for status in states or ("sent", "delivered"):
            message["status"], message["error_code"] = status, code
            fields = {"MessageSid": message["sid"], "MessageStatus": status, "To": message["to"], "From": NUMBER}
            reports.append(fields | ({"ErrorCode": str(code)} if code else {}))
        await self._report(message["_given"].get("StatusCallback"), reports)

    async def _fetched(self, message: dict[str, Any]) -> int | None:
        """Looks at the files of a message and fetches them, without any token, as Twilio does; why it gives up."""
        assert self.client is not None
        kept: list[tuple[str, bytes]] = []
        for link in message["_links"]:
            looked, answer = await self.client.head(link), await self.client.get(link)
            if not (looked.is_success and answer.is_success):
                return 11200
            kind = answer.headers.get("content-type", "").partition(";")[0]
            if kind not in MEDIA or kind != looked.headers.get("content-type", "").partition(";")[0]:
                return 12300
            kept.append((kind, answer.content))
        if sum(len(content) for _, content in kept) > MAX_MEDIA:
            return 11751
        self.carried.setdefault(message["to"], []).extend(kept)
        return None

    async def ring(self, call: dict[str, Any]) -> None:
        """A call's whole life."""
        callee = self.callees.get(call["to"], Callee())
        reports = [self._status(call, "initiated", 0)]
        if not self.chaos:
            await self._report(call["_given"].get("StatusCallback"), reports if "initiated" in call["_events"] else [])
            reports = []
        if callee.does in ("answers", "machine"):
            call["status"], call["start_time"] = "in-progress", format_datetime(self.clock())
            await self._talk(call, callee)
            final = "completed"
        else:
            final = callee.does
        call["status"] = final
        reports.append(self._status(call, final, 3) | ({"SipResponseCode": callee.sip} if callee.sip else {}))
        await self._report(call["_given"].get("StatusCallback"), reports)

    async def _talk(self, call: dict[str, Any], callee: Callee) -> None:
        machine, given = callee.does == "machine", call["_given"]
        ends = given.get("MachineDetection") == "DetectMessageEnd"
        first = {"CallSid": call["sid"], "CallStatus": "in-progress", "To": call["to"], "From": call["from"]}
        found = ("machine_end_beep" if ends else "machine_start") if machine else "human"
        keys = callee.keys if not machine else ()
        if given.get("AsyncAmd") != "true":
            said = {"AnsweredBy": found} if "MachineDetection" in given else {}
            await self.walk(given["Url"], first | said, call["to"], keys)
            return
        verdict = {"CallSid": call["sid"], "AnsweredBy": callee.taken_for or found, "MachineDetectionDuration": "3100"}

        async def found_out() -> None:
            await self._report(given["AsyncAmdStatusCallback"], [verdict])

        await self.walk(given["Url"], first, call["to"], keys, meanwhile=found_out)
        if "_turned" in call:
            await self.walk(call["_turned"], first, call["to"], ())

    async def call_in(self, number: str, url: str, *keys: str, sid: str = "CA" + "f" * 32) -> None:
        """Somebody calls our number, whose voice webhook is `url`."""
        form = {"CallSid": sid, "CallStatus": "ringing", "Direction": "inbound", "From": number, "To": NUMBER}
        self.others[sid] = "in-progress"
        try:
            await self.walk(url, form, number, keys)
        finally:
            self.others[sid] = "completed"
        await self.post(urljoin(url, "/twilio/status"), {**form, "CallStatus": "completed", "SequenceNumber": "0"})

    async def walk(
        self,
        url: str,
        form: dict[str, str],
        number: str,
        keys: tuple[str, ...],
        meanwhile: Callable[[], Awaitable[None]] | None = None,
    ) -> bool:
        """Plays documents until the call is over or the person has pressed all keys and hangs up; says whether a
        document ran out of verbs. `meanwhile` happens once, after the first thing said or when nothing is."""
        pressing, heard = list(keys), self.heard.setdefault(number, [])
        document, at = (await self.post(url, form)).text, 0
        while True:
            passage: Passage = play(document, at, url=url)
            heard += [each.text for each in passage.heard if each.text]
            match passage.then:
                case Gather() | Record() as ear:
                    key = pressing.pop(0) if pressing else None
                    fetch = await self._said(ear, key) if key is not None else None
                    if fetch is None and key is not None:
                        at = passage.at
                        continue
                case Dial() as dial:
                    fetch = Fetch(dial.url, {"DialCallStatus": await self._dial(dial, form)})
                case Fetch() as fetch:
                    pass
                case Over() as over:
                    return over.ran_out
                case _:
                    raise AssertionError(passage.then)
            answer = await self.post(fetch.url, {**form, "CallStatus": "in-progress", **fetch.form}) if fetch else None
            if meanwhile is not None:
                await meanwhile()
                meanwhile = None
            if answer is None or fetch is None:
                return False
            document, at, url = answer.text, 0, fetch.url

    async def _said(self, ear: Gather | Record, key: str) -> Fetch | None:
        """What a key, or words, make of a Gather or a Record."""
        if isinstance(ear, Gather):
            spoken = {"speech": key} if key.strip("0123456789*#") else {"digits": key}
            return reply(ear, **spoken) if key else None
        if not key:
            return None
        self.recordings += 1
        sid = f"RE{self.recordings:032x}"
        self.files[f"Recordings/{sid}.mp3"] = b"ID3" + key.encode()
        told = {
            "RecordingSid": sid,
            "RecordingUrl": f"{self.address}/2010-04-01/Accounts/{SID}/Recordings/{sid}",
            "RecordingDuration": "9",
        }
        await self._report(ear.ready, [told | {"RecordingStatus": "completed"}] if self.chaos else [])
        self._ready.append((ear.ready or "", told | {"RecordingStatus": "completed"}))
        return Fetch(ear.url, told | {"Digits": "hangup"})

    async def recordings_ready(self) -> None:
        """Twilio tells, later, that what was recorded may be fetched."""
        for url, told in self._ready:
            await self._report(url, [told])

    async def _dial(self, dial: Dial, form: dict[str, str]) -> str:
        """Rings somebody else's telephone; they are connected where they do not hang up on the whisper."""
        callee = self.callees.get(dial.number, Callee("no-answer"))
        self.dialled.append(dial.number)
        leg = {"sid": f"CA{len(self.dialled):031x}d", "to": dial.number, "from": form.get("From", NUMBER)}
        final = callee.does
        self.others[leg["sid"]] = "completed" if final == "answers" else final  # by the time that anybody asks
        await self._report(dial.report, [self._status(leg, "initiated", 0)])
        if callee.does == "answers":
            await self._report(dial.report, [self._status(leg, "in-progress", 2)])
            first = {"CallSid": leg["sid"], "CallStatus": "in-progress", "To": dial.number, "From": leg["from"]}
            if dial.whisper is None or await self.walk(dial.whisper, first, dial.number, callee.keys):
                self.bridged.append(dial.number)
            final = "completed"
        report = self._status(leg, final, 3) | ({"SipResponseCode": callee.sip} if callee.sip else {})
        await self._report(dial.report, [report])
        return final

    async def text_in(self, number: str, body: str, url: str, sid: str = "", **more: str) -> httpx.Response:
        """Somebody writes to our number, whose message webhook is `url`; STOP is also Twilio's own affair."""
        self.texts_in.append(body)
        if body.strip().lower() in ("stop", "unsubscribe", "cancel", "end", "quit"):
            self.unsubscribed.add(number)
        elif body.strip().lower() in ("start", "unstop"):
            self.unsubscribed.discard(number)
        sid = sid or f"SM{len(self.texts_in):032x}".replace("SM0", "SMe")
        fields = {"MessageSid": sid, "SmsSid": sid, "From": number, "To": NUMBER, "Body": body, "NumMedia": "0", **more}
        return await self.post(url, fields)

    def _status(self, call: dict[str, Any], status: str, sequence: int) -> dict[str, str]:
        at = {"SequenceNumber": str(sequence), "CallbackSource": "call-progress-events"}
        return {"CallSid": call["sid"], "CallStatus": status, "To": call["to"], "From": call["from"], **at}

    async def _report(self, url: str | None, reports: list[dict[str, str]]) -> None:
        for fields in [*reversed(reports), *reports] if self.chaos else reports:
            if url:
                await self.post(url, fields)


def sign(url: str, form: list[tuple[str, str]], token: str) -> str:
    """X-Twilio-Signature, made without Twilio's library."""
    signed = url + "".join(name + value for name, value in sorted(form))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


def segments(body: str) -> int:
    whole, part = (160, 153) if body.isascii() else (70, 67)
    return 1 if len(body) <= whole else -(-len(body) // part)


def _strict(fields: list[tuple[str, str]], known: set[str], wanted: set[str]) -> dict[str, str]:
    given = dict(fields)
    if unknown := set(given) - known:
        raise Refusal(20001, f"unknown parameter {unknown}")
    if missing := wanted - set(given):
        raise Refusal(21201 if "To" in missing else 21603, f"{missing} is missing")
    return given


def _public(resource: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if not name.startswith("_")}


def _problem(no: Refusal, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"code": no.code, "message": no.message, "status": no.status}, no.status, headers)


def _cut_off(part: bytes = b"{") -> Response:
    """The connection breaks before the answer is whole."""

    async def half() -> AsyncIterator[bytes]:
        yield part

    return StreamingResponse(half(), headers={"content-length": "1000"}, media_type="application/json")


async def _slowly(content: bytes) -> AsyncIterator[bytes]:
    """A byte now and then, for ever."""
    while True:
        for each in content:
            yield bytes([each])
            await asyncio.sleep(0.05)


def account(twilio: Twilio, public_url: str) -> dict[str, str]:
    """The settings of an installation with an account there."""
    return {
        "public_url": public_url,
        "twilio_account_sid": SID,
        "twilio_auth_token": TOKEN,
        "twilio_number": NUMBER,
        "twilio_api": twilio.address,
    }


@asynccontextmanager
async def serving(twilio: Twilio, port: int = 0) -> AsyncIterator[Twilio]:
    """The API at an address of its own."""
    free = socket.socket()
    free.bind(("127.0.0.1", port))
    twilio.address = f"http://127.0.0.1:{free.getsockname()[1]}"
    config = uvicorn.Config(twilio.app, lifespan="off", log_level="critical", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve([free]))
    while not server.started:
        await asyncio.sleep(0.005)
    try:
        yield twilio
    finally:
        server.should_exit = server.force_exit = True
        with suppress(asyncio.CancelledError):
            await task
        free.close()


async def _alone(port: int) -> None:
    async with httpx.AsyncClient(timeout=30) as client, serving(Twilio(client=client, at_once=True), port) as twilio:
        settings = {"ACCOUNT_SID": SID, "AUTH_TOKEN": TOKEN, "NUMBER": NUMBER, "API": twilio.address}
        print("\n".join(f"HOTLINE_TWILIO_{name}={value!r}" for name, value in settings.items()), flush=True)
        told = 0
        while True:
            await asyncio.sleep(1)
            state = json.dumps({"calls": [_public(c) for c in twilio.calls], "heard": twilio.heard}, ensure_ascii=False)
            if len(state) != told:
                told = len(state)
                print(state, flush=True)


__all__ = ["NUMBER", "SID", "TOKEN", "Callee", "Twilio", "account", "serving", "sign"]

if __name__ == "__main__":
    asyncio.run(_alone(int(sys.argv[1])))
