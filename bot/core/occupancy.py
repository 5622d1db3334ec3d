"""All lines of the duty seats occupied: how long, and what to propose (REQ-B16, B17, F07..F09), and how far a surge of
calls has grown (REQ-B23, B24, F28).

Busy means that every agent on duty holds as much as they can while somebody waits. The clock starts with the first
moment of it and starts anew when a line was free for longer than the debounce. Everything is decided from what was
written down and `now`, so a restart changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

TOP_SURGE = 3


class Step(StrEnum):
    """What is proposed to a supervisor, who confirms or refuses it."""

    GENERAL = "general"
    MAJOR = "major"
    SURGE_2 = "surge_2"
    SURGE_3 = "surge_3"


@dataclass(frozen=True, slots=True)
class Limits:
    """After so long fully busy the general plan is proposed, then the major one; a line free for longer than `debounce`
    starts the clock anew. A surge grows after `surge` without control, and is under control after `calm`."""

    general: timedelta
    major: timedelta
    debounce: timedelta
    surge: timedelta
    calm: timedelta


@dataclass(frozen=True, slots=True)
class Occupancy:
    """Fully busy since `busy_since`; `free_since` a line has been free, not yet for long enough. `proposed` is the
    highest plan proposed in this stretch."""

    busy_since: datetime | None = None
    free_since: datetime | None = None
    proposed: Step | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """The floor at a moment: agents on duty, conversations they hold and could hold, and who waits."""

    agents: int
    held: int
    capacity: int
    waiting: int

    @property
    def busy(self) -> bool:
        """Every line in use and somebody waiting; where nobody is on duty, whoever waits finds no line."""
        return self.waiting > 0 and self.held >= self.capacity


def look(was: Occupancy, seen: Seen, limits: Limits, now: datetime) -> tuple[Occupancy, Step | None]:
    """How it stands at `now`, and what is to be proposed, each plan once a stretch. The same look again changes
    nothing."""
    if not seen.busy:
        if was.busy_since is None:
            return Occupancy(), None
        free_since = was.free_since or now
        if now - free_since > limits.debounce:
            return Occupancy(), None
        return replace(was, free_since=free_since), None
    if was.free_since is not None and now - was.free_since > limits.debounce:
        was = Occupancy()
    is_now = replace(was, busy_since=was.busy_since or now, free_since=None)
    step = _plan(now - (is_now.busy_since or now), limits)
    if step is None or step is was.proposed or was.proposed is Step.MAJOR:
        return is_now, None
    return replace(is_now, proposed=step), step


def _plan(busy: timedelta, limits: Limits) -> Step | None:
    if busy >= limits.major:
        return Step.MAJOR
    return Step.GENERAL if busy >= limits.general else None


def next_look(was: Occupancy, limits: Limits, now: datetime) -> datetime | None:
    """When `look` would next find something else, as long as the floor stays as it is; None: not by waiting."""
    if was.busy_since is None:
        return None
    if was.free_since is not None:
        ahead = [was.free_since + limits.debounce + timedelta.resolution]
    else:
        ahead = [was.busy_since + limits.general, was.busy_since + limits.major]
    return min((at for at in ahead if at > now), default=None)


@dataclass(frozen=True, slots=True)
class Surge:
    """A surge at `level` 1 to 3 since `since`; `calm_since` the floor has been under control again."""

    level: int
    since: datetime
    calm_since: datetime | None = None
    proposed: int = 0


@dataclass(frozen=True, slots=True)
class Grown:
    """The next level is to be proposed (REQ-B23, B24)."""

    level: int


@dataclass(frozen=True, slots=True)
class Over:
    """The floor has been under control for long enough: rolling back is to be proposed (REQ-F28)."""


def surge(was: Surge, *, under_control: bool, limits: Limits, now: datetime) -> tuple[Surge, Grown | Over | None]:
    """How a surge stands at `now`. It grows by whole levels, each proposed once."""
    if under_control:
        calm_since = was.calm_since or now
        is_now = replace(was, calm_since=calm_since)
        return is_now, Over() if now - calm_since >= limits.calm else None
    is_now = replace(was, calm_since=None)
    grown = was.level + 1
    if grown <= TOP_SURGE and was.proposed < grown and now - was.since >= limits.surge:
        return replace(is_now, proposed=grown), Grown(grown)
    return is_now, None


def next_surge(was: Surge, limits: Limits, now: datetime) -> datetime | None:
    """When `surge` would next find something else, as long as the floor stays as it is; None: not by waiting."""
    at = was.since + limits.surge if was.calm_since is None else was.calm_since + limits.calm
    return at if at > now else None
