"""A plan under way: steps open as what they follow happens, their people are asked, reminded and, when a step lapses,
those above them; people told acknowledge one by one (REQ-F07..F19, F43, F59, F60).

The rows are the truth: `remind_at` says when a step is looked at next, so a restart loses no timer and repeats none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from bot.core import incident_plan
from bot.core.incident_plan import CLEARED, CONFIRMED, RECOVERED, REPORTED, Standing, Step
from bot.core.ladder import Exhausted, Notify, Roster, Subject, Wait, next_rung
from bot.core.policy import Bilingual, Way
from bot.core.words import IncidentState, Language, Role, StepKind, StepState
from bot.services import audit
from bot.services.announcements.announcement_lines import DRILL
from bot.services.centre import Centre
from bot.services.escalation import alerts, roster
from bot.services.i18n import N_, text, when
from bot.services.incidents.incident_file import IncidentRefusedError, lock, roles_of
from bot.services.incidents.incident_types import catalogue
from bot.services.permissions import Function, Grant, may
from store.db import touch
from store.tables import Incident, IncidentStep, IncidentTold, Staff

OWN, AFTERWARDS = "own", "after"  # the type's own plan; what is left to do once it is over
PAGE = 50
NEEDS_WORDS = frozenset({StepKind.DECIDE, StepKind.REPORT})  # a decision, and the evidence that a report was sent
TO_DO, LAPSED, TOLD, BY_TIME = "do", "late", "told", "time"
MESSAGES: Mapping[str, str] = {
    TO_DO: N_("事件“%(what)s”请您办：%(steps)s"),
    LAPSED: N_("已超时！事件“%(what)s”：%(steps)s"),
    TOLD: N_("事件“%(what)s”：%(steps)s。请打开事件点“收到”。"),
    BY_TIME: N_("事件“%(what)s”：%(steps)s"),
}
UNTIL = N_("%(step)s（%(due)s前）")
JOINT = {Language.ZH: "；", Language.EN: "; "}

Asks = dict[tuple[int, str], list[IncidentStep]]
"""What is put to whom in one beat: by member of staff and kind of message."""


# ── making ──


def begin(session: Session, incident: Incident, plan: str, steps: Iterable[Step], now: datetime) -> None:
    """Freezes a plan's steps on the incident; a plan that runs already is left as it is. Its clock begins now."""
    known = session.scalar(
        select(IncidentStep.id).where(IncidentStep.incident_id == incident.id, IncidentStep.plan == plan).limit(1)
    )
    if known is not None:
        return
    rows = [
        IncidentStep(
            incident_id=incident.id,
            plan=plan,
            key=step.id,
            kind=step.kind,
            text_zh=step.do.zh,
            text_en=step.do.en,
            refs=list(step.refs),
            roles=[role.value for role in step.who],
            tell=[role.value for role in step.tell],
            within=int(step.within.total_seconds()) if step.within is not None else None,
            after=step.after,
        )
        for step in steps
    ]
    session.add_all(rows)
    session.flush()
    for row in rows:
        if row.after == REPORTED or row.after in _happened(incident):
            _open(row, now)
    touch(session, f"incident:{incident.id}", "incidents")


def _happened(incident: Incident) -> frozenset[str]:
    """The events that lie behind an incident, by its state."""
    order = (CONFIRMED, RECOVERED, CLEARED)
    reached = {
        IncidentState.SUSPECTED: 0,
        IncidentState.CONFIRMED: 1,
        IncidentState.CONTAINED: 1,
        IncidentState.RECOVERED: 2,
    }.get(incident.state, 3)
    return frozenset(order[:reached])


def assign(
    session: Session,
    incident: Incident,
    key: str,
    what: Bilingual,
    owner_id: int | None,
    due_at: datetime,
    now: datetime,
) -> IncidentStep:
    """A task that is left once the incident is over: the review, or a corrective action with its owner (REQ-F50)."""
    row = IncidentStep(
        incident_id=incident.id,
        plan=AFTERWARDS,
        key=key,
        kind=StepKind.DO,
        text_zh=what.zh,
        text_en=what.en,
        refs=["REQ-F50"],
        roles=[Role.SUPERVISOR.value],
        staff_id=owner_id,
        within=max(0, int((due_at - now).total_seconds())),
        after=RECOVERED,
    )
    session.add(row)
    session.flush()
    _open(row, now)
    return row


def _open(row: IncidentStep, now: datetime) -> None:
    within = timedelta(seconds=row.within) if row.within is not None else None
    row.state, row.started_at = StepState.OPEN, now
    row.due_at = incident_plan.due(now, within)
    row.remind_at = row.due_at if row.kind is StepKind.TELL else incident_plan.asked(row.kind, now, within)[0]


# ── what happens ──


