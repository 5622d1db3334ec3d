"""Incidents: reported, confirmed, contained, recovered, reviewed and closed, with their timeline and the one agreed
wording (REQ-F06, F30, F31, F33, F49). What customers are told about one goes through announcements.py.

A person of the front line only reports; who may do what is REQ-A22's table. Closing needs the all-clear, sent or waived
with a reason, and an evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from bot.core.words import BroadcastKind, BroadcastState, EscalationState, IncidentState, Language, Urgency
from bot.services import audit, broadcasts, contacts, handoff, i18n, merging
from bot.services.centre import Centre
from bot.services.i18n import N_, when
from bot.services.permissions import Function, Grant, may
from bot.services.scene import Perform, Scene
from store.db import touch
from store.tables import Broadcast, Escalation, Incident, IncidentEntry, NotifyMe, Staff

OPEN = (IncidentState.SUSPECTED, IncidentState.CONFIRMED, IncidentState.CONTAINED, IncidentState.RECOVERED)
KNOWN = (IncidentState.CONFIRMED, IncidentState.CONTAINED)  # what customers are told about: truth first (REQ-F48)
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
PLANS: Mapping[str, Function] = {"general": Function.START_GENERAL_PLAN, "major": Function.START_MAJOR_PLAN}
NOTES = ("action", "cause", "measure", "cost", "told", "note")
SYSTEM_FAULT = "system_fault"
SYSTEM_FAULTS = frozenset({"INC-01", "INC-02", "INC-03", "INC-04", "INC-11", "INC-17", "INC-22"})
UNDER_WAY = N_("%(title)s，我们正在处理。")


class IncidentRefusedError(Exception):
    """What was asked of an incident is not possible now; `code` names why, for the reader's language."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


# ── what flows ask ──


def known_at(session: Session, building: str | None) -> Incident | None:
    """The confirmed incident that touches a building (or everybody), the latest first; drills touch nobody (D36)."""
    rows = session.scalars(
        select(Incident)
        .where(Incident.state.in_(KNOWN), Incident.drill.is_(False))
        .order_by(Incident.started_at.desc(), Incident.id.desc())
    )
    return next((row for row in rows if not row.buildings or building in row.buildings), None)


