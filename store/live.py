"""Who wants to know that something changed: topics, wake-ups, and LISTEN/NOTIFY between processes.

A wake-up says only *that* a topic changed; the reader asks the database *what*, by the sequence it last saw. So a lost
or doubled wake-up never loses or doubles a message. Topics: "floor", "conversation:<id>", "lines:<id>" (where
nothing else of a conversation changed), "phone:<blind>", "broadcast:<id>", "incident:<id>", "staff:<id>", "callbacks",
"outbox".
"""

from __future__ import annotations

import asyncio
import math
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import psycopg
import structlog

log = structlog.get_logger()
CHANNEL = "hotline"
FLUSH_EVERY = 0.01  # seconds a NOTIFY may wait for company
LONGEST = 7900  # bytes of one NOTIFY; PostgreSQL takes less than 8000
RETRY_AFTER = 1.0


class Ear:
    """One listener: `wait` returns the topics that changed since the last call. `woken_at` is when the latest change
    was heard of, on the monotonic clock."""

    def __init__(self, topics: frozenset[str]) -> None:
        self.topics = topics
        self.woken_at = -math.inf
        self._changed: set[str] = set()
        self._deaf_to: frozenset[str] = frozenset()
        self._event = asyncio.Event()

    def wake(self, topics: Iterable[str]) -> None:
        self.woken_at = time.monotonic()
        self._changed.update(topics)
        if not self._deaf_to.issuperset(topics):
            self._event.set()

    async def wait(self, seconds: float | None = None, deaf_to: frozenset[str] = frozenset()) -> set[str]:
        """Waits for a change at most so many seconds. Topics in `deaf_to` are returned too, but nobody is woken for
        them; where nothing else changed in time, the set holds these alone, or nothing."""
        if not self._changed - deaf_to:
            self._event.clear()
            self._deaf_to = deaf_to
            try:
                await asyncio.wait_for(self._event.wait(), seconds)
            except TimeoutError:
                pass
            finally:
                self._deaf_to = frozenset()
        changed, self._changed = self._changed, set()
        return changed


class Live:
    """The hub of one process. `publish` may be called from any thread."""

    def __init__(self, postgres: str | None = None) -> None:
        self._ears: dict[str, set[Ear]] = defaultdict(set)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._postgres = postgres
        self._process = secrets.token_hex(4)
        self._pending: set[str] = set()
        self._changed = asyncio.Event()
        self._lock = threading.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Live]:
        """Binds the hub to the running loop; on PostgreSQL also listens to, and tells, the other processes."""
        self._loop, self._changed = asyncio.get_running_loop(), asyncio.Event()
        if self._postgres:
            self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._tell())]
        try:
            yield self
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._tasks, self._loop = [], None

    @asynccontextmanager
    async def listen(self, *topics: str) -> AsyncIterator[Ear]:
        ear = Ear(frozenset(topics))
        for topic in topics:
            self._ears[topic].add(ear)
        try:
            yield ear
        finally:
            for topic in topics:
                self._ears[topic].discard(ear)
                if not self._ears[topic]:
                    del self._ears[topic]

    def publish(self, topics: Iterable[str]) -> None:
        """Wakes this process's listeners and, on PostgreSQL, soon the others'."""
        loop = self._loop
        changed = frozenset(topics)
        if not changed or loop is None or loop.is_closed():
            return
        if self._postgres:
            with self._lock:
                self._pending |= changed
        loop.call_soon_threadsafe(self._publish, changed)

    def _publish(self, topics: Iterable[str]) -> None:
        self._changed.set()
        self._wake(topics)

    def _wake(self, topics: Iterable[str]) -> None:
        for topic in topics:
            for ear in self._ears.get(topic, ()):
                ear.wake((topic,))

    async def _tell(self) -> None:
        assert self._postgres is not None
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._postgres, autocommit=True) as connection:
                    while True:
                        await self._changed.wait()
                        await asyncio.sleep(FLUSH_EVERY)
                        self._changed.clear()
                        with self._lock:
                            topics, self._pending = self._pending, set()
                        if topics:
                            await connection.execute(
                                "SELECT pg_notify(%s, notice) FROM unnest(%s::text[]) AS notice",
                                (CHANNEL, notices(self._process, sorted(topics))),
                            )
            except psycopg.Error as error:
                log.warning("live.tell_lost", error=type(error).__name__)
                await asyncio.sleep(RETRY_AFTER)

    async def _listen(self) -> None:
        assert self._postgres is not None
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._postgres, autocommit=True) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    self._wake(list(self._ears))  # whatever was missed while away
                    async for notice in connection.notifies():
                        process, *topics = notice.payload.split(" ")
                        if process != self._process:  # our own listeners have been woken
                            self._wake(topics)
            except psycopg.Error as error:
                log.warning("live.listen_lost", error=type(error).__name__)
                await asyncio.sleep(RETRY_AFTER)


def notices(process: str, topics: Iterable[str]) -> list[str]:
    """What tells the other processes of these topics: who says so, then as many as one NOTIFY carries."""
    said, length = [[process]], len(process)
    for topic in topics:
        more = 1 + len(topic.encode())
        if length + more > LONGEST:
            said.append([process])
            length = len(process)
        said[-1].append(topic)
        length += more
    return [" ".join(each) for each in said]
