"""What an operator tunes, as one frozen value: the shape of scripts/policies.yml.

Every figure lives in that file, none here; scripts/policies.py reads, checks and stores it. Window times are local
wall-clock times of whoever is called; durations are `timedelta`s. A value of None means "not set by the operator":
what needs it refuses and says so, it is never guessed (X3, X5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from bot.core.occupancy import Limits
from bot.core.plan import Plan
from bot.core.words import ChannelName, Disposition, Language, Purpose, RepairStage, Role, Urgency


@dataclass(frozen=True, slots=True)
class Bilingual:
    """One text in both languages."""

    zh: str
    en: str

    def of(self, language: Language) -> str:
        return self.zh if language is Language.ZH else self.en


@dataclass(frozen=True, slots=True)
class Company:
    """Who is speaking: the organisation's name, and the bot's short name (REQ-D03)."""

    name: Bilingual
    bot: Bilingual


# ── when ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Season(StrEnum):
    SUMMER = "summer"
    WINTER = "winter"


class MonthDay(NamedTuple):
    """A day of every year."""

    month: int
    day: int


@dataclass(frozen=True, slots=True)
class Seasons:
    """When each season starts; both unset until the operator says so (X3)."""

    summer_start: MonthDay | None
    winter_start: MonthDay | None


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of local time, start ≤ t < end; it runs past midnight when end ≤ start.

    00:00–00:00 is therefore the whole day.
    """

    start: time
    end: time

    def holds(self, at: time) -> bool:
        """Whether this wall-clock time lies inside."""
        if self.start < self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end

    def complement(self) -> Window:
        """The rest of the day."""
        return Window(self.end, self.start)


@dataclass(frozen=True, slots=True)
class Windows:
    """A named set of windows: either the same all year, or one list a season (REQ-B10, REQ-B11).

    `weekdays` are ISO numbers (1 = Monday … 7 = Sunday); a make-up working day is open whatever its weekday.
    """

    weekdays: frozenset[int]
    all_year: tuple[Window, ...]
    summer: tuple[Window, ...]
    winter: tuple[Window, ...]

    @property
    def seasonal(self) -> bool:
        return bool(self.summer or self.winter)

    def of(self, season: Season | None) -> tuple[Window, ...]:
        """The windows of a season; nothing where they are seasonal and the season is not known."""
        if not self.seasonal:
            return self.all_year
        return {Season.SUMMER: self.summer, Season.WINTER: self.winter, None: ()}[season]


EVERY_DAY = frozenset(range(1, 8))


def daily(window: Window) -> Windows:
    """The same window every day of the year."""
    return Windows(weekdays=EVERY_DAY, all_year=(window,), summer=(), winter=())


ALWAYS = daily(Window(time(0), time(0)))  # open at all hours (REQ-B09)


@dataclass(frozen=True, slots=True)
class Holidays:
    """Whose public holidays count (an ISO 3166 code, "" for none), and the operator's own additions."""

    region: str
    days_off: frozenset[date]
    workdays: frozenset[date]


@dataclass(frozen=True, slots=True)
class Hours:
    """When we may reach out.

    `windows` by name (follow_up, evening, requested, outbound and the operator's own); `purposes` says which of them a
    purpose keeps to when its plan names none. `quiet` is the night, for every channel; `carrier` bounds every call.
    """

    windows: Mapping[str, Windows]
    purposes: Mapping[Purpose, tuple[str, ...]]
    quiet: Window
    carrier: Window

    def named(self, names: tuple[str, ...]) -> tuple[Windows, ...]:
        """The named sets; a call may start only where all of them are open (REQ-C28)."""
        return tuple(self.windows[name] for name in names)


@dataclass(frozen=True, slots=True)
class Cap:
    """At most so many times within so long."""

    times: int
    within: timedelta


@dataclass(frozen=True, slots=True)
class Frequency:
    """Caps per person: `calls` count every call whatever for; `follow_ups` every follow-up and marketing contact."""

    calls: tuple[Cap, ...]
    follow_ups: tuple[Cap, ...]


