"""Corrections at the console: proposed or made on the record's own page, decided in a list (REQ-A22, G02)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.console.door import centre_of, change, render, require
from bot.console.queries.people import own_contact
from bot.services.permissions import Function, Grant
from bot.services.records import corrections
from bot.services.refusal import RefusedError
from bot.services.staffing.staff import SignedIn
from store.tables import CorrectionState

router = APIRouter(prefix="/console/privacy/corrections", include_in_schema=False)
MAKES = (Grant.APPROVE_SMALL, Grant.APPROVE, Grant.APPROVE_ARCHIVED)
Proposer = Annotated[SignedIn, Depends(require(Function.CORRECT_RECORD, Grant.PROPOSE, *MAKES))]
Corrector = Annotated[SignedIn, Depends(require(Function.CORRECT_RECORD, *MAKES))]
Word = Annotated[str, Form(max_length=60)]
Text = Annotated[str, Form(max_length=4000)]


@router.get("")
async def index(request: Request, _: Corrector) -> Response:
    """What was proposed and waits."""
    return render(
        request,
        "console/privacy/corrections.html",
        found=await centre_of(request).db.read(corrections.proposals),
        fields=corrections.FIELDS,
    )


@router.post("")
async def correct(
    request: Request,
    staff: Proposer,
    subject: Word,
    subject_id: Annotated[int, Form(ge=1, le=2**53)],
    field: Word,
    new: Text = "",
    why: Text = "",
    back: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Made at once by whoever may, proposed by the others, and then on their own matters alone."""
    page = back if re.fullmatch(r"/console/[a-z]+/\d+", back) else "/console"

    def work(session: Session, now: datetime) -> CorrectionState:
        corrections.value_of(session, subject, subject_id, field)
        if not staff.may(Function.CORRECT_RECORD, *MAKES) and not _own(session, subject, subject_id, staff.staff_id):
            raise RefusedError("not_allowed")
        return corrections.correct(session, subject, subject_id, field, new, why, staff=staff, now=now)

    return await change(
        request, page, work, lambda state: "corrected" if state is CorrectionState.MADE else "correction_proposed"
    )


def _own(session: Session, subject: str, subject_id: int, staff_id: int) -> bool:
    if subject == "contact":
        return own_contact(session, subject_id, staff_id)
    return corrections.own_matter(session, subject, subject_id, staff_id)


@router.post("/{correction_id}")
async def decide(
    request: Request, correction_id: int, staff: Corrector, yes: Annotated[bool, Form()] = False
) -> Response:
    return await change(
        request,
        corrections.PAGE,
        lambda s, now: corrections.decide(s, correction_id, yes=yes, staff=staff, now=now),
    )
