"""A shield for agents: somebody who abuses is asked politely, then warned, and only then may the agent end it; threats
go to the duty's leader at once (REQ-E14)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import ConversationState, Urgency
from bot.services import audit, i18n
from bot.services.centre import Centre
from bot.services.conversation.conversations import hold, save
from bot.services.desk import agent_lines
from bot.services.escalation import ladders
from bot.services.i18n import N_
from bot.services.refusal import RefusedError
from store.db import touch
from store.tables import Abuse, AbuseStep, Conversation

SAID: Mapping[AbuseStep, str] = {
    AbuseStep.ASKED: N_("我很想帮您解决问题，请您文明用语，我们才能继续。"),
    AbuseStep.WARNED: N_("如果继续这样，我只能结束这次服务。您冷静之后可以随时再联系我们。"),
    AbuseStep.ENDED: N_("很抱歉，本次服务到此结束。您冷静之后可以随时再联系我们。"),
}
"""What the customer is told at each step."""

AFTER = {AbuseStep.WARNED: AbuseStep.ASKED, AbuseStep.ENDED: AbuseStep.WARNED}
NUISANCE = "nuisance"


def steps(session: Session, conversation_id: int) -> list[Abuse]:
    """What was done so far in this conversation."""
    return list(session.scalars(select(Abuse).where(Abuse.conversation_id == conversation_id).order_by(Abuse.id)))


def before(session: Session, address_id: int, conversation_id: int) -> int:
    """How many other conversations from this address were ended for abuse."""
    rows = session.scalars(
        select(Abuse.conversation_id).where(
            Abuse.address_id == address_id,
            Abuse.step == AbuseStep.ENDED,
            Abuse.conversation_id != conversation_id,
        )
    )
    return len(set(rows))


def take_step(
    session: Session, centre: Centre, conversation_id: int, step: AbuseStep, note: str, *, staff_id: int, now: datetime
) -> None:
    """The holder of a conversation takes the next step; ending comes only after the warning. Raises
    RefusedError("not_yours" | "not_warned" | "step_taken")."""
    conversation = session.get_one(Conversation, conversation_id)
    if conversation.state is not ConversationState.AGENT or conversation.staff_id != staff_id:
        raise RefusedError("not_yours")
    taken = {row.step for row in steps(session, conversation_id)}
    if step in taken:
        raise RefusedError("step_taken")
    if step in AFTER and AFTER[step] not in taken:
        raise RefusedError("not_warned")
    session.add(
        Abuse(
            conversation_id=conversation_id,
            address_id=conversation.address_id,
            staff_id=staff_id,
            step=step,
            note=note.strip()[:1000],
            at=now,
        )
    )
    if step in SAID:
        words = i18n.text(conversation.language, SAID[step])
        agent_lines.say(session, centre, conversation_id, staff_id, words, now)
    if step is AbuseStep.THREAT:
        _to_the_leader(session, centre, conversation_id, now)
    if step is AbuseStep.ENDED:
        _end(session, conversation_id, note, now)
    audit.record(session, "conversation.abuse", "conversation", conversation_id, now=now, staff_id=staff_id)
    touch(session, f"conversation:{conversation_id}")


def _to_the_leader(session: Session, centre: Centre, conversation_id: int, now: datetime) -> None:
    """An urgent ladder beside the conversation that somebody holds."""
    if not ladders.climbs(session, ladders.of_conversation(conversation_id)):
        ladders.start(
            session, centre, reason="threat", urgency=Urgency.URGENT, conversation_id=conversation_id, now=now
        )


def _end(session: Session, conversation_id: int, note: str, now: datetime) -> None:
    """Over, without asking for a rating."""
    held = hold(session, conversation_id)
    held.state, held.staff_id = ConversationState.CLOSED, None
    held.change(
        wrap_up=NUISANCE,
        wrap_up_note=note.strip()[:1000],
        queue=None,
        queued_at=None,
        unanswered_since=None,
        silence_at=None,
        closed_at=now,
    )
    save(session, held)
    ladders.end(session, ladders.of_conversation(conversation_id), now)
    touch(session, "floor")
