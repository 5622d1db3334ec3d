"""Correcting a record so that what it said stays legible: who, when and why, with the old value struck through
(REQ-A22, G02).

An agent proposes, on their own matters; a leader makes small corrections, a supervisor or manager any. What is
append-only is not touched: its correction is the revision, and the newest one is what counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core import money
from bot.core.redaction import without_addresses
from bot.core.words import Role
from bot.services import audit, contacts
from bot.services.escalation import alerts
from bot.services.i18n import N_
from bot.services.incidents.incident_record import FORMS
from bot.services.permissions import Function, Grant
from bot.services.plans.followups import LOW, LOW_SCORE
from bot.services.records.locked import is_locked
from bot.services.refusal import NotFoundError, RefusedError
from bot.services.staffing import staff as colleagues
from bot.services.staffing.staff import SignedIn
from store.db import touch, vault_of
from store.many import among
from store.tables import (
    Answer,
    Archivable,
    Callback,
    Case,
    CaseNote,
    Contact,
    Correction,
    CorrectionState,
    Incident,
    IncidentEntry,
    Revision,
    Staff,
)

PAGE = "/console/privacy/corrections"
LISTED = 100
LONGEST = 2000
FIELDS: Mapping[str, Mapping[str, str]] = {
    "contact": {"name": N_("姓名"), "title": N_("称呼"), "unit": N_("房号")},
    "case": {"subject": N_("内容"), "feedback": N_("反馈结果")},
    "case_note": {"text": N_("工单经过")},
    "answer": {"answer": N_("回访的回答")},
    "incident": {f"{form}.{field}": name for form, fields in FORMS.items() for field, name in fields.items()},
    "incident_entry": {"text": N_("事件经过"), "amount": N_("金额")},
}
"""What may be corrected, by kind of record; reports are worked out of these each time they are read. An incident's
fields are the parts of its forms, by form and field."""
SMALL = frozenset({("contact", "name"), ("contact", "title"), ("case", "subject")})
TABLES: Mapping[str, Any] = {
    "contact": Contact,
    "case": Case,
    "case_note": CaseNote,
    "answer": Answer,
    "incident": Incident,
    "incident_entry": IncidentEntry,
}
APPEND_ONLY = frozenset({"case_note", "answer", "incident_entry"})
SCALE = ("1", "2", "3", "4", "5")  # of a questionnaire (REQ-C12)
PROPOSED = N_("%(name)s提出更正，请看一看。")


@dataclass(frozen=True, slots=True)
class Was:
    """A value that was replaced: what stood there, who replaced it, when and why; `new` is what stood there then."""

    old: str
    new: str
    who: str | None
    why: str
    at: datetime


def may_make(staff: SignedIn, subject: str, field: str) -> bool:
    """Whether this person corrects it by themselves; otherwise they propose it."""
    if (subject, field) in SMALL and staff.may(Function.CORRECT_RECORD, Grant.APPROVE_SMALL):
        return True
    return staff.may(Function.CORRECT_RECORD, Grant.APPROVE, Grant.APPROVE_ARCHIVED)


def correct(
    session: Session,
    subject: str,
    subject_id: int,
    field: str,
    new: str,
    why: str,
    *,
    staff: SignedIn,
    now: datetime,
) -> CorrectionState:
    """Corrects a field, or proposes it where the person may not. Raises RefusedError, NotFoundError."""
    old = value_of(session, subject, subject_id, field)
    new, why = _written(session, subject, subject_id, field, new.strip()[:LONGEST]), why.strip()[:LONGEST]
    if not why:
        raise RefusedError("reason_missing")
    if not new or new == old:
        raise RefusedError("correction_same")
    _not_archived(session, subject, subject_id)
    vault = vault_of(session)
    row = Correction(
        subject=subject,
        subject_id=subject_id,
        field=field,
        old=vault.seal(old),
        new=vault.seal(new),
        why=why,
        proposed_by=staff.staff_id,
        proposed_at=now,
    )
    if may_make(staff, subject, field):
        row.state, row.decided_by, row.decided_at = CorrectionState.MADE, staff.staff_id, now
        session.add(row)
        _write(session, row, old, new, now)
        return row.state
    session.add(row)
    session.flush()
    audit.record(session, "correction.propose", subject, subject_id, now=now, staff_id=staff.staff_id, field=field)
    alerts.tell(
        session,
        colleagues.holding(session, *((Role.LEADER,) if (subject, field) in SMALL else ()), Role.SUPERVISOR),
        PROPOSED,
        cause=f"correction:{row.id}",
        link=PAGE,
        now=now,
        name=staff.name,
    )
    return CorrectionState.PROPOSED


def _written(session: Session, subject: str, subject_id: int, field: str, new: str) -> str:
    """A figure as figures are written; anything else as it is. Raises RefusedError where a figure is none."""
    row = session.get_one(TABLES[subject], subject_id)
    match row:
        case IncidentEntry() if field == "amount":
            if row.amount is None:
                raise NotFoundError
            try:
                return money.shown(money.hundredths(new))
            except ValueError:
                raise RefusedError("number_bad") from None
        case Answer() if row.score is not None and new not in SCALE:
            raise RefusedError("correction_score")
    return new


def _not_archived(session: Session, subject: str, subject_id: int) -> None:
    """What lies in the archive changes by request there (REQ-G06)."""
    row = session.get_one(TABLES[subject], subject_id)
    match row:
        case Case():
            lies = is_locked(session, Archivable.CASE, row.id)
        case CaseNote():
            lies = is_locked(session, Archivable.CASE, row.case_id)
        case Answer():
            lies = is_locked(session, Archivable.CALLBACK, row.callback_id)
        case Incident():
            lies = is_locked(session, Archivable.INCIDENT, row.id)
        case IncidentEntry():
            lies = is_locked(session, Archivable.INCIDENT, row.incident_id)
        case _:
            lies = False
    if lies:
        raise RefusedError("correction_archived")


def decide(session: Session, correction_id: int, *, yes: bool, staff: SignedIn, now: datetime) -> None:
    """Makes a proposed correction, or refuses it. Raises RefusedError."""
    row = session.get_one(Correction, correction_id, with_for_update=True)
    if row.state is not CorrectionState.PROPOSED:
        raise RefusedError("correction_decided")
    if not may_make(staff, row.subject, row.field):
        raise RefusedError("not_allowed")
    if yes:
        _not_archived(session, row.subject, row.subject_id)
    vault = vault_of(session)
    old = value_of(session, row.subject, row.subject_id, row.field)
    if yes and old != vault.open(row.old):
        raise RefusedError("changed_meanwhile")
    row.state = CorrectionState.MADE if yes else CorrectionState.REFUSED
    row.decided_by, row.decided_at = staff.staff_id, now
    if yes:
        _write(session, row, old, vault.open(row.new), now)
    else:
        audit.record(
            session, "correction.refuse", row.subject, row.subject_id, now=now, staff_id=staff.staff_id, field=row.field
        )


def _write(session: Session, row: Correction, old: str, new: str, now: datetime) -> None:
    """Writes what is right, keeps what was wrong."""
    if row.subject == "contact":
        contacts.learn(session, row.subject_id, {row.field: new}, now=now, staff_id=row.decided_by, why=row.why)
    else:
        if row.subject == "incident":
            _enter(session.get_one(Incident, row.subject_id, with_for_update=True), row.field, new)
        elif row.subject not in APPEND_ONLY:
            setattr(session.get_one(TABLES[row.subject], row.subject_id), row.field, _kept(row.field, new))
        audit.revise(
            session, row.subject, row.subject_id, row.field, old, new, now=now, staff_id=row.decided_by, why=row.why
        )
        session.flush()
    if row.subject == "answer":
        _flag(session, session.get_one(Answer, row.subject_id).callback_id)
    audit.record(
        session, "correction.make", row.subject, row.subject_id, now=now, staff_id=row.decided_by, field=row.field
    )
    touch(session, "floor")


def _enter(incident: Incident, field: str, new: str) -> None:
    form, _, part = field.partition(".")
    incident.facts = {**incident.facts, form: {**incident.facts.get(form, {}), part: new}}
    incident.revision += 1


def _flag(session: Session, callback_id: int) -> None:
    """A follow-up counts as badly rated while one of its scores, as it stands, is low."""
    callback = session.get_one(Callback, callback_id, with_for_update=True)
    rows = session.scalars(select(Answer).where(Answer.callback_id == callback_id).order_by(Answer.id)).all()
    low = any(each.score is not None and each.score <= LOW_SCORE for each in answers(session, rows))
    callback.flags = sorted({*callback.flags, LOW} if low else {*callback.flags} - {LOW})


def _kept(field: str, new: str) -> str:
    return without_addresses(new)[:200] if field == "subject" else new


def value_of(session: Session, subject: str, subject_id: int, field: str) -> str:
    """What a field says now; raises NotFoundError where nobody may correct such a one."""
    if field not in FIELDS.get(subject, ()):
        raise NotFoundError
    row = session.get_one(TABLES[subject], subject_id)
    if (subject, field) == ("contact", "unit"):
        return contacts.unit_of(session, row) or ""
    if subject in APPEND_ONLY and (made := history(session, subject, [subject_id]).get((subject_id, field))):
        return made[-1].new
    if isinstance(row, Incident):
        form, _, part = field.partition(".")
        return str(row.facts.get(form, {}).get(part, ""))
    if (subject, field) == ("incident_entry", "amount"):
        return money.shown(row.amount) if row.amount is not None else ""
    return str(getattr(row, field) or "")


def history(
    session: Session, subject: str, ids: Iterable[int], *, full: bool = True
) -> dict[tuple[int, str], tuple[Was, ...]]:
    """What stood in the fields of these rows before, the earliest first; sealed values are masked unless `full`."""
    vault, found = vault_of(session), dict[tuple[int, str], list[Was]]()
    fields = FIELDS.get(subject, {})
    rows = session.execute(
        select(Revision, Staff.name)
        .outerjoin(Staff, Staff.id == Revision.staff_id)
        .where(Revision.subject == subject, among(Revision.subject_id, list(ids)), Revision.field.in_(list(fields)))
        .order_by(Revision.id)
    )

    def shown(value: Any) -> str:
        if isinstance(value, dict):
            return (audit.opened(vault, value) or "") if full else "****"
        return "" if value is None else str(value)

    for row, who in rows:
        if row.old in (None, "") or (row.field == "unit" and not isinstance(row.old, dict)):
            continue  # nothing stood there before, or it was not kept
        was = Was(shown(row.old), shown(row.new), who, row.why, row.at)
        found.setdefault((row.subject_id, row.field), []).append(was)
    return {key: tuple(each) for key, each in found.items()}


@dataclass(frozen=True, slots=True)
class Given:
    """An answer of a questionnaire as it stands: `text` and `score` are what counts, `was` what was corrected."""

    row: Answer
    text: str
    score: int | None
    was: tuple[Was, ...]


def answers(session: Session, rows: Sequence[Answer]) -> list[Given]:
    """These answers as they stand, in the same order."""
    were = history(session, "answer", [row.id for row in rows])
    found = []
    for row in rows:
        was = were.get((row.id, "answer"), ())
        text = was[-1].new if was else row.answer
        score = int(text) if was and row.score is not None and text in SCALE else row.score
        found.append(Given(row, text, score, was))
    return found


@dataclass(frozen=True, slots=True)
class Proposal:
    """A correction somebody proposed, with what is written there now, and where it stands."""

    row: Correction
    old: str
    new: str
    who: str
    link: str


def proposals(session: Session) -> Sequence[Proposal]:
    """What waits for a decision, the earliest first."""
    vault = vault_of(session)
    rows = session.execute(
        select(Correction, Staff.name)
        .join(Staff, Staff.id == Correction.proposed_by)
        .where(Correction.state == CorrectionState.PROPOSED)
        .order_by(Correction.id)
        .limit(LISTED)
    )
    return [Proposal(row, vault.open(row.old), vault.open(row.new), who, link_of(session, row)) for row, who in rows]


def link_of(session: Session, row: Correction) -> str:
    """The page a record stands on."""
    match row.subject:
        case "contact":
            return f"/console/contacts/{row.subject_id}"
        case "case":
            return f"/console/cases/{row.subject_id}"
        case "case_note":
            return f"/console/cases/{session.get_one(CaseNote, row.subject_id).case_id}"
        case "answer":
            return f"/console/callbacks/{session.get_one(Answer, row.subject_id).callback_id}"
        case "incident":
            return f"/console/incidents/{row.subject_id}"
        case _:
            return f"/console/incidents/{session.get_one(IncidentEntry, row.subject_id).incident_id}"


def own_matter(session: Session, subject: str, subject_id: int, staff_id: int) -> bool:
    """Whether the record is of one's own matters: an agent proposes on those alone (REQ-A22)."""
    row = session.get(TABLES[subject], subject_id)
    match row:
        case Case():
            return row.staff_id == staff_id
        case CaseNote():
            return session.get_one(Case, row.case_id).staff_id == staff_id
        case Answer():
            return staff_id in (session.get_one(Callback, row.callback_id).staff_id,)
        case Incident():
            return row.owner_id == staff_id
        case IncidentEntry():
            return session.get_one(Incident, row.incident_id).owner_id == staff_id or row.staff_id == staff_id
    return row is not None
