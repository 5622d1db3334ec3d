"""One person of a broadcast's audience, from the first channel to their one outcome (DESIGN §3, ONE BROADCAST).

Which step comes next and what outcome the deliveries prove is decided by bot/core/broadcast.py; this room reads what
that needs and writes down what it says. The same `advance` serves the fan-out, every report and the climb.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core import broadcast as ladder
from bot.core import policy
from bot.core.broadcast import Silent, Tried, Try, Wait
from bot.core.permission import Refused, Why
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
from bot.services import gate, outbox
from bot.services.announcement_lines import asks, put_line, words_for
from bot.services.centre import Centre
from bot.services.contacts import survivor
from bot.services.outbox import OWN_PAGES
from store.db import touch
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
        select(Contact.id, Contact.language, Contact.merged_into_id).where(Contact.id.in_(contact_ids))
    ).all()
    homes = {row.id: survivor(session, row.id) if row.merged_into_id else row.id for row in rows}
    reaches = reaches_of(session, frozenset(homes.values()))
    favourites = _favourites(session, broadcast, contact_ids)
    return {
        row.id: Person(homes[row.id], row.language, tuple(reaches.get(homes[row.id], ())), favourites.get(row.id))
        for row in rows
    }


def reaches_of(session: Session, contact_ids: Collection[int]) -> Mapping[int, Sequence[Reach]]:
    """Every address of these contacts, the preferred first."""
    found: defaultdict[int, list[Reach]] = defaultdict(list)
    for row in session.execute(
        select(Address.contact_id, Address.id, Address.channel, Address.reachable)
        .where(Address.contact_id.in_(contact_ids))
        .order_by(Address.contact_id, Address.rank, Address.id)
    ):
        found[row.contact_id].append(Reach(row.id, row.channel, row.reachable))
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


def deliveries_of(session: Session, recipient_ids: Collection[int]) -> dict[int, list[Delivery]]:
    """What was sent, or is to be, to each of these recipients, in order."""
    found: defaultdict[int, list[Delivery]] = defaultdict(list)
    rows = session.scalars(select(Delivery).where(Delivery.recipient_id.in_(recipient_ids)).order_by(Delivery.id))
    for delivery in rows:
        found[delivery.recipient_id or 0].append(delivery)
    return found


def advance(
    session: Session,
    centre: Centre,
    broadcast: Broadcast,
    recipient: BroadcastRecipient,
    person: Person,
    deliveries: list[Delivery],
    rungs: policy.Broadcast,
    now: datetime,
) -> None:
    """Takes the recipient's next step, where one is due, and writes their outcome. The caller holds both rows' locks.

    `deliveries` are theirs so far, in order; new ones are added to the list.
    """
    if person.favourite is not None:
        rungs = replace(rungs, ladder=tuple(sorted(rungs.ladder, key=lambda step: step.channel != person.favourite)))
    tried = [Tried(d.address_id, d.channel, d.changed_at, d.state) for d in deliveries]
    step: Try | Wait | Silent = Wait(None)
    for _ in range(len(person.reaches) + 1):
        step = _next(broadcast, recipient, person, tried, rungs, now)
        if not isinstance(step, Try):
            break
        delivery = _send(session, centre, broadcast, recipient, person, step, now)
        deliveries.append(delivery)
        tried.append(Tried(delivery.address_id, delivery.channel, now, delivery.state))
    recipient.due_at = _due_at(broadcast, tried, step, now)
    _write(session, broadcast, recipient, _outcome(broadcast, recipient, person, tried, step, rungs), now)


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
    recipient: BroadcastRecipient,
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
    recipient: BroadcastRecipient,
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


def _write(
    session: Session, broadcast: Broadcast, recipient: BroadcastRecipient, outcome: Outcome, now: datetime
) -> None:
    if recipient.outcome is not outcome:
        recipient.outcome, recipient.changed_at = outcome, now
    touch(session, f"broadcast:{broadcast.id}", "broadcasts")


def _send(
    session: Session,
    centre: Centre,
    broadcast: Broadcast,
    recipient: BroadcastRecipient,
    person: Person,
    step: Try,
    now: datetime,
) -> Delivery:
    """One more delivery to this person. On our own pages it is a line of their conversation, there already."""
    say = words_for(centre, broadcast, person.language, step.channel)
    recipient.step += 1
    state, error = DeliveryState.QUEUED, None
    links: dict[str, Any] = {}
    if step.channel in OWN_PAGES:
        state, error = DeliveryState.ACCEPTED, _refused(session, centre, broadcast, person, step, now)
        if error is None:
            links = _line(session, centre, broadcast, person, step, say, now)
        else:
            state = DeliveryState.CANCELLED
    delivery_id = outbox.put(
        session,
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
        **links,
    )
    return session.get_one(Delivery, delivery_id)


def _refused(
    session: Session, centre: Centre, broadcast: Broadcast, person: Person, step: Try, now: datetime
) -> Why | None:
    """The gate's no to a line on our own pages, which no claim asks for later."""
    shelf = centre.library.current
    answer = gate.ask(
        session,
        purpose=broadcast.purpose,
        channel=step.channel,
        contact_id=person.contact_id,
        policies=shelf.policies,
        calendar=shelf.calendar,
        now=now,
        drill=broadcast.drill,
    )
    return answer.reason if isinstance(answer, Refused) else None


def _line(
    session: Session, centre: Centre, broadcast: Broadcast, person: Person, step: Try, say: Say, now: datetime
) -> dict[str, Any]:
    conversation_id, message_id = put_line(
        session,
        centre,
        broadcast,
        contact_id=person.contact_id,
        address_id=step.address_id,
        channel=step.channel,
        language=person.language,
        say=say,
        now=now,
    )
    return {"conversation_id": conversation_id, "message_id": message_id}
