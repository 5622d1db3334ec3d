"""The sandbox carrier's exchange: which phones ring, what their calls play, and the texts they got and sent.

A call is one row. Its `script` holds the document being played, the passage of it that is heard now, and everything
said so far; `sequence` numbers the steps, so that a step is taken once however often it is asked for. What a real
carrier would ask over HTTP is asked of the voice door (bot/services/calls/voice.py) with the same address and form, and
outcomes are reported in the transaction that makes them true. Machine time, except what people see.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from bot.core import twiml
from bot.core.telephone import DOOR, ENDED, FAILURES, CallState, door
from bot.core.twiml import Dial, Fetch, Gather, Over, Passage, Record, Talk
from bot.core.words import ChannelName, DeliveryState, Incoming, Outgoing, Rejected, Report, Sent
from bot.services.calls import voice
from bot.services.centre import Centre
from bot.services.conversation import inbox, texts
from bot.services.sandbox import sandbox_legs
from bot.services.sandbox.sandbox_legs import GoesOn
from bot.services.sandbox.sandbox_rows import LINES, UP, finish, in_call, lock, phone, sid, step
from store.db import touch, vault_of
from store.tables import Address, Contact, SandboxCall, SandboxText, Staff, StaffNumber

log = structlog.get_logger()
MAX_HOPS = 8  # documents fetched between two things heard
TEXTS = 50  # of a phone that are shown
PHONES = 12  # that are offered
SPEECH = 1000  # characters of one thing said
REPORTS = {
    CallState.COMPLETED: DeliveryState.HEARD,
    CallState.IN_PROGRESS: DeliveryState.DELIVERED,
    CallState.RINGING: DeliveryState.ACCEPTED,
}


class LineBusyError(Exception):
    """The phone is in a call already."""


# ── what the carrier does ────────────────────────────────────────────────────────────────────────────────────────────


def ring(session: Session, out: Outgoing, now: datetime, machine: datetime) -> Sent:
    """Rings a phone; the same delivery rings once. Raises Rejected("busy") where the phone is in a call."""
    known = session.scalar(select(SandboxCall).where(SandboxCall.delivery_id == out.delivery_id))
    if known is None:
        blind = phone(vault_of(session), out.address)
        if in_call(session, blind):
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


def deliver(session: Session, out: Outgoing, now: datetime) -> Sent:
    """Puts a text on a phone; the same delivery arrives once."""
    blind = phone(vault_of(session), out.address)
    file = out.enclosure and {"link": out.enclosure.link, "name": out.enclosure.called, "mime": out.enclosure.mime}
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    session.execute(
        insert(SandboxText)
        .values(delivery_id=out.delivery_id, phone_blind=blind, direction="out", text=out.text, file=file, at=now)
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


# ── what the person at the phone does ────────────────────────────────────────────────────────────────────────────────


async def dial(centre: Centre, number: str) -> int:
    """The phone rings the centre, which answers at once; gives the call. Raises LineBusyError."""
    call_id = await centre.db.write(lambda s: _dial(s, number, centre.clock.now(), centre.clock.machine()))
    await go_on(centre, call_id, 0)
    return call_id


def _dial(session: Session, number: str, now: datetime, machine: datetime) -> int:
    vault = vault_of(session)
    blind = phone(vault, number)
    if in_call(session, blind):
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
    at = await centre.db.write(lambda s: _pick_up(s, centre, call_id, answered_by, machine))
    if at is not None:
        await go_on(centre, call_id, at)


def _pick_up(session: Session, centre: Centre, call_id: int, answered_by: str, machine: datetime) -> int | None:
    call = lock(session, call_id)
    if call is None or call.state is not CallState.RINGING:
        return None
    call.state = CallState.IN_PROGRESS
    if sandbox_legs.is_leg(call):
        return sandbox_legs.picked_up(session, centre, call, machine)
    first = Fetch(door(delivery=call.delivery_id), {"AnsweredBy": answered_by})
    call.script = {"passage": twiml.to_json(Passage((), first, 0))}
    return step(session, call, machine)


async def hang_up(centre: Centre, call_id: int) -> None:
    """The person ends the call, or declines it while it rings; whoever was connected with it goes on alone."""
    peer = await centre.db.write(lambda s: _hang_up(s, centre, call_id))
    if peer is not None:
        await go_on(centre, *peer)


def _hang_up(session: Session, centre: Centre, call_id: int) -> GoesOn:
    call = lock(session, call_id)
    if call is None or call.state in ENDED:
        return None
    return end(session, centre, call, CallState.BUSY if call.state is CallState.RINGING else CallState.COMPLETED)


async def ring_out(centre: Centre, call_id: int) -> None:
    """Nobody takes a ringing call."""
    alone = await centre.db.write(lambda s: _ring_out(s, centre, call_id))
    if alone is not None:
        await go_on(centre, *alone)


def _ring_out(session: Session, centre: Centre, call_id: int) -> GoesOn:
    call = lock(session, call_id)
    if call is None or call.state is not CallState.RINGING:
        return None
    return end(session, centre, call, CallState.NO_ANSWER)


async def go_on(centre: Centre, call_id: int, at: int, *, digits: str = "", speech: str = "") -> None:
    """The passage of step `at` was heard, and this was pressed or said to it; nothing: time is up.

    A step that is not the present one changes nothing, so it may be asked for twice.
    """
    call = await centre.db.read(lambda s: _playing(s, call_id, at))
    if call is None:
        return
    playing, spoken = call, (digits or speech[:SPEECH]).strip()
    if isinstance(playing.passage.then, Talk):
        await centre.db.write(lambda s: sandbox_legs.say(s, call_id, spoken, centre.clock.machine()))
        return
    if isinstance(playing.passage.then, Dial):
        dial = playing.passage.then
        alone = await centre.db.write(lambda s: sandbox_legs.place(s, centre, call_id, at, dial))
        if alone is not None:
            await go_on(centre, *alone)
        return
    fetch = _wanted(call_id, at, playing, digits, speech[:SPEECH])
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
    alone = await centre.db.write(
        partial(_keep, centre=centre, call_id=call_id, at=at, playing=playing, passage=passage, spoken=spoken)
    )
    if alone is not None:
        await go_on(centre, *alone)


@dataclass(frozen=True, slots=True)
class _Playing:
    """A call's document and the passage of it being heard; `number` is the caller's on an incoming call."""

    document: str
    url: str
    passage: Passage
    number: str

    def with_document(self, document: str, url: str) -> _Playing:
        return _Playing(document, url, twiml.play(document, url=url), self.number)


def _playing(session: Session, call_id: int, at: int) -> _Playing | None:
    call = session.get(SandboxCall, call_id)
    if call is None or call.state is not CallState.IN_PROGRESS or call.sequence != at:
        return None
    script = call.script
    number = vault_of(session).open(base64.b64decode(script["from"])) if "from" in script else ""
    return _Playing(script.get("twiml", ""), script.get("url", ""), twiml.from_json(script["passage"]), number)


def _wanted(call_id: int, at: int, playing: _Playing, digits: str, speech: str) -> Fetch | Passage:
    """What the passage's end wants: the next document, or the rest of this one."""
    then = playing.passage.then
    if isinstance(then, Gather | Record):
        if isinstance(then, Gather):
            answer = twiml.reply(then, digits, speech)
        else:
            words = speech.strip()
            answer = twiml.recorded(then, f"{sid(call_id)}-{at}", words) if words else None
        if answer is None:
            rest = twiml.play(playing.document, playing.passage.at, url=playing.url)
            return rest.then if isinstance(rest.then, Fetch) and not rest.heard else rest
        return answer
    return then if isinstance(then, Fetch) else Passage((), then, playing.passage.at)


