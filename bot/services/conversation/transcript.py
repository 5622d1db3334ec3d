"""A conversation's lines as people read them: in order, with their files and what they quote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from bot.core.words import Author, ChannelName
from bot.services.conversation.conversations import OPEN
from store.db import vault_of
from store.tables import Address, Attachment, Conversation, Message

FILE = "file"  # the key of a line that is a file and nothing else


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a transcript as pages show it."""

    seq: int
    author: Author
    text: str
    buttons: tuple[dict[str, str], ...]
    at: datetime
    staff_id: int | None
    private: bool
    understood: dict[str, Any] | None
    details: dict[str, Any] = field(default_factory=dict)
    files: tuple[Attachment, ...] = ()
    key: str = ""
    quote: Quote | None = None

    @property
    def wordless(self) -> bool:
        """Whether it is a file and nothing else: its words only stand for it."""
        return is_wordless(self.key, self.understood)


def is_wordless(key: str, understood: Mapping[str, Any] | None) -> bool:
    """Whether a line of this key, so understood, is a file and nothing else: an agent's, or a customer's."""
    return key == FILE or (understood or {}).get("aside") == "media"


@dataclass(frozen=True, slots=True)
class Quote:
    """The line that another one answers."""

    seq: int
    author: Author
    text: str


QUOTED = 160  # characters of a quoted line that are shown


def quotes(session: Session, messages: Sequence[Message]) -> dict[int, Quote]:
    """What these lines of one or more conversations quote, by their own ids."""
    wanted = {m.id: (m.conversation_id, m.details["quotes"]) for m in messages if m.details and "quotes" in m.details}
    if not wanted:
        return {}
    rows = session.execute(
        select(Message.conversation_id, Message.seq, Message.author, Message.text).where(
            tuple_(Message.conversation_id, Message.seq).in_(set(wanted.values())), Message.private.is_(False)
        )
    )
    found = {(row.conversation_id, row.seq): Quote(row.seq, row.author, row.text[:QUOTED]) for row in rows}
    return {message_id: found[place] for message_id, place in wanted.items() if place in found}


def transcript(session: Session, conversation_id: int, after_seq: int = 0, *, private: bool = False) -> list[Line]:
    """The lines after `after_seq`, in order; agents' private notes only where asked for."""
    query = (
        select(Message).where(Message.conversation_id == conversation_id, Message.seq > after_seq).order_by(Message.seq)
    )
    if not private:
        query = query.where(Message.private.is_(False))
    messages = session.scalars(query).all()
    files, quoted = files_of(session, [m.id for m in messages]), quotes(session, messages)
    return [
        Line(
            m.seq,
            m.author,
            m.text,
            tuple(m.buttons or ()),
            m.at,
            m.staff_id,
            m.private,
            m.understood,
            m.details or {},
            files.get(m.id, ()),
            m.key,
            quoted.get(m.id),
        )
        for m in messages
    ]


def files_of(session: Session, message_ids: Sequence[int]) -> dict[int, tuple[Attachment, ...]]:
    """The files of these messages, in the order they came."""
    found: dict[int, tuple[Attachment, ...]] = {}
    rows = select(Attachment).where(Attachment.message_id.in_(message_ids)).order_by(Attachment.id)
    for file in session.scalars(rows) if message_ids else ():
        found[file.message_id] = (*found.get(file.message_id, ()), file)
    return found


def lines_at(session: Session, channel: ChannelName, address: str, after_seq: int = 0) -> list[Line]:
    """The lines of an address's open conversation."""
    blind = vault_of(session).blind(channel, address)
    conversation_id = session.scalar(
        select(Conversation.id)
        .join(Address, Address.id == Conversation.address_id)
        .where(Address.channel == channel, Address.blind == blind, OPEN)
    )
    return transcript(session, conversation_id, after_seq) if conversation_id is not None else []
