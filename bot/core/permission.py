"""The one gate every outbound passes: may we contact this person, for this purpose, by this channel, now? (DESIGN §4)

One table, purpose × rule, says for every pair whether the rule applies, is exempt, or is overridden with audit.
The gate is asked twice: when something is planned, and again at the moment it goes out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum

from bot.core.policy import ALWAYS, Cap, Policies, Window, Windows, daily
from bot.core.windows import Calendar, Opening, is_open, local_date, next_open, reachable_hours, season_on
from bot.core.words import Cell, ChannelName, Purpose, Rule

A, E, O = Cell.APPLIES, Cell.EXEMPT, Cell.OVERRIDE  # noqa: E741 - the table is read as a table

# In the order in which they are asked: what never passes before what passes later.
RULES = (
    Rule.DRILL,
    Rule.DO_NOT_CONTACT,
    Rule.CONSENT,
    Rule.HOLIDAY,
    Rule.WINDOW,
    Rule.QUIET_HOURS,
    Rule.FREQUENCY,
    Rule.ONE_CALL,
)

# A reply goes out whenever somebody writes. What a customer asked for needs no further consent and is not held up by
# holidays (REQ-C05), but respects the night. A notice about their own order or outage keeps to the day only (REQ-C29).
# Follow-ups and marketing keep to everything (REQ-C04, REQ-C05, REQ-C09, REQ-C39). An emergency passes a STOP, the
# night and the caps, and an audit entry says so (REQ-F32). A drill reaches staff and test addresses only (REQ-F54).
# Nobody is rung on a second telephone while we talk to them on the first, whatever for.
TABLE: Mapping[Purpose, Mapping[Rule, Cell]] = {
    purpose: dict(zip(RULES, cells, strict=True))
    for purpose, cells in {
        #                            drill stop consent holiday window quiet frequency one call
        Purpose.REPLY:              (A,    E,   E,      E,      E,     E,    E,        E),
        Purpose.REQUESTED_CALLBACK: (A,    A,   E,      E,      A,     A,    A,        A),
        Purpose.SERVICE_NOTICE:     (A,    A,   E,      E,      E,     A,    A,        A),
        Purpose.FOLLOW_UP:          (A,    A,   A,      A,      A,     A,    A,        A),
        Purpose.MARKETING:          (A,    A,   A,      A,      A,     A,    A,        A),
        Purpose.EMERGENCY:          (A,    O,   E,      E,      E,     O,    O,        A),
        Purpose.STAFF_ALERT:        (A,    E,   E,      E,      E,     E,    E,        E),
    }.items()
}  # fmt: skip

EVERY_PURPOSE = frozenset(Purpose)
STOPPED = frozenset({Purpose.MARKETING, Purpose.FOLLOW_UP})  # what a STOP or 退订 ends (REQ-C39)
STOPPED_ON = {"calls": ChannelName.VOICE, "sms": ChannelName.SMS}


def stopped(scopes: Collection[str], channel: ChannelName) -> frozenset[Purpose]:
    """The purposes these withdrawn scopes (STOP_SCOPES of core/actions.py; others stop nothing) end on a channel."""
    if "all" in scopes or any(on is channel for scope, on in STOPPED_ON.items() if scope in scopes):
        return STOPPED
    return frozenset(purpose for purpose in STOPPED if purpose.value in scopes)


class ConsentKind(StrEnum):
    """REQ-G19."""

    RECORDING = "recording"
    MARKETING = "marketing"
    CALLBACKS = "callbacks"


@dataclass(frozen=True, slots=True)
class Consent:
    """Given, or withdrawn, at that moment."""

    given: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Contacted:
    """We reached out to this person (a call that is still under way counts).

    `reached` False: it rang and nobody answered, which counts for the carriers' caps and not for ours.
    """

    at: datetime
    channel: ChannelName
    purpose: Purpose
    reached: bool = True


@dataclass(frozen=True, slots=True)
class ContactFacts:
    """What the gate knows about a person and the address we would use.

    `zone` is theirs, an IANA name. `do_not_contact` joins what person and address say. `recent_contacts` must reach
    back as far as the longest cap; order does not matter. `hours` is the part of the day they asked for, in their own
    time; `not_before` and `not_after` bound this contact once. `test_address`: it belongs to staff or to a test.
    `on_the_phone`: another call of ours to them is up.
    """

    zone: str
    do_not_contact: frozenset[Purpose] = frozenset()
    consents: Mapping[ConsentKind, Consent] = field(default_factory=dict)
    recent_contacts: tuple[Contacted, ...] = ()
    segments: frozenset[str] = frozenset()
    blocked: frozenset[date] = frozenset()
    hours: Window | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    drill: bool = False
    test_address: bool = False
    on_the_phone: bool = False


class Why(StrEnum):
    """A refusal's reason, as a key of the message catalogue."""

    DRILL = "drill"
    OPTED_OUT = "opted_out"
    NO_CONSENT = "no_consent"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    HOLIDAY = "holiday"
    OUTSIDE_WINDOW = "outside_window"
    BLOCKED_DAY = "blocked_day"
    SEASONS_UNSET = "seasons_unset"
    NIGHT = "night"
    TOO_OFTEN = "too_often"
    ON_THE_PHONE = "on_the_phone"


