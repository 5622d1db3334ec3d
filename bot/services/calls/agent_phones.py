"""Agents' own telephones (their numbers: roster.py): who is free to be rung, and what an unanswered one means."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import case, exists, func, select
from sqlalchemy.orm import Session, aliased

from bot.core.words import CallbackState, ChannelName, ConversationState, DeliveryState, Presence, Purpose
from bot.services.calls import callbacks
from bot.services.permissions import PERMISSIONS, Function
from store.db import touch
from store.tables import Address, CallAttempt, Callback, Conversation, Delivery, Staff, StaffNumber, StaffRole

LOST = timedelta(hours=1)  # a leg nobody has reported on for so long is over
NOT_AGAIN = timedelta(minutes=2)  # before somebody who did not take a caller is rung for the same one again
UP = (DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.ACCEPTED, DeliveryState.DELIVERED)
OVER = frozenset(DeliveryState) - frozenset((*UP, DeliveryState.UNKNOWN))  # one that may be ringing is not over


def free(session: Session, now: datetime, tried: str, first: int | None = None) -> tuple[Staff, Address] | None:
    """Who is rung next: online, with a telephone that is not in use and room for one more; `first` before the others,
    then the longest not rung. `tried` begins the keys of legs whose agents are passed over for a while."""
    leg, lately, holds = aliased(Delivery), aliased(Delivery), aliased(Conversation)
    legs = (
        leg.address_id == StaffNumber.voice_id,
        leg.purpose == Purpose.STAFF_ALERT,
        leg.channel == ChannelName.VOICE,
    )
    in_use = exists().where(*legs, leg.state.in_(UP), leg.changed_at > now - LOST)
    passed = exists().where(*legs, leg.dedupe_key.startswith(tried, autoescape=True), leg.created_at > now - NOT_AGAIN)
    last = select(func.max(lately.id)).where(
        lately.address_id == StaffNumber.voice_id,
        lately.purpose == Purpose.STAFF_ALERT,
        lately.channel == ChannelName.VOICE,
    )
    held = select(func.count()).where(holds.state == ConversationState.AGENT, holds.staff_id == Staff.id)
    handles = exists().where(
        StaffRole.staff_id == Staff.id, StaffRole.role.in_(list(PERMISSIONS[Function.HANDLE_QUEUE]))
    )
    row = session.execute(
        select(Staff, Address)
        .join(StaffNumber, StaffNumber.staff_id == Staff.id)
        .join(Address, Address.id == StaffNumber.voice_id)
        .where(
            Staff.active,
            Staff.presence == Presence.ONLINE,
            Address.reachable,
            handles,
            held.scalar_subquery() < Staff.capacity,
            ~in_use,
            ~passed,
        )
        .order_by(
            case((Staff.id == first, 0), else_=1), func.coalesce(last.scalar_subquery(), 0), Staff.id, StaffNumber.kind
        )
        .limit(1)
        .with_for_update(of=Staff)
    ).one_or_none()
    return (row[0], row[1]) if row is not None else None


def owner(session: Session, delivery: Delivery) -> Staff | None:
    """Whose telephone a leg rings."""
    return session.scalar(
        select(Staff)
        .join(StaffNumber, StaffNumber.staff_id == Staff.id)
        .where(StaffNumber.voice_id == delivery.address_id, Staff.active)
        .order_by(Staff.id)
        .limit(1)
    )


def callback_of(session: Session, delivery: Delivery) -> Callback | None:
    """The callback an agent is rung for."""
    callback_id = delivery.body.get("metadata", {}).get("callback")
    return callbacks.lock(session, callback_id) if callback_id is not None else None


def pass_on(session: Session, callback: Callback, now: datetime) -> None:
    """This agent does not make the call: the next one is rung at the next beat."""
    if callback.state is CallbackState.DIALLING and not under_way(session, callback):
        callback.state, callback.due_at = CallbackState.SCHEDULED, now
        touch(session, "callbacks")


def leg_changed(session: Session, delivery: Delivery, now: datetime) -> None:
    """An agent who was rung first did not come, or hung up without a word."""
    owed = callback_of(session, delivery) if delivery.state in OVER else None
    if owed is not None:
        pass_on(session, owed, now)


def under_way(session: Session, callback: Callback) -> CallAttempt | None:
    """The attempt under way."""
    return next((a for a in callbacks.attempts_of(session, callback) if a.ended_at is None), None)
