"""The roster: a week's grid, gaps, swaps, the contact list with its telephones, and a copy to print (REQ-F03, F04)."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.console.door import centre_of, change, refuse, render, require
from bot.console.queries.roster import contact_list, swaps_of, week
from bot.console.times import day_of
from bot.core.roster import ShiftKind, SwapState
from bot.core.windows import local_date
from bot.services import contacts, i18n
from bot.services.escalation import roster
from bot.services.permissions import Function
from bot.services.staffing.staff import SignedIn
from store.tables import NumberKind

router = APIRouter(prefix="/console/roster", include_in_schema=False)
Anybody = Annotated[SignedIn, Depends(require())]
Editing = Annotated[SignedIn, Depends(require(Function.EDIT_POLICIES))]
Short = Annotated[str, Form(max_length=200)]
HOME = "/console/roster"


@router.get("")
async def index(request: Request, staff: Anybody, day: Annotated[str, Query(max_length=10)] = "") -> Response:
    """Everybody of the staff reads it; supervisors and managers edit."""
    return await _page(request, staff, "console/roster.html", day)


@router.get("/print")
async def printed(request: Request, staff: Anybody, day: Annotated[str, Query(max_length=10)] = "") -> Response:
    """A copy for the wall of the duty room, for when nothing works (REQ-F03). Numbers in full are supervisors'."""
    return await _page(request, staff, "console/roster_print.html", day)


async def _page(request: Request, staff: SignedIn, template: str, day: str) -> Response:
    centre = centre_of(request)
    now, zone, shelf = centre.clock.now(), centre.settings.timezone, centre.library.current
    shown = day_of(day) or local_date(now, zone)
    monday = shown - timedelta(days=shown.weekday())
    start, end = (_instant(monday + timedelta(days=n), time(0), zone) for n in (0, 7))
    edits = staff.may(Function.EDIT_POLICIES)

    def read(session: Session) -> dict[str, Any]:
        return {
            "rows": week(session, monday, zone),
            "ahead": roster.gaps(session, shelf.policies, shelf.calendar, *_ahead(start, end, now)),
            "people": contact_list(session, full=edits),
            "swaps": swaps_of(session, staff, now),
            "colleagues": roster.colleagues(session),
        }

    return render(
        request,
        template,
        **await centre.db.read(read),
        heads=[i18n.weekday(request.app.state.look.language(request), monday + timedelta(days=n)) for n in range(7)],
        days=[monday + timedelta(days=n) for n in range(7)],
        today=local_date(now, zone),
        before=monday - timedelta(days=7),
        after=monday + timedelta(days=7),
        edits=edits,
        kinds=list(ShiftKind),
        number_kinds=list(NumberKind),
    )


def _ahead(start: datetime, end: datetime, now: datetime) -> tuple[datetime, datetime]:
    """Where gaps are looked for: in the week shown, and from this one on for a whole week more."""
    if start <= now < end:
        return now, now + timedelta(days=7)
    return max(start, now), max(end, now)


def _instant(day: date, at: time, zone: str) -> datetime:
    return datetime.combine(day, at, ZoneInfo(zone))


@router.post("/shifts")
async def add_shift(
    request: Request,
    staff: Editing,
    person: Annotated[int, Form()],
    kind: Annotated[ShiftKind, Form()],
    day: Annotated[str, Form(max_length=10)],
    start: Annotated[str, Form(max_length=5)] = "00:00",
    end: Annotated[str, Form(max_length=5)] = "00:00",
    days: Annotated[int, Form(ge=1, le=14)] = 1,
    note: Short = "",
) -> Response:
    """The same hours on so many days; an end that is not after the start is of the next day."""
    zone, first = centre_of(request).settings.timezone, day_of(day)
    try:
        begins, ends = time.fromisoformat(start), time.fromisoformat(end)
    except ValueError:
        return refuse(request, HOME, "time_bad", status=422)
    if first is None:
        return refuse(request, HOME, "time_bad", status=422)

    def work(session: Session, now: datetime) -> None:
        for n in range(days):
            on = first + timedelta(days=n)
            until = on if ends > begins else on + timedelta(days=1)
            roster.add_shift(
                session,
                person,
                kind,
                _instant(on, begins, zone),
                _instant(until, ends, zone),
                by_staff_id=staff.staff_id,
                now=now,
                note=note,
            )

    return await change(request, f"{HOME}?day={first}", work)


@router.post("/shifts/{shift_id}/cancel")
async def cancel_shift(request: Request, staff: Editing, shift_id: int) -> Response:
    return await change(
        request, HOME, lambda session, now: roster.cancel_shift(session, shift_id, by_staff_id=staff.staff_id, now=now)
    )


@router.post("/shifts/{shift_id}/swap")
async def ask_swap(
    request: Request, staff: Anybody, shift_id: int, of: Annotated[int, Form()], why: Short = ""
) -> Response:
    centre = centre_of(request)
    return await change(
        request,
        HOME,
        lambda session, now: roster.ask_swap(
            session, centre, shift_id, of, by_staff_id=staff.staff_id, why=why, now=now
        ),
    )


@router.post("/swaps/{swap_id}")
async def move_swap(request: Request, staff: Anybody, swap_id: int, to: Annotated[SwapState, Form()]) -> Response:
    centre = centre_of(request)
    return await change(
        request,
        HOME,
        lambda session, now: roster.move_swap(session, centre, swap_id, to, by_staff_id=staff.staff_id, now=now),
    )


@router.post("/numbers")
async def set_number(
    request: Request,
    staff: Editing,
    person: Annotated[int, Form()],
    kind: Annotated[NumberKind, Form()],
    number: Annotated[str, Form(max_length=30)] = "",
    all_hours: Annotated[bool, Form()] = False,
) -> Response:
    zone = centre_of(request).settings.timezone

    def work(session: Session, now: datetime) -> None:
        by = staff.staff_id
        roster.set_number(session, person, kind, number, zone=zone, now=now, by_staff_id=by, all_hours=all_hours)

    try:
        return await change(request, HOME, work)
    except contacts.BadPhoneError:
        return refuse(request, HOME, "phone_bad", status=422)


@router.post("/numbers/{number_id}/verified")
async def verified(request: Request, staff: Editing, number_id: int) -> Response:
    return await change(
        request,
        HOME,
        lambda session, now: roster.verify_number(session, number_id, by_staff_id=staff.staff_id, now=now),
    )
