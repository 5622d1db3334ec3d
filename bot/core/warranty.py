"""The warranty table (三包, D.3) as data, and the one function that reads it (REQ-D27, REQ-D38).

    decide(claim, limits) -> Verdict      what the customer may choose, with which papers, by which clause
    charged(claim, limits) -> bool | Unset     whether a refund carries depreciation
    depreciation(claim, limits) -> Fee | Unset

A limit nobody has set (X5) makes what depends on it `Unset`, which names it: a person is called then, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

from bot.core.policy import Warranty

CENT = Decimal("0.01")
PER_MILLE = Decimal(1000)
DAYS_IN_A_YEAR, MONTHS_IN_A_YEAR = 365, 12


class Wish(StrEnum):
    REFUND = "refund"
    EXCHANGE = "exchange"
    REPAIR = "repair"


class Item(StrEnum):
    """What the claim is about. `EXCLUDED` parts are antenna, housing and LCD board (保修条例3)."""

    DEVICE = "device"
    HEADSET = "headset"
    BATTERY = "battery"
    CHARGER = "charger"
    ACCESSORY = "accessory"
    EXCLUDED = "excluded"
    GIFT = "gift"


class Paper(StrEnum):
    """What has to be shown."""

    TEST_REPORT = "test_report"  # same-day report of the brand's designated test point
    MAKER_REPORT = "maker_report"
    CARD = "card"
    INVOICE = "invoice"
    BOX = "box"


class Reason(StrEnum):
    """Why a wish is not granted."""

    USER_CAUSED = "user_caused"
    DAMAGED = "damaged"  # housing, antenna, display or lens: no exchange (保修条例2)
    TOO_LATE = "too_late"
    EXCLUDED = "excluded"
    GIFT = "gift"


@dataclass(frozen=True, slots=True)
class Claim:
    """`days` since purchase by the customer's calendar, 0 or more; `repairs` of this same fault without software
    upgrades. `damaged` None: nobody has said. `card_months`: the warranty card's own period, which prevails."""

    days: int
    item: Item = Item.DEVICE
    user_caused: bool = False
    damaged: bool | None = None
    repairs: int = 0
    repair_days: int = 0
    price: Decimal | None = None
    card_months: int | None = None


@dataclass(frozen=True, slots=True)
class Unset:
    """The answer depends on a limit that was not set; `limit` is its name in the policies."""

    limit: str


