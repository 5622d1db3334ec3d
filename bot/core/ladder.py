"""Whom to tell next about something nobody has taken: an escalation's climb (REQ-E05, REQ-E09, REQ-E16, REQ-F11).

The ladder is a copy frozen when the escalation started. `notified` counts notifications already made and only grows, so
the climb is the same after a restart: what fell due meanwhile is made up for one step at a time, and no step twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bot.core.policy import Ladder, Rung, Tell, Way
from bot.core.words import CaseKind, Role, Urgency

COMPLAINT, SYSTEM_FAULT, MEDIA = "complaint", "system_fault", "media"  # ladders besides those named after an urgency
TOP = 3  # the highest level of a complaint: the centre's manager (REQ-E05)


@dataclass(frozen=True, slots=True)
class Roster:
    """Staff ids who may be told now: those on duty by role, and those on call, the first to tell first."""

    roles: Mapping[Role, tuple[int, ...]]
    on_call: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Subject:
    """An escalation as it stands.

    `notified` notifications were made, the latest at `last_notified_at`; the first goes to rung `first_rung` (a
    reopened complaint starts one level higher, REQ-E07). `owner` has it in hand; `declined` are staff ids that handed
    it on.
    """

    started_at: datetime
    notified: int = 0
    last_notified_at: datetime | None = None
    first_rung: int = 0
    acknowledged_at: datetime | None = None
    closed_at: datetime | None = None
    owner: int | None = None
    declined: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell these people now, in these ways, then record `notified` + 1. No people: nobody of this rung is on duty,
    which is a gap to show; the next rung is then due at once. `rung` counts from 0; `repeat` is 0 at first, then 1 …"""

    rung: int
    people: tuple[int, ...]
    how: tuple[Way, ...]
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
    step = policy.rungs[rung]
    return Notify(rung, _people(step, subject, roster), step.ways, repeat)


def ladder_for(kind: CaseKind, urgency: Urgency) -> str:
    """The ladder a case climbs: an ordinary complaint and the media their own (E15), everything else its urgency's."""
    if kind is CaseKind.MEDIA:
        return MEDIA
    return COMPLAINT if kind is CaseKind.COMPLAINT and urgency is Urgency.ORDINARY else urgency.value


def level_of(rung: int) -> int:
    """The level of a case whose rung was told: the leader's is 1, the manager's 3 (REQ-E05)."""
    return min(rung + 1, TOP)


def rung_for(level: int) -> int:
    """The rung from which a case of this level climbs; `level_of` turned round. 0 is nobody's yet."""
    return max(level - 1, 0)


def _place(policy: Ladder, subject: Subject, step: int) -> tuple[int, int]:
    """The rung of a step and which repeat of it: after the last rung, that one again."""
    last = len(policy.rungs) - 1
    rung = min(subject.first_rung, last) + step
    return (rung, 0) if rung <= last else (last, rung - last)


def _due(policy: Ladder, subject: Subject, roster: Roster) -> datetime | None:
    """When the next notification is due; None if there is none left."""
    rung, repeat = _place(policy, subject, subject.notified)
    if repeat and (policy.repeat is None or (policy.repeats is not None and repeat > policy.repeats)):
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
    """The rung's people who did not hand it on; each once, the owner and those on call before the roles."""
    named = {
        Tell.OWNER: () if subject.owner is None else (subject.owner,),
        Tell.ON_CALL: roster.on_call,
    }
    told = dict.fromkeys(person for who in rung.people for person in named[who])
    told |= dict.fromkeys(person for role in rung.roles for person in roster.roles.get(role, ()))
    return tuple(person for person in told if person not in subject.declined)
