"""Where facts come from: the files under the script roots, or a system somewhere else behind a time limit.

A system that is slow or gone is left alone for a while, so that it does not stall every turn; what it would have said
is not known meanwhile, and the flows say so.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog
from sqlalchemy.exc import ArgumentError

from bot.core.facts import (
    Change,
    Changed,
    Facts,
    Health,
    Outcome,
    Question,
    Row,
    Span,
    TooManyError,
    matches,
    moved_at,
)
from bot.core.policy import FactSource as Patience
from bot.services.facts.facts_http import HttpSource
from bot.services.library import Library
from bot.settings import Settings, SettingsError
from store.facts import SqlSource

log = structlog.get_logger()
KEPT = 2_000  # answers remembered at once
SPAN_TIMES = 3  # as long as a turn's question may a look over many orders take
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds a failed source is left alone: from the first, doubling up to the longest."""


def connect(settings: Settings, library: Library) -> Facts:
    """The source HOTLINE_FACTS names: files under the script roots, an SQL database, an HTTP service. A rehearsal may
    look things up there and changes nothing. Raises SettingsError for a database nobody can open here."""
    if not settings.facts:
        return FileFacts(library)

    def patience() -> Patience:
        return library.current.policies.facts

    source: Source
    if settings.facts.startswith(("http://", "https://")):
        timeout = patience().timeout.total_seconds()
        source = HttpSource(settings.facts, settings.facts_token.get_secret_value(), settings.zone, timeout)
    else:
        try:
            source = SqlSource(settings.facts, settings.zone)
        except (ImportError, ValueError, ArgumentError) as error:  # a driver that is missing, a URL that is none
            raise SettingsError(f"  HOTLINE_FACTS: {error}") from error
    return PatientFacts(source, patience, read_only=settings.rehearsal is not None)


class FileFacts:
    """The tables under the script roots, as they were last read. A person makes the changes: no file is written."""

    def __init__(self, library: Library) -> None:
        self._library = library

    async def rows(self, question: Question) -> tuple[Row, ...] | None:
        table = self._library.current.facts.get(question.table)
        return None if table is None else tuple(row for row in table if matches(row, question.key))

    async def moved(self, question: Question, span: Span) -> tuple[Row, ...] | None:
        rows = await self.rows(question)
        return None if rows is None else tuple(row for row in rows if moved_at(row) in span)

    async def change(self, change: Change) -> Changed:
        del change
        return Changed(Outcome.CANNOT)

    def health(self) -> Health:
        return Health("files", ok=True)

    async def close(self) -> None:
        return None


class Source(Protocol):
    """A system somewhere else. `ask` raises ConnectionError when it does not answer, ValueError when it answers with
    something of another shape."""

    name: str

    async def ask(self, question: Question) -> tuple[Row, ...] | None: ...

    async def moved(self, question: Question, span: Span) -> tuple[Row, ...] | None: ...

    async def change(self, change: Change) -> Changed: ...

    async def close(self) -> None: ...


class PatientFacts:
    """A source somewhere else, with a time limit, a short memory, and a pause after it failed. The same question asked
    by many turns at once is asked once. `monotonic` is the machine's clock, in seconds."""

    def __init__(
        self,
        source: Source,
        patience: Callable[[], Patience],
        *,
        read_only: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._patience = patience
        self._read_only = read_only
        self._monotonic = monotonic
        self._kept: OrderedDict[Question, tuple[float, tuple[Row, ...] | None]] = OrderedDict()
        self._asking: dict[Question, asyncio.Task[tuple[Row, ...] | None]] = {}
        self._trouble = ""
        self._odd = ""  # it answers, but not in the shape that was agreed
        self._pause = FIRST_PAUSE
        self._until = 0.0

    async def rows(self, question: Question) -> tuple[Row, ...] | None:
        until, rows = self._kept.get(question, (0.0, None))
        if self._monotonic() < until:
            return rows
        task = self._asking.get(question)
        if task is None:
            if not self._may_ask():
                return None
            task = asyncio.create_task(self._ask(question))
            self._asking[question] = task
            task.add_done_callback(lambda _: self._asking.pop(question, None))
        return await asyncio.shield(task)

    async def moved(self, question: Question, span: Span) -> tuple[Row, ...] | None:
        """Not remembered: nobody asks for the same span again. It may take longer than a turn can wait."""
        if not self._may_ask():
            return None
        return await self._asked(question, lambda: self._source.moved(question, span), SPAN_TIMES * self._limit)

    async def change(self, change: Change) -> Changed:
        if self._read_only:
            return Changed(Outcome.CANNOT)
        if not self._may_ask():
            return Changed(Outcome.UNSURE)
        try:
            async with asyncio.timeout(2 * self._limit):
                done = await self._source.change(change)
        except Exception as error:  # noqa: BLE001 - whatever a foreign system does, the turn goes on without it
            self._failed(error)
            return Changed(Outcome.UNSURE)
        if done.outcome is Outcome.UNSURE:
            self._failed(ConnectionError("no answer to a change"))
        else:
            self._answered()
        for question in [question for question in self._kept if question.table == change.table]:
            del self._kept[question]
        return done

    def health(self) -> Health:
        return Health(self._source.name, ok=not self._trouble, detail=self._trouble or self._odd)

    async def close(self) -> None:
        for task in list(self._asking.values()):
            task.cancel()
        await self._source.close()

    @property
    def _limit(self) -> float:
        return self._patience().timeout.total_seconds()

    def _may_ask(self) -> bool:
        """Whether the source may be asked now; after a pause one question tries it."""
        if not self._trouble:
            return True
        if self._monotonic() < self._until:
            return False
        self._until = self._monotonic() + self._limit + self._pause
        return True

    async def _ask(self, question: Question) -> tuple[Row, ...] | None:
        rows = await self._asked(question, lambda: self._source.ask(question), self._limit)
        if not self._trouble:
            self._keep(question, rows)
        return rows

    async def _asked(
        self, question: Question, ask: Callable[[], Awaitable[tuple[Row, ...] | None]], limit: float
    ) -> tuple[Row, ...] | None:
        try:
            async with asyncio.timeout(limit):
                rows = await ask()
        except TooManyError:
            self._answered()
            raise
        except ValueError as error:
            self._odd = f"{question.table}: {error}"
            log.warning("facts.odd_answer", source=self._source.name, table=question.table, why=str(error))
            return None
        except Exception as error:  # noqa: BLE001 - whatever a foreign system does, the turn goes on without it
            self._failed(error)
            return None
        self._answered()
        return None if rows is None else tuple(row for row in rows if matches(row, question.key))

    def _keep(self, question: Question, rows: tuple[Row, ...] | None) -> None:
        self._kept[question] = (self._monotonic() + self._patience().fresh.total_seconds(), rows)
        self._kept.move_to_end(question)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def _answered(self) -> None:
        if self._trouble:
            log.info("facts.recovered", source=self._source.name)
        self._trouble, self._pause = "", FIRST_PAUSE

    def _failed(self, error: Exception) -> None:
        trouble = str(error) or type(error).__name__
        if not self._trouble:
            log.warning("facts.failed", source=self._source.name, why=trouble)
        else:
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._trouble, self._until = trouble, self._monotonic() + self._pause
