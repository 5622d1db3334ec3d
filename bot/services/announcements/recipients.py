"""One person of a broadcast's audience, from the first channel to their one outcome (DESIGN §3, ONE BROADCAST).

Which step comes next and what outcome the deliveries prove is decided by bot/core/broadcast.py; this room reads what
that needs and writes down what it says. The same `advance` serves the fan-out, every report and the climb.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from bot.core import broadcast as ladder
from bot.core import policy
from bot.core.broadcast import Silent, Tried, Try, Wait
from bot.core.permission import Refused, Why, may_contact
from bot.core.policy import BroadcastStep
from bot.core.words import (
    BroadcastState,
    ChannelName,
    DeliveryState,
    Language,
    Outcome,
    Reach,
    Say,
)
from bot.services import gate
from bot.services.announcements.announcement_lines import Line, asks, put_lines, words_for
from bot.services.centre import Centre
from bot.services.contacts import survivor
from bot.services.delivery import outbox
from bot.services.delivery.outbox import OWN_PAGES
from store.db import touch
from store.many import among, update_each
from store.tables import Acknowledgement, Address, Broadcast, BroadcastRecipient, Contact, Delivery

WAIT = timedelta(minutes=15)  # for a channel the policies' ladder does not name
GOT_THROUGH = (DeliveryState.READ, DeliveryState.HEARD, DeliveryState.DELIVERED, DeliveryState.ACCEPTED)


@dataclass(frozen=True, slots=True)
class Person:
    """What sending to one recipient needs. `reaches`: preferred first; `favourite`: the channel that worked before."""

    contact_id: int
    language: Language
    reaches: tuple[Reach, ...]
    favourite: ChannelName | None = None


@dataclass(slots=True)
class Recipient:
    """A row of `broadcast_recipient` while a transaction works on it; `advance` writes it back."""

    id: int
    broadcast_id: int
    contact_id: int
    outcome: Outcome
    step: int
    told: bool
    due_at: datetime | None
    changed_at: datetime


RECIPIENTS = select(*(getattr(BroadcastRecipient, each.name) for each in fields(Recipient)))


WRITTEN = ("id", "outcome", "step", "due_at", "changed_at")


def locked(session: Session, query: Select[Any], *, skip: bool = False) -> list[Recipient]:
    """The recipients that `query`, made of RECIPIENTS, finds, locked; `skip`: but not those that others hold."""
    query = query.with_for_update(of=BroadcastRecipient, skip_locked=skip)
    return [Recipient(*row) for row in session.execute(query)]


def usable(centre: Centre, broadcast: Broadcast) -> tuple[ChannelName, ...]:
    """The broadcast's channels that this installation has, in order."""
    names = (ChannelName(name) for name in broadcast.channels)
    return tuple(name for name in names if name in OWN_PAGES or name in centre.channels)


def policy_of(session: Session, centre: Centre, broadcast: Broadcast) -> policy.Broadcast:
    """The policies it was approved under, with its own ladder of channels."""
    frozen = centre.library.policies(session, broadcast.policies).broadcast
    waits = {step.channel: step.wait for step in frozen.ladder}
    return replace(
        frozen, ladder=tuple(BroadcastStep(name, waits.get(name, WAIT)) for name in usable(centre, broadcast))
    )


def people(session: Session, broadcast: Broadcast, contact_ids: Collection[int]) -> dict[int, Person]:
    """The people behind these contacts, by the contact that was frozen; a merged one is who it became."""
    rows = session.execute(
        select(Contact.id, Contact.language, Contact.merged_into_id).where(among(Contact.id, contact_ids))
    ).all()
    homes = {each: survivor(session, each) if merged else each for each, _, merged in rows}
    reaches = reaches_of(session, frozenset(homes.values()))
    favourites = _favourites(session, broadcast, contact_ids)
    return {
        each: Person(homes[each], language, tuple(reaches.get(homes[each], ())), favourites.get(each))
        for each, language, _ in rows
    }


def reaches_of(session: Session, contact_ids: Collection[int]) -> Mapping[int, Sequence[Reach]]:
    """Every address of these contacts, the preferred first."""
    found: defaultdict[int, list[Reach]] = defaultdict(list)
    for contact_id, address_id, channel, reachable in session.execute(
        select(Address.contact_id, Address.id, Address.channel, Address.reachable)
        .where(among(Address.contact_id, contact_ids))
        .order_by(Address.contact_id, Address.rank, Address.id)
    ):
        found[contact_id].append(Reach(address_id, channel, reachable))
    return found


