"""Asks the one permission gate (bot/core/permission.py) with what the database knows about a person."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from sqlalchemy import Select, and_, or_, select
from sqlalchemy.orm import Session

from bot.core.permission import (
    Allowed,
    Consent,
    ConsentKind,
    Contacted,
    ContactFacts,
    Refused,
    Why,
    may_contact,
    stopped,
)
from bot.core.policy import Policies, Window
from bot.core.windows import Calendar
from bot.core.words import ChannelName, DeliveryState, Purpose, Rule
from bot.services import audit, contacts
from store.many import among
from store.tables import Address, Contact, Delivery, Staff, StaffNumber
from store.tables import Consent as StoredConsent

UNASKED = frozenset({Purpose.REPLY, Purpose.STAFF_ALERT})  # nothing is known of a contact that could hold these up
LOOK_BACK = timedelta(days=31)  # as far as the longest cap an operator may set
REACHED_OUT = (
    DeliveryState.SENDING,
    DeliveryState.ACCEPTED,
    DeliveryState.DELIVERED,
    DeliveryState.HEARD,
    DeliveryState.READ,
    DeliveryState.UNKNOWN,
)
UP = frozenset({DeliveryState.SENDING, DeliveryState.ACCEPTED, DeliveryState.DELIVERED})  # of a call: not over yet
CALL_LIMIT = timedelta(minutes=60)  # a call without a final report by then is over, or nobody knows
RANG = ("busy", "no_answer", "no-answer", "declined", "machine")  # why a call failed that did reach a telephone


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
    people = known(session, [contact_id], now)
    return people.facts(contact_id, channel, drill=drill, staff=staff_address, besides=besides or 0)


@dataclass(frozen=True, slots=True)
class _Made:
    """A contact made by a delivery; `call_up`: a call that is not over yet."""

    delivery_id: int
    contacted: Contacted
    call_up: bool


@dataclass(frozen=True, slots=True)
class Known:
    """What the gate wants to know of many people at once, by the contact that was asked for."""

    contacts: Mapping[int, Contact]
    given: Mapping[int, Mapping[str, tuple[bool, datetime]]]
    recent: Mapping[int, Sequence[_Made]]

    def facts(self, contact_id: int, channel: ChannelName, *, drill: bool, staff: bool, besides: int) -> ContactFacts:
        contact, given = self.contacts[contact_id], self.given.get(contact_id, {})
        recent = [each for each in self.recent.get(contact_id, ()) if each.delivery_id != besides]
        return ContactFacts(
            zone=contact.timezone,
            do_not_contact=stopped({scope for scope, (granted, _) in given.items() if not granted}, channel),
            consents={kind: Consent(*given[kind.value]) for kind in ConsentKind if kind.value in given},
            recent_contacts=tuple(each.contacted for each in recent),
            segments=frozenset(contact.segments),
            hours=own_hours(contact),
            drill=drill,
            test_address=staff,
            on_the_phone=any(each.call_up for each in recent),
        )


def known(session: Session, contact_ids: Collection[int], now: datetime) -> Known:
    """A merged contact is who it became, and what was said to any of them counts."""
    asked = {row.id: row for row in session.scalars(select(Contact).where(among(Contact.id, contact_ids)))}
    joined = set(session.scalars(select(Contact.merged_into_id).where(among(Contact.merged_into_id, asked)))) | {
        each.id for each in asked.values() if each.merged_into_id is not None
    }
    people = {each: contacts.same_person(session, each) if each in joined else [each] for each in asked}
    asker: defaultdict[int, list[int]] = defaultdict(list)
    for contact_id, same in people.items():
        for each in same:
            asker[each].append(contact_id)
    given: defaultdict[int, dict[str, tuple[bool, datetime]]] = defaultdict(dict)
    for word in session.execute(
        select(StoredConsent.contact_id, StoredConsent.scope, StoredConsent.granted, StoredConsent.at)
        .where(among(StoredConsent.contact_id, {same[0] for same in people.values()}))
        .order_by(StoredConsent.id)
    ):
        given[word.contact_id][word.scope] = word.granted, word.at
    recent: defaultdict[int, list[_Made]] = defaultdict(list)
    for row in session.execute(_recent(list(asker), now)):
        up = row.channel is ChannelName.VOICE and row.state in UP and row.changed_at > now - CALL_LIMIT
        reached = row.state is not DeliveryState.FAILED
        made = _Made(row.id, Contacted(row.changed_at, row.channel, row.purpose, reached=reached), up)
        for contact_id in asker[row.contact_id]:
            recent[contact_id].append(made)
    return Known(
        {each: session.get_one(Contact, same[0]) for each, same in people.items()},
        {each: given[same[0]] for each, same in people.items()},
        recent,
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


def ask_for_all(
    session: Session, deliveries: Sequence[Delivery], policies: Policies, calendar: Calendar, now: datetime
) -> dict[int, Allowed | Refused]:
    """The gate's word on outbox rows at the moment they would go out, by their id; overrides are audited. A drill's row
    goes to staff alone, whatever it is for and whoever made it (REQ-F54)."""
    ours = _staff(session, {each.address_id for each in deliveries if each.drill})
    answers: dict[int, Allowed | Refused] = {
        each.id: Refused(Rule.DRILL, Why.DRILL, None)
        for each in deliveries
        if each.drill and each.address_id not in ours
    }
    deliveries = [each for each in deliveries if each.id not in answers]
    asked = [each for each in deliveries if each.purpose not in UNASKED and each.contact_id is not None]
    people = known(session, {each.contact_id for each in asked if each.contact_id is not None}, now)
    staff = _staff(session, {each.address_id for each in asked})
    overridden: list[audit.Entry] = []
    for delivery in deliveries:
        if delivery.purpose is Purpose.STAFF_ALERT:
            to_staff = ContactFacts(zone=policies.zone, drill=delivery.drill, test_address=True)
            answers[delivery.id] = may_contact(delivery.purpose, delivery.channel, to_staff, policies, calendar, now)
            continue
        if delivery.purpose is Purpose.REPLY or delivery.contact_id is None:
            answers[delivery.id] = Allowed()
            continue
        names: Any = delivery.body.get("metadata", {}).get("windows")
        facts_now = people.facts(
            delivery.contact_id,
            delivery.channel,
            drill=delivery.drill,
            staff=delivery.address_id in staff,
            besides=delivery.id,
        )
        answer = answers[delivery.id] = may_contact(
            delivery.purpose,
            delivery.channel,
            facts_now,
            policies,
            calendar,
            now,
            windows=tuple(names) if names else None,
        )
        if isinstance(answer, Allowed) and answer.overrides:
            rules = [rule.value for rule in answer.overrides]
            overridden.append(audit.Entry(delivery.id, {"purpose": delivery.purpose.value, "rules": rules}))
    audit.record_all(session, "gate.override", "delivery", overridden, now=now)
    return answers


def _recent(people: Sequence[int], now: datetime) -> Select[Any]:
    rang = and_(Delivery.channel == ChannelName.VOICE, Delivery.state == DeliveryState.FAILED, Delivery.error.in_(RANG))
    return select(
        Delivery.id,
        Delivery.contact_id,
        Delivery.changed_at,
        Delivery.channel,
        Delivery.purpose,
        Delivery.state,
    ).where(
        among(Delivery.contact_id, people),
        Delivery.created_at > now - LOOK_BACK,
        or_(Delivery.state.in_(REACHED_OUT), rang),
        Delivery.purpose != Purpose.REPLY,
    )


def _staff(session: Session, address_ids: Collection[int]) -> set[int]:
    """Which of these addresses are staff's: the console's own, a chat or a telephone put down as somebody's."""
    if not address_ids:
        return set()
    own = select(Address.id).where(among(Address.id, address_ids), Address.channel == ChannelName.STAFF)
    chats = select(Staff.telegram_id).where(among(Staff.telegram_id, address_ids))
    texts = select(StaffNumber.sms_id).where(among(StaffNumber.sms_id, address_ids))
    calls = select(StaffNumber.voice_id).where(among(StaffNumber.voice_id, address_ids))
    return {each for each in session.scalars(own.union(chats, texts, calls)) if each is not None}
