"""What a person asks about their own data: a copy of it, or its erasure (REQ-G12, G14; case kind `privacy`).

Who takes the request makes sure who asks; others approve it, one for a copy, two for an erasure. An erasure runs in
the background step by step and leaves a certificate; a hold or an open matter stops it, and the page says which.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from bot.core.windows import local_date
from bot.core.words import CaseKind, Language, Role
from bot.services import audit, contacts
from bot.services.casework import cases
from bot.services.centre import Centre
from bot.services.conversation import media
from bot.services.escalation import alerts
from bot.services.i18n import N_, text
from bot.services.permissions import Function
from bot.services.records import data_subjects, erasure, erasure_prospect, export_files, exports
from bot.services.refusal import NotFoundError, RefusedError
from bot.services.staffing import staff as colleagues
from bot.services.staffing.staff import SignedIn
from store.tables import Case, Contact, Export, ExportState, PrivacyRequest, RequestKind, RequestState, Staff

log = structlog.get_logger()
PAGE = "/console/privacy/requests"
LISTED = 100
OPEN = (RequestState.OPEN, RequestState.CHECKED, RequestState.RUNNING)
NAMES: Mapping[RequestKind, str] = {
    RequestKind.ACCESS: N_("查询本人资料"),
    RequestKind.ERASURE: N_("删除本人资料"),
}
IDENTITIES: Mapping[str, str] = {
    "called_back": N_("回拨登记的号码，由本人接听"),
    "document": N_("当面核对证件（不留号码）"),
    "code": N_("向登记的号码发验证码，对方报对"),
    "own_chat": N_("从本人已登录的账号里提出"),
}
WAITS = N_("%(what)s %(number)s 已核对身份，请审批。")
FINISHED = N_("%(what)s %(number)s 已办完。")


def open_request(
    session: Session,
    centre: Centre,
    contact_id: int,
    kind: RequestKind,
    *,
    staff_id: int,
    now: datetime,
    case_id: int | None = None,
) -> PrivacyRequest:
    """Takes a request down, on its case or a new one; one that is open already is given back."""
    contact_id = contacts.survivor(session, session.get_one(Contact, contact_id).id)
    if session.get_one(Contact, contact_id).erased_at is not None:
        raise RefusedError("erased_already")
    there = session.scalar(
        select(PrivacyRequest).where(
            PrivacyRequest.contact_id == contact_id, PrivacyRequest.kind == kind, PrivacyRequest.state.in_(OPEN)
        )
    )
    if there is not None:
        return there
    settings = centre.settings
    within = centre.library.current.policies.privacy.answer_within
    if case_id is None:
        case_id = cases.open_case(
            session,
            kind=CaseKind.PRIVACY,
            contact_id=contact_id,
            subject=text(settings.language, NAMES[kind]),
            zone=settings.zone,
            now=now,
            queue="privacy",
            due_in=within,
            staff_id=staff_id,
        ).id
    elif session.get_one(Case, case_id).kind is not CaseKind.PRIVACY:
        raise RefusedError("kind_bad")
    year = now.astimezone(settings.zone).year
    request = PrivacyRequest(
        number=f"P{year}-{cases.next_number(session, f'privacy:{year}'):04d}",
        kind=kind,
        case_id=case_id,
        contact_id=contact_id,
        due_on=local_date(now + within, settings.timezone),
        opened_by=staff_id,
        opened_at=now,
    )
    session.add(request)
    session.flush()
    _log(session, "privacy.open", request, staff_id, now, kind=kind.value)
    return request


def _log(
    session: Session, action: str, request: PrivacyRequest, staff_id: int | None, now: datetime, **more: str
) -> None:
    audit.record(
        session, action, "privacy_request", request.id, now=now, staff_id=staff_id, number=request.number, **more
    )


def held(session: Session, request_id: int, *states: RequestState) -> PrivacyRequest:
    request = session.get_one(PrivacyRequest, request_id, with_for_update=True)
    if request.state not in states:
        raise RefusedError("request_moved_on")
    return request


def check_identity(session: Session, request_id: int, how: str, *, staff_id: int, now: datetime) -> PrivacyRequest:
    """Somebody made sure who asks; those who approve are told."""
    request = held(session, request_id, RequestState.OPEN)
    if how not in IDENTITIES:
        raise RefusedError("identity_missing")
    request.identity, request.checked_by, request.checked_at = how, staff_id, now
    request.state = RequestState.CHECKED
    _log(session, "privacy.identity", request, staff_id, now, how=how)
    alerts.tell(
        session,
        [each for each in colleagues.holding(session, Role.SUPERVISOR, Role.MANAGER) if each.id != request.opened_by],
        WAITS,
        cause=f"privacy:{request.id}",
        link=f"{PAGE}/{request.id}",
        now=now,
        what=NAMES[request.kind],
        number=request.number,
    )
    return request


def why_not(request: PrivacyRequest, staff: SignedIn) -> str | None:
    """Why this person cannot approve it, as a code; None: they can."""
    if request.state is not RequestState.CHECKED:
        return "request_moved_on"
    if not staff.may(Function.GUARD_PRIVACY):
        return "not_allowed"
    if staff.staff_id in (request.opened_by, request.checked_by):
        return "request_own"
    return "second_approver" if request.first_by == staff.staff_id else None


def approve(
    session: Session, centre: Centre, request_id: int, *, staff: SignedIn, language: Language, now: datetime
) -> PrivacyRequest:
    """One more approval; with the last one needed it is carried out. Raises RefusedError."""
    request = held(session, request_id, RequestState.CHECKED)
    if (code := why_not(request, staff)) is not None:
        raise RefusedError(code)
    if request.kind is RequestKind.ERASURE:
        _nothing_against(session, request)
    _log(session, "privacy.approve", request, staff.staff_id, now)
    if request.first_by is None:
        request.first_by, request.first_at = staff.staff_id, now
        if request.kind is RequestKind.ERASURE:
            return request
        export = exports.for_person(
            session,
            centre,
            request.contact_id,
            asked_by=request.opened_by,
            approved_by=staff.staff_id,
            language=language,
            now=now,
        )
        request.export_id = export.id
    else:
        request.second_by, request.second_at = staff.staff_id, now
    request.state = RequestState.RUNNING
    return request


def _nothing_against(session: Session, request: PrivacyRequest) -> None:
    if any(erasure_prospect.against(session, data_subjects.person(session, request.contact_id))):
        raise RefusedError("erasure_against")


def refuse(session: Session, request_id: int, why: str, *, staff_id: int, now: datetime) -> PrivacyRequest:
    """It is not done, and the person is told why: by whoever works on the case."""
    request = held(session, request_id, RequestState.OPEN, RequestState.CHECKED)
    if not why.strip():
        raise RefusedError("reason_missing")
    request.state, request.refused_by, request.refused_why = RequestState.REFUSED, staff_id, why.strip()[:1000]
    _log(session, "privacy.refuse", request, staff_id, now)
    return request


# ── the copy, for the person themselves ──


def make_link(session: Session, request_id: int, *, staff_id: int, now: datetime) -> str:
    """A token for the address at which the person takes their copy; only its hash is kept, an earlier one ends."""
    request = held(session, request_id, RequestState.RUNNING, RequestState.DONE)
    export = session.get(Export, request.export_id) if request.export_id is not None else None
    if export is None or export.state is not ExportState.READY:
        raise RefusedError("copy_not_ready")
    token = secrets.token_urlsafe(24)
    request.token_hash = _hash(token)
    _log(session, "privacy.link", request, staff_id, now)
    return token


def copy_at(session: Session, token: str, now: datetime) -> tuple[str, str]:
    """The file behind a link, noted as handed out: its name on disk, and the export's number. Raises NotFoundError."""
    request = session.scalar(select(PrivacyRequest).where(PrivacyRequest.token_hash == _hash(token)))
    if request is None or request.export_id is None:
        raise NotFoundError
    file = exports.take(session, request.export_id, staff_id=None, now=now)
    return file, session.get_one(Export, request.export_id).number


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


