"""Outbox rows and what becomes of them, written down: many in one transaction, told once to whoever stands behind them
(a callback, a broadcast). What a result makes of a row is decided by bot/core/delivery.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.delivery import NOT_CARRIED, Change, Row
from bot.core.words import ChannelName, DeliveryState, Purpose, Report
from bot.services.announcements import flights
from bot.services.calls import agent_phones, callbacks
from bot.services.centre import Centre
from bot.services.delivery import outbox
from store.db import touch
from store.many import assume, update_each
from store.tables import Address, Conversation, Delivery

INVALID = frozenset({"invalid", "invalid_number"})  # no such number: nothing is sent there again


@dataclass(frozen=True, slots=True)
class Changed:
    """A row and what becomes of it; `word` is the report that said so, `owner` the worker that sends it."""

    delivery: Delivery
    change: Change
    word: Report | None = None
    owner: str | None = None


def row_of(delivery: Delivery) -> Row:
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


def write_down(session: Session, centre: Centre, changes: Sequence[Changed]) -> None:
    """Writes changes of locked rows and tells whoever stands behind them."""
    now = centre.clock.now()
    rows: dict[int, dict[str, Any]] = {}
    for each in changes:
        assume(each.delivery, columns := _columns(each, now))
        rows[each.delivery.id] = {"id": each.delivery.id, **columns}
        if each.change.state is DeliveryState.FAILED and each.change.error in INVALID:
            session.get_one(Address, each.delivery.address_id).reachable = False
    announced = [each.delivery for each in changes if each.delivery.recipient_id is not None]
    moved = flights.moved(session, centre, announced)
    for broadcast in moved:
        for delivery, besides in flights.kept(session, broadcast, now):
            assume(delivery, besides)
            rows[delivery.id].update(besides)
    update_each(session, Delivery, list(rows.values()))
    for each in changes:
        if each.delivery.callback_id is not None:
            callbacks.delivery_changed(session, centre, each.delivery, each.word, now)
        if each.delivery.purpose is Purpose.STAFF_ALERT and each.delivery.channel is ChannelName.VOICE:
            agent_phones.leg_changed(session, each.delivery, now)
    sending = [e.recipient_id for e in announced if e.state is DeliveryState.SENDING and e.recipient_id is not None]
    if sending:
        flights.sending(session, sending, now)
    for broadcast in moved:
        flights.follow(session, broadcast, now)
    for each in changes:
        if each.delivery.conversation_id is not None:
            touch(session, f"conversation:{each.delivery.conversation_id}")
            if each.change.state is DeliveryState.FAILED and each.change.error == NOT_CARRIED:
                outbox.put_link(session, each.delivery, now)
            _unreachable(session, each.delivery)


def _columns(changed: Changed, now: datetime) -> dict[str, Any]:
    """What is written of the row; None in a change leaves a field as it is."""
    change = changed.change
    kept = {
        "not_before": change.not_before,
        "error": change.error,
        "provider_seq": change.seq,
        "provider_id": change.provider_id,
        "attempt": change.attempt,
        "lease_owner": changed.owner,
    }
    written = {name: value for name, value in kept.items() if value is not None}
    return {"state": change.state, "lease_until": change.lease_until, "changed_at": now, **written}


def _unreachable(session: Session, delivery: Delivery) -> None:
    """A line that cannot reach the customer is shown to whoever holds the conversation."""
    if delivery.state is DeliveryState.FAILED:
        holder = session.scalar(select(Conversation.staff_id).where(Conversation.id == delivery.conversation_id))
        if holder is not None:
            touch(session, "floor", f"staff:{holder}")
