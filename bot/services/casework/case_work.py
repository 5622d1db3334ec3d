"""What people do on a case besides answering it: opened by hand, made urgent, pending, linked, split among departments,
a found item's register (REQ-E01, E02, E04, E16, E20, B40)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.ladder import TOP
from bot.core.words import CaseKind, CaseState, Urgency
from bot.services import audit, contacts
from bot.services.casework import case_clocks, cases
from bot.services.centre import Centre
from bot.services.escalation import alerts, ladders
from bot.services.i18n import N_
from bot.services.refusal import RefusedError
from store.db import touch
from store.tables import Case, CaseLink, CaseTask, Contact, FoundItem, LinkKind, Staff

BY_HAND = (
    CaseKind.COMPLAINT,
    CaseKind.INQUIRY,
    CaseKind.REPAIR,
    CaseKind.FOUND_ITEM,
    CaseKind.MEDIA,
    CaseKind.PRIVACY,
)
CATEGORIES: Mapping[str, str] = {
    "service": N_("服务态度"),
    "quality": N_("质量问题"),
    "charge": N_("收费争议"),
    "injury": N_("人身伤害索赔"),
    "damage": N_("财物损坏索赔"),
    "delay": N_("处理太慢"),
    "lost": N_("物品遗失"),
    "suggestion": N_("意见建议"),
    "praise": N_("表扬"),
    "other": N_("其他"),
}
"""What a case is about more closely (REQ-E02, E18, E19, E20, E23)."""

FIELDS = ("about", "words", "loss", "evidence", "wish")
"""What staff note when they open a case by hand, beside kind and category (REQ-E02)."""

TASK = N_("工单 %(number)s 有一项任务请您处理：%(what)s")
DONE = N_("工单 %(number)s 的任务已完成：%(what)s")


def open_by_hand(
    session: Session,
    centre: Centre,
    *,
    kind: CaseKind,
    contact_id: int,
    subject: str,
    category: str,
    facts: Mapping[str, str],
    urgent_why: str,
    staff_id: int,
    now: datetime,
    conversation_id: int | None = None,
) -> Case:
    """A case a person opens, whatever the channel; urgent where a reason is given (REQ-E16)."""
    if not subject.strip():
        raise RefusedError("text_empty")
    if kind not in BY_HAND or (category and category not in CATEGORIES):
        raise RefusedError("kind_bad")
    if session.get(Contact, contact_id) is None:
        raise RefusedError("contact_unknown")
    case = cases.open_case(
        session,
        kind=kind,
        contact_id=contacts.survivor(session, contact_id),
        subject=subject.strip(),
        zone=centre.settings.zone,
        facts={name: facts[name].strip()[:1000] for name in FIELDS if facts.get(name, "").strip()},
        urgency=Urgency.URGENT if urgent_why.strip() else Urgency.ORDINARY,
        urgent_why=urgent_why.strip(),
        category=category,
        conversation_id=conversation_id,
        staff_id=staff_id,
        now=now,
    )
    if cases.climbs(case):
        cases.escalate(session, centre, case, now)
    audit.record(session, "case.open", "case", case.id, now=now, staff_id=staff_id, kind=kind)
    return case


def make_urgent(session: Session, centre: Centre, case_id: int, why: str, *, staff_id: int, now: datetime) -> None:
    """An urgent work order: why, above the queue, and at once to the duty's leader; 5 and 10 minutes on (REQ-E16)."""
    case = _open(session, case_id)
    if not why.strip():
        raise RefusedError("reason_missing")
    if case.urgency is Urgency.URGENT:
        raise RefusedError("already_urgent")
    case.urgency, case.urgent_why, case.look_at = Urgency.URGENT, why.strip()[:200], now
    ladders.end(session, ladders.of_case(case.id), now)
    cases.escalate(session, centre, case, now)
    cases.note(session, case.id, "urgent", case.urgent_why, now=now, staff_id=staff_id)
    audit.record(session, "case.urgent", "case", case.id, now=now, staff_id=staff_id)