# ── calls ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class OnMachine(StrEnum):
    """What to do when an answering machine picks up."""

    HANG_UP = "hang_up"
    LEAVE_MESSAGE = "leave_message"
    NO_ANSWER = "no_answer"  # hang up, and count it as nobody having answered


@dataclass(frozen=True, slots=True)
class Calls:
    """Attempts and their spacing (REQ-C19).

    `attempts` counts calls that rang; `unrung` bounds those that never did. `spacing` is the least time before the same
    number is dialled again, by how the last call to it ended: a disposition without a spacing ends the callback.
    `between_numbers` is the least time before another number of the same person. A call rings for `ring`, and silence
    on the line gets a word after `listen` (REQ-E24); after `failures` in a row, silences or words not understood, a
    person takes over. `silent_sms`: a caller who never said a word is offered a call by text. At most `at_once` calls
    of ours are up at the same time (None: the carrier sets no bound).
    """

    attempts: int
    unrung: int
    spacing: Mapping[Disposition, timedelta]
    between_numbers: timedelta
    at_once: int | None
    ring: timedelta
    listen: timedelta
    failures: int
    silent_sms: bool
    machine: OnMachine
    last_sms: bool


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a customer may say, and what we say to it."""

    ask: Bilingual
    answer: Bilingual


@dataclass(frozen=True, slots=True)
class Preparation:
    """What an agent should know before dialling for a plan: why we call, likely questions, and what to say when the
    person would rather not talk (REQ-C20)."""

    reason: Bilingual
    questions: tuple[Exchange, ...]
    refusals: tuple[Exchange, ...]


# ── people ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Tell(StrEnum):
    """Whom a rung tells besides the holders of its roles."""

    OWNER = "owner"  # of the case, the conversation or the incident
    ON_CALL = "on_call"  # whoever the roster has on call now (REQ-F03)


class Way(StrEnum):
    """How somebody of the staff is told; by all but the console they can also answer where they are (REQ-F60)."""

    CONSOLE = "console"
    TELEGRAM = "telegram"
    SMS = "sms"
    VOICE = "voice"


WAYS = (Way.CONSOLE, Way.TELEGRAM)  # where a rung says nothing


@dataclass(frozen=True, slots=True)
class Rung:
    """So long after the start, tell `people` and everybody on duty in `roles`, in the ways of `how`."""

    after: timedelta
    roles: tuple[Role, ...] = ()
    people: tuple[Tell, ...] = ()
    how: tuple[Way, ...] = ()

    @property
    def ways(self) -> tuple[Way, ...]:
        return self.how or WAYS


@dataclass(frozen=True, slots=True)
class Ladder:
    """An escalation's rungs, lowest first; then the last one again each `repeat`, at most `repeats` times (None: until
    somebody takes it)."""

    rungs: tuple[Rung, ...]
    repeat: timedelta | None
    repeats: int | None


@dataclass(frozen=True, slots=True)
class Target:
    """A case's deadlines, in business time."""

    first_response: timedelta
    resolution: timedelta


@dataclass(frozen=True, slots=True)
class Sla:
    """Service standards: seconds in a conversation (REQ-B01, REQ-B02, REQ-B05), characters a minute of whoever types
    (REQ-B04), business time on a case.

    `warn_at` is the share of a deadline after which it warns. For the segments in `always_open` every hour is a
    business hour (REQ-B09).
    """

    first_reply_target: timedelta
    first_reply_limit: timedelta
    answer_limit: timedelta
    typing_speed: int
    cases: Mapping[Urgency, Target]
    warn_at: float
    hours: Windows
    always_open: frozenset[str]

    @property
    def waits(self) -> tuple[timedelta, timedelta, timedelta]:
        """How long somebody waits for words before it is soon, later and too long."""
        return self.first_reply_target, self.first_reply_limit, self.answer_limit


