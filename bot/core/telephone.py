"""What a call says and listens for, as values: the seam between the voice service and the channel that speaks.

The service (bot/services/calls/voice.py) decides what is said next; a channel that `Speaks` makes the carrier's
document of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlencode

from bot.core.words import Channel, Incoming, Language, Report, Say

DOOR, STATUS, RECORDED = "/voice", "/status", "/recording"
"""Where calls ask what is next, where a leg's state is told, where a finished recording is; below the carrier's own."""


class BadCallError(ValueError):
    """The request is not one the door gave out."""


def door(**query: Any) -> str:
    """The address a carrier asks next, below our own; None values are left out."""
    return f"{DOOR}?{urlencode({name: value for name, value in query.items() if value is not None})}"


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


@dataclass(frozen=True, slots=True)
class Record:
    """A beep, then what is said is recorded, `seconds` at most: on to `url` with it, to `silent_url` where nothing was
    said. Once the recording may be fetched, `ready_url` is told."""

    url: str
    silent_url: str
    ready_url: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Dial:
    """Ring `number` (E.164) for `seconds` and connect the two.

    Whoever answers hears the document at `whisper_url` first and is connected where it ends with Connect; None: at
    once. When that leg is over, or nobody came, the call goes on at `url`. `delivery_id` is the leg's outbox row.
    """

    number: str
    url: str
    whisper_url: str | None
    delivery_id: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Connect:
    """The end of a whisper: the two are connected now."""


Next = Listen | GoOn | HangUp | Record | Dial | Connect


@runtime_checkable
class Speaks(Channel, Protocol):
    """A channel that talks: `answer` makes the carrier's document (TwiML) of what to say and do now.

    `carrier` is who carries its calls: "sandbox", "twilio" …
    """

    @property
    def carrier(self) -> str: ...

    def answer(self, says: Sequence[Say], language: Language, then: Next) -> str: ...

    async def turn(self, call_sid: str, url: str) -> None:
        """A call that is up goes on at `url` at once; one that has ended meanwhile is let be."""
        ...


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

FAILURES: Mapping[CallState, str] = {
    CallState.BUSY: "busy",
    CallState.NO_ANSWER: "no_answer",
    CallState.FAILED: "failed",
    CallState.CANCELED: "canceled",
}
"""What a call that reached nobody is called in its delivery's `error`."""


@runtime_checkable
class Follows(Channel, Protocol):
    """A channel that can be asked how far a call is."""

    async def how_far(self, call_sid: str) -> CallState | None:
        """None where it cannot say. Raises Rejected (no such call), TryLater or Unsure."""
        ...


@dataclass(frozen=True, slots=True)
class CallReport:
    """A carrier's word on a call, possibly late, repeated or out of order. `delivery_id` None: the customer called us.

    `error` says why a call that failed did: "invalid" (no such number), "unreachable" (switched off) or "failed".
    """

    call_sid: str
    delivery_id: int | None
    state: CallState
    sequence: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """What a caller left: `sid` is the carrier's name of it, `source` where it is fetched. `words`: what it says, where
    the carrier knows. A repeated one is the same by its `sid`."""

    sid: str
    source: str = ""
    seconds: int = 0
    words: str = ""


class OptOut(StrEnum):
    """A word by which a text message stops or allows us to write; HELP asks who we are."""

    STOP = "stop"
    START = "start"
    HELP = "help"


class Switchboard(Protocol):
    """What a carrier's webhooks hand on to the house; each returns after the commit."""

    async def ask(self, url: str, form: Mapping[str, str]) -> str | None:
        """The document a call plays next; None where `url` is none the house gave out."""
        ...

    async def call(self, report: CallReport) -> None: ...

    async def delivery(self, report: Report) -> None: ...

    async def answered_by(self, call_sid: str, delivery_id: int, who: str) -> None:
        """The carrier found out, while the call is up, who answered it: "human", "machine_…", "fax", "unknown"."""
        ...

    async def recorded(self, conversation_id: int, recording: Recording) -> None:
        """A recording may be fetched now, which the call itself may have told already."""
        ...

    async def text(self, text: Incoming, opt_out: OptOut | None = None) -> None:
        """A text message came. `opt_out`: the carrier took it so and answered it itself."""
        ...
