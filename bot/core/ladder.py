"""Whom to tell next about something nobody has taken: an escalation's climb (REQ-E05, REQ-E09, REQ-E16, REQ-F11).

The ladder is a copy frozen when the escalation started. `notified` counts notifications already made and only grows, so
the climb is the same after a restart: what fell due meanwhile is made up for one step at a time, and no step twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bot.core.policy import Ladder, Rung
from bot.core.words import Role

Roster = Mapping[Role, tuple[int, ...]]  # staff ids on duty or on call now, by role, the first to tell first


@dataclass(frozen=True, slots=True)
class Subject:
    """An escalation as it stands.

    `notified` notifications were made, the latest at `last_notified_at`; the first goes to rung `first_rung` (a
    reopened complaint starts one level higher, REQ-E07). `declined` are staff ids that handed it on.
    """

    started_at: datetime
    notified: int = 0
    last_notified_at: datetime | None = None
    first_rung: int = 0
    acknowledged_at: datetime | None = None
    closed_at: datetime | None = None
    declined: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell these people now, then record `notified` + 1. No people: nobody of these roles is on duty, which is a gap
    to show; the next rung is then due at once. `rung` counts from 0; `repeat` is 0 at first, then 1, 2 …"""

    rung: int
    roles: tuple[Role, ...]
    people: tuple[int, ...]
    repeat: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `until`; None: nothing at all, it was taken or closed."""

    until: datetime | None


@dataclass(frozen=True, slots=True)
class Exhausted:
    """Every rung and repeat was used and nobody took it."""


def next_rung(policy: Ladder, subject: Subject, roster: Roster, now: datetime) -> Notify | Wait | Exhausted:
    """The escalation's next step at `now`."""
    if subject.acknowledged_at or subject.closed_at:
        return Wait(None)
    due = _due(policy, subject, roster)
    if due is None:
        return Exhausted()
    if due > now:
        return Wait(due)
    rung, repeat = _place(policy, subject, subject.notified)
    return Notify(rung, policy.rungs[rung].roles, _people(policy.rungs[rung], subject, roster), repeat)


def _place(policy: Ladder, subject: Subject, step: int) -> tuple[int, int]:
    """The rung of a step and which repeat of it: after the last rung, that one again."""
    last = len(policy.rungs) - 1
    rung = min(subject.first_rung, last) + step
    return (rung, 0) if rung <= last else (last, rung - last)


def _due(policy: Ladder, subject: Subject, roster: Roster) -> datetime | None:
    """When the next notification is due; None if there is none left."""
    rung, repeat = _place(policy, subject, subject.notified)
    if repeat > policy.repeats or (repeat and policy.repeat is None):
        return None
    if repeat and policy.repeat is not None:
        return (subject.last_notified_at or subject.started_at) + policy.repeat
    if subject.notified:
        below, _ = _place(policy, subject, subject.notified - 1)
        if not _people(policy.rungs[below], subject, roster):  # nobody there, or all of them handed it on
            return subject.last_notified_at or subject.started_at
    first, _ = _place(policy, subject, 0)
    return subject.started_at + policy.rungs[rung].after - policy.rungs[first].after


def _people(rung: Rung, subject: Subject, roster: Roster) -> tuple[int, ...]:
    """Everybody on duty in the rung's roles who did not hand it on; each once, in the rung's order."""
    told = dict.fromkeys(person for role in rung.roles for person in roster.get(role, ()))
    return tuple(person for person in told if person not in subject.declined)
