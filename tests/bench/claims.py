"""How long the claim of due callbacks takes beside a million scheduled ones (100,000 on SQLite).

    uv run python tests/bench/claims.py [--databases sqlite,postgresql] [--claims 500] [--rows N]

Two situations: a trickle (a thousand due, the rest spread over thirty days) and a window that opens (a tenth of all due
at one instant); supervisors moved one in five hundred forward or back. Each claim locks a page, as the heartbeat does
(bot/services/calls/dialling.py), marks it as being dialled and commits; the times of the lock alone and of the whole
are printed. The aim is a lock under 20 ms at the 99th percentile.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, text, update
from sqlalchemy.orm import Session

from bot.core.words import CallbackState
from bot.services.calls import dialling
from store.db import Database, offline_engine
from store.migrate import upgrade
from store.tables import Callback
from store.vault import Vault
from tests.fakes import postgres

AIM = 20.0  # ms at the 99th percentile
ROWS = {"sqlite": 100_000, "postgresql": 1_000_000}
NOW = datetime(2026, 7, 1, 6, 30, tzinfo=UTC)
SPREAD = timedelta(days=30)
TRICKLE = 1_000
NUMBERS = {
    "sqlite": "WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < :rows) "
    "SELECT n FROM series",
    "postgresql": "SELECT n FROM generate_series(1, CAST(:rows AS integer)) AS n",
}


def fill(connection: Connection, rows: int, due: int, same_instant: bool) -> None:
    """So many callbacks, of which `due` are due: the first ones, so that neither order nor id tells them apart."""
    dialect = connection.dialect.name
    connection.execute(text("DELETE FROM callback"))
    connection.execute(text("DELETE FROM contact"))
    connection.execute(
        text(
            "INSERT INTO contact (id, name, title, language, timezone, segments, vulnerable, revision, created_at) "
            "VALUES (1, '', '', 'zh', 'Asia/Shanghai', '[]', false, 0, :now)"
        ),
        {"now": _stamp(dialect, NOW)},
    )
    step = SPREAD.total_seconds() / rows
    late = ":now" if same_instant else _shifted(dialect, "-(n % 600)")
    connection.execute(
        text(
            f"""
            INSERT INTO callback (dedupe_key, contact_id, follow_up_group, plan, step, source, purpose, policies,
                                  flow_id, flow, topic, state, due_at, priority, flags, remarks, revision, created_at)
            SELECT 'bench:' || n, 1, 'visited_no_purchase', 'visited_no_purchase', 0, 'plan', 'follow_up',
                   'p', 'f', '{{}}', '', 'scheduled',
                   CASE WHEN n % {rows // due} = 0 THEN {late} ELSE {_shifted(dialect, f"60 + n * {step}")} END,
                   CASE WHEN n % 500 = 0 THEN n / 500 % 19 - 9 ELSE 0 END, '[]', '', 0, :now
            FROM ({NUMBERS[dialect]}) AS numbers
            """
        ),
        {"rows": rows, "now": _stamp(dialect, NOW)},
    )


def _stamp(dialect: str, at: datetime) -> object:
    return at if dialect == "postgresql" else at.strftime("%Y-%m-%d %H:%M:%S.%f")


def _shifted(dialect: str, seconds: str) -> str:
    """SQL of an instant so many seconds after now."""
    if dialect == "postgresql":
        return f"CAST(:now AS timestamptz) + ({seconds}) * interval '1 second'"
    return f"strftime('%Y-%m-%d %H:%M:%f', :now, ({seconds}) || ' seconds') || '000'"


@contextmanager
def database(kind: str) -> Iterator[str]:
    """The URL of an empty, migrated database; gone afterwards."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{Path(folder) / 'claims.db'}"
            upgrade(url)
            yield url
        return
    name = f"hotline_bench_claims_{os.getpid()}"
    try:
        yield postgres.create(name)
    finally:
        postgres.drop(name)


def claim(db: Database, now: datetime) -> tuple[int, float, float]:
    """One page: how many, the milliseconds until they were locked, and until they were marked and committed."""
    locked = 0.0
    began = time.perf_counter()

    def work(session: Session) -> int:
        nonlocal locked
        ids = dialling.due(session, now)
        locked = time.perf_counter() - began
        session.execute(
            update(Callback)
            .where(Callback.id.in_(ids))
            .values(state=CallbackState.DIALLING, due_at=now + timedelta(minutes=5))
        )
        return len(ids)

    found = db.write_now(work)
    return found, locked * 1000, (time.perf_counter() - began) * 1000


def measure(kind: str, rows: int, claims: int, report: Callable[[str], None]) -> bool:
    """Prints both situations; whether every lock held the aim."""
    held = True
    with database(kind) as url:
        engine = offline_engine(url)
        for name, due, same_instant in (("trickle", TRICKLE, False), ("window opens", rows // 10, True)):
            with engine.begin() as connection:
                fill(connection, rows, due, same_instant)
            with engine.connect() as connection:
                if kind == "postgresql":
                    connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE callback"))
            db = Database(url, Vault("a secret for measuring"))
            locks, wholes, taken = [], [], 0
            for n in range(claims):
                found, lock, whole = claim(db, NOW + timedelta(seconds=n % 50))
                taken += found
                locks.append(lock)
                wholes.append(whole)
            db.close()
            held &= at(locks, 99) < AIM
            report(
                f"{kind:<11} {rows:>9,} rows  {name:<13} {claims} claims, {taken:>6} taken   lock {spread(locks)}"
                f"   with commit {spread(wholes)}"
            )
        engine.dispose()
    return held


def spread(times: Sequence[float]) -> str:
    return f"p50 {at(times, 50):6.2f}  p99 {at(times, 99):6.2f}  max {max(times):6.2f} ms"


def at(times: Sequence[float], percentile: int) -> float:
    """The nearest-rank percentile."""
    return sorted(times)[max(0, -(-len(times) * percentile // 100) - 1)]


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--databases", default="sqlite,postgresql")
    ask.add_argument("--claims", type=int, default=500)
    ask.add_argument("--rows", type=int, default=0, help="instead of 100,000 on SQLite and 1,000,000 on PostgreSQL")
    given = ask.parse_args()
    held = [
        measure(kind, given.rows or ROWS[kind], given.claims, lambda line: print(line, flush=True))
        for kind in given.databases.split(",")
    ]
    print(f"aim: lock under {AIM:.0f} ms at the 99th percentile — {'held' if all(held) else 'MISSED'}")


if __name__ == "__main__":
    main()
