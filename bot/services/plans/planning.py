"""From an event to what it asks for: every plan it starts, every contact of that plan, booked once (REQ-C02..C08).

An event may start several plans and a plan may have several contacts. What cannot be booked yet keeps why in
`Event.unplanned`; booking again adds only what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.permission import Refused, may_contact
from bot.core.plan import Plan, Trigger, started_by
from bot.core.policy import Policies
from bot.core.windows import Calendar, Due, Reason, follow_up_due, local_date
from bot.core.words import CallbackSource, ChannelName, Language
from bot.services import contacts, days, gate
from bot.services.centre import Centre
from bot.services.library import Shelf
from store.db import touch
from store.tables import Callback, Contact, Event, PlannedMessage

FLOW_MISSING = "flow_missing"  # the plan names a script that is not there
NO_PLAN = "no_plan"  # no plan is started by it
TOO_OLD = "too_old"  # it happened so long ago that a call would only puzzle
OLD = timedelta(days=30)
BY_HAND, INTO = "hand", "plan"  # the source of an event somebody entered for one plan; the detail that names the plan
MENDABLE = (Reason.SEASONS_UNSET, Reason.DELAY_UNSET, Reason.NO_WINDOW, FLOW_MISSING, NO_PLAN)
"""What an operator can put right; the rest is kept for the record."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something that happened to a person outside: `phone` is E.164, `happened_at` zone-aware, `details` plain JSON
    (department, treatment, remarks …). `source` and `external_id` name it, so that it is known once."""

    source: str
    external_id: str
    kind: Trigger
    phone: str
    name: str
    happened_at: datetime
    title: str = ""
    birthday: str = ""  # MM-DD
    language: Language | None = None
    zone: str | None = None
    tags: str = ""  # as bot/services/tags.py reads them
    details: Mapping[str, str] = field(default_factory=dict)


def plan_event(session: Session, centre: Centre, event: Event, now: datetime) -> Callback | None:
    """Books what an event asks for and gives the first of it that is booked; None with `event.unplanned` saying why
    not. Where something is booked and something is not, `unplanned` says why not too."""
    shelf = centre.library.current
    contact = session.get_one(Contact, contacts.survivor(session, event.contact_id))
    event.tried, event.unplanned = settings_tried(shelf), NO_PLAN
    first: Callback | None = None
    troubles: list[str] = []
    for plan_id in _started(shelf.policies, event):
        event.unplanned = None
        for step in to_come(shelf.policies, plan_id, event.happened_at, now, contact.timezone):
            booked = _book(session, centre, plan_id, step, contact, event, now)
            if isinstance(booked, str):
                troubles.append(booked)
            elif isinstance(booked, Callback):
                first = first or booked
    event.unplanned = _reason(troubles) if troubles else event.unplanned
    touch(session, "callbacks")
    return first


def _started(policies: Policies, event: Event) -> list[str]:
    """The plans an event starts; one that was entered for a plan starts that one alone."""
    if event.source == BY_HAND:
        return [id_ for id_ in (str(event.details.get(INTO)),) if id_ in policies.plans]
    return list(started_by(policies.plans, Trigger(event.kind), event.details))


def settings_tried(shelf: Shelf) -> str:
    """Names what an event was planned with, so that it is tried again only when that has changed."""
    return f"{shelf.policies_version[:32]}/{shelf.book.version[:32]}"


def to_come(policies: Policies, plan_id: str, happened_at: datetime, now: datetime, zone: str) -> list[int]:
    """The plan's contacts that are still to be made: of those whose day has come, only the last, so that an event told
    late is not followed by several calls on one day."""
    steps, today = policies.plans[plan_id].steps, local_date(now, zone)
    happened = local_date(happened_at, zone)

    def begun(n: int) -> bool:
        days = steps[n].after_days
        return days is not None and happened + timedelta(days=days) <= today

    return [n for n in range(len(steps)) if not any(begun(later) for later in range(n + 1, len(steps)))]


def _book(
    session: Session, centre: Centre, plan_id: str, step: int, contact: Contact, event: Event, now: datetime
) -> Callback | PlannedMessage | str:
    """The call or the message of one contact, made once; else why there is none."""
    key = f"event:{event.id}:{plan_id}:{step}"
    plan = centre.library.current.policies.plans[plan_id]
    known: Callback | PlannedMessage | None
    if plan.calls:
        known = session.scalar(select(Callback).where(Callback.dedupe_key == key))
    else:
        known = session.scalar(select(PlannedMessage).where(PlannedMessage.dedupe_key == key))
    if known is not None:
        return known
    found = _due(session, centre, plan_id, step, contact, event, now)
    if isinstance(found, str):
        return found
    made = {"dedupe_key": key, "contact_id": contact.id, "event_id": event.id, "plan": plan_id, "step": step}
    version = centre.library.current.policies_version
    booked = _call(plan, version, made, event, found, now) if plan.calls else _message(plan, version, made, found, now)
    session.add(booked)
    session.flush()
    return booked


def _call(plan: Plan, version: str, made: Mapping[str, Any], event: Event, found: Due, now: datetime) -> Callback:
    return Callback(**made, case_id=event.details.get("case_id"), **_values(plan, version, found, now))


def _values(plan: Plan, version: str, found: Due, now: datetime) -> dict[str, Any]:
    """The columns of a call that its plan gives."""
    return {
        "follow_up_group": plan.group,
        "purpose": plan.purpose,
        "source": CallbackSource.COMPLAINT if plan.trigger is Trigger.COMPLAINT_CLOSED else CallbackSource.PLAN,
        "policies": version,
        "flow_id": plan.flow,
        "due_at": found.at,
        "window_end": found.window_end,
        "late_after": found.latest,
        "not_after": found.gives_up_at,
        "flags": sorted(str(flag) for flag in found.flags),
        "flow": {},
        "created_at": now,
    }


Owed = dict[tuple[str, int, datetime, str], dict[str, Any] | str]
"""What was worked out already, by plan, contact, moment and zone; good for one `now`."""


def calls_of(
    session: Session, centre: Centre, page: Sequence[Occurrence], now: datetime, owed: Owed
) -> tuple[list[list[dict[str, Any]]], list[str | None]]:
    """The calls owed to people nobody knew before, as rows without contact, event and key; and for each event why it
    could not be planned, or None. What is in `owed` is not worked out again."""
    shelf, calendar = centre.library.current, days.calendar(session, centre)

    def call(plan_id: str, step: int, what: Occurrence, zone: str) -> dict[str, Any] | str:
        key = (plan_id, step, what.happened_at, zone)
        if key not in owed:
            plan, found = shelf.policies.plans[plan_id], _when(shelf, calendar, *key, now)
            values = {"plan": plan_id, "step": step}
            owed[key] = found if isinstance(found, str) else values | _values(plan, shelf.policies_version, found, now)
        return owed[key]

    calls: list[list[dict[str, Any]]] = []
    reasons: list[str | None] = []
    for what in page:
        zone = what.zone or centre.settings.timezone
        plans = list(started_by(shelf.policies.plans, what.kind, what.details))
        made = [
            call(plan_id, step, what, zone)
            for plan_id in plans
            for step in to_come(shelf.policies, plan_id, what.happened_at, now, zone)
        ]
        calls.append([each for each in made if not isinstance(each, str)])
        reasons.append(_reason([each for each in made if isinstance(each, str)]) if plans else NO_PLAN)
    return calls, reasons


def _reason(troubles: Sequence[str]) -> str | None:
    """What is told of several troubles: first what an operator can mend."""
    return next((each for each in troubles if each in MENDABLE), troubles[0] if troubles else None)


def _message(plan: Plan, version: str, made: Mapping[str, Any], found: Due, now: datetime) -> PlannedMessage:
    return PlannedMessage(
        **made, purpose=plan.purpose, policies=version, due_at=found.at, not_after=found.gives_up_at, created_at=now
    )


def _due(
    session: Session, centre: Centre, plan_id: str, step: int, contact: Contact, event: Event, now: datetime
) -> Due | str:
    """When, by the plan and by what the person allows; else why not."""
    shelf, calendar = centre.library.current, days.calendar(session, centre)
    policies, plan = shelf.policies, shelf.policies.plans[plan_id]
    found = _when(shelf, calendar, plan_id, step, event.happened_at, contact.timezone, now)
    if isinstance(found, str):
        return found
    if not plan.calls:
        return found  # whether it may be said is asked of the channel it goes out on
    answer = may_contact(
        plan.purpose,
        ChannelName.VOICE,
        gate.facts(session, contact.id, ChannelName.VOICE, now),
        policies,
        calendar,
        found.at,
        windows=plan.windows,
    )
    if isinstance(answer, Refused) and answer.until is None:
        return answer.reason.value
    return found


def _when(
    shelf: Shelf, calendar: Calendar, plan_id: str, step: int, happened_at: datetime, zone: str, now: datetime
) -> Due | str:
    """When, by the plan alone; else why not."""
    plan = shelf.policies.plans[plan_id]
    if plan.flow not in shelf.book.flows:
        return FLOW_MISSING
    found = follow_up_due(plan_id, happened_at, now, shelf.policies, calendar, zone, step=step)
    if not isinstance(found, Due):
        return found.reason_code.value
    return TOO_OLD if found.at > happened_at + _wait(plan, step) + OLD else found


def _wait(plan: Plan, step: int) -> timedelta:
    wanted = plan.steps[step]
    return timedelta(days=wanted.within_days if wanted.within_days is not None else wanted.after_days or 0)
