"""What an incident cost: staff, material and equipment as figures, each with what it was for; recovered material counts
against it (REQ-F53). What was entered wrongly may be corrected, and then the corrected figure counts (REQ-G02)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.money import hundredths
from bot.services.centre import Centre
from bot.services.incidents.incident_file import IncidentRefusedError, allow, lock
from bot.services.permissions import Function
from bot.services.records import corrections
from bot.services.records.corrections import Was
from store.db import touch
from store.tables import IncidentEntry

KIND = "cost"


@dataclass(frozen=True, slots=True)
class Cost:
    """One entry as it stands; `amount` in hundredths of its currency, None where it was written in words alone. `was`
    and `text_was` are what stood there before it was corrected."""

    id: int
    at: datetime
    staff_id: int | None
    text: str
    text_was: tuple[Was, ...]
    amount: int | None
    currency: str | None
    was: tuple[Was, ...]


@dataclass(frozen=True, slots=True)
class Costs:
    """The entries in order, and what they come to, by currency."""

    entries: tuple[Cost, ...]
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
    try:
        figure = hundredths(amount)
    except ValueError:
        raise IncidentRefusedError("number_bad") from None
    incident = lock(session, incident_id)
    session.add(
        IncidentEntry(
            incident_id=incident.id,
            staff_id=staff_id,
            kind=KIND,
            text=what.strip()[:400],
            at=now,
            amount=figure,
            currency=centre.library.current.policies.broadcast.currency,
        )
    )
    touch(session, f"incident:{incident.id}", "incidents")


def costs_of(session: Session, incident_id: int) -> Costs:
    """What an incident cost so far; entries in words alone are listed and add nothing."""
    rows = session.scalars(
        select(IncidentEntry)
        .where(IncidentEntry.incident_id == incident_id, IncidentEntry.kind == KIND)
        .order_by(IncidentEntry.id)
    ).all()
    were = corrections.history(session, "incident_entry", [row.id for row in rows])
    costs = tuple(_standing(row, were.get((row.id, "text"), ()), were.get((row.id, "amount"), ())) for row in rows)
    sums: dict[str, Decimal] = {}
    for each in costs:
        if each.amount is not None and each.currency is not None:
            sums[each.currency] = sums.get(each.currency, Decimal(0)) + Decimal(each.amount).scaleb(-2)
    return Costs(costs, tuple(sums.items()))


def _standing(row: IncidentEntry, text_was: tuple[Was, ...], was: tuple[Was, ...]) -> Cost:
    return Cost(
        row.id,
        row.at,
        row.staff_id,
        text_was[-1].new if text_was else row.text,
        text_was,
        hundredths(was[-1].new) if was else row.amount,
        row.currency,
        was,
    )
