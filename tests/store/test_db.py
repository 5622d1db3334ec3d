"""The ways in to a database: what is written is kept whole or not at all, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, delete, event, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError
from sqlalchemy.orm import Session

from bot.core.words import Language
from store.db import Database, WroteWhileReadingError, offline_engine
from store.tables import AuditEntry, Staff, StaffSession

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NOW = datetime(2026, 7, 1, 2, 0, tzinfo=UTC)
OTHERS_END = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid <> pg_backend_pid()"
)


def person(name: str) -> Staff:
    return Staff(username=name, name=name, language=Language.ZH, created_at=NOW)


async def names(db: Database) -> list[str]:
    return await db.read(lambda s: list(s.scalars(select(Staff.username).order_by(Staff.username))))


async def test_what_is_written_is_read(db: Database) -> None:
    await db.write(lambda s: s.add(person("wang")))
    assert await names(db) == ["wang"]


async def test_a_failure_rolls_back_alone(db: Database) -> None:
    def fails(session: Session) -> None:
        session.add(person("li"))
        session.flush()
        raise RuntimeError("no")

    results = await asyncio.gather(
        db.write(lambda s: s.add(person("wang"))),
        db.write(fails),
        db.write(lambda s: s.add(person("zhao"))),
        return_exceptions=True,
    )
    assert [type(r) for r in results] == [type(None), RuntimeError, type(None)]
    assert await names(db) == ["wang", "zhao"]


@pytest.mark.parametrize(
    "change",
    [
        lambda s: (s.add(person("li")), s.flush()),
        lambda s: (setattr(s.scalars(select(Staff)).one(), "name", "li"), s.flush()),
        lambda s: (s.delete(s.scalars(select(Staff)).one()), s.flush()),
        lambda s: s.execute(insert(Staff).values(username="li", name="li", language=Language.ZH, created_at=NOW)),
        lambda s: s.execute(update(Staff).values(name="li")),
        lambda s: s.execute(delete(Staff)),
    ],
)
async def test_who_reads_changes_nothing(db: Database, change: Callable[[Session], object]) -> None:
    await db.write(lambda s: s.add(person("wang")))
    with pytest.raises(WroteWhileReadingError):
        await db.read(change)
    assert await db.read(lambda s: list(s.scalars(select(Staff.name)))) == ["wang"]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_connections_that_went_while_nobody_used_them_are_made_anew(db: Database) -> None:
    async def all_go() -> None:
        engine = offline_engine(db.url.render_as_string(False))
        with engine.connect() as connection:
            connection.exec_driver_sql(OTHERS_END)
        engine.dispose()

    await asyncio.gather(*(db.read(lambda s: s.execute(text("SELECT pg_sleep(0.05)"))) for _ in range(4)))
    await all_go()
    assert await names(db) == []
    await all_go()
    await db.write(lambda s: s.add(person("wang")))
    await all_go()
    assert await names(db) == ["wang"]


async def test_of_many_at_once_exactly_one_takes_a_unique_name(db: Database) -> None:
    results = await asyncio.gather(
        *(db.write(lambda s: s.add(person("wang"))) for _ in range(20)), return_exceptions=True
    )
    assert sorted(type(r).__name__ for r in results) == ["IntegrityError"] * 19 + ["NoneType"]
    assert await names(db) == ["wang"]


async def test_many_writers_lose_nothing(db: Database) -> None:
    await asyncio.gather(*(db.write(lambda s, n=n: s.add(person(f"p{n:03}"))) for n in range(200)))
    assert len(await names(db)) == 200


@SQLITE
async def test_what_somebody_waits_for_goes_before_pages_of_bulk_work(db: Database) -> None:
    done: list[str] = []
    going, go_on = threading.Event(), threading.Event()

    def held(_: Session) -> None:
        going.set()
        go_on.wait()

    first = asyncio.create_task(db.write(held, bulk=True))
    await asyncio.to_thread(going.wait)
    pages = [asyncio.create_task(db.write(lambda _, n=n: done.append(f"page {n}"), bulk=True)) for n in range(3)]
    turns = [asyncio.create_task(db.write(lambda _, n=n: done.append(f"turn {n}"))) for n in range(2)]
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(first, *pages, *turns)
    assert done == ["turn 0", "turn 1", "page 0", "page 1", "page 2"]


@SQLITE
async def test_bulk_work_goes_on_while_there_is_always_somebody_who_waits(db: Database) -> None:
    over = False

    async def writing() -> None:
        while not over:
            await db.write(lambda s: s.scalar(select(1)))

    others = [asyncio.create_task(writing()) for _ in range(4)]
    for _ in range(20):
        await asyncio.wait_for(db.write(lambda s: s.scalar(select(1)), bulk=True), 30)
    over = True
    await asyncio.gather(*others)


@SQLITE
async def test_a_transaction_that_cannot_begin_is_told_to_whoever_waits(db: Database) -> None:
    def fails(_: Connection) -> None:
        raise ConnectionError("the disk is gone")

    event.listen(db.engine, "begin", fails)
    for bulk in (False, True):
        with pytest.raises(ConnectionError, match="the disk is gone"):
            await asyncio.wait_for(db.write(lambda s: s.add(person("wang")), bulk=bulk), 10)
    event.remove(db.engine, "begin", fails)
    assert await names(db) == []


async def test_rows_must_belong_to_somebody(db: Database) -> None:
    orphan = StaffSession(token_hash="x", staff_id=99, csrf="y", created_at=NOW, expires_at=NOW)
    with pytest.raises(IntegrityError):
        await db.write(lambda s: s.add(orphan))


async def test_states_are_held_to_their_words(db: Database) -> None:
    await db.write(lambda s: s.add(person("wang")))
    with pytest.raises(IntegrityError):
        await db.write(lambda s: s.connection().exec_driver_sql("UPDATE staff SET presence = 'asleep'"))


@pytest.mark.parametrize("statement", ["UPDATE audit_entry SET note = 'x'", "DELETE FROM audit_entry"])
async def test_the_audit_cannot_be_rewritten(db: Database, statement: str) -> None:
    await db.write(lambda s: s.add(AuditEntry(action="look", at=NOW)))
    with pytest.raises(DBAPIError, match="append-only"):
        await db.write(lambda s: s.connection().exec_driver_sql(statement))
    assert await db.read(lambda s: s.scalar(select(func.count()).select_from(AuditEntry))) == 1


async def test_instants_come_back_in_utc_and_naive_ones_are_refused(db: Database) -> None:
    local = datetime.fromisoformat("2026-07-01T10:00:00.123456+08:00")
    await db.write(lambda s: s.add(AuditEntry(action="look", at=local)))
    kept = await db.read(lambda s: s.scalars(select(AuditEntry.at)).one())
    assert kept == local
    assert kept.tzinfo is UTC
    with pytest.raises(StatementError, match="naive"):
        await db.write(lambda s: s.add(AuditEntry(action="look", at=datetime(2026, 7, 1))))  # noqa: DTZ001


def test_the_command_line_has_the_same_two_ways(db: Database) -> None:
    db.write_now(lambda s: s.add(person("wang")))
    assert db.read_now(lambda s: s.scalars(select(Staff.username)).all()) == ["wang"]
