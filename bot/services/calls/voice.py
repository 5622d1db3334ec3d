"""The voice door: what a call hears and says, whoever carries it (DESIGN §3, ONE CALL).

A carrier asks `ask(centre, url, form)` and plays the document it gets. How a call begins is incoming_calls.py's and
answered_calls.py's, how it ends call_ends.py's; agents' telephones are agent_legs.py's, messages left voicemail.py's.

The addresses a carrier is sent to name the conversation and the `turn`: the number of the last line spoken. So a
repeated request finds its answer in the transcript, does nothing twice and is given the same words again. While people
hold the conversation the caller hears what they write, and what the caller says is written to them.

Form fields are Twilio's: CallSid, From, AnsweredBy, Digits, SpeechResult, DialCallStatus, RecordingSid, RecordingUrl,
RecordingDuration (Twilio documentation, "TwiML request", "<Dial>", "<Record>").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from urllib.parse import parse_qsl, urlsplit

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.telephone import BadCallError, HangUp
from bot.core.words import ChannelName, ConversationState, Incoming, Language, Say, Urgency
from bot.services.calls import agent_first, agent_legs, silent_calls, voicemail, waiting
from bot.services.calls.answered_calls import MACHINE, call_answered, listened, was_heard
from bot.services.calls.incoming_calls import rang_in
from bot.services.calls.speech import KEYS, WAITS, Spoken, from_here, render
from bot.services.centre import Centre
from bot.services.conversation import inbox, talk, to_text
from bot.services.conversation.conversations import MAX_TEXT, Held, hold, save
from bot.services.desk import handoff
from bot.services.escalation.alert_calls import alert_answered
from bot.services.facts import facts
from bot.services.refusal import NotFoundError
from store.db import vault_of
from store.tables import Address, Conversation

log = structlog.get_logger()


async def ask(centre: Centre, url: str, form: Mapping[str, str]) -> str:
    """The TwiML for a carrier's request to an address of `door`. Raises BadCallError."""
    query = dict(parse_qsl(urlsplit(url).query))
    numbers = {name: _number(query, name) for name in ("conversation", "turn", "delivery", "announcement", "whisper")}
    conversation_id, turn, announcement_id = numbers["conversation"], numbers["turn"] or 0, numbers["announcement"]
    digits = form.get("Digits", "")
    if (alert_id := _number(query, "alert")) is not None:
        return await alert_answered(centre, alert_id, digits, _number(query, "asked") or 0)
    if numbers["whisper"] is not None:
        return await _agents(centre, numbers["whisper"], query, form)
    if conversation_id is not None and "leg" in query:
        return await _leg_over(centre, conversation_id, _number(query, "leg") or 0, form)
    if conversation_id is not None and "left" in query:
        return await _left(centre, conversation_id, form)
    if conversation_id is not None and "silent" in query:
        return await silent(centre, conversation_id, turn, announcement_id, waited=_number(query, "silent") or 0)
    if conversation_id is not None:
        return await heard(centre, conversation_id, turn, digits, form.get("SpeechResult", ""), announcement_id)
    if announcement_id is not None:
        return await listened(centre, announcement_id)
    if numbers["delivery"] is not None:
        who = MACHINE if "machine" in query else form.get("AnsweredBy")
        return await call_answered(centre, numbers["delivery"], who)
    return await rang_in(centre, form.get("From", ""), form.get("CallSid", ""))


async def _agents(centre: Centre, delivery_id: int, query: Mapping[str, str], form: Mapping[str, str]) -> str:
    """On an agent's telephone: who it is about, the key pressed, the end."""
    now = centre.clock.now()
    if "over" in query:
        work = partial(agent_first.customer_over, centre=centre, now=now, leg=_number(query, "over") or 0, form=form)
        return render(centre, await centre.db.write(work))
    if "heard" in query:
        heard = form.get("Digits") or form.get("SpeechResult", "")
        work = partial(agent_legs.pressed, centre=centre, delivery_id=delivery_id, heard=heard, now=now)
        return render(centre, await facts.write(centre, work))
    again = _number(query, "silent") or 0
    tell = partial(agent_legs.whisper, centre=centre, delivery_id=delivery_id, now=now, again=again)
    return render(centre, await centre.db.read(tell))


