"""What is done with a repair order at its case page: a step, free or charged, quotation, consent, parcels, a visit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.console import door
from bot.console.door import centre_of, require
from bot.core.repair import RepairRefused
from bot.core.words import RepairStage
from bot.services import contacts
from bot.services.casework import repairs, visits
from bot.services.casework.repairs import Quotation, cents
from bot.services.permissions import Function
from bot.services.refusal import RefusedError
from bot.services.staffing.staff import SignedIn
from store.tables import Case, Contact, Conversation

router = APIRouter(prefix="/console/repairs", include_in_schema=False)
OnTheFloor = Annotated[SignedIn, Depends(require(Function.HANDLE_QUEUE))]
Amount = Annotated[str, Form(max_length=20)]
Line = Annotated[str, Form(max_length=200)]
Work = Callable[[Session, datetime], object]


@router.post("/{case_id}/stage")
async def stage(request: Request, case_id: int, staff: OnTheFloor, to: Annotated[RepairStage, Form()]) -> Response:
    """One step on; a cancelled order's visit is called off with it."""
    centre = centre_of(request)

    def work(session: Session, now: datetime) -> None:
        visit = visits.open_visit(session, case_id)
        if to is RepairStage.CANCELLED and visit is not None:
            visits.cancel(session, centre, visit.id, now=now, staff_id=staff.staff_id)
        repairs.advance(session, centre, case_id, to, roles=staff.roles, now=now, staff_id=staff.staff_id)

    return await change(request, page_of(case_id), work, "stage_changed")


@router.post("/{case_id}/charge")
async def charge(request: Request, case_id: int, staff: OnTheFloor, charged: Annotated[bool, Form()]) -> Response:
    return await change(
        request,
        page_of(case_id),
        lambda s, now: repairs.decide_charge(s, case_id, charged, staff_id=staff.staff_id, now=now),
        "saved",
    )


@router.post("/{case_id}/quote")
async def quote(
    request: Request, case_id: int, staff: OnTheFloor, parts: Amount = "", labour: Amount = "", travel: Amount = ""
) -> Response:
    centre = centre_of(request)

    def work(session: Session, now: datetime) -> None:
        what = Quotation(cents(parts), cents(labour), cents(travel))
        repairs.quote(session, centre, case_id, what, roles=staff.roles, staff_id=staff.staff_id, now=now)

    return await change(request, page_of(case_id), work, "quoted")


@router.post("/{case_id}/consent")
async def consent(request: Request, case_id: int, staff: OnTheFloor, how: Line = "") -> Response:
    centre = centre_of(request)
    return await change(
        request,
        page_of(case_id),
        lambda s, now: repairs.consent(s, centre, case_id, how, roles=staff.roles, staff_id=staff.staff_id, now=now),
        "consented",
    )


@router.post("/{case_id}/track")
async def track(request: Request, case_id: int, staff: OnTheFloor, to_us: Line = "", back: Line = "") -> Response:
    return await change(
        request,
        page_of(case_id),
        lambda s, now: repairs.track(s, case_id, to_us=to_us, back=back, staff_id=staff.staff_id, now=now),
        "saved",
    )


@router.post("/{case_id}/visit")
async def book(request: Request, case_id: int, staff: OnTheFloor, at: Line) -> Response:
    """A visit agreed by telephone; the customer is reminded where they last wrote."""
    centre, wish = centre_of(request), moment(at)

    def work(session: Session, now: datetime) -> None:
        case = session.get_one(Case, case_id)
        contact = session.get_one(Contact, contacts.survivor(session, case.contact_id))
        talk = session.get(Conversation, case.conversation_id) if case.conversation_id else None
        visits.book(
            session, centre, case_id, wish, where=contacts.unit_of(session, contact),
            address_id=talk.address_id if talk else None, now=now, staff_id=staff.staff_id,
        )  # fmt: skip

    return await change(request, page_of(case_id), work, "visit_agreed")


def page_of(case_id: int) -> str:
    return f"/console/cases/{case_id}"


def moment(text: str) -> datetime:
    """An instant a form carries, as ISO 8601 with offset."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise HTTPException(422) from error
    if at.tzinfo is None:
        raise HTTPException(422)
    return at


async def change(request: Request, page: str, work: Work, done: str) -> Response:
    """As the door does it; what an order's rules forbid is refused too."""

    def ruled(session: Session, now: datetime) -> None:
        try:
            work(session, now)
        except RepairRefused as refused:
            raise RefusedError(refused.code) from refused

    return await door.change(request, page, ruled, done)
