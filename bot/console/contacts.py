"""Contacts: search, and one person with their one timeline."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse, Response

from bot.console.door import centre_of, render, require
from bot.console.queries.people import Card, card, find_contacts
from bot.console.queries.timeline import Moment, timeline
from bot.services import audit, contacts
from bot.services.permissions import Function
from bot.services.staff import SignedIn
from store.tables import Contact

router = APIRouter(prefix="/console/contacts", include_in_schema=False)
Staffed = Annotated[SignedIn, Depends(require(Function.SEE_CONTACT))]


@router.get("")
async def search(request: Request, staff: Staffed, q: Annotated[str, Query(max_length=200)] = "") -> Response:
    """By telephone number, case number or name."""

    def read(session: Session) -> list[Card]:
        return [card(session, contact_id, staff) for contact_id in find_contacts(session, q)]

    found = await centre_of(request).db.read(read)
    if len(found) == 1:
        return RedirectResponse(f"/console/contacts/{found[0].id}", 303)
    return render(request, "console/contacts.html", found=found, q=q)


@router.get("/{contact_id}")
async def show(request: Request, contact_id: int, staff: Staffed) -> Response:
    centre = centre_of(request)
    now = centre.clock.now()

    def read(session: Session) -> tuple[Card, tuple[Moment, ...]] | None:
        if session.get(Contact, contact_id) is None:
            return None
        people = contacts.same_person(session, contact_id)
        return card(session, people[0], staff), timeline(session, people)

    found = await centre.db.read(read)
    if found is None:
        raise HTTPException(404)
    who, moments = found
    if who.full:
        await centre.db.write(
            lambda session: audit.record(session, "contact.seen", "contact", who.id, now=now, staff_id=staff.staff_id)
        )
    return render(request, "console/contact.html", card=who, moments_of=moments)
