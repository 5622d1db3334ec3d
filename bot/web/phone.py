"""The sandbox phone: a page that rings, speaks, takes keys and words, and receives texts, where no real carrier is.

A phone's address holds its number sealed, so no number stands in an address or a log. Live by server-sent events (topic
"phone:<blind>"): each event is the phone as it is now, so a lost one is made good by the next. What the page posts
names the call's step, so a request sent twice is taken once. Where people's real numbers may be known (no demo, no
rehearsal) the page is for signed-in staff alone.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import JSONResponse, RedirectResponse, Response

from bot.core.broadcast import sms_segments
from bot.core.mms import PICTURES
from bot.core.telephone import CallState, Speaks
from bot.core.twiml import Gather, Record, Talk
from bot.core.words import ChannelName
from bot.services import contacts, demo
from bot.services.centre import Centre
from bot.services.conversation import inbox
from bot.services.i18n import N_, clock_time
from bot.services.sandbox import sandbox, sandbox_rows
from bot.services.sandbox.sandbox import Listed, Screen
from bot.web.bodies import read_at_most
from store.db import Database
from store.vault import WrongSecretError

MAX_BODY = 64 * 1024  # bytes
CLIENT_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
LOOK_AGAIN = 25.0  # seconds without a wake-up after which the stream looks by itself
BAD_NUMBER = N_("这个号码拨不通，请检查一下。")
TOO_LONG = N_("这条短信太长了，请分成几条发。")
LINE_BUSY = N_("这部电话正在通话中。")


def in_use(centre: Centre) -> bool:
    """Whether the sandbox carries this installation's calls."""
    voice = centre.channels.get(ChannelName.VOICE)
    return isinstance(voice, Speaks) and voice.carrier == "sandbox"


async def _welcome(request: Request) -> None:
    """In a demonstration or a rehearsal everybody may pick up the phones; else signed-in staff."""
    centre: Centre = request.app.state.centre
    if centre.settings.rehearsal or getattr(request.state, "staff", None) is not None:
        return
    if not await centre.db.read(lambda session: bool(demo.accounts(session))):
        raise HTTPException(401, "sign in first")


router = APIRouter(include_in_schema=False, prefix="/phone", dependencies=[Depends(_welcome)])


@dataclass(frozen=True, slots=True)
class Phone:
    """The phone a request is about."""

    number: str
    blind: str
    token: str


def token_of(database: Database, number: str) -> str:
    """A phone's place in addresses: its number, sealed."""
    return base64.urlsafe_b64encode(database.vault.seal(number)).rstrip(b"=").decode()


