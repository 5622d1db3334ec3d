"""Table C.7 of the requirements, row by row: what happened → the call that is owed → what the gate says, on the State
Council's calendar, with the demo's season dates. In 2026 National Day is 1–7 October and its eve a Wednesday."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.plan import Trigger
from bot.core.words import CallbackState, ChannelName, Language
from bot.services import contacts
from bot.services.calls import bookings, dialling
from bot.services.calls.bookings import NotBookableError
from bot.services.centre import Centre
from bot.services.library import Library
from bot.services.plans import followups
from bot.services.plans.imports import RIGHT
from bot.services.plans.planning import Occurrence
from bot.settings import PACKS
from store.tables import Callback
from tests.conftest import ROOT
from tests.fakes.clock import ManualClock

NUMBER = "+8613900010001"
VISITED, PURCHASED = Trigger.VISITED_NO_PURCHASE, Trigger.VISITED_PURCHASED
SHIPPED, DEMO = ROOT / "scripts", ROOT / "scripts" / "demo"
NARROW = 'hours:\n  windows:\n    requested:\n      weekdays: [1, 2, 3, 4, 5, 6, 7]\n      all_year: ["14:30-16:30"]\n'


def at(text: str) -> datetime:
    """A wall-clock time of Shanghai, as "2026-07-01 14:30" or with seconds."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC) - timedelta(hours=8)


@dataclass(frozen=True)
class Row:
    """`happened` is told at once and owes a call at `due`, with these flags, in time until `in_time`; at each moment
    of `gate` a call may be placed (None) or is put off until then. With a `wish` made then instead, it is taken, or
    these times are `offered`. `unplanned`: why nothing is owed."""

    happened: str
    kind: Trigger | None = VISITED
    due: str = ""
    flags: tuple[str, ...] = ()
    in_time: str = ""
    gate: tuple[tuple[str, str | None], ...] = ()
    wish: str = ""
    offered: tuple[str, ...] = ()
    policies: str = "demo"
    unplanned: str = ""


TABLE = {
    "1 summer, a visit without a purchase at 10:00": Row(
        "2026-07-01 10:00",
        due="2026-07-01 14:30",
        in_time="2026-07-03 20:00",
        gate=(("2026-07-01 14:29:59", "2026-07-01 14:30"), ("2026-07-01 14:30", None), ("2026-07-03 19:59:59", None)),
    ),
    "2 winter, the same": Row(
        "2026-11-04 10:00",
        due="2026-11-04 14:00",
        in_time="2026-11-06 20:00",
        gate=(("2026-11-04 13:59:59", "2026-11-04 14:00"), ("2026-11-04 14:00", None)),
    ),
    "3 a purchase at 16:00": Row(
        "2026-07-01 16:00",
        PURCHASED,
        due="2026-07-01 19:00",
        in_time="2026-07-01 20:00",
        gate=(("2026-07-01 16:15", "2026-07-01 19:00"), ("2026-07-01 19:00", None)),
    ),
    "4 a purchase at 20:30": Row(
        "2026-07-01 20:30",
        PURCHASED,
        due="2026-07-02 19:00",
        flags=("missed_same_evening",),
        gate=(("2026-07-01 20:30", "2026-07-02 19:00"), ("2026-07-02 19:00", None)),
    ),
    "5 a purchase on a holiday's eve": Row(
        "2026-09-30 16:00",
        PURCHASED,
        due="2026-09-30 19:00",
        gate=(("2026-09-30 19:00", None), ("2026-09-30 20:00", "2026-10-08 19:00")),
    ),
    "6 a purchase on a holiday": Row(
        "2026-10-01 16:00",
        PURCHASED,
        due="2026-10-08 19:00",
        flags=("late_holiday",),
        gate=(("2026-10-01 19:00", "2026-10-08 19:00"), ("2026-10-07 19:30", "2026-10-08 19:00")),
    ),
    "7 dialling at 16:29:59 and at 16:30:00": Row(
        "2026-07-01 10:00",
        due="2026-07-01 14:30",
        gate=(("2026-07-01 16:29:59", None), ("2026-07-01 16:30:00", "2026-07-01 19:00")),
    ),
    "8 summer at 14:10": Row(
        "2026-07-01 10:00", due="2026-07-01 14:30", gate=(("2026-07-01 14:10", "2026-07-01 14:30"),)
    ),
    "8 winter at 14:10": Row("2026-11-04 10:00", due="2026-11-04 14:00", gate=(("2026-11-04 14:10", None),)),
    "9 call at 13:00 tomorrow, where any time is allowed": Row(
        "2026-07-01 10:00",
        None,
        wish="2026-07-02 13:00",
        due="2026-07-02 13:00",
        flags=("asked_time",),
        gate=(("2026-07-02 13:00", None),),
    ),
    "9 the same, where it is not": Row(
        "2026-07-01 10:00",
        None,
        wish="2026-07-02 13:00",
        policies="narrow",
        offered=("2026-07-02 14:30", "2026-07-03 14:30"),
    ),
    "10 season dates not set": Row("2026-07-01 10:00", policies="unset", unplanned="seasons_unset"),
}