@dataclass(frozen=True, slots=True)
class Agents:
    """`capacity` conversations at once.

    What nobody has taken after `assign_after` is given to somebody. Who leaves a customer without an answer is told
    after `warn_after` and has it taken from them after `move_after`. Customers in the queue hear their place each
    `place_every`. None: never.
    """

    capacity: int
    assign_after: timedelta | None
    warn_after: timedelta | None
    move_after: timedelta | None
    place_every: timedelta | None


@dataclass(frozen=True, slots=True)
class SignIn:
    """Whoever holds one of these roles signs in with a second factor, and sets theirs up before anything else."""

    second_factor: frozenset[Role]


@dataclass(frozen=True, slots=True)
class Cover:
    """When somebody must be down for it on the roster: on call, and as the duty's leader (REQ-B25, B32, F03). Gaps are
    told `warn_ahead` before they come."""

    on_call: Windows
    leader: Windows
    warn_ahead: timedelta


@dataclass(frozen=True, slots=True)
class Chat:
    """The bot's manners: lengths in characters, confidences 0..1 (REQ-B05, REQ-B06, REQ-D10).

    A confidence under `understand` is not understood; two intents nearer than `clarify` get a question with buttons;
    after `misses` messages not understood a person takes over. `per_network`: so much a second is taken in the web chat
    from one network address, whoever is behind it (None: any number).
    """

    split_at: int
    join_within: timedelta
    hold_after: timedelta
    remind_after: timedelta
    close_after: timedelta
    understand: float
    clarify: float
    misses: int
    per_network: float | None


@dataclass(frozen=True, slots=True)
class FactSource:
    """Asking the operator's own systems: how long one may take, how long its answer counts as fresh, and after how long
    without a movement a parcel is stuck (INT-24)."""

    timeout: timedelta
    fresh: timedelta
    stalled_after: timedelta


@dataclass(frozen=True, slots=True)
class Warranty:
    """The limits of the warranty table (D.3); None is not set (X5), and what needs it goes to a person (REQ-B47).

    Days count from the purchase: until N1 (`refund_days`), N2 (`exchange_days`), N4 (`free_exchange_days`); refunds
    carry depreciation after N3; a replacement is sent within N5 (`replacement_days`) of receipt.
    """

    refund_days: int | None
    exchange_days: int | None
    free_exchange_days: int | None
    depreciation_after_days: int | None
    depreciation_per_mille: Decimal | None
    replacement_days: int | None
    headset_months: int | None
    battery_months: int | None
    charger_months: int | None
    accessory_months: int
    repeat_repairs: int


@dataclass(frozen=True, slots=True)
class Repairs:
    """Which stages a repair order passes, by the queue of its case; `OTHER_QUEUES` for the rest (REQ-D26).

    A quotation above `approval_limit` (in `Broadcast.currency`) is the manager's (INT-34); None: no limit.
    """

    paths: Mapping[str, tuple[RepairStage, ...]]
    approval_limit: Decimal | None

    def path(self, queue: str) -> tuple[RepairStage, ...]:
        return self.paths.get(queue) or self.paths[OTHER_QUEUES]


OTHER_QUEUES = "other"


@dataclass(frozen=True, slots=True)
class Visits:
    """When an engineer may come (REQ-D29, REQ-C35): `hours` of the centre's own zone, cut into slots of `slot`.

    Each slot takes `capacity` visits; the first one that may be booked is `notice` away, the last one `ahead`. The
    customer is reminded `remind_before` the visit.
    """

    hours: Windows
    on_holidays: bool
    slot: timedelta
    capacity: int
    notice: timedelta
    ahead: timedelta
    remind_before: timedelta


# ── sending and keeping ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Rate:
    """A channel's pace and price. A unit is a call, an SMS segment or a message.

    `per_address` bounds one address (None: as the channel). `chat_share` of the pace goes to conversations first while
    a broadcast runs; what they leave is the broadcast's. `price` per unit is in `Broadcast.currency`.
    """

    per_second: float
    per_address: float | None
    chat_share: float
    price: Decimal


