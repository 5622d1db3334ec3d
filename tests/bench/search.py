"""How long a search takes among a million messages, as a supervisor and as an agent who may see few of them.

    uv run python tests/bench/search.py [--databases sqlite,postgresql] [--messages 1000000]

The messages are made of two-character words drawn so that few are common and most rare, as in a language. What is
measured is the search page's whole read: people, cases, messages, visibility and snippets; each query several times,
on a warm database. Printed beside it: what indexing costs, and how large the index is.
"""

from __future__ import annotations

import argparse
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Engine, insert, text

from bot.console.queries.search import found
from bot.core.words import Author, Presence, Role
from bot.services.staffing.staff import SignedIn
from store.db import Database, offline_engine
from store.migrate import upgrade
from store.search import follow, words_of
from store.tables import Address, Case, Contact, Conversation, Message, Staff
from store.vault import Vault
from tests.fakes import postgres

PLACE = Path(__file__).parents[2] / ".hotline" / "bench"
SECRET = "a secret for measuring"
NAME = "hotline_bench_search"
PER_CONVERSATION = 50
CHUNK = 20_000  # messages written at once
TIMES = 15
AIM = 200.0  # ms
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)

random.seed(20260701)
_CHARACTERS = [chr(0x4E00 + n) for n in range(1500)]
WORDS = list({"".join(random.sample(_CHARACTERS, 2)) for _ in range(9000)})[:8000]
WEIGHTS = [1 / (rank + 1) for rank in range(len(WORDS))]

QUERIES = {
    "the commonest word": WORDS[0],
    "a common word": WORDS[20],
    "a rare word": WORDS[-1],
    "two common words": f"{WORDS[1]} {WORDS[2]}",
    "common and rare": f"{WORDS[0]} {WORDS[7000]}",
    "a phrase nobody wrote": WORDS[3] + WORDS[4] + WORDS[5],
    "one character": WORDS[0][0],
    "an order number": "A777",
    "nothing": "退款煤气",
    "a name": "客户4321",
    "a case number": "C20260101-0777",
}


