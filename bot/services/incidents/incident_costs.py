"""What an incident cost: staff, material and equipment as figures, each with what it was for; recovered material counts
against it (REQ-F53)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.services.centre import Centre
from bot.services.incidents.incident_file import IncidentRefusedError, allow, lock
from bot.services.permissions import Function
from store.db import touch
from store.tables import IncidentEntry

KIND = "cost"
MOST = Decimal(10) ** 10


@dataclass(frozen=True, slots=True)
class Costs:
    """The entries in order, and what they come to, by currency."""

    entries: tuple[IncidentEntry, ...]
    sums: tuple[tuple[str, Decimal], ...]


def add(
    session: Session,
    centre: Centre,
    incident_id: int,
    amount: str,
    what: str,
    *,
    staff_id: int,
    now: datetime,
) -> None:
    """Enters a cost in the centre's currency; a negative one takes something back. Raises IncidentRefusedError."""
    allow(session, staff_id, Function.OPEN_INCIDENT)
    if not what.strip():
        raise IncidentRefusedError("text_empty")
    incident = lock(session, incident_id)
    session.add(
        IncidentEntry(
            incident_id=incident.id,
            staff_id=staff_id,
            kind=KIND,
            text=what.strip()[:400],
            at=now,
            amount=_hundredths(amount),
            currency=centre.library.current.policies.broadcast.currency,
        )
    )
    touch(session, f"incident:{incident.id}", "incidents")


def _hundredths(written: str) -> int:
    try:
        amount = Decimal(written.strip().replace(",", "").replace("，", "").replace("－", "-"))
    except InvalidOperation:
        raise IncidentRefusedError("number_bad") from None
    if not amount.is_finite() or not amount or abs(amount) >= MOST or amount != round(amount, 2):
        raise IncidentRefusedError("number_bad")
    return int(amount * 100)


def of(entries: Sequence[IncidentEntry]) -> Costs:
    """The costs among an incident's entries; those written in words alone are listed and add nothing."""
    costs = tuple(each for each in entries if each.kind == KIND)
    sums: dict[str, Decimal] = {}
    for each in costs:
        if each.amount is not None and each.currency is not None:
            sums[each.currency] = sums.get(each.currency, Decimal(0)) + amount_of(each)
    return Costs(costs, tuple(sums.items()))


def amount_of(entry: IncidentEntry) -> Decimal:
    """In whole units of its currency, with two places."""
    return Decimal(entry.amount or 0).scaleb(-2).quantize(Decimal("0.01"))


def costs_of(session: Session, incident_id: int) -> Costs:
    """What an incident cost so far."""
    rows = session.scalars(
        select(IncidentEntry)
        .where(IncidentEntry.incident_id == incident_id, IncidentEntry.kind == KIND)
        .order_by(IncidentEntry.id)
    ).all()
    return of(rows)
