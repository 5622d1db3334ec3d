"""What a call says and listens for, as values: the seam between the voice service and the channel that speaks.

The service (bot/services/voice.py) decides what is said next; a channel that `Speaks` makes the carrier's document of
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from bot.core.words import Channel, Language, Say


@dataclass(frozen=True, slots=True)
class Listen:
    """Listen for keys and speech while and after speaking: what is heard goes to `url`; when nothing came for
    `seconds`, on to `silent_url`."""

    url: str
    silent_url: str
    seconds: int


@dataclass(frozen=True, slots=True)
class GoOn:
    """Ask `url` what is next as soon as everything is said."""

    url: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """Say goodbye and end the call."""


Next = Listen | GoOn | HangUp


@runtime_checkable
class Speaks(Channel, Protocol):
    """A channel that talks: `answer` makes the carrier's document (TwiML) of what to say and do now.

    `carrier` is who carries its calls: "sandbox", "twilio" …
    """

    @property
    def carrier(self) -> str: ...

    def answer(self, says: Sequence[Say], language: Language, then: Next) -> str: ...


class CallState(StrEnum):
    """How far a carrier says a call is; the words are Twilio's (CallStatus), which other carriers map theirs to."""

    QUEUED = "queued"
    INITIATED = "initiated"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    FAILED = "failed"
    CANCELED = "canceled"


ENDED = frozenset(
    {CallState.COMPLETED, CallState.BUSY, CallState.NO_ANSWER, CallState.FAILED, CallState.CANCELED},
)
