"""Drives the outbox: claim → still wanted? may we? → the channel sends → settle (DESIGN §3, §4, §5).

Claiming and settling are short transactions of up to a hundred rows each; the channel is called between them, outside
(sending.py, settling.py). A row that changes is told to whoever stands behind it in the same transaction
(deliveries.py). What was lost on the way is asked for, then sent again or left as it honestly is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core import delivery as machine
from bot.core.delivery import Change
from bot.core.permission import Refused
from bot.core.words import ChannelName, DeliveryState, LooksUp, Outgoing, Rejected, Report, TryLater, Unsure
from bot.services import days, gate
from bot.services.announcements import flights
from bot.services.calls import callbacks, lines
from bot.services.centre import Centre
from bot.services.delivery import outbox
from bot.services.delivery.deliveries import Changed, row_of, write_down
from bot.services.delivery.outbox import BATCH, LEASE, Claimed
from bot.services.delivery.pace import Pace
from bot.services.delivery.sending import SEND_WITHIN, Sender
from bot.services.escalation import ladders
from store.many import among
from store.tables import Delivery

log = structlog.get_logger()
ASK_AFTER = timedelta(
    seconds=15
)  # an unknown row waits so long for a late report before the provider is asked, or again
ASK_FOR = timedelta(minutes=5)  # a provider that cannot be asked all this time counts as one that does not know
AT_ONCE = 8  # questions a provider is asked at the same time


@dataclass(frozen=True, slots=True)
class Offer:
    """How many rows of a channel may be claimed, and how many of these places conversations are asked first."""

    channel: ChannelName
    rows: int
    conversations: int


async def drain(centre: Centre, pace: Pace, slots: Collection[int] | None, halt: asyncio.Event | None = None) -> int:
    """Sends what is due, once around; gives how many rows were handled. Once `halt` is set nothing more leaves, and
    what is in the air is waited for."""
    halt = halt or asyncio.Event()
    if halt.is_set():
        return 0
    offers = []
    for name, channel in centre.channels.items():
        if channel.can.push and (free := await pace.room(name)) > 0:
            rows = min(BATCH, free)
            offers.append(Offer(name, rows, pace.for_conversations(name, rows)))
    if not offers:
        return 0
    handled, claimed, talked = await centre.db.write(lambda s: _claim(s, centre, offers, slots), bulk=True)
    for offer in offers:
        pace.taken_by_conversations(offer.channel, talked.get(offer.channel, 0))
    sender = Sender(centre, pace, _still_wanted, halt)
    await asyncio.gather(*(sender.send_all(name, rows) for name, rows in claimed.items()))
    return handled


# ── claim ──


def _claim(
    session: Session, centre: Centre, offers: Sequence[Offer], slots: Collection[int] | None
) -> tuple[int, dict[ChannelName, list[Claimed]], dict[ChannelName, int]]:
    """How many rows were looked at, those that go out now by channel, and how many conversations took first."""
    now, until = centre.clock.now(), centre.clock.machine() + LEASE - timedelta(seconds=SEND_WITHIN)
    due: list[Delivery] = []
    talked: dict[ChannelName, int] = {}
    for offer in _within_lines(session, centre, offers):
        first = outbox.due(
            session, channel=offer.channel, slots=slots, now=now, limit=offer.conversations, conversations=True
        )
        talked[offer.channel] = len(first)
        due += first
        due += outbox.due(
            session,
            channel=offer.channel,
            slots=slots,
            now=now,
            limit=offer.rows - len(first),
            besides=[each.lane for each in first],
        )
    if not due:
        return 0, {}, talked
    due = _one_a_person(due)
    going = _take(session, centre, due)
    addresses = outbox.addresses_of(session, going)
    claimed: dict[ChannelName, list[Claimed]] = {}
    for delivery in going:
        out = outbox.outgoing(session, delivery, addresses[delivery.address_id])
        claimed.setdefault(delivery.channel, []).append(Claimed(out, delivery.attempt, until))
    return len(due), claimed, talked


def _one_a_person(due: Sequence[Delivery]) -> list[Delivery]:
    """What the gate allows now counts when it is asked about the same person again: at the next claim."""
    met: set[int] = set()
    taken = []
    for delivery in due:
        if delivery.contact_id is not None and delivery.purpose not in gate.UNASKED:
            if delivery.contact_id in met:
                continue
            met.add(delivery.contact_id)
        taken.append(delivery)
    return taken


def _within_lines(session: Session, centre: Centre, offers: Sequence[Offer]) -> list[Offer]:
    """No more calls than the carrier has lines for."""
    if all(offer.channel is not ChannelName.VOICE for offer in offers):
        return list(offers)
    free = lines.free(session, centre.library.current.policies, centre.clock.now())
    if free is None:
        return list(offers)
    return [
        replace(offer, rows=min(offer.rows, free), conversations=min(offer.conversations, free))
        if offer.channel is ChannelName.VOICE
        else offer
        for offer in offers
    ]


def _take(session: Session, centre: Centre, due: Sequence[Delivery]) -> list[Delivery]:
    """Marks the rows that go out now as being sent, and writes down why others do not."""
    now, machine_now, shelf = centre.clock.now(), centre.clock.machine(), centre.library.current
    wanted = _wanted(session, due)
    asked = [delivery for delivery in due if delivery.id in wanted]
    answers = gate.ask_for_all(session, asked, shelf.policies, days.calendar(session, centre), now)
    changes: list[Changed] = []
    for delivery in due:
        answer = answers.get(delivery.id)
        change: Change | None
        if answer is None:
            change = Change(DeliveryState.CANCELLED)
        elif isinstance(answer, Refused):
            change = _refused(delivery, answer)
        else:
            change = machine.claimed(row_of(delivery), now, machine_now, LEASE)
        if change is not None:
            owner = centre.worker if change.state is DeliveryState.SENDING else None
            changes.append(Changed(delivery, change, owner=owner))
    write_down(session, centre, changes)
    return [each.delivery for each in changes if each.change.state is DeliveryState.SENDING]


def _wanted(session: Session, due: Sequence[Delivery]) -> set[int]:
    """Whose cause still wants them: a cancelled callback, an acknowledged announcement, a taken alert do not."""
    announced = flights.wanted(session, [each for each in due if each.recipient_id is not None])
    return {
        each.id
        for each in due
        if (each.callback_id is None or callbacks.wanted(session, each))
        and (each.recipient_id is None or each.id in announced)
        and (each.escalation_id is None or ladders.climbs(session, ladders.the(each.escalation_id)))
    }


def _still_wanted(session: Session, delivery_ids: Sequence[int]) -> set[int]:
    """Asked about rows that are claimed already and have not left."""
    deliveries = session.scalars(select(Delivery).where(among(Delivery.id, delivery_ids))).all()
    return _wanted(session, deliveries) - flights.stopped(session, delivery_ids)


def _refused(delivery: Delivery, answer: Refused) -> Change:
    """The gate says no: later, when waiting mends it and it is still worth sending, else never."""
    later = answer.until
    if later is not None and (delivery.expires_at is None or later < delivery.expires_at):
        return Change(DeliveryState.QUEUED, not_before=later, error=answer.reason)
    return Change(DeliveryState.CANCELLED, error=answer.reason)


# ── a provider's word ──


async def report(centre: Centre, word: Report) -> bool:
    """A provider's word on a delivery; False where no delivery is meant by it."""
    return await centre.db.write(lambda s: report_now(s, centre, word))