# ── carrying it out ──


async def carry_out(centre: Centre) -> int:
    """Takes the running requests further; gives how many steps that were. What stands against one is looked at again
    before every step; a step that fails is tried again at the next round."""
    done = 0
    for request_id, kind in await centre.db.read(_running):
        if kind is RequestKind.ACCESS:
            done += await centre.db.write(partial(_copied, request_id=request_id, now=centre.clock.now()))
            continue
        while await _step(centre, request_id):
            done += 1
    return done


def _running(session: Session) -> list[tuple[int, RequestKind]]:
    rows = session.execute(
        select(PrivacyRequest.id, PrivacyRequest.kind)
        .where(PrivacyRequest.state == RequestState.RUNNING)
        .order_by(PrivacyRequest.id)
    )
    return list(rows.tuples())


async def _step(centre: Centre, request_id: int) -> bool:
    """One step of an erasure, and whether there are more; files go before the rows that know them. Files that were
    exported before, and the daily reports', may hold the person: none of them is kept."""
    now = centre.clock.now()
    who, names = await centre.db.read(lambda s: _files_next(s, request_id))
    if who is not None:
        for name in names:
            await media.remove(centre, name)
        await export_files.clear(centre, about=who)
        await asyncio.to_thread(_forget_daily, centre)
    return await centre.db.write(lambda s: _take(s, request_id, now), bulk=True)


