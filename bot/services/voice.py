"""The voice door: what a call hears and says, whoever carries it (DESIGN §3, ONE CALL).

A carrier asks `ask(centre, url, form)` and plays the TwiML it gets; when a call is over it says so with `ended`. The
addresses it is sent to name the conversation and the `turn`: the number of the last line spoken. So a repeated request
finds its answer in the transcript, does nothing twice and is given the same words again. While people hold the
conversation the caller hears what they write, and what the caller says is written to them.

Form fields are Twilio's: CallSid, From, AnsweredBy, Digits, SpeechResult (Twilio documentation, "TwiML request").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.telephone import FAILURES, CallState, GoOn, HangUp, door
from bot.core.words import (
    Author,
    BroadcastState,
    ChannelName,
    ConversationState,
    DeliveryState,
    Incoming,
    Language,
    Report,
    Say,
    Urgency,
)
from bot.services import announcement_lines, calls, contacts, dispatch, facts, handoff, i18n, inbox, talk, waiting
from bot.services.centre import Centre
from bot.services.conversations import MAX_TEXT, Held, find_open, hold, open_at, save
from bot.services.i18n import N_
from bot.services.speech import WAITS, Spoken, from_here, listen, render
from store.db import touch, vault_of
from store.tables import (
    Address,
    Broadcast,
    BroadcastRecipient,
    CallAttempt,
    Contact,
    Conversation,
    Delivery,
    Message,
)

log = structlog.get_logger()
MACHINE = "machine"
WITHDRAWN = (BroadcastState.STOPPED, BroadcastState.CANCELLED)
KEYS: Mapping[str, Mapping[Language, str]] = {
    "0": {Language.ZH: "转人工", Language.EN: "I want to speak to a person"},
    "*": {Language.ZH: "请再说一遍", Language.EN: "Please say that again"},
}
"""Keys that mean the same at every moment of a call."""

SORRY = N_("抱歉，系统出了点问题，同事会尽快与您联系。再见。")
RANG_IN = N_("客户来电")
HUNG_UP = N_("客户已挂断电话")


class BadCallError(ValueError):
    """The request is not one this door gave out."""


async def ask(centre: Centre, url: str, form: Mapping[str, str]) -> str:
    """The TwiML for a carrier's request to an address of `door`. Raises BadCallError."""
    query = dict(parse_qsl(urlsplit(url).query))
    conversation_id, turn = _number(query, "conversation"), _number(query, "turn") or 0
    delivery_id, announcement_id = _number(query, "delivery"), _number(query, "announcement")
    if conversation_id is not None and "silent" in query:
        return await silent(centre, conversation_id, turn, announcement_id, waited=_number(query, "silent") or 0)
    if conversation_id is not None:
        digits, speech = form.get("Digits", ""), form.get("SpeechResult", "")
        return await heard(centre, conversation_id, turn, digits, speech, announcement_id)
    if announcement_id is not None:
        return await listened(centre, announcement_id)
    if delivery_id is not None:
        return await call_answered(centre, delivery_id, form.get("AnsweredBy"))
    return await rang_in(centre, form.get("From", ""), form.get("CallSid", ""))


def _number(query: Mapping[str, str], name: str) -> int | None:
    raw = query.get(name)
    if raw is None:
        return None
    if not (raw.isascii() and raw.isdecimal() and len(raw) <= 18):
        raise BadCallError(f"{name} is no number")
    return int(raw)


# ── a call we placed is answered ─────────────────────────────────────────────────────────────────────────────────────


async def call_answered(centre: Centre, delivery_id: int, answered_by: str | None) -> str:
    """Somebody took a call of ours. `answered_by`: "human", "machine_…", "fax" or unknown, as the carrier found."""
    machine = (answered_by or "").startswith((MACHINE, "fax"))
    now = centre.clock.now()
    return render(centre, await facts.write(centre, lambda s: _answered(s, centre, delivery_id, machine, now)))


