"""Brings a database to the current schema (Alembic); `serve` and `worker` call it at start.

On PostgreSQL an advisory lock lets several processes start at the same moment: one migrates, the others wait.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, make_url, text
from sqlalchemy.exc import OperationalError

from store.db import offline_engine

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 7_203_511  # any number, the same in every process


class UnreachableError(Exception):
    """The database does not answer, or does not let us in; the message holds no password."""


def config(url: str) -> Config:
    """Alembic's configuration for a database URL; there is no alembic.ini."""
    configured = Config()
    configured.set_main_option("script_location", str(MIGRATIONS))
    configured.attributes["url"] = url
    return configured


def upgrade(url: str) -> None:
    """Applies every migration that is missing. Raises UnreachableError."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        Path(parsed.database or "").parent.mkdir(parents=True, exist_ok=True)
    engine = offline_engine(url)
    try:
        with _connected(engine) as connection:
            if engine.dialect.name == "sqlite":  # a table made anew is dropped first; off before a transaction begins
                connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
                connection.commit()
            configured = config(url)
            configured.attributes["connection"] = connection
            command.upgrade(configured, "head")
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": LOCK})
                connection.commit()
    finally:
        engine.dispose()


def _connected(engine: Engine) -> Connection:
    try:
        return engine.connect()
    except OperationalError as error:
        told = str(error.orig).strip().splitlines()
        raise UnreachableError(f"{engine.url.render_as_string()}: {told[0] if told else error.code}") from error
