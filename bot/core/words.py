"""The nouns' vocabulary and the values that travel between the rooms of the house.

Everything here is a plain enum or a frozen value: no clock, no I/O, no framework. Times are zone-aware `datetime`s;
texts are already in the reader's language. The enums are what the database's CHECK constraints hold rows to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from bot.core.media import Attachment, Enclosure


class Language(StrEnum):
    """The two languages every script, page and report exists in."""

    ZH = "zh"
    EN = "en"


class ChannelName(StrEnum):
    """A way to reach somebody; each is an address space of its own (DESIGN §8)."""

    WEBCHAT = "webchat"
    REST = "rest"
    TELEGRAM = "telegram"
    SMS = "sms"
    VOICE = "voice"
    STAFF = "staff"


class Author(StrEnum):
    """Who wrote a message."""

    CUSTOMER = "customer"
    BOT = "bot"
    AGENT = "agent"
    SYSTEM = "system"


class ConversationState(StrEnum):
    """Who holds the conversation; the bot is silent unless it does."""

    BOT = "bot"
    QUEUED = "queued"
    AGENT = "agent"
    CLOSED = "closed"


class Purpose(StrEnum):
    """Why we contact somebody: the rows of the permission table (DESIGN §4)."""

    REPLY = "reply"
    REQUESTED_CALLBACK = "requested_callback"
    SERVICE_NOTICE = "service_notice"
    FOLLOW_UP = "follow_up"
    MARKETING = "marketing"
    EMERGENCY = "emergency"
    STAFF_ALERT = "staff_alert"


class Rule(StrEnum):
    """What may stand against a contact: the columns of the permission table (DESIGN §4)."""

    WINDOW = "window"
    QUIET_HOURS = "quiet_hours"
    HOLIDAY = "holiday"
    DO_NOT_CONTACT = "do_not_contact"
    CONSENT = "consent"
    FREQUENCY = "frequency"
    DRILL = "drill"
    ONE_CALL = "one_call"


class Cell(StrEnum):
    """What a rule means for a purpose."""

    APPLIES = "applies"
    EXEMPT = "exempt"
    OVERRIDE = "override"  # passes, and an audit entry says so


class DeliveryState(StrEnum):
    """The outbox row's states (DESIGN §4)."""

    QUEUED = "queued"
    SENDING = "sending"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    HEARD = "heard"
    READ = "read"
    FAILED = "failed"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Lane(StrEnum):
    """The class part of a delivery's lane: one row of address + class is in flight at a time."""

    CHAT = "chat"
    EMERGENCY = "emergency"


class CaseKind(StrEnum):
    """What a case (工单) is about."""

    COMPLAINT = "complaint"
    REPAIR = "repair"
    INQUIRY = "inquiry"
    RED_FLAG = "red_flag"
    BROADCAST_REPLY = "broadcast_reply"
    FOUND_ITEM = "found_item"
    MEDIA = "media"
    PRIVACY = "privacy"


class CaseState(StrEnum):
    """A case's life; it cannot close without a feedback record (REQ-E06)."""

    OPEN = "open"
    ASSIGNED = "assigned"
    PENDING = "pending"
    RESOLVED = "resolved"
    CLOSED = "closed"


class RepairStage(StrEnum):
    """How far a repair order is (REQ-D26, REQ-D39); which of them a pack uses is the operator's policy."""

    REGISTERED = "registered"
    JUDGED = "judged"  # the first judgement, by telephone or from what was told
    QUOTED = "quoted"
    CONSENTED = "consented"
    BOOKED = "booked"  # a visit, or a place at the shop
    DISPATCHED = "dispatched"  # the customer has posted it
    RECEIVED = "received"
    INSPECTED = "inspected"
    REPAIRING = "repairing"
    QUALITY_CHECK = "quality_check"
    SETTLED = "settled"
    HANDED_OVER = "handed_over"
    REPLACED = "replaced"
    RETURNED = "returned"
    EVALUATED = "evaluated"
    CANCELLED = "cancelled"


