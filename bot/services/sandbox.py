"""The sandbox carrier's exchange: which phones ring, what their calls play, and the texts they got and sent.

A call is one row. Its `script` holds the document being played, the passage of it that is heard now, and everything
said so far; `sequence` numbers the steps, so that a step is taken once however often it is asked for. What a real
carrier would ask over HTTP is asked of the voice door (bot/services/voice.py) with the same address and form, and
outcomes are reported in the transaction that makes them true. Machine time, except what people see.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import and_, or_, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from bot.core import twiml
from bot.core.telephone import DOOR, ENDED, FAILURES, CallState, door
from bot.core.twiml import Fetch, Gather, Over, Passage
from bot.core.words import ChannelName, DeliveryState, Incoming, Outgoing, Rejected, Report, Sent
from bot.services import inbox, texts, voice
from bot.services.centre import Centre
from store.db import touch, vault_of
from store.tables import Address, Contact, SandboxCall, SandboxText
from store.vault import Vault

log = structlog.get_logger()
UP = text("sandbox_call.state IN ('ringing', 'in-progress')")  # literal, so that the partial index serves
GONE_AFTER = timedelta(minutes=3)  # a call nobody took a step of has been left: its page was closed
MAX_HOPS = 8  # documents fetched between two things heard
LINES = 200  # of a call that are kept
TEXTS = 50  # of a phone that are shown
PHONES = 12  # that are offered
PAGE = 100
SPEECH = 1000  # characters of one thing said
REPORTS = {
    CallState.COMPLETED: DeliveryState.HEARD,
    CallState.IN_PROGRESS: DeliveryState.DELIVERED,
    CallState.RINGING: DeliveryState.ACCEPTED,
}


class LineBusyError(Exception):
    """The phone is in a call already."""


def phone(vault: Vault, number: str) -> str:
    """A phone's name in rows and topics: "phone:<this>"."""
    return vault.blind("phone", number)


# ── what the carrier does ────────────────────────────────────────────────────────────────────────────────────────────


def ring(session: Session, out: Outgoing, now: datetime, machine: datetime) -> Sent:
    """Rings a phone; the same delivery rings once. Raises Rejected("busy") where the phone is in a call."""
    known = session.scalar(select(SandboxCall).where(SandboxCall.delivery_id == out.delivery_id))
    if known is None:
        blind = phone(vault_of(session), out.address)
        if _in_call(session, blind):
            raise Rejected("busy")
        known = SandboxCall(
            delivery_id=out.delivery_id,
            phone_blind=blind,
            direction="out",
            state=CallState.RINGING,
            started_at=now,
            changed_at=machine,
        )
        try:
            with session.begin_nested():
                session.add(known)
        except IntegrityError as error:  # somebody else rang at this very moment
            raise Rejected("busy") from error
        touch(session, f"phone:{blind}")
    return Sent(sid(known.id))


def _in_call(session: Session, blind: str) -> bool:
    return session.scalar(select(SandboxCall.id).where(UP, SandboxCall.phone_blind == blind).limit(1)) is not None


def deliver(session: Session, out: Outgoing, now: datetime) -> Sent:
    """Puts a text on a phone; the same delivery arrives once."""
    blind = phone(vault_of(session), out.address)
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    session.execute(
        insert(SandboxText)
        .values(delivery_id=out.delivery_id, phone_blind=blind, direction="out", text=out.text, at=now)
        .on_conflict_do_nothing(index_elements=["delivery_id"])
    )
    touch(session, f"phone:{blind}")
    return Sent(f"sandbox-text-{out.delivery_id}", DeliveryState.DELIVERED)