def _keep(
    session: Session, *, centre: Centre, call_id: int, at: int, playing: _Playing, passage: Passage, spoken: str
) -> GoesOn:
    """Writes a step down, unless the call has moved on; a call with nothing left to hear is over, or connected."""
    call = lock(session, call_id)
    if call is None or call.state is not CallState.IN_PROGRESS or call.sequence != at:
        return None
    lines = [*call.script.get("lines", ()), *([{"who": "you", "text": spoken}] if spoken else ())]
    lines += [{"who": "them", "text": heard.text} for heard in passage.heard if heard.text]
    call.script = {
        **call.script,
        "twiml": playing.document,
        "url": playing.url,
        "passage": twiml.to_json(passage),
        "lines": lines[-LINES:],
    }
    step(session, call, centre.clock.machine())
    if isinstance(passage.then, Over) and not passage.heard:
        if passage.then.ran_out and sandbox_legs.is_leg(call):
            sandbox_legs.connect(session, centre, call)
        else:
            return end(session, centre, call, CallState.COMPLETED)
    return None


def end(session: Session, centre: Centre, call: SandboxCall, state: CallState) -> GoesOn:
    """Ends a call and reports it, in the one transaction; gives the call, with its step, that goes on alone."""
    finish(session, centre, call, state)
    return sandbox_legs.over(session, centre, call, state)


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


def agents(session: Session) -> list[Listed]:
    """The telephones of those who work here, where they have given one."""
    vault = vault_of(session)
    rows = session.execute(
        select(Staff.name, Address.sealed)
        .join(StaffNumber, StaffNumber.staff_id == Staff.id)
        .join(Address, Address.id == StaffNumber.voice_id)
        .where(Staff.active)
        .order_by(Staff.id, StaffNumber.kind)
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