def find_incident(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is known about an outage at the customer's unit: the agreed wording, the time people hope for, the cause."""
    incident = known_at(scene.session, _building(scene, args))
    if incident is None:
        return {"incident_open": False, "incident_text": None, "incident_eta": None, "incident_cause": None}
    zone = ZoneInfo(scene.held.zone or scene.centre.settings.timezone)
    language = scene.held.language
    later = incident.eta_at is not None and incident.eta_at > scene.now
    return {
        "incident_open": True,
        "incident_text": wording_of(incident, language),
        "incident_eta": when(language, incident.eta_at, zone) if later and incident.eta_at else None,
        "incident_cause": latest(scene.session, incident.id, "cause"),
    }


def notify_when_over(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """The customer wants to be told when it is over: the all-clear includes them (REQ-C29, REQ-F25)."""
    session, held = scene.session, scene.held
    incident = known_at(session, _building(scene, args))
    if args.get("phone"):
        merging.give_phone(session, held, str(args["phone"]), scene.now)
    if incident is not None:
        insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
        session.execute(
            insert(NotifyMe)
            .values(incident_id=incident.id, contact_id=held.contact_id, at=scene.now)
            .on_conflict_do_nothing()
        )
    return {}


def acknowledge(scene: Scene, _args: Mapping[str, Any]) -> Mapping[str, Any]:
    """The customer answered an announcement: the rest of it is cancelled on every channel."""
    broadcasts.acknowledge(
        scene.session,
        scene.held.contact_id,
        scene.held.channel,
        str(scene.slots.get("broadcast_answer") or ""),
        scene.now,
        broadcast_id=scene.held.broadcast_id,
    )
    return {}


ACTIONS: Mapping[str, Perform] = {
    "action_find_incident": find_incident,
    "action_notify_when_over": notify_when_over,
    "action_acknowledge": acknowledge,
}


def _building(scene: Scene, args: Mapping[str, Any]) -> str | None:
    unit = args.get("unit") or scene.held.unit
    return contacts.building_of(str(unit)) if unit else None


def wording_of(incident: Incident, language: Language) -> str:
    """What everybody says about it: the agreed wording, until then its title (REQ-F33)."""
    agreed = incident.wording_zh if language is Language.ZH else incident.wording_en
    return agreed or i18n.text(language, UNDER_WAY, title=incident.title)


def latest(session: Session, incident_id: int, kind: str) -> str | None:
    """The latest timeline entry of a kind."""
    return session.scalar(
        select(IncidentEntry.text)
        .where(IncidentEntry.incident_id == incident_id, IncidentEntry.kind == kind)
        .order_by(IncidentEntry.id.desc())
        .limit(1)
    )


# ── what people do ──


def report(
    session: Session,
    centre: Centre,
    *,
    code: str,
    title: str,
    buildings: Sequence[str],
    staff_id: int,
    now: datetime,
    started_at: datetime | None = None,
    source: str = "",
    drill: bool = False,
) -> Incident:
    """Somebody noticed something: suspected until a person confirms it; the fault's ladder starts (REQ-F11)."""
    _allow(session, staff_id, Function.OPEN_INCIDENT)
    if not title.strip():
        raise IncidentRefusedError("title_empty")
    incident = Incident(
        code=code,
        title=title.strip()[:160],
        buildings=sorted({name.strip() for name in buildings if name.strip()}),
        drill=drill,
        owner_id=staff_id,
        started_at=started_at or now,
    )
    session.add(incident)
    session.flush()
    handoff.start(
        session,
        centre,
        reason=code,
        urgency=Urgency.URGENT,
        incident_id=incident.id,
        ladder=SYSTEM_FAULT if code in SYSTEM_FAULTS else None,
        now=now,
    )
    note(session, incident, "reported", source.strip() or incident.title, staff_id, now)
    return incident


def confirm(
    session: Session, incident_id: int, *, staff_id: int, now: datetime, plan: str | None = None, grade: str = ""
) -> Incident:
    """It is real. `plan` (general or major) is started by those who may; `grade` is confirmed by a person (REQ-F35)."""
    _allow(session, staff_id, Function.OPEN_INCIDENT, Grant.YES)
    if plan is not None:
        _allow(session, staff_id, PLANS[plan], Grant.YES)
    incident = _move(session, incident_id, IncidentState.CONFIRMED, staff_id, now, "")
    incident.plan, incident.grade = plan or incident.plan, grade.strip()[:12] or incident.grade
    if plan:
        note(session, incident, "plan", plan, staff_id, now)
    if grade.strip():
        note(session, incident, "grade", grade.strip(), staff_id, now)
    return incident


def contain(session: Session, incident_id: int, *, staff_id: int, text: str, now: datetime) -> Incident:
    """It no longer grows."""
    _allow(session, staff_id, Function.OPEN_INCIDENT, Grant.YES)
    return _move(session, incident_id, IncidentState.CONTAINED, staff_id, now, text)


def recover(session: Session, incident_id: int, *, staff_id: int, text: str, now: datetime) -> Incident:
    """Service is back; the fault's ladder ends. Everybody who was told is now owed an all-clear (REQ-F14, F30)."""
    _allow(session, staff_id, Function.OPEN_INCIDENT, Grant.YES)
    incident = _move(session, incident_id, IncidentState.RECOVERED, staff_id, now, text)
    incident.ended_at = now
    _end_ladder(session, incident)
    return incident


def all_clear_sent(session: Session, incident: Incident, *, staff_id: int, now: datetime) -> None:
    """An all-clear went out; once every notice has one, the incident is clear."""
    note(session, incident, "all_clear", "", staff_id, now)
    if not owed_an_all_clear(session, incident.id):
        _step(session, incident, IncidentState.ALL_CLEAR, staff_id, now, "")


def waive_all_clear(session: Session, incident_id: int, *, staff_id: int, why: str, now: datetime) -> Incident:
    """No all-clear is sent, for a reason that is kept (REQ-F30)."""
    _allow(session, staff_id, Function.APPROVE_ANNOUNCEMENT, Grant.YES)
    if not why.strip():
        raise IncidentRefusedError("reason_missing")
    incident = _move(session, incident_id, IncidentState.ALL_CLEAR, staff_id, now, "")
    note(session, incident, "all_clear_waived", why.strip(), staff_id, now)
    return incident


def review(session: Session, incident_id: int, *, staff_id: int, text: str, now: datetime) -> Incident:
    """Cause, course and handling are analysed, gaps named (REQ-F50)."""
    _allow(session, staff_id, Function.OPEN_INCIDENT, Grant.YES)
    if not text.strip():
        raise IncidentRefusedError("evaluation_missing")
    return _move(session, incident_id, IncidentState.REVIEWED, staff_id, now, text)


def close(session: Session, incident_id: int, *, staff_id: int, evaluation: str, now: datetime) -> Incident:
    """Declares the end: all-clear sent or waived, an evaluation, and who approved it when (REQ-F30, F49)."""
    _allow(session, staff_id, Function.APPROVE_ANNOUNCEMENT, Grant.YES)
    incident = _lock(session, incident_id)
    if incident.state not in (IncidentState.ALL_CLEAR, IncidentState.REVIEWED):
        raise IncidentRefusedError("all_clear_missing")
    if not evaluation.strip():
        raise IncidentRefusedError("evaluation_missing")
    note(session, incident, "evaluation", evaluation.strip(), staff_id, now)
    _step(session, incident, IncidentState.CLOSED, staff_id, now, "")
    return incident


def dismiss(session: Session, incident_id: int, *, staff_id: int, why: str, now: datetime) -> Incident:
    """A false alarm, as long as nobody outside was told."""
    _allow(session, staff_id, Function.OPEN_INCIDENT, Grant.YES)
    if not why.strip():
        raise IncidentRefusedError("reason_missing")
    incident = _lock(session, incident_id)
    if incident.state is not IncidentState.SUSPECTED or told_of(session, incident.id):
        raise IncidentRefusedError("already_confirmed")
    incident.ended_at = now
    _end_ladder(session, incident)
    _step(session, incident, IncidentState.CLOSED, staff_id, now, why.strip())
    return incident


def change_eta(
    session: Session, incident_id: int, eta: datetime | None, *, staff_id: int, zone: ZoneInfo, now: datetime
) -> Incident:
    """The estimate of recovery changes; what it was stays legible (REQ-A08, F31). None: nobody can say."""
    _allow(session, staff_id, Function.CHANGE_ETA)
    incident = _lock(session, incident_id)
    if incident.state not in OPEN:
        raise IncidentRefusedError("incident_over")
    old = incident.eta_at
    incident.eta_at = eta
    _revise(session, incident, "eta_at", old and old.isoformat(), eta and eta.isoformat(), staff_id, "", now)
    note(session, incident, "eta", f"{eta.astimezone(zone):%Y-%m-%d %H:%M}" if eta else "", staff_id, now)
    return incident


def agree_wording(
    session: Session, incident_id: int, zh: str, en: str, *, staff_id: int, why: str, now: datetime
) -> Incident:
    """The one text bot and agents use from now on; what it replaces stays legible (REQ-A13, F33)."""
    _allow(session, staff_id, Function.APPROVE_ANNOUNCEMENT)
    if not zh.strip() or not en.strip():
        raise IncidentRefusedError("text_missing")
    incident = _lock(session, incident_id)
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
            _revise(session, incident, field, old, new, staff_id, why, now)


def add_note(session: Session, incident_id: int, kind: str, text: str, *, staff_id: int, now: datetime) -> None:
    """An entry of the timeline by hand: what was done, the cause, the measures, the cost, who was told (REQ-F06)."""
    _allow(session, staff_id, Function.OPEN_INCIDENT)
    if kind not in NOTES or not text.strip():
        raise IncidentRefusedError("text_missing")
    note(session, _lock(session, incident_id), kind, text.strip()[:4000], staff_id, now)


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


def note(session: Session, incident: Incident, kind: str, text: str, staff_id: int | None, now: datetime) -> None:
    """Adds to the timeline and wakes the board."""
    session.add(IncidentEntry(incident_id=incident.id, staff_id=staff_id, kind=kind, text=text, at=now))
    touch(session, f"incident:{incident.id}", "incidents")


def _allow(session: Session, staff_id: int, function: Function, *wanted: Grant) -> None:
    person = session.get(Staff, staff_id)
    if person is None or not person.active or not may({each.role for each in person.roles}, function, *wanted):
        raise IncidentRefusedError("not_allowed")


def _lock(session: Session, incident_id: int) -> Incident:
    incident = session.get(Incident, incident_id, with_for_update=True, populate_existing=True)
    if incident is None:
        raise IncidentRefusedError("not_found")
    return incident


def _move(session: Session, incident_id: int, to: IncidentState, staff_id: int, now: datetime, why: str) -> Incident:
    incident = _lock(session, incident_id)
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


def _end_ladder(session: Session, incident: Incident) -> None:
    session.execute(
        update(Escalation)
        .where(Escalation.incident_id == incident.id, Escalation.state == EscalationState.RUNNING)
        .values(state=EscalationState.CLOSED, due_at=None)
    )


def _revise(
    session: Session, incident: Incident, field: str, old: Any, new: Any, staff_id: int, why: str, now: datetime
) -> None:
    incident.revision += 1
    audit.revise(session, "incident", incident.id, field, old, new, now=now, staff_id=staff_id, why=why)
