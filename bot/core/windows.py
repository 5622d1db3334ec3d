"""When a contact may start: seasons, holidays, weekdays, time zones, blocked days (REQ-C04..C08, table C.7).

Windows are half-open spans of local wall-clock time. Instants go in and come out zone-aware; what is returned is UTC.
`zone` is the IANA name of the person called. On the days clocks change, a wall-clock time that happens twice means the
first, one that never happens the moment the clocks jump past it. Every search is bounded, so an end date never loops.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import islice
from zoneinfo import ZoneInfo

from bot.core.plan import Trigger
from bot.core.policy import ALWAYS, Bilingual, Policies, Season, Seasons, Windows, daily
from bot.core.words import ChannelName, FollowUpGroup

HORIZON = timedelta(days=400)  # no opening within a year and a month: there is none

Span = tuple[datetime, datetime]


class Flag(StrEnum):
    """What a person should know about a scheduled time."""

    MISSED_SAME_EVENING = "missed_same_evening"
    LATE = "late"  # its windows had passed when it was recorded
    LATE_HOLIDAY = "late_holiday"  # holidays pushed it past its time (X4)
    PULLED_FORWARD = "pulled_forward"  # its last day is a holiday, so its time is shorter (REQ-B13)
    PROVISIONAL = "provisional"  # that year's holidays are not published yet: check again when dialling


class Reason(StrEnum):
    """Why nothing can be scheduled."""

    SEASONS_UNSET = "seasons_unset"  # X3: the operator has not set the season dates
    DELAY_UNSET = "delay_unset"  # REQ-C08: the operator has not set this group's delay
    NO_WINDOW = "no_window"  # the windows never open together
    AFTER_END = "after_end"  # no window before the end date


@dataclass(frozen=True, slots=True)
class Calendar:
    """Days off and make-up working days.

    `published_years`: years whose holidays are decreed; None where none need a decree, so nothing is provisional.
    `blocked`: days the centre itself calls nobody on, not even who asked to be called. `names` are the holidays' own.
    """

    holidays: frozenset[date] = frozenset()
    workdays: frozenset[date] = frozenset()
    published_years: frozenset[int] | None = None
    blocked: frozenset[date] = frozenset()
    names: Mapping[date, Bilingual] = field(default_factory=dict)

    def provisional(self, day: date) -> bool:
        return self.published_years is not None and day.year not in self.published_years

    def without_holidays(self) -> Calendar:
        """For what holidays do not hold up: emergencies and callbacks a customer asked for (REQ-C05)."""
        return Calendar(workdays=self.workdays, blocked=self.blocked)


@dataclass(frozen=True, slots=True)
class Opening:
    """A window to start in, `start` included and `end` not, both UTC."""

    start: datetime
    end: datetime
    provisional: bool
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Closed:
    reason: Reason


@dataclass(frozen=True, slots=True)
class Due:
    """A follow-up's first try: at `at`, before `window_end`; `latest` is the end of its last window that is in time.

    `gives_up_at` ends the plan's tries: the end of its last open day. All UTC.
    """

    at: datetime
    window_end: datetime
    latest: datetime
    gives_up_at: datetime
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    reason_code: Reason


@dataclass(frozen=True, slots=True)
class Offer:
    """The wished time is not permitted; these are."""

    slots: tuple[Opening, ...]


UNSET = Seasons(summer_start=None, winter_start=None)


def season_on(day: date, seasons: Seasons) -> Season | None:
    """The season of a day; None while the operator has not set both starts."""
    if seasons.summer_start is None or seasons.winter_start is None:
        return None
    today = (day.month, day.day)
    if seasons.summer_start < seasons.winter_start:
        summer = seasons.summer_start <= today < seasons.winter_start
    else:
        summer = not seasons.winter_start <= today < seasons.summer_start
    return Season.SUMMER if summer else Season.WINTER


def local_midnight(day: date, zone: str) -> datetime:
    """The start of a local day, UTC."""
    return _instant(day, time(0), zone)


def local_date(at: datetime, zone: str) -> date:
    return at.astimezone(ZoneInfo(zone)).date()


def spans(
    day: date,
    windows: Sequence[Windows],
    calendar: Calendar,
    zone: str,
    *,
    seasons: Seasons = UNSET,
    blocked: frozenset[date] = frozenset(),
) -> list[Span]:
    """Where all of these windows are open together, of those the first set starts on this local day; in order."""
    first, *others = windows
    open_together = _day_spans(day, first, calendar, zone, seasons, blocked)
    for other in others:
        near = [
            span
            for offset in (-1, 0, 1)
            for span in _day_spans(day + timedelta(days=offset), other, calendar, zone, seasons, blocked)
        ]
        open_together = [
            (max(a, c), min(b, d)) for a, b in open_together for c, d in _joined(near) if max(a, c) < min(b, d)
        ]
    return open_together


def is_open(
    at: datetime,
    windows: Sequence[Windows],
    calendar: Calendar,
    zone: str,
    *,
    seasons: Seasons = UNSET,
    blocked: frozenset[date] = frozenset(),
) -> bool:
    """Whether a contact may start at this instant: at 16:29:59 of 14:30–16:30 it may, at 16:30:00 not (C.7 row 7)."""
    today = local_date(at, zone)
    return any(
        start <= at < end
        for day in (today - timedelta(days=1), today)
        for start, end in spans(day, windows, calendar, zone, seasons=seasons, blocked=blocked)
    )


def next_open(
    at: datetime,
    windows: Sequence[Windows],
    calendar: Calendar,
    zone: str,
    *,
    seasons: Seasons = UNSET,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    blocked: frozenset[date] = frozenset(),
) -> Opening | Closed:
    """The first instant from `at` on when a contact may start, and until when; cut to not_before ≤ t < not_after."""
    if any(each.seasonal for each in windows) and season_on(local_date(at, zone), seasons) is None:
        return Closed(Reason.SEASONS_UNSET)
    earliest = max(at, not_before) if not_before else at
    latest, beyond = earliest + HORIZON, Reason.NO_WINDOW
    if not_after and not_after < latest:
        latest, beyond = not_after, Reason.AFTER_END
    day = local_date(earliest, zone) - timedelta(days=1)  # yesterday's may run past midnight
    while local_midnight(day, zone) < latest:
        for start, end in spans(day, windows, calendar, zone, seasons=seasons, blocked=blocked):
            start, end = max(start, earliest), min(end, latest)
            if start < end:
                return Opening(start.astimezone(UTC), end.astimezone(UTC), calendar.provisional(day))
        day += timedelta(days=1)
    return Closed(beyond)


def follow_up_due(
    plan_id: str,
    happened_at: datetime,
    now: datetime,
    policies: Policies,
    calendar: Calendar,
    zone: str,
    *,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    blocked: frozenset[date] = frozenset(),
    step: int = 0,
) -> Due | Refused:
    """When a plan's contact is due for an event, as recorded now (REQ-C06..C08, C.7 rows 1–6 and 10).

    `step` counts the plan's contacts from 0. A plan that only writes keeps its windows, but not the carriers' hours."""
    plan = policies.plans[plan_id]
    wanted = plan.steps[step]
    if wanted.after_days is None:
        return Refused(Reason.DELAY_UNSET)
    windows, seasons = plan_windows(plan_id, policies), policies.seasons
    calendar = calendar.without_holidays() if plan.trigger is Trigger.WISH else calendar
    event_day, today = local_date(happened_at, zone), local_date(now, zone)
    first_day = event_day + timedelta(days=wanted.after_days)
    start = happened_at + wanted.after if wanted.after_days == 0 else local_midnight(first_day, zone)
    if plan.ends_on is not None:
        over = local_midnight(plan.ends_on + timedelta(days=1), zone)
        not_after = min(not_after, over) if not_after else over
    opening = next_open(
        max(start, now), windows, calendar, zone,
        seasons=seasons, not_before=not_before, not_after=not_after, blocked=blocked,
    )  # fmt: skip
    if isinstance(opening, Closed):
        return Refused(opening.reason)

    def open_on(day: date) -> list[Span]:
        return spans(day, windows, calendar, zone, seasons=seasons, blocked=blocked)

    opening_day = local_date(opening.start, zone)
    flags = [Flag.PROVISIONAL] if opening.provisional else []
    latest = opening.end
    if wanted.within_days is not None:
        same_day = wanted.within_days == 0
        last_day = event_day + timedelta(days=wanted.within_days)
        timely = [end for day in _days(first_day, last_day) for _, end in open_on(day) if same_day or end > start]
        if opening_day <= last_day:
            latest = max([latest, *timely])
            if last_day in calendar.holidays:
                flags.append(Flag.PULLED_FORWARD)
        else:
            held_up = set(_days(max(last_day, today), opening_day))
            if timely:
                flags.append(Flag.MISSED_SAME_EVENING if same_day else Flag.LATE)
            else:
                held_up.update(_days(first_day, last_day))
            if held_up & calendar.holidays:
                flags.append(Flag.LATE_HOLIDAY)
    open_days = (day for day in _days(opening_day, opening_day + HORIZON) if open_on(day))
    last_try = max(islice(open_days, plan.tries_for_days + 1), default=opening_day)
    gives_up_at = local_midnight(last_try + timedelta(days=1), zone)
    if not_after and not_after < gives_up_at:
        gives_up_at = not_after.astimezone(UTC)
    return Due(opening.start, opening.end, latest, gives_up_at, tuple(flags))


def offer_slots(
    now: datetime,
    windows: Sequence[Windows],
    calendar: Calendar,
    zone: str,
    *,
    seasons: Seasons = UNSET,
    near: datetime | None = None,
    not_after: datetime | None = None,
    blocked: frozenset[date] = frozenset(),
    n: int = 2,
    lead: timedelta = timedelta(minutes=30),
    apart: timedelta = timedelta(hours=2),
) -> tuple[Opening, ...]:
    """Up to `n` times to offer, on the quarter hour, `lead` from now at the soonest and `apart` or more (REQ-C23).

    `near` is a wished time to start from. Fewer, or none, when the windows do not open.
    """
    slots: list[Opening] = []
    wanted = max(near, now + lead) if near else now + lead
    while len(slots) < n:
        opening = next_open(
            _quarter(wanted), windows, calendar, zone, seasons=seasons, not_after=not_after, blocked=blocked
        )
        if isinstance(opening, Closed):
            break
        slots.append(opening)
        wanted = opening.start + apart
    return tuple(slots)


def requested(
    wish: datetime, now: datetime, policies: Policies, calendar: Calendar, zone: str, *, n: int = 2
) -> Opening | Offer:
    """A customer's own time: taken as it is where the operator's requested windows allow it, else the nearest offered.

    Holidays do not stand against it; night and the carriers' hours do (C.7 row 9, REQ-C05). A wish that has just passed
    means now.
    """
    windows, calendar = call_windows(FollowUpGroup.REQUESTED, policies), calendar.without_holidays()
    at, soon = max(wish, now), timedelta(0)
    opening = next_open(at, windows, calendar, zone, seasons=policies.seasons)
    if isinstance(opening, Opening) and opening.start == at:
        return opening
    slots = list(offer_slots(now, windows, calendar, zone, seasons=policies.seasons, near=at, n=n, lead=soon))
    for start, end in spans(local_date(at, zone), windows, calendar, zone, seasons=policies.seasons):
        before = max(start, _quarter(end - timedelta(minutes=30)))  # the last quarter hour a call still fits in
        if now <= before < end <= at:
            slots.append(Opening(before, end, provisional=False))
    nearest = sorted(slots, key=lambda slot: abs(slot.start - at))[:n]
    return Offer(tuple(sorted(nearest, key=lambda slot: slot.start)))


def plan_windows(plan_id: str, policies: Policies) -> tuple[Windows, ...]:
    """Where a contact of a plan may start: its windows, by day, and within the carriers' hours where it calls."""
    plan = policies.plans[plan_id]
    return (*policies.hours.named(plan.windows), *reachable_hours(plan.channels[0], policies))