def pend(session: Session, case_id: int, why: str, *, staff_id: int, now: datetime) -> None:
    """It waits for the customer: its clocks stand still until they write, or somebody goes on."""
    case = _open(session, case_id)
    if case.state not in (CaseState.OPEN, CaseState.ASSIGNED):
        raise RefusedError("state_wrong")
    case.state = CaseState.PENDING
    case_clocks.respond(case, now)
    case_clocks.pause(case, now)
    cases.note(session, case.id, "pending", why.strip(), now=now, staff_id=staff_id)
    audit.record(session, "case.pend", "case", case.id, now=now, staff_id=staff_id)


def go_on(session: Session, case_id: int, *, staff_id: int, now: datetime) -> None:
    """It waits for the customer no more."""
    case = _open(session, case_id)
    if case.state is not CaseState.PENDING:
        raise RefusedError("state_wrong")
    case.state = CaseState.OPEN if case.staff_id is None else CaseState.ASSIGNED
    case_clocks.go_on(case, now)
    cases.note(session, case.id, "going_on", "", now=now, staff_id=staff_id)
    audit.record(session, "case.go_on", "case", case.id, now=now, staff_id=staff_id)


def link(session: Session, case_id: int, kind: LinkKind, other_id: int, *, staff_id: int, now: datetime) -> None:
    """Something else belongs to it; twice is once."""
    case = _open(session, case_id)
    known = select(CaseLink.id).where(CaseLink.case_id == case.id, CaseLink.kind == kind, CaseLink.other_id == other_id)
    if session.scalar(known) is None:
        session.add(CaseLink(case_id=case.id, kind=kind, other_id=other_id, at=now))
        audit.record(session, "case.link", "case", case.id, now=now, staff_id=staff_id, kind=kind, other=other_id)


# ── several departments ──────────────────────────────────────────────────────────────────────────────────────────────


def add_task(
    session: Session,
    case_id: int,
    department: str,
    what: str,
    to_staff_id: int,
    *,
    due_in: timedelta | None,
    staff_id: int,
    now: datetime,
) -> CaseTask:
    """A department's part, with one owner and no later than the case itself (REQ-E04)."""
    case = _open(session, case_id)
    owner = session.get(Staff, to_staff_id)
    if not department.strip() or not what.strip():
        raise RefusedError("text_empty")
    if owner is None or not owner.active:
        raise RefusedError("owner_unknown")
    due_at = now + due_in if due_in else case.due_at
    task = CaseTask(
        case_id=case.id,
        department=department.strip()[:60],
        what=what.strip()[:200],
        staff_id=to_staff_id,
        due_at=min(due_at, case.due_at) if due_at and case.due_at and case.due_at > now else due_at,
    )
    session.add(task)
    session.flush()
    _tell(session, owner, TASK, f"task:{task.id}", case, task, now)
    cases.note(session, case.id, "task", f"{task.department}：{task.what}", now=now, staff_id=staff_id)
    audit.record(session, "case.task", "case", case.id, now=now, staff_id=staff_id, to=to_staff_id)
    return task


def finish_task(session: Session, task_id: int, result: str, *, staff_id: int, now: datetime) -> None:
    """Its owner, or whoever has the case, says what came of it."""
    task = session.get_one(CaseTask, task_id, with_for_update=True)
    case = _open(session, task.case_id)
    if task.done_at is not None:
        raise RefusedError("task_done")
    if staff_id not in (task.staff_id, case.staff_id):
        raise RefusedError("not_yours")
    if not result.strip():
        raise RefusedError("text_empty")
    task.done_at, task.result = now, result.strip()
    if case.staff_id is not None and case.staff_id != staff_id:
        _tell(session, session.get_one(Staff, case.staff_id), DONE, f"task_done:{task.id}", case, task, now)
    cases.note(session, case.id, "task_done", f"{task.what}：{task.result}", now=now, staff_id=staff_id)
    audit.record(session, "case.task_done", "case", case.id, now=now, staff_id=staff_id)


def _tell(session: Session, person: Staff, message: str, cause: str, case: Case, task: CaseTask, now: datetime) -> None:
    link = f"/console/cases/{case.id}"
    alerts.tell(session, [person], message, cause=cause, link=link, now=now, number=case.number, what=task.what)


# ── found items ──────────────────────────────────────────────────────────────────────────────────────────────────────


