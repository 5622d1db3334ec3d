"""Next steps: the report owner gives, chases and sees results; whoever was asked closes them (REQ-A11, C17)."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.console.door import centre_of, change, render, require
from bot.console.queries.office import assignable
from bot.console.queries.steps import PAGE, StepsView, counted, steps
from bot.core.windows import local_date
from bot.services.permissions import Function
from bot.services.plans import next_steps
from bot.services.staffing.staff import SignedIn

router = APIRouter(prefix="/console/steps", include_in_schema=False)
Sees = Annotated[SignedIn, Depends(require(Function.SEE_NEXT_STEPS))]
Assigns = Annotated[SignedIn, Depends(require(Function.ASSIGN_NEXT_STEP))]
Text = Annotated[str, Form(max_length=4000)]
Day = Annotated[date, Form()]
HOME = "/console/steps"


@router.get("")
async def index(
    request: Request, staff: Sees, view: StepsView | None = None, page: Annotated[int, Query(ge=1, le=10_000)] = 1
) -> Response:
    """One's own steps; whoever assigns them sees everybody's."""
    centre = centre_of(request)
    today = local_date(centre.clock.now(), centre.settings.timezone)
    assigns = staff.may(Function.ASSIGN_NEXT_STEP)
    shown = (view or StepsView.OPEN) if assigns else StepsView.MINE

    def read(session: Session) -> dict[str, Any]:
        counts = counted(session, staff.staff_id, today)
        return {
            "rows": steps(session, shown, staff.staff_id, today, page=page),
            "counts": counts,
            "pages": max(1, -(-counts[shown] // PAGE)),
            "colleagues": assignable(session) if assigns else (),
        }

    return render(request, "console/steps.html", view=shown, page=page, assigns=assigns, **await centre.db.read(read))


@router.post("")
async def give(
    request: Request,
    staff: Assigns,
    owner: Annotated[int, Form()],
    due_on: Day,
    what: Text = "",
    callback: Annotated[list[int], Form()] = [],  # noqa: B006 - FastAPI copies it
    back: Annotated[str, Form(max_length=300)] = "",
) -> Response:
    """Gives the rows that were ticked in the report to somebody."""
    page = back if back.startswith("/console/reports?") else HOME
    return await change(
        request,
        page,
        lambda session, now: next_steps.add(
            session, callback, owner_id=owner, what=what, due_on=due_on, staff_id=staff.staff_id, now=now
        ),
        "handed_out",
    )


@router.post("/{step_id}/finish")
async def finish(request: Request, staff: Sees, step_id: int, result: Text = "") -> Response:
    assigns = staff.may(Function.ASSIGN_NEXT_STEP)
    return await change(
        request,
        HOME,
        lambda session, now: next_steps.finish(
            session, step_id, result, staff_id=staff.staff_id, anybodys=assigns, now=now
        ),
    )


@router.post("/{step_id}/change")
async def edit(request: Request, staff: Assigns, step_id: int, owner: Annotated[int, Form()], due_on: Day) -> Response:
    return await change(
        request,
        HOME,
        lambda session, now: next_steps.change(
            session, step_id, owner_id=owner, due_on=due_on, staff_id=staff.staff_id, now=now
        ),
    )


@router.post("/{step_id}/chase")
async def chase(request: Request, staff: Assigns, step_id: int) -> Response:
    return await change(
        request,
        HOME,
        lambda session, now: next_steps.chase(session, step_id, staff_id=staff.staff_id, now=now),
        "chased",
    )
