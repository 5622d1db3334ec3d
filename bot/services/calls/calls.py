"""The moment a call we placed is answered: a person hears the plan's script, a machine what the policy says.

The voice service (bot/services/calls/voice.py) calls `answered` once the carrier asks what to say, and `talk.turn` for
what is heard afterwards; that the call is over comes with the carrier's report (`callbacks.delivery_changed`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.flow import State
from bot.core.plan import Rings
from bot.core.policy import OnMachine
from bot.core.windows import local_date
from bot.core.words import (
    Author,
    CallbackSource,
    CallbackState,
    ConversationState,
    Disposition,
    FollowUpGroup,
    Language,
    Purpose,
    Say,
    Urgency,
)
from bot.services import gate, i18n
from bot.services.calls import agent_first, attempts, callbacks
from bot.services.centre import Centre
from bot.services.conversation import talk
from bot.services.conversation.conversations import Held, add_lines, hold, save
from bot.services.conversation.transcript import transcript
from bot.services.desk import handoff
from bot.services.i18n import N_
from store.db import touch
from store.tables import CallAttempt, Callback, Case, Contact, Delivery, Event

MACHINE = "machine"
PUT_THROUGH = N_("您好，这里是%(company)s，给您回电。正在为您转接客服，请稍候。")
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
    machine = MACHINE in (answered_by, attempt.answered_by)
    if attempt.conversation_id is not None and not machine:
        held = hold(session, attempt.conversation_id)
        over = held.state is ConversationState.CLOSED
        return Answered(held.id, _opening_words(session, held.id), over, held.language)
    if attempt.ended_at is not None or callback.state is not CallbackState.DIALLING:
        return Answered(None, (), True, contact.language)
    attempt.rang = True
    attempt.answered_by = MACHINE if machine else answered_by or attempt.answered_by
    touch(session, "callbacks")
    if machine:
        policy = callbacks.policies_of(session, centre, callback).calls.machine
        leave = policy is OnMachine.LEAVE_MESSAGE
        if policy is OnMachine.NO_ANSWER:
            attempt.disposition = Disposition.NO_ANSWER
        return Answered(None, (Say(delivery.body["text"], key="voicemail"),) if leave else (), True, contact.language)
    return _talk(session, centre, callback, attempt, contact, now)


def _talk(
    session: Session, centre: Centre, callback: Callback, attempt: CallAttempt, contact: Contact, now: datetime
) -> Answered:
    held = attempts.begin_conversation(session, centre, attempt, contact, now)
    callback.due_at = now + gate.CALL_LIMIT
    if agent_first.rings_of(centre, callback) is Rings.CUSTOMER_FIRST:
        return _put_through(session, centre, held, callback, now)
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


def _put_through(session: Session, centre: Centre, held: Held, callback: Callback, now: datetime) -> Answered:
    """To a person at once: the customer waits as a caller does, and may do instead what a caller may."""
    company = centre.library.current.policies.company.name.of(held.language)
    says = (Say(i18n.text(held.language, PUT_THROUGH, company=company)),)
    add_lines(session, held, Author.BOT, says, now)
    queued = callback.source is CallbackSource.QUEUE
    reason = "waited" if queued else callback.topic or Rings.CUSTOMER_FIRST.value
    handoff.to_people(session, centre, held, reason=reason, urgency=Urgency.ORDINARY, queue="service", now=now)
    save(session, held)
    return Answered(held.id, says, False, held.language)


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
