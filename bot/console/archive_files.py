"""The archive's register: files gathered, checked and locked; changes by request; loans (REQ-G05..G07)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.console.door import centre_of, change, language_of, render, require
from bot.console.queries.archive_files import FilePage, file_page, register
from bot.reports.archive import contents
from bot.services.permissions import Function, Grant
from bot.services.records import archive, archive_changes, loans, record_words
from bot.services.staffing.staff import SignedIn
from store.tables import Archivable

router = APIRouter(prefix="/console/archive", include_in_schema=False)
Reader = Annotated[SignedIn, Depends(require(Function.BORROW))]
Registrar = Annotated[SignedIn, Depends(require(Function.ARCHIVE, Grant.RECORD))]
Checker = Annotated[SignedIn, Depends(require(Function.ARCHIVE, Grant.APPROVE))]
Leader = Annotated[SignedIn, Depends(require(Function.CORRECT_RECORD, *archive_changes.LEADERS))]
Decider = Annotated[SignedIn, Depends(require(Function.CORRECT_RECORD, Grant.APPROVE, Grant.APPROVE_ARCHIVED))]
Lender = Annotated[SignedIn, Depends(require(Function.BORROW, Grant.APPROVE))]
Archivist = Annotated[SignedIn, Depends(require(Function.BORROW, Grant.RECORD))]
Text = Annotated[str, Form(max_length=4000)]
HOME = "/console/archive/files"


@router.get("/files")
async def index(request: Request, staff: Reader, page: Annotated[int, Query(ge=1)] = 1) -> Response:
    centre = centre_of(request)
    now = centre.clock.now()
    found = await centre.db.read(lambda s: register(s, staff, now, page))
    return render(request, "console/archive/files.html", words=record_words, page=page, **found)


@router.post("/files")
async def gather(
    request: Request,
    staff: Registrar,
    record: Annotated[str, Form(pattern=r"^(case|incident|callback):\d{1,18}$")],
    shelf: Annotated[str, Form(max_length=60)] = "",
) -> Response:
    """`record` reads "case:12"."""
    centre = centre_of(request)
    kind, _, number = record.partition(":")
    subject, subject_id = Archivable(kind), int(number)
    zone = centre.settings.zone
    return await change(
        request,
        HOME,
        lambda s, now: archive.gather(s, subject, subject_id, shelf=shelf, zone=zone, staff_id=staff.staff_id, now=now),
        "archive_gathered",
    )


@router.get("/files/{file_id}")
async def show(request: Request, file_id: int, staff: Reader) -> Response:
    """A file's card; what is in it only for the general manager, or with a loan, and every reading is noted."""
    centre, language = centre_of(request), language_of(request)
    now = centre.clock.now()

    def read(session: Session) -> FilePage | None:
        return file_page(session, file_id, staff, now)

    found = await centre.db.read(read)
    if found is None:
        raise HTTPException(404)
    inside = None
    if found.readable:
        inside = await centre.db.read(lambda s: contents(s, centre, found.file, language, now))
        await centre.db.write(lambda s: loans.opened(s, found.file, found.loan, staff_id=staff.staff_id, now=now))
    response = render(
        request,
        "console/archive/file.html",
        words=record_words,
        page=found,
        inside=inside,
        fields=archive_changes.FIELDS[found.file.subject],
        lasts=centre.library.current.policies.retention.loan.days,
    )
    response.headers["Cache-Control"] = "no-store"
    return response


@router.post("/files/{file_id}/check")
async def check(
    request: Request, file_id: int, staff: Checker, good: Annotated[bool, Form()] = False, note: Text = ""
) -> Response:
    return await change(
        request,
        f"{HOME}/{file_id}",
        lambda s, now: archive.check(s, file_id, good=good, note=note, staff_id=staff.staff_id, now=now),
        "archive_checked" if good else "archive_sent_back",
    )


@router.post("/files/{file_id}/changes")
async def ask_change(
    request: Request,
    file_id: int,
    staff: Leader,
    field: Annotated[str, Form(max_length=40)] = "",
    new: Text = "",
    why: Text = "",
) -> Response:
    return await change(
        request,
        f"{HOME}/{file_id}",
        lambda s, now: archive_changes.ask(s, file_id, field=field, new=new, why=why, staff_id=staff.staff_id, now=now),
        "archive_asked",
    )


@router.post("/files/{file_id}/changes/{change_id}")
async def decide_change(
    request: Request,
    file_id: int,
    change_id: int,
    staff: Decider,
    granted: Annotated[bool, Form()] = False,
    note: Text = "",
) -> Response:
    return await change(
        request,
        f"{HOME}/{file_id}",
        lambda s, now: archive_changes.decide(
            s, change_id, granted=granted, note=note, staff_id=staff.staff_id, now=now
        ),
        "archive_granted" if granted else "archive_refused",
    )


@router.post("/files/{file_id}/loans")
async def ask_loan(request: Request, file_id: int, staff: Reader, purpose: Text = "") -> Response:
    return await change(
        request,
        f"{HOME}/{file_id}",
        lambda s, now: loans.ask(s, file_id, purpose=purpose, staff_id=staff.staff_id, now=now),
        "loan_asked",
    )


@router.post("/loans/{loan_id}")
async def decide_loan(
    request: Request, loan_id: int, staff: Lender, granted: Annotated[bool, Form()] = False, note: Text = ""
) -> Response:
    return await change(
        request,
        HOME,
        lambda s, now: loans.decide(s, loan_id, granted=granted, note=note, staff_id=staff.staff_id, now=now),
        "loan_granted" if granted else "archive_refused",
    )


@router.post("/loans/{loan_id}/register")
async def register_loan(request: Request, loan_id: int, staff: Archivist) -> Response:
    lasts = centre_of(request).library.current.policies.retention.loan
    return await change(
        request,
        HOME,
        lambda s, now: loans.register(s, loan_id, lasts=lasts, staff_id=staff.staff_id, now=now),
        "loan_out",
    )


@router.post("/loans/{loan_id}/return")
async def give_back(request: Request, loan_id: int, staff: Reader) -> Response:
    return await change(
        request,
        HOME,
        lambda s, now: loans.give_back(s, loan_id, staff_id=staff.staff_id, now=now),
        "loan_returned",
    )
