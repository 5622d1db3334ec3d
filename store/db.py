"""The session shell: `await db.read(fn)` and `await db.write(fn)` run fn(session) whole (DESIGN §1).

On PostgreSQL fn runs in a worker thread with one transaction. On SQLite reads run in worker threads and writes on the
one writer thread, each under its own SAVEPOINT, several waiting ones committed together (WAL, synchronous FULL).
Nobody is answered before the commit, one that fails rolls back alone, nothing outside is ever waited for inside fn.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import DBAPIError, NoResultFound
from sqlalchemy.orm import ORMExecuteState
from sqlalchemy.orm import Session as Session  # doors name the type and no more of SQLAlchemy
from sqlalchemy.pool import NullPool

from store.live import Live
from store.vault import Vault

T = TypeVar("T")
Work = Callable[[Session], T]

POSTGRES_THREADS = 8
SQLITE_READERS = 4
BEGIN = "hotline_begin"  # the execution option that says how a transaction on SQLite begins
STATEMENTS = 1200  # kept compiled; the program has about so many
GROUP = 64  # writes committed together at most
RETRIES = 3  # of a transaction that ran into another one on PostgreSQL
RETRY_STATES = frozenset({"40001", "40P01", "23505"})
"""Serialization failure, deadlock, and a row somebody else inserted a moment earlier: run again, and it is found."""


Missing = NoResultFound
"""What a session raises for a row that must be there and is not."""


class WroteWhileReadingError(TypeError):
    """A function given to `read` changed something: it belongs to `write`."""


class _Reading(Session):
    """What `read` hands out."""


@event.listens_for(_Reading, "before_flush")
def _refuse_rows(session: Session, _context: Any, _rows: Any) -> None:
    raise WroteWhileReadingError(f"{[*session.new, *session.dirty, *session.deleted]}")


@event.listens_for(_Reading, "do_orm_execute")
def _refuse_statement(asked: ORMExecuteState) -> None:
    if asked.is_insert or asked.is_update or asked.is_delete:
        raise WroteWhileReadingError(str(asked.statement))


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[Session], Any]
    done: Future[Any]


class Database:
    """One database and the threads that talk to it. `url` is a SQLAlchemy URL, sqlite:/// or postgresql://."""

    def __init__(self, url: str, vault: Vault) -> None:
        self.url = _normal(url)
        self.vault = vault
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        conninfo = None if self.is_sqlite else self.url.set(drivername="postgresql").render_as_string(False)
        self.live = Live(conninfo)
        if self.is_sqlite:
            Path(self.url.database or "").parent.mkdir(parents=True, exist_ok=True)
            self.engine = self._reader = _sqlite(self.url)
            self._writer: _SqliteWriter | None = _SqliteWriter(self)
            self._threads = ThreadPoolExecutor(SQLITE_READERS, "read")
        else:
            self.engine = _postgres(self.url)
            self._reader = self.engine.execution_options(isolation_level="AUTOCOMMIT")
            self._writer = None
            self._threads = ThreadPoolExecutor(POSTGRES_THREADS, "database")

    # ── the two ways in ──

    async def read(self, work: Work[T]) -> T:
        """Runs `work`, which changes nothing: a change raises WroteWhileReadingError. On PostgreSQL each statement
        stands by itself, as READ COMMITTED has it anyway, without the two messages that begin and end a transaction."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.read_now, work)

    async def write(self, work: Work[T], *, bulk: bool = False) -> T:
        """Runs `work` whole in a transaction and returns after its commit; raises what `work` raised, rolled back.
        `bulk`: it is a page of much, which on SQLite lets the others go first."""
        if self._writer is not None:
            return await asyncio.wrap_future(self._writer.submit(work, bulk=bulk))
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._write_postgres, work)

    def read_now(self, work: Work[T]) -> T:
        """`read` for a caller without an event loop (the command line)."""
        try:
            return self._read(work)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return self._read(work)  # over a connection that had gone while nobody used it; the next one is new

    def write_now(self, work: Work[T]) -> T:
        """`write` for a caller without an event loop."""
        if self._writer is not None:
            return self._writer.submit(work, bulk=False).result()
        return self._write_postgres(work)

    def close(self) -> None:
        """Finishes what is under way and lets go of every connection."""
        if self._writer is not None:
            self._writer.close()
        self._threads.shutdown(wait=True)
        self.engine.dispose()

    # ── how it is done ──

    def _read(self, work: Work[T]) -> T:
        with self._session(self._reader, _Reading) as session:
            return work(session)  # closing leaves the rows that were read as they were read

    @contextmanager
    def _session(self, bind: Engine | Connection, of: type[Session] = Session) -> Iterator[Session]:
        with of(
            bind,
            expire_on_commit=False,
            # On a connection that is handed in, the SAVEPOINT around it commits; closing the session undoes nothing.
            join_transaction_mode="rollback_only",
            info={"vault": self.vault, "topics": set()},
        ) as session:
            yield session

    def _write_postgres(self, work: Work[T]) -> T:
        for attempt in range(RETRIES + 1):
            kept = False
            try:
                with self._session(self.engine) as session:
                    result = work(session)
                    session.flush()
                    kept = True  # or not: a connection lost in the COMMIT does not tell
                    session.commit()
                    self.live.publish(session.info["topics"])
                    return result
            except DBAPIError as error:
                again = getattr(error.orig, "sqlstate", None) in RETRY_STATES
                if attempt == RETRIES or not (again or (error.connection_invalidated and not kept)):
                    raise
        raise AssertionError("unreachable")


class _SqliteWriter:
    """The one thread that writes to SQLite: takes waiting jobs, gives each a SAVEPOINT, commits them together.

    Pages of bulk work wait for what somebody waits for: between two commits of that one page has its turn, and several
    together only while nobody waits.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._engine = database.engine.execution_options(**{BEGIN: "BEGIN IMMEDIATE"})
        self._waiting = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._pages: deque[_Job] = deque()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="write", daemon=True)
        self._thread.start()

    def submit(self, work: Work[T], *, bulk: bool) -> Future[T]:
        done: Future[T] = Future()
        with self._waiting:
            (self._pages if bulk else self._jobs).append(_Job(work, done))
            self._waiting.notify()
        return done

    def close(self) -> None:
        with self._waiting:
            self._closing = True
            self._waiting.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._waiting:
                self._waiting.wait_for(lambda: self._jobs or self._pages or self._closing)
            if not self._jobs and not self._pages:
                return
            for which in (self._jobs, self._pages):
                if which:
                    self._commit(self._together(which))

    def _together(self, which: deque[_Job]) -> Iterator[_Job]:
        """The jobs of one commit: what waits by the time the one before is done."""
        for number in range(GROUP):
            if not which or (number and which is self._pages and self._jobs):
                return
            yield which.popleft()

    def _commit(self, batch: Iterator[_Job]) -> None:
        topics: set[str] = set()
        results: list[tuple[Future[Any], Any]] = []
        failures: list[tuple[Future[Any], BaseException]] = []
        try:
            with self._engine.begin() as connection:
                for job in batch:
                    try:
                        with connection.begin_nested(), self._database._session(connection) as session:
                            result = job.work(session)
                            session.flush()
                        topics |= session.info["topics"]
                        results.append((job.done, result))
                    except BaseException as error:  # noqa: BLE001 - handed to the one who asked
                        failures.append((job.done, error))
        except BaseException as error:  # noqa: BLE001 - the commit itself failed: nobody's work is kept
            failures += [(done, error) for done, _ in results] or [(job.done, error) for job in batch]
            results = []
        self._database.live.publish(topics)
        for done, result in results:
            with contextlib.suppress(Exception):  # the asker may have gone away
                done.set_result(result)
        for done, failure in failures:
            with contextlib.suppress(Exception):
                done.set_exception(failure)


