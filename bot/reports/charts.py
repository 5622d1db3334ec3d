"""Charts as plain shapes for a template to draw as SVG: no script, no style, nothing that a page's policy forbids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

WIDTH, HEIGHT = 240.0, 56.0  # of a drawing's own units
GAP = 0.25  # of a bar's room
LEAST = 1.5  # so that a zero can be seen and pointed at


@dataclass(frozen=True, slots=True)
class Bar:
    """One day: where its bar stands and reaches, from the top left; `empty` where there was nothing to measure."""

    day: date
    x: float
    y: float
    width: float
    height: float
    left: float
    room: float
    empty: bool


def bars(values: Sequence[tuple[date, float | None]], top: float) -> tuple[Bar, ...]:
    """A bar a day, left to right, as high as its value of `top`; the whole room of a day can be pointed at."""
    room = WIDTH / max(1, len(values))
    drawn = []
    for at, (day, value) in enumerate(values):
        height = LEAST if value is None else max(LEAST, HEIGHT * min(1.0, value / top))
        drawn.append(
            Bar(
                day=day,
                x=round(at * room + room * GAP / 2, 2),
                y=round(HEIGHT - height, 2),
                width=round(room * (1 - GAP), 2),
                height=round(height, 2),
                left=round(at * room, 2),
                room=round(room, 2),
                empty=value is None,
            )
        )
    return tuple(drawn)
