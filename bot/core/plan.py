"""A follow-up plan (回访计划) as data: whom, after what, when, by which script and channel (REQ-C02..C09, C31..C34).

scripts/plans/*.yml holds them, scripts/policies.py reads and checks them; they are versioned with the policies. Days
and times are those of the person contacted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum

from bot.core.solar_terms import SolarTerm
from bot.core.words import ChannelName, FollowUpGroup, Language, Purpose, Role


class Trigger(StrEnum):
    """What starts a plan: something that happened outside or inside the house, or a day of the year."""

    VISITED_NO_PURCHASE = "visited_no_purchase"
    VISITED_PURCHASED = "visited_purchased"
    NOT_VISITED = "not_visited"
    INTERRUPTED = "interrupted"
    OUTPATIENT_SURGERY = "outpatient_surgery"
    INPATIENT_SURGERY = "inpatient_surgery"
    COMPLAINT_CLOSED = "complaint_closed"
    REPAIR_FINISHED = "repair_finished"
    ORDER_UNPAID = "order_unpaid"
    ORDER_DISPATCHED = "order_dispatched"
    ORDER_RECEIVED = "order_received"
    PRODUCT_BOUGHT = "product_bought"
    BIRTHDAY = "birthday"
    SOLAR_TERM = "solar_term"
    WISH = "wish"  # the customer asked to be called


OURS = frozenset(
    {Trigger.COMPLAINT_CLOSED, Trigger.REPAIR_FINISHED, Trigger.BIRTHDAY, Trigger.SOLAR_TERM, Trigger.WISH}
)
"""What we notice ourselves; the others are told to us, by a list, /api/v1 or the facts."""
OF_THE_YEAR = frozenset({Trigger.BIRTHDAY, Trigger.SOLAR_TERM})
BY_CALL = ChannelName.VOICE


@dataclass(frozen=True, slots=True)
class Step:
    """One contact of a plan: from day `after_days` after the event on, late past the end of day `within_days` (None:
    never late). 0 is from the event itself on, or `after` later; None was not set by the operator (REQ-C08)."""

    after_days: int | None
    within_days: int | None = None
    after: timedelta = timedelta(0)


class Rings(StrEnum):
    """Whom a plan's call rings, and who speaks."""

    BOT = "bot"  # the customer, who talks with the bot
    CUSTOMER_FIRST = "customer_first"  # the customer, who is put through to an agent at once
    AGENT_FIRST = "agent_first"  # an agent, who is told about the customer and then put through


def chosen(flags: Collection[str]) -> Rings | None:
    """Whom a colleague wants rung by this very call, as its flags say; None: as its plan says."""
    return next((rings for rings in Rings if rings.value in flags), None)


def choose(flags: Collection[str], rings: Rings | None) -> list[str]:
    """The flags of a call with this choice instead of any other."""
    return sorted({*(set(flags) - set(Rings)), *((rings.value,) if rings else ())})


@dataclass(frozen=True, slots=True)
class Plan:
    """When, how and by whom a group is followed up.

    `windows` are named in the policies; after the day of its first try a contact is tried on `tries_for_days` more open
    days. `channels` in order: the first one the person can be reached on. `attempts` None: as the policies say for
    every call. `owner` may pause it besides whoever edits policies. No contact starts after `ends_on`. `only` narrows
    the events by their details (any of these texts); `terms` are a solar-term plan's. `repeat_days`: the last step
    comes again so many days later, for ever. `paused`: written so in the file.
    """

    name: Mapping[Language, str]
    group: FollowUpGroup
    trigger: Trigger
    flow: str
    windows: tuple[str, ...]
    steps: tuple[Step, ...]
    tries_for_days: int = 3
    channels: tuple[ChannelName, ...] = (BY_CALL,)
    purpose: Purpose = Purpose.FOLLOW_UP
    attempts: int | None = None
    owner: Role = Role.LEADER
    ends_on: date | None = None
    rings: Rings = Rings.BOT
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    terms: tuple[SolarTerm, ...] = ()
    repeat_days: int | None = None

    @property
    def calls(self) -> bool:
        """Whether it telephones first; otherwise it writes."""
        return self.channels[0] is BY_CALL

    def meant(self, details: Mapping[str, object]) -> bool:
        """Whether an event with these details is one of its own."""
        return all(str(details.get(name, "")).strip() in wanted for name, wanted in self.only.items())


def started_by(plans: Mapping[str, Plan], trigger: Trigger, details: Mapping[str, object]) -> Iterator[str]:
    """The ids of the plans an event starts, in the order of the files."""
    return (id_ for id_, plan in plans.items() if plan.trigger is trigger and plan.meant(details))
