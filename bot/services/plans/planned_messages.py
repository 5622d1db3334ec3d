"""Messages of follow-up plans (REQ-C09, C32..C34): booked by an event, said once on the first channel that reaches the
person, inside the plan's windows and through the gate; or, with no channel to write to, a call where the plan says so.

Before one is said it is asked again whether it is still wanted: an order paid meanwhile is not reminded of, and nobody
hears the same plan twice within a day.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot.core.facts import Question
from bot.core.permission import Refused
from bot.core.plan import BY_CALL, Plan, Trigger
from bot.core.policy import Policies
from bot.core.windows import local_date
from bot.core.words import CallbackSource, ConversationState, Language
from bot.services import audit, contacts, days, gate, i18n
from bot.services.centre import Centre
from bot.services.conversation.speaking_first import hold_where, speak
from bot.services.delivery import outbox
from bot.services.facts.facts import FactsWanted, known
from bot.services.plans import pauses
from store.db import touch
from store.tables import Address, Callback, Conversation, Event, PlannedMessage, PlannedState

log = structlog.get_logger()
PAGE = 50
LOOK_AGAIN = timedelta(hours=1)
WITH_PEOPLE = timedelta(minutes=15)  # a conversation with an agent is not talked into
NOT_AGAIN_WITHIN = timedelta(hours=24)
ORDERS = "orders"
TAKEN_OUT = "taken_out"  # by hand
STILL: dict[Trigger, frozenset[str]] = {Trigger.ORDER_UNPAID: frozenset({"unpaid"})}
"""In which states of its order a message is still wanted, where the order can be asked for."""


def tick(session: Session, centre: Centre, now: datetime) -> int:
    """Says what is due, a page at a time; one that fails is looked at again later, alone."""
    ids = session.scalars(
        select(PlannedMessage.id)
        .where(PlannedMessage.state == PlannedState.SCHEDULED, PlannedMessage.due_at <= now)
        .order_by(PlannedMessage.due_at, PlannedMessage.id)
        .limit(PAGE)
        .with_for_update(skip_locked=True)
    ).all()
    for message_id in ids:
        try:
            with session.begin_nested():
                _take(session, centre, session.get_one(PlannedMessage, message_id), now)
        except FactsWanted:
            raise
        except Exception:
            log.exception("planned_messages.failed", message=message_id)
            later = update(PlannedMessage).where(PlannedMessage.id == message_id).values(due_at=now + LOOK_AGAIN)
            session.execute(later)
    return len(ids)


def next_due(session: Session, now: datetime) -> datetime | None:
    return session.scalar(
        select(PlannedMessage.due_at)
        .where(PlannedMessage.state == PlannedState.SCHEDULED, PlannedMessage.due_at > now)
        .order_by(PlannedMessage.due_at)
        .limit(1)
    )


def _take(session: Session, centre: Centre, message: PlannedMessage, now: datetime) -> None:
    """A due message's next step: said, called instead, later, or never."""
    message.contact_id = contacts.survivor(session, message.contact_id)
    policies = _policies(session, centre, message)
    plan, event = policies.plans[message.plan], session.get_one(Event, message.event_id)
    if pauses.is_paused(session, message.plan):
        message.due_at, message.why = now + LOOK_AGAIN, pauses.PAUSED
    elif (unwanted := _unwanted(session, message, plan, event, now)) is not None:
        end(session, message, PlannedState.CANCELLED, now, unwanted)
    elif (address := _reach(session, centre, message.contact_id, plan)) is None:
        _call_instead(session, message, plan, now)
    else:
        _say(session, centre, message, plan, event, address, now)
    touch(session, "callbacks")


def _policies(session: Session, centre: Centre, message: PlannedMessage) -> Policies:
    """As they are now; where the plan is gone, those it was planned by."""
    now = centre.library.current.policies
    return now if message.plan in now.plans else centre.library.policies(session, message.policies)


def _unwanted(session: Session, message: PlannedMessage, plan: Plan, event: Event, now: datetime) -> str | None:
    """Why it is not to be said any more; None where it is."""
    if now >= message.not_after:
        return "too_late"
    if plan.trigger in STILL and (order_no := str(event.details.get("order_no") or "")):
        rows = known(session, Question(ORDERS, (("order_no", order_no),)))
        if rows and all(row["state"] not in STILL[plan.trigger] for row in rows):
            return "settled"
    lately = select(PlannedMessage.id).where(
        PlannedMessage.contact_id == message.contact_id,
        PlannedMessage.plan == message.plan,
        PlannedMessage.state == PlannedState.SAID,
        PlannedMessage.closed_at > now - NOT_AGAIN_WITHIN,
    )
    own = plan.trigger in STILL or not plan.trigger.startswith("order_")  # two parcels are two messages
    return "said_lately" if own and session.scalar(lately.limit(1)) is not None else None


