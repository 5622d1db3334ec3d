"""An incident's life, from confirmation to close (REQ-F06, F07, F08, F30, F33, F49).

How it is noticed is detection.py's. Its plan runs in incident_steps.py, its record is incident_record.py; what
customers are told goes through announcements.py. A person of the front line only reports; who may do what is REQ-A22's
table. Closing needs the all-clear, sent or waived with a reason, and a record with nothing missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.grades import PlanName
from bot.core.incident_plan import CLEARED, CONFIRMED, RECOVERED, Gap
from bot.core.policy import Bilingual
from bot.core.words import (
    BroadcastKind,
    BroadcastState,
    IncidentSource,
    IncidentState,
    Role,
)
from bot.services import audit
from bot.services.centre import Centre
from bot.services.escalation import alerts, ladders, roster
from bot.services.i18n import N_
from bot.services.incidents import incident_record, incident_steps, recovery
from bot.services.incidents.incident_file import IncidentRefusedError, allow, lock, lock_open, note, revise, roles_of
from bot.services.incidents.incident_types import catalogue
from bot.services.permissions import Function, Grant, may
from store.db import touch
from store.tables import Broadcast, Incident, Staff

NEXT: Mapping[IncidentState, frozenset[IncidentState]] = {
    IncidentState.SUSPECTED: frozenset({IncidentState.CONFIRMED}),
    IncidentState.CONFIRMED: frozenset({IncidentState.CONTAINED, IncidentState.RECOVERED}),
    IncidentState.CONTAINED: frozenset({IncidentState.RECOVERED}),
    IncidentState.RECOVERED: frozenset({IncidentState.ALL_CLEAR}),
    IncidentState.ALL_CLEAR: frozenset({IncidentState.REVIEWED}),
    IncidentState.REVIEWED: frozenset(),
    IncidentState.CLOSED: frozenset(),
}
"""Where people move an incident (REQ-F06); `close` and `dismiss` alone lead to the end."""

LAUNCHED = (BroadcastState.RUNNING, BroadcastState.STOPPED, BroadcastState.FINISHED)
PLANS: Mapping[str, Function] = {
    PlanName.GENERAL: Function.START_GENERAL_PLAN,
    PlanName.MAJOR: Function.START_MAJOR_PLAN,
}
NOTES = ("action", "course", "cause", "measure", "told", "note")
PROPOSED: Mapping[str, str] = {
    PlanName.GENERAL: N_("组长提议为事件“%(what)s”启动一般预案"),
    PlanName.MAJOR: N_("组长提议为事件“%(what)s”启动重大预案"),
}
REVIEW = Bilingual(
    "写复盘：原因、经过、处置，落实改进措施", "Write the review: cause, course and handling; settle improvements"
)


# ── what people do ──


def confirm(
    session: Session, centre: Centre, incident_id: int, *, staff_id: int, now: datetime, plan: str | None = None
) -> Incident:
    """It is real. `plan` (general or major) is started by those who may; a leader only proposes it (REQ-A22)."""
    allow(session, staff_id, Function.OPEN_INCIDENT, Grant.YES)
    if plan is not None:
        allow(session, staff_id, PLANS[plan], Grant.YES)
    incident = _move(session, incident_id, IncidentState.CONFIRMED, staff_id, now, "")
    incident_steps.happens(session, incident, CONFIRMED, now)
    if plan is not None:
        start(session, centre, incident, PlanName(plan), staff_id, now)
    return incident


def start_plan(
    session: Session, centre: Centre, incident_id: int, plan: str, *, staff_id: int, now: datetime
) -> Incident:
    """Starts the general plan, or the major one in its place; who may only propose it has the supervisors told."""
    wanted = PlanName(plan)
    roles = roles_of(session, staff_id)
    allow(session, staff_id, PLANS[wanted])
    incident = lock_open(session, incident_id)
    if not may(roles, PLANS[wanted], Grant.YES):
        propose(session, incident, wanted, staff_id, now)
        _ask_supervisors(session, incident, wanted, now)
        return incident
    if incident.state is IncidentState.SUSPECTED:
        raise IncidentRefusedError("not_confirmed")
    start(session, centre, incident, wanted, staff_id, now)
    return incident


def propose(session: Session, incident: Incident, plan: PlanName | None, staff_id: int | None, now: datetime) -> None:
    """A plan nobody has started yet is put forward, once."""
    order = ("", PlanName.GENERAL, PlanName.MAJOR)
    if order.index(plan or "") > max(order.index(incident.plan or ""), order.index(incident.proposed_plan or "")):
        incident.proposed_plan = plan
        note(session, incident, "plan_proposed", plan or "", staff_id, now)


def _ask_supervisors(session: Session, incident: Incident, plan: PlanName, now: datetime) -> None:
    people = list(session.scalars(select(Staff).where(Staff.active)))
    told = roster.on_duty(session, now).roles[Role.SUPERVISOR]
    alerts.tell(
        session,
        [person for person in people if person.id in told],
        PROPOSED[plan],
        cause=f"incident:{incident.id}:propose:{plan.value}",
        link=f"/console/incidents/{incident.id}",
        now=now,
        urgent=True,
        what=incident.title,
    )


def start(
    session: Session, centre: Centre, incident: Incident, plan: PlanName, staff_id: int | None, now: datetime
) -> None:
    """A plan runs from now on; it is started once, and a graver one takes its place (REQ-F08)."""
    if incident.plan in (plan, PlanName.MAJOR):  # it runs, or the graver one does
        return
    incident.plan = incident.proposed_plan = plan
    incident.revision += 1
    note(session, incident, "plan", plan, staff_id, now)
    audit.record(session, "incident.plan", "incident", incident.id, now=now, staff_id=staff_id, plan=plan.value)
    incident_steps.begin(session, incident, plan, catalogue(centre).plans[plan], now)


def contain(session: Session, incident_id: int, *, staff_id: int, text: str, now: datetime) -> Incident:
    """It no longer grows."""
    allow(session, staff_id, Function.OPEN_INCIDENT, Grant.YES)
    return _move(session, incident_id, IncidentState.CONTAINED, staff_id, now, text)


def recover(session: Session, centre: Centre, incident_id: int, *, staff_id: int, text: str, now: datetime) -> Incident:
    """Service is back: the fault's ladder ends, everybody of the staff who had been alerted is told, the review is set.
    Whoever was told outside is now owed an all-clear (REQ-F14, F30, F50)."""
    allow(session, staff_id, Function.OPEN_INCIDENT, Grant.YES)
    incident = _move(session, incident_id, IncidentState.RECOVERED, staff_id, now, text)
    incident.ended_at = now
    recovery.tell_alerted(session, incident, now)
    ladders.end(session, ladders.of_incident(incident.id), now)
    incident_steps.happens(session, incident, RECOVERED, now)
    due = now + catalogue(centre).review_within
    incident_steps.assign(session, incident, "review", REVIEW, None, due, now)
    return incident


def all_clear_sent(session: Session, incident: Incident, *, staff_id: int, now: datetime) -> None:
    """An all-clear went out; once every notice has one, the incident is clear."""
    note(session, incident, "all_clear_sent", "", staff_id, now)
    if not owed_an_all_clear(session, incident.id):
        _step(session, incident, IncidentState.ALL_CLEAR, staff_id, now, "")
        incident_steps.happens(session, incident, CLEARED, now)


def waive_all_clear(session: Session, incident_id: int, *, staff_id: int, why: str, now: datetime) -> Incident:
    """No all-clear is sent, for a reason that is kept (REQ-F30)."""
    allow(session, staff_id, Function.APPROVE_ANNOUNCEMENT, Grant.YES)
    if not why.strip():
        raise IncidentRefusedError("reason_missing")
    incident = _move(session, incident_id, IncidentState.ALL_CLEAR, staff_id, now, "")
    note(session, incident, "all_clear_waived", why.strip(), staff_id, now)
    incident_steps.happens(session, incident, CLEARED, now)
    return incident


def review(session: Session, incident_id: int, *, staff_id: int, text: str, now: datetime) -> Incident:
    """Cause, course and handling are analysed, gaps named (REQ-F50)."""
    allow(session, staff_id, Function.OPEN_INCIDENT, Grant.YES)
    if not text.strip():
        raise IncidentRefusedError("evaluation_missing")
    incident = _move(session, incident_id, IncidentState.REVIEWED, staff_id, now, text)
    for row in incident_record.open_actions(session, incident.id):
        if row.key == "review" and incident_record.is_open(row):
            incident_steps.done(session, row.id, staff_id=staff_id, result=text, now=now)
    return incident


def close(
    session: Session, centre: Centre, incident_id: int, *, staff_id: int, evaluation: str, now: datetime
) -> Incident:
    """Declares the end: all-clear sent or waived, a complete record, an evaluation, and who approved it when (REQ-F30,
    F45, F46, F49, F50)."""
    allow(session, staff_id, Function.APPROVE_ANNOUNCEMENT, Grant.YES)
    incident = lock(session, incident_id)
    if incident.state is IncidentState.CLOSED:
        raise IncidentRefusedError("incident_over")
    missing = incident_record.gaps_of(session, centre, incident)
    if missing:
        raise IncidentRefusedError("all_clear_missing" if Gap.ALL_CLEAR in missing else "record_incomplete")
    if not evaluation.strip():
        raise IncidentRefusedError("evaluation_missing")
    note(session, incident, "evaluation", evaluation.strip(), staff_id, now)
    _end(session, incident, staff_id, "", now)
    return incident


def dismiss(session: Session, incident_id: int, *, staff_id: int, why: str, now: datetime) -> Incident:
    """A false alarm, as long as nobody outside was told."""
    allow(session, staff_id, Function.OPEN_INCIDENT, Grant.YES)
    if not why.strip():
        raise IncidentRefusedError("reason_missing")
    incident = lock(session, incident_id)
    if incident.state is not IncidentState.SUSPECTED or told_of(session, incident.id):
        raise IncidentRefusedError("already_confirmed")
    incident.ended_at = now
    incident_steps.drop_all(session, incident, why.strip(), now)
    recovery.tell_alerted(session, incident, now)
    ladders.end(session, ladders.of_incident(incident.id), now)
    _end(session, incident, staff_id, why.strip(), now)
    return incident


def _end(session: Session, incident: Incident, staff_id: int, why: str, now: datetime) -> None:
    if incident.source in (IncidentSource.MONITOR, IncidentSource.CUSTOMERS):
        incident.dedupe_key = None  # the same may happen again; another system's key stays used
    _step(session, incident, IncidentState.CLOSED, staff_id, now, why)


def change_eta(
    session: Session, incident_id: int, eta: datetime | None, *, staff_id: int, zone: ZoneInfo, now: datetime
) -> Incident:
    """The estimate of recovery changes; what it was stays legible (REQ-A08, F31). None: nobody can say."""
    allow(session, staff_id, Function.CHANGE_ETA)
    incident = lock_open(session, incident_id)
    old = incident.eta_at
    incident.eta_at = eta
    revise(session, incident, "eta_at", old and old.isoformat(), eta and eta.isoformat(), staff_id, "", now)
    note(session, incident, "eta", f"{eta.astimezone(zone):%Y-%m-%d %H:%M}" if eta else "", staff_id, now)
    return incident


def agree_wording(
    session: Session, incident_id: int, zh: str, en: str, *, staff_id: int, why: str, now: datetime
) -> Incident:
    """The one text bot and agents use from now on; what it replaces stays legible (REQ-A13, F33)."""
    allow(session, staff_id, Function.APPROVE_ANNOUNCEMENT)
    if not zh.strip() or not en.strip():
        raise IncidentRefusedError("text_missing")
    incident = lock(session, incident_id)
    set_wording(session, incident, zh.strip(), en.strip(), staff_id=staff_id, why=why, now=now)
    note(session, incident, "wording", zh.strip(), staff_id, now)
    return incident


def set_wording(
    session: Session, incident: Incident, zh: str, en: str, *, staff_id: int, why: str, now: datetime
) -> None:
    """`agree_wording` for a text that was approved already."""
    for field, new in (("wording_zh", zh), ("wording_en", en)):
        old = getattr(incident, field)
        if old != new:
            setattr(incident, field, new)
            revise(session, incident, field, old, new, staff_id, why, now)


def add_note(session: Session, incident_id: int, kind: str, text: str, *, staff_id: int, now: datetime) -> None:
    """An entry of the timeline by hand: what was done, the cause, the measures, who was told (REQ-F06)."""
    allow(session, staff_id, Function.OPEN_INCIDENT)
    if kind not in NOTES or not text.strip():
        raise IncidentRefusedError("text_missing")
    note(session, lock(session, incident_id), kind, text.strip()[:4000], staff_id, now)


# ── what is known ──


def told_of(session: Session, incident_id: int) -> list[Broadcast]:
    """The notices that went to people, drills included."""
    return list(
        session.scalars(
            select(Broadcast)
            .where(
                Broadcast.incident_id == incident_id,
                Broadcast.kind == BroadcastKind.NOTICE,
                (Broadcast.cursor > 0) | Broadcast.state.in_(LAUNCHED),
            )
            .order_by(Broadcast.id)
        )
    )


def owed_an_all_clear(session: Session, incident_id: int) -> list[Broadcast]:
    """The notices whose people have not been told that it is over."""
    cleared = set(
        session.scalars(
            select(Broadcast.follows_id).where(
                Broadcast.incident_id == incident_id,
                Broadcast.kind == BroadcastKind.ALL_CLEAR,
                Broadcast.state.in_(LAUNCHED),
            )
        )
    )
    return [notice for notice in told_of(session, incident_id) if notice.id not in cleared]


# ── shared ──


def _move(session: Session, incident_id: int, to: IncidentState, staff_id: int, now: datetime, why: str) -> Incident:
    incident = lock(session, incident_id)
    if to not in NEXT[incident.state]:
        raise IncidentRefusedError("wrong_state")
    _step(session, incident, to, staff_id, now, why)
    return incident


def _step(session: Session, incident: Incident, to: IncidentState, staff_id: int, now: datetime, why: str) -> None:
    incident.state = to
    incident.revision += 1
    note(session, incident, to.value, why.strip()[:4000], staff_id, now)
    audit.record(session, f"incident.{to.value}", "incident", incident.id, now=now, staff_id=staff_id)
    touch(session, "floor")