class VisitState(StrEnum):
    """What became of an agreed visit (REQ-D29); one that was moved has a new one in its place."""

    BOOKED = "booked"
    MOVED = "moved"
    CANCELLED = "cancelled"
    DONE = "done"
    MISSED = "missed"


class Urgency(StrEnum):
    """How soon a case or an escalation wants a person (REQ-E09, REQ-E16)."""

    ORDINARY = "ordinary"
    URGENT = "urgent"


class EscalationState(StrEnum):
    """An escalation climbs its frozen policy until somebody takes it (REQ-E05)."""

    RUNNING = "running"
    ACKNOWLEDGED = "acknowledged"
    EXHAUSTED = "exhausted"
    CLOSED = "closed"


class FollowUpGroup(StrEnum):
    """Whom a follow-up is for (REQ-C02, REQ-C06, REQ-C07), and the other scheduled contacts (REQ-C09, C31..C34)."""

    VISITED_NO_PURCHASE = "visited_no_purchase"
    VISITED_PURCHASED = "visited_purchased"
    NOT_VISITED = "not_visited"
    INTERRUPTED = "interrupted"
    OUTPATIENT_SURGERY = "outpatient_surgery"
    INPATIENT_SURGERY = "inpatient_surgery"
    AFTER_COMPLAINT = "after_complaint"
    AFTER_REPAIR = "after_repair"
    ORDER = "order"
    UPKEEP = "upkeep"
    CARE = "care"
    REQUESTED = "requested"


class CallbackState(StrEnum):
    """A callback waits, is dialled, and ends once."""

    SCHEDULED = "scheduled"
    DIALLING = "dialling"
    DONE = "done"
    GIVEN_UP = "given_up"
    CANCELLED = "cancelled"


class CallbackSource(StrEnum):
    """Who or what asked for a call."""

    CUSTOMER = "customer"  # in any channel (INT-05, INT-06)
    QUEUE = "queue"  # somebody waiting for a person, who keeps their place
    PLAN = "plan"  # a follow-up plan
    COMPLAINT = "complaint"  # a complaint that was settled (REQ-C31)
    RECOVERY = "recovery"  # a list made when an outage is over (REQ-C29)
    DIARY = "diary"  # a colleague's own
    API = "api"  # another system


class Disposition(StrEnum):
    """How a call attempt or a callback ended (REQ-C18)."""

    COMPLETED = "completed"
    PARTLY_COMPLETED = "partly_completed"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    MACHINE = "machine"
    REFUSED = "refused"
    WRONG_NUMBER = "wrong_number"
    ANOTHER_TIME = "another_time"
    ESCALATED = "escalated"
    OPTED_OUT = "opted_out"
    UNREACHABLE = "unreachable"  # switched off, or out of the network's reach
    INVALID_NUMBER = "invalid_number"
    FAILED = "failed"
    CANCELLED = "cancelled"


class IncidentState(StrEnum):
    """REQ-F06."""

    SUSPECTED = "suspected"
    CONFIRMED = "confirmed"
    CONTAINED = "contained"
    RECOVERED = "recovered"
    ALL_CLEAR = "all_clear"
    REVIEWED = "reviewed"
    CLOSED = "closed"


class IncidentSource(StrEnum):
    """Who noticed an incident first (REQ-F06, F20)."""

    STAFF = "staff"
    MONITOR = "monitor"
    CUSTOMERS = "customers"
    API = "api"


class StepKind(StrEnum):
    """What kind of a step of a plan it is: something to do; the program telling people by itself when it falls due;
    people told at once who each acknowledge; arriving on site; a decision to write down; a report to send."""

    DO = "do"
    TELL = "tell"
    RELAY = "relay"
    ARRIVE = "arrive"
    DECIDE = "decide"
    REPORT = "report"


class StepState(StrEnum):
    """A step waits for what it follows, is open, and ends done or dropped with a reason."""

    WAITING = "waiting"
    OPEN = "open"
    DONE = "done"
    DROPPED = "dropped"


