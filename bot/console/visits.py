"""The visits of a day: who, where, when, by whom; moved, called off, marked done or missed."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.console.door import centre_of, render, require
from bot.console.queries.office import assignable
from bot.console.queries.repairs import visits_of
from bot.console.repairs import change, moment, page_of
from bot.console.times import day_of
from bot.core.windows import local_date
from bot.services import audit
from bot.services.casework import visits
from bot.services.permissions import Function
from bot.services.staffing.staff import SignedIn
from store.tables import Visit

router = APIRouter(prefix="/console/visits", include_in_schema=False)
OnTheFloor = Annotated[SignedIn, Depends(require(Function.HANDLE_QUEUE))]
Back = Annotated[date | None, Form()]


@router.get("")
async def index(request: Request, staff: OnTheFloor, day: Annotated[str, Query(max_length=10)] = "") -> Response:
    centre = centre_of(request)
    now, zone = centre.clock.now(), centre.settings.timezone
    today = local_date(now, zone)
    shown = day_of(day) or today
    rows = await centre.db.read(lambda session: visits_of(session, shown, zone, staff))
    if any(row.full and row.where for row in rows):
        await centre.db.write(
            lambda session: audit.record(
                session, "visit.seen", "visit", None, now=now, staff_id=staff.staff_id, day=shown.isoformat()
            )
        )
    return render(
        request,
        "console/visits.html",
        rows=rows,
        shown=shown,
        today=today,
        before=shown - timedelta(days=1),
        after=shown + timedelta(days=1),
    )


@router.post("/{visit_id}/move")
async def move(request: Request, visit_id: int, staff: OnTheFloor, at: Annotated[str, Form(max_length=40)]) -> Response:
    centre, wish = centre_of(request), moment(at)
    return await change(
        request,
        await _page(request, visit_id, None),
        lambda s, now: visits.move(s, centre, visit_id, wish, now=now, staff_id=staff.staff_id),
        "visit_moved",
    )


@router.post("/{visit_id}/cancel")
async def cancel(request: Request, visit_id: int, staff: OnTheFloor) -> Response:
    centre = centre_of(request)
    return await change(
        request,
        await _page(request, visit_id, None),
        lambda s, now: visits.cancel(s, centre, visit_id, now=now, staff_id=staff.staff_id),
        "visit_cancelled",
    )


@router.post("/{visit_id}/done")
async def done(request: Request, visit_id: int, staff: OnTheFloor, day: Back = None) -> Response:
    centre = centre_of(request)
    return await change(
        request,
        await _page(request, visit_id, day),
        lambda s, now: visits.done(s, centre, visit_id, roles=staff.roles, staff_id=staff.staff_id, now=now),
        "visit_done",
    )


@router.post("/{visit_id}/missed")
async def missed(request: Request, visit_id: int, staff: OnTheFloor, day: Back = None) -> Response:
    centre = centre_of(request)
    return await change(
        request,
        await _page(request, visit_id, day),
        lambda s, now: visits.missed(s, centre, visit_id, staff_id=staff.staff_id, now=now),
        "visit_missed",
    )


@router.post("/{visit_id}/assign")
async def assign(request: Request, visit_id: int, staff: OnTheFloor, to: Annotated[int, Form()]) -> Response:
    if to not in dict(await centre_of(request).db.read(assignable)):
        raise HTTPException(404)
    return await change(
        request,
        await _page(request, visit_id, None),
        lambda s, now: visits.assign(s, visit_id, to, staff_id=staff.staff_id, now=now),
        "assigned",
    )


async def _page(request: Request, visit_id: int, day: date | None) -> str:
    """Where the button stood: the day's list, or the case."""
    if day is not None:
        return f"/console/visits?day={day.isoformat()}"

    def case_of(session: Session) -> int | None:
        visit = session.get(Visit, visit_id)
        return visit.case_id if visit else None

    case_id = await centre_of(request).db.read(case_of)
    if case_id is None:
        raise HTTPException(404)
    return page_of(case_id)
