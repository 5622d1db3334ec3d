"""Facts: what only the operator's own systems know, asked for through one small port (REQ-D11).

A source has tables of the names and columns below and answers a question with the rows whose columns equal the key; it
may take changes. Files, SQL and HTTP sources answer in the same shape, and `read_row` holds each of them to it. What a
source cannot say is not known, and the flow says so. scripts/README.md explains the tables to operators.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from enum import StrEnum
from math import isfinite
from typing import Any, Protocol

from bot.core.words import Language

Row = Mapping[str, Any]
Key = tuple[tuple[str, str], ...]
MAX_ROWS = 5_000  # of one answer; a longer one is a mistake of the source


@dataclass(frozen=True, slots=True)
class Question:
    """The rows of `table` whose columns equal `key`; an empty key asks for the whole table."""

    table: str
    key: Key = ()


@dataclass(frozen=True, slots=True)
class Span:
    """From an instant up to another, which is not in it; both are zone-aware."""

    start: datetime
    end: datetime

    def __contains__(self, at: datetime) -> bool:
        return self.start <= at < self.end

    def halves(self) -> tuple[Span, Span]:
        middle = self.start + (self.end - self.start) / 2
        return Span(self.start, middle), Span(middle, self.end)


class TooManyError(Exception):
    """A span holds more than MAX_ROWS rows: a shorter one is to be asked for."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something to be done in the operator's system; the same `idempotency_key` again must change nothing twice."""

    table: str
    key: Key
    values: Key
    idempotency_key: str


class Outcome(StrEnum):
    """What became of a change: done; refused for a reason; nobody can say; this source takes none."""

    TAKEN = "taken"
    REFUSED = "refused"
    UNSURE = "unsure"
    CANNOT = "cannot"


@dataclass(frozen=True, slots=True)
class Changed:
    """`reason` is what a refusal tells the customer, by language; `values` what came back, such as a coupon's code."""

    outcome: Outcome
    reason: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Health:
    """For /readyz: who answers, whether it does, and what is wrong."""

    source: str
    ok: bool
    detail: str = ""


class Facts(Protocol):
    """What the program asks. No method raises unless it says so, and none may be awaited inside a transaction."""

    async def rows(self, question: Question) -> tuple[Row, ...] | None:
        """None: it is not known. No rows: it is known that there are none."""

    async def moved(self, question: Question, span: Span) -> tuple[Row, ...] | None:
        """Of the orders a question means, those that moved within a span; like `rows`, but for TooManyError."""

    async def change(self, change: Change) -> Changed: ...

    def health(self) -> Health: ...

    async def close(self) -> None: ...


# ── the tables ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Kind(StrEnum):
    TEXT = "text"
    WORDS = "words"  # several, in a file or a database separated by |
    WHOLE = "whole"
    NUMBER = "number"
    DATE = "date"
    MOMENT = "moment"
    PHONE = "phone"
    STATE = "state"
    TOPIC = "topic"


@dataclass(frozen=True, slots=True)
class Column:
    """A required column is never empty; any other may be empty or left out."""

    kind: Kind = Kind.TEXT
    required: bool = False


STATES = (
    "unpaid", "paid", "packing", "dispatched", "in_transit", "out_for_delivery", "delivered", "cancelled",
    "returning", "refunded", "received", "testing", "reported",
)  # fmt: skip
"""How an order stands; the last three are a laboratory's."""
ON_ITS_WAY = frozenset({"dispatched", "in_transit", "out_for_delivery"})
BEFORE_DISPATCH = frozenset({"unpaid", "paid", "packing"})
TOPICS = (
    "care_guidance", "warranty", "maintenance", "test_centre", "repair_price", "payment", "product",
    "property_formality", "visitor_route", "activities", "bank_business", "enterprise_service", "laboratory_test",
)  # fmt: skip
"""What `action_answer` may be asked about."""
EVERYWHERE_ELSE = "*"  # a courier's city

_NEEDED, _TEXT, _DAY = Column(required=True), Column(), Column(Kind.DATE, required=True)
_WHOLE, _NUMBER = Column(Kind.WHOLE, required=True), Column(Kind.NUMBER, required=True)

TABLES: Mapping[str, Mapping[str, Column]] = {
    "orders": {
        "order_no": _NEEDED, "phone": Column(Kind.PHONE, required=True), "state": Column(Kind.STATE, required=True),
        "ordered_at": Column(Kind.MOMENT, required=True), "address": _TEXT, "courier_zh": _TEXT, "courier_en": _TEXT,
        "tracking_no": _TEXT, "trace_zh": _TEXT, "trace_en": _TEXT, "trace_at": Column(Kind.MOMENT),
    },
    "products": {
        "product_no": _NEEDED, "name_zh": _NEEDED, "name_en": _NEEDED, "words": Column(Kind.WORDS),
        "stock": Column(Kind.WHOLE), "variants_zh": _TEXT, "variants_en": _TEXT, "fabric_zh": _TEXT,
        "fabric_en": _TEXT, "make_zh": _TEXT, "make_en": _TEXT, "related": _TEXT,
    },
    "sizes": {
        "product_no": _TEXT, "size": _NEEDED, "height_from": _NUMBER, "height_to": _NUMBER, "weight_from": _NUMBER,
        "weight_to": _NUMBER,
    },
    "promotions": {
        "text_zh": _NEEDED, "text_en": _NEEDED, "starts_on": _DAY, "ends_on": _DAY,
        "free_shipping_from": Column(Kind.NUMBER),
    },
    "coupons": {
        "campaign": _NEEDED, "text_zh": _NEEDED, "text_en": _NEEDED, "starts_on": _DAY, "ends_on": _DAY,
        "per_customer": _WHOLE, "code": _TEXT,
    },
    "couriers": {
        "city_zh": _NEEDED, "city_en": _NEEDED, "courier_zh": _NEEDED, "courier_en": _NEEDED, "days_from": _WHOLE,
        "days_to": _WHOLE,
    },
    "answers": {
        "topic": Column(Kind.TOPIC, required=True), "words": Column(Kind.WORDS), "text_zh": _NEEDED,
        "text_en": _NEEDED,
    },
}  # fmt: skip
"""The tables of every source. Text comes in both languages, `…_zh` and `…_en`; English left out is shown in Chinese."""