def fill(url: str, messages: int) -> float:
    """Writes it all and gives the seconds the index took, made when all was there."""
    upgrade(url)
    vault = Vault(SECRET)
    engine = offline_engine(url)
    numbers = range(1, messages // PER_CONVERSATION + 1)
    gin = next(each for each in Message.metadata.tables["message"].indexes if each.name == "ix_message_words")
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            gin.drop(connection)
        connection.execute(
            insert(Staff), [{"id": n, "username": f"s{n}", "name": f"员工{n}", "created_at": BEGAN} for n in (1, 2)]
        )
        for first in range(0, len(numbers), CHUNK // PER_CONVERSATION):
            ids = numbers[first : first + CHUNK // PER_CONVERSATION]
            at = {n: BEGAN + timedelta(minutes=n) for n in ids}
            connection.execute(
                insert(Contact),
                [{"id": n, "name": f"客户{n}", "timezone": "Asia/Shanghai", "created_at": at[n]} for n in ids],
            )
            connection.execute(
                insert(Address),
                [
                    {
                        "id": n,
                        "contact_id": n,
                        "channel": "rest",
                        "sealed": b"",
                        "blind": vault.blind("rest", f"old-{n}"),
                        "created_at": at[n],
                    }
                    for n in ids
                ],
            )
            connection.execute(insert(Conversation), [_conversation(n, at[n]) for n in ids])
            connection.execute(insert(Case), [_case(n, at[n]) for n in ids])
            lines = [row for n in ids for row in _lines(n, at[n])]
            for row in lines:
                row["words"] = words_of(connection, row["author"], row["text"])
            connection.execute(insert(Message), lines)
    began = time.perf_counter()
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            gin.create(connection)
        while follow(connection):
            pass
    took = time.perf_counter() - began
    if engine.dialect.name == "postgresql":
        with psycopg.connect(url, autocommit=True) as plain:
            plain.execute("VACUUM ANALYZE")
    engine.dispose()
    return took


def _conversation(n: int, at: datetime) -> dict[str, Any]:
    return {
        "id": n,
        "contact_id": n,
        "address_id": n,
        "channel": "rest",
        "state": "closed",
        "language": "zh",
        "seq": PER_CONVERSATION,
        "opened_at": at,
        "closed_at": at + timedelta(hours=1),
    }


def _case(n: int, at: datetime) -> dict[str, Any]:
    return {
        "number": f"C20260101-{n:04d}",
        "kind": "complaint",
        "contact_id": n,
        "subject": "".join(random.choices(WORDS, WEIGHTS, k=6)),
        "opened_at": at,
    }


def _lines(n: int, at: datetime) -> Iterator[dict[str, Any]]:
    """Everybody but the bot; one in a hundred conversations has a line of the second member of staff."""
    for seq in range(1, PER_CONVERSATION + 1):
        agent = seq % 2 == 0
        order = f" A{n}" if seq == 1 else ""
        yield {
            "conversation_id": n,
            "seq": seq,
            "channel": "rest",
            "author": Author.AGENT if agent else Author.CUSTOMER,
            "staff_id": (2 if n % 100 == 0 else 1) if agent else None,
            "text": "，".join(random.choices(WORDS, WEIGHTS, k=random.randint(3, 12))) + order,
            "at": at + timedelta(minutes=seq),
        }


def filled(kind: str, messages: int) -> tuple[str, float | None]:
    """The database, made where it is not there yet, and what its index took to make."""
    PLACE.mkdir(parents=True, exist_ok=True)
    if kind == "sqlite":
        path = PLACE / f"{NAME}_{messages}.db"
        if path.exists():
            return f"sqlite:///{path}", None
        part = path.with_suffix(".part")
        for old in PLACE.glob(f"{part.name}*"):
            old.unlink()
        took = fill(f"sqlite:///{part}", messages)
        shutil.move(part, path)
        return f"sqlite:///{path}", took
    name = f"{NAME}_{messages}"
    url = postgres.server().rpartition("/")[0] + f"/{name}"
    with psycopg.connect(postgres.server(), autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
            return url, None
    url = postgres.create(name)
    return url, fill(url, messages)


def size(engine: Engine) -> float:
    """Megabytes of the index."""
    query = (
        "SELECT sum(pgsize) FROM dbstat WHERE name LIKE 'message_index%'"
        if engine.dialect.name == "sqlite"
        else "SELECT pg_relation_size('ix_message_words')"
    )
    with engine.connect() as connection:
        return float(connection.scalar(text(query)) or 0) / 1e6


def measure(db: Database, viewer: SignedIn, query: str) -> tuple[float, float, int]:
    """The middle and the longest time in ms, and how many lines were found."""
    times, lines = [], 0
    for _ in range(TIMES):
        began = time.perf_counter()
        lines = len(db.read_now(lambda session: found(session, query, viewer)).messages)
        times.append((time.perf_counter() - began) * 1000)
    times.sort()
    return times[len(times) // 2], times[-1], lines


def viewers() -> Sequence[SignedIn]:
    return [
        SignedIn(1, "one", "主管", frozenset({Role.SUPERVISOR}), Presence.ONLINE, ""),
        SignedIn(2, "two", "专员", frozenset({Role.AGENT}), Presence.ONLINE, ""),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--messages", type=int, default=1_000_000)
    given = parser.parse_args()
    for kind in given.databases.split(","):
        url, took = filled(kind, given.messages)
        db = Database(url, Vault(SECRET))
        made = f", made in {took:.0f} s" if took else ""
        print(f"{kind}: {given.messages:,} messages, index {size(db.engine):.0f} MB{made}; aim {AIM:.0f} ms")
        print(f"  {'':24}{'supervisor: p50':>18}{'max ms':>9}{'lines':>7}{'agent: p50':>14}{'max ms':>9}{'lines':>7}")
        for name, query in QUERIES.items():
            cells = [measure(db, viewer, query) for viewer in viewers()]
            (a, b, c), (d, e, f) = cells
            print(f"  {name:24}{a:>18.1f}{b:>9.1f}{c:>7}{d:>14.1f}{e:>9.1f}{f:>7}", flush=True)
        db.close()


if __name__ == "__main__":
    main()
