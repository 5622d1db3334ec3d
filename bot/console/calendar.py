"""The calendar of calls: a month with its windows, holidays and days without calls; days are blocked and unblocked."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

from babel.dates import format_date, format_skeleton
from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import Response

from bot.console.callbacks import plan_names
from bot.console.door import centre_of, language_of, refuse, render, require, see_other
from bot.console.queries.month import month_of
from bot.console.times import day_of
from bot.core.windows import local_date
from bot.services import days
from bot.services.permissions import Function
from bot.services.staffing.staff import SignedIn

router = APIRouter(prefix="/console/callbacks/calendar", include_in_schema=False)

Sees = Annotated[SignedIn, Depends(require(Function.MANAGE_CALLBACKS))]
Blocks = Annotated[SignedIn, Depends(require(Function.EDIT_POLICIES))]
PAGE = "/console/callbacks/calendar"


@router.get("")
async def show(
    request: Request,
    _: Sees,
    month: Annotated[str, Query(max_length=20)] = "",
    plan: Annotated[str, Query(max_length=60)] = "",
) -> Response:
    centre = centre_of(request)
    zone, shelf, language = centre.settings.timezone, centre.library.current, language_of(request)
    today = local_date(centre.clock.now(), zone)
    first = (day_of(f"{month}-01") or today).replace(day=1)
    names = plan_names(request)
    wanted = plan if plan in names else next(id_ for id_, each in shelf.policies.plans.items() if each.calls)
    weeks = await centre.db.read(
        lambda s: month_of(s, shelf.policies, days.calendar(s, centre), first, zone, today, wanted)
    )
    return render(
        request,
        "console/callbacks/calendar.html",
        weeks=weeks,
        first=first,
        month_name=format_skeleton("yMMMM", first, locale=language.value),
        weekdays=[format_date(each.day, "EEE", locale=language.value) for each in weeks[0]],
        centre_zone=zone,
        before=(first - timedelta(days=1)).replace(day=1),
        after=(first + timedelta(days=31)).replace(day=1),
        today=today,
        plan=wanted,
        plan_names=names,
        seasons_unset=shelf.policies.seasons.summer_start is None,
    )


@router.post("/block")
async def block(
    request: Request, staff: Blocks, day: Annotated[date, Form()], text: Annotated[str, Form(max_length=2000)] = ""
) -> Response:
    """Calls nobody on a day (REQ-A22: whoever edits windows and holidays)."""
    if not text.strip():
        return refuse(request, _back(day), "reason_missing", status=422)
    centre = centre_of(request)
    now = centre.clock.now()
    await centre.db.write(lambda s: days.block(s, day, text.strip(), staff_id=staff.staff_id, now=now))
    return see_other(_back(day), "saved")


@router.post("/unblock")
async def unblock(request: Request, staff: Blocks, day: Annotated[date, Form()]) -> Response:
    centre = centre_of(request)
    now = centre.clock.now()
    await centre.db.write(lambda s: days.unblock(s, day, staff_id=staff.staff_id, now=now))
    return see_other(_back(day), "saved")


def _back(day: date) -> str:
    return f"{PAGE}?month={day:%Y-%m}"
