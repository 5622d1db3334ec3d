"""Conversations as rows: found or opened, held while a turn is worked out, written back once (DESIGN §3, ONE MESSAGE).

These statements are the hot path, so they are Core statements; `Held` is the working copy a turn changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, cast

from sqlalchemy import BindParameter, Row, Table, Update, bindparam, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from bot.core.words import Author, ChannelName, ConversationState, Language, Parse, Say
from bot.services import contacts
from bot.services.refusal import NotFoundError
from store.db import touch, vault_of
from store.many import among, insert_each
from store.search import words_of
from store.tables import Address, Contact, Conversation, Message

MAX_TEXT = 4000  # characters of one message; channels refuse longer ones where they enter
OPEN = text("conversation.state <> 'closed'")  # literal, so that the partial index serves


@dataclass(slots=True)
class Held:
    """A conversation while one transaction works on it; `save` writes it back. `name` … `phone` are the contact's."""

    id: int
    contact_id: int
    address_id: int
    channel: ChannelName
    state: ConversationState
    language: Language
    book: str
    flow: dict[str, Any]
    seq: int
    revision: int
    staff_id: int | None
    callback_id: int | None
    broadcast_id: int | None
    unanswered_since: datetime | None = None
    name: str = ""
    title: str = ""
    unit: str | None = None
    phone: str | None = None
    zone: str = ""
    segments: Sequence[str] = ()
    changes: dict[str, Any] = field(default_factory=dict)
    found: tuple[Any, ...] = ()  # its `standing` as it was read

    @property
    def standing(self) -> tuple[Any, ...]:
        """What staff see of a conversation beside its lines."""
        return self.state, self.staff_id, self.language, self.flow

    def change(self, **columns: Any) -> None:
        """Notes further columns to be written back with the turn."""
        self.changes.update(columns)

    def moved(self) -> bool:
        """Whether more changed than that lines were added."""
        return self.standing != self.found or any(
            name not in self.__slots__ or getattr(self, name) != value for name, value in self.changes.items()
        )


_Number = aliased(Address)
_phone = (
    select(_Number.sealed)
    .where(_Number.contact_id == Contact.id, _Number.channel == ChannelName.VOICE)
    .order_by(_Number.rank, _Number.id)
    .limit(1)
    .correlate(Contact)
    .scalar_subquery()
)
_COLUMNS = (
    Conversation.id,
    Conversation.state,
    Conversation.language,
    Conversation.book,
    Conversation.flow,
    Conversation.seq,
    Conversation.revision,
    Conversation.staff_id,
    Conversation.callback_id,
    Conversation.broadcast_id,
    Conversation.unanswered_since,
    Conversation.channel,
    Address.id.label("address_id"),
    Contact.id.label("contact_id"),
    Contact.merged_into_id,
    Contact.name,
    Contact.title,
    Contact.unit_sealed,
    Contact.timezone,
    Contact.segments,
    Contact.language.label("contact_language"),
    _phone.label("phone_sealed"),
)
_ROWS = select(*_COLUMNS).select_from(Conversation).join(Address, Address.id == Conversation.address_id)
_LOCKED = _ROWS.with_for_update(of=Conversation)  # on PostgreSQL: the row as whoever held it before has left it
_BY_ADDRESS = _LOCKED.join(Contact, Contact.id == Address.contact_id).where(
    Address.channel == bindparam("channel"), Address.blind == bindparam("blind"), OPEN
)
_BY_ADDRESSES = (
    _LOCKED.join(Contact, Contact.id == Conversation.contact_id)
    .where(Conversation.address_id.in_(bindparam("address_ids", expanding=True)), OPEN)
    .order_by(Conversation.id)
)
_BY_ID = _LOCKED.join(Contact, Contact.id == Conversation.contact_id).where(
    Conversation.id == bindparam("conversation_id")
)


def find_open(session: Session, channel: ChannelName, address: str) -> Held | None:
    """The open conversation of an address, locked; None where there is none."""
    parameters = {"channel": channel, "blind": vault_of(session).blind(channel, address)}
    row = session.connection().execute(_BY_ADDRESS, parameters).one_or_none()
    return None if row is None else _held(session, row)


def open_at(
    session: Session, channel: ChannelName, address: str, *, language: Language, zone: str, book: str, now: datetime
) -> Held:
    """Opens a conversation at an address, with contact and address on first sight."""
    known = contacts.meet(session, channel, address, language=language, zone=zone, now=now)
    return open_conversation(session, known.contact_id, known.address_id, channel, language, book, now)


