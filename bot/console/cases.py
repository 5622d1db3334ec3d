"""Cases (工单): the list by tabs, one case with its history, and what is done with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.console import notices
from bot.console.door import centre_of, refuse, render, require, see_other
from bot.console.queries.cases import PAGE, CaseView, case_file, case_rows, cases_in
from bot.console.queries.office import assignable
from bot.console.queries.repairs import repair_file
from bot.services import audit, cases
from bot.services.cases import CaseRefusedError
from bot.services.permissions import Function
from bot.services.staff import SignedIn
from store.tables import Case

router = APIRouter(prefix="/console/cases", include_in_schema=False)
OnTheFloor = Annotated[SignedIn, Depends(require(Function.HANDLE_QUEUE))]
Text = Annotated[str, Form(max_length=4000)]


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
        return case_rows(session, *where, limit=PAGE, offset=(page - 1) * PAGE), counts

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


@router.get("/{case_id}")
async def show(request: Request, case_id: int, staff: OnTheFloor) -> Response:
    centre = centre_of(request)
    now = centre.clock.now()
    found = await centre.db.read(lambda session: case_file(session, case_id, staff))
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
        repair=await centre.db.read(lambda session: repair_file(session, centre, found.case, staff, now)),
        notices=notices.REFUSED,
    )


@router.post("/{case_id}/assign")
async def assign(request: Request, case_id: int, staff: OnTheFloor, to: Annotated[int, Form()]) -> Response:
    if to not in dict(await centre_of(request).db.read(assignable)):
        raise HTTPException(404)
    return await _change(
        request,
        case_id,
        lambda session, now: cases.assign(session, case_id, to, by_staff_id=staff.staff_id, now=now),
        "assigned",
    )


@router.post("/{case_id}/note")
async def note(request: Request, case_id: int, staff: OnTheFloor, text: Text = "") -> Response:
    if not text.strip():
        return refuse(request, f"/console/cases/{case_id}", "text_empty", status=422)

    def work(session: Session, now: datetime) -> None:
        session.get_one(Case, case_id)
        cases.note(session, case_id, "note", text.strip(), now=now, staff_id=staff.staff_id)
        audit.record(session, "case.note", "case", case_id, now=now, staff_id=staff.staff_id)

    return await _change(request, case_id, work, "noted")


@router.post("/{case_id}/feedback")
async def feedback(request: Request, case_id: int, staff: OnTheFloor, text: Text = "") -> Response:
    """What the customer was told (REQ-E06)."""
    return await _change(
        request,
        case_id,
        lambda session, now: cases.give_feedback(session, case_id, text, staff_id=staff.staff_id, now=now),
        "feedback_given",
    )


@router.post("/{case_id}/close")
async def close(request: Request, case_id: int, staff: OnTheFloor) -> Response:
    return await _change(
        request,
        case_id,
        lambda session, now: cases.close(session, case_id, staff_id=staff.staff_id, now=now),
        "case_closed_now",
    )


@router.post("/{case_id}/reopen")
async def reopen(request: Request, case_id: int, staff: OnTheFloor, text: Text = "") -> Response:
    if not text.strip():
        return refuse(request, f"/console/cases/{case_id}", "text_empty", status=422)
    return await _change(
        request,
        case_id,
        lambda session, now: cases.reopen(session, case_id, text.strip(), now=now, staff_id=staff.staff_id),
        "saved",
    )


async def _change(request: Request, case_id: int, work: Callable[[Session, datetime], object], done: str) -> Response:
    centre = centre_of(request)
    now = centre.clock.now()
    page = f"/console/cases/{case_id}"
    try:
        await centre.db.write(lambda session: work(session, now))
    except CaseRefusedError as error:
        return refuse(request, page, error.code)
    except LookupError as error:
        raise HTTPException(404) from error
    return see_other(page, done)
