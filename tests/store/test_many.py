"""Many rows in one statement: what is written, left out and found, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from bot.core.words import Language
from store.db import Database, count_grown
from store.many import among, assume, insert_each, update_each
from store.tables import Contact, Staff

NOW = datetime(2026, 7, 1, 2, 0, tzinfo=UTC)


def someone(name: str, **columns: Any) -> dict[str, Any]:
    return {"username": name, "name": name, "language": Language.ZH, "created_at": NOW} | columns


def names(session: Session) -> dict[str, str]:
    return {each.username: each.name for each in session.scalars(select(Staff))}


async def test_rows_are_inserted_once_and_the_new_ones_told(db: Database) -> None:
    def work(session: Session) -> list[str]:
        insert_each(session, Staff, [someone("wang"), someone("li")])
        again = [someone("li"), someone("zhao"), someone("qian")]
        return sorted(
            row.username for row in insert_each(session, Staff, again, unless=["username"], gives=["username"])
        )

    assert await db.write(work) == ["qian", "zhao"]
    assert set(await db.read(names)) == {"wang", "li", "zhao", "qian"}


async def test_a_row_that_is_there_is_an_error_unless_told_otherwise(db: Database) -> None:
    await db.write(lambda s: insert_each(s, Staff, [someone("wang")]))
    with pytest.raises(IntegrityError):
        await db.write(lambda s: insert_each(s, Staff, [someone("li"), someone("wang")]))
    assert set(await db.read(names)) == {"wang"}


async def test_lists_times_words_and_nothing_come_back_as_they_were_written(db: Database) -> None:
    people = [
        {"name": "one", "timezone": "Asia/Shanghai", "segments": [], "created_at": NOW, "building": None},
        {"name": "two", "timezone": "UTC", "segments": ["a", "b"], "created_at": NOW + timedelta(1), "building": "3"},
    ]
    await db.write(lambda s: insert_each(s, Contact, people))

    def read(session: Session) -> list[dict[str, Any]]:
        found = session.scalars(select(Contact).order_by(Contact.id))
        return [{name: getattr(each, name) for name in people[0]} for each in found]

    assert await db.read(read) == people


async def test_each_row_gets_its_own_columns(db: Database) -> None:
    await db.write(lambda s: insert_each(s, Staff, [someone(name) for name in ("wang", "li", "zhao")]))

    def work(session: Session) -> tuple[str, Language]:
        by = {each.username: each for each in session.scalars(select(Staff))}
        rows: list[dict[str, Any]] = [
            {"id": by["wang"].id, "name": "Wang"},
            {"id": by["li"].id, "name": "Li"},
            {"id": by["zhao"].id, "language": Language.EN},
        ]
        update_each(session, Staff, rows)
        assume(by["wang"], {"name": "Wang"})
        return by["wang"].name, by["zhao"].language

    assert await db.write(work) == ("Wang", Language.ZH)  # zhao's record has not heard of it
    assert await db.read(names) == {"wang": "Wang", "li": "Li", "zhao": "zhao"}
    english = await db.read(lambda s: s.scalars(select(Staff.username).where(Staff.language == Language.EN)).all())
    assert english == ["zhao"]


@pytest.mark.parametrize("wanted", [set(), {"wang"}, {"wang", "zhao"}])
async def test_among_many_only_the_named_are_found(db: Database, wanted: set[str]) -> None:
    await db.write(lambda s: insert_each(s, Staff, [someone(name) for name in ("wang", "li", "zhao")]))

    def work(session: Session) -> set[str]:
        ids = set(session.scalars(select(Staff.id).where(Staff.username.in_(wanted))))
        return set(session.scalars(select(Staff.username).where(among(Staff.id, ids), Staff.active)))

    assert await db.read(work) == wanted


async def test_a_table_that_has_grown_is_counted_and_then_let_be(db: Database) -> None:
    def counted(session: Session) -> float:
        count_grown(session, Staff)
        return float(session.scalar(text("SELECT reltuples FROM pg_class WHERE relname = 'staff'")) or 0)

    if db.is_sqlite:
        await db.write(lambda s: count_grown(s, Staff))  # it plans without counting
        return
    people = [someone(f"person {number}") for number in range(1_200)]

    def grow(session: Session) -> None:
        insert_each(session, Staff, people)
        session.execute(text("SELECT pg_stat_force_next_flush()"))

    await db.write(grow)
    assert await db.write(counted) == len(people)
    await db.write(lambda s: insert_each(s, Staff, [someone("one more")]))
    assert await db.write(counted) == len(people)
