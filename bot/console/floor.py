"""The floor: who waits, what I hold, open cases, alerts; kept live, and claimed from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from bot.console.door import SECTIONS, centre_of, fragment, render, require, see_other
from bot.console.live import live
from bot.console.queries.floor import Floor, floor
from bot.core.words import Presence
from bot.services import staff as staff_service
from bot.services.permissions import Function
from bot.services.staff import SignedIn

router = APIRouter(prefix="/console", include_in_schema=False)
PARTS = ("alerts", "queue", "mine", "others", "cases")
Anybody = Annotated[SignedIn, Depends(require())]
OnTheFloor = Annotated[SignedIn, Depends(require(Function.HANDLE_QUEUE))]


async def _floor(request: Request, staff: SignedIn) -> Floor:
    return await centre_of(request).db.read(lambda session: floor(session, staff))


@router.get("")
async def console(request: Request, staff: Anybody) -> Response:
    """The first room of whoever comes in: the floor, or where else their work is."""
    if not staff.may(Function.HANDLE_QUEUE):
        room = next((address for address, _, function in SECTIONS if staff.may(function)), "/console/me")
        return RedirectResponse(room, 303)
    return render(request, "console/floor.html", floor=await _floor(request, staff), parts=PARTS)


@router.get("/events")
async def events(request: Request, _: OnTheFloor) -> Response:
    async def draw(staff: SignedIn) -> Mapping[str, str]:
        seen = await _floor(request, staff)
        return {part: fragment(request, f"console/floor/{part}.html", floor=seen) for part in PARTS}

    return live(request, ("floor",), draw)


@router.post("/presence")
async def presence(request: Request, staff: Anybody, presence: Annotated[Presence, Form()]) -> Response:
    centre = centre_of(request)
    now = centre.clock.now()
    await centre.db.write(lambda session: staff_service.set_presence(session, staff.staff_id, presence, now=now))
    return see_other("/console")