def known(session: Session, out: Outgoing) -> Report:
    """What became of a delivery: unlike a real carrier, the exchange knows for certain."""
    if out.channel is ChannelName.SMS:
        arrived = session.scalar(select(SandboxText.id).where(SandboxText.delivery_id == out.delivery_id))
        state = DeliveryState.DELIVERED if arrived else DeliveryState.FAILED
        return Report(out.channel, f"sandbox-text-{out.delivery_id}", out.delivery_id, state, error=_lost(state))
    call = session.scalar(select(SandboxCall).where(SandboxCall.delivery_id == out.delivery_id))
    if call is None:
        return Report(out.channel, None, out.delivery_id, DeliveryState.FAILED, error="not placed")
    state = REPORTS.get(call.state, DeliveryState.FAILED)
    error = FAILURES.get(call.state)
    return Report(out.channel, sid(call.id), out.delivery_id, state, call.sequence, error)


def _lost(state: DeliveryState) -> str | None:
    return "not sent" if state is DeliveryState.FAILED else None


def sid(call_id: int) -> str:
    """A call's id as the voice door is told it (CallSid)."""
    return f"sandbox-{call_id}"


# ── what the person at the phone does ────────────────────────────────────────────────────────────────────────────────


async def dial(centre: Centre, number: str) -> int:
    """The phone rings the centre, which answers at once; gives the call. Raises LineBusyError."""
    call_id = await centre.db.write(lambda s: _dial(s, number, centre.clock.now(), centre.clock.machine()))
    await go_on(centre, call_id, 0)
    return call_id


def _dial(session: Session, number: str, now: datetime, machine: datetime) -> int:
    vault = vault_of(session)
    blind = phone(vault, number)
    if _in_call(session, blind):
        raise LineBusyError
    call = SandboxCall(
        phone_blind=blind,
        direction="in",
        state=CallState.IN_PROGRESS,
        script={
            "from": base64.b64encode(vault.seal(number)).decode(),
            "passage": twiml.to_json(Passage((), Fetch(DOOR), 0)),
        },
        started_at=now,
        changed_at=machine,
    )
    try:
        with session.begin_nested():
            session.add(call)
    except IntegrityError as error:  # somebody else rang at this very moment
        raise LineBusyError from error
    touch(session, f"phone:{blind}")
    return call.id


async def pick_up(centre: Centre, call_id: int, answered_by: str = "human") -> None:
    """Somebody, or a machine (`answered_by` "machine_start"), takes a ringing call."""
    machine = centre.clock.machine()
    step = await centre.db.write(lambda s: _pick_up(s, call_id, answered_by, machine))
    if step is not None:
        await go_on(centre, call_id, step)


def _pick_up(session: Session, call_id: int, answered_by: str, machine: datetime) -> int | None:
    call = _lock(session, call_id)
    if call is None or call.state is not CallState.RINGING:
        return None
    first = Fetch(door(delivery=call.delivery_id), {"AnsweredBy": answered_by})
    call.state = CallState.IN_PROGRESS
    call.script = {"passage": twiml.to_json(Passage((), first, 0))}
    return _step(session, call, machine)


async def hang_up(centre: Centre, call_id: int) -> None:
    """The person ends the call, or declines it while it rings."""
    await centre.db.write(lambda s: _hang_up(s, centre, call_id))


def _hang_up(session: Session, centre: Centre, call_id: int) -> None:
    call = _lock(session, call_id)
    if call is not None and call.state not in ENDED:
        _end(session, centre, call, CallState.BUSY if call.state is CallState.RINGING else CallState.COMPLETED)


async def ring_out(centre: Centre, call_id: int) -> None:
    """Nobody takes a ringing call."""
    await centre.db.write(lambda s: _ring_out(s, centre, call_id))


def _ring_out(session: Session, centre: Centre, call_id: int) -> None:
    call = _lock(session, call_id)
    if call is not None and call.state is CallState.RINGING:
        _end(session, centre, call, CallState.NO_ANSWER)


