"""Brings a database to the current schema (Alembic); `serve` and `worker` call it at start.

On PostgreSQL an advisory lock lets several processes start at the same moment: one migrates, the others wait.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import make_url, text

from store.db import offline_engine

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 7_203_511  # any number, the same in every process


def config(url: str) -> Config:
    """Alembic's configuration for a database URL; there is no alembic.ini."""
    configured = Config()
    configured.set_main_option("script_location", str(MIGRATIONS))
    configured.attributes["url"] = url
    return configured


def upgrade(url: str) -> None:
    """Applies every migration that is missing."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        Path(parsed.database or "").parent.mkdir(parents=True, exist_ok=True)
    engine = offline_engine(url)
    try:
        with engine.connect() as connection:
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