def vault_of(session: Session) -> Vault:
    """The vault this session's database seals addresses with."""
    vault = session.info["vault"]
    assert isinstance(vault, Vault)
    return vault


def touch(session: Session, *topics: str) -> None:
    """After the commit, wake whoever listens to these topics (store/live.py names them)."""
    session.info["topics"].update(topics)


def count_grown(session: Session, *tables: Any) -> None:
    """While many rows come in: PostgreSQL plans by what it counted last, and takes a table that has grown since for
    small; its own round comes a minute later, or never where an operator switched it off. So those of these tables are
    counted anew of which the last count says nothing any more. SQLite plans without counting."""
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        for name in session.scalars(_GROWN, {"names": [table.__tablename__ for table in tables]}):
            connection.exec_driver_sql(f"ANALYZE {name}")


_GROWN = text(
    "SELECT s.relname FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid "
    "WHERE s.relname = ANY (:names) AND s.n_mod_since_analyze > greatest(3 * c.reltuples, 1000)"
)


class _Savepoints(DefaultDialect):
    """A savepoint said as it stands: SQLAlchemy compiles each anew, which costs more than most statements of a turn."""

    def do_savepoint(self, connection: Connection, name: str) -> None:
        connection.exec_driver_sql(f"SAVEPOINT {name}")

    def do_rollback_to_savepoint(self, connection: Connection, name: str) -> None:
        connection.exec_driver_sql(f"ROLLBACK TO SAVEPOINT {name}")

    def do_release_savepoint(self, connection: Connection, name: str) -> None:
        connection.exec_driver_sql(f"RELEASE SAVEPOINT {name}")


class Sqlite(_Savepoints, SQLiteDialect_pysqlite):
    supports_statement_cache = True


class Postgresql(_Savepoints, PGDialect_psycopg):
    supports_statement_cache = True


registry.register("sqlite.hotline", __name__, "Sqlite")
registry.register("postgresql.hotline", __name__, "Postgresql")


def _normal(url: str) -> URL:
    parsed = make_url(url)
    return parsed.set(drivername=f"{parsed.get_backend_name()}+hotline")


@cache
def _postgres(url: URL) -> Engine:
    """One a process, as for SQLite. Who asks are so many threads a Database, so the pool bounds nothing by itself."""
    engine = create_engine(
        url,
        pool_size=POSTGRES_THREADS,
        max_overflow=-1,
        pool_recycle=1800,
        query_cache_size=STATEMENTS,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.execute("SET jit = off")  # it takes seconds to compile what runs for half a second
        connection.commit()

    return engine


@cache
def _sqlite(url: URL) -> Engine:
    """One a process, for reading and writing: a statement is compiled once for both, and stays compiled."""
    connect = {"timeout": 30, "check_same_thread": False}
    engine = create_engine(url, connect_args=connect, query_cache_size=STATEMENTS)
    if url.database in (None, "", ":memory:"):
        raise ValueError("SQLite needs a file: the writer and the readers have connections of their own")

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin by itself: `begin` below does
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin_it(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(BEGIN, "BEGIN"))

    return engine


def offline_engine(url: str) -> Engine:
    """A plain engine without threads, for migrations and backups."""
    parsed = _normal(url)
    return _sqlite(parsed) if parsed.get_backend_name() == "sqlite" else create_engine(parsed, poolclass=NullPool)
