"""Drives the outbox: claim → still wanted? may we? → the channel sends → settle (DESIGN §3, §4).

Claiming and settling are one short transaction each; the channel is called between them, outside. A row that changes is
told to whoever stands behind it (a callback, a broadcast recipient) in the same transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core import delivery as machine
from bot.core.delivery import Change, Row
from bot.core.permission import Refused
from bot.core.words import (
    Channel,
    ChannelName,
    DeliveryState,
    LooksUp,
    Outgoing,
    Rejected,
    Report,
    Sent,
    TryLater,
    Unsure,
)
from bot.services import broadcasts, callbacks, gate, outbox
from bot.services.centre import Centre
from bot.services.outbox import BATCH, LEASE, Claimed
from bot.services.pace import Pace
from store.db import touch
from store.tables import Address, Conversation, Delivery

log = structlog.get_logger()
ASK_AFTER = timedelta(seconds=15)  # how long an unknown row waits for a late report before the provider is asked
SEND_WITHIN = 45.0  # seconds one send may take; the lease outlives it
INVALID = frozenset({"invalid", "invalid_number"})  # no such number: nothing is sent there again
Answer = Sent | Rejected | TryLater | Unsure


async def drain(centre: Centre, pace: Pace, slots: Collection[int] | None) -> int:
    """Sends what is due, once around; gives how many rows were claimed."""
    room = {name: await pace.room(name) for name in centre.channels if centre.channels[name].can.push}
    open_channels = [name for name, free in room.items() if free > 0]
    if not open_channels:
        return 0
    limit = min(BATCH, max(room[name] for name in open_channels))
    claimed = await centre.db.write(lambda s: _claim(s, centre, open_channels, slots, limit))
    await asyncio.gather(*(_send(centre, pace, each) for each in claimed))
    return len(claimed)


def _claim(
    session: Session,
    centre: Centre,
    channels: Sequence[ChannelName],
    slots: Collection[int] | None,
    limit: int,
) -> list[Claimed]:
    now, machine_now, shelf = centre.clock.now(), centre.clock.machine(), centre.library.current
    claimed: list[Claimed] = []
    for delivery in outbox.due(session, channels=channels, slots=slots, now=now, limit=limit):
        if not _wanted(session, delivery):
            _change(session, centre, delivery, Change(DeliveryState.CANCELLED))
            continue
        answer = gate.ask_for(session, delivery, shelf.policies, shelf.calendar, now)
        if isinstance(answer, Refused):
            _refuse(session, centre, delivery, answer)
            continue
        change = machine.claimed(_row(delivery), now, machine_now, LEASE)
        if change is None:
            continue
        delivery.lease_owner = centre.worker
        _change(session, centre, delivery, change)
        if change.state is DeliveryState.SENDING:
            claimed.append(Claimed(outbox.outgoing(session, delivery), delivery.attempt))
    return claimed


def _wanted(session: Session, delivery: Delivery) -> bool:
    """Whether its cause still wants it: a cancelled callback or an acknowledged announcement does not."""
    if delivery.callback_id is not None:
        return callbacks.wanted(session, delivery)
    if delivery.recipient_id is not None:
        return broadcasts.wanted(session, delivery)
    return True


def _refuse(session: Session, centre: Centre, delivery: Delivery, answer: Refused) -> None:
    """The gate says no: later, when waiting mends it and it is still worth sending, else never."""
    later = answer.until
    if later is not None and (delivery.expires_at is None or later < delivery.expires_at):
        _change(session, centre, delivery, Change(DeliveryState.QUEUED, not_before=later, error=answer.reason))
    else:
        _change(session, centre, delivery, Change(DeliveryState.CANCELLED, error=answer.reason))


async def _send(centre: Centre, pace: Pace, claimed: Claimed) -> None:
    out = claimed.out
    channel = centre.channels[out.channel]
    await pace.turn(out.channel, out.address)
    answer = await _ask_channel(channel, out)
    await centre.db.write(lambda s: _settle(s, centre, claimed, answer))


async def _ask_channel(channel: Channel, out: Outgoing) -> Answer:
    try:
        return await asyncio.wait_for(channel.send(out), SEND_WITHIN)
    except (Rejected, TryLater, Unsure) as answer:
        return answer
    except TimeoutError:
        return Unsure("no answer in time")
    except Exception as error:
        # A channel's own fault: what left the house is not known, and one row must not stop the others.
        log.exception("dispatch.channel_failed", channel=out.channel, delivery=out.delivery_id)
        return Unsure(type(error).__name__)


def _settle(session: Session, centre: Centre, claimed: Claimed, answer: Answer) -> None:
    delivery = session.get_one(Delivery, claimed.out.delivery_id, with_for_update=True)
    row, now = _row(delivery), centre.clock.now()
    if isinstance(answer, Sent):
        change = machine.sent(row, claimed.attempt, answer)
    elif isinstance(answer, Rejected):
        change = machine.rejected(row, claimed.attempt, answer.reason)
        if answer.unreachable:
            session.get_one(Address, delivery.address_id).reachable = False
    elif isinstance(answer, TryLater):
        change = machine.try_later(row, claimed.attempt, answer.after, now)
    else:
        change = machine.unsure(row, claimed.attempt)
    if change is not None:
        _change(session, centre, delivery, change)


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
    change = machine.reported(_row(delivery), word)
    if change is not None:
        _change(session, centre, delivery, change, word)
    return True


async def sweep(centre: Centre) -> int:
    """Rows whose worker died, and rows nobody knows about: asked for, then sent again or left as they honestly are."""
    lost = await centre.db.write(lambda s: _leases(s, centre))
    unknown = await centre.db.write(lambda s: _unknown(s, centre))
    for out, attempt, since in unknown:
        channel = centre.channels.get(out.channel)
        found: Report | None = None
        if isinstance(channel, LooksUp):
            try:
                found = await channel.look_up(out, since)
            except (TryLater, Unsure, Rejected) as error:
                log.warning("dispatch.look_up_failed", channel=out.channel, error=type(error).__name__)
        await centre.db.write(partial(_told, centre=centre, out=out, attempt=attempt, found=found))
    return lost + len(unknown)


def _leases(session: Session, centre: Centre) -> int:
    machine_now = centre.clock.machine()
    rows = session.scalars(
        select(Delivery)
        .where(Delivery.state == DeliveryState.SENDING, Delivery.lease_until <= machine_now)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    for delivery in rows:
        change = machine.lease_lost(_row(delivery), machine_now)
        if change is not None:
            _change(session, centre, delivery, change)
    return len(rows)


def _unknown(session: Session, centre: Centre) -> list[tuple[Outgoing, int, datetime]]:
    """Each with its attempt and when that began (machine time)."""
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
        delivery.asked = delivery.attempt
    machine_now = centre.clock.machine()
    return [(outbox.outgoing(session, each), each.attempt, (each.lease_until or machine_now) - LEASE) for each in rows]


def _told(session: Session, *, centre: Centre, out: Outgoing, attempt: int, found: Report | None) -> None:
    delivery = session.get_one(Delivery, out.delivery_id, with_for_update=True)
    if delivery.attempt != attempt:
        return
    row = _row(delivery)
    change = machine.reported(row, found) if found else machine.still_unknown(row, centre.clock.now())
    if change is not None:
        _change(session, centre, delivery, change, found)


def _row(delivery: Delivery) -> Row:
    return Row(
        state=delivery.state,
        purpose=delivery.purpose,
        channel=delivery.channel,
        attempt=delivery.attempt,
        seq=delivery.provider_seq,
        provider_id=delivery.provider_id,
        not_before=delivery.not_before,
        expires_at=delivery.expires_at,
        lease_until=delivery.lease_until,
    )


def _change(session: Session, centre: Centre, delivery: Delivery, change: Change, word: Report | None = None) -> None:
    """Writes a change down and tells whoever stands behind the row."""
    now = centre.clock.now()
    delivery.state = change.state
    delivery.changed_at = now
    delivery.lease_until = change.lease_until
    if change.not_before is not None:
        delivery.not_before = change.not_before
    if change.error is not None:
        delivery.error = change.error
    if change.seq is not None:
        delivery.provider_seq = change.seq
    if change.provider_id is not None:
        delivery.provider_id = change.provider_id
    if change.attempt is not None:
        delivery.attempt = change.attempt
    if change.state is DeliveryState.FAILED and change.error in INVALID:
        session.get_one(Address, delivery.address_id).reachable = False
    session.flush()
    if delivery.callback_id is not None:
        callbacks.delivery_changed(session, centre, delivery, word, now)
    if delivery.recipient_id is not None:
        broadcasts.delivery_changed(session, centre, delivery, now)
    if delivery.conversation_id is not None:
        touch(session, f"conversation:{delivery.conversation_id}")
        _unreachable(session, delivery)


def _unreachable(session: Session, delivery: Delivery) -> None:
    """A line that cannot reach the customer is shown to whoever holds the conversation."""
    if delivery.state is DeliveryState.FAILED:
        holder = session.scalar(select(Conversation.staff_id).where(Conversation.id == delivery.conversation_id))
        if holder is not None:
            touch(session, "floor", f"staff:{holder}")