def _favourites(session: Session, broadcast: Broadcast, contact_ids: Collection[int]) -> dict[int, ChannelName]:
    """The channel by which each person was reached by the broadcast this one follows: the acknowledged one, else the
    one that got furthest."""
    if broadcast.follows_id is None:
        return {}
    ids = select(BroadcastRecipient.id, BroadcastRecipient.contact_id).where(
        BroadcastRecipient.broadcast_id == broadcast.follows_id, BroadcastRecipient.contact_id.in_(contact_ids)
    )
    recipients = ids.subquery()
    delivered = session.execute(
        select(recipients.c.contact_id, Delivery.id, Delivery.channel, Delivery.state)
        .join(recipients, recipients.c.id == Delivery.recipient_id)
        .where(Delivery.state.in_(GOT_THROUGH))
    ).all()
    worst_first = sorted(delivered, key=lambda row: (-GOT_THROUGH.index(row.state), -row.id))
    worked = {row.contact_id: row.channel for row in worst_first if arrived(row.channel, row.state)}
    acknowledged = session.execute(
        select(recipients.c.contact_id, Acknowledgement.channel).join(
            recipients, recipients.c.id == Acknowledgement.recipient_id
        )
    )
    return worked | {row.contact_id: row.channel for row in acknowledged}


def tried_of(session: Session, recipient_ids: Collection[int]) -> dict[int, list[Tried]]:
    """What was sent, or is to be, to each of these recipients, in order."""
    found: defaultdict[int, list[Tried]] = defaultdict(list)
    if not recipient_ids:
        return found
    for recipient_id, *sent in session.execute(
        select(Delivery.recipient_id, Delivery.address_id, Delivery.channel, Delivery.changed_at, Delivery.state)
        .where(among(Delivery.recipient_id, recipient_ids))
        .order_by(Delivery.id)
    ):
        found[recipient_id].append(Tried(*sent))
    return found


@dataclass(frozen=True)
class Flight:
    """A broadcast as one transaction works on it: its ladder, its people, each text worked out once, what it makes."""

    centre: Centre
    broadcast: Broadcast
    rungs: policy.Broadcast
    people: Mapping[int, Person]
    made: list[outbox.Fields] = field(default_factory=list)
    _says: dict[tuple[Language, ChannelName, bool], Say] = field(default_factory=dict)
    _allowed: dict[int, gate.Known] = field(default_factory=dict)

    @classmethod
    def of(cls, session: Session, centre: Centre, broadcast: Broadcast, contact_ids: Collection[int]) -> Flight:
        known = people(session, broadcast, contact_ids)
        return cls(centre, broadcast, policy_of(session, centre, broadcast), known)

    def say(self, language: Language, channel: ChannelName, told: bool) -> Say:
        key = language, channel, told
        if key not in self._says:
            self._says[key] = words_for(self.centre, self.broadcast, language, channel, told=told)
        return self._says[key]

    def says(self, line: Line) -> Say:
        return self.say(line.language, line.channel, line.told)

    def refused(self, session: Session, person: Person, channel: ChannelName, now: datetime) -> Why | None:
        """The gate's no to a line on our own pages, which no claim asks for later."""
        if 0 not in self._allowed:
            self._allowed[0] = gate.known(session, {each.contact_id for each in self.people.values()}, now)
        shelf = self.centre.library.current
        facts = self._allowed[0].facts(person.contact_id, channel, drill=self.broadcast.drill, staff=False, besides=0)
        answer = may_contact(self.broadcast.purpose, channel, facts, shelf.policies, shelf.calendar, now)
        return answer.reason if isinstance(answer, Refused) else None


def advance(session: Session, flight: Flight, recipients: Sequence[Recipient], now: datetime) -> None:
    """Takes each recipient's next step, where one is due, and writes their outcome; the caller holds their locks."""
    tried = tried_of(session, [recipient.id for recipient in recipients if recipient.step])
    written = []
    for recipient in recipients:
        before = recipient.outcome, recipient.step, recipient.due_at
        _advance(session, flight, recipient, flight.people[recipient.contact_id], tried[recipient.id], now)
        if before != (recipient.outcome, recipient.step, recipient.due_at):
            written.append({name: getattr(recipient, name) for name in WRITTEN})
    _put_on_pages(session, flight, recipients, now)
    outbox.put_all(session, flight.made)
    flight.made.clear()
    update_each(session, BroadcastRecipient, written)
    touch(session, f"broadcast:{flight.broadcast.id}", "broadcasts")


def _put_on_pages(session: Session, flight: Flight, recipients: Sequence[Recipient], now: datetime) -> None:
    """What is read on our own pages stands there before anybody is told so."""
    shown = {
        each["address_id"]: each
        for each in flight.made
        if each["channel"] in OWN_PAGES and each["state"] is DeliveryState.ACCEPTED
    }
    told = {each.id for each in recipients if each.told}
    lines = [
        Line(each["contact_id"] or 0, address_id, each["channel"], each["language"], each["recipient_id"] in told)
        for address_id, each in shown.items()
    ]
    for address_id, kept in put_lines(session, flight.centre, flight.broadcast, lines, flight.says, now).items():
        shown[address_id]["conversation_id"], shown[address_id]["message_id"] = kept


