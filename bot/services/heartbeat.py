"""The heartbeat: one APScheduler per process, in memory; the due_at columns are the truth (DESIGN §5).

Each beat looks for due rows, a bounded page of each kind, and hands them to the services. A beat that fails is logged
and tried again at the next; a row that fails does not hold up the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from prometheus_client import Counter, Histogram
from sqlalchemy.orm import Session

from bot.services import (
    broadcasts,
    callees,
    dialling,
    facts,
    followups,
    holding,
    kept,
    ladders,
    media,
    outbox,
    sandbox,
    silences,
    visit_notices,
    workers,
)
from bot.services.callees import Callees
from bot.services.centre import Centre
from bot.services.dispatch import drain, sweep
from bot.services.pace import Pace

log = structlog.get_logger()
LEASE_EVERY = 5.0
SWEEP_EVERY = 10.0
ERRANDS_EVERY = 60.0
FETCH_EVERY = 10.0

BEATS = Counter("hotline_heartbeat_total", "Beats of the heartbeat", ["job", "result"])
BEAT_SECONDS = Histogram("hotline_heartbeat_seconds", "How long a beat takes", ["job"])

Tick = Callable[[Session, Centre, datetime], int]
TICKS: Sequence[tuple[str, Tick]] = (
    ("callbacks", dialling.tick),
    ("follow_ups", followups.tick),
    ("ladders", ladders.tick),
    ("broadcasts", broadcasts.tick),
    ("silences", silences.tick),
    ("holding", holding.tick),
    ("visits", visit_notices.tick),
    ("phones", sandbox.tick),
)
"""Each handles a page of its due rows in one short transaction and says how many there were."""

NEXT_DUE: Sequence[Callable[[Session, datetime], datetime | None]] = (
    dialling.next_due,
    ladders.next_due,
    broadcasts.next_due,
    silences.next_due,
    visit_notices.next_due,
    outbox.next_due,
)


@dataclass(frozen=True, slots=True)
class Errand:
    """What another room wants done every so many seconds; it knows itself whether it is due."""

    name: str
    run: Callable[[Centre], Awaitable[int]]
    every: float = ERRANDS_EVERY


class Heartbeat:
    """Runs while the process does. `share` is what this worker may claim; None on SQLite, where it is alone.

    `errands` are what other rooms want done now and then, such as the daily report.
    """

    def __init__(self, centre: Centre, errands: Sequence[Errand] = ()) -> None:
        self._centre = centre
        self._errands = tuple(errands)
        self._pace = Pace(centre.settings.redis_url)
        self._share: frozenset[int] | None = None
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._tasks: list[asyncio.Task[None]] = []
        self.last_beat: datetime | None = None  # machine time

    async def start(self) -> None:
        """Takes this worker's share of the lanes and begins to beat."""
        await self._lease()
        every = {"max_instances": 1, "coalesce": True, "misfire_grace_time": 30}
        patience = self._centre.clock.patience
        self._scheduler.add_job(self.beat, "interval", seconds=patience, id="beat", **every)
        self._scheduler.add_job(self._lease, "interval", seconds=LEASE_EVERY, id="lease", **every)
        self._scheduler.add_job(self._sweep, "interval", seconds=SWEEP_EVERY, id="sweep", **every)
        for errand in self._errands:
            run = partial(self._run, errand)
            self._scheduler.add_job(run, "interval", seconds=errand.every, id=errand.name, **every)
        # A beat may take longer than its interval when much is due; the next one then simply waits.
        logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
        self._scheduler.start()
        self._tasks = [asyncio.create_task(self._send_when_woken()), asyncio.create_task(self._fetch_when_woken())]

    async def stop(self) -> None:
        """Stops beating and gives the lanes back; what is being sent is left to its lease."""
        self._scheduler.shutdown(wait=False)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(Exception):
            await self._centre.db.write(lambda s: workers.leave(s, self._centre.worker))

    async def beat(self) -> int:
        """Once around everything that is due; gives how much there was."""
        centre, handled = self._centre, 0
        for name, tick in TICKS:
            handled += await self._guarded(name, partial(self._tick, tick))
        handled += await self._guarded("kept", self._answer_kept)
        handled += await self._guarded("outbox", self._drain)
        if callees.wanted(centre.settings):
            handled += await self._guarded("callees", lambda: callees.play(centre, Callees()))
        self.last_beat = centre.clock.machine()
        if handled == 0:
            now = centre.clock.now()
            centre.clock.idle(await centre.db.read(lambda s: _next_due(s, now)))
        return handled

    async def settle(self, rounds: int = 50) -> None:
        """Beats until nothing is due; for tests and for the command line."""
        for _ in range(rounds):
            if await self.beat() == 0:
                return

    async def run_errands(self) -> int:
        """Once around the errands; gives how much there was."""
        return sum([await self._run(errand) for errand in self._errands])

    async def _run(self, errand: Errand) -> int:
        return await self._guarded(errand.name, partial(errand.run, self._centre))

    async def _tick(self, tick: Tick) -> int:
        now = self._centre.clock.now()
        return await facts.write(self._centre, lambda s: tick(s, self._centre, now))

    async def _answer_kept(self) -> int:
        now = self._centre.clock.now()
        waiting = await self._centre.db.read(lambda s: kept.due(s, self._centre, now))
        for conversation_id in waiting:
            await kept.answer(self._centre, conversation_id)
        return len(waiting)

    async def _drain(self) -> int:
        self._pace.follow(self._centre.library.current.policies)
        return await drain(self._centre, self._pace, self._share)

    async def _sweep(self) -> None:
        await self._guarded("sweep", lambda: sweep(self._centre))

    async def _lease(self) -> None:
        machine = self._centre.clock.machine()
        share = await self._centre.db.write(lambda s: workers.beat(s, self._centre.worker, machine))
        self._pace.workers = share.workers
        self._share = None if self._centre.db.is_sqlite else share.slots

    async def _send_when_woken(self) -> None:
        """A new outbox row goes out at once, and the next of its lane after it, without waiting for the next beat."""
        async with self._centre.live.listen("outbox") as ear:
            while True:
                if await ear.wait():
                    while await self._guarded("outbox", self._drain):
                        pass

    async def _fetch_when_woken(self) -> None:
        """Files are fetched beside the beat, for a provider may be slow; now and then what could not be fetched."""
        async with self._centre.live.listen(media.TOPIC) as ear:
            while True:
                await self._guarded("media", lambda: media.fetch_due(self._centre))
                await ear.wait(FETCH_EVERY)

    async def _guarded(self, name: str, work: Callable[[], Awaitable[int]]) -> int:
        with BEAT_SECONDS.labels(name).time():
            try:
                handled = await work()
            except Exception:
                log.exception("heartbeat.failed", job=name)
                BEATS.labels(name, "failed").inc()
                return 0
        BEATS.labels(name, "ok").inc()
        return handled


def _next_due(session: Session, now: datetime) -> datetime | None:
    return min((at for at in (ask(session, now) for ask in NEXT_DUE) if at is not None), default=None)
