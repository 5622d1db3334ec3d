"""Finding again what was said and who said it: across messages, cases and people (REQ-G14).

The index proposes, the text decides (bot/core/search.py); whoever asks passes the condition of what they may see.
Telephone numbers are looked up by their blind index, whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, case, or_, select
from sqlalchemy.orm import Session

from bot.core.search import MAX_QUERY, asked, holds
from bot.core.words import Author, ChannelName
from bot.services import contacts, tags
from bot.services.centre import Centre
from store import search as index
from store.tables import Case, Contact, Conversation, Message

LOOKED = 5_000  # messages looked at for one search at most: whoever may see few of very many narrows the words
FIRST_PAGE, LARGE_PAGE = 50, 1_000
BATCHES = 25  # of the index that follow in one beat at most


async def follow(centre: Centre) -> int:
    """Brings the index up to the latest message (SQLite); says 0, for nobody waits for it."""
    for _ in range(BATCHES if centre.db.is_sqlite else 0):
        if await centre.db.write(lambda session: index.follow(session.connection())) < index.BATCH:
            break
    return 0


@dataclass(frozen=True, slots=True)
class Said:
    """A line somebody wrote that holds what was asked, and to whom (`who`, as they are addressed)."""

    conversation_id: int
    seq: int
    author: Author
    private: bool
    text: str
    at: datetime
    channel: ChannelName
    contact_id: int
    who: str


_LINE = (
    Message.conversation_id,
    Message.seq,
    Message.author,
    Message.private,
    Message.text,
    Message.at,
    Conversation.channel,
    Conversation.contact_id,
    case((Contact.title != "", Contact.title), else_=Contact.name).label("who"),
)


def messages(session: Session, query: str, *where: ColumnElement[bool], limit: int) -> list[Said]:
    """Lines with every word of the query that meet `where` (of Conversation), the latest first."""
    found: list[Said] = []
    for ids in _proposed(session.connection(), asked(query)):
        rows = session.execute(
            select(*_LINE)
            .join(Conversation, Conversation.id == Message.conversation_id)
            .join(Contact, Contact.id == Conversation.contact_id)
            .where(Message.id.in_(ids), Message.author.in_(index.PEOPLE), *where)
            .order_by(Message.id.desc())
        )
        found += [Said(**row) for row in rows.mappings() if holds(query, row["text"])]
        if len(found) >= limit:
            break
    return found[:limit]


def _proposed(connection: Connection, terms: Sequence[tuple[str, bool]]) -> Iterator[list[int]]:
    """Pages of ids that may fit, the latest first, beginning with those the index has not reached."""
    if not terms:
        return
    reached = index.reached(connection)
    fresh = select(Message.id).where(Message.id > reached).order_by(Message.id.desc()).limit(LOOKED)
    if new := list(connection.scalars(fresh)):
        yield new
    before, looked, page = reached + 1, 0, FIRST_PAGE
    while looked < LOOKED:
        ids = index.find(connection, terms, before, page)
        if ids:
            yield ids
        if len(ids) < page:
            return
        before, looked, page = ids[-1], looked + len(ids), LARGE_PAGE


def cases(session: Session, query: str, limit: int) -> list[int]:
    """Cases by number, its beginning or end, or by words of the subject; the latest first."""
    words = query.split()
    if not words:
        return []
    subject = [Case.subject.ilike(_anywhere(word), escape="\\") for word in words]
    found = select(Case.id).where(or_(Case.number.like(_anywhere(query.strip().upper()), escape="\\"), and_(*subject)))
    return list(session.scalars(found.order_by(Case.id.desc()).limit(limit)))


def people(session: Session, query: str, limit: int) -> list[int]:
    """Contacts by whole telephone number, by a tag or by a part of the name; whom a contact became stands for it."""
    query = query.strip()
    if not query:
        return []
    try:
        address = contacts.find_address(session, ChannelName.VOICE, contacts.phone_number(query))
    except contacts.BadPhoneError:
        address = None
    if address is not None and address.contact_id is not None:
        return [contacts.survivor(session, address.contact_id)]
    named = (column.ilike(_anywhere(query), escape="\\") for column in (Contact.name, Contact.title))
    fits = or_(*named, Contact.id.in_(tags.carried_by(session, query)))
    found = select(Contact.id).where(Contact.merged_into_id.is_(None), fits).order_by(Contact.id.desc()).limit(limit)
    return list(session.scalars(found))


def _anywhere(text: str) -> str:
    text = text[:MAX_QUERY].replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{text}%"