async def go_on(centre: Centre, call_id: int, step: int, *, digits: str = "", speech: str = "") -> None:
    """The passage of step `step` was heard, and this was pressed or said to it; nothing: time is up.

    A step that is not the present one changes nothing, so it may be asked for twice.
    """
    call = await centre.db.read(lambda s: _playing(s, call_id, step))
    if call is None:
        return
    playing, spoken = call, (digits or speech[:SPEECH]).strip()
    fetch = _wanted(playing, digits, speech[:SPEECH])
    for _ in range(MAX_HOPS):
        if isinstance(fetch, Passage):
            break
        form = {"CallSid": sid(call_id), "CallStatus": "in-progress", "From": playing.number, **fetch.form}
        document = await voice.ask(centre, fetch.url, form)
        playing = playing.with_document(document, fetch.url)
        fetch = playing.passage
        if not fetch.heard and isinstance(fetch.then, Fetch):
            fetch = fetch.then
    passage = fetch if isinstance(fetch, Passage) else Passage((), Over(), 0)  # goes round without a word
    await centre.db.write(
        partial(_keep, centre=centre, call_id=call_id, step=step, playing=playing, passage=passage, spoken=spoken)
    )


@dataclass(frozen=True, slots=True)
class _Playing:
    """A call's document and the passage of it being heard; `number` is the caller's on an incoming call."""

    document: str
    url: str
    passage: Passage
    number: str

    def with_document(self, document: str, url: str) -> _Playing:
        return _Playing(document, url, twiml.play(document, url=url), self.number)


def _playing(session: Session, call_id: int, step: int) -> _Playing | None:
    call = session.get(SandboxCall, call_id)
    if call is None or call.state is not CallState.IN_PROGRESS or call.sequence != step:
        return None
    script = call.script
    number = vault_of(session).open(base64.b64decode(script["from"])) if "from" in script else ""
    return _Playing(script.get("twiml", ""), script.get("url", ""), twiml.from_json(script["passage"]), number)


def _wanted(playing: _Playing, digits: str, speech: str) -> Fetch | Passage:
    """What the passage's end wants: the next document, or the rest of this one."""
    then = playing.passage.then
    if isinstance(then, Gather):
        answer = twiml.reply(then, digits, speech)
        if answer is None:
            rest = twiml.play(playing.document, playing.passage.at, url=playing.url)
            return rest.then if isinstance(rest.then, Fetch) and not rest.heard else rest
        return answer
    return then if isinstance(then, Fetch) else Passage((), then, playing.passage.at)


def _keep(
    session: Session, *, centre: Centre, call_id: int, step: int, playing: _Playing, passage: Passage, spoken: str
) -> None:
    """Writes a step down, unless the call has moved on; a call with nothing left to hear is over."""
    call = _lock(session, call_id)
    if call is None or call.state is not CallState.IN_PROGRESS or call.sequence != step:
        return
    lines = [*call.script.get("lines", ()), *([{"who": "you", "text": spoken}] if spoken else ())]
    lines += [{"who": "them", "text": heard.text} for heard in passage.heard if heard.text]
    call.script = {
        **call.script,
        "twiml": playing.document,
        "url": playing.url,
        "passage": twiml.to_json(passage),
        "lines": lines[-LINES:],
    }
    _step(session, call, centre.clock.machine())
    if isinstance(passage.then, Over) and not passage.heard:
        _end(session, centre, call, CallState.COMPLETED)


def _lock(session: Session, call_id: int) -> SandboxCall | None:
    return session.get(SandboxCall, call_id, with_for_update=True, populate_existing=True)


def _step(session: Session, call: SandboxCall, machine: datetime) -> int:
    call.sequence += 1
    call.changed_at = machine
    touch(session, f"phone:{call.phone_blind}")
    return call.sequence


def _end(session: Session, centre: Centre, call: SandboxCall, state: CallState) -> None:
    """Ends a call and reports it, in the one transaction."""
    call.state = state
    _step(session, call, centre.clock.machine())
    voice.ended(
        session, centre, call_sid=sid(call.id), delivery_id=call.delivery_id, state=state, sequence=call.sequence
    )


