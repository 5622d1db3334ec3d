"""Backups: a consistent copy of the database while it is in use, checked before it counts, a few generations kept.

A copy is written beside its name and takes it only when it is whole. It does not hold the installation's secret:
without that, the phone numbers and addresses in it stay sealed (REQ-G14), so keep the secret too, somewhere else.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import URL, make_url

from store.migrate import upgrade
from store.tables import Base
from store.vault import Vault, WrongSecretError

NAME = "hotline-{at:%Y%m%dT%H%M%SZ}{suffix}"
SUFFIXES = {"sqlite": ".db", "postgresql": ".dump"}
KEEP = 14  # generations


class BackupError(Exception):
    """The backup was not made, or is not good; the message is safe to show."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a good backup holds: rows by table. `sealed` says whether the given secret opens its addresses; None where
    it holds none, or where that was not looked at."""

    path: Path
    size: int
    rows: Mapping[str, int]
    sealed: bool | None


def back_up(database_url: str, folder: Path, *, machine: datetime, keep: int = KEEP) -> Path:
    """Copies the database into `folder`, checks the copy and removes all but the newest `keep` of its kind.

    `machine` (zone-aware) names the file. Raises BackupError; what was there before stays then.
    """
    url = make_url(database_url)
    suffix = SUFFIXES[url.get_backend_name()]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME.format(at=machine.astimezone(UTC), suffix=suffix)
    part = path.with_name(f"{path.name}.part")
    try:
        if suffix == ".db":
            _copy_sqlite(Path(url.database or ""), part)
            _sound(part)
        else:
            _dump_postgres(url, part)
            _tables_of(part)
        part.chmod(0o600)
        _to_disk(part)
        part.replace(path)
        _to_disk(folder)
    except OSError as error:
        raise BackupError(f"{folder}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    for old in generations(folder, suffix)[keep:]:
        old.unlink()
    return path


def generations(folder: Path, suffix: str) -> list[Path]:
    """The backups in `folder`, the newest first."""
    return sorted(folder.glob(f"hotline-*{suffix}"), reverse=True)


def newest(folder: Path) -> Path:
    """The newest backup. Raises BackupError where there is none."""
    found = [path for suffix in SUFFIXES.values() for path in generations(folder, suffix)]
    if not found:
        raise BackupError(f"{folder}: no backup here")
    return max(found, key=lambda path: path.stem)


def verify(path: Path, vault: Vault) -> Checked:
    """Restores a copy of the backup beside the original and looks at it: sound, of a known schema, readable.

    A PostgreSQL dump is read through, and its tables are named without their rows counted. Raises BackupError.
    """
    if not path.is_file():
        raise BackupError(f"{path}: no such file")
    if path.suffix == SUFFIXES["postgresql"]:
        return Checked(path, path.stat().st_size, dict.fromkeys(_tables_of(path), 0), None)
    with tempfile.TemporaryDirectory() as folder:
        restored = Path(folder) / "restored.db"
        shutil.copyfile(path, restored)
        _sound(restored)
        upgrade(f"sqlite:///{restored}")
        with closing(sqlite3.connect(restored)) as connection:
            rows = {table.name: _count(connection, table.name) for table in Base.metadata.sorted_tables}
            sealed = _opens(connection, vault)
    return Checked(path, path.stat().st_size, rows, sealed)


# ── SQLite ──


def _copy_sqlite(source: Path, target: Path) -> None:
    if not source.is_file():
        raise BackupError(f"{source}: no database here yet")
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
        new.execute("PRAGMA journal_mode=DELETE")  # one file, nothing beside it


def _sound(path: Path) -> None:
    """Raises BackupError unless every page and every reference of a SQLite file is in order."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check(5)")]
            astray = len(connection.execute("PRAGMA foreign_key_check").fetchall())
    except sqlite3.DatabaseError as error:
        raise BackupError(f"{path.name}: {error}") from error
    if found != ["ok"]:
        raise BackupError(f"{path.name}: {'; '.join(found)}")
    if astray:
        raise BackupError(f"{path.name}: {astray} rows refer to rows that are not there")


def _count(connection: sqlite3.Connection, table: str) -> int:
    counted: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - our own table
    return counted


def _opens(connection: sqlite3.Connection, vault: Vault) -> bool | None:
    row = connection.execute("SELECT sealed FROM address ORDER BY id DESC LIMIT 1").fetchone()
    if row is None:
        return None
    try:
        vault.open(row[0])
    except WrongSecretError:
        return False
    return True


# ── PostgreSQL ──


def _dump_postgres(url: URL, target: Path) -> None:
    """Runs pg_dump; the password goes by the environment, where other users of the machine do not see it."""
    plain = url.set(drivername="postgresql", password=None).render_as_string()
    environment = os.environ | ({"PGPASSWORD": str(url.password)} if url.password else {})
    _run("pg_dump", "--format=custom", "--no-password", f"--file={target}", plain, environment=environment)


def _tables_of(path: Path) -> list[str]:
    """The tables whose rows a dump holds; reads it through to the end."""
    listed = _run("pg_restore", "--list", str(path))
    _run("pg_restore", "--file=/dev/null", str(path))
    names = [line.split()[6] for line in listed.splitlines() if " TABLE DATA " in line]
    if missing := {table.name for table in Base.metadata.sorted_tables} - set(names):
        raise BackupError(f"{path.name}: no rows of {', '.join(sorted(missing))}")
    return names


def _run(program: str, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    if shutil.which(program) is None:
        raise BackupError(
            f"{program} 不在本机上，请安装 PostgreSQL 客户端工具 · is missing: install PostgreSQL's client tools"
        )
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own tools with our own arguments
        [program, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        told = done.stderr.strip().splitlines()
        raise BackupError(f"{program}: {told[-1] if told else done.returncode}")
    return done.stdout


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
