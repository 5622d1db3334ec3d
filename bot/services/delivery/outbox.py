"""The outbox: what is to be sent, in one row a delivery, inserted in the transaction of its cause (DESIGN §4).

put → claim → the channel sends, outside → settle; reports may come late, twice and out of order. What a result makes of
a row is decided by bot/core/delivery.py; this room only writes it down. bot/services/delivery/dispatch.py drives it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, NotRequired, TypedDict, Unpack

from sqlalchemy import exists, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, aliased

from bot.core.media import Enclosure, MediaKind
from bot.core.splitting import cut
from bot.core.words import (
    Author,
    Channel,
    ChannelName,
    DeliveryState,
    Encloses,
    Lane,
    Language,
    Outgoing,
    Purpose,
    as_buttons,
)
from bot.services.centre import Centre
from bot.services.conversation import media
from bot.services.conversation.conversations import Held
from bot.services.i18n import N_, text
from store.db import touch, vault_of
from store.many import among, insert_each
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
CONVERSATIONS = (PRIORITIES[Purpose.STAFF_ALERT], PRIORITIES[Purpose.REQUESTED_CALLBACK])
"""The priorities of what belongs to a conversation, which a broadcast leaves its share of the rate."""

AGAIN = ":again:"  # in the key of a delivery that goes out in the place of a failed one
LINKED = N_("给您发了文件“%(name)s”，%(days)s天内点开：%(link)s")

OWN_PAGES = frozenset({ChannelName.WEBCHAT, ChannelName.REST})  # read there, not sent
LIVE = frozenset({ChannelName.VOICE})  # spoken in the answer to the carrier's request


_PUT = {
    name: dialect.insert(Delivery).on_conflict_do_nothing(index_elements=["dedupe_key"]).returning(Delivery.id)
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}
"""Built once, so that they are compiled once."""


_flying, _retried = aliased(Delivery), aliased(Delivery)
_FREE_LANES = (
    select(Delivery)
    .where(
        Delivery.state == DeliveryState.QUEUED,
        ~exists().where(_flying.lane == Delivery.lane, _flying.state == DeliveryState.SENDING),
        ~exists().where(
            _retried.lane == Delivery.lane,
            _retried.state == DeliveryState.QUEUED,
            _retried.id < Delivery.id,
            _retried.attempt > 0,
        ),
    )
    .order_by(Delivery.priority, Delivery.not_before, Delivery.id)
    .with_for_update(skip_locked=True, of=Delivery)
)
"""Queued rows, the first of each lane; built once, for an alias costs more than the query."""


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
    enclosure: NotRequired[Enclosure | None]
    replies_to: NotRequired[str]  # the provider's id of the message it answers
    not_before: NotRequired[datetime | None]
    expires_at: NotRequired[datetime | None]
    state: NotRequired[DeliveryState]
    attempt: NotRequired[int]  # 1 where another call of ours carries it, which reports count for
    error: NotRequired[str | None]
    drill: NotRequired[bool]
    conversation_id: NotRequired[int | None]
    message_id: NotRequired[int | None]
    callback_id: NotRequired[int | None]
    recipient_id: NotRequired[int | None]
    escalation_id: NotRequired[int | None]


LINKS = ("attempt", "error", "drill", "conversation_id", "message_id", "callback_id", "recipient_id", "escalation_id")


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
        insert_each(session, Delivery, [_row(fields) for fields in deliveries], unless=["dedupe_key"])
        touch(session, "outbox")


def _row(fields: Fields) -> dict[str, Any]:
    purpose, now = fields["purpose"], fields["now"]
    lane_class = Lane.EMERGENCY if purpose is Purpose.EMERGENCY else Lane.CHAT
    lane = f"{fields['address_id']}:{lane_class}"
    return {
        "dedupe_key": fields["dedupe_key"],
        "lane": lane,
        "lane_class": lane_class,
        "slot": fields["address_id"] % SLOTS,
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
            **({"enclosure": asdict(enclosure)} if (enclosure := fields.get("enclosure")) else {}),
            **({"replies_to": answered} if (answered := fields.get("replies_to")) else {}),
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
    windows: Sequence[str] = (),
) -> None:
    """Queues a conversation's new lines on a push channel; on our own pages the transcript itself is what is read."""
    if held.channel in OWN_PAGES or held.channel in LIVE or held.channel not in centre.channels:
        return
    for row in rows:
        if row["private"]:
            continue
        message_id = _message(session, held, row["seq"])
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
                metadata={"windows": list(windows)} if windows else None,
                replies_to=_answered(session, centre, held, row) if number == 1 else "",
                conversation_id=held.id,
                message_id=message_id,
            )


def put_file(
    session: Session,
    centre: Centre,
    held: Held,
    row: dict[str, Any],
    enclosure: Enclosure,
    now: datetime,
) -> None:
    """Queues a line that is a file; where the channel does not carry it, its link goes out in words."""
    if held.channel in OWN_PAGES or held.channel in LIVE or held.channel not in centre.channels:
        return
    carries = _carries(session, centre.channels[held.channel], held, enclosure)
    put(
        session,
        dedupe_key=f"line:{held.id}:{row['seq']}",
        purpose=Purpose.REPLY,
        channel=held.channel,
        address_id=held.address_id,
        contact_id=held.contact_id,
        text="" if carries else _linked(held.language, enclosure),
        language=held.language,
        now=now,
        enclosure=enclosure if carries else None,
        replies_to=_answered(session, centre, held, row),
        conversation_id=held.id,
        message_id=_message(session, held, row["seq"]),
    )


