"""The moment a call we placed is answered: a person hears the plan's script, a machine what the policy says.

The voice service (bot/services/voice.py) calls `answered` once the carrier asks what to say, `talk.turn` for what is
heard afterwards, and `callbacks.hung_up` when the call is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.flow import State
from bot.core.policy import OnMachine
from bot.core.windows import local_date
from bot.core.words import (
    Author,
    CallbackState,
    ChannelName,
    ConversationState,
    Disposition,
    FollowUpGroup,
    Language,
    Purpose,
    Say,
)
from bot.services import callbacks, i18n, talk
from bot.services.centre import Centre
from bot.services.conversations import Held, hold, open_conversation, save, transcript
from bot.services.i18n import N_
from store.db import touch
from store.tables import CallAttempt, Callback, Case, Contact, Conversation, Delivery, Event

MACHINE = "machine"
OF_ONE_CALL = ("convenient", "preferred_time", "slot_", "callback_at", "callback_ok", "callback_problem")
"""Slots, or their beginnings, that mean nothing at the next attempt."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What to do now: say `says`, then hang up or listen. `conversation_id` None: nobody is talked with."""

    conversation_id: int | None
    says: tuple[Say, ...]
    hang_up: bool
    language: Language


def answered(session: Session, centre: Centre, delivery_id: int, answered_by: str | None, now: datetime) -> Answered:
    """Somebody, or a machine (`answered_by` "machine"), picked up. Repeats are given the same words again.

    Raises LookupError where the delivery is no callback's call.
    """
    delivery = session.get(Delivery, delivery_id)
    attempt = session.scalar(select(CallAttempt).where(CallAttempt.delivery_id == delivery_id))
    if delivery is None or attempt is None:
        raise LookupError(f"delivery {delivery_id} is no callback's call")
    callback = session.get_one(Callback, attempt.callback_id, with_for_update=True, populate_existing=True)
    contact = session.get_one(Contact, callback.contact_id)
    if attempt.conversation_id is not None:
        held = hold(session, attempt.conversation_id)
        over = held.state is ConversationState.CLOSED
        return Answered(held.id, _opening_words(session, held.id), over, held.language)
    if attempt.ended_at is not None or callback.state is not CallbackState.DIALLING:
        return Answered(None, (), True, contact.language)
    attempt.rang = True
    attempt.answered_by = answered_by or attempt.answered_by
    touch(session, "callbacks")
    if attempt.answered_by == MACHINE:
        policy = callbacks.policies_of(session, centre, callback).calls.machine
        leave = policy is OnMachine.LEAVE_MESSAGE
        if policy is OnMachine.NO_ANSWER:
            attempt.disposition = Disposition.NO_ANSWER
        return Answered(None, (Say(delivery.body["text"], key="voicemail"),) if leave else (), True, contact.language)
    return _talk(session, centre, callback, attempt, contact, now)


def _talk(
    session: Session, centre: Centre, callback: Callback, attempt: CallAttempt, contact: Contact, now: datetime
) -> Answered:
    _end_of_line(session, attempt.address_id, now)
    held = open_conversation(
        session,
        contact.id,
        attempt.address_id,
        ChannelName.VOICE,
        contact.language,
        centre.library.current.book.version,
        now,
        callback_id=callback.id,
    )
    attempt.conversation_id = held.id
    callback.due_at = now + callbacks.CALL_LIMIT
    slots = {name: value for name, value in callback.flow.get("slots", {}).items() if not name.startswith(OF_ONE_CALL)}
    if callback.topic:
        slots.setdefault("callback_topic", callback.topic)
    says = talk.begin(
        session,
        centre,
        held,
        callback.flow_id,
        now,
        context=_context(session, callback, attempt, held, now),
        state={"state": State(slots=slots).to_json()},
    )
    save(session, held)
    return Answered(held.id, says, held.state is ConversationState.CLOSED, held.language)


def _end_of_line(session: Session, address_id: int, now: datetime) -> None:
    """A conversation still open at this number has ended: the line could not ring otherwise."""
    query = select(Conversation.id).where(
        Conversation.address_id == address_id, Conversation.state != ConversationState.CLOSED
    )
    for conversation_id in session.scalars(query):
        before = hold(session, conversation_id)
        before.state, before.staff_id = ConversationState.CLOSED, None
        before.change(closed_at=now, silence_at=None, unanswered_since=None)
        save(session, before)


def _context(
    session: Session, callback: Callback, attempt: CallAttempt, held: Held, now: datetime
) -> Mapping[str, Any]:
    """What the script may say about the reason of the call (bot/core/actions.py, CONTEXT); None values are left out."""
    event = session.get(Event, callback.event_id) if callback.event_id is not None else None
    case = session.get(Case, callback.case_id) if callback.case_id is not None else None
    details = event.details if event is not None else {}
    asked = callback.follow_up_group is FollowUpGroup.REQUESTED
    known = {
        "purpose": (Purpose.REQUESTED_CALLBACK if asked else Purpose.FOLLOW_UP).value,
        "attempt": attempt.number,
        "name": details.get("name"),
        "title": details.get("title"),
        "department": details.get("department"),
        "treatment": details.get("treatment"),
        "visit_day": _day(held.language, local_date(event.happened_at, held.zone), local_date(now, held.zone))
        if event is not None
        else None,
        "case_subject": case.subject if case is not None else None,
    }
    return {name: value for name, value in known.items() if value is not None}


def _day(language: Language, on: date, today: date) -> str:
    """A day in the past as people say it."""
    near = {0: N_("今天"), 1: N_("昨天"), 2: N_("前天")}.get((today - on).days)
    return i18n.text(language, near) if near else i18n.month_day(language, on)


def _opening_words(session: Session, conversation_id: int) -> tuple[Say, ...]:
    words: list[Say] = []
    for line in transcript(session, conversation_id):
        if line.author is not Author.BOT:
            break
        words.append(Say(line.text))
    return tuple(words)
