"""How long a record is kept, until when, and why (REQ-G01, G08, G11).

    judge(part, linked, retention, held=False) -> Judgement(class, since, due, why)

A record is kept as long as the longest of what hangs together with it: a short transcript stays with its complaint,
from the day the last of them ended. Nothing is due that goes on, is held, or is kept for ever.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.core.policy import RecordKind, Retention, RetentionClass


class HoldSubject(StrEnum):
    """What a legal hold may be placed on; a recording is an attachment of a message."""

    CONTACT = "contact"
    CASE = "case"
    INCIDENT = "incident"
    CONVERSATION = "conversation"
    RECORDING = "recording"


class Why(StrEnum):
    """What a record's date rests on, or why it has none."""

    OWN = "own"  # the period of its own class
    LINKED = "linked"  # the longer one of something it belongs to
    HELD = "held"  # no date: a legal hold
    GOES_ON = "goes_on"  # no date: it, or something it belongs to, is not over
    PERMANENT = "permanent"  # no date: kept for ever
    UNSET = "unset"  # no date: its class has no period


LENGTHS = (RetentionClass.SHORT, RetentionClass.LONG, RetentionClass.PERMANENT)


@dataclass(frozen=True, slots=True)
class Part:
    """A record, or something it belongs to. `ended_at` None: it goes on."""

    kind: RecordKind
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Found:
    """A record as it stands: `title` names it without naming a person, `holds` (ids) are those that reach it."""

    kind: RecordKind
    id: int
    title: str
    own: Part
    linked: tuple[Part, ...]
    holds: frozenset[int]


@dataclass(frozen=True, slots=True)
class Judgement:
    """`due` is the first moment the record may be disposed of, `since` what its period counts from; None: none."""

    cls: RetentionClass
    since: datetime | None
    due: datetime | None
    why: Why


def judge(own: Part, linked: Collection[Part], retention: Retention, *, held: bool) -> Judgement:
    """What becomes of a record that hangs together with `linked`."""
    mine = class_of(own.kind, retention)
    longest = max((mine, *(class_of(each.kind, retention) for each in linked)), key=LENGTHS.index)
    why = Why.OWN if longest is mine else Why.LINKED
    ends = [each.ended_at for each in (own, *linked)]
    over = [at for at in ends if at is not None]
    period = period_of(longest, retention)
    if held:
        return Judgement(longest, None, None, Why.HELD)
    if longest is RetentionClass.PERMANENT:
        return Judgement(longest, None, None, Why.PERMANENT)
    if len(over) < len(ends):
        return Judgement(longest, None, None, Why.GOES_ON)
    since = max(over)
    return (
        Judgement(longest, since, None, Why.UNSET) if period is None else Judgement(longest, since, since + period, why)
    )


def class_of(kind: RecordKind, retention: Retention) -> RetentionClass:
    """A kind's own class; an incident's file holds its review, and is kept as the longer of the two."""
    own = retention.classes[kind]
    if kind is RecordKind.INCIDENT:
        return max(own, retention.classes[RecordKind.REVIEW], key=LENGTHS.index)
    return own


def period_of(cls: RetentionClass, retention: Retention) -> timedelta | None:
    """How long; None: never due."""
    return {RetentionClass.SHORT: retention.short, RetentionClass.LONG: retention.long}.get(cls)


def may_go(judgement: Judgement, now: datetime) -> bool:
    """Whether it is time."""
    return judgement.due is not None and judgement.due <= now


def earliest(kind: RecordKind, retention: Retention, now: datetime) -> datetime | None:
    """No record of this kind that ended after this moment can be due; None: none of this kind ever is."""
    period = period_of(class_of(kind, retention), retention)
    return now - period if period is not None else None
