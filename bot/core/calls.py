"""What to do next about a callback: dial, wait, or give up (REQ-C18, REQ-C19).

Attempts count when it rang, unless the customer answered and named another time. A retry keeps its spacing by how the
last call ended, tries the person's other numbers, and never leaves the window; past the end date there are no more. The
answer follows from the facts alone, so asking again after a crash gives the same one; a callback that has ended is
never answered with a call. Whether this person may be called at all is the gate's question (permission.py), asked again
at the moment of dialling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from bot.core.plan import Trigger
from bot.core.policy import Calls, Policies, Window, daily
from bot.core.windows import Calendar, Closed, Reason, call_windows, next_open
from bot.core.words import CallbackState, Disposition, FollowUpGroup

ENDED = frozenset({CallbackState.DONE, CallbackState.GIVEN_UP, CallbackState.CANCELLED})
PLAN_REFUSED, PLAN_NO_NUMBER = "plan_refused", "plan_no_number"
PLAN_ENDS: Mapping[Disposition, str] = {
    Disposition.REFUSED: PLAN_REFUSED,
    Disposition.OPTED_OUT: PLAN_REFUSED,
    Disposition.WRONG_NUMBER: PLAN_NO_NUMBER,
    Disposition.INVALID_NUMBER: PLAN_NO_NUMBER,
}
"""How one contact of a plan ends so that its others with this person end too, and why. Any other end leaves them: who
was not reached, or is with a doctor by now, is called again on the next of the plan's days."""


@dataclass(frozen=True, slots=True)
class CallFacts:
    """A callback as it stands. `numbers` are address ids, the preferred first; `due` is not before when.

    `plan` names whose windows and attempts count. `ends_at` (None: never) is the plan's end. `zone` is the person's,
    `hours` the part of the day they asked for.
    `wished`: the customer named this time, so the requested windows count and no holiday (C.7 row 9).
    """

    state: CallbackState
    plan: str
    zone: str
    due: datetime
    numbers: tuple[int, ...]
    ends_at: datetime | None = None
    wished: bool = False
    hours: Window | None = None
    blocked: frozenset[date] = frozenset()


@dataclass(frozen=True, slots=True)
class AttemptFacts:
    """One attempt, in the order they were made. `disposition` None: still under way.

    `rang`: it reached somebody's telephone. `invalid`: the number does not exist.
    """

    number: int
    started_at: datetime
    ended_at: datetime | None
    disposition: Disposition | None
    rang: bool
    invalid: bool = False


class WaitReason(StrEnum):
    """Why a callback waits, as a key of the message catalogue."""

    NOT_DUE = "not_due"
    UNDER_WAY = "under_way"
    SPACING = "spacing"
    WINDOW = "window"
    SEASONS_UNSET = "seasons_unset"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Dial:
    """Dial this number now, and no later than `window_end`."""

    number: int
    window_end: datetime


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again at `until` (UTC); None: when something happens."""

    until: datetime | None
    reason: WaitReason


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The callback ends with this disposition; `last_sms`: send the one closing SMS (REQ-C19)."""

    disposition: Disposition
    last_sms: bool


def decide(
    callback: CallFacts, attempts: Sequence[AttemptFacts], policies: Policies, calendar: Calendar, now: datetime
) -> Dial | Wait | GiveUp:
    """The callback's next step at `now`."""
    if callback.state in ENDED:
        return Wait(None, WaitReason.ENDED)
    if any(attempt.disposition is None for attempt in attempts):
        return Wait(None, WaitReason.UNDER_WAY)
    plan_id = FollowUpGroup.REQUESTED if callback.wished else callback.plan
    plan = policies.plans[plan_id]
    calls = replace(policies.calls, attempts=plan.attempts) if plan.attempts else policies.calls
    end = _ending(callback, attempts, calls)
    if end is not None:
        return end
    number, ready_at = _next_number(callback, attempts, calls)
    earliest = max(callback.due, ready_at or callback.due)
    own = (daily(callback.hours),) if callback.hours else ()
    opening = next_open(
        max(earliest, now),
        (*call_windows(plan_id, policies), *own),
        calendar.without_holidays() if plan.trigger is Trigger.WISH else calendar,
        callback.zone,
        seasons=policies.seasons,
        not_after=callback.ends_at,
        blocked=callback.blocked,
    )
    if isinstance(opening, Closed):
        if opening.reason is Reason.SEASONS_UNSET:
            return Wait(None, WaitReason.SEASONS_UNSET)
        return _gave_up(attempts, calls)
    if opening.start <= now:
        return Dial(number, opening.end)
    if earliest <= now or opening.start > earliest:
        return Wait(opening.start, WaitReason.WINDOW)
    return Wait(opening.start, WaitReason.NOT_DUE if earliest == callback.due else WaitReason.SPACING)


def _ending(callback: CallFacts, attempts: Sequence[AttemptFacts], calls: Calls) -> GiveUp | None:
    """How the attempts so far end the callback; None where it goes on."""
    last = attempts[-1] if attempts else None
    usable = _usable(callback, attempts)
    if not usable:
        return GiveUp((last and last.disposition) or Disposition.FAILED, last_sms=False)
    if last and last.number in usable and last.disposition not in calls.spacing:
        return GiveUp(last.disposition or Disposition.FAILED, last_sms=False)
    rang = sum(a.rang and a.disposition is not Disposition.ANOTHER_TIME for a in attempts)
    if rang >= calls.attempts or sum(not a.rang for a in attempts) >= calls.unrung:
        return _gave_up(attempts, calls)
    return None


def _gave_up(attempts: Sequence[AttemptFacts], calls: Calls) -> GiveUp:
    """After the last attempt one SMS; nobody who was never tried is told that we tried."""
    last = attempts[-1].disposition if attempts else None
    return GiveUp(last or Disposition.CANCELLED, last_sms=calls.last_sms and bool(attempts))


def _usable(callback: CallFacts, attempts: Sequence[AttemptFacts]) -> list[int]:
    """The numbers left: neither somebody else's nor out of service."""
    dead = {a.number for a in attempts if a.invalid or a.disposition is Disposition.WRONG_NUMBER}
    return [number for number in callback.numbers if number not in dead]


def _next_number(callback: CallFacts, attempts: Sequence[AttemptFacts], calls: Calls) -> tuple[int, datetime | None]:
    """The number that may be dialled first, and when; of equals the preferred one."""
    ready: dict[int, datetime | None] = dict.fromkeys(_usable(callback, attempts))
    for attempt in attempts:
        over = attempt.ended_at or attempt.started_at
        spacing = calls.spacing.get(attempt.disposition or Disposition.FAILED, timedelta(0))
        for number, ready_at in ready.items():
            gap = spacing if number == attempt.number else calls.between_numbers
            ready[number] = max(ready_at or over, over + gap)
    chosen = min(ready, key=lambda number: ready[number] or callback.due)
    return chosen, ready[chosen]