def report_now(session: Session, centre: Centre, word: Report) -> bool:
    """`report` inside a transaction that is open already."""
    query = select(Delivery).with_for_update()
    if word.delivery_id is not None:
        query = query.where(Delivery.id == word.delivery_id)
    elif word.provider_id is not None:
        query = query.where(Delivery.channel == word.channel, Delivery.provider_id == word.provider_id)
    else:
        return False
    delivery = session.scalar(query.limit(1))
    if delivery is None or delivery.channel is not word.channel:
        return False
    change = machine.reported(row_of(delivery), word)
    if change is not None:
        write_down(session, centre, [Changed(delivery, change, word)])
    return True


# ── what was lost ──


async def sweep(centre: Centre) -> int:
    """A page of both; gives how many rows there were."""
    lost = await centre.db.write(lambda s: _leases(s, centre))
    unknown = await centre.db.write(lambda s: _unknown(s, centre))
    turns = asyncio.Semaphore(AT_ONCE)

    async def ask(out: Outgoing, attempt: int, since: datetime) -> None:
        async with turns:
            try:
                found = await _look_up(centre, out, since)
            except (TryLater, Unsure, Rejected) as error:
                log.warning("dispatch.look_up_failed", channel=out.channel, error=type(error).__name__)
                if centre.clock.machine() < since + LEASE + ASK_FOR:
                    return  # not to know is not to be told that nothing was sent: it is asked again
                found = None
        await centre.db.write(partial(_told, centre=centre, out=out, attempt=attempt, found=found))

    await asyncio.gather(*(ask(*each) for each in unknown))
    return lost + len(unknown)


async def _look_up(centre: Centre, out: Outgoing, since: datetime) -> Report | None:
    channel = centre.channels.get(out.channel)
    return await channel.look_up(out, since) if isinstance(channel, LooksUp) else None


def _leases(session: Session, centre: Centre) -> int:
    machine_now = centre.clock.machine()
    rows = session.scalars(
        select(Delivery)
        .where(Delivery.state == DeliveryState.SENDING, Delivery.lease_until <= machine_now)
        .order_by(Delivery.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    changes = [(delivery, machine.lease_lost(row_of(delivery), machine_now)) for delivery in rows]
    write_down(session, centre, [Changed(delivery, change) for delivery, change in changes if change is not None])
    return len(rows)


def _unknown(session: Session, centre: Centre) -> list[tuple[Outgoing, int, datetime]]:
    """Each with its attempt and when that began (machine time). Who dies while asking leaves it to be asked again."""
    rows = session.scalars(
        select(Delivery)
        .where(
            Delivery.state == DeliveryState.UNKNOWN,
            Delivery.asked < Delivery.attempt,
            Delivery.changed_at <= centre.clock.now() - ASK_AFTER,
        )
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    for delivery in rows:
        delivery.changed_at = centre.clock.now()
    machine_now = centre.clock.machine()
    return [(outbox.outgoing(session, each), each.attempt, (each.lease_until or machine_now) - LEASE) for each in rows]


def _told(session: Session, *, centre: Centre, out: Outgoing, attempt: int, found: Report | None) -> None:
    delivery = session.get_one(Delivery, out.delivery_id, with_for_update=True)
    if delivery.attempt != attempt:
        return
    delivery.asked = attempt
    row = row_of(delivery)
    change = machine.reported(row, found) if found else machine.still_unknown(row, centre.clock.now())
    if change is not None:
        write_down(session, centre, [Changed(delivery, change, found)])
