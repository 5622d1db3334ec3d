"""Drills: which are due, how the latest went (REQ-F54, F55)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.console.door import centre_of, render, require
from bot.console.queries.incidents import DrillRow, drill_rows
from bot.services.incidents import drills
from bot.services.incidents.drills import Drill
from bot.services.incidents.incident_types import catalogue
from bot.services.permissions import Function
from bot.services.staffing.staff import SignedIn

router = APIRouter(prefix="/console/incidents/drills", include_in_schema=False)


@router.get("")
async def show(request: Request, _: Annotated[SignedIn, Depends(require(Function.OPEN_INCIDENT))]) -> Response:
    centre = centre_of(request)

    def look(session: Session) -> tuple[list[Drill], list[DrillRow]]:
        return drills.due(session, centre), drill_rows(session)

    due, rows = await centre.db.read(look)
    return render(
        request,
        "console/drills.html",
        due=due,
        rows=rows,
        types=catalogue(centre).types,
        every=catalogue(centre).drills.every,
        at_hand=centre.clock.now(),
    )