def happens(session: Session, incident: Incident, event: str, now: datetime) -> None:
    """Steps that waited for an event begin; recovery also makes moot what was only for while it lasted."""
    rows = steps_of(session, incident.id)
    ended = [row for row in rows if event == RECOVERED and incident_plan.moot(standing(row))]
    for row in ended:
        _end(row, StepState.DROPPED, event, None, now)
    for row in rows:
        if row.state is StepState.WAITING and row.after == event:
            _open(row, now)
    for row in ended:
        _follow(rows, row, now)
    session.flush()
    touch(session, f"incident:{incident.id}", "incidents")


def drop_all(session: Session, incident: Incident, why: str, now: datetime) -> None:
    """Nothing is left to do: it was a false alarm."""
    for row in steps_of(session, incident.id):
        if row.state in (StepState.WAITING, StepState.OPEN):
            _end(row, StepState.DROPPED, why, None, now)


def done(session: Session, step_id: int, *, staff_id: int, result: str, now: datetime) -> IncidentStep:
    """Somebody has done it; a decision or a report says what, to whom and when. What follows it begins."""
    row = _mine(session, step_id, staff_id)
    if row.kind in NEEDS_WORDS and not result.strip():
        raise IncidentRefusedError("result_missing")
    _finish(session, row, StepState.DONE, result, staff_id, now)
    return row


def drop(session: Session, step_id: int, *, staff_id: int, why: str, now: datetime) -> IncidentStep:
    """It does not apply here, for a reason that is kept."""
    row = _mine(session, step_id, staff_id)
    if not may(roles_of(session, staff_id), Function.OPEN_INCIDENT, Grant.YES):
        raise IncidentRefusedError("not_allowed")
    if not why.strip():
        raise IncidentRefusedError("reason_missing")
    _finish(session, row, StepState.DROPPED, why, staff_id, now)
    return row


def acknowledge(session: Session, step_id: int, *, staff_id: int, now: datetime) -> IncidentStep:
    """Somebody who was told says so; the last of them completes the step (REQ-F43)."""
    row = _held(session, step_id)
    told = session.scalar(
        select(IncidentTold).where(IncidentTold.step_id == step_id, IncidentTold.staff_id == staff_id)
    )
    if told is None:
        raise IncidentRefusedError("not_told")
    if told.acknowledged_at is None:
        told.acknowledged_at = now
        session.flush()
    waits = session.scalar(
        select(IncidentTold.id).where(IncidentTold.step_id == step_id, IncidentTold.acknowledged_at.is_(None)).limit(1)
    )
    if waits is None and row.kind is StepKind.RELAY and row.state is StepState.OPEN:
        _finish(session, row, StepState.DONE, "", staff_id, now)
    touch(session, f"incident:{row.incident_id}", "incidents")
    return row


def _mine(session: Session, step_id: int, staff_id: int) -> IncidentStep:
    """The open step, where it is this person's to do: theirs by role or by name, or they command."""
    row = _held(session, step_id)
    if row.state is not StepState.OPEN:
        raise IncidentRefusedError("step_over")
    roles = roles_of(session, staff_id)
    named = row.staff_id == staff_id or any(role.value in row.roles for role in roles)
    if not named and not may(roles, Function.OPEN_INCIDENT, Grant.YES):
        raise IncidentRefusedError("not_allowed")
    return row


def _held(session: Session, step_id: int) -> IncidentStep:
    """The step, its incident locked first, as everywhere."""
    incident_id = session.scalar(select(IncidentStep.incident_id).where(IncidentStep.id == step_id))
    if incident_id is None:
        raise IncidentRefusedError("not_found")
    lock(session, incident_id)
    return session.get_one(IncidentStep, step_id, with_for_update=True, populate_existing=True)


def _finish(
    session: Session, row: IncidentStep, state: StepState, result: str, staff_id: int | None, now: datetime
) -> None:
    _end(row, state, result.strip()[:2000], staff_id, now)
    _follow(steps_of(session, row.incident_id), row, now)
    session.flush()
    what = f"step.{state.value}"
    audit.record(session, what, "incident", row.incident_id, now=now, staff_id=staff_id, step=row.key, why=result)
    touch(session, f"incident:{row.incident_id}", "incidents")


def _end(row: IncidentStep, state: StepState, result: str, staff_id: int | None, now: datetime) -> None:
    row.state, row.result = state, result
    row.done_at, row.done_by, row.remind_at = now, staff_id, None


def _follow(rows: Sequence[IncidentStep], ended: IncidentStep, now: datetime) -> None:
    for row in rows:
        if row.state is StepState.WAITING and row.plan == ended.plan and row.after == ended.key:
            _open(row, now)


# ── asking and reminding ──


def tick(session: Session, centre: Centre, now: datetime) -> int:
    """Asks and reminds whoever a due step concerns; several steps of an incident make one message to a person."""
    due = session.scalars(
        select(IncidentStep)
        .where(IncidentStep.state == StepState.OPEN, IncidentStep.remind_at <= now)
        .order_by(IncidentStep.remind_at, IncidentStep.id)
        .limit(PAGE)
        .with_for_update(skip_locked=True)
    ).all()
    if not due:
        return 0
    people = list(session.scalars(select(Staff).where(Staff.active)))
    asks: Asks = defaultdict(list)
    there = roster.on_duty(session, now)
    for row in due:
        _look(session, row, there, asks, now)
    _ask(session, centre, people, asks, now)
    for incident_id in {row.incident_id for row in due}:
        touch(session, f"incident:{incident_id}", "incidents")
    return len(due)


