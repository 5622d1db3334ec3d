"""The audit's chain of seals: whatever is edited, removed, slipped in or cut off is found, and named (REQ-G02, G03)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from bot.services import audit, sealing
from bot.services.centre import Centre
from bot.services.sealing import Break
from store.db import Database
from store.tables import AuditEntry, AuditSeal

NOW = datetime(2026, 7, 1, 2, 0, 0, 123456, tzinfo=UTC)


def written(db: Database, count: int, start: int = 0) -> list[int]:
    """Adds entries; gives their ids."""

    def work(session: Session) -> list[int]:
        for n in range(start, start + count):
            audit.record(
                session,
                "test.made",
                "test",
                n,
                now=NOW,
                note=f"第 {n} 条",
                share=0.5,
                b=[1, "甲"],
                a={"z": 1, "y": None},
            )
        session.flush()
        return list(session.scalars(select(AuditEntry.id).order_by(AuditEntry.id)))

    return db.write_now(work)


def sealed(db: Database, up_to: int) -> int:
    return db.write_now(lambda s: sealing.seal(s, up_to, NOW))


def unguarded(db: Database, change: Callable[[Session], object], table: str = "audit_entry") -> None:
    """Does what only somebody with the whole database in hand can: the guards are taken off first."""

    def work(session: Session) -> None:
        if db.is_sqlite:
            for verb in ("update", "delete"):
                session.execute(text(f"DROP TRIGGER IF EXISTS {table}_no_{verb}"))
        else:
            session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER {table}_append_only"))
        change(session)
        if not db.is_sqlite:
            session.execute(text(f"ALTER TABLE {table} ENABLE TRIGGER {table}_append_only"))

    db.write_now(work)


@pytest.fixture
def chain(db: Database, monkeypatch: pytest.MonkeyPatch) -> tuple[Database, list[int]]:
    """Seven entries in three seals of at most three, and one that waits."""
    monkeypatch.setattr(sealing, "BATCH", 3)
    ids = written(db, 8)
    while sealed(db, ids[6]):
        pass
    return db, ids


def test_a_whole_chain_holds(chain: tuple[Database, list[int]]) -> None:
    db, _ = chain
    found = db.read_now(sealing.verify)
    assert (found.sealed, found.waiting, found.broken) == (7, 1, None)
    assert db.read_now(lambda s: sealing.verify(s, found.head)).broken is None
    rows = db.read_now(lambda s: s.scalars(select(AuditSeal.rows)).all())
    assert [len(each) for each in rows] == [3, 3, 1]
    assert "第" not in json.dumps(rows, ensure_ascii=False)


@pytest.mark.parametrize(
    "values",
    [
        {"note": "别的"},
        {"details": {}},
        {"staff_id": None, "action": "test.other"},
        {"subject_id": 99},
        {"at": NOW.replace(day=2)},
    ],
    ids=["note", "details", "action", "subject", "time"],
)
def test_an_edited_entry_is_named(chain: tuple[Database, list[int]], values: dict[str, object]) -> None:
    db, ids = chain
    for entry_id in (ids[4], ids[2]):
        unguarded(db, lambda s, i=entry_id: s.execute(update(AuditEntry).where(AuditEntry.id == i).values(**values)))
        assert db.read_now(sealing.verify).broken == (Break.CHANGED, entry_id)  # the first of them


def test_a_removed_entry_is_named(chain: tuple[Database, list[int]]) -> None:
    db, ids = chain
    unguarded(db, lambda s: s.execute(text(f"DELETE FROM audit_entry WHERE id = {ids[3]}")))
    assert db.read_now(sealing.verify).broken == (Break.REMOVED, ids[3])


def test_an_entry_slipped_in_is_named(db: Database) -> None:
    ids = written(db, 2)
    gap = ids[-1] + 1
    db.write_now(lambda s: s.add(AuditEntry(id=gap + 1, action="test.made", subject="", details={}, at=NOW)))
    sealed(db, gap + 1)
    assert db.read_now(sealing.verify).broken is None
    db.write_now(lambda s: s.add(AuditEntry(id=gap, action="test.made", subject="", details={}, at=NOW)))
    assert db.read_now(sealing.verify).broken == (Break.ADDED, gap)


def test_a_forged_or_missing_seal_is_named(chain: tuple[Database, list[int]]) -> None:
    db, _ = chain
    seals = db.read_now(lambda s: list(s.scalars(select(AuditSeal.id).order_by(AuditSeal.id))))
    head = db.read_now(sealing.verify).head
    unguarded(db, lambda s: s.execute(text(f"DELETE FROM audit_seal WHERE id = {seals[2]}")), "audit_seal")
    assert db.read_now(sealing.verify).broken is None  # the end was cut off: only the head that was noted tells
    assert (db.read_now(lambda s: sealing.verify(s, head)).broken or (None,))[0] is Break.HEAD
    unguarded(db, lambda s: s.execute(text(f"DELETE FROM audit_seal WHERE id = {seals[0]}")), "audit_seal")
    assert db.read_now(sealing.verify).broken == (Break.SEAL, seals[1])


def test_two_processes_make_one_chain(chain: tuple[Database, list[int]]) -> None:
    db, ids = chain
    assert sealed(db, ids[6]) == 0
    assert sealed(db, ids[7]) == 1
    assert sealed(db, ids[7]) == 0
    assert db.read_now(sealing.verify).broken is None


async def test_what_was_there_a_round_ago_is_sealed(centre: Centre) -> None:
    sealer = sealing.Sealer()
    assert await sealer.round(centre) == 0
    there = centre.db.read_now(lambda s: len(s.scalars(select(AuditEntry.id)).all()))
    written(centre.db, 2)
    assert await sealer.round(centre) == there
    assert await sealer.round(centre) == 2
    assert await sealer.round(centre) == 0
    assert centre.db.read_now(sealing.verify).broken is None
