"""A week of follow-ups at a rehearsal's speed, judged call by call by a calendar of its own (tests/fakes/week.py)."""

from __future__ import annotations

import importlib
from collections import Counter
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.clock import RehearsalClock
from bot.core.words import CallbackState, FollowUpGroup
from bot.services.calls.callbacks import RUNNING
from bot.services.centre import Centre
from bot.services.heartbeat import Heartbeat
from bot.services.library import Library
from bot.services.plans import followups
from bot.services.plans.planning import Occurrence
from bot.services.sandbox.callees import Callees
from bot.settings import PACKS, Rehearsal
from store.tables import Callback, SandboxText
from tests.conftest import ROOT
from tests.fakes.week import BEGINS, FAST, judge, visits

PEOPLE = 6
BEATS = 2000  # people who want an agent nobody is there for keep their ladders busy


@pytest.fixture
def rehearsal(centre: Centre, tmp_path: Path) -> Centre:
    """The house on a Monday before the National Day holidays; time jumps, and people answer by themselves."""
    clock = RehearsalClock(BEGINS, None)
    own = tmp_path / "scripts"
    own.mkdir()
    (own / "policies.yml").write_text(FAST, "utf-8")
    library = Library([ROOT / "scripts", ROOT / "scripts" / "demo", own], frozenset(PACKS), clock.now)
    centre.db.write_now(lambda s: library.keep(s, clock.now()))
    settings = centre.settings.model_copy(update={"rehearsal": Rehearsal(BEGINS, None)})
    channels = importlib.import_module("bot.app")._channels(settings, centre.db, clock, library)
    return replace(centre, settings=settings, clock=clock, library=library, channels=channels)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # a rehearsal has a database of its own
async def test_everybody_comes_to_an_end_and_each_call_is_one_the_calendar_allows(rehearsal: Centre) -> None:
    def list_of(session: Session) -> None:
        for event in visits(PEOPLE):
            what = Occurrence(
                "list",
                event["external_id"],
                FollowUpGroup(event["kind"]),
                event["phone"],
                event["name"],
                datetime.fromisoformat(event["happened_at"]),
            )
            followups.record(session, rehearsal, what, rehearsal.clock.now())

    rehearsal.db.write_now(list_of)
    heartbeat = Heartbeat(rehearsal)
    waiting = select(func.count()).select_from(Callback).where(RUNNING)
    for _ in range(BEATS):
        if await heartbeat.beat() == 0 and not await rehearsal.db.read(lambda s: s.scalar(waiting)):
            break
    judged = await rehearsal.db.read(lambda s: judge(s, Callees()))
    assert judged.wrong == ()
    assert judged.people == PEOPLE
    assert judged.calls >= PEOPLE
    ended = await rehearsal.db.read(lambda s: Counter(s.scalars(select(Callback.state))))
    assert set(ended) <= {CallbackState.DONE, CallbackState.GIVEN_UP}
    texts = await rehearsal.db.read(lambda s: s.scalar(select(func.count()).select_from(SandboxText)))
    given_up = sum(n for how, n in judged.by.items() if how in ("no_answer", "busy", "machine"))
    assert texts is not None
    assert texts >= given_up