class BroadcastKind(StrEnum):
    """What a broadcast says about its incident (REQ-F29..F31)."""

    NOTICE = "notice"
    UPDATE = "update"
    ALL_CLEAR = "all_clear"


class BroadcastState(StrEnum):
    """Drafted, approved by a second person, fanned out, finished; stopped and cancelled mid-flight."""

    DRAFT = "draft"
    APPROVED = "approved"
    RUNNING = "running"
    STOPPED = "stopped"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class Outcome(StrEnum):
    """A broadcast recipient's exactly one outcome (DESIGN §4)."""

    PENDING = "pending"
    SENDING = "sending"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    HEARD = "heard"
    ACKNOWLEDGED = "acknowledged"
    FAILED = "failed"
    UNKNOWN = "unknown"
    UNREACHABLE = "unreachable"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Role(StrEnum):
    """Canonical staff roles (REQ-A22, REQ-A24), plus archivist and administrator."""

    AGENT = "agent"
    LEADER = "leader"
    SUPERVISOR = "supervisor"
    MANAGER = "manager"
    OPS = "ops"
    REPORT_OWNER = "report_owner"
    ARCHIVIST = "archivist"
    ADMINISTRATOR = "administrator"


class Presence(StrEnum):
    """Whether an agent takes work now."""

    ONLINE = "online"
    AWAY = "away"
    OFFLINE = "offline"


# ── understanding ──


@dataclass(frozen=True, slots=True)
class Entity:
    """A value found in a text. `value` is normalised (E.164, ISO 8601 with offset, plain decimal …)."""

    kind: str
    value: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Emotion:
    """What the wording betrays (REQ-E13); `anger` is 0, 1 (annoyed) or 2 (strong)."""

    anger: int = 0
    worried: bool = False
    threatening: bool = False
    wants_manager: bool = False


@dataclass(frozen=True, slots=True)
class Parse:
    """What a text means: the shape of Rasa's /model/parse, frozen.

    `intent` is "" where nothing fits (out of scope); `confidence` is calibrated, 0..1; `ranking` is best first, of
    intents only; `in_scope` says how surely any of them fits at all, 0..1.
    """

    text: str
    intent: str
    confidence: float
    ranking: tuple[tuple[str, float], ...] = ()
    entities: tuple[Entity, ...] = ()
    language: Language = Language.ZH
    emotion: Emotion = Emotion()
    engine: str = "embedded"
    in_scope: float = 1.0

    def first(self, *kinds: str) -> Entity | None:
        """The first entity of one of these kinds, or None."""
        return next((e for e in self.entities if e.kind in kinds), None)


# ── what travels ──


@dataclass(frozen=True, slots=True)
class Button:
    """A choice: `title` is shown, `payload` comes back (an intent or value as `/name`, or plain text)."""

    title: str
    payload: str


SENT = "sent"  # Unix time, whole seconds


