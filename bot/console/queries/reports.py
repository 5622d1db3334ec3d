"""What a reader of the follow-up report looks at: the period, the part of it, and its figures as a page shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from urllib.parse import urlencode

from bot.core.words import Disposition
from bot.reports.charts import Bar, bars
from bot.reports.figures import KINDS, TOP_SCORE, Figure, Kind, Measure, by, by_day, measure, measures
from bot.reports.rows import Row

PATH = "/console/reports"
UNFINISHED = "open"  # stands for no result yet
DRAWN = 92  # days that are drawn even where nothing was owed


@dataclass(frozen=True, slots=True)
class Look:
    """What is looked at; `since` and `until` are days of the centre, both included.

    `plan`, `result` and `day` keep to a part of the rows, `of` to those a figure is taken of.
    """

    since: date
    until: date
    plan: str | None = None
    result: str = ""
    day: date | None = None
    of: Figure | None = None

    @property
    def disposition(self) -> Disposition | None:
        """The result kept to; None where it is none yet."""
        return None if self.result in ("", UNFINISHED) else Disposition(self.result)

    def link(self, **change: object) -> str:
        """The page of this look, with a change; None takes something away."""
        other = replace(self, **change)  # type: ignore[arg-type]
        asked = {
            "since": other.since.isoformat(),
            "until": other.until.isoformat(),
            "plan": other.plan or "",
            "result": other.result,
            "day": other.day.isoformat() if other.day else "",
            "of": other.of or "",
        }
        return f"{PATH}?{urlencode({name: value for name, value in asked.items() if value})}"

    def rows(self, rows: Sequence[Row]) -> tuple[Row, ...]:
        """The rows of this part; the plan was kept to already."""
        kind = KINDS[self.of] if self.of is not None else None
        return tuple(
            row
            for row in rows
            if (self.day is None or row.day == self.day)
            and (not self.result or (row.result or UNFINISHED) == self.result)
            and (kind is None or kind.sample(row))
        )


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure of the page: its value, how it is computed, and its days as bars with what each of them says."""

    figure: Figure
    kind: Kind
    measure: Measure
    days: tuple[tuple[Bar, Measure], ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """The figures of a page. `plans` and `days` hold how many rows there are, and every figure over them."""

    total: int
    tiles: tuple[Tile, ...]
    plans: tuple[tuple[str, int, Mapping[Figure, Measure]], ...]
    days: tuple[tuple[date, int, Mapping[Figure, Measure]], ...]
    results: tuple[tuple[Disposition | None, int], ...]


def sheet(rows: Sequence[Row], look: Look) -> Sheet:
    """The figures over the rows of a look's period and plan."""
    daily = by_day(rows)
    span = _days(look, daily)
    tiles = []
    for figure, kind in KINDS.items():
        each = [(day, measure(daily.get(day, ()), figure)) for day in span]
        drawn = bars([(day, found.share) for day, found in each], TOP_SCORE if figure is Figure.SATISFACTION else 1)
        tiles.append(
            Tile(
                figure,
                kind,
                measure(rows, figure),
                tuple((bar, found) for bar, (_, found) in zip(drawn, each, strict=True)),
            )
        )
    results = by(rows, lambda row: row.result)
    return Sheet(
        total=len(rows),
        tiles=tuple(tiles),
        plans=tuple(
            (plan, len(found), measures(found)) for plan, found in sorted(by(rows, lambda row: row.plan).items())
        ),
        days=tuple((day, len(found), measures(found)) for day, found in daily.items()),
        results=tuple(sorted(((result, len(found)) for result, found in results.items()), key=lambda r: -r[1])),
    )


def _days(look: Look, daily: Mapping[date, Sequence[Row]]) -> list[date]:
    """The days to draw: all of the period, where they are not too many, and those that have rows."""
    whole = (look.until - look.since).days + 1
    calendar = {look.since + timedelta(days=n) for n in range(whole)} if whole <= DRAWN else set()
    return sorted(calendar | set(daily))
