"""How many conversations took which branch: kept with every turn, counted by week for the diagrams.

A turn adds one row, a list of the steps it came to and the branches it took. A step is named with the shape of its
flow (Flow.shape): a flow whose steps were edited begins to count anew, one whose words alone changed counts on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any, cast

from sqlalchemy import Select, Table, TableValuedAlias, delete, func, select, true
from sqlalchemy.orm import Session

from bot.core.book import Book, Flow
from bot.core.flow_state import Visit
from store.tables import Passage

KEPT = timedelta(weeks=9)  # for how long passages are of interest to somebody
WEEK = timedelta(days=7)
_passage = cast(Table, Passage.__table__)
_ADD = _passage.insert()


def keep(session: Session, conversation_id: int, book: Book, visits: Iterable[Visit], day: date) -> None:
    """Adds what a turn passed: one statement, and none where nothing was passed."""
    steps: dict[str, None] = {}
    for visit in visits:
        flow = book.flows[visit.flow]
        steps[flow.id] = None
        steps[f"{flow.id}@{flow.shape}>{visit.node}>{'' if visit.branch is None else visit.branch}"] = None
    if steps:  # a list of rows, so that nothing is asked back
        session.connection().execute(_ADD, [{"conversation_id": conversation_id, "day": day, "steps": list(steps)}])


def week_of(now: datetime, zone: tzinfo, *, ago: int = 0) -> date:
    """The Monday of the centre's week `now` lies in, or of one so many weeks ago."""
    today = now.astimezone(zone).date()
    return today - timedelta(days=today.weekday()) - ago * WEEK


@dataclass(frozen=True, slots=True)
class Traffic:
    """Conversations of one week in one flow: that came in at all, that came to each step, that left it by each branch.

    `earlier` came through the flow as it was before its steps were edited, and are in no other figure.
    """

    conversations: int
    reached: Mapping[str, int]
    taken: Mapping[tuple[str, int], int]
    earlier: int = 0


def by_flow(session: Session, monday: date) -> dict[str, int]:
    """How many conversations came through each flow in the week from `monday` on."""
    steps = _steps(session)
    step = steps.c.value
    rows = session.execute(
        _week(select(step, func.count(Passage.conversation_id.distinct())), steps, monday)
        .where(~step.contains("@"))
        .group_by(step)
    )
    return {row[0]: row[1] for row in rows}


def traffic(session: Session, flow: Flow, monday: date) -> Traffic:
    """How many conversations took which branch of `flow` in the week from `monday` on."""
    prefix = f"{flow.id}@"
    steps = _steps(session)
    step = steps.c.value
    rows = session.execute(
        _week(select(Passage.conversation_id, step), steps, monday)
        .where(func.substr(step, 1, len(prefix)) == prefix)
        .distinct()
    )
    here, everybody = set[int](), set[int]()
    reached, taken = defaultdict[str, set[int]](set), defaultdict[tuple[str, int], set[int]](set)
    for conversation_id, passed in rows:
        everybody.add(conversation_id)
        shape, _, rest = passed.removeprefix(prefix).partition(">")
        if shape != flow.shape:
            continue
        here.add(conversation_id)
        node, _, branch = rest.rpartition(">")
        reached[node].add(conversation_id)
        if branch:
            taken[node, int(branch)].add(conversation_id)
    return Traffic(
        len(here),
        {node: len(who) for node, who in reached.items()},
        {branch: len(who) for branch, who in taken.items()},
        len(everybody - here),
    )


def forget(session: Session, today: date) -> int:
    """Drops what is older than anybody asks for; says how many rows it was."""
    gone: Any = session.execute(delete(Passage).where(Passage.day < today - KEPT))
    return int(gone.rowcount)


def _steps(session: Session) -> TableValuedAlias:
    """Each row's list as rows of its own, in a column `value`."""
    postgres = session.get_bind().dialect.name == "postgresql"
    each = func.jsonb_array_elements_text if postgres else func.json_each
    return each(Passage.steps).table_valued("value")


def _week(query: Select[Any], steps: TableValuedAlias, monday: date) -> Select[Any]:
    return query.join_from(Passage, steps, true()).where(Passage.day >= monday, Passage.day < monday + WEEK)
