"""Agents' own telephones (their numbers: roster.py): who is free to be rung, and what an unanswered one means."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import case, exists, func, select
from sqlalchemy.orm import Session, aliased

from bot.core.words import CallbackState, ChannelName, ConversationState, DeliveryState, Language, Presence, Purpose
from bot.services.calls import callbacks
from bot.services.delivery import outbox
from bot.services.permissions import PERMISSIONS, Function
from store.db import touch
from store.tables import Address, Callback, Conversation, Delivery, Staff, StaffNumber, StaffRole

RINGING = timedelta(minutes=3)  # the longest a leg rings, is told who it is and has the customer rung
LOST = timedelta(hours=1)  # a leg that is talked on and nobody has reported on for so long is over
NOT_AGAIN = timedelta(minutes=2)  # before somebody who did not take a caller is rung for the same one again
UP = (DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.ACCEPTED, DeliveryState.DELIVERED)
OVER = frozenset(DeliveryState) - frozenset((*UP, DeliveryState.UNKNOWN))  # one that may be ringing is not over


def free(session: Session, now: datetime, tried: str, first: int | None = None) -> tuple[Staff, Address] | None:
    """Who is rung next: online, with a telephone that is not in use and room for one more; `first` before the others,
    then the longest not rung. `tried` begins the keys of legs whose agents are passed over for a while.

    A leg whose end nobody told, as while the program was down, keeps its telephone only as long as it can ring; longer
    where its agent does talk with a customer, and has answered no other since.
    """
    leg, later, lately, holds = aliased(Delivery), aliased(Delivery), aliased(Delivery), aliased(Conversation)
    legs = (
        leg.address_id == StaffNumber.voice_id,
        leg.purpose == Purpose.STAFF_ALERT,
        leg.channel == ChannelName.VOICE,
    )
    rings = exists().where(*legs, leg.state.in_(UP), leg.changed_at > now - RINGING)
    answered_since = exists().where(
        later.address_id == leg.address_id,
        later.purpose == Purpose.STAFF_ALERT,
        later.channel == ChannelName.VOICE,
        later.id > leg.id,
        later.state.in_((DeliveryState.DELIVERED, DeliveryState.HEARD)),
    )
    up = exists().where(*legs, leg.state == DeliveryState.DELIVERED, leg.changed_at > now - LOST, ~answered_since)
    talks = exists().where(
        holds.state == ConversationState.AGENT, holds.channel == ChannelName.VOICE, holds.staff_id == Staff.id
    )
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
            ~(rings | (up & talks)),
            ~passed,
        )
        .order_by(
            case((Staff.id == first, 0), else_=1), func.coalesce(last.scalar_subquery(), 0), Staff.id, StaffNumber.kind
        )
        .limit(1)
        .with_for_update(of=Staff)
    ).one_or_none()
    return (row[0], row[1]) if row is not None else None


def legs_of(conversation_id: int) -> str:
    """How the keys begin of the legs that a caller's own call rings."""
    return f"leg:{conversation_id}:"


def up_for(session: Session, conversation_id: int) -> list[Delivery]:
    """The legs a caller's own call rings, or is connected to, as far as we were told; the latest first."""
    up = select(Delivery).where(
        Delivery.dedupe_key.startswith(legs_of(conversation_id), autoescape=True), Delivery.state.in_(UP)
    )
    return list(session.scalars(up.order_by(Delivery.id.desc())))


def ring(
    session: Session,
    tried: str,
    metadata: Mapping[str, object],
    now: datetime,
    *,
    first: int | None = None,
    expires_at: datetime | None = None,
    by_the_caller: bool = False,
) -> int | None:
    """Writes down the leg to whoever is free (as `free` has it), the next whose key begins with `tried`; its delivery's
    id, None where nobody is free. `by_the_caller`: their own call rings it, nothing is left to send."""
    found = free(session, now, tried, first)
    if found is None:
        return None
    person, address = found
    legs = select(func.count()).where(Delivery.dedupe_key.startswith(tried, autoescape=True))
    return outbox.put(
        session,
        dedupe_key=f"{tried}{(session.scalar(legs) or 0) + 1}",
        purpose=Purpose.STAFF_ALERT,
        channel=ChannelName.VOICE,
        address_id=address.id,
        contact_id=None,
        text="",
        language=Language(person.language),
        metadata=dict(metadata),
        now=now,
        expires_at=expires_at,
        state=DeliveryState.ACCEPTED if by_the_caller else DeliveryState.QUEUED,
        attempt=int(by_the_caller),
    )


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
    if callback.state is CallbackState.DIALLING and not callbacks.under_way(session, callback):
        callback.state, callback.due_at = CallbackState.SCHEDULED, now
        touch(session, "callbacks")


def leg_changed(session: Session, delivery: Delivery, now: datetime) -> None:
    """An agent who was rung first did not come, or hung up without a word."""
    owed = callback_of(session, delivery) if delivery.state in OVER else None
    if owed is not None:
        pass_on(session, owed, now)
