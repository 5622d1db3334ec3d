"""The archive's front room: what is kept how long, lists to be disposed of with their certificates, legal holds
(REQ-G01, G08, G11)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.console.door import attachment, centre_of, change, language_of, render, require, see_other
from bot.console.queries.archive import PAGE, disposal_file, hold_rows, overview
from bot.core.retention import HoldSubject
from bot.reports.certificate import certificate
from bot.reports.incidents import Document, written
from bot.services.permissions import Function, Grant
from bot.services.records import disposals, holds, record_words, voids
from bot.services.staffing.staff import SignedIn
from store.tables import Archivable, Disposal, DisposalState

router = APIRouter(prefix="/console/archive", include_in_schema=False)
Reader = Annotated[SignedIn, Depends(require(Function.SEE_ARCHIVE))]
Reviewer = Annotated[SignedIn, Depends(require(Function.DISPOSE))]
Holder = Annotated[SignedIn, Depends(require(Function.HOLD_RECORDS))]
Lifter = Annotated[SignedIn, Depends(require(Function.HOLD_RECORDS, Grant.APPROVE))]
Corrector = Annotated[SignedIn, Depends(require(Function.CORRECT_RECORD, *voids.MAY))]
Text = Annotated[str, Form(max_length=2000)]
HOME = "/console/archive"
PAGES: dict[HoldSubject | Archivable, str] = {
    HoldSubject.CONTACT: "/console/contacts/%d",
    HoldSubject.CASE: "/console/cases/%d",
    HoldSubject.INCIDENT: "/console/incidents/%d",
    HoldSubject.CONVERSATION: "/console/conversations/%d",
    Archivable.CASE: "/console/cases/%d",
    Archivable.INCIDENT: "/console/incidents/%d",
    Archivable.CALLBACK: "/console/callbacks/%d",
}
"""Where a thing is shown; a recording is shown with the holds."""


@router.get("")
async def index(request: Request, _: Reader) -> Response:
    centre = centre_of(request)
    now, retention = centre.clock.now(), centre.library.current.policies.retention
    found = await centre.db.read(lambda s: overview(s, retention, now))
    return render(request, "console/archive.html", words=record_words, retention=retention, **found)


@router.post("/disposals")
async def look_now(request: Request, staff: Reviewer) -> Response:
    """Somebody wants to know now what is due; who asks does not approve."""
    added = await disposals.propose(centre_of(request), staff.staff_id)
    return see_other(HOME, "disposal_found" if added else "disposal_none")


@router.get("/disposals/{disposal_id}")
async def show(request: Request, disposal_id: int, staff: Reader, page: Annotated[int, Query(ge=1)] = 1) -> Response:
    centre = centre_of(request)
    found = await centre.db.read(lambda s: disposal_file(s, disposal_id, staff, page))
    if found is None:
        raise HTTPException(404)
    return render(request, "console/archive/disposal.html", words=record_words, page=page, per_page=PAGE, **found)


@router.post("/disposals/{disposal_id}/approve")
async def approve(
    request: Request,
    disposal_id: int,
    staff: Reviewer,
    seen: Annotated[str, Form(max_length=64)] = "",
    note: Text = "",
) -> Response:
    return await change(
        request,
        f"{HOME}/disposals/{disposal_id}",
        lambda s, now: disposals.approve(s, disposal_id, seen=seen, staff_id=staff.staff_id, note=note, now=now),
        lambda disposal: "disposal_going" if disposal.state is DisposalState.APPROVED else "disposal_reviewed",
    )


@router.post("/disposals/{disposal_id}/decline")
async def decline(request: Request, disposal_id: int, staff: Reviewer, why: Text = "") -> Response:
    return await change(
        request,
        f"{HOME}/disposals/{disposal_id}",
        lambda s, now: disposals.decline(s, disposal_id, why=why, staff_id=staff.staff_id, now=now),
        "disposal_declined",
    )


@router.get("/disposals/{disposal_id}/certificate.{form}")
async def download(request: Request, disposal_id: int, form: Document, _: Reader) -> Response:
    """The certificate to sign and file; as a spreadsheet with the whole list. 404 before there is one."""
    centre, language = centre_of(request), language_of(request)

    def read(session: Session) -> tuple[Any, str] | None:
        disposal = session.get(Disposal, disposal_id)
        if disposal is None or disposal.certificate is None:
            return None
        return certificate(session, centre, disposal, language, whole=form is Document.XLSX), disposal.number

    found = await centre.db.read(read)
    if found is None:
        raise HTTPException(404)
    return attachment(written(found[0], form), f"{found[1]}.{form}")


# ── legal holds ──


@router.get("/holds")
async def holds_page(request: Request, _: Reader) -> Response:
    found = await centre_of(request).db.read(hold_rows)
    return render(request, "console/archive/holds.html", words=record_words, pages=PAGES, **found)


@router.post("/holds")
async def place(
    request: Request,
    staff: Holder,
    subject: Annotated[HoldSubject, Form()],
    subject_id: Annotated[int, Form()],
    reason: Text = "",
) -> Response:
    return await change(
        request,
        _page_of(subject, subject_id),
        lambda s, now: holds.place(s, subject, subject_id, reason, staff_id=staff.staff_id, now=now),
        "hold_placed",
    )


@router.post("/holds/{hold_id}/lift")
async def lift(request: Request, hold_id: int, staff: Lifter, why: Text = "") -> Response:
    return await change(
        request,
        f"{HOME}/holds",
        lambda s, now: holds.lift(s, hold_id, why, staff_id=staff.staff_id, now=now),
        "hold_lifted",
    )


def _page_of(subject: HoldSubject | Archivable, subject_id: int) -> str:
    return PAGES[subject] % subject_id if subject in PAGES else f"{HOME}/holds"


# ── void ──


@router.post("/void")
async def void(
    request: Request,
    staff: Corrector,
    subject: Annotated[Archivable, Form()],
    subject_id: Annotated[int, Form()],
    why: Text = "",
    lift: Annotated[bool, Form()] = False,
) -> Response:
    """Leaves a record known to be bad out of every figure, or lets it count again (REQ-G04)."""
    mark = voids.lift if lift else voids.declare
    return await change(
        request,
        _page_of(subject, subject_id),
        lambda s, now: mark(s, subject, subject_id, why=why, staff_id=staff.staff_id, now=now),
        "unvoided" if lift else "voided",
    )