def _answered(session: Session, centre: Centre, delivery_id: int, machine: bool, now: datetime) -> Spoken:
    delivery = session.get(Delivery, delivery_id)
    if delivery is None or delivery.channel is not ChannelName.VOICE:
        return Spoken((), centre.settings.language, HangUp())
    who = MACHINE if machine else "human"
    word = Report(
        ChannelName.VOICE,
        None,
        delivery_id,
        DeliveryState.DELIVERED,
        error=MACHINE if machine else None,
        answered_by=who,
    )
    dispatch.report_now(session, centre, word)
    if delivery.recipient_id is not None:
        return _announce(session, centre, delivery, machine, now)
    language = Language(delivery.body["language"])
    if delivery.callback_id is None:
        return Spoken((Say(delivery.body["text"]),), language, HangUp())
    try:
        with session.begin_nested():
            answer = calls.answered(session, centre, delivery_id, who, now)
    except talk.StuckError:
        log.exception("voice.stuck", delivery=delivery_id)
        return Spoken((Say(i18n.text(language, SORRY)),), language, HangUp())
    if answer.conversation_id is None:
        return Spoken(answer.says, answer.language, HangUp())
    return from_here(session, centre, answer.conversation_id, 0)


def _announce(session: Session, centre: Centre, delivery: Delivery, machine: bool, now: datetime) -> Spoken:
    """An announcement is heard: by a person, who may acknowledge it, or left on a machine."""
    recipient = session.get_one(BroadcastRecipient, delivery.recipient_id)
    broadcast = session.get_one(Broadcast, recipient.broadcast_id)
    language = Language(delivery.body["language"])
    if broadcast.state in WITHDRAWN:
        return Spoken((), language, HangUp())
    say = announcement_lines.words_for(centre, broadcast, language, ChannelName.VOICE)
    if machine:
        text = broadcast.text_zh if language is Language.ZH else broadcast.text_en
        return Spoken((Say(text, key=say.key),), language, HangUp())
    if delivery.conversation_id is None:
        delivery.conversation_id, delivery.message_id = announcement_lines.put_line(
            session,
            centre,
            broadcast,
            contact_id=recipient.contact_id,
            address_id=delivery.address_id,
            channel=ChannelName.VOICE,
            language=language,
            say=say,
            now=now,
        )
        session.flush()
    if not announcement_lines.asks(broadcast):
        return Spoken((say,), language, GoOn(door(announcement=delivery.id)))
    turn = session.scalars(select(Message.seq).where(Message.id == delivery.message_id)).one()
    return Spoken((say,), language, listen(centre, delivery.conversation_id, turn, delivery.id))


async def listened(centre: Centre, announcement_id: int) -> str:
    """An announcement that asks nothing was heard to its end."""
    await centre.db.write(lambda s: _was_heard(s, centre, announcement_id))
    return render(centre, Spoken((), centre.settings.language, HangUp()))


def _was_heard(session: Session, centre: Centre, announcement_id: int | None) -> None:
    if announcement_id is not None:
        dispatch.report_now(
            session, centre, Report(ChannelName.VOICE, None, announcement_id, DeliveryState.HEARD, answered_by="human")
        )


# ── somebody calls us ────────────────────────────────────────────────────────────────────────────────────────────────


async def rang_in(centre: Centre, number: str, call_sid: str) -> str:
    """A customer calls the centre: the bot's greeting, or their place in the queue where they hold one."""
    if not 0 < len(call_sid) <= 100:
        raise BadCallError("CallSid is missing")
    try:
        address = contacts.phone_number(number)
    except contacts.BadPhoneError:
        address = f"withheld:{call_sid}"  # a hidden number is served, and met anew at each call
    now = centre.clock.now()
    return render(centre, await facts.write(centre, lambda s: _rang_in(s, centre, address, call_sid, now)))


