"""The figures over follow-ups (REQ-H10): what each is taken of, what it counts, in total and by plan and day.

Every figure tells its sample (REQ-H12), and which rows it is taken of, so that a page can lead down to them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TypeVar

from bot.core.words import Disposition
from bot.reports.rows import Row
from bot.services.i18n import N_

TOP_SCORE = 5  # of the questionnaire's scales (REQ-C12)
K = TypeVar("K", bound=Hashable)


class Figure(StrEnum):
    """What is measured, in reading order."""

    COVERAGE = "coverage"
    CONNECTED = "connected"
    COMPLETED = "completed"
    HANDED_ON = "handed_on"
    ON_TIME = "on_time"
    SATISFACTION = "satisfaction"


@dataclass(frozen=True, slots=True)
class Kind:
    """A figure's name, how it is computed in words, which rows it is taken of and what each of them counts."""

    name: str
    why: str
    sample: Callable[[Row], int]
    counts: Callable[[Row], int]


@dataclass(frozen=True, slots=True)
class Measure:
    """`part` of `whole`; `share` None where there is nothing to take it of. For satisfaction the points given of the
    scores given, so that the share is their mean."""

    part: int
    whole: int

    @property
    def share(self) -> float | None:
        return self.part / self.whole if self.whole else None


KINDS: Mapping[Figure, Kind] = {
    Figure.COVERAGE: Kind(
        N_("覆盖率"),
        N_("响过铃的回访 ÷ 全部回访"),
        lambda _: 1,
        lambda row: int(row.rang > 0),
    ),
    Figure.CONNECTED: Kind(
        N_("接通率"),
        N_("有人接听的回访 ÷ 响过铃的回访"),
        lambda row: int(row.rang > 0),
        lambda row: int(row.connected),
    ),
    Figure.COMPLETED: Kind(
        N_("完成率"),
        N_("结果为“全部完成”的回访 ÷ 有人接听的回访"),
        lambda row: int(row.connected),
        lambda row: int(row.result is Disposition.COMPLETED),
    ),
    Figure.HANDED_ON: Kind(
        N_("转人工率"),
        N_("结果为“已转人工”的回访 ÷ 有人接听的回访"),
        lambda row: int(row.connected),
        lambda row: int(row.result is Disposition.ESCALATED),
    ),
    Figure.ON_TIME: Kind(
        N_("按时率"),
        N_("首次拨打不晚于期限的回访 ÷ 有期限且拨打过的回访"),
        lambda row: int(row.on_time is not None),
        lambda row: int(row.on_time is True),
    ),
    Figure.SATISFACTION: Kind(
        N_("满意度"),
        N_("客户所打服务分数之和 ÷ 打分个数（满分 5 分）"),
        lambda row: len(row.scores),
        lambda row: sum(row.scores.values()),
    ),
}


def measure(rows: Iterable[Row], figure: Figure) -> Measure:
    """One figure over some rows; what a row counts is only asked of those it is taken of."""
    kind = KINDS[figure]
    part = whole = 0
    for row in rows:
        if sample := kind.sample(row):
            whole += sample
            part += kind.counts(row)
    return Measure(part, whole)


def measures(rows: Sequence[Row]) -> dict[Figure, Measure]:
    """Every figure over some rows."""
    return {figure: measure(rows, figure) for figure in Figure}


def by(rows: Iterable[Row], key: Callable[[Row], K]) -> dict[K, list[Row]]:
    """Rows by plan, or by day."""
    found: defaultdict[K, list[Row]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return dict(found)


def by_day(rows: Iterable[Row]) -> dict[date, list[Row]]:
    """Rows by the centre's day they were owed on, in order; those owed at no time are left out."""
    found = by((row for row in rows if row.day is not None), lambda row: row.day)
    return {day: found[day] for day in sorted(day for day in found if day is not None)}
