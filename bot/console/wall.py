"""The wall: open incidents from across the room, dark, live, and nothing to press (REQ-F06, F59)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from bot.console.door import centre_of, fragment, render, require
from bot.console.incidents import pace_of
from bot.console.live import live
from bot.console.queries.incidents import wall
from bot.core.words import Role
from bot.services.incidents.incident_types import catalogue
from bot.services.incidents.incident_words import GRADES, PLANS
from bot.services.permissions import Function
from bot.services.staffing.staff import SignedIn

router = APIRouter(prefix="/console/incidents/wall", include_in_schema=False)
Reader = Annotated[SignedIn, Depends(require(Function.OPEN_INCIDENT))]


async def _context(request: Request) -> dict[str, Any]:
    centre = centre_of(request)
    now = centre.clock.now()
    return {
        "rows": await centre.db.read(lambda session: wall(session, now)),
        "types": catalogue(centre).types,
        "plans": PLANS,
        "grades": GRADES,
        "role_of": Role,
        "at_hand": now,
        "pace": pace_of(centre),
    }


@router.get("")
async def show(request: Request, _: Reader) -> Response:
    return render(request, "console/wall.html", **await _context(request))


@router.get("/events")
async def events(request: Request, _: Reader) -> Response:
    async def draw(_: SignedIn) -> Mapping[str, str]:
        return {"wall": fragment(request, "console/wall/rows.html", **await _context(request))}

    return live(request, ("incidents", "broadcasts"), draw)