Read = Callable[[str], Library | None]


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    """The shipped scripts with an operator's settings; None: the demo's, which every centre of the tests has."""
    found: dict[str, Library] = {}

    def library(policies: str) -> Library | None:
        if policies == "demo":
            return None
        if policies not in found:
            narrow: Path = tmp_path_factory.mktemp("narrow")
            (narrow / "policies.yml").write_text(NARROW, "utf-8")
            roots = [SHIPPED] if policies == "unset" else [SHIPPED, DEMO, narrow]
            found[policies] = Library(roots, frozenset(PACKS), lambda: at("2026-07-01 10:00"))
        return found[policies]

    return library


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
def test_table_c7(centre: Centre, clock: ManualClock, read: Read, row: Row) -> None:
    library = read(row.policies)
    centre = replace(centre, library=library) if library is not None else centre
    clock.set(at(row.happened))
    if row.offered:
        with pytest.raises(NotBookableError) as refused:
            owed(centre, row)
        assert [slot.start for slot in refused.value.slots] == [at(slot) for slot in row.offered]
        return
    callback_id = owed(centre, row)
    if callback_id is None:
        assert row.unplanned in RIGHT  # told in words
        return
    callback = centre.db.read_now(lambda s: s.get_one(Callback, callback_id))
    assert (callback.due_at, tuple(callback.flags)) == (at(row.due), row.flags)
    if row.in_time:
        assert callback.late_after == at(row.in_time)
    for moment, until in row.gate:
        now = at(moment)
        stands = centre.db.read_now(
            lambda s, now=now: dialling.stands_against(s, centre, s.get_one(Callback, callback_id), now)
        )
        assert (stands and stands[1]) == (until and at(until)), moment
    moment, until = row.gate[-1]
    clock.set(max(at(moment), at(row.due)))
    centre.db.write_now(lambda s: dialling.tick(s, centre, clock.now()))
    callback = centre.db.read_now(lambda s: s.get_one(Callback, callback_id))
    if until is None or at(until) <= clock.now():
        assert callback.state is CallbackState.DIALLING
    else:
        assert (callback.state, callback.due_at) == (CallbackState.SCHEDULED, at(until))


def owed(centre: Centre, row: Row) -> int | None:
    """Tells what happened, or what is wished; the call that is owed. Raises NotBookableError."""
    now = centre.clock.now()
    if row.kind is not None:
        what = Occurrence("visits", "V1", row.kind, NUMBER, "王秀英", now, title="王女士")
        recorded = centre.db.write_now(lambda s: followups.record(s, centre, what, now))
        assert (recorded.unplanned or "") == row.unplanned
        assert recorded.callback_id is not None or centre.db.read_now(lambda s: s.scalars(select(Callback)).all()) == []
        return recorded.callback_id

    def wish(session: Session) -> int:
        zone = centre.settings.timezone
        known = contacts.meet(session, ChannelName.VOICE, NUMBER, language=Language.ZH, zone=zone, now=now)
        contacts.learn(session, known.contact_id, {"name": "王秀英"}, now=now, why="told")
        return bookings.book(
            session, centre, known.contact_id, dedupe_key="wish", wish=at(row.wish), topic="账单", now=now
        ).id

    return centre.db.write_now(wish)