def _files_next(session: Session, request_id: int) -> tuple[int | None, tuple[str, ...]]:
    """Where the files are next and nothing stands against it: whose, and their names."""
    request = session.get_one(PrivacyRequest, request_id)
    who = data_subjects.person(session, request.contact_id)
    if _at(request) != "files" or any(erasure_prospect.against(session, who)):
        return None, ()
    return request.contact_id, data_subjects.files(session, who)


def _at(request: PrivacyRequest) -> str:
    running = request.state is RequestState.RUNNING and request.step < len(erasure.STEPS)
    return erasure.STEPS[request.step][0] if running else ""


def _take(session: Session, request_id: int, now: datetime) -> bool:
    request = session.get_one(PrivacyRequest, request_id, with_for_update=True)
    if request.state is not RequestState.RUNNING:
        return False
    if any(erasure_prospect.against(session, data_subjects.person(session, request.contact_id))):
        log.warning("erasure.held_up", request=request.number)
        return False
    name, count, through = erasure.take(session, request.contact_id, request.step, now)
    request.done = request.done | {name: request.done.get(name, 0) + count}
    if through:
        request.step += 1
    if request.step == len(erasure.STEPS):
        _finish(session, request, now)
        return False
    return True


def _finish(session: Session, request: PrivacyRequest, now: datetime) -> None:
    request.state, request.done_at = RequestState.DONE, now
    approvers = (request.first_by, request.second_by)
    request.digest = erasure.digest_of(request.number, request.done, now, approvers)
    audit.record(
        session,
        "privacy.done",
        "privacy_request",
        request.id,
        now=now,
        number=request.number,
        digest=request.digest,
        done=request.done,
    )
    _tell_done(session, request, now)
    log.info("erasure.done", request=request.number)


def _forget_daily(centre: Centre) -> None:
    """The daily reports' files name customers; whoever wants an old one exports it anew."""
    for path in (centre.settings.home / "reports").glob("follow-ups-*.xlsx"):
        path.unlink(missing_ok=True)


def _copied(session: Session, request_id: int, now: datetime) -> int:
    """A copy that lies ready ends its request; so does one that could not be made."""
    request = session.get_one(PrivacyRequest, request_id, with_for_update=True)
    export = session.get(Export, request.export_id) if request.export_id is not None else None
    if export is None or export.state is not ExportState.READY or request.state is not RequestState.RUNNING:
        return 0
    request.state, request.done_at, request.done = RequestState.DONE, now, {"rows": export.rows}
    request.digest = export.digest
    _log(session, "privacy.done", request, None, now, digest=export.digest)
    _tell_done(session, request, now)
    return 1


def _tell_done(session: Session, request: PrivacyRequest, now: datetime) -> None:
    alerts.tell(
        session,
        [session.get_one(Staff, request.opened_by)],
        FINISHED,
        cause=f"privacy:{request.id}:done",
        link=f"{PAGE}/{request.id}",
        now=now,
        what=NAMES[request.kind],
        number=request.number,
    )


# ── for the pages ──


@dataclass(frozen=True, slots=True)
class Listed:
    """A request with the person's name and those who took part."""

    request: PrivacyRequest
    whom: str
    case: str
    people: Mapping[int, str]


def listed(session: Session, *, request_id: int | None = None, contact_id: int | None = None) -> tuple[Listed, ...]:
    """Requests, the open ones first, then the latest."""
    case = aliased(Case)
    query = (
        select(PrivacyRequest, Contact.name, Contact.title, case.number)
        .join(Contact, Contact.id == PrivacyRequest.contact_id)
        .join(case, case.id == PrivacyRequest.case_id)
        .order_by(PrivacyRequest.state.in_(OPEN).desc(), PrivacyRequest.id.desc())
        .limit(LISTED)
    )
    if request_id is not None:
        query = query.where(PrivacyRequest.id == request_id)
    if contact_id is not None:
        query = query.where(PrivacyRequest.contact_id.in_(contacts.same_person(session, contact_id)))
    people = {row.id: row.name for row in session.execute(select(Staff.id, Staff.name))}
    return tuple(Listed(row, name or title, number, people) for row, name, title, number in session.execute(query))
