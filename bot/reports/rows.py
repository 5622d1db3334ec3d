"""What a follow-up report's reader may see, and one row of it (REQ-C15)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from bot.core.words import CallbackState, ChannelName, Disposition, FollowUpGroup


@dataclass(frozen=True, slots=True)
class Rights:
    """What the reader may see besides the rows themselves."""

    health: bool
    numbers: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What a named person was asked to do (REQ-C17)."""

    owner: str
    what: str
    due_on: date
    done: bool
    result: str


@dataclass(frozen=True, slots=True)
class Row:
    """One callback. Instants are UTC; `attempt` is the last one's number, `rang` how many reached a telephone.

    `plan` is its id; `day` is the centre's day it was owed on. `answers` by question, the latest of each; None stands
    for one that is hidden from this reader, and `corrected` holds what was written first of those that were corrected.
    `scores` are those of the service alone. `recording` is where the console
    keeps what was said: the recording's file, or the written conversation where none was recorded; "" where nobody
    talked.
    """

    callback_id: int
    contact_id: int
    customer: str
    title: str
    number: str
    group: FollowUpGroup
    plan: str
    reason: str
    happened_at: datetime | None
    due_at: datetime | None
    day: date | None
    late_after: datetime | None
    window: str
    channel: ChannelName | None
    attempt: int
    rang: int
    state: CallbackState
    result: Disposition | None
    answers: Mapping[str, str | None]
    corrected: Mapping[str, str]
    scores: Mapping[str, int]
    remarks: str
    agent: str
    started_at: datetime | None
    ended_at: datetime | None
    connected: bool
    on_time: bool | None
    flags: tuple[str, ...]
    steps: tuple[Step, ...]
    recording: str