def _rang_in(session: Session, centre: Centre, number: str, call_sid: str, now: datetime) -> Spoken:
    known = session.execute(_of_call(call_sid)).one_or_none()
    if known is not None:
        return from_here(session, centre, known.conversation_id, known.seq)
    held = find_open(session, ChannelName.VOICE, number)
    if held is not None and held.state is ConversationState.BOT:
        _off_the_line(session, held, now)
        held = None
    if held is None:
        held = open_at(
            session,
            ChannelName.VOICE,
            number,
            language=_language(session, number) or centre.settings.language,
            zone=centre.settings.timezone,
            book=centre.library.current.book.version,
            now=now,
        )
    turn = _note(session, held, RANG_IN, now, provider_id=f"call:{call_sid}")
    if held.state is ConversationState.BOT:
        talk.greet(session, centre, held, now)
    save(session, held)
    return from_here(session, centre, held.id, turn)


def _of_call(call_sid: str) -> Any:
    return select(Message.conversation_id, Message.seq).where(
        Message.channel == ChannelName.VOICE, Message.provider_id == f"call:{call_sid}"
    )


def _language(session: Session, number: str) -> Language | None:
    blind = vault_of(session).blind(ChannelName.VOICE, number)
    return session.scalar(
        select(Contact.language)
        .join(Address, Address.contact_id == Contact.id)
        .where(Address.channel == ChannelName.VOICE, Address.blind == blind)
    )


def _note(session: Session, held: Held, what: str, now: datetime, *, provider_id: str | None = None) -> int:
    """A line of the system's own, for those who read the conversation; gives its number."""
    held.seq += 1
    session.add(
        Message(
            conversation_id=held.id,
            seq=held.seq,
            channel=held.channel,
            author=Author.SYSTEM,
            text=i18n.text(held.language, what),
            provider_id=provider_id,
            at=now,
        )
    )
    session.flush()
    return held.seq


# ── what is heard ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Line:
    """The conversation a call is about, as far as a turn needs it before it is taken."""

    state: ConversationState
    language: Language
    number: str


async def heard(
    centre: Centre,
    conversation_id: int,
    turn: int,
    digits: str = "",
    speech: str = "",
    announcement_id: int | None = None,
) -> str:
    """Keys or words of the caller's, in answer to what was said up to `turn`; once, however often it is told."""
    line = await centre.db.read(lambda s: _line(s, conversation_id))
    if line is None:
        raise BadCallError("no such conversation")
    words = _words(digits, speech, line.language)
    if not words:
        return await silent(centre, conversation_id, turn, announcement_id)
    if announcement_id is not None:
        await centre.db.write(lambda s: _was_heard(s, centre, announcement_id))
    if line.state is ConversationState.QUEUED and digits == waiting.KEY:
        now = centre.clock.now()
        return render(centre, await centre.db.write(lambda s: _call_back(s, centre, conversation_id, turn, now)))
    if line.state is not ConversationState.CLOSED:
        incoming = Incoming(
            channel=ChannelName.VOICE,
            address=line.number,
            provider_id=f"call:{conversation_id}:{turn}",
            text=words,
            language=line.language,
        )
        await inbox.receive(centre, incoming)
    look = partial(
        from_here,
        centre=centre,
        conversation_id=conversation_id,
        turn=turn,
        answering=1,
        announcement_id=announcement_id,
    )
    return render(centre, await centre.db.read(look))


def _call_back(session: Session, centre: Centre, conversation_id: int, turn: int, now: datetime) -> Spoken:
    """A caller would rather be called back than wait; where we cannot, or somebody has come meanwhile, they stay."""
    held = hold(session, conversation_id)
    words = waiting.call_back(session, centre, held, now)
    if words is None:
        return from_here(session, centre, conversation_id, turn)
    return Spoken((Say(words),), held.language, HangUp())


def _line(session: Session, conversation_id: int) -> _Line | None:
    row = session.execute(
        select(Conversation.state, Conversation.language, Address.sealed)
        .join(Address, Address.id == Conversation.address_id)
        .where(Conversation.id == conversation_id, Conversation.channel == ChannelName.VOICE)
    ).one_or_none()
    return None if row is None else _Line(row.state, row.language, vault_of(session).open(row.sealed))