def _phone(request: Request, token: str) -> Phone:
    """Opens a token; 404 where it is none of ours."""
    centre: Centre = request.app.state.centre
    try:
        number = centre.db.vault.open(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (WrongSecretError, ValueError, binascii.Error) as error:
        raise HTTPException(404, "no such phone") from error
    return Phone(number, sandbox_rows.phone(centre.db.vault, number), token)


Here = Annotated[Phone, Depends(_phone)]


@router.get("")
async def choose(request: Request) -> Response:
    """The first known phone, or a form for a number."""
    centre: Centre = request.app.state.centre
    known = await _known(centre)
    if known.people:
        return RedirectResponse(f"/phone/{token_of(centre.db, known.people[0].number)}", 303)
    return _page(request, None, known)


@router.post("")
async def take(request: Request, number: Annotated[str, Form(max_length=60)]) -> Response:
    """On to the phone of a number somebody typed."""
    centre: Centre = request.app.state.centre
    try:
        e164 = contacts.phone_number(number.strip())
    except contacts.BadPhoneError:
        return _page(request, None, await _known(centre), problem=request.app.state.look.text(request, BAD_NUMBER))
    return RedirectResponse(f"/phone/{token_of(centre.db, e164)}", 303)


@router.get("/{token}")
async def show(request: Request, phone: Here) -> Response:
    return _page(request, phone, await _known(request.app.state.centre))


@dataclass(frozen=True, slots=True)
class Directory:
    """The phones there are to choose from: customers', and those of the staff."""

    people: list[Listed]
    agents: list[Listed]

    @property
    def all(self) -> list[Listed]:
        return [*self.people, *self.agents]


async def _known(centre: Centre) -> Directory:
    if not await centre.db.read(lambda s: bool(demo.accounts(s))):
        return Directory([], [])
    agents = await centre.db.read(sandbox.agents)
    staffed = {agent.blind for agent in agents}
    people = [person for person in await centre.db.read(sandbox.phones) if person.blind not in staffed]
    return Directory(people, agents)


def _page(request: Request, phone: Phone | None, known: Directory, problem: str = "") -> Response:
    centre: Centre = request.app.state.centre

    def linked(phones: list[Listed]) -> list[dict[str, str]]:
        return [
            {"name": k.name, "number": k.number, "blind": k.blind, "token": token_of(centre.db, k.number)}
            for k in phones
        ]

    page: Response = request.app.state.look.page(
        request,
        "phone.html",
        422 if problem else 200,
        phone=phone,
        people=linked(known.people),
        agents=linked(known.agents),
        name=next((k.name for k in known.all if phone and k.blind == phone.blind), ""),
        company=centre.library.current.policies.company.name.of(request.app.state.look.language(request)),
        problem=problem,
    )
    return page


# ── live ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@router.get("/{token}/events")
async def events(request: Request, phone: Here) -> Response:
    """The phone as it is now, and again whenever that changes; also which of the known phones ring."""
    centre: Centre = request.app.state.centre
    return EventSourceResponse(_stream(centre, phone), headers={"X-Accel-Buffering": "no"}, ping=15)


async def _stream(centre: Centre, phone: Phone) -> AsyncIterator[ServerSentEvent]:
    others = [listed.blind for listed in (await _known(centre)).all]
    told = ""
    async with centre.live.listen(f"phone:{phone.blind}", *(f"phone:{blind}" for blind in others)) as ear:
        while True:
            screen = await centre.db.read(lambda s: sandbox.screen(s, phone.blind))
            ringing = await centre.db.read(lambda s: sandbox.ringing(s, others))
            shown = json.dumps({**_shown(centre, screen), "ringing": ringing}, ensure_ascii=False)
            if shown != told:
                told = shown
                yield ServerSentEvent(shown, event="phone")
            await ear.wait(LOOK_AGAIN)


def _shown(centre: Centre, screen: Screen) -> dict[str, Any]:
    zone = centre.settings.zone
    texts = [
        {
            "id": t.id,
            "direction": t.direction,
            "text": t.text,
            "at": clock_time(t.at, zone),
            "segments": sms_segments(t.text),
            "file": _file(t.file),
        }
        for t in screen.texts
    ]
    call = screen.call
    if call is None:
        return {"call": None, "texts": texts}
    passage = screen.passage if call.state is CallState.IN_PROGRESS else None
    then = passage.then if passage else None
    ear = then if isinstance(then, Gather) else None
    return {
        "call": {
            "id": call.id,
            "state": call.state,
            "direction": call.direction,
            "step": call.sequence,
            "lines": call.script.get("lines", []),
            "heard": [{"text": h.text, "language": h.language, "pause": h.pause} for h in passage.heard]
            if passage
            else [],
            "ear": {"timeout": ear.timeout, "digits": ear.digits, "finish": ear.finish, "speech": ear.speech}
            if ear
            else None,
            "tape": {"timeout": then.timeout, "limit": then.limit} if isinstance(then, Record) else None,
            "talk": ("ringing" if then.ringing else "connected") if isinstance(then, Talk) else None,
            "leg": "leg" in call.script,
        },
        "texts": texts,
    }


def _file(told: Mapping[str, str] | None) -> dict[str, Any] | None:
    """A file that came with a text, by its address on this very site."""
    if told is None:
        return None
    return {"link": urlsplit(told["link"]).path, "name": told["name"], "picture": told["mime"] in PICTURES}


# ── what the person does ─────────────────────────────────────────────────────────────────────────────────────────────


@router.post("/{token}/dial")
async def dial(request: Request, phone: Here) -> Response:
    """The phone rings the centre."""
    try:
        call_id = await sandbox.dial(request.app.state.centre, phone.number)
    except sandbox.LineBusyError:
        return _problem(request, 409, LINE_BUSY)
    return JSONResponse({"call": call_id})


@router.post("/{token}/calls/{call_id}/answer")
async def answer(request: Request, phone: Here, call_id: int) -> Response:
    centre = await _own(request, phone, call_id)
    await sandbox.pick_up(centre, call_id)
    return Response(status_code=204)


@router.post("/{token}/calls/{call_id}/hang-up")
async def hang_up(request: Request, phone: Here, call_id: int) -> Response:
    """Ends the call; while it rings, declines it."""
    centre = await _own(request, phone, call_id)
    await sandbox.hang_up(centre, call_id)
    return Response(status_code=204)


@router.post("/{token}/calls/{call_id}/next")
async def go_on(request: Request, phone: Here, call_id: int) -> Response:
    """{"step", "digits"?, "speech"?}: what was pressed or said at that step; neither: all was heard and time is up."""
    centre = await _own(request, phone, call_id)
    body = await _body(request)
    step, digits, speech = body.get("step"), body.get("digits", ""), body.get("speech", "")
    if not isinstance(step, int) or not isinstance(digits, str) or not isinstance(speech, str):
        raise HTTPException(422, "step, digits and speech are wanted")
    await sandbox.go_on(centre, call_id, step, digits=digits[:40], speech=_storable(speech))
    return Response(status_code=204)


@router.post("/{token}/texts")
async def send_text(request: Request, phone: Here) -> Response:
    """{"text", "client_id"}: a text to the centre; the same client_id is taken once."""
    body = await _body(request)
    words, client = body.get("text"), body.get("client_id")
    if not isinstance(words, str) or not isinstance(client, str) or not CLIENT_ID.fullmatch(client):
        raise HTTPException(422, "text and client_id are wanted")
    if not words.strip():
        raise HTTPException(422, "the text is empty")
    try:
        await sandbox.send_text(request.app.state.centre, phone.number, _storable(words), client)
    except inbox.TooLongError:
        return _problem(request, 413, TOO_LONG)
    return Response(status_code=204)


async def _own(request: Request, phone: Phone, call_id: int) -> Centre:
    """The centre, where the call is this phone's; 404 else."""
    centre: Centre = request.app.state.centre
    if call_id >= 1 << 62 or not await centre.db.read(lambda s: sandbox.of_phone(s, call_id, phone.blind)):
        raise HTTPException(404, "no such call")
    return centre


async def _body(request: Request) -> Mapping[str, Any]:
    body = await read_at_most(request, MAX_BODY)
    if body is None:
        raise HTTPException(413, f"the request is larger than {MAX_BODY} bytes")
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(422, "the body is not JSON") from error
    if not isinstance(raw, dict):
        raise HTTPException(422, "the body is not a JSON object")
    return raw


def _storable(text: str) -> str:
    """Without what no database stores: NUL and lone surrogates."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def _problem(request: Request, status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": request.app.state.look.text(request, message)}, status)
