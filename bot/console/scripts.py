"""The scripts as they run: every flow by pack, each as a diagram with this week's traffic, and taking edits over."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from starlette.responses import Response

from bot.console.door import centre_of, render, require, see_other
from bot.console.flow_chart import chart, steps_of
from bot.console.script_words import PACKS, Reader
from bot.core.book import Flow
from bot.services.conversation import branches
from bot.services.permissions import Function
from bot.services.reload import reload
from bot.services.staffing.staff import SignedIn

router = APIRouter(prefix="/console/scripts", include_in_schema=False)
Looking = Annotated[SignedIn, Depends(require(Function.SEE_REPORTS))]
Keeper = Annotated[SignedIn, Depends(require(Function.EDIT_POLICIES))]
WeeksAgo = Annotated[int, Query(ge=0, le=8)]


@router.get("")
async def index(request: Request, _: Looking, ago: WeeksAgo = 0) -> Response:
    """Every flow, by pack."""
    centre = centre_of(request)
    monday = branches.week_of(centre.clock.now(), centre.settings.zone, ago=ago)
    counts = await centre.db.read(lambda session: branches.by_flow(session, monday))
    reader = _reader(request)
    packs: dict[str, list[Flow]] = {}
    for flow in sorted(reader.book.flows.values(), key=lambda flow: (-counts.get(flow.id, 0), flow.id)):
        packs.setdefault(flow.pack, []).append(flow)
    order = [*(pack for pack in PACKS if pack in packs), *sorted(packs.keys() - PACKS.keys())]
    return render(
        request,
        "console/scripts.html",
        packs=[(pack, packs[pack]) for pack in order],
        counts=counts,
        starts=_starts(reader),
        **_common(request, reader, monday, ago),
    )


@router.post("/reload")
async def take_over(request: Request, _: Keeper) -> Response:
    """Reads the files at once; the page shows what is wrong with them."""
    centre = centre_of(request)
    new = await reload(centre)
    broken = bool(centre.library.refused)
    return see_other("/console/scripts", "scripts_broken" if broken else "scripts_new" if new else "scripts_same")


@router.get("/{flow_id}")
async def show(request: Request, _: Looking, flow_id: str, ago: WeeksAgo = 0) -> Response:
    """One flow as a diagram and, for readers of text and narrow screens, as a list of its steps."""
    centre = centre_of(request)
    reader = _reader(request)
    flow = reader.book.flows.get(flow_id)
    if flow is None:
        raise HTTPException(404)
    monday = branches.week_of(centre.clock.now(), centre.settings.zone, ago=ago)
    traffic = await centre.db.read(lambda session: branches.traffic(session, flow, monday))
    steps = steps_of(flow, traffic, reader)
    return render(
        request,
        "console/flow.html",
        flow=flow,
        traffic=traffic,
        steps=steps,
        chart=chart(steps, traffic, reader),
        starts=_starts(reader).get(flow_id, ()),
        **_common(request, reader, monday, ago),
    )


def _reader(request: Request) -> Reader:
    return Reader(centre_of(request).library.current.book, request.app.state.look.language(request))


def _starts(reader: Reader) -> dict[str, list[str]]:
    """The intents that start each flow."""
    found: dict[str, list[str]] = {}
    for intent, triggers in reader.book.triggers.items():
        for trigger in triggers:
            found.setdefault(trigger.flow, []).append(intent)
    return found


def _common(request: Request, reader: Reader, monday: Any, ago: int) -> dict[str, Any]:
    return {"reader": reader, "monday": monday, "ago": ago, "problems": centre_of(request).library.refused}
