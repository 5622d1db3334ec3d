"""Two contacts, one person? Offered side by side; a colleague decides, and what was decided can be undone."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.console.door import centre_of, change, render, require
from bot.console.queries.people import Card, Pair, card, find_contacts, pairs
from bot.console.queries.timeline import Moment, timeline
from bot.services import contacts, merging
from bot.services.permissions import Function
from bot.services.staffing.staff import SignedIn
from store.tables import Contact, Merge

router = APIRouter(prefix="/console/merges", include_in_schema=False)
Deciding = Annotated[SignedIn, Depends(require(Function.HANDLE_QUEUE))]
Supervising = Annotated[SignedIn, Depends(require(Function.SUPERVISE_FLOOR))]


@router.get("")
async def index(request: Request, staff: Deciding, contact: int | None = None) -> Response:
    """Every pair that waits, or those of one contact."""
    now = centre_of(request).clock.now()

    def read(session: Session) -> list[Pair]:
        return pairs(session, merging.open_offers(session, contact), staff, now)

    return render(request, "console/merges.html", pairs=await centre_of(request).db.read(read))


@router.get("/find")
async def find(
    request: Request, staff: Deciding, contact: int, q: Annotated[str, Query(max_length=200)] = ""
) -> Response:
    """Looks for the other one by hand: by telephone number, case number or name."""
    now = centre_of(request).clock.now()

    def read(session: Session) -> tuple[Card, list[Card]] | None:
        if session.get(Contact, contact) is None:
            return None
        one = contacts.survivor(session, contact)
        others = [each for each in find_contacts(session, q) if each != one]
        return card(session, one, staff, now), [card(session, each, staff, now) for each in others]

    found = await centre_of(request).db.read(read)
    if found is None:
        raise HTTPException(404)
    return render(request, "console/merge_find.html", one=found[0], found=found[1], q=q)


@router.post("")
async def propose(
    request: Request, _: Deciding, one: Annotated[int, Form()], other: Annotated[int, Form()]
) -> Response:
    """Puts two contacts side by side; nothing is merged yet."""

    def work(session: Session, now: datetime) -> int:
        return merging.propose(session, session.get_one(Contact, one).id, session.get_one(Contact, other).id, now)

    return await change(request, f"/console/contacts/{one}", work, None, back=_page)


@router.get("/{merge_id}")
async def show(request: Request, staff: Deciding, merge_id: int) -> Response:
    now = centre_of(request).clock.now()

    def read(session: Session) -> dict[str, Any] | None:
        found = session.get(Merge, merge_id)
        if found is None:
            return None
        (pair,) = pairs(session, [found], staff, now)
        return {"pair": pair, "sides": [(side, _moments(session, side)) for side in (pair.kept, pair.other)]}

    found = await centre_of(request).db.read(read)
    if found is None:
        raise HTTPException(404)
    return render(request, "console/merge.html", **found)


@router.post("/{merge_id}/accept")
async def accept(request: Request, staff: Deciding, merge_id: int) -> Response:
    return await change(
        request, _page(merge_id), lambda s, now: merging.accept(s, merge_id, staff.staff_id, now), "merged"
    )


@router.post("/{merge_id}/decline")
async def decline(request: Request, staff: Deciding, merge_id: int) -> Response:
    return await change(
        request, _page(merge_id), lambda s, now: merging.decline(s, merge_id, staff.staff_id, now), "merge_declined"
    )


@router.post("/{merge_id}/undo")
async def undo(request: Request, staff: Supervising, merge_id: int) -> Response:
    return await change(
        request, _page(merge_id), lambda s, now: merging.undo(s, merge_id, staff.staff_id, now), "merge_undone"
    )


def _moments(session: Session, side: Card) -> tuple[Moment, ...]:
    """The latest of a contact's own past, not of who they became."""
    return timeline(session, [side.id])[:8]


def _page(merge_id: int) -> str:
    return f"/console/merges/{merge_id}"
