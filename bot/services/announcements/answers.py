"""An announcement is answered: the "1", the button, the digit, and which announcements each of them is for.

Which ones a word acknowledges is decided by bot/core/broadcast.py from what went to the address it came from, and when;
what is on its way to that person on other channels ends with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from bot.core import broadcast as deciding
from bot.core.filling import SHORT_ANSWER, chosen
from bot.core.flow import Book, State
from bot.core.words import SENT, BroadcastState, ChannelName, DeliveryState, Outcome
from bot.services.announcements.announcement_lines import FLOW, ask, asks, named_by
from bot.services.centre import Centre
from bot.services.conversation.conversations import Held
from bot.services.delivery.outbox import OWN_PAGES
from store.db import touch
from store.tables import Acknowledgement, Broadcast, BroadcastRecipient, Contact, Delivery, Message


@dataclass(frozen=True, slots=True)
class _Sent:
    """An announcement at one address, with its recipient. `waits`: an answer is still asked for."""

    told: deciding.Told
    recipient_id: int
    waits: bool

    def waits_at(self, now: datetime) -> bool:
        return self.waits and now < self.told.expires_at


def acknowledge(
    session: Session, centre: Centre, held: Held, line: Message | None, words: str, now: datetime
) -> tuple[int, int]:
    """Somebody answers at the conversation's address with `line`: how many announcements that acknowledges, and how
    many there wait for an answer still. On the telephone it is for the call's own."""
    named = named_by((line.understood or {}).get("payload")) if line is not None else None
    if held.channel is ChannelName.VOICE:
        named = held.broadcast_id
    sent = _sent_to(session, centre, held)
    known = deciding.answered([each.told for each in sent], _said_at(line) if line is not None else now, named)
    for each in sent:
        if each.told.broadcast_id in known:
            _acknowledged(session, each.recipient_id, held.channel, words, now)
    waiting = sum(each.waits_at(now) and each.told.broadcast_id not in known for each in sent)
    return len(known), waiting if held.channel is not ChannelName.VOICE else 0


def _said_at(line: Message) -> datetime:
    """When it was written, by the messenger's clock (whole seconds) where that says so: what waited there while we were
    away is older than when it reached us."""
    sent = (line.details or {}).get(SENT)
    return line.at if sent is None else min(line.at, datetime.fromtimestamp(sent + 1, UTC))


def _sent_to(session: Session, centre: Centre, held: Held) -> list[_Sent]:
    """Every announcement that has left us for the conversation's address, the first first."""
    merged = select(Contact.id).where(or_(Contact.id == held.contact_id, Contact.merged_into_id == held.contact_id))
    rows = session.execute(
        select(Delivery.state, Delivery.changed_at, Message.at, BroadcastRecipient, Broadcast)
        .join(BroadcastRecipient, BroadcastRecipient.id == Delivery.recipient_id)
        .join(Broadcast, Broadcast.id == BroadcastRecipient.broadcast_id)
        .join(Message, Message.id == Delivery.message_id)
        .where(Delivery.contact_id.in_(merged), Delivery.address_id == held.address_id)
        .order_by(BroadcastRecipient.id)
        .with_for_update(of=BroadcastRecipient)
    ).all()
    channel = centre.channels.get(held.channel)
    receipts, shown = channel is not None and channel.can.receipts, held.channel in OWN_PAGES
    found = []
    for state, changed_at, left_at, recipient, broadcast in rows:
        acknowledged = recipient.outcome is Outcome.ACKNOWLEDGED
        told = deciding.Told(
            broadcast.id,
            left_at,
            deciding.there_at(state, left_at, changed_at, receipts=receipts, shown=shown),
            broadcast.expires_at or left_at,
            acknowledged,
        )
        waits = asks(broadcast) and not acknowledged and broadcast.state is not BroadcastState.CANCELLED
        found.append(_Sent(told, recipient.id, waits))
    return found


def _acknowledged(session: Session, recipient_id: int, channel: ChannelName, words: str, now: datetime) -> None:
    """Written down once; everything of the announcement still queued for them, on any channel, is cancelled."""
    recipient = session.get_one(BroadcastRecipient, recipient_id)
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    session.execute(
        insert(Acknowledgement)
        .values(recipient_id=recipient.id, channel=channel, text=words[:500], at=now)
        .on_conflict_do_nothing(index_elements=["recipient_id"])
    )
    recipient.outcome, recipient.changed_at, recipient.due_at = Outcome.ACKNOWLEDGED, now, None
    session.execute(
        update(Delivery)
        .where(Delivery.recipient_id == recipient.id, Delivery.state == DeliveryState.QUEUED)
        .values(state=DeliveryState.CANCELLED, changed_at=now)
    )
    touch(session, f"broadcast:{recipient.broadcast_id}", "broadcasts")


# ── what a message is an answer to ──


def opened(
    session: Session,
    centre: Centre,
    held: Held,
    book: Book,
    state: State,
    context: Mapping[str, Any],
    words: str,
    payload: str | None,
    now: datetime,
) -> State:
    """The state in which a message is read: where it answers an announcement whose question is not open any more, or
    lies below another, that question is open. An announcement's own button always does; a "1" where nothing else is
    asked."""
    if FLOW not in book.flows:
        return state
    if named_by(payload) is not None:
        return ask(book, state, context, now).state
    if state.stack or payload is not None or len(words) > SHORT_ANSWER or held.channel is ChannelName.VOICE:
        return state
    asked = ask(book, state, context, now).state
    if chosen(words, asked.offered) is None:
        return state
    return asked if any(each.waits_at(now) for each in _sent_to(session, centre, held)) else state


def pressed(session: Session, centre: Centre, held: Held, message_id: int, now: datetime) -> None:
    """An announcement's button counts also while people hold the conversation and the bot is silent."""
    line = session.get_one(Message, message_id)
    if named_by((line.understood or {}).get("payload")) is not None:
        acknowledge(session, centre, held, line, line.text, now)