@dataclass(frozen=True, slots=True)
class Granted:
    """`clause` of the seed's rules; `papers` to bring."""

    clause: str
    papers: tuple[Paper, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    reason: Reason


Ruling = Granted | Refused | Unset
Verdict = Mapping[Wish, Ruling]


@dataclass(frozen=True, slots=True)
class Fee:
    """Depreciation with its inputs; `counted` days are those since purchase less those in repair. Amounts in the
    currency's unit."""

    amount: Decimal
    price: Decimal
    per_mille: Decimal
    days: int
    repair_days: int

    @property
    def counted(self) -> int:
        return max(0, self.days - self.repair_days)


@dataclass(frozen=True, slots=True)
class Clause:
    """A line of D.3: up to `limit` days (a policy's name, or so many) these may be chosen. Tried from the top."""

    name: str
    wishes: frozenset[Wish]
    limit: str
    papers: tuple[Paper, ...]
    repeated: bool = False


TABLE = (
    Clause("三包1", frozenset(Wish), "refund_days", (Paper.TEST_REPORT,)),
    Clause("三包2", frozenset({Wish.EXCHANGE, Wish.REPAIR}), "exchange_days", (Paper.TEST_REPORT,)),
    Clause("保修条例1", frozenset({Wish.EXCHANGE}), "free_exchange_days", (Paper.MAKER_REPORT, Paper.BOX)),
    Clause("三包4", frozenset({Wish.EXCHANGE, Wish.REFUND}), "year", (Paper.TEST_REPORT,), repeated=True),
    Clause("三包3", frozenset({Wish.REPAIR}), "card", (Paper.CARD, Paper.INVOICE)),
)
PARTS: Mapping[Item, str] = {
    Item.HEADSET: "headset_months",
    Item.BATTERY: "battery_months",
    Item.CHARGER: "charger_months",
    Item.ACCESSORY: "accessory_months",
}


def decide(claim: Claim, limits: Warranty) -> Verdict:
    """Every wish with its ruling; the customer may choose among those granted."""
    return {wish: _ruling(wish, claim, limits) for wish in Wish}


def card_matters(claim: Claim) -> bool:
    """Whether the period on the customer's own card, not told yet, may change the verdict (保修条例4)."""
    if claim.card_months is not None or claim.user_caused:
        return False
    return claim.item in PARTS or (claim.item is Item.DEVICE and claim.days > DAYS_IN_A_YEAR)


def repeated(claim: Claim, limits: Warranty) -> bool:
    """Whether the same fault was repaired so often within the year that 三包4 holds (REQ-B46, X6)."""
    return claim.repairs >= limits.repeat_repairs and claim.days <= DAYS_IN_A_YEAR


def charged(claim: Claim, limits: Warranty) -> bool | Unset:
    """Whether a refund carries depreciation: after N3 days, or for a fault repaired again and again (三包4, 三包6)."""
    if repeated(claim, limits):
        return True
    if limits.depreciation_after_days is None:
        return Unset("depreciation_after_days")
    return claim.days > limits.depreciation_after_days


def depreciation(claim: Claim, limits: Warranty) -> Fee | Unset:
    """price × r‰ × (days − days in repair), never below 0 nor above the price (三包7). The price must be known."""
    if claim.price is None:
        raise ValueError("the price is not known")
    if limits.depreciation_per_mille is None:
        return Unset("depreciation_per_mille")
    fee = Fee(Decimal(0), claim.price, limits.depreciation_per_mille, claim.days, claim.repair_days)
    amount = min(claim.price, claim.price * fee.per_mille / PER_MILLE * fee.counted)
    return replace(fee, amount=amount.quantize(CENT, ROUND_HALF_UP))


def _ruling(wish: Wish, claim: Claim, limits: Warranty) -> Ruling:
    if claim.item is Item.GIFT:
        return Refused(Reason.GIFT)
    if claim.item is Item.EXCLUDED:
        return Refused(Reason.EXCLUDED)
    if claim.user_caused:
        return Refused(Reason.USER_CAUSED)
    if wish is Wish.EXCHANGE and claim.damaged:
        return Refused(Reason.DAMAGED)
    if claim.item in PARTS:
        return _of_part(wish, claim, limits)
    unset: Unset | None = None
    for clause in TABLE:
        if wish not in clause.wishes or (clause.repeated and not repeated(claim, limits)):
            continue
        days = _days(clause.limit, claim, limits)
        if days is None:
            # Every period lies within the year (scripts/policies.py sees to it): later, the blank changes nothing.
            unset = unset or (Unset(clause.limit) if claim.days <= DAYS_IN_A_YEAR else None)
        elif claim.days <= days:
            return Granted(clause.name, clause.papers)
    return unset or Refused(Reason.TOO_LATE)


def _of_part(wish: Wish, claim: Claim, limits: Warranty) -> Ruling:
    """三包5 and 保修条例3: parts are repaired or exchanged within their months; a refund is of the device alone."""
    if wish is Wish.REFUND:
        return Refused(Reason.EXCLUDED)
    name = PARTS[claim.item]
    months = claim.card_months if claim.card_months is not None else getattr(limits, name)
    if months is None:
        return Unset(name)
    if claim.days <= months_as_days(months):
        clause = "保修条例3" if claim.item is Item.ACCESSORY else "三包5"
        return Granted(clause, (Paper.CARD, Paper.INVOICE))
    return Refused(Reason.TOO_LATE)


def _days(limit: str, claim: Claim, limits: Warranty) -> int | None:
    if limit == "year":
        return DAYS_IN_A_YEAR
    if limit == "card":
        return months_as_days(MONTHS_IN_A_YEAR if claim.card_months is None else claim.card_months)
    days: int | None = getattr(limits, limit)
    return days


def months_as_days(months: int) -> int:
    """Twelve months are 365 days; fewer or more in proportion, rounded up in the customer's favour.

    >>> months_as_days(12), months_as_days(3)
    (365, 92)
    """
    return -(-months * DAYS_IN_A_YEAR // MONTHS_IN_A_YEAR)
