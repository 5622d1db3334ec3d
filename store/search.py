"""The index messages are found by, in each database's own way; the terms are ours (bot/core/search.py).

PostgreSQL: `message.words`, a tsvector written with the row, under a GIN index that collects what is new by itself.
SQLite: the FTS5 table `message_index`, without content and positions. Writing it row by row costs as much as the rest
of a turn (0.9 ms of 1.1), so it follows in batches behind the messages, and the few it has not reached yet are read
themselves: nothing is found later for it. A counter holds how far it is; ids come in the order of commits there.

Only what people wrote is indexed: the bot's own lines repeat its scripts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from sqlalchemy import Connection, Table, bindparam, select, text

from bot.core.search import terms
from bot.core.words import Author
from store.conversations import Message
from store.work import Counter

INDEXED = "message index"
PEOPLE = (Author.CUSTOMER, Author.AGENT)
BATCH = 200  # lines; some 15 ms, so that nobody's message waits long behind it

_message = cast(Table, Message.__table__)
_counter = cast(Table, Counter.__table__)
_NEXT = (
    select(_message.c.id, _message.c.author, _message.c.text)
    .where(_message.c.id > bindparam("after"))
    .order_by(_message.c.id)
    .limit(BATCH)
)
_INDEX = text("INSERT INTO message_index (rowid, words) VALUES (:id, :words)")
_FORGET = text("INSERT INTO message_index (message_index, rowid, words) VALUES ('delete', :id, :words)")
_MARK = text(
    "INSERT INTO counter (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_FIND = {
    "sqlite": text(
        "SELECT rowid FROM message_index WHERE message_index MATCH :asked AND rowid < :before"
        " ORDER BY rowid DESC LIMIT :limit"
    ),
    "postgresql": text(
        "SELECT id FROM message WHERE words @@ CAST(:asked AS tsquery) AND id < :before ORDER BY id DESC LIMIT :limit"
    ),
}


def words_of(connection: Connection, author: Author, said: str) -> str | None:
    """What goes into `message.words` with a new line: its terms as PostgreSQL reads a tsvector (they hold neither
    quotes nor backslashes); None where the index follows or the line is nobody's."""
    if connection.dialect.name == "sqlite" or author not in PEOPLE:
        return None
    return " ".join(f"'{term}'" for term in terms(said))


def reached(connection: Connection) -> int:
    """The last message the index has; on PostgreSQL it has them all."""
    if connection.dialect.name != "sqlite":
        return 2**62
    return connection.scalar(select(_counter.c.value).where(_counter.c.name == INDEXED)) or 0


def follow(connection: Connection) -> int:
    """Brings the index a batch further (SQLite); gives how many messages that were, 0 when it has them all."""
    if connection.dialect.name != "sqlite":
        return 0
    rows = connection.execute(_NEXT, {"after": reached(connection)}).all()
    said = [{"id": row.id, "words": " ".join(terms(row.text))} for row in rows if row.author in PEOPLE]
    if said:
        connection.execute(_INDEX, said)
    if rows:
        connection.execute(_MARK, {"name": INDEXED, "value": rows[-1].id})
    return len(rows)


def find(connection: Connection, asked: Sequence[tuple[str, bool]], before: int, limit: int) -> list[int]:
    """Ids of messages under `before` that may hold all these terms (a term and whether a longer one will do), the
    latest first."""
    sqlite = connection.dialect.name == "sqlite"
    if sqlite:
        query = " AND ".join(f'"{term}"{" *" if prefix else ""}' for term, prefix in asked)
    else:
        query = " & ".join(f"'{term}'{':*' if prefix else ''}" for term, prefix in asked)
    given = {"asked": query, "before": before, "limit": limit}
    return list(connection.scalars(_FIND[connection.dialect.name], given))


def forget(connection: Connection, ids: Sequence[int]) -> None:
    """Takes messages out of the index, before their text changes or they are deleted: SQLite's has no copy of its own
    and must be told what it held. On PostgreSQL what is found by goes with the row."""
    if connection.dialect.name != "sqlite":
        return
    known = _message.c.id.in_(ids), _message.c.id <= reached(connection), _message.c.author.in_(PEOPLE)
    rows = connection.execute(select(_message.c.id, _message.c.text).where(*known)).all()
    if rows:
        connection.execute(_FORGET, [{"id": row.id, "words": " ".join(terms(row.text))} for row in rows])
