"""Escalations: a person is wanted, the ladder climbs until one takes it (REQ-E05, E09, E16).

The ladder is frozen by the version of the policies it was started under. A claim is one UPDATE whose condition only one
of two agents can meet.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from bot.core.words import (
    Author,
    ConversationState,
    EscalationState,
    Say,
)
from bot.services import audit, cases, outbox, talk
from bot.services.centre import Centre
from bot.services.conversations import Held, add_lines, hold, save
from store.db import touch
from store.tables import Conversation, Escalation

RATING_FLOW = "rate_service"


class EscalationRefusedError(Exception):
    """What was asked of a conversation is not possible now; `code` names why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def claim(session: Session, conversation_id: int, staff_id: int, now: datetime) -> bool:
    """Takes a waiting conversation; False when somebody else has it or it needs nobody. Exactly one of two wins."""
    won = session.execute(
        update(Conversation)
        .where(Conversation.id == conversation_id, Conversation.state == ConversationState.QUEUED)
        .values(
            state=ConversationState.AGENT,
            staff_id=staff_id,
            claimed_at=now,
            revision=Conversation.revision + 1,
        )
        .returning(Conversation.id)
    ).scalar_one_or_none()
    if won is None:
        return False
    acknowledge(session, conversation_id, staff_id, now)
    audit.record(session, "conversation.claim", "conversation", conversation_id, now=now, staff_id=staff_id)
    touch(session, "floor", f"conversation:{conversation_id}")
    return True


def acknowledge(session: Session, conversation_id: int, staff_id: int, now: datetime) -> None:
    """Somebody took it: the ladder stops climbing."""
    session.execute(
        update(Escalation)
        .where(Escalation.conversation_id == conversation_id, Escalation.state == EscalationState.RUNNING)
        .values(state=EscalationState.ACKNOWLEDGED, acknowledged_by=staff_id, acknowledged_at=now, due_at=None)
    )


@dataclass(frozen=True, slots=True)
class Taker:
    """Who has an escalation now; `won`: they got it by this very call."""

    staff_id: int | None
    won: bool


def take(session: Session, escalation_id: int, staff_id: int, now: datetime, *, claims: bool) -> Taker:
    """Somebody answers an alert, by whatever channel: the ladder stops once. `claims`: they also take the conversation
    or the case; else they only say that they see to it."""
    escalation = session.get_one(Escalation, escalation_id, with_for_update=True)
    if escalation.state not in (EscalationState.RUNNING, EscalationState.EXHAUSTED):
        return Taker(escalation.acknowledged_by, False)
    if claims and escalation.conversation_id is not None:
        if not claim(session, escalation.conversation_id, staff_id, now):
            return Taker(session.get_one(Conversation, escalation.conversation_id).staff_id, False)
    elif claims and escalation.case_id is not None:
        cases.assign(session, escalation.case_id, staff_id, by_staff_id=staff_id, now=now)
    session.expire(escalation)
    escalation.state, escalation.due_at = EscalationState.ACKNOWLEDGED, None
    escalation.acknowledged_by, escalation.acknowledged_at = staff_id, now
    audit.record(session, "escalation.acknowledge", "escalation", escalation.id, now=now, staff_id=staff_id)
    touch(session, "floor")
    return Taker(staff_id, True)


def take_over(session: Session, conversation_id: int, staff_id: int, now: datetime) -> None:
    """Takes a conversation from the bot or from a colleague (supervisors and leaders)."""
    held = hold(session, conversation_id)
    if held.state is ConversationState.CLOSED:
        raise EscalationRefusedError("conversation_closed")
    held.state, held.staff_id = ConversationState.AGENT, staff_id
    held.change(claimed_at=now, silence_at=None)
    save(session, held)
    acknowledge(session, conversation_id, staff_id, now)
    audit.record(session, "conversation.take_over", "conversation", conversation_id, now=now, staff_id=staff_id)


