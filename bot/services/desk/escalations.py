"""Conversations people hold: claimed, answered, handed on, closed with a wrap-up (REQ-E05, C38).

A claim is one UPDATE whose condition only one of two agents can meet; it also stops the ladder (ladders.py).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from bot.core.words import Author, ConversationState, Say
from bot.services import audit, i18n, queues
from bot.services.casework import cases
from bot.services.centre import Centre
from bot.services.conversation import talk
from bot.services.conversation.conversations import Held, add_lines, hold, save
from bot.services.desk import briefing
from bot.services.escalation import alerts, ladders
from bot.services.escalation.ladders import Taker
from bot.services.i18n import N_
from bot.services.refusal import RefusedError
from store.db import touch
from store.tables import Conversation, Escalation, Staff

RATING_FLOW = "rate_service"
CALLED_IN = N_("%(name)s请您一起接待一位客户")
LET_GO: dict[str, Any] = {
    "queue": None,
    "queued_at": None,
    "unanswered_since": None,
    "joined": [],
    "passed": [],
    "told_at": None,
}
"""What a conversation forgets when no person is wanted any more."""


def claim(
    session: Session,
    conversation_id: int,
    staff_id: int,
    now: datetime,
    *,
    how: str = alerts.CONSOLE,
    given: bool = False,
) -> bool:
    """Takes a waiting conversation; False when somebody else has it or it needs nobody. Exactly one of two wins.
    `given`: the program gives it to them (bot/services/desk/assigning.py)."""
    won = session.execute(
        update(Conversation)
        .where(Conversation.id == conversation_id, Conversation.state == ConversationState.QUEUED)
        .values(
            state=ConversationState.AGENT,
            staff_id=staff_id,
            last_staff_id=staff_id,
            claimed_at=now,
            revision=Conversation.revision + 1,
        )
        .returning(Conversation.id)
    ).scalar_one_or_none()
    if won is None:
        return False
    ladders.acknowledge(session, ladders.of_conversation(conversation_id), staff_id, now, how=how)
    if given:
        audit.record(session, "conversation.assign", "conversation", conversation_id, now=now, to=staff_id)
    else:
        audit.record(session, "conversation.claim", "conversation", conversation_id, now=now, staff_id=staff_id)
    touch(session, "floor", f"conversation:{conversation_id}")
    return True


def take(
    session: Session, escalation_id: int, staff_id: int, now: datetime, *, claims: bool, how: str = alerts.CONSOLE
) -> Taker:
    """Somebody answers an alert, by whatever channel: the ladder stops once. `claims`: they also take the conversation
    or the case; else they only say that they see to it. Raises NotFoundError, RefusedError."""
    escalation = session.get_one(Escalation, escalation_id, with_for_update=True)
    if escalation.state not in ladders.CLIMBING:
        return Taker(escalation.acknowledged_by, False)
    if claims and escalation.conversation_id is not None:
        if not claim(session, escalation.conversation_id, staff_id, now, how=how):
            return Taker(session.get_one(Conversation, escalation.conversation_id).staff_id, False)
    elif claims and escalation.case_id is not None:
        cases.assign(session, escalation.case_id, staff_id, by_staff_id=staff_id, now=now, how=how)
    ladders.acknowledge(session, ladders.the(escalation_id), staff_id, now, how=how)
    return Taker(staff_id, True)


def take_over(session: Session, conversation_id: int, staff_id: int, now: datetime) -> None:
    """Takes a conversation from the bot or from a colleague (supervisors and leaders)."""
    held = hold(session, conversation_id)
    if held.state is ConversationState.CLOSED:
        raise RefusedError("conversation_closed")
    held.state, held.staff_id = ConversationState.AGENT, staff_id
    held.change(claimed_at=now, silence_at=None, last_staff_id=staff_id)
    save(session, held)
    ladders.acknowledge(session, ladders.of_conversation(conversation_id), staff_id, now)
    audit.record(session, "conversation.take_over", "conversation", conversation_id, now=now, staff_id=staff_id)


def transfer(
    session: Session,
    centre: Centre,
    conversation_id: int,
    to_staff_id: int,
    staff_id: int,
    now: datetime,
    note: str = "",
) -> None:
    """Hands a conversation one holds to a colleague, with what they need to know (REQ-E17)."""
    held = own(session, conversation_id, staff_id)
    to = session.get_one(Staff, to_staff_id)
    briefing.write(session, centre, held, staff_id, to.name, note, now)
    held.staff_id = to_staff_id
    held.change(claimed_at=now, last_staff_id=to_staff_id)
    save(session, held)
    audit.record(
        session, "conversation.transfer", "conversation", conversation_id, now=now, staff_id=staff_id, to=to_staff_id
    )


def transfer_to_queue(
    session: Session, centre: Centre, conversation_id: int, queue: str, staff_id: int, now: datetime, note: str = ""
) -> None:
    """Hands a conversation one holds to another queue, at its old place in time."""
    held = own(session, conversation_id, staff_id)
    briefing.write(
        session, centre, held, staff_id, i18n.text(centre.settings.language, queues.HANDED[queue]), note, now
    )
    held.state, held.staff_id = ConversationState.QUEUED, None
    held.change(queue=queue, passed=[staff_id])
    save(session, held)
    ladders.hand_on(session, ladders.of_conversation(conversation_id), staff_id, now, why=note)
    audit.record(
        session, "conversation.transfer", "conversation", conversation_id, now=now, staff_id=staff_id, queue=queue
    )
    touch(session, "floor")


def join(session: Session, conversation_id: int, staff_id: int, now: datetime) -> None:
    """A colleague sits in: both see everything and both may write to the customer."""
    conversation, held = session.get_one(Conversation, conversation_id), hold(session, conversation_id)
    if held.state is not ConversationState.AGENT:
        raise RefusedError("nobody_holds")
    if staff_id != held.staff_id and staff_id not in conversation.joined:
        held.change(joined=sorted({*conversation.joined, staff_id}))
        save(session, held)
        audit.record(session, "conversation.join", "conversation", conversation_id, now=now, staff_id=staff_id)


def leave(session: Session, conversation_id: int, staff_id: int, now: datetime) -> None:
    """The colleague who sat in is done."""
    conversation, held = session.get_one(Conversation, conversation_id), hold(session, conversation_id)
    if staff_id in conversation.joined:
        held.change(joined=[each for each in conversation.joined if each != staff_id])
        save(session, held)
        audit.record(session, "conversation.leave", "conversation", conversation_id, now=now, staff_id=staff_id)


def call_in(session: Session, conversation_id: int, to_staff_id: int, staff_id: int, now: datetime) -> None:
    """The holder asks a colleague to sit in: they may write from now on, and are told."""
    own(session, conversation_id, staff_id)
    to, me = session.get_one(Staff, to_staff_id), session.get_one(Staff, staff_id)
    join(session, conversation_id, to_staff_id, now)
    alerts.tell(
        session,
        [to],
        CALLED_IN,
        cause=f"call-in:{conversation_id}:{to_staff_id}:{now.isoformat()}",
        link=f"/console/conversations/{conversation_id}",
        now=now,
        name=me.name,
    )
    audit.record(
        session, "conversation.call_in", "conversation", conversation_id, now=now, staff_id=staff_id, to=to_staff_id
    )


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
    held = own(session, conversation_id, staff_id)
    if not wrap_up:
        raise RefusedError("wrap_up_missing")
    held.state, held.staff_id = ConversationState.BOT, None
    held.change(wrap_up=wrap_up, wrap_up_note=wrap_up_note, **LET_GO)
    ladders.end(session, ladders.of_conversation(conversation_id), now)
    talk.begin(session, centre, held, RATING_FLOW, now, context={"wrap_up": wrap_up})
    save(session, held)
    audit.record(
        session, "conversation.close", "conversation", conversation_id, now=now, staff_id=staff_id, wrap_up=wrap_up
    )
    touch(session, "floor")


def release(session: Session, conversation_id: int, staff_id: int, now: datetime) -> None:
    """Puts a conversation one holds back into the queue, at its old place; its ladder climbs on without them."""
    held = own(session, conversation_id, staff_id)
    held.state, held.staff_id = ConversationState.QUEUED, None
    save(session, held)
    ladders.hand_on(session, ladders.of_conversation(conversation_id), staff_id, now)
    audit.record(session, "conversation.release", "conversation", conversation_id, now=now, staff_id=staff_id)


def hand_back(session: Session, conversation_id: int, staff_id: int, now: datetime) -> None:
    """Gives a conversation one holds back to the bot, which answers the customer's next line."""
    held = own(session, conversation_id, staff_id)
    held.state, held.staff_id = ConversationState.BOT, None
    held.change(**LET_GO)
    ladders.end(session, ladders.of_conversation(conversation_id), now)
    save(session, held)
    audit.record(session, "conversation.hand_back", "conversation", conversation_id, now=now, staff_id=staff_id)
    touch(session, "floor")


def own(session: Session, conversation_id: int, staff_id: int, *, joined: bool = False) -> Held:
    """The conversation, which `staff_id` holds, or has joined."""
    held = hold(session, conversation_id)
    mine = held.staff_id == staff_id or (
        joined and staff_id in session.get_one(Conversation, conversation_id, populate_existing=True).joined
    )
    if held.state is not ConversationState.AGENT or not mine:
        raise RefusedError("not_yours")
    return held
