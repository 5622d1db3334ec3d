"""The heartbeat: one APScheduler per process, in memory; the due_at columns are the truth (DESIGN §5).

Each beat looks for due rows, a bounded page of each kind, and hands them to the services. A beat that fails is logged
and tried again at the next; a row that fails does not hold up the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from prometheus_client import Counter, Histogram
from sqlalchemy.orm import Session

from bot.core.policy import Policies
from bot.services import search, workers
from bot.services.announcements import flights
from bot.services.calls import dialling, recovery_calls
from bot.services.casework import case_clocks, visit_notices
from bot.services.centre import Centre
from bot.services.conversation import holding, kept, media, silences
from bot.services.delivery import outbox
from bot.services.delivery.dispatch import drain, sweep
from bot.services.delivery.pace import Pace
from bot.services.desk import assigning, occupancy, places
from bot.services.escalation import ladders, roster
from bot.services.facts import facts
from bot.services.incidents import incident_steps
from bot.services.incidents.incident_types import catalogue
from bot.services.plans import followups, import_jobs, planned_messages
from bot.services.sandbox import callees, unattended
from bot.services.sandbox.callees import Callees
from scripts.incidents import CatalogueError

log = structlog.get_logger()
LEASE_EVERY = 5.0
SWEEP_EVERY = 10.0
STOP_WITHIN = 8.0  # seconds for which what is in the air is waited for when the program ends
SENDERS = 2  # batches of the outbox under way at once: one is claimed while another waits for the provider
ERRANDS_EVERY = 60.0
FETCH_EVERY = 10.0
FETCHERS = 4  # files under way at once: a slow one holds up no other

BEATS = Counter("hotline_heartbeat_total", "Beats of the heartbeat", ["job", "result"])
BEAT_SECONDS = Histogram("hotline_heartbeat_seconds", "How long a beat takes", ["job"])

Tick = Callable[[Session, Centre, datetime], int]
TICKS: Sequence[tuple[str, Tick]] = (
    ("callbacks", dialling.tick),
    ("follow_ups", followups.tick),
    ("planned_messages", planned_messages.tick),
    ("ladders", ladders.tick),
    ("incidents", incident_steps.tick),
    ("broadcasts", flights.tick),
    ("recovery", recovery_calls.tick),
    ("silences", silences.tick),
    ("assigning", assigning.tick),
    ("holding", holding.tick),
    ("places", places.tick),
    ("visits", visit_notices.tick),
    ("case_clocks", case_clocks.tick),
    ("occupancy", occupancy.tick),
    ("roster", roster.tick),
    ("phones", unattended.tick),
    ("imports", import_jobs.tick),
)
"""Each handles a page of its due rows in one short transaction and says how many there were."""
FULL: Mapping[str, int] = {"holding": holding.PAGE}
"""Whose pages are so small that after a full one the next follows at once."""

NEXT_DUE: Sequence[Callable[[Session, datetime], datetime | None]] = (
    dialling.next_due,
    planned_messages.next_due,
    ladders.next_due,
    incident_steps.next_due,
    flights.next_due,
    silences.next_due,
    visit_notices.next_due,
    case_clocks.next_due,
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
        self._halt = asyncio.Event()
        self._air: set[asyncio.Task[int]] = set()  # drains under way
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._tasks: list[asyncio.Task[None]] = []
        self._at_rest = True  # nothing was due at the last beat, and no clock to go on
        self.last_beat: datetime | None = None  # machine time

    async def start(self) -> None:
        """Takes this worker's share of the lanes and begins to beat."""
        await self._lease()
        with contextlib.suppress(CatalogueError):  # whoever asks for it says so
            await asyncio.to_thread(catalogue, self._centre)  # files, so not first in somebody's transaction
        every = {"max_instances": 1, "coalesce": True, "misfire_grace_time": 30}
        patience = self._centre.clock.patience
        jobs: list[tuple[str, Callable[[], Awaitable[object]], float]] = [
            ("beat", self._beats, patience),
            ("lease", self._lease, LEASE_EVERY),
            ("sweep", self._sweep, SWEEP_EVERY),
            *((errand.name, partial(self._run, errand), errand.every) for errand in self._errands),
        ]
        for name, job, seconds in jobs:
            run = partial(self._until_stopped, job)
            self._scheduler.add_job(run, "interval", seconds=seconds, id=name, **every)
        # A beat may take longer than its interval when much is due; the next one then simply waits.
        logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
        self._scheduler.start()
        work = [self._send_when_woken() for _ in range(SENDERS)]
        self._tasks = [
            asyncio.create_task(each)
            for each in (
                *work,
                self._page_when_woken("fan_out", flights.TOPIC, flights.fan_out_next),
                self._page_when_woken("imports", import_jobs.TOPIC, import_jobs.tick),
                *(self._fetch_when_woken() for _ in range(FETCHERS)),
            )
        ]

    async def stop(self) -> None:
        """Stops beating, waits a little for what is in the air and gives the lanes back. What has not left goes back
        into the queue; what is not answered in time is left to its lease."""
        self._halt.set()
        self._scheduler.shutdown(wait=False)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._air:
            _, lost = await asyncio.wait(self._air, timeout=STOP_WITHIN)
            for sending in lost:
                sending.cancel()
            await asyncio.gather(*lost, return_exceptions=True)
        with contextlib.suppress(Exception):
            await self._centre.db.write(lambda s: workers.leave(s, self._centre.worker))

    async def _until_stopped(self, job: Callable[[], Awaitable[object]]) -> None:
        """To be stopped in the middle is no failure of a job, as the scheduler would report it."""
        try:
            await job()
        except asyncio.CancelledError:
            if not self._halt.is_set():
                raise

    async def beat(self) -> int:
        """Once around everything that is due; gives how much there was."""
        centre, handled = self._centre, await self._ticks()
        handled += await self._guarded("kept", self._answer_kept)
        handled += await self._guarded("search", partial(search.follow, centre))
        handled += await self._guarded("outbox", self._drain)
        if callees.wanted(centre.settings):
            handled += await self._guarded("callees", lambda: callees.play(centre, Callees()))
        self.last_beat = centre.clock.machine()
        self._at_rest = handled == 0 and not await self._jumped()
        return handled

    async def _beats(self) -> None:
        """One beat; where the clock hurries, beat after beat for as long as something is due, now or later."""
        await self.beat()
        while self._centre.clock.hurries and not self._at_rest:
            await self.beat()

    async def _jumped(self) -> bool:
        """Whether the clock went on to what is due next; not over what is just being sent."""
        clock = self._centre.clock
        if not clock.hurries:
            return False
        now, policies = clock.now(), self._centre.library.current.policies
        ahead = await self._centre.db.read(lambda s: _next_due(s, policies, now))
        return not self._air and clock.idle(ahead)

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

    async def _ticks(self) -> int:
        """Every tick in its order; on SQLite, which has one writer, those that wait for it are committed together."""
        if self._centre.db.is_sqlite:
            return sum(await asyncio.gather(*(self._pages(name, tick) for name, tick in TICKS)))
        return sum([await self._pages(name, tick) for name, tick in TICKS])

    async def _pages(self, name: str, tick: Tick) -> int:
        handled = page = await self._guarded(name, partial(self._tick, tick))
        while page >= FULL.get(name, math.inf):
            handled += (page := await self._guarded(name, partial(self._tick, tick)))
        return handled

    async def _tick(self, tick: Tick) -> int:
        now = self._centre.clock.now()
        return await facts.write(self._centre, lambda s: tick(s, self._centre, now), bulk=True)

    async def _answer_kept(self) -> int:
        now = self._centre.clock.now()
        waiting = await self._centre.db.read(lambda s: kept.due(s, self._centre, now))
        for conversation_id in waiting:
            await kept.answer(self._centre, conversation_id)
        return len(waiting)

    async def _drain(self) -> int:
        self._pace.follow(self._centre.library.current.policies)
        sending = asyncio.create_task(drain(self._centre, self._pace, self._share, self._halt))
        self._air.add(sending)
        sending.add_done_callback(self._air.discard)
        return await asyncio.shield(sending)  # who is told to stop does not lose the answers to what it sent

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

    async def _page_when_woken(self, name: str, topic: str, tick: Tick) -> None:
        """The pages of a broadcast, or of a list, follow each other at once; between two, others have their turn."""
        async with self._centre.live.listen(topic) as ear:
            while True:
                if await ear.wait():
                    while await self._guarded(name, partial(self._tick, tick)):
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


def _next_due(session: Session, policies: Policies, now: datetime) -> datetime | None:
    ahead = [ask(session, now) for ask in NEXT_DUE]
    ahead.append(occupancy.next_due(session, policies.occupancy, now))
    return min((at for at in ahead if at is not None), default=None)
