"""A PostgreSQL database for one test process: made fresh, emptied between tests, dropped at the end."""

from __future__ import annotations

import os

import psycopg
from psycopg import sql
from sqlalchemy import Engine, text

from store.migrate import upgrade
from store.tables import Base

DEFAULT = "postgresql://postgres@127.0.0.1:5432/postgres"


def server() -> str:
    """Where tests find PostgreSQL; the role must be a superuser."""
    return os.environ.get("HOTLINE_TEST_POSTGRES", DEFAULT)


def answers() -> str:
    """Why the server cannot be used, or "" when it can."""
    try:
        with psycopg.connect(server(), connect_timeout=3):
            return ""
    except psycopg.Error as error:
        return f"no PostgreSQL for tests ({type(error).__name__}); HOTLINE_TEST_POSTGRES says where one is"


def create(name: str, *, durable: bool = True) -> str:
    """Makes and migrates a database; gives its URL. One that is not durable waits for no disk: a commit outlives the
    death of our processes, not of the machine."""
    with psycopg.connect(server(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        if not durable:
            connection.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(sql.Identifier(name)))
    url = server().rpartition("/")[0] + f"/{name}"
    upgrade(url)
    return url


def drop(name: str) -> None:
    """Drops a database, whoever is still connected."""
    with psycopg.connect(server(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def empty(engine: Engine) -> None:
    """Removes every row, past foreign keys and the triggers of append-only tables; a TRUNCATE takes ten times as long.

    Sequences go on counting, so no test can lean on an id.
    """
    names = [table.name for table in Base.metadata.sorted_tables]
    looks = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {name})" for name in names)
    with engine.begin() as connection:
        if written := connection.scalars(text(looks)).all():
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(text("; ".join(f"DELETE FROM {name}" for name in written)))