@dataclass(frozen=True, slots=True)
class Incoming:
    """A customer's message as a channel verified and parsed it.

    `address` is the sender in the channel's own address space; `provider_id` is unique in the channel and makes a
    repeated request harmless. `language` is the one they chose, `spoken` only what their application is set to.
    `aside` names a fixed answer (bot/services/conversation/asides.py) to what the bot cannot read. `context` is what
    the scripts read as `context.x` from now on; `metadata` is kept with the line for staff: SENT in it is when they
    wrote it, where the provider says so. `corrects` is the `provider_id` of the message this one is the edited form of.
    """

    channel: ChannelName
    address: str
    provider_id: str
    text: str
    language: Language | None = None
    payload: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    spoken: Language | None = None
    aside: str = ""
    attachments: tuple[Attachment, ...] = ()
    context: Mapping[str, Any] = field(default_factory=dict)
    corrects: str = ""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One delivery as a channel must send it; `delivery_id` rides in the callback URL. `enclosure` is a file that goes
    out, with `text` as its caption ("" without one); `replies_to` the provider's id of the message it answers."""

    delivery_id: int
    channel: ChannelName
    address: str
    text: str
    language: Language
    buttons: tuple[Button, ...] = ()
    purpose: Purpose = Purpose.REPLY
    metadata: Mapping[str, Any] = field(default_factory=dict)
    enclosure: Enclosure | None = None
    replies_to: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider took it; `state` says how far the provider already knows it went."""

    provider_id: str
    state: DeliveryState = DeliveryState.ACCEPTED


@dataclass(frozen=True, slots=True)
class Report:
    """A provider's word on a delivery, possibly late, repeated or out of order."""

    channel: ChannelName
    provider_id: str | None
    delivery_id: int | None
    state: DeliveryState
    sequence: int = 0
    error: str | None = None
    answered_by: str | None = None  # voice: "human" | "machine" | None
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Rejected(Exception):  # noqa: N818 - the word DESIGN §8 uses
    """The provider refuses this delivery for good; `reason` is safe to show. `unreachable`: this address takes nothing
    any more (blocked, deleted), so other ways are tried."""

    def __init__(self, reason: str, *, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.unreachable = unreachable


class TryLater(Exception):  # noqa: N818
    """Nothing was sent; try again after so many seconds."""

    def __init__(self, after: float, reason: str = "") -> None:
        super().__init__(reason or f"try again in {after:g} s")
        self.after = after


class Unsure(Exception):  # noqa: N818
    """The answer was lost: it may or may not have been sent (DESIGN §4, honest limit)."""


@dataclass(frozen=True, slots=True)
class Can:
    """What a channel can carry."""

    max_text: int = 4000
    max_buttons: int = 10
    max_button: int = 40
    buttons: bool = True
    receipts: bool = False
    voice: bool = False
    push: bool = True  # False: rows are read by our own page, inserted already accepted
    files: bool = False  # carries files itself, to everybody; else `Encloses` tells, or a link goes out in their place
    quotes: bool = False  # shows which message is answered
    per_second: float = 10.0


@runtime_checkable
class Encloses(Protocol):
    """A channel that carries some files to some addresses."""

    def encloses(self, address: str, file: Enclosure) -> bool: ...


@runtime_checkable
class Channel(Protocol):
    """A way to send. A new channel is one file and one line in the app (DESIGN §8)."""

    @property
    def name(self) -> ChannelName: ...

    @property
    def can(self) -> Can: ...

    async def send(self, out: Outgoing) -> Sent:
        """Hands `out` to the provider; raises Rejected, TryLater or Unsure."""
        ...


@runtime_checkable
class LooksUp(Channel, Protocol):
    """A channel whose provider can be asked what became of a delivery."""

    async def look_up(self, out: Outgoing, since: datetime) -> Report | None: ...


@runtime_checkable
class Counts(Channel, Protocol):
    """A channel where one delivery may take several units of the rate."""

    def units(self, out: Outgoing) -> int: ...


@runtime_checkable
class Closes(Channel, Protocol):
    """A channel with connections to give up; closing twice is harmless."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Reach:
    """One address by which a contact may be reached, in the order they prefer."""

    address_id: int
    channel: ChannelName
    reachable: bool = True


# ── what a flow wants done ──


@dataclass(frozen=True, slots=True)
class Say:
    """Say this, in the conversation's language. `key` is the response's name (utter_…), for logs and tests."""

    text: str
    buttons: tuple[Button, ...] = ()
    key: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Act:
    """Do this and come back with slots: `name` is an action of the table in scripts/README.md."""

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)


Effect = Say | Act


def mask(address: str) -> str:
    """An address fit for logs and for staff outside their role: only the last four characters stay (REQ-G14).

    >>> mask("+8613800001234")
    '****1234'
    """
    return f"****{address[-4:]}" if len(address) > 4 else "****"


def as_buttons(raw: Sequence[Mapping[str, str]]) -> tuple[Button, ...]:
    """Buttons as stored in JSON, back as values."""
    return tuple(Button(b["title"], b["payload"]) for b in raw)
