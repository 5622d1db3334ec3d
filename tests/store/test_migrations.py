"""The migrations make the very schema the tables declare, and the database itself keeps append-only rows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import delete, inspect, text, update
from sqlalchemy.exc import DBAPIError

from store.base import Base
from store.db import Database, offline_engine
from store.migrate import config, upgrade
from store.tables import AuditEntry

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def test_nothing_is_left_to_migrate(db: Database) -> None:
    with db.engine.connect() as connection:
        opts = {
            "compare_type": False,
            "include_name": lambda name, kind, _: kind != "table" or ours(name),
            "include_object": lambda thing, *_: getattr(thing, "_ddl_if", None) is None or not db.is_sqlite,
        }
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, Base.metadata) == []
        found = {name for name in inspect(connection).get_table_names() if ours(name)}
        assert found == {*Base.metadata.tables, "alembic_version"}


def ours(name: str) -> bool:
    """Not one of the tables SQLite keeps its full-text index in."""
    return not name.startswith("message_index")


def test_upgrading_twice_changes_nothing(db: Database, database_url: str) -> None:
    upgrade(database_url)
    with db.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM alembic_version")) == 1


def test_callbacks_made_before_there_were_plans_keep_everything(tmp_path: Path) -> None:
    """On SQLite the table is made anew; what points to it stays."""
    url = f"sqlite:///{tmp_path / 'old.db'}"
    engine = offline_engine(url)
    with engine.connect() as connection:
        settings = config(url)
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0006")
        at = "2026-07-01 06:30:00.000000"
        for statement in (
            "INSERT INTO contact (id, name, title, language, timezone, segments, vulnerable, revision, created_at) "
            f"VALUES (1, '', '', 'zh', 'Asia/Shanghai', '[]', 0, 0, '{at}')",
            "INSERT INTO callback (id, dedupe_key, contact_id, follow_up_group, purpose, policies, flow_id, flow, "
            "topic, state, due_at, priority, flags, remarks, revision, created_at) VALUES (7, 'event:1', 1, "
            f"'after_complaint', 'follow_up', '', 'x', '{{}}', '', 'scheduled', '{at}', 0, '[]', 'kept', 0, '{at}')",
            f"INSERT INTO answer (callback_id, question, answer, at) VALUES (7, 'q', 'a', '{at}')",
        ):
            connection.execute(text(statement))
        connection.commit()
    engine.dispose()
    upgrade(url)
    engine = offline_engine(url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT id, plan, step, remarks FROM callback")).all() == [
            (7, "after_complaint", 0, "kept")
        ]
        assert connection.scalar(text("SELECT answer FROM answer WHERE callback_id = 7")) == "a"
        assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
        assert {index["name"] for index in inspect(connection).get_indexes("callback")} == {
            index.name for index in Base.metadata.tables["callback"].indexes
        }
    engine.dispose()


def test_topics_kept_in_words_become_the_ids_of_their_flows(tmp_path: Path) -> None:
    """In both languages; a customer's own words stay."""
    url = f"sqlite:///{tmp_path / 'old.db'}"
    engine = offline_engine(url)
    source = {"flows": {"no_heating": {"name": "暖气不热报修", "translation": {"en": {"name": "Heating not working"}}}}}
    with engine.connect() as connection:
        settings = config(url)
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0036")
        at = NOW.isoformat(sep=" ").removesuffix("+00:00")
        for statement in (
            f"INSERT INTO version (kind, hash, body, at) VALUES ('book', 'x', :body, '{at}')",
            "INSERT INTO contact (id, name, title, language, timezone, segments, vulnerable, revision, created_at) "
            f"VALUES (1, '', '', 'zh', 'Asia/Shanghai', '[]', 0, 0, '{at}')",
            "INSERT INTO address (id, contact_id, channel, sealed, blind, hint, reachable, rank, created_at) "
            f"VALUES (1, 1, 'webchat', '', '', '', 1, 0, '{at}')",
        ):
            connection.execute(text(statement), {"body": json.dumps({"source": json.dumps(source)})})
        for reason in ("暖气不热报修", "Heating not working", "漏水了", "asked"):
            talk = (
                "INSERT INTO conversation (contact_id, address_id, channel, state, language, book, flow, seq, "
                "revision, priority, wrap_up_note, rating_comment, opened_at, reason) VALUES (1, 1, 'webchat', "
                f"'closed', 'zh', '', '{{}}', 0, 0, 0, '', '', '{at}', :reason)"
            )
            connection.execute(text(talk), {"reason": reason})
        connection.commit()
    engine.dispose()
    upgrade(url)
    engine = offline_engine(url)
    with engine.connect() as connection:
        reasons = connection.scalars(text("SELECT reason FROM conversation ORDER BY id")).all()
    engine.dispose()
    assert reasons == ["no_heating", "no_heating", "漏水了", "asked"]


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