def call_windows(plan_id: str, policies: Policies) -> tuple[Windows, ...]:
    """Where a call of a plan may start: its windows, by day, within the carriers' hours."""
    names = policies.plans[plan_id].windows
    return (*policies.hours.named(names), *reachable_hours(ChannelName.VOICE, policies))


def reachable_hours(channel: ChannelName, policies: Policies) -> tuple[Windows, ...]:
    """The day without the night's quiet, and for a call within the carriers' hours."""
    quiet = policies.hours.quiet
    awake = daily(quiet.complement()) if quiet.start != quiet.end else ALWAYS
    return (awake, daily(policies.hours.carrier)) if channel is ChannelName.VOICE else (awake,)


# ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _instant(day: date, at: time, zone: str) -> datetime:
    return datetime.combine(day, at, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def _day_spans(
    day: date, windows: Windows, calendar: Calendar, zone: str, seasons: Seasons, blocked: frozenset[date]
) -> list[Span]:
    if day in blocked or day in calendar.blocked or day in calendar.holidays:
        return []
    if day not in calendar.workdays and day.isoweekday() not in windows.weekdays:
        return []
    found = []
    for window in windows.of(season_on(day, seasons)):
        end_day = day if window.end > window.start else day + timedelta(days=1)
        found.append((_instant(day, window.start, zone), _instant(end_day, window.end, zone)))
    return _joined([(start, end) for start, end in found if start < end])


def _joined(found: list[Span]) -> list[Span]:
    """Spans that touch or overlap, as one: the night between two whole days is no gap."""
    joined: list[Span] = []
    for start, end in sorted(found):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _days(first: date, last: date) -> Iterator[date]:
    day = first
    while day <= last:
        yield day
        day += timedelta(days=1)


def _quarter(at: datetime) -> datetime:
    """The next full quarter of an hour, in UTC: every zone's offset today is a multiple of it."""
    past = timedelta(minutes=at.minute % 15, seconds=at.second, microseconds=at.microsecond)
    return at if not past else at - past + timedelta(minutes=15)
