"""What an incident's record must hold before it is closed: the grade a person confirmed, the report to the authorities,
the hall's seven parts, the review with its corrective actions (REQ-F35..F38, F45, F46, F49..F51).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.core import incident_plan
from bot.core.grades import (
    SCALES,
    Grading,
    HeatingFacts,
    PropertyFacts,
    Reach,
    Suggestion,
    heating_grade,
    property_grade,
)
from bot.core.incident_plan import Gap, Record
from bot.core.policy import Bilingual
from bot.core.words import IncidentState, Role, StepState
from bot.services import audit
from bot.services.centre import Centre
from bot.services.i18n import N_
from bot.services.incidents import incident_steps
from bot.services.incidents.incident_file import IncidentRefusedError, allow, lock, note, revise, roles_of
from bot.services.incidents.incident_types import catalogue
from bot.services.permissions import Function, Grant
from store.tables import Incident, IncidentEntry, IncidentStep, IncidentTold, Staff

GRADING = "grading"
FORMS: Mapping[str, Mapping[str, str]] = {
    "authorities": {  # REQ-F45
        "profile": N_("单位概况"),
        "scene": N_("时间、地点和现场情况"),
        "course": N_("简要经过"),
        "casualties": N_("伤亡人数（含失踪）"),
        "loss": N_("初步估计的直接损失"),
        "taken": N_("已采取的措施"),
    },
    "hall": {  # REQ-F46
        "hall": N_("营业厅名称和地点"),
        "time": N_("发生时间"),
        "kind": N_("事件类型"),
        "damage": N_("影响和损失（资金、凭证、人员、范围）"),
        "control": N_("已采取的措施和控制程度"),
        "trend": N_("发展趋势、可能的损失和下一步措施"),
        "other": N_("其他需要报告的事项"),
    },
    "profile": {  # REQ-F06, F53, F55
        "affected": N_("受影响的客户（户或人）"),
        "cost": N_("人工、材料和设备费用"),
        "participants": N_("参加演练的人"),
    },
}
"""The parts people fill in, by form and field."""

NUMBERS = ("load_drop", "affected", "shortage_lasts", "obstacle", "slightly_injured", "seriously_injured", "dead")
FLAGS = ("boiler_stopped", "main_threatened", "shortage", "shortage_stops", "hazard", "hurt")


# ── the grade ──


def facts_of(grading: Grading, given: Mapping[str, str]) -> HeatingFacts | PropertyFacts:
    """What a form says, as the calculator takes it; an empty field is not known. Heating counts minutes, a property
    hours. Raises IncidentRefusedError("number_bad")."""
    if grading is Grading.PROPERTY:
        return PropertyFacts(
            loss=_amount(given.get("loss")),
            slightly_injured=_whole(given.get("slightly_injured")),
            seriously_injured=_whole(given.get("seriously_injured")),
            dead=_whole(given.get("dead")),
            outage=_span(given.get("outage"), hours=1),
        )
    drop = _amount(given.get("load_drop"))
    return HeatingFacts(
        load_drop=float(drop) if drop is not None else None,
        affected=_span(given.get("affected"), hours=0),
        shortage_lasts=_span(given.get("shortage_lasts"), hours=0),
        obstacle=_whole(given.get("obstacle")),
        beyond=Reach(given.get("beyond") or Reach.NOBODY),
        **{flag: bool(given.get(flag)) for flag in FLAGS},
    )


def _amount(written: str | None) -> Decimal | None:
    if written is None or not written.strip():
        return None
    try:
        amount = Decimal(written.strip().replace(",", "").replace("，", ""))
    except InvalidOperation:
        raise IncidentRefusedError("number_bad") from None
    if not amount.is_finite() or not 0 <= amount < 10**12:
        raise IncidentRefusedError("number_bad")
    return amount


def _whole(written: str | None) -> int | None:
    amount = _amount(written)
    if amount is not None and amount != int(amount):
        raise IncidentRefusedError("number_bad")
    return None if amount is None else int(amount)


def _span(written: str | None, *, hours: int) -> timedelta | None:
    amount = _amount(written)
    if amount is None:
        return None
    return timedelta(hours=float(amount)) if hours else timedelta(minutes=float(min(amount, Decimal(10**6))))


def suggested(grading: Grading, given: Mapping[str, str]) -> Suggestion:
    """What the figures say."""
    facts = facts_of(grading, given)
    return heating_grade(facts) if isinstance(facts, HeatingFacts) else property_grade(facts)


def suggestion_of(centre: Centre, incident: Incident) -> Suggestion | None:
    """What the facts on file say; None: nothing was entered, or its type is not graded."""
    about = catalogue(centre).types.get(incident.code)
    if about is None or about.grading is None or GRADING not in incident.facts:
        return None
    return suggested(about.grading, incident.facts[GRADING])


def enter_facts(
    session: Session, centre: Centre, incident_id: int, given: Mapping[str, str], *, staff_id: int, now: datetime
) -> Suggestion:
    """Keeps the figures and says what grade they make; confirming it is `confirm_grade`."""
    allow(session, staff_id, Function.OPEN_INCIDENT, Grant.YES)
    incident = lock(session, incident_id)
    grading = _grading(centre, incident)
    found = suggested(grading, given)
    kept = {name: value.strip() for name, value in given.items() if value.strip()}
    _keep(session, incident, GRADING, kept, staff_id, "", now)
    return found


def confirm_grade(
    session: Session, centre: Centre, incident_id: int, grade: str, *, staff_id: int, why: str, now: datetime
) -> Incident:
    """A person confirms the grade; a manager where the figures leave it open or another one is chosen (REQ-F35, X9).
    What it was before stays legible; the grade's own steps begin (REQ-F38)."""
    allow(session, staff_id, Function.OPEN_INCIDENT, Grant.YES)
    incident = lock(session, incident_id)
    grading = _grading(centre, incident)
    if grade not in SCALES[grading]:
        raise IncidentRefusedError("grade_unknown")
    found = suggestion_of(centre, incident)
    clear = found is not None and found.grade == grade and not found.open
    if not clear and Role.MANAGER not in roles_of(session, staff_id):
        raise IncidentRefusedError("manager_wanted")
    if not clear and not why.strip():
        raise IncidentRefusedError("reason_missing")
    if incident.grade == grade:
        return incident
    revise(session, incident, "grade", incident.grade, grade, staff_id, why, now)
    incident.grade = grade
    note(session, incident, "grade", grade, staff_id, now)
    audit.record(session, "incident.grade", "incident", incident.id, now=now, staff_id=staff_id, grade=grade)
    plan = f"grade_{grade}"
    if plan in catalogue(centre).plans and incident.state not in (IncidentState.CLOSED, IncidentState.REVIEWED):
        incident_steps.begin(session, incident, plan, catalogue(centre).plans[plan], now)
    return incident