def moved_at(order: Row) -> datetime:
    """When an order moved last, as far as its row tells."""
    at: datetime = order.get("trace_at") or order["ordered_at"]
    return at


def localised(row: Row, name: str, language: Language) -> str | None:
    """A row's text in `language`, else in Chinese; None where there is none."""
    return row.get(f"{name}_{language.value}") or row.get(f"{name}_zh") or None


# ── rows in ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class BadCellError(ValueError):
    """A value is not what its column holds; the message is in both languages and says what would be right."""

    def __init__(self, column: str, got: object, zh: str, en: str) -> None:
        shown = f"“{str(got)[:40]}” " if got not in (None, "") else ""
        super().__init__(f"{column}: {shown}{zh} · {en}")
        self.column = column


def read_row(table: str, raw: Mapping[str, Any], zone: tzinfo) -> Row:
    """A row as typed values, its empty cells left out; `zone` is for moments without one. Unknown columns are the
    source's own business and are dropped. Raises BadCellError."""
    row: dict[str, Any] = {}
    for name, column in TABLES[table].items():
        cell = raw.get(name)
        cell = cell.strip() if isinstance(cell, str) else cell
        if cell is None or cell in ("", []):
            if column.required:
                raise BadCellError(name, cell, "不能空着", "must not be empty")
            continue
        row[name] = _READ[column.kind](name, cell, zone)
    return row


def _text(name: str, cell: Any, _zone: tzinfo) -> str:
    if isinstance(cell, str | int) and not isinstance(cell, bool):
        return str(cell)
    raise BadCellError(name, cell, "应为文字", "must be a text")


def _words(_name: str, cell: Any, _zone: tzinfo) -> tuple[str, ...]:
    parts: Iterable[Any] = cell if isinstance(cell, list | tuple) else re.split(r"[|；;、，,]", str(cell))
    return tuple(word for part in parts if (word := str(part).strip()))


def _number(name: str, cell: Any, _zone: tzinfo) -> float:
    try:
        number = float(str(cell))
    except ValueError:
        number = -1.0
    if isinstance(cell, bool) or not isfinite(number) or number < 0:
        raise BadCellError(name, cell, "应为不小于 0 的数，如 199", "must be a number, 0 or more, such as 199")
    return number


def _whole(name: str, cell: Any, zone: tzinfo) -> int:
    number = _number(name, cell, zone)
    if number != int(number):
        raise BadCellError(name, cell, "应为整数，如 12", "must be a whole number, such as 12")
    return int(number)


def _date(name: str, cell: Any, _zone: tzinfo) -> date:
    try:
        return cell.date() if isinstance(cell, datetime) else date.fromisoformat(str(cell)[:10])
    except ValueError:
        raise BadCellError(name, cell, "应为日期，如 2026-07-01", "must be a date such as 2026-07-01") from None


def _moment(name: str, cell: Any, zone: tzinfo) -> datetime:
    try:
        at = cell if isinstance(cell, datetime) else datetime.fromisoformat(str(cell))
    except ValueError:
        raise BadCellError(
            name, cell, "应为日期时间，如 2026-07-01 09:30", "must be a date and time such as 2026-07-01 09:30"
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=zone)


def _phone(name: str, cell: Any, zone: tzinfo) -> str:
    text = _text(name, cell, zone)
    if not 5 <= len(digits(text)) <= 15:
        raise BadCellError(name, cell, "应为电话号码，如 +8613800000000", "must be a number such as +8613800000000")
    return text


def _state(name: str, cell: Any, _zone: tzinfo) -> str:
    return _one_of(name, cell, STATES)


def _topic(name: str, cell: Any, _zone: tzinfo) -> str:
    return _one_of(name, cell, TOPICS)


def _one_of(name: str, cell: Any, allowed: tuple[str, ...]) -> str:
    if cell not in allowed:
        known = ", ".join(allowed)
        raise BadCellError(name, cell, f"应为其中之一：{known}", f"must be one of: {known}")
    return str(cell)


_READ = {
    Kind.TEXT: _text, Kind.WORDS: _words, Kind.WHOLE: _whole, Kind.NUMBER: _number, Kind.DATE: _date,
    Kind.MOMENT: _moment, Kind.PHONE: _phone, Kind.STATE: _state, Kind.TOPIC: _topic,
}  # fmt: skip


# ── telephone numbers ────────────────────────────────────────────────────────────────────────────────────────────────


def digits(text: str) -> str:
    return "".join(c for c in text if c.isascii() and c.isdecimal())


def bare(phone: str) -> str:
    """A number to compare by: its digits without China's country code, however the source writes it.

    >>> bare("+86 138-0000-0000") == bare("13800000000")
    True
    """
    found = digits(phone)
    return found[2:] if len(found) == 13 and found.startswith("86") else found


def matches(row: Row, key: Key) -> bool:
    """Whether a row is what was asked for: texts regardless of case, telephone numbers however written."""
    return all(
        bare(str(row.get(name, ""))) == bare(value)
        if name == "phone"
        else str(row.get(name, "")).casefold() == value.casefold()
        for name, value in key
    )