@dataclass(frozen=True, slots=True)
class Allowed:
    """Go ahead; each rule in `overrides` stood against it and wants an audit entry."""

    overrides: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """Not now: `until` (UTC) is when it is worth asking again, None for never by waiting."""

    rule: Rule
    reason: Why
    until: datetime | None


def may_contact(
    purpose: Purpose,
    channel: ChannelName,
    facts: ContactFacts,
    policies: Policies,
    calendar: Calendar,
    now: datetime,
    *,
    windows: tuple[str, ...] | None = None,
) -> Allowed | Refused:
    """Whether this contact may start now. `windows` are its plan's, by name; otherwise the purpose's own count."""
    asked = _Question(purpose, channel, facts, policies, calendar, now, windows)
    overrides: list[Rule] = []
    for rule in RULES:
        cell = TABLE[purpose][rule]
        if cell is Cell.EXEMPT:
            continue
        why = asked.against(rule)
        if why is None:
            continue
        if cell is Cell.APPLIES:
            return Refused(rule, why, asked.until(rule, why))
        overrides.append(rule)
    return Allowed(tuple(overrides))


@dataclass(frozen=True, slots=True)
class _Question:
    purpose: Purpose
    channel: ChannelName
    facts: ContactFacts
    policies: Policies
    calendar: Calendar
    now: datetime
    window_names: tuple[str, ...] | None

    def against(self, rule: Rule) -> Why | None:
        """Why this rule stands against the contact; None if it does not."""
        match rule:
            case Rule.DRILL:
                return Why.DRILL if self.facts.drill and not self.facts.test_address else None
            case Rule.DO_NOT_CONTACT:
                return Why.OPTED_OUT if self.purpose in self.facts.do_not_contact else None
            case Rule.CONSENT:
                return self._no_consent()
            case Rule.HOLIDAY:
                return Why.HOLIDAY if local_date(self.now, self.facts.zone) in self.calendar.holidays else None
            case Rule.WINDOW:
                return self._outside_window()
            case Rule.QUIET_HOURS:
                return None if self._open(reachable_hours(self.channel, self.policies)) else Why.NIGHT
            case Rule.FREQUENCY:
                return Why.TOO_OFTEN if self._uncapped_at() > self.now else None
            case Rule.ONE_CALL:
                return Why.ON_THE_PHONE if self._talking() else None

    def until(self, rule: Rule, why: Why) -> datetime | None:
        """When everything that waiting can mend is mended."""
        if rule in (Rule.DRILL, Rule.DO_NOT_CONTACT, Rule.CONSENT) or why is Why.SEASONS_UNSET:
            return None
        cells = TABLE[self.purpose]
        windows: tuple[Windows, ...] = ()
        if cells[Rule.WINDOW] is Cell.APPLIES:
            windows += self._windows()
        if cells[Rule.QUIET_HOURS] is Cell.APPLIES:
            windows += reachable_hours(self.channel, self.policies)
        calendar = self.calendar if cells[Rule.HOLIDAY] is Cell.APPLIES else self.calendar.without_holidays()
        if cells[Rule.WINDOW] is not Cell.APPLIES:
            calendar = replace(calendar, blocked=frozenset())
        opening = next_open(
            self._free_at(),
            windows or (ALWAYS,),
            calendar,
            self.facts.zone,
            seasons=self.policies.seasons,
            not_before=self.facts.not_before,
            not_after=self.facts.not_after,
            blocked=self.facts.blocked,
        )
        return opening.start if isinstance(opening, Opening) else None

    def _no_consent(self) -> Why | None:
        """Marketing wants a yes; a follow-up only no "no" (REQ-C39)."""
        marketing = self.purpose is Purpose.MARKETING
        consent = self.facts.consents.get(ConsentKind.MARKETING if marketing else ConsentKind.CALLBACKS)
        if consent is not None and not consent.given:
            return Why.CONSENT_WITHDRAWN
        return Why.NO_CONSENT if marketing and consent is None else None

    def _outside_window(self) -> Why | None:
        before, after = self.facts.not_before, self.facts.not_after
        if (before and self.now < before) or (after and self.now >= after):
            return Why.OUTSIDE_WINDOW
        windows, today = self._windows(), local_date(self.now, self.facts.zone)
        if today in self.facts.blocked or today in self.calendar.blocked:
            return Why.BLOCKED_DAY
        if any(each.seasonal for each in windows) and season_on(today, self.policies.seasons) is None:
            return Why.SEASONS_UNSET
        return None if self._open(windows) else Why.OUTSIDE_WINDOW

    def _windows(self) -> tuple[Windows, ...]:
        names = self.window_names or self.policies.hours.purposes.get(self.purpose, ())
        asked_for = self.purpose is Purpose.REQUESTED_CALLBACK
        if asked_for and self.facts.segments & self.policies.sla.always_open:
            names = ()
        own = (daily(self.facts.hours),) if self.facts.hours else ()
        return (*self.policies.hours.named(names), *own) or (ALWAYS,)

    def _open(self, windows: Sequence[Windows]) -> bool:
        """By the clock and the weekday; days without calls are rules of their own."""
        return is_open(
            self.now,
            windows,
            Calendar(workdays=self.calendar.workdays),
            self.facts.zone,
            seasons=self.policies.seasons,
        )

    def _talking(self) -> bool:
        return self.channel is ChannelName.VOICE and self.facts.on_the_phone

    def _free_at(self) -> datetime:
        """The first moment from now on at which no cap is full and the line is likely to be free."""
        free = self._uncapped_at()
        return max(free, self.now + self.policies.calls.between_numbers) if self._talking() else free

    def _uncapped_at(self) -> datetime:
        """The first moment from now on at which no cap is full."""
        recent, frequency = self.facts.recent_contacts, self.policies.frequency
        free = self.now
        if self.channel is ChannelName.VOICE:
            free = max(
                free, _below(frequency.calls, [c.at for c in recent if c.channel is ChannelName.VOICE], self.now)
            )
        if self.purpose in STOPPED:
            reached = [c.at for c in recent if c.reached and c.purpose in STOPPED]
            free = max(free, _below(frequency.follow_ups, reached, self.now))
        return free


def _below(caps: Sequence[Cap], contacts: Sequence[datetime], now: datetime) -> datetime:
    """When one more contact would keep every cap."""
    newest_first = sorted((at for at in contacts if at <= now), reverse=True)
    full = (newest_first[cap.times - 1] + cap.within for cap in caps if len(newest_first) >= cap.times)
    return max([now, *full])