def _reach(session: Session, centre: Centre, contact_id: int, plan: Plan) -> Address | None:
    """The first address of the plan's channels that reaches the person: a page only while somebody has it open."""
    for channel in plan.channels:
        if channel is BY_CALL or (channel not in centre.channels and channel not in outbox.OWN_PAGES):
            continue
        query = (
            select(Address)
            .where(Address.contact_id == contact_id, Address.channel == channel, Address.reachable)
            .order_by(Address.rank, Address.id.desc())
        )
        if channel in outbox.OWN_PAGES:
            query = query.join(Conversation, Conversation.address_id == Address.id).where(
                Conversation.state != ConversationState.CLOSED
            )
        if (found := session.scalar(query.limit(1))) is not None:
            return found
    return None


def _say(
    session: Session, centre: Centre, message: PlannedMessage, plan: Plan, event: Event, address: Address, now: datetime
) -> None:
    shelf = centre.library.current
    answer = gate.ask(
        session,
        purpose=plan.purpose,
        channel=address.channel,
        contact_id=message.contact_id,
        policies=shelf.policies,
        calendar=days.calendar(session, centre),
        now=now,
        windows=plan.windows,
    )
    if isinstance(answer, Refused):
        if answer.until is None or answer.until >= message.not_after:
            end(session, message, PlannedState.CANCELLED, now, answer.reason.value)
        else:
            message.due_at, message.why = answer.until, answer.reason.value
        return
    held = hold_where(session, centre, message.contact_id, address, now)
    if held.state is not ConversationState.BOT:
        message.due_at, message.why = now + WITH_PEOPLE, "with_people"
        return
    message.channel, message.conversation_id = address.channel, held.id
    speak(
        session,
        centre,
        held,
        plan.flow,
        _told(event, held.language, held.zone or centre.settings.timezone),
        now,
        purpose=plan.purpose,
        dedupe_key=f"planned:{message.id}",
        expires_at=message.not_after,
        windows=plan.windows,
    )
    end(session, message, PlannedState.SAID, now)
    if plan.repeat_days and message.step == len(plan.steps) - 1:
        _again(session, message, timedelta(days=plan.repeat_days), now)


def _again(session: Session, said: PlannedMessage, after: timedelta, now: datetime) -> None:
    """The same once more, so long after it was said; the gate finds it a window (REQ-C34)."""
    first, _, times = said.dedupe_key.partition("+")
    session.add(
        PlannedMessage(
            dedupe_key=f"{first}+{int(times or 0) + 1}",
            contact_id=said.contact_id,
            event_id=said.event_id,
            plan=said.plan,
            step=said.step,
            purpose=said.purpose,
            policies=said.policies,
            due_at=now + after,
            not_after=now + after + (said.not_after - said.due_at),
            created_at=now,
        )
    )


def _told(event: Event, language: Language, zone: str) -> dict[str, Any]:
    """What the script may say: the slots `care_…`, empty where the event does not tell."""
    details = event.details
    term = details.get("term_zh") if language is Language.ZH else details.get("term_en")
    return {
        "care_order": details.get("order_no"),
        "care_courier": details.get("courier"),
        "care_tracking": details.get("tracking_no"),
        "care_product": details.get("product") or details.get("treatment"),
        "care_day": i18n.month_day(language, local_date(event.happened_at, zone)),
        "care_term": term,
    }


def _call_instead(session: Session, message: PlannedMessage, plan: Plan, now: datetime) -> None:
    """Nothing to write to: a call, where the plan names one and there is a number."""
    if BY_CALL not in plan.channels or contacts.phone_of(session, message.contact_id) is None:
        end(session, message, PlannedState.CANCELLED, now, "no_address")
        return
    session.add(
        Callback(
            dedupe_key=f"planned:{message.id}",
            contact_id=message.contact_id,
            event_id=message.event_id,
            follow_up_group=plan.group,
            plan=message.plan,
            step=message.step,
            purpose=plan.purpose,
            source=CallbackSource.PLAN,
            policies=message.policies,
            flow_id=plan.flow,
            due_at=now,
            not_after=message.not_after,
            flags=[],
            flow={},
            created_at=now,
        )
    )
    end(session, message, PlannedState.CALLED, now)


def end(session: Session, message: PlannedMessage, state: PlannedState, now: datetime, why: str | None = None) -> None:
    """Settles a message for good, and why where it was never said."""
    message.state, message.why, message.closed_at = state, why, now
    audit.record(
        session, f"planned_message.{state.value}", "planned_message", message.id, now=now, plan=message.plan, why=why
    )