def transfer(session: Session, conversation_id: int, to_staff_id: int, staff_id: int, now: datetime) -> None:
    """Hands a conversation one holds to a colleague."""
    held = _own(session, conversation_id, staff_id)
    held.staff_id = to_staff_id
    held.change(claimed_at=now)
    save(session, held)
    audit.record(
        session, "conversation.transfer", "conversation", conversation_id, now=now, staff_id=staff_id, to=to_staff_id
    )


def say(session: Session, centre: Centre, conversation_id: int, staff_id: int, text: str, now: datetime) -> int:
    """An agent's line to the customer; gives its sequence number. Raises EscalationRefusedError("not_yours")."""
    held = _own(session, conversation_id, staff_id)
    lines = talk.in_pieces([Say(text)], centre.library.current.policies, held.channel)
    rows = add_lines(session, held, Author.AGENT, lines, now, staff_id=staff_id)
    outbox.put_lines(session, centre, held, rows, now)
    held.change(unanswered_since=None)
    save(session, held)
    return held.seq


def note(session: Session, conversation_id: int, staff_id: int, text: str, now: datetime) -> int:
    """A private line only staff read; anybody on duty may leave one."""
    held = hold(session, conversation_id)
    add_lines(session, held, Author.AGENT, [Say(text)], now, staff_id=staff_id, private=True)
    save(session, held)
    return held.seq


def close(
    session: Session,
    centre: Centre,
    conversation_id: int,
    staff_id: int,
    wrap_up: str,
    wrap_up_note: str,
    now: datetime,
) -> None:
    """The agent is done: wrap-up code and note are kept, and the bot asks the customer for a rating (REQ-C38)."""
    held = _own(session, conversation_id, staff_id)
    if not wrap_up:
        raise EscalationRefusedError("wrap_up_missing")
    held.state, held.staff_id = ConversationState.BOT, None
    held.change(wrap_up=wrap_up, wrap_up_note=wrap_up_note, queue=None, queued_at=None, unanswered_since=None)
    end(session, conversation_id)
    talk.begin(session, centre, held, RATING_FLOW, now, context={"wrap_up": wrap_up})
    save(session, held)
    audit.record(
        session, "conversation.close", "conversation", conversation_id, now=now, staff_id=staff_id, wrap_up=wrap_up
    )
    touch(session, "floor")


def release(session: Session, conversation_id: int, staff_id: int, now: datetime) -> None:
    """Puts a conversation one holds back into the queue, at its old place."""
    held = _own(session, conversation_id, staff_id)
    held.state, held.staff_id = ConversationState.QUEUED, None
    save(session, held)
    audit.record(session, "conversation.release", "conversation", conversation_id, now=now, staff_id=staff_id)


def hand_back(session: Session, conversation_id: int, staff_id: int, now: datetime) -> None:
    """Gives a conversation one holds back to the bot, which answers the customer's next line."""
    held = _own(session, conversation_id, staff_id)
    held.state, held.staff_id = ConversationState.BOT, None
    held.change(queue=None, queued_at=None, unanswered_since=None)
    end(session, conversation_id)
    save(session, held)
    audit.record(session, "conversation.hand_back", "conversation", conversation_id, now=now, staff_id=staff_id)
    touch(session, "floor")


def end(session: Session, conversation_id: int) -> None:
    """No more rungs for this conversation."""
    session.execute(
        update(Escalation)
        .where(
            Escalation.conversation_id == conversation_id,
            Escalation.state.in_((EscalationState.RUNNING, EscalationState.ACKNOWLEDGED)),
        )
        .values(state=EscalationState.CLOSED, due_at=None)
    )


def _own(session: Session, conversation_id: int, staff_id: int) -> Held:
    held = hold(session, conversation_id)
    if held.state is not ConversationState.AGENT or held.staff_id != staff_id:
        raise EscalationRefusedError("not_yours")
    return held