def _words(digits: str, speech: str, language: Language) -> str:
    """What was pressed or said, as the customer's words."""
    if digits in KEYS:
        return KEYS[digits][language]
    pressed = "".join(c for c in digits if c in "0123456789")
    return pressed or inbox.clean(speech[:MAX_TEXT])


async def silent(
    centre: Centre, conversation_id: int, turn: int, announcement_id: int | None = None, *, waited: int = 0
) -> str:
    """Nothing was heard after `turn`: a prompt, at the third one goodbye (REQ-E24). While people hold the conversation:
    what they wrote meanwhile; `waited` counts the looks without any."""
    now = centre.clock.now()
    work = partial(
        _silent,
        centre=centre,
        conversation_id=conversation_id,
        turn=turn,
        announcement_id=announcement_id,
        waited=waited,
        now=now,
    )
    return render(centre, await facts.write(centre, work))


def _silent(
    session: Session,
    *,
    centre: Centre,
    conversation_id: int,
    turn: int,
    announcement_id: int | None,
    waited: int,
    now: datetime,
) -> Spoken:
    _was_heard(session, centre, announcement_id)
    try:
        held = hold(session, conversation_id)
    except LookupError as error:
        raise BadCallError("no such conversation") from error
    if held.state is ConversationState.BOT and held.seq <= turn:
        try:
            with session.begin_nested():
                talk.silence(session, centre, held, now)
        except talk.StuckError:
            log.exception("voice.stuck", conversation=conversation_id)
            _to_people(session, centre, hold(session, conversation_id), now)
        else:
            save(session, held)
    if held.state is ConversationState.QUEUED and waited >= WAITS:
        words = waiting.call_back(session, centre, held, now)
        if words is not None:
            return Spoken((Say(words),), held.language, HangUp())
    return from_here(session, centre, conversation_id, turn, announcement_id=announcement_id, waited=waited + 1)


def _to_people(session: Session, centre: Centre, held: Held, now: datetime) -> None:
    handoff.to_people(session, centre, held, reason="stuck", urgency=Urgency.ORDINARY, queue="service", now=now)
    save(session, held)


# ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def ended(
    session: Session,
    centre: Centre,
    *,
    call_sid: str,
    delivery_id: int | None,
    state: CallState,
    sequence: int = 0,
    error: str | None = None,
) -> None:
    """A carrier says a call is over; repeats change nothing. `delivery_id` None: the customer had called us. `error`:
    why it failed, where the carrier knows better than `state`.

    An announcement counts as heard only when it was listened to (`silent`, `heard`, `listened`), not by the call's end.
    """
    now = centre.clock.now()
    conversation_id = session.scalar(
        select(Message.conversation_id).where(
            Message.channel == ChannelName.VOICE, Message.provider_id == f"call:{call_sid}"
        )
    )
    delivery = session.get(Delivery, delivery_id) if delivery_id is not None else None
    if delivery is not None:
        conversation_id = delivery.conversation_id or session.scalar(
            select(CallAttempt.conversation_id).where(CallAttempt.delivery_id == delivery.id)
        )
        error = error or FAILURES.get(state)
        reached = DeliveryState.FAILED if error else DeliveryState.HEARD
        if error or delivery.recipient_id is None:
            word = Report(ChannelName.VOICE, call_sid, delivery.id, reached, sequence, error)
            dispatch.report_now(session, centre, word)
    if conversation_id is not None:
        held = hold(session, conversation_id)
        over = f"over:{call_sid}"
        known = select(Message.id).where(Message.channel == ChannelName.VOICE, Message.provider_id == over)
        if session.scalar(known) is None:
            _off_the_line(session, held, now, over)


def _off_the_line(session: Session, held: Held, now: datetime, provider_id: str | None = None) -> None:
    """Nobody is on the line any more: the bot's conversation is over, people's goes on without a voice."""
    if held.state is ConversationState.CLOSED:
        return
    _note(session, held, HUNG_UP, now, provider_id=provider_id)
    if held.state is ConversationState.BOT:
        held.state = ConversationState.CLOSED
        held.change(closed_at=now, silence_at=None, unanswered_since=None)
    save(session, held)
    touch(session, "floor")
