"""Outbox rows and what becomes of them, written down: many in one transaction, told once to whoever stands behind them
(a callback, a broadcast). What a result makes of a row is decided by bot/core/delivery.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.delivery import Change, Row
from bot.core.words import ChannelName, DeliveryState, Purpose, Report
from bot.services.announcements import flights
from bot.services.calls import agent_phones, callbacks
from bot.services.centre import Centre
from store.db import touch
from store.tables import Address, Conversation, Delivery

INVALID = frozenset({"invalid", "invalid_number"})  # no such number: nothing is sent there again


@dataclass(frozen=True, slots=True)
class Changed:
    """A row and what becomes of it; `word` is the report that said so."""

    delivery: Delivery
    change: Change
    word: Report | None = None


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
    for each in changes:
        _set(each.delivery, each.change)
        each.delivery.changed_at = now
        if each.change.state is DeliveryState.FAILED and each.change.error in INVALID:
            session.get_one(Address, each.delivery.address_id).reachable = False
    session.flush()
    for each in changes:
        if each.delivery.callback_id is not None:
            callbacks.delivery_changed(session, centre, each.delivery, each.word, now)
        if each.delivery.purpose is Purpose.STAFF_ALERT and each.delivery.channel is ChannelName.VOICE:
            agent_phones.leg_changed(session, each.delivery, now)
    announced = [each.delivery for each in changes if each.delivery.recipient_id is not None]
    flights.deliveries_changed(session, centre, announced, now)
    for each in changes:
        if each.delivery.conversation_id is not None:
            touch(session, f"conversation:{each.delivery.conversation_id}")
            _unreachable(session, each.delivery)


def _set(delivery: Delivery, change: Change) -> None:
    delivery.state = change.state
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


def _unreachable(session: Session, delivery: Delivery) -> None:
    """A line that cannot reach the customer is shown to whoever holds the conversation."""
    if delivery.state is DeliveryState.FAILED:
        holder = session.scalar(select(Conversation.staff_id).where(Conversation.id == delivery.conversation_id))
        if holder is not None:
            touch(session, "floor", f"staff:{holder}")
