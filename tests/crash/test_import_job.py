"""kill -9 in the middle of a list of several thousand rows: it goes on where it stood, and every row is there once."""

from __future__ import annotations

import asyncio
from collections import Counter

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.services.centre import Centre
from bot.services.plans import import_jobs
from bot.services.plans.import_jobs import PAGE
from bot.services.plans.visit_lists import table
from store.tables import Callback, Delivery, Event, ImportJob, ImportPage, ImportRun, ImportState, Staff
from tests.crash.conftest import Start
from tests.fakes.clock import ManualClock
from tests.fakes.process import Dies, Hotline

ROWS = PAGE * 6
EVERY = 700  # rows of which one has no number that could be called
BAD = len(range(0, ROWS, EVERY))
STOOD_AT = (
    (Dies("bot.services.plans.list_pages:record_all", done=True, nth=3), 2),
    (Dies("bot.services.plans.import_jobs:_take", done=True, nth=2), 3),
    (Dies("bot.services.plans.import_jobs:_finish", done=True), 5),
)
"""Moments of one start after the other, none of them committed, and how many pages are in by then."""


def bring(session: Session, clock: ManualClock) -> int:
    """A list whose columns somebody has confirmed, with its last row a second time."""
    rows = [f"V{n},顾客{n},女士,{12 if n % EVERY == 0 else 19900010000 + n}," for n in range(ROWS - 1)]
    lines = [f"{row}2026-07-01 09:30,到诊未消费" for row in [*rows, rows[-1]]]
    file = "\n".join(["外部编号,姓名,称呼,电话,到诊时间,事件", *lines]).encode()
    person = session.scalars(select(Staff.id).order_by(Staff.id).limit(1)).one()
    job = import_jobs.draft(session, "名单.csv", table(file), staff_id=person, now=clock.now())
    import_jobs.start(session, job.id, staff_id=person, now=clock.now())
    return job.id


async def test_a_list_goes_on_where_it_stood(hotline: Start, centre: Centre, clock: ManualClock) -> None:
    program: Hotline = hotline()
    before = centre.db.read_now(lambda s: s.scalar(select(func.count()).select_from(Event))) or 0
    job_id = centre.db.write_now(lambda s: bring(s, clock))

    def stands(session: Session) -> ImportJob:
        job = session.get_one(ImportJob, job_id)
        events = session.scalar(select(func.count()).select_from(Event)) or 0
        assert job.loaded == events - before  # a page is in as a whole, or not at all
        return job

    for dies, pages in STOOD_AT:
        await asyncio.to_thread(program.start, "serve", at=clock.now(), dies=dies)
        await asyncio.to_thread(program.died)
        assert centre.db.read_now(stands).cursor == pages
    await asyncio.to_thread(program.serve, at=clock.now())
    while centre.db.read_now(lambda s: s.get_one(ImportJob, job_id).state) is ImportState.RUNNING:
        assert program.runs(), program.said()
        await asyncio.sleep(0.05)
    program.kill()

    def look(session: Session) -> None:
        job = stands(session)
        good = ROWS - 1 - BAD
        assert (job.state, job.loaded, job.known, job.refused) == (ImportState.DONE, good, 1, BAD)
        assert job.cursor * PAGE == ROWS
        calls = Counter(session.scalars(select(Callback.event_id)))
        assert (len(calls), set(calls.values())) == (good, {1})
        assert len({fault[0] for fault in import_jobs.faults(session, job)}) == BAD
        assert session.scalars(select(ImportRun.id)).all() == [job.run_id]
        assert session.scalar(select(func.count()).select_from(ImportPage)) == BAD
        told = select(Delivery.id).where(Delivery.dedupe_key.startswith("alert:import:"))
        assert len(session.scalars(told).all()) == 1

    centre.db.read_now(look)