def hold(session: Session, conversation_id: int) -> Held:
    """A conversation by its id, locked; raises NotFoundError where there is none."""
    session.flush()
    row = session.connection().execute(_BY_ID, {"conversation_id": conversation_id}).one_or_none()
    if row is None:
        raise NotFoundError
    return _held(session, row)


def hold_at(
    session: Session,
    book: str,
    contact_id: int,
    address_id: int,
    channel: ChannelName,
    language: Language,
    now: datetime,
) -> Held:
    """The open conversation at an address we speak to first, locked; opened with `book` where there is none."""
    query = select(Conversation.id).where(Conversation.address_id == address_id, OPEN)
    if (conversation_id := session.scalar(query)) is not None:
        return hold(session, conversation_id)
    try:
        with session.begin_nested():
            return open_conversation(session, contact_id, address_id, channel, language, book, now)
    except IntegrityError:  # the person wrote at this very moment
        return hold(session, session.scalars(query).one())


def open_conversation(
    session: Session,
    contact_id: int,
    address_id: int,
    channel: ChannelName,
    language: Language,
    book: str,
    now: datetime,
    **columns: Any,
) -> Held:
    """Opens a conversation; the caller knows that the address has no open one."""
    row = {
        "contact_id": contact_id,
        "address_id": address_id,
        "channel": channel,
        "state": ConversationState.BOT,
        "language": language,
        "book": book,
        "flow": {},
        "opened_at": now,
    }
    conversation_id: int = session.connection().execute(_OPEN, row | columns).scalar_one()
    touch(session, f"address:{address_id}")  # a page that showed the earlier conversation goes on with this one
    return hold(session, conversation_id)


def hold_many(session: Session, address_ids: Collection[int]) -> dict[int, Held]:
    """The open conversations at these addresses, locked, by address."""
    if not address_ids:
        return {}
    session.flush()
    parameters = {"address_ids": list(address_ids)}
    return {row.address_id: _held(session, row) for row in session.connection().execute(_BY_ADDRESSES, parameters)}


def add_line_to_each(session: Session, said: Sequence[tuple[Held, Say]], author: Author, now: datetime) -> list[int]:
    """One line for each of these conversations, and all of them saved; gives the messages' ids in that order."""
    rows = []
    for held, say in said:
        held.seq += 1
        rows.append(_new_line(held.id, held.seq, held.channel, author, say, now))
    added = _add_lines(session, rows)
    saved: defaultdict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for held, _ in said:
        columns = _columns_of(session, held)
        saved[tuple(sorted(columns))].append({"held_id": held.id} | {f"new_{n}": v for n, v in columns.items()})
    for names, parameters in saved.items():
        session.connection().execute(_saving(names), parameters)
    return [added[held.id] for held, _ in said]


@dataclass(frozen=True, slots=True)
class Opening:
    """A conversation that we open with one line of ours, its flow waiting for the answer."""

    contact_id: int
    address_id: int
    channel: ChannelName
    language: Language
    flow: dict[str, Any]
    say: Say


def open_many(
    session: Session, book: str, openings: Sequence[Opening], now: datetime, **columns: Any
) -> dict[int, tuple[int, int]]:
    """Opens conversations together, each with its one line; gives conversation and message by address, and leaves out
    the addresses that have an open conversation already."""
    by_address = {each.address_id: each for each in openings}
    open_now = select(Conversation.address_id).where(among(Conversation.address_id, by_address), OPEN)
    busy = set(session.scalars(open_now))
    free = [each for each in by_address.values() if each.address_id not in busy]
    if not free:
        return {}
    rows = [
        {
            "contact_id": each.contact_id,
            "address_id": each.address_id,
            "channel": each.channel,
            "state": ConversationState.BOT,
            "language": each.language,
            "book": book,
            "flow": each.flow,
            "seq": 1,
            "revision": 1,
            "opened_at": now,
            **columns,
        }
        for each in free
    ]
    # Without those to whom somebody wrote at this very moment.
    new = insert_each(session, Conversation, rows, unless=(), gives=("id", "address_id"))
    opened = {row.address_id: row.id for row in new}
    lines = [
        _new_line(conversation_id, 1, by_address[at].channel, Author.BOT, by_address[at].say, now)
        for at, conversation_id in opened.items()
    ]
    added = _add_lines(session, lines) if lines else {}
    touch(session, *(f"address:{address_id}" for address_id in opened))
    return {address_id: (conversation_id, added[conversation_id]) for address_id, conversation_id in opened.items()}


def _add_lines(session: Session, rows: Sequence[dict[str, Any]]) -> dict[int, int]:
    """The new messages' ids by conversation, each of which has one."""
    added = insert_each(session, Message, rows, gives=("id", "conversation_id"))
    return {row.conversation_id: row.id for row in added}


