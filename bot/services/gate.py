"""Asks the one permission gate (bot/core/permission.py) with what the database knows about a person."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.permission import (
    Allowed,
    Consent,
    ConsentKind,
    Contacted,
    ContactFacts,
    Refused,
    may_contact,
    stopped,
)
from bot.core.policy import Policies, Window
from bot.core.windows import Calendar
from bot.core.words import ChannelName, DeliveryState, Purpose
from bot.services import audit, contacts
from store.tables import Address, Contact, Delivery

LOOK_BACK = timedelta(days=31)  # as far as the longest cap an operator may set
REACHED_OUT = (
    DeliveryState.SENDING,
    DeliveryState.ACCEPTED,
    DeliveryState.DELIVERED,
    DeliveryState.HEARD,
    DeliveryState.READ,
    DeliveryState.UNKNOWN,
)


def ask(
    session: Session,
    *,
    purpose: Purpose,
    channel: ChannelName,
    contact_id: int,
    policies: Policies,
    calendar: Calendar,
    now: datetime,
    drill: bool = False,
    staff_address: bool = False,
    windows: tuple[str, ...] | None = None,
    besides: int | None = None,
) -> Allowed | Refused:
    """May we contact this person, for this purpose, by this channel, now? `besides` is the delivery being asked for,
    which does not count against its own caps."""
    known = facts(session, contact_id, channel, now, drill=drill, staff_address=staff_address, besides=besides)
    return may_contact(purpose, channel, known, policies, calendar, now, windows=windows)


def facts(
    session: Session,
    contact_id: int,
    channel: ChannelName,
    now: datetime,
    *,
    drill: bool = False,
    staff_address: bool = False,
    besides: int | None = None,
) -> ContactFacts:
    """What the gate wants to know about a person."""
    people = contacts.same_person(session, contact_id)
    contact = session.get_one(Contact, people[0])
    given = contacts.consents(session, contact.id)
    withdrawn = {scope for scope, (granted, _) in given.items() if not granted}
    recent = session.execute(
        select(Delivery.changed_at, Delivery.channel, Delivery.purpose, Delivery.id).where(
            Delivery.contact_id.in_(people),
            Delivery.created_at > now - LOOK_BACK,
            Delivery.state.in_(REACHED_OUT),
            Delivery.purpose != Purpose.REPLY,
        )
    )
    return ContactFacts(
        zone=contact.timezone,
        do_not_contact=stopped(withdrawn, channel),
        consents={kind: Consent(*given[kind.value]) for kind in ConsentKind if kind.value in given},
        recent_contacts=tuple(Contacted(r.changed_at, r.channel, r.purpose) for r in recent if r.id != besides),
        segments=frozenset(contact.segments),
        hours=own_hours(contact),
        drill=drill,
        test_address=staff_address,
    )


def own_hours(contact: Contact) -> Window | None:
    """The part of the day this person asked to be reached in; None: they named none."""
    if not contact.not_before and not contact.not_after:
        return None
    midnight = time(0)
    return Window(
        time.fromisoformat(contact.not_before) if contact.not_before else midnight,
        time.fromisoformat(contact.not_after) if contact.not_after else midnight,
    )


def ask_for(
    session: Session, delivery: Delivery, policies: Policies, calendar: Calendar, now: datetime
) -> Allowed | Refused:
    """The gate's word on an outbox row at the moment it would go out; an override is audited."""
    if delivery.purpose is Purpose.REPLY or delivery.contact_id is None:
        return Allowed()
    names: Any = delivery.body.get("metadata", {}).get("windows")
    answer = ask(
        session,
        purpose=delivery.purpose,
        channel=delivery.channel,
        contact_id=delivery.contact_id,
        policies=policies,
        calendar=calendar,
        now=now,
        drill=delivery.drill,
        staff_address=_is_staff(session, delivery.address_id),
        windows=tuple(names) if names else None,
        besides=delivery.id,
    )
    if isinstance(answer, Allowed) and answer.overrides:
        audit.record(
            session,
            "gate.override",
            "delivery",
            delivery.id,
            now=now,
            purpose=delivery.purpose.value,
            rules=[rule.value for rule in answer.overrides],
        )
    return answer


def _is_staff(session: Session, address_id: int) -> bool:
    return session.scalar(select(Address.channel).where(Address.id == address_id)) is ChannelName.STAFF