def _grading(centre: Centre, incident: Incident) -> Grading:
    about = catalogue(centre).types.get(incident.code)
    if about is None or about.grading is None:
        raise IncidentRefusedError("not_graded")
    return about.grading


# ── the forms ──


def fill(
    session: Session, incident_id: int, form: str, given: Mapping[str, str], *, staff_id: int, now: datetime
) -> Incident:
    """Fills in the parts of a form; what a part said before stays legible (REQ-G02)."""
    allow(session, staff_id, Function.OPEN_INCIDENT, Grant.YES)
    incident = lock(session, incident_id)
    if incident.state is IncidentState.CLOSED:
        raise IncidentRefusedError("incident_over")
    if form not in FORMS:
        raise IncidentRefusedError("not_found")
    kept = {field: given[field].strip()[:4000] for field in FORMS[form] if given.get(field, "").strip()}
    _keep(session, incident, form, kept, staff_id, "", now)
    return incident


def _keep(
    session: Session, incident: Incident, form: str, kept: Mapping[str, Any], staff_id: int, why: str, now: datetime
) -> None:
    old = incident.facts.get(form)
    if old != kept:
        revise(session, incident, form, old, dict(kept), staff_id, why, now)
        incident.facts = {**incident.facts, form: dict(kept)}
        note(session, incident, "form", form, staff_id, now)