def register_item(
    session: Session,
    case_id: int,
    *,
    what: str,
    where: str,
    camera: str,
    kept_at: str,
    staff_id: int,
    now: datetime,
) -> FoundItem:
    """The first of two people counts it under camera (REQ-B40)."""
    case = _open(session, case_id)
    if case.kind is not CaseKind.FOUND_ITEM:
        raise RefusedError("kind_bad")
    if session.get(FoundItem, case_id) is not None:
        raise RefusedError("item_registered")
    if not all(text.strip() for text in (what, where, camera, kept_at)):
        raise RefusedError("text_empty")
    item = FoundItem(
        case_id=case.id,
        what=what.strip(),
        where=where.strip()[:120],
        camera=camera.strip()[:120],
        kept_at=kept_at.strip()[:120],
        found_at=now,
        counted_by=staff_id,
        counted_at=now,
    )
    session.add(item)
    cases.note(session, case.id, "item_counted", item.what, now=now, staff_id=staff_id)
    audit.record(session, "case.item_counted", "case", case.id, now=now, staff_id=staff_id)
    return item


def confirm_item(session: Session, case_id: int, *, staff_id: int, now: datetime) -> None:
    """A second person counted the same."""
    item = _item(session, case_id)
    if item.confirmed_by is not None:
        raise RefusedError("item_confirmed")
    if item.counted_by == staff_id:
        raise RefusedError("second_person")
    item.confirmed_by, item.confirmed_at = staff_id, now
    cases.note(session, case_id, "item_confirmed", "", now=now, staff_id=staff_id)
    audit.record(session, "case.item_confirmed", "case", case_id, now=now, staff_id=staff_id)


def return_item(
    session: Session, case_id: int, *, owner_name: str, identity: str, signature: str, staff_id: int, now: datetime
) -> None:
    """Given back to somebody whose identity was checked, and who signed (REQ-E20)."""
    item = _item(session, case_id)
    if item.confirmed_by is None:
        raise RefusedError("second_person")
    if item.returned_at is not None:
        raise RefusedError("item_returned")
    if not owner_name.strip() or not identity.strip() or not signed(signature):
        raise RefusedError("signature_missing")
    item.owner_name, item.identity, item.signature = owner_name.strip()[:60], identity.strip()[:120], signature
    item.returned_by, item.returned_at = staff_id, now
    cases.note(session, case_id, "item_returned", "", now=now, staff_id=staff_id)
    audit.record(session, "case.item_returned", "case", case_id, now=now, staff_id=staff_id)


def signed(path: str) -> bool:
    """Whether this is a drawn signature: an SVG path of moves and lines with at least a few points."""
    return (
        10 <= path.count("L") <= MAX_POINTS
        and path.startswith("M")
        and all(character in "ML0123456789 ." for character in path)
    )


MAX_POINTS = 4000


def _item(session: Session, case_id: int) -> FoundItem:
    _open(session, case_id)
    item = session.get(FoundItem, case_id, with_for_update=True)
    if item is None:
        raise RefusedError("item_missing")
    return item


def _open(session: Session, case_id: int) -> Case:
    case = session.get_one(Case, case_id, with_for_update=True, populate_existing=True)
    if case.state is CaseState.CLOSED:
        raise RefusedError("case_closed")
    case.revision += 1
    touch(session, "floor")
    return case


def ask_above(session: Session, centre: Centre, case: Case, why: str, *, staff_id: int, now: datetime) -> None:
    """Whoever has it needs somebody above: the ladder of its kind climbs from the next level (REQ-E05)."""
    if case.state is CaseState.CLOSED:
        raise RefusedError("case_closed")
    if not why.strip():
        raise RefusedError("reason_missing")
    if ladders.climbs(session, ladders.of_case(case.id)):
        raise RefusedError("already_climbing")
    ladders.end(session, ladders.of_case(case.id), now)
    case.level = min(case.level + 1, TOP)
    cases.escalate(session, centre, case, now)
    cases.note(session, case.id, "escalated", why.strip(), now=now, staff_id=staff_id)
    audit.record(session, "case.escalate", "case", case.id, now=now, staff_id=staff_id, level=case.level)