def _carries(session: Session, channel: Channel, held: Held, enclosure: Enclosure) -> bool:
    if channel.can.files or not isinstance(channel, Encloses):
        return channel.can.files
    address = session.get_one(Address, held.address_id)
    return channel.encloses(vault_of(session).open(address.sealed), enclosure)


def _linked(language: Language, enclosure: Enclosure) -> str:
    return text(language, LINKED, name=enclosure.called, days=media.LINK.days, link=enclosure.link)


def put_link(session: Session, row: Delivery, now: datetime) -> None:
    """A file that the carrier did not bring after all goes out as its link, once, in the same line's place."""
    if "enclosure" not in row.body:
        return
    put(
        session,
        dedupe_key=f"{row.dedupe_key}{AGAIN}link",
        purpose=row.purpose,
        channel=row.channel,
        address_id=row.address_id,
        contact_id=row.contact_id,
        text=_linked(Language(row.body["language"]), _enclosure(row.body["enclosure"])),
        language=Language(row.body["language"]),
        now=now,
        conversation_id=row.conversation_id,
        message_id=row.message_id,
    )


def repeat(session: Session, row: Delivery, dedupe_key: str, now: datetime) -> None:
    """The same to the same address once more, as a delivery of its own."""
    body = row.body
    enclosure = body.get("enclosure")
    put(
        session,
        dedupe_key=dedupe_key,
        purpose=row.purpose,
        channel=row.channel,
        address_id=row.address_id,
        contact_id=row.contact_id,
        text=body["text"],
        language=Language(body["language"]),
        buttons=body.get("buttons", ()),
        metadata=body.get("metadata"),
        enclosure=_enclosure(enclosure) if enclosure else None,
        replies_to=body.get("replies_to", ""),
        now=now,
        conversation_id=row.conversation_id,
        message_id=row.message_id,
    )


def _message(session: Session, held: Held, seq: int) -> int | None:
    return session.scalar(select(Message.id).where(Message.conversation_id == held.id, Message.seq == seq))


def _answered(session: Session, centre: Centre, held: Held, row: dict[str, Any]) -> str:
    """The provider's id of the message that a line quotes; "" where it quotes none, or the channel cannot show it."""
    quoted = (row.get("details") or {}).get("quotes")
    if quoted is None or not centre.channels[held.channel].can.quotes:
        return ""
    line = session.scalars(select(Message).where(Message.conversation_id == held.id, Message.seq == quoted)).one()
    if line.author is Author.CUSTOMER:
        return str((line.details or {}).get("message", ""))
    sent = select(Delivery.provider_id).where(Delivery.message_id == line.id, Delivery.provider_id.is_not(None))
    return session.scalar(sent.order_by(Delivery.id).limit(1)) or ""


def _enclosure(told: dict[str, Any]) -> Enclosure:
    return Enclosure(**{**told, "kind": MediaKind(told["kind"])})


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row on its way out: `attempt` is compared when its result is written, so a stale result changes nothing.
    `until` (machine time) it may leave; later, its lease could be over before its answer is there."""

    out: Outgoing
    attempt: int
    until: datetime


def due(
    session: Session,
    *,
    channel: ChannelName,
    slots: Collection[int] | None,
    now: datetime,
    limit: int,
    conversations: bool = False,
    besides: Collection[str] = (),
) -> list[Delivery]:
    """Locks a channel's rows that may go out now, the first of each lane; a lane with a row in flight or in retry
    waits. `conversations`: only what belongs to one. `besides`: lanes that have had their turn."""
    if limit <= 0:
        return []
    query = _FREE_LANES.where(Delivery.channel == channel, Delivery.not_before <= now).limit(limit)
    if conversations:
        query = query.where(Delivery.priority.between(*CONVERSATIONS))
    if slots is not None:
        query = query.where(Delivery.slot.in_(slots))
    first: dict[str, Delivery] = {}
    for delivery in session.scalars(query):
        if delivery.lane not in besides:
            first.setdefault(delivery.lane, delivery)
    return list(first.values())


def addresses_of(session: Session, deliveries: Sequence[Delivery]) -> dict[int, Address]:
    """The addresses these rows go to, by id."""
    wanted = {delivery.address_id for delivery in deliveries}
    return (
        {each.id: each for each in session.scalars(select(Address).where(among(Address.id, wanted)))} if wanted else {}
    )


def outgoing(session: Session, delivery: Delivery, address: Address | None = None) -> Outgoing:
    """A row as its channel must send it, the address opened."""
    address = address or session.get_one(Address, delivery.address_id)
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
        enclosure=_enclosure(body["enclosure"]) if "enclosure" in body else None,
        replies_to=body.get("replies_to", ""),
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
