"""Facts from the operator's own SQL database: tables or views named as in bot/core/facts.py, which are only read."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta, tzinfo
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    Connection,
    DateTime,
    Engine,
    Select,
    and_,
    column,
    create_engine,
    inspect,
    literal,
    make_url,
    or_,
    select,
    table,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import TypeEngine

from bot.core.facts import (
    MAX_ROWS,
    TABLES,
    Change,
    Changed,
    Outcome,
    Question,
    Row,
    Span,
    TooManyError,
    bare,
    moved_at,
    read_row,
)

THREADS = 4
STATEMENT_MS = 5_000
CONNECT_SECONDS = 2
AT_ONCE = 500  # rows fetched together


class SqlSource:
    """`url` is any SQLAlchemy URL; a table or an optional column that is not there is simply not known."""

    name = "sql"

    def __init__(self, url: str, zone: tzinfo) -> None:
        parsed, options = _read_only(make_url(url))
        self._engine: Engine = create_engine(
            parsed, pool_size=THREADS, max_overflow=0, pool_pre_ping=True, connect_args=options
        )
        self._threads = ThreadPoolExecutor(THREADS, "facts")
        self._zone = zone

    async def ask(self, question: Question) -> tuple[Row, ...] | None:
        """None where there is no such table. Raises ConnectionError, and BadCellError for a row of another shape."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, question)

    def _ask(self, question: Question) -> tuple[Row, ...] | None:
        try:
            with self._engine.connect() as connection:
                query = _query(connection, question)
                rows = [] if query is None else connection.execute(query).mappings().all()
        except SQLAlchemyError as error:
            raise ConnectionError(type(error).__name__) from error
        if query is None:
            return None
        return tuple(read_row(question.table, dict(row), self._zone) for row in rows)

    async def moved(self, question: Question, span: Span) -> tuple[Row, ...] | None:
        """As `ask`, of the orders that moved within the span. Raises TooManyError too."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._moved, question, span)

    def _moved(self, question: Question, span: Span) -> tuple[Row, ...] | None:
        found: list[Row] = []
        try:
            with self._engine.connect() as connection:
                query = _query(
                    connection, question, Span(span.start.astimezone(self._zone), span.end.astimezone(self._zone))
                )
                if query is None:
                    return None
                for raw in connection.execution_options(yield_per=AT_ONCE).execute(query).mappings():
                    row = read_row(question.table, dict(raw), self._zone)
                    if moved_at(row) in span:
                        found.append(row)
                    if len(found) > MAX_ROWS:
                        raise TooManyError
        except SQLAlchemyError as error:
            raise ConnectionError(type(error).__name__) from error
        return tuple(found)

    async def change(self, change: Change) -> Changed:
        """Somebody else's tables are never written: a person makes the change."""
        del change
        return Changed(Outcome.CANNOT)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._engine.dispose()


def _read_only(url: URL) -> tuple[URL, dict[str, Any]]:
    """The database so that it cannot be written, and gives up by itself on what takes too long."""
    match url.get_backend_name():
        case "postgresql":
            options = f"-c default_transaction_read_only=on -c statement_timeout={STATEMENT_MS}"
            return url.set(drivername="postgresql+psycopg"), {"connect_timeout": CONNECT_SECONDS, "options": options}
        case "sqlite" if url.database:
            path = quote(str(Path(url.database).resolve()))
            return url.set(database=f"file:{path}", query={"mode": "ro", "uri": "true"}), {"check_same_thread": False}
    return url, {}


def _query(connection: Connection, question: Question, span: Span | None = None) -> Select[tuple[object, ...]] | None:
    seen = inspect(connection)
    if not (seen.has_table(question.table) or question.table in seen.get_view_names()):
        return None
    there = {each["name"]: each["type"] for each in seen.get_columns(question.table)}
    columns: dict[str, ColumnClause[object]] = {name: column(name) for name in TABLES[question.table] if name in there}
    query = select(*columns.values()).select_from(table(question.table, *columns.values()))
    for name, value in question.key:
        if name not in columns:
            return None
        if name == "phone":
            query = query.where(or_(columns[name] == value, columns[name] == bare(value)))
        else:
            query = query.where(columns[name].in_({value, value.upper(), value.lower()}))
    if span is None:
        return query.limit(MAX_ROWS)
    text = connection.dialect.name == "sqlite"
    within = {
        name: _within(columns[name], there[name], span, text) for name in ("ordered_at", "trace_at") if name in there
    }
    if "trace_at" not in within:
        return query.where(within["ordered_at"])
    still = columns["trace_at"].is_(None)
    return query.where(
        or_(within["trace_at"], and_(or_(still, columns["trace_at"] == "") if text else still, within["ordered_at"]))
    )


def _within(moment: ColumnClause[object], kind: TypeEngine[object], span: Span, text: bool) -> ColumnElement[bool]:
    """Whether a column's moment lies in a span, so that an index on it serves. A text is compared by its day, a day
    early: it may be written in many ways, and in any zone."""
    if text or not isinstance(kind, DateTime):
        return moment >= literal((span.start - timedelta(days=1)).date().isoformat())
    if not kind.timezone:  # the operator's own time
        span = Span(span.start.replace(tzinfo=None), span.end.replace(tzinfo=None))
    return and_(moment >= literal(span.start), moment < literal(span.end))