async def send_text(centre: Centre, number: str, words: str, client_id: str) -> None:
    """The phone sends the centre a text; one sent again with the same `client_id` is taken once.

    Raises inbox.TooLongError, before anything is kept.
    """
    said, now = inbox.clean(words), centre.clock.now()
    blind = phone(centre.db.vault, number)
    await centre.db.write(lambda s: _keep_text(s, blind, said, f"{blind}:{client_id}", now))
    await texts.receive(centre, Incoming(ChannelName.SMS, number, f"{blind}:{client_id}", said))


def _keep_text(session: Session, blind: str, words: str, client_id: str, now: datetime) -> None:
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    session.execute(
        insert(SandboxText)
        .values(client_id=client_id, phone_blind=blind, direction="in", text=words, at=now)
        .on_conflict_do_nothing(index_elements=["client_id"])
    )
    touch(session, f"phone:{blind}")


# ── what the page shows ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Screen:
    """A phone as it is now: its latest call, None before the first, and its texts, oldest first."""

    call: SandboxCall | None
    passage: Passage | None
    texts: tuple[SandboxText, ...]


def screen(session: Session, blind: str) -> Screen:
    call = session.scalar(
        select(SandboxCall).where(SandboxCall.phone_blind == blind).order_by(SandboxCall.id.desc()).limit(1)
    )
    texts = session.scalars(
        select(SandboxText).where(SandboxText.phone_blind == blind).order_by(SandboxText.id.desc()).limit(TEXTS)
    ).all()
    passage = twiml.from_json(call.script["passage"]) if call is not None and "passage" in call.script else None
    return Screen(call, passage, tuple(reversed(texts)))


@dataclass(frozen=True, slots=True)
class Listed:
    """A phone somebody may want to pick up."""

    name: str
    number: str
    blind: str


def phones(session: Session) -> list[Listed]:
    """The phones of the first people known, to choose from."""
    vault = vault_of(session)
    rows = session.execute(
        select(Contact.name, Address.sealed)
        .join(Address, Address.contact_id == Contact.id)
        .where(Address.channel == ChannelName.VOICE, Contact.name != "", Contact.merged_into_id.is_(None))
        .order_by(Contact.id, Address.rank, Address.id)
        .limit(PHONES)
    )
    return [Listed(row.name, number := vault.open(row.sealed), phone(vault, number)) for row in rows]


def ringing(session: Session, blinds: Sequence[str]) -> list[str]:
    """Which of these phones ring now."""
    return list(
        session.scalars(
            select(SandboxCall.phone_blind)
            .where(UP, SandboxCall.state == CallState.RINGING, SandboxCall.phone_blind.in_(blinds))
            .order_by(SandboxCall.id)
        )
    )


def of_phone(session: Session, call_id: int, blind: str) -> bool:
    """Whether this call is on this phone."""
    return (
        session.scalar(select(SandboxCall.id).where(SandboxCall.id == call_id, SandboxCall.phone_blind == blind))
        is not None
    )


# ── what time does ───────────────────────────────────────────────────────────────────────────────────────────────────


def tick(session: Session, centre: Centre, _now: datetime) -> int:
    """Ends calls that rang long enough, and calls whose page is gone; gives how many."""
    machine, rings = centre.clock.machine(), centre.library.current.policies.calls.ring
    left = session.scalars(
        select(SandboxCall)
        .where(
            UP,
            or_(
                and_(SandboxCall.state == CallState.RINGING, SandboxCall.changed_at <= machine - rings),
                SandboxCall.changed_at <= machine - GONE_AFTER,
            ),
        )
        .limit(PAGE)
        .with_for_update(skip_locked=True)
    ).all()
    for call in left:
        ringing = call.state is CallState.RINGING
        _end(session, centre, call, CallState.NO_ANSWER if ringing else CallState.COMPLETED)
    return len(left)
