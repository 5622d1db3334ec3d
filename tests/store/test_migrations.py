"""The migrations make the very schema the tables declare, and the database itself keeps append-only rows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import delete, inspect, text, update
from sqlalchemy.exc import DBAPIError

from store.base import Base
from store.db import Database
from store.migrate import upgrade
from store.tables import AuditEntry

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def test_nothing_is_left_to_migrate(db: Database) -> None:
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, Base.metadata) == []
        assert set(inspect(connection).get_table_names()) == {*Base.metadata.tables, "alembic_version"}


def test_upgrading_twice_changes_nothing(db: Database, database_url: str) -> None:
    upgrade(database_url)
    with db.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM alembic_version")) == 1


@pytest.mark.parametrize(
    "change", [update(AuditEntry).values(action="other"), delete(AuditEntry)], ids=["update", "delete"]
)
def test_the_audit_is_append_only(db: Database, change: object) -> None:
    db.write_now(lambda s: s.add(AuditEntry(action="test.made", at=NOW, details={})))

    with pytest.raises(DBAPIError, match="append-only"):
        db.write_now(lambda s: s.execute(change))  # type: ignore[call-overload]

    assert db.read_now(lambda s: s.query(AuditEntry.action).one()) == ("test.made",)


def test_every_append_only_table_has_its_guard(db: Database) -> None:
    declared = {table.name for table in Base.metadata.sorted_tables if len(list(table.dispatch.after_create)) > 0}
    with db.engine.connect() as connection:
        names = (
            "SELECT DISTINCT tbl_name FROM sqlite_master WHERE type = 'trigger'"
            if db.is_sqlite
            else "SELECT DISTINCT event_object_table FROM information_schema.triggers"
        )
        guarded = set(connection.scalars(text(names)))
    assert guarded == declared