def _advance(
    session: Session, flight: Flight, recipient: Recipient, person: Person, tried: list[Tried], now: datetime
) -> None:
    broadcast, rungs = flight.broadcast, flight.rungs
    if person.favourite is not None:
        rungs = replace(rungs, ladder=tuple(sorted(rungs.ladder, key=lambda step: step.channel != person.favourite)))
    step: Try | Wait | Silent = Wait(None)
    for _ in range(len(person.reaches) + 1):
        step = _next(broadcast, recipient, person, tried, rungs, now)
        if not isinstance(step, Try):
            break
        tried.append(_send(session, flight, recipient, person, step, now))
    recipient.due_at = _due_at(broadcast, tried, step, now)
    outcome = _outcome(broadcast, recipient, person, tried, step, rungs)
    if recipient.outcome is not outcome:
        recipient.outcome, recipient.changed_at = outcome, now


def _due_at(broadcast: Broadcast, tried: Sequence[Tried], step: Try | Wait | Silent, now: datetime) -> datetime | None:
    """When to look again; None: they are done. What is still on its way is looked at once it is no longer worth it."""
    if not isinstance(step, Wait) or step.until is not None:
        return step.until if isinstance(step, Wait) else None
    assert broadcast.expires_at is not None
    on_its_way = broadcast.state is BroadcastState.RUNNING and tried and tried[-1].state in ladder.ON_ITS_WAY
    return max(broadcast.expires_at, now + WAIT) if on_its_way else None


def arrived(channel: ChannelName, state: DeliveryState) -> bool:
    """Whether a delivery is on the person's side: on our own page only once the page has shown it."""
    return state in GOT_THROUGH and (channel not in OWN_PAGES or state is not DeliveryState.ACCEPTED)


def _next(
    broadcast: Broadcast,
    recipient: Recipient,
    person: Person,
    tried: Sequence[Tried],
    rungs: policy.Broadcast,
    now: datetime,
) -> Try | Wait | Silent:
    heard = any(each.state in (DeliveryState.HEARD, DeliveryState.READ) for each in tried)
    enough = heard if asks(broadcast) else any(arrived(each.channel, each.state) for each in tried)
    running = broadcast.state is BroadcastState.RUNNING
    settled = recipient.outcome is Outcome.ACKNOWLEDGED or not running or enough
    assert broadcast.expires_at is not None
    reaches = () if broadcast.drill else person.reaches  # a drill never reaches customers (REQ-F54)
    return ladder.next_step(reaches, tried, rungs, now, expires_at=broadcast.expires_at, settled=settled)


def _outcome(
    broadcast: Broadcast,
    recipient: Recipient,
    person: Person,
    tried: Sequence[Tried],
    step: Try | Wait | Silent,
    rungs: policy.Broadcast,
) -> Outcome:
    channels = {each.channel for each in rungs.ladder}
    reachable = any(reach.reachable and reach.channel in channels for reach in person.reaches)
    outcome = ladder.outcome_of(
        (each.state for each in tried),
        acknowledged=recipient.outcome is Outcome.ACKNOWLEDGED,
        reachable=reachable,
    )
    over = isinstance(step, Silent)
    if outcome is Outcome.PENDING and broadcast.state is BroadcastState.CANCELLED:
        return Outcome.CANCELLED
    if outcome is Outcome.PENDING and over:
        return Outcome.CANCELLED if broadcast.drill else Outcome.EXPIRED
    if outcome in (Outcome.FAILED, Outcome.CANCELLED) and over:
        return Outcome.UNREACHABLE  # every channel was tried, or the gate said no to it
    return outcome


def _send(session: Session, flight: Flight, recipient: Recipient, person: Person, step: Try, now: datetime) -> Tried:
    """One more delivery to this person. On our own pages it is a line of their conversation, there already."""
    broadcast, say = flight.broadcast, flight.say(person.language, step.channel, recipient.told)
    recipient.step += 1
    state, error = DeliveryState.QUEUED, None
    if step.channel in OWN_PAGES:
        error = flight.refused(session, person, step.channel, now)
        state = DeliveryState.ACCEPTED if error is None else DeliveryState.CANCELLED
    flight.made.append(
        outbox.Fields(
            dedupe_key=f"broadcast:{broadcast.id}:{recipient.contact_id}:{recipient.step}",
            purpose=broadcast.purpose,
            channel=step.channel,
            address_id=step.address_id,
            contact_id=person.contact_id,
            text=say.text,
            language=person.language,
            buttons=[{"title": b.title, "payload": b.payload} for b in say.buttons],
            now=now,
            expires_at=broadcast.expires_at,
            state=state,
            error=error,
            recipient_id=recipient.id,
            drill=broadcast.drill,
            conversation_id=None,
            message_id=None,
        )
    )
    return Tried(step.address_id, step.channel, now, state)