async def _leg_over(centre: Centre, conversation_id: int, leg: int, form: Mapping[str, str]) -> str:
    work = partial(
        agent_legs.leg_over,
        centre=centre,
        conversation_id=conversation_id,
        delivery_id=leg,
        status=form.get("DialCallStatus", ""),
        now=centre.clock.now(),
    )
    return render(centre, await centre.db.write(work))


async def _left(centre: Centre, conversation_id: int, form: Mapping[str, str]) -> str:
    """The caller has spoken after the beep."""
    recording = voicemail.of_form(form)
    now, machine = centre.clock.now(), centre.clock.machine()
    work = partial(
        voicemail.left, centre=centre, conversation_id=conversation_id, recording=recording, now=now, machine=machine
    )
    return render(centre, await centre.db.write(work))


def _number(query: Mapping[str, str], name: str) -> int | None:
    raw = query.get(name)
    if raw is None:
        return None
    if not (raw.isascii() and raw.isdecimal() and len(raw) <= 18):
        raise BadCallError(f"{name} is no number")
    return int(raw)


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
        await centre.db.write(lambda s: was_heard(s, centre, announcement_id))
    if line.state is ConversationState.QUEUED and digits in waiting.KEYS:
        now = centre.clock.now()
        choose = partial(
            _chosen, centre=centre, conversation_id=conversation_id, turn=turn, choice=waiting.KEYS[digits], now=now
        )
        return render(centre, await centre.db.write(choose))
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


def _chosen(
    session: Session, *, centre: Centre, conversation_id: int, turn: int, choice: waiting.Choice, now: datetime
) -> Spoken:
    """A caller would rather not wait; where that cannot be, or somebody has come meanwhile, they stay."""
    held = hold(session, conversation_id)
    if held.state is not ConversationState.QUEUED:
        return from_here(session, centre, conversation_id, turn)
    if choice is waiting.Choice.VOICEMAIL:
        return voicemail.record(held, turn)
    give = to_text.go_on if choice is waiting.Choice.TEXT else waiting.call_back
    words = give(session, centre, held, now)
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
    """Nothing was heard after `turn`: the bot asks again, then calls a person or, where not a word was ever said, says
    goodbye (REQ-E24). While people hold the conversation: what they wrote meanwhile; `waited` counts the looks without
    any."""
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
    was_heard(session, centre, announcement_id)
    try:
        held = hold(session, conversation_id)
    except NotFoundError as error:
        raise BadCallError("no such conversation") from error
    if held.state is ConversationState.BOT and held.seq <= turn:
        try:
            with session.begin_nested():
                talk.silence(session, centre, held, now)
        except talk.StuckError:
            log.exception("voice.stuck", conversation=conversation_id)
            _to_people(session, centre, hold(session, conversation_id), now)
        else:
            silent_calls.over(session, centre, held, now)
            save(session, held)
    if held.state is ConversationState.QUEUED and waited >= WAITS:
        words = waiting.call_back(session, centre, held, now)
        if words is not None:
            return Spoken((Say(words),), held.language, HangUp())
        return voicemail.record(held, turn)
    spoken = from_here(session, centre, conversation_id, turn, announcement_id=announcement_id, waited=waited + 1)
    if held.state is ConversationState.QUEUED:
        return agent_legs.ring_next(session, hold(session, conversation_id), now, spoken)
    return spoken


def _to_people(session: Session, centre: Centre, held: Held, now: datetime) -> None:
    handoff.to_people(session, centre, held, reason="stuck", urgency=Urgency.ORDINARY, queue="service", now=now)
    save(session, held)
