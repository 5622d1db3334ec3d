"""People in a follow-up plan, changed by hand: taken out, one contact skipped, put in (REQ-C02, PEERS).

A contact is a call or a message; both are named by what they are and their id. Everything is audited.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.plan import OF_THE_YEAR, Plan, Trigger
from bot.core.words import ChannelName
from bot.services import audit, contacts
from bot.services.calls import callback_changes
from bot.services.calls.callback_changes import TEXT, CallbackRefusedError
from bot.services.calls.callbacks import RUNNING
from bot.services.centre import Centre
from bot.services.plans import followups, planned_messages, planning
from bot.services.plans.followups import Recorded
from bot.services.plans.planning import Occurrence
from store.db import touch, vault_of
from store.tables import Callback, Contact, PlannedMessage, PlannedState

Kind = Literal["call", "message"]


def takes_people(plan: Plan) -> bool:
    """Whether somebody can be put into a plan by hand: neither a day of the year nor a customer's wish starts it."""
    return plan.trigger not in OF_THE_YEAR and plan.trigger is not Trigger.WISH


def skip(
    session: Session, plan_id: str, kind: Kind, contact_id: int, why: str, *, staff_id: int, now: datetime
) -> None:
    """Leaves out one contact; those that follow are made. `contact_id` is the call's or the message's. Raises
    CallbackRefusedError."""
    held, subject = _held(session, plan_id, kind, contact_id), "callback" if kind == "call" else "planned_message"
    _cancel(session, held, _reason(why), staff_id=staff_id, now=now)
    audit.record(
        session, "plan.skip", subject, contact_id, now=now, staff_id=staff_id, note=why, plan=plan_id, step=held.step
    )
    touch(session, "callbacks")


def take_out(
    session: Session, plan_id: str, kind: Kind, contact_id: int, why: str, *, staff_id: int, now: datetime
) -> int:
    """Takes a person out of a plan for good: everything the same event still owes them in it; how much that was.
    Raises CallbackRefusedError."""
    reason, held = _reason(why), _held(session, plan_id, kind, contact_id)
    owed: list[Callback | PlannedMessage] = [held]
    if held.event_id is not None:
        calls = select(Callback).where(RUNNING, Callback.event_id == held.event_id, Callback.plan == plan_id)
        messages = select(PlannedMessage).where(
            PlannedMessage.event_id == held.event_id,
            PlannedMessage.plan == plan_id,
            PlannedMessage.state == PlannedState.SCHEDULED,
        )
        owed = [
            *session.scalars(calls.order_by(Callback.id).with_for_update()),
            *session.scalars(messages.order_by(PlannedMessage.id).with_for_update()),
        ]
    for each in owed:
        _cancel(session, each, reason, staff_id=staff_id, now=now)
    audit.record(
        session, "plan.take_out", "contact", held.contact_id, now=now, staff_id=staff_id, note=reason, plan=plan_id
    )
    touch(session, "callbacks")
    return len(owed)


def enrol(
    session: Session, centre: Centre, plan_id: str, *, phone: str, name: str, at: datetime, staff_id: int, now: datetime
) -> Recorded:
    """Puts a person into a plan, as if what starts it had happened `at`. Raises CallbackRefusedError where it is no
    such plan, there is nothing to call them by or on, or they want no calls; `unplanned` where a setting is missing."""
    plan = centre.library.current.policies.plans.get(plan_id)
    if plan is None or not takes_people(plan):
        raise CallbackRefusedError("enrol_not_here")
    if at > now:
        raise CallbackRefusedError("enrol_future")
    try:
        number = contacts.phone_number(phone)
    except contacts.BadPhoneError as error:
        raise CallbackRefusedError("phone_wrong") from error
    address = contacts.find_address(session, ChannelName.VOICE, number)
    known = contacts.survivor(session, address.contact_id) if address is not None and address.contact_id else None
    called = name.strip()[:60] or (session.get_one(Contact, known).name if known is not None else "")
    if not called:
        raise CallbackRefusedError("enrol_name")
    running = select(Callback.id).where(RUNNING, Callback.plan == plan_id, Callback.contact_id == known)
    if known is not None and session.scalar(running.limit(1)) is not None:
        raise CallbackRefusedError("enrol_known")
    what = Occurrence(
        source=planning.BY_HAND,
        external_id=f"{plan_id}:{vault_of(session).blind('event', number)}:{at:%Y%m%d%H%M}",
        kind=plan.trigger,
        phone=number,
        name=called,
        happened_at=at,
        details={planning.INTO: plan_id},
    )
    recorded = followups.record(session, centre, what, now)
    if not recorded.fresh:
        raise CallbackRefusedError("enrol_known")
    if recorded.unplanned is not None and recorded.unplanned not in planning.MENDABLE:
        raise CallbackRefusedError(f"enrol_{recorded.unplanned}")
    audit.record(session, "plan.enrol", "event", recorded.event_id, now=now, staff_id=staff_id, plan=plan_id)
    return recorded


def _reason(why: str) -> str:
    if not why.strip():
        raise CallbackRefusedError("reason_missing")
    return why.strip()[:TEXT]


def _held(session: Session, plan_id: str, kind: Kind, contact_id: int) -> Callback | PlannedMessage:
    held: Callback | PlannedMessage | None
    if kind == "call":
        held = session.get(Callback, contact_id, with_for_update=True, populate_existing=True)
    else:
        held = session.get(PlannedMessage, contact_id, with_for_update=True, populate_existing=True)
    if held is None or held.plan != plan_id:
        raise CallbackRefusedError("not_found")
    if isinstance(held, PlannedMessage) and held.state is not PlannedState.SCHEDULED:
        raise CallbackRefusedError("callback_ended")
    return held


def _cancel(session: Session, held: Callback | PlannedMessage, why: str, *, staff_id: int, now: datetime) -> None:
    if isinstance(held, Callback):
        callback_changes.cancel(session, held.id, why, revision=held.revision, staff_id=staff_id, now=now)
    else:
        planned_messages.end(session, held, PlannedState.CANCELLED, now, planned_messages.TAKEN_OUT)