def complete(incident: Incident, form: str) -> bool:
    """Whether every part of a form is filled in."""
    return set(FORMS[form]) <= set(incident.facts.get(form, ()))


# ── may it be closed ──


@dataclass(frozen=True, slots=True)
class Owed:
    """Which reports an incident's type asks for."""

    authorities: bool
    hall: bool
    graded: bool


def owed(centre: Centre, incident: Incident) -> Owed:
    about = catalogue(centre).types.get(incident.code)
    if about is None:
        return Owed(False, False, False)
    return Owed(about.authorities, about.hall, about.grading is not None)


def gaps_of(session: Session, centre: Centre, incident: Incident) -> tuple[Gap, ...]:
    """Everything that stands against closing; empty: it may be closed."""
    kinds = session.scalars(select(IncidentEntry.kind).where(IncidentEntry.incident_id == incident.id).distinct())
    asks = owed(centre, incident)
    rows = [row for row in incident_steps.steps_of(session, incident.id) if row.plan != incident_steps.AFTERWARDS]
    named = bool(incident.facts.get("profile", {}).get("participants"))
    return incident_plan.gaps(
        Record(
            state=incident.state,
            steps=[incident_steps.standing(row) for row in rows],
            kinds=frozenset(kinds),
            graded=asks.graded,
            grade=bool(incident.grade),
            owes_authorities=asks.authorities,
            owes_hall_form=asks.hall,
            hall_form=complete(incident, "hall"),
            drill=incident.drill,
            participants=len(participants(session, incident.id)) + named,
        )
    )


def participants(session: Session, incident_id: int) -> list[str]:
    """Everybody of the staff who took part: did a step, was told and said so, or wrote to the record (REQ-F55)."""
    did = select(IncidentStep.done_by).where(IncidentStep.incident_id == incident_id)
    heard = select(IncidentTold.staff_id).where(
        IncidentTold.incident_id == incident_id, IncidentTold.acknowledged_at.is_not(None)
    )
    wrote = select(IncidentEntry.staff_id).where(IncidentEntry.incident_id == incident_id)
    return list(session.scalars(select(Staff.name).where(Staff.id.in_(did.union(heard, wrote))).order_by(Staff.id)))


# ── afterwards ──


def add_action(
    session: Session,
    incident_id: int,
    what: str,
    owner_id: int,
    due_at: datetime,
    *,
    staff_id: int,
    now: datetime,
) -> IncidentStep:
    """A corrective action with its owner and day; it is reminded of until it is done, also after the end (REQ-F50)."""
    allow(session, staff_id, Function.OPEN_INCIDENT, Grant.YES)
    incident = lock(session, incident_id)
    owner = session.get(Staff, owner_id)
    if owner is None or not owner.active:
        raise IncidentRefusedError("owner_unknown")
    if not what.strip():
        raise IncidentRefusedError("text_empty")
    if due_at <= now:
        raise IncidentRefusedError("time_past")
    number = session.scalar(
        select(func.count())
        .select_from(IncidentStep)
        .where(IncidentStep.incident_id == incident.id, IncidentStep.plan == incident_steps.AFTERWARDS)
    )
    words = Bilingual(what.strip()[:1000], what.strip()[:1000])  # in the words of whoever wrote it
    row = incident_steps.assign(session, incident, f"action-{number}", words, owner_id, due_at, now)
    note(session, incident, "measure", what.strip()[:1000], staff_id, now)
    return row


def open_actions(session: Session, incident_id: int) -> list[IncidentStep]:
    """Corrective actions and the review, done or not."""
    rows = incident_steps.steps_of(session, incident_id)
    return [row for row in rows if row.plan == incident_steps.AFTERWARDS]


def is_open(row: IncidentStep) -> bool:
    return row.state in (StepState.WAITING, StepState.OPEN)