def _new_line(
    conversation_id: int, seq: int, channel: ChannelName, author: Author, say: Say, now: datetime
) -> dict[str, Any]:
    return {
        "conversation_id": conversation_id,
        "seq": seq,
        "channel": channel,
        "author": author,
        "text": say.text,
        "key": say.key,
        "buttons": [{"title": b.title, "payload": b.payload} for b in say.buttons] or None,
        "private": False,
        "at": now,
    }


def _held(session: Session, row: Row[Any]) -> Held:
    vault = vault_of(session)
    held = Held(
        id=row.id,
        contact_id=row.contact_id,
        address_id=row.address_id,
        channel=row.channel,
        state=row.state,
        language=row.language,
        book=row.book,
        flow=row.flow,
        seq=row.seq,
        revision=row.revision,
        staff_id=row.staff_id,
        callback_id=row.callback_id,
        broadcast_id=row.broadcast_id,
        unanswered_since=row.unanswered_since,
        name=row.name,
        title=row.title,
        unit=vault.open(row.unit_sealed) if row.unit_sealed else None,
        phone=vault.open(row.phone_sealed) if row.phone_sealed else None,
        zone=row.timezone,
        segments=row.segments or (),
    )
    held.found = held.standing
    return held


_conversation, _line = cast(Table, Conversation.__table__), cast(Table, Message.__table__)
_SAVED = ("state", "staff_id", "language", "book", "flow", "seq", "revision")
_ADD = _line.insert()
_OPEN = _conversation.insert().returning(_conversation.c.id)


@cache
def _saving(columns: tuple[str, ...]) -> Update:
    """The UPDATE of these columns, built once."""
    new: dict[str, BindParameter[Any]] = {name: bindparam(f"new_{name}") for name in columns}
    return _conversation.update().where(_conversation.c.id == bindparam("held_id")).values(new)


def save(session: Session, held: Held) -> None:
    """Writes the working copy back and wakes whoever looks at it."""
    columns = _columns_of(session, held)
    session.connection().execute(
        _saving(tuple(sorted(columns))),
        {"held_id": held.id} | {f"new_{name}": value for name, value in columns.items()},
    )


def _columns_of(session: Session, held: Held) -> dict[str, Any]:
    """What the working copy writes back; it has nothing more to write after that."""
    held.revision += 1
    columns = {name: getattr(held, name) for name in _SAVED} | held.changes
    touch(session, f"conversation:{held.id}" if held.moved() else f"lines:{held.id}")
    held.changes, held.found = {}, held.standing
    if held.state in (ConversationState.QUEUED, ConversationState.AGENT):
        touch(session, "floor")
    return columns


def add_lines(
    session: Session,
    held: Held,
    author: Author,
    lines: Sequence[Say],
    now: datetime,
    *,
    reply_to: int | None = None,
    staff_id: int | None = None,
    private: bool = False,
    details: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Adds lines to the transcript, numbered under the conversation's lock; gives back the rows as written. `details`
    are kept with the first of them."""
    rows: list[dict[str, Any]] = []
    connection = session.connection()
    for line in lines:
        held.seq += 1
        rows.append(
            {
                **_new_line(held.id, held.seq, held.channel, author, line, now),
                "staff_id": staff_id,
                "reply_to": reply_to,
                "private": private,
                "details": dict(details) if details and not rows else None,
                "words": words_of(connection, author, line.text),
            }
        )
    if rows:
        connection.execute(_ADD, rows)
    return rows


def add_line(
    session: Session,
    held: Held,
    author: Author,
    words: str,
    now: datetime,
    *,
    provider_id: str | None = None,
    key: str = "",
    private: bool = False,
) -> Message:
    """Adds one line that came from outside, or a note of the system's own; `provider_id` must not be known yet."""
    held.seq += 1
    line = Message(
        conversation_id=held.id,
        seq=held.seq,
        channel=held.channel,
        author=author,
        text=words,
        key=key,
        provider_id=provider_id,
        private=private,
        at=now,
        words=words_of(session.connection(), author, words),
    )
    session.add(line)
    session.flush()
    return line


def understood(parse: Parse, payload: str | None = None) -> dict[str, Any]:
    """What staff see of a line: the intent, or that it was a button (`payload`)."""
    return {
        **({"payload": payload} if payload else {}),
        "intent": parse.intent,
        "confidence": round(parse.confidence, 3),
        "entities": [{"kind": e.kind, "value": e.value} for e in parse.entities],
        "anger": parse.emotion.anger,
        "engine": parse.engine,
    }