def _look(session: Session, row: IncidentStep, there: Roster, asks: Asks, now: datetime) -> None:
    """One due step: whom it is put to now, and when it is looked at again."""
    if row.kind is StepKind.TELL:
        for person in _tell(session, row, there, now):
            asks[person, BY_TIME].append(row)
        _finish(session, row, StepState.DONE, "", None, now)
        return
    roles = tuple(Role(role) for role in row.roles)
    within = timedelta(seconds=row.within) if row.within is not None else None
    assert row.started_at is not None
    since, left = incident_plan.asked(row.kind, row.started_at, within)
    subject = Subject(since, row.notified, row.notified_at)
    match next_rung(incident_plan.ladder(roles, left), subject, there, now):
        case Notify() as rung:
            lapsed = row.due_at is not None and row.due_at <= now and row.notified > 0
            if row.kind is StepKind.RELAY and row.notified == 0:
                for person in _tell(session, row, there, now):
                    asks[person, TOLD].append(row)
            chosen = rung.people if row.staff_id is None or lapsed else ()
            for person in {*chosen, *([row.staff_id] if row.staff_id else []), *_silent(session, row)}:
                if row not in asks.get((person, TOLD), ()):
                    asks[person, LAPSED if lapsed else TO_DO].append(row)
            row.notified += 1
            row.notified_at = row.remind_at = now
        case Wait(until=until):
            row.remind_at = until
        case Exhausted():
            row.remind_at = None


def _tell(session: Session, row: IncidentStep, there: Roster, now: datetime) -> list[int]:
    """Writes down whom this step tells; gives them."""
    told = list(dict.fromkeys(person for role in row.tell for person in there.roles.get(Role(role), ())))
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    for person in told:
        session.execute(
            insert(IncidentTold)
            .values(incident_id=row.incident_id, step_id=row.id, staff_id=person, told_at=now)
            .on_conflict_do_nothing()
        )
    return told


def _silent(session: Session, row: IncidentStep) -> Sequence[int]:
    """Who was told by this step and has not said so."""
    if row.kind is not StepKind.RELAY:
        return ()
    return session.scalars(
        select(IncidentTold.staff_id).where(
            IncidentTold.step_id == row.id, IncidentTold.acknowledged_at.is_(None), IncidentTold.staff_id.is_not(None)
        )
    ).all()


def _ask(session: Session, centre: Centre, people: Sequence[Staff], asks: Asks, now: datetime) -> None:
    zone = centre.settings.zone
    by_id = {person.id: person for person in people}
    for (person_id, how), rows in asks.items():
        if person_id not in by_id:
            continue
        person = by_id[person_id]
        language = Language(person.language)
        for incident_id in dict.fromkeys(row.incident_id for row in rows):
            incident = session.get_one(Incident, incident_id)
            mine = [row for row in rows if row.incident_id == incident_id]
            alerts.tell(
                session,
                [person],
                MESSAGES[how],
                cause=f"step:{mine[0].id}:{mine[0].notified}:{how}",
                link=f"/console/incidents/{incident_id}",
                now=now,
                how=_ways(centre, how),
                urgent=how == LAPSED,
                steps_told=[row.id for row in mine],
                what=DRILL[language] * incident.drill + incident.title,
                steps=JOINT[language].join(_worded(row, language, zone) for row in mine),
            )


def _ways(centre: Centre, how: str) -> tuple[Way, ...]:
    """How a kind of message goes to people, as the centre has it now."""
    ways = catalogue(centre).step_ways
    return {TO_DO: ways.asked, LAPSED: ways.late}.get(how, ways.told)


def _worded(row: IncidentStep, language: Language, zone: ZoneInfo) -> str:
    """A step as it is put to somebody: what, and until when."""
    step = row.text_zh if language is Language.ZH else row.text_en
    if row.due_at is None or row.kind is StepKind.TELL:
        return step
    return text(language, UNTIL, step=step, due=when(language, row.due_at, zone))


def next_due(session: Session, now: datetime) -> datetime | None:
    return session.scalar(
        select(IncidentStep.remind_at)
        .where(IncidentStep.state == StepState.OPEN, IncidentStep.remind_at > now)
        .order_by(IncidentStep.remind_at)
        .limit(1)
    )


# ── reading ──


def steps_of(session: Session, incident_id: int) -> list[IncidentStep]:
    """An incident's steps in the order they were made."""
    return list(
        session.scalars(select(IncidentStep).where(IncidentStep.incident_id == incident_id).order_by(IncidentStep.id))
    )


def standing(row: IncidentStep) -> Standing:
    """A step's row as the pure plan sees it."""
    within = timedelta(seconds=row.within) if row.within is not None else None
    return Standing(row.key, row.kind, row.after, within, row.state, row.due_at, row.done_at, row.started_at)