@dataclass(frozen=True, slots=True)
class Mms:
    """Between which regions (ISO 3166) our number sends files by text message; none: a link goes out in their place."""

    regions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BroadcastStep:
    """Try this channel; after `wait` without acknowledgement, the next."""

    channel: ChannelName
    wait: timedelta


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Announcements: the digit that acknowledges, the ladder of channels, and for how long one stays worth sending."""

    ack_digit: str
    ladder: tuple[BroadcastStep, ...]
    expires_after: timedelta
    currency: str


@dataclass(frozen=True, slots=True)
class Reports:
    """From `daily_at` on, in the centre's own zone, yesterday's follow-up report is written and people are reminded of
    the next steps they owe (REQ-C16, C17)."""

    daily_at: time


class ExportRule(StrEnum):
    """Whether an export with people's data waits for a second person (REQ-G09)."""

    APPROVE = "approve"
    DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class Privacy:
    """Numbers and addresses, shown with a reason, are masked again after `shown_for`; whoever has those of `unusual`
    many people shown is told about (REQ-G14). `exports` says by kind what waits for approval (a kind that is not named
    does); a file is kept for `exports_kept`. What somebody asks about their own data is answered within
    `answer_within`.
    """

    shown_for: timedelta
    unusual: Cap
    exports: Mapping[str, ExportRule]
    exports_kept: timedelta
    answer_within: timedelta


class RetentionClass(StrEnum):
    """REQ-G01."""

    PERMANENT = "permanent"
    LONG = "long"
    SHORT = "short"


class RecordKind(StrEnum):
    """What is kept, each with its own period (REQ-G01, G17): first what concerns customers, then the centre's own
    records of its work. An incident's announcements go with the incident."""

    INCIDENT = "incident"
    REVIEW = "review"  # of an incident, and part of its file
    DRILL = "drill"
    COMPLAINT = "complaint"
    CASE = "case"  # every other case, with its found item, repair and visits
    FOLLOW_UP = "follow_up"  # a callback with its attempts, answers and next steps
    SATISFACTION = "satisfaction"  # what a customer said of a conversation
    TRANSCRIPT = "transcript"  # a conversation's lines and the files sent in it
    RECORDING = "recording"
    BY_HAND = "by_hand"  # calls written down while the system was down
    REPORTED = "reported"  # what customers reported that was no incident
    EVENT = "event"  # what happened to a customer elsewhere, with the messages planned from it
    HAND_OVER = "hand_over"
    SHIFT = "shift"  # of the roster, with its swaps
    SEAT_LEAVE = "seat_leave"  # who asked to leave their seat during an incident, and who said yes
    SURGE = "surge"
    PROPOSAL = "proposal"  # of a plan or a surge, from how busy the floor was
    ALERT = "alert"  # what the staff were told
    IMPORT = "import"  # lists that were brought in
    LOOK = "look"  # who had whose numbers shown, and why
    EXPORT = "export"  # what left the program, and who allowed it


@dataclass(frozen=True, slots=True)
class Retention:
    """How long records are kept, by class; `classes` gives each kind of record its class.

    `long` None: never proposed for disposal. `look_at`: from then on, in the centre's zone, what is due is proposed,
    once a day. `loan` is how long an archived file is lent (REQ-G07).
    """

    short: timedelta
    long: timedelta | None
    classes: Mapping[RecordKind, RetentionClass]
    look_at: time
    loan: timedelta


@dataclass(frozen=True, slots=True)
class Policies:
    """Everything an operator tunes. `zone` is the centre's own IANA zone, for contacts without one."""

    zone: str
    language: Language
    company: Company
    seasons: Seasons
    holidays: Holidays
    hours: Hours
    frequency: Frequency
    calls: Calls
    plans: Mapping[str, Plan]
    ladders: Mapping[str, Ladder]
    sla: Sla
    agents: Agents
    occupancy: Limits
    cover: Cover
    sign_in: SignIn
    chat: Chat
    facts: FactSource
    warranty: Warranty
    repairs: Repairs
    visits: Visits
    rates: Mapping[ChannelName, Rate]
    mms: Mms
    broadcast: Broadcast
    reports: Reports
    privacy: Privacy
    retention: Retention
