"""Cases (工单): the list by tabs, one case with its history, and what is done with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.console import door, notices
from bot.console.door import centre_of, refuse, render, require
from bot.console.queries.archive import marks_of
from bot.console.queries.cases import PAGE, CaseView, case_file, case_rows, cases_in, seen_by, work_on
from bot.console.queries.office import assignable
from bot.console.queries.repairs import repair_file
from bot.core.retention import HoldSubject
from bot.core.words import CaseKind, ChannelName
from bot.services import audit, contacts
from bot.services.casework import cases
from bot.services.casework.case_work import BY_HAND, CATEGORIES, open_by_hand
from bot.services.centre import Centre
from bot.services.desk.wrap_up import CASE_WRAP_UPS
from bot.services.permissions import Function
from bot.services.records import locked
from bot.services.refusal import NotFoundError, RefusedError
from bot.services.staffing.staff import SignedIn
from store.tables import Archivable, Case, Contact

router = APIRouter(prefix="/console/cases", include_in_schema=False)
OnTheFloor = Annotated[SignedIn, Depends(require(Function.HANDLE_QUEUE))]
Text = Annotated[str, Form(max_length=4000)]
HOME = "/console/cases"


@router.get("")
async def index(
    request: Request, staff: OnTheFloor, view: CaseView = CaseView.ALL, page: Annotated[int, Query(ge=1, le=1000)] = 1
) -> Response:
    centre = centre_of(request)
    now = centre.clock.now()
    where = cases_in(view, staff, now)

    def read(session: Session) -> tuple[object, dict[CaseView, int]]:
        counts = {
            tab: session.scalar(select(func.count()).select_from(Case).where(*cases_in(tab, staff, now))) or 0
            for tab in CaseView
        }
        return case_rows(session, staff, *where, limit=PAGE, offset=(page - 1) * PAGE), counts

    rows, counts = await centre.db.read(read)
    return render(
        request,
        "console/cases.html",
        rows=rows,
        counts=counts,
        view=view,
        page=page,
        pages=max(1, -(-counts[view] // PAGE)),
    )


@router.get("/new")
async def new(request: Request, _: OnTheFloor, contact: int | None = None, conversation: int | None = None) -> Response:
    """The form by which staff open a case (REQ-E01, E02)."""
    centre = centre_of(request)
    known = await centre.db.read(lambda session: session.get(Contact, contact) if contact else None)
    return render(
        request,
        "console/case_new.html",
        contact=known,
        conversation=conversation,
        kinds=BY_HAND,
        categories=CATEGORIES,
    )


@router.post("/new")
async def open_new(
    request: Request,
    staff: OnTheFloor,
    kind: Annotated[CaseKind, Form()],
    subject: Annotated[str, Form(max_length=200)] = "",
    category: Annotated[str, Form(max_length=40)] = "",
    contact: Annotated[int | None, Form()] = None,
    phone: Annotated[str, Form(max_length=30)] = "",
    name: Annotated[str, Form(max_length=60)] = "",
    conversation: Annotated[int | None, Form()] = None,
    urgent_why: Annotated[str, Form(max_length=200)] = "",
    about: Text = "",
    words: Text = "",
    loss: Text = "",
    evidence: Text = "",
    wish: Text = "",
) -> Response:
    centre = centre_of(request)
    facts = {"about": about, "words": words, "loss": loss, "evidence": evidence, "wish": wish}

    def work(session: Session, now: datetime) -> int:
        contact_id = contact or _met(session, centre, phone, name, now)
        return open_by_hand(
            session,
            centre,
            kind=kind,
            contact_id=contact_id,
            subject=subject,
            category=category,
            facts=facts,
            urgent_why=urgent_why,
            staff_id=staff.staff_id,
            conversation_id=conversation,
            now=now,
        ).id

    return await door.change(request, f"{HOME}/new", work, back=lambda case_id: f"{HOME}/{case_id}", status=422)


def _met(session: Session, centre: Centre, phone: str, name: str, now: datetime) -> int:
    """The contact behind the number the customer gave."""
    try:
        number = contacts.phone_number(phone)
    except contacts.BadPhoneError:
        raise RefusedError("phone_bad") from None
    settings = centre.settings
    known = contacts.meet(
        session, ChannelName.VOICE, number, language=settings.language, zone=settings.timezone, now=now
    )
    if name.strip():
        contacts.learn(session, known.contact_id, {"name": name.strip()}, now=now, why="case by hand")
    return known.contact_id


@router.get("/{case_id}")
async def show(request: Request, case_id: int, staff: OnTheFloor) -> Response:
    centre = centre_of(request)
    now = centre.clock.now()
    found = await centre.db.read(lambda session: case_file(session, case_id, staff, now))
    if found is None:
        raise HTTPException(404)
    if found.card.full:
        await centre.db.write(
            lambda session: audit.record(
                session, "contact.seen", "contact", found.card.id, now=now, staff_id=staff.staff_id
            )
        )
    return render(
        request,
        "console/case.html",
        file=found,
        colleagues=await centre.db.read(assignable),
        work=await centre.db.read(lambda session: work_on(session, centre, found.case, found.card.id, now)),
        case_wrap_ups=CASE_WRAP_UPS,
        categories=CATEGORIES,
        repair=await centre.db.read(lambda session: repair_file(session, centre, found.case, staff, now)),
        notices=notices.REFUSED,
        marks=await centre.db.read(lambda session: marks_of(session, HoldSubject.CASE, Archivable.CASE, found.case.id)),
    )


@router.post("/{case_id}/assign")
async def assign(request: Request, case_id: int, staff: OnTheFloor, to: Annotated[int, Form()]) -> Response:
    if to not in dict(await centre_of(request).db.read(assignable)):
        raise HTTPException(404)
    return await change(
        request,
        staff,
        case_id,
        lambda session, now: cases.assign(session, case_id, to, by_staff_id=staff.staff_id, now=now),
        "assigned",
    )


@router.post("/{case_id}/note")
async def note(request: Request, case_id: int, staff: OnTheFloor, text: Text = "") -> Response:
    if not text.strip():
        return refuse(request, f"{HOME}/{case_id}", "text_empty", status=422)

    def work(session: Session, now: datetime) -> None:
        session.get_one(Case, case_id)
        cases.note(session, case_id, "note", text.strip(), now=now, staff_id=staff.staff_id)
        audit.record(session, "case.note", "case", case_id, now=now, staff_id=staff.staff_id)

    return await change(request, staff, case_id, work, "noted")


@router.post("/{case_id}/feedback")
async def feedback(request: Request, case_id: int, staff: OnTheFloor, text: Text = "") -> Response:
    """What the customer was told (REQ-E06)."""
    return await change(
        request,
        staff,
        case_id,
        lambda session, now: cases.give_feedback(session, case_id, text, staff_id=staff.staff_id, now=now),
        "feedback_given",
    )


@router.post("/{case_id}/close")
async def close(
    request: Request, case_id: int, staff: OnTheFloor, wrap_up: Annotated[str, Form(max_length=40)] = ""
) -> Response:
    return await change(
        request,
        staff,
        case_id,
        lambda session, now: cases.close(session, case_id, staff_id=staff.staff_id, wrap_up=wrap_up, now=now),
        "case_closed_now",
    )


@router.post("/{case_id}/reopen")
async def reopen(request: Request, case_id: int, staff: OnTheFloor, text: Text = "") -> Response:
    if not text.strip():
        return refuse(request, f"{HOME}/{case_id}", "text_empty", status=422)
    return await change(
        request,
        staff,
        case_id,
        lambda session, now: cases.reopen(
            session, centre_of(request), case_id, text.strip(), now=now, staff_id=staff.staff_id
        ),
    )


async def change(
    request: Request, staff: SignedIn, case_id: int, work: Callable[[Session, datetime], object], done: str = "saved"
) -> Response:
    """Does `work` on a case the person may see, and leads back to it."""

    def seen(session: Session, now: datetime) -> None:
        if session.scalar(select(Case.id).where(Case.id == case_id, seen_by(staff))) is None:
            raise NotFoundError
        if locked.is_locked(session, Archivable.CASE, case_id):
            raise RefusedError("archived")
        work(session, now)

    return await door.change(request, f"{HOME}/{case_id}", seen, done)
