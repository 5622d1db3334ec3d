"""Records the centre keeps of its own work: the roster, what was handed over, who looked at what, what the staff were
told (REQ-G01, G03, G17).

Most stand by themselves, and PLAIN says of each all there is to say; the others are looked at by hand below. What does
not end stays out of here: people and their consents go by an erasure, registers (of the archive, of disposals, of legal
holds) and the audit stay, and what is of use for a moment only is dropped by whoever wrote it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, select, true
from sqlalchemy.orm import Session

from bot.core.policy import RecordKind
from bot.core.retention import Found, HoldSubject, Part
from bot.core.words import DeliveryState, Purpose
from bot.services.records.customer_records import CALLED, Ended, Look, case_part, incident_part
from bot.services.records.holds import Reach
from store.tables import (
    Callback,
    Case,
    CustomerReport,
    Delivery,
    Escalation,
    Event,
    Export,
    ExportState,
    HandOver,
    ImportRun,
    Incident,
    PlannedMessage,
    PlannedState,
    Proposal,
    SeatLeave,
    Shift,
    Surge,
    Unmasking,
)

ON_ITS_WAY = (DeliveryState.QUEUED, DeliveryState.SENDING)
KEPT_NO_MORE = (ExportState.REFUSED, ExportState.FAILED, ExportState.EXPIRED)


@dataclass(frozen=True, slots=True)
class Plain:
    """A kind of record that belongs to nothing. A row is over since `ended` (None: it goes on), if `over` holds;
    `whose` says on whom a legal hold reaches it, `number` what it is called instead of its id."""

    table: Any
    ended: Any
    over: ColumnElement[bool] = field(default_factory=true)
    whose: Mapping[HoldSubject, Any] = field(default_factory=dict)
    number: Any = None


PLAIN: Mapping[RecordKind, Plain] = {
    RecordKind.REPORTED: Plain(
        CustomerReport,
        CustomerReport.at,
        CustomerReport.incident_id.is_(None),
        {
            HoldSubject.CONTACT: CustomerReport.contact_id,
            HoldSubject.CONVERSATION: CustomerReport.conversation_id,
        },
    ),
    RecordKind.SHIFT: Plain(Shift, Shift.ends_at),
    RecordKind.SEAT_LEAVE: Plain(SeatLeave, SeatLeave.asked_at),
    RecordKind.SURGE: Plain(Surge, Surge.ended_at),
    RecordKind.PROPOSAL: Plain(Proposal, Proposal.decided_at, whose={HoldSubject.INCIDENT: Proposal.incident_id}),
    RecordKind.IMPORT: Plain(ImportRun, ImportRun.at),
    RecordKind.LOOK: Plain(Unmasking, Unmasking.until, whose={HoldSubject.CONTACT: Unmasking.contact_id}),
    RecordKind.EXPORT: Plain(
        Export,
        Export.asked_at,
        Export.state.in_(KEPT_NO_MORE),
        {HoldSubject.CONTACT: Export.scope["contact"].as_integer()},
        Export.number,
    ),
}


def _plain(each: Plain) -> Ended:
    def ended(edge: datetime) -> Select[tuple[int]]:
        found: Select[tuple[int]] = select(each.table.id).where(each.over, each.ended <= edge)
        return found

    return ended


def _alerts(edge: datetime) -> Select[tuple[int]]:
    """What the staff were told belongs to no contact; there is an index of those, by when they were written."""
    return select(Delivery.id).where(
        Delivery.contact_id.is_(None),
        Delivery.created_at <= edge,
        Delivery.purpose == Purpose.STAFF_ALERT,
        Delivery.state.not_in(ON_ITS_WAY),
    )


ENDED: Mapping[RecordKind, Ended] = {
    RecordKind.ALERT: _alerts,
    RecordKind.HAND_OVER: lambda edge: select(HandOver.id).where(HandOver.at <= edge),
    RecordKind.EVENT: lambda edge: select(Event.id).where(Event.recorded_at <= edge),
    **{kind: _plain(each) for kind, each in PLAIN.items()},
}


# ── one by one ──


def _of_plain(session: Session, kind: RecordKind, ids: list[int], reached: Reach) -> list[Found]:
    each = PLAIN[kind]
    number = each.number if each.number is not None else each.table.id
    asked = select(each.table.id, number, each.ended, and_(true(), each.over), *each.whose.values())
    found = []
    for record_id, called, at, over, *whose in session.execute(asked.where(each.table.id.in_(ids))):
        pairs = zip(each.whose, whose, strict=True)
        holds = frozenset[int]().union(*(reached.of(subject, [of]) for subject, of in pairs if of is not None))
        title = called if each.number is not None else f"#{record_id}"
        found.append(Found(kind, record_id, title, Part(kind, at if over else None), (), holds))
    return found


def _of_hand_overs(session: Session, kind: RecordKind, ids: list[int], reached: Reach) -> list[Found]:
    """A hand-over quotes the cases that were passed on."""
    return [
        Found(
            kind,
            row.id,
            f"#{row.id}",
            Part(kind, row.at),
            (),
            reached.of(HoldSubject.CASE, [each["case_id"] for each in row.items]),
        )
        for row in session.scalars(select(HandOver).where(HandOver.id.in_(ids)))
    ]


def _of_events(session: Session, kind: RecordKind, ids: list[int], reached: Reach) -> list[Found]:
    """An event goes on while a message is planned from it; it is kept with the calls that were made about it."""
    linked: defaultdict[int, list[Part]] = defaultdict(list)
    for callback in session.scalars(select(Callback).where(Callback.event_id.in_(ids))):
        over = callback.closed_at if callback.state in CALLED else None
        linked[callback.event_id or 0].append(Part(RecordKind.FOLLOW_UP, over))
    planned = select(PlannedMessage.event_id).where(
        PlannedMessage.event_id.in_(ids), PlannedMessage.state == PlannedState.SCHEDULED
    )
    owed = set(session.scalars(planned))
    return [
        Found(
            kind,
            row.id,
            f"{row.kind} #{row.id}",
            Part(kind, row.recorded_at if row.id not in owed else None),
            tuple(linked[row.id]),
            reached.of(HoldSubject.CONTACT, [row.contact_id]),
        )
        for row in session.scalars(select(Event).where(Event.id.in_(ids)))
    ]


def _of_alerts(session: Session, kind: RecordKind, ids: list[int], reached: Reach) -> list[Found]:
    """An alert of an escalation is kept with the case or the incident that was escalated."""
    rows = session.execute(
        select(Delivery, Escalation, Case, Incident)
        .outerjoin(Escalation, Escalation.id == Delivery.escalation_id)
        .outerjoin(Case, Case.id == Escalation.case_id)
        .outerjoin(Incident, Incident.id == Escalation.incident_id)
        .where(Delivery.id.in_(ids))
    )
    found = []
    for row, escalation, case, incident in rows:
        linked = [case_part(case)] if case is not None else []
        linked += [incident_part(incident)] if incident is not None else []
        holds = frozenset[int]()
        if escalation is not None:
            for subject, of in (
                (HoldSubject.CONVERSATION, escalation.conversation_id),
                (HoldSubject.CASE, escalation.case_id),
                (HoldSubject.INCIDENT, escalation.incident_id),
            ):
                holds |= reached.of(subject, [of] if of is not None else [])
        over = row.created_at if row.state not in ON_ITS_WAY else None
        found.append(Found(kind, row.id, f"#{row.id}", Part(kind, over), tuple(linked), holds))
    return found


LOOK: Mapping[RecordKind, Look] = {
    RecordKind.ALERT: _of_alerts,
    RecordKind.HAND_OVER: _of_hand_overs,
    RecordKind.EVENT: _of_events,
    **dict.fromkeys(PLAIN, _of_plain),
}
