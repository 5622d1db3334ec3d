"""How long customers waited for words, and for whom: the service standards over a transcript (REQ-B01, B02, B05, H10),
and how fast staff typed (REQ-B04).

A wait begins with the first line of the customer that nobody has answered and ends with the next line said to them;
lines in between belong to the same wait. A holding line is said to them, yet answers nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import quantiles

from bot.core.words import Author

FEW = 20  # characters from which on a speed can be told


@dataclass(frozen=True, slots=True)
class Line:
    """A line both sides see, in order. `answers`: it is no mere holding line."""

    at: datetime
    author: Author
    staff_id: int | None = None
    answers: bool = True


@dataclass(frozen=True, slots=True)
class Wait:
    """One wait of a customer. `answered_at` None: still waiting, or never answered. `first` of its conversation."""

    asked_at: datetime
    answered_at: datetime | None
    author: Author | None
    staff_id: int | None
    first: bool

    @property
    def took(self) -> timedelta | None:
        return self.answered_at - self.asked_at if self.answered_at else None

    def within(self, limit: timedelta, until: datetime) -> bool | None:
        """Whether it kept a limit, as far as is known at `until`: None while it still may."""
        if self.answered_at is not None:
            return self.answered_at - self.asked_at <= limit
        return None if until - self.asked_at <= limit else False


def waits(lines: Iterable[Line], *, from_start: bool = True) -> list[Wait]:
    """The waits of one conversation's lines, in order; `from_start`: its first line is among them."""
    found: list[Wait] = []
    asked: datetime | None = None
    for line in lines:
        if line.author is Author.CUSTOMER:
            asked = asked or line.at
        elif asked is not None and line.answers:
            found.append(Wait(asked, line.at, line.author, line.staff_id, from_start and not found))
            asked = None
    if asked is not None:
        found.append(Wait(asked, None, None, None, from_start and not found))
    return found


def percentile(waits: Iterable[timedelta], share: float) -> timedelta | None:
    """What `share` (0..1, by hundredths) of the waits did not exceed; None where there are none."""
    seconds = sorted(wait.total_seconds() for wait in waits)
    if len(seconds) < 2:
        return timedelta(seconds=seconds[0]) if seconds else None
    return timedelta(seconds=quantiles(seconds, n=100, method="inclusive")[round(share * 100) - 1])


@dataclass(frozen=True, slots=True)
class Typing:
    """What was typed by hand, together: characters, and the seconds of writing, pauses left out."""

    characters: int = 0
    seconds: float = 0.0

    def __add__(self, other: Typing) -> Typing:
        return Typing(self.characters + other.characters, self.seconds + other.seconds)

    @property
    def speed(self) -> float | None:
        """Characters a minute; None where too little was typed to tell.

        >>> Typing(50, 60.0).speed, Typing(3, 1.0).speed
        (50.0, None)
        """
        enough = self.characters >= FEW and self.seconds > 0
        return self.characters * 60 / self.seconds if enough else None
