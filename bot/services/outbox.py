"""The outbox: what is to be sent, in one row a delivery, inserted in the transaction of its cause (DESIGN §4).

put → claim → the channel sends, outside → settle; reports may come late, twice and out of order. What a result makes of
a row is decided by bot/core/delivery.py; this room only writes it down. bot/services/dispatch.py drives it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NotRequired, TypedDict, Unpack

from sqlalchemy import and_, exists, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, aliased

from bot.core.splitting import cut
from bot.core.words import ChannelName, DeliveryState, Lane, Language, Outgoing, Purpose, as_buttons
from bot.services.centre import Centre
from bot.services.conversations import Held
from store.db import touch, vault_of
from store.tables import SLOTS, Address, Delivery, Message

BATCH = 100
LEASE = timedelta(seconds=60)  # machine time a claimed row may take to be sent and settled
PRIORITIES = {
    Purpose.EMERGENCY: 0,
    Purpose.STAFF_ALERT: 1,
    Purpose.REPLY: 2,
    Purpose.REQUESTED_CALLBACK: 4,
    Purpose.SERVICE_NOTICE: 5,
    Purpose.FOLLOW_UP: 6,
    Purpose.MARKETING: 8,
}
OWN_PAGES = frozenset({ChannelName.WEBCHAT, ChannelName.REST})  # read there, not sent
LIVE = frozenset({ChannelName.VOICE})  # spoken in the answer to the carrier's request


_PUT = {
    name: dialect.insert(Delivery).on_conflict_do_nothing(index_elements=["dedupe_key"]).returning(Delivery.id)
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}
_PUT_ALL = {
    name: dialect.insert(Delivery.__table__).on_conflict_do_nothing(index_elements=["dedupe_key"])
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}
"""Built once, so that they are compiled once."""


class Fields(TypedDict):
    """What a delivery is made of; times are domain time."""

    dedupe_key: str
    purpose: Purpose
    channel: ChannelName
    address_id: int
    contact_id: int | None
    text: str
    language: Language
    now: datetime
    buttons: NotRequired[Sequence[dict[str, str]]]
    metadata: NotRequired[dict[str, Any] | None]
    not_before: NotRequired[datetime | None]
    expires_at: NotRequired[datetime | None]
    state: NotRequired[DeliveryState]
    error: NotRequired[str | None]
    drill: NotRequired[bool]
    conversation_id: NotRequired[int | None]
    message_id: NotRequired[int | None]
    callback_id: NotRequired[int | None]
    recipient_id: NotRequired[int | None]


LINKS = ("error", "drill", "conversation_id", "message_id", "callback_id", "recipient_id")


def put(session: Session, **fields: Unpack[Fields]) -> int | None:
    """Inserts a delivery; None where one of this dedupe_key is there already, so a cause that runs twice sends once."""
    new = _row(fields)
    delivery_id = session.execute(_PUT[session.get_bind().dialect.name], new).scalar_one_or_none()
    if delivery_id is not None and new["state"] is DeliveryState.QUEUED:
        touch(session, "outbox")
    return delivery_id


def put_all(session: Session, deliveries: Sequence[Fields]) -> None:
    """`put` for many at once, which must give the same fields."""
    if deliveries:
        rows = [_row(fields) for fields in deliveries]
        session.connection().execute(_PUT_ALL[session.get_bind().dialect.name], rows)
        touch(session, "outbox")


def _row(fields: Fields) -> dict[str, Any]:
    purpose, now = fields["purpose"], fields["now"]
    lane_class = Lane.EMERGENCY if purpose is Purpose.EMERGENCY else Lane.CHAT
    lane = f"{fields['address_id']}:{lane_class}"
    return {
        "dedupe_key": fields["dedupe_key"],
        "lane": lane,
        "lane_class": lane_class,
        "slot": slot_of(lane),
        "priority": PRIORITIES[purpose],
        "purpose": purpose,
        "channel": fields["channel"],
        "address_id": fields["address_id"],
        "contact_id": fields["contact_id"],
        "body": {
            "text": fields["text"],
            "language": fields["language"],
            "buttons": list(fields.get("buttons", ())),
            "metadata": fields.get("metadata") or {},
        },
        "not_before": fields.get("not_before") or now,
        "expires_at": fields.get("expires_at"),
        "state": fields.get("state", DeliveryState.QUEUED),
        "created_at": now,
        "changed_at": now,
        **{name: value for name, value in fields.items() if name in LINKS},
    }


def put_lines(
    session: Session,
    centre: Centre,
    held: Held,
    rows: Sequence[dict[str, Any]],
    now: datetime,
    *,
    purpose: Purpose = Purpose.REPLY,
    expires_at: datetime | None = None,
) -> None:
    """Queues a conversation's new lines on a push channel; on our own pages the transcript itself is what is read."""
    if held.channel in OWN_PAGES or held.channel in LIVE or held.channel not in centre.channels:
        return
    for row in rows:
        if row["private"]:
            continue
        message_id = session.scalar(
            select(Message.id).where(Message.conversation_id == held.id, Message.seq == row["seq"])
        )
        parts = cut(row["text"], centre.channels[held.channel].can.max_text)
        for number, part in enumerate(parts, 1):
            # Each part is a delivery of its own: what went out is known part by part, and the lane keeps their order.
            put(
                session,
                dedupe_key=f"line:{held.id}:{row['seq']}{f':{number}' if number > 1 else ''}",
                purpose=purpose,
                channel=held.channel,
                address_id=held.address_id,
                contact_id=held.contact_id,
                text=part,
                language=held.language,
                buttons=(row["buttons"] or ()) if number == len(parts) else (),
                now=now,
                expires_at=expires_at,
                conversation_id=held.id,
                message_id=message_id,
            )


def slot_of(lane: str) -> int:
    """A lane's slot, the same in every process."""
    return int.from_bytes(hashlib.blake2s(lane.encode(), digest_size=2).digest()) % SLOTS


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row on its way out: `attempt` is compared when its result is written, so a stale result changes nothing."""

    out: Outgoing
    attempt: int


def due(
    session: Session, *, channels: Collection[ChannelName], slots: Collection[int] | None, now: datetime, limit: int
) -> list[Delivery]:
    """Locks the rows that may go out now, the first of each lane; a lane with a row in flight or in retry waits."""
    ahead = aliased(Delivery)
    lane_is_busy = exists().where(
        ahead.lane == Delivery.lane,
        (ahead.state == DeliveryState.SENDING)
        | and_(ahead.state == DeliveryState.QUEUED, ahead.id < Delivery.id, ahead.attempt > 0),
    )
    query = (
        select(Delivery)
        .where(
            Delivery.state == DeliveryState.QUEUED,
            Delivery.not_before <= now,
            Delivery.channel.in_(channels),
            ~lane_is_busy,
        )
        .order_by(Delivery.priority, Delivery.not_before, Delivery.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=Delivery)
    )
    if slots is not None:
        query = query.where(Delivery.slot.in_(slots))
    first: dict[str, Delivery] = {}
    for delivery in session.scalars(query):
        first.setdefault(delivery.lane, delivery)
    return list(first.values())


def outgoing(session: Session, delivery: Delivery) -> Outgoing:
    """A row as its channel must send it, the address opened."""
    address = session.get_one(Address, delivery.address_id)
    body = delivery.body
    return Outgoing(
        delivery_id=delivery.id,
        channel=delivery.channel,
        address=vault_of(session).open(address.sealed),
        text=body["text"],
        language=Language(body["language"]),
        buttons=as_buttons(body.get("buttons", ())),
        purpose=delivery.purpose,
        metadata={
            **body.get("metadata", {}),
            "conversation_id": delivery.conversation_id,
            "callback_id": delivery.callback_id,
        },
    )


def taken(session: Session, channel: ChannelName, provider_ids: Sequence[str]) -> frozenset[str]:
    """Which of these provider ids a delivery has already."""
    query = select(Delivery.provider_id).where(Delivery.channel == channel, Delivery.provider_id.in_(provider_ids))
    return frozenset(found for found in session.scalars(query) if found)


def next_due(session: Session, now: datetime) -> datetime | None:
    """When the next queued row may go out, for a rehearsal that jumps."""
    return session.scalar(
        select(Delivery.not_before)
        .where(Delivery.state == DeliveryState.QUEUED, Delivery.not_before > now)
        .order_by(Delivery.not_before)
        .limit(1)
    )
