"""Contacts: one person with their one timeline."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse, Response

from bot.console.door import centre_of, change, render, require
from bot.console.queries.archive import marks_of
from bot.console.queries.people import Card, card
from bot.console.queries.timeline import timeline
from bot.core.actions import STOP_SCOPES
from bot.core.retention import HoldSubject
from bot.services import audit, contacts
from bot.services import tags as labels
from bot.services.calls import callbacks
from bot.services.permissions import Function
from bot.services.records import privacy_requests, unmasking
from bot.services.staffing.staff import SignedIn
from store.tables import Contact

router = APIRouter(prefix="/console/contacts", include_in_schema=False)
Staffed = Annotated[SignedIn, Depends(require(Function.SEE_CONTACT))]
Handles = Annotated[SignedIn, Depends(require(Function.HANDLE_QUEUE))]
SCOPES = (*STOP_SCOPES, "recording")  # what a consent may be about
BY_STAFF = "told staff"  # and the id of who wrote it down
Unmasks = Annotated[SignedIn, Depends(require(Function.SEE_CONTACT, *unmasking.MAY))]


@router.get("")
async def search(_: Staffed, q: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Contacts are found with everything else."""
    return RedirectResponse(f"/console/search?{urlencode({'q': q})}", 303)


@router.get("/{contact_id}")
async def show(request: Request, contact_id: int, staff: Staffed) -> Response:
    centre = centre_of(request)
    now = centre.clock.now()

    def read(session: Session) -> dict[str, Any] | None:
        if session.get(Contact, contact_id) is None:
            return None
        people = contacts.same_person(session, contact_id)
        return {
            "card": card(session, people[0], staff, now),
            "moments_of": timeline(session, people),
            "looks": unmasking.looks(session, contact_id=people[0]) if oversees(staff) else (),
            "found": privacy_requests.listed(session, contact_id=people[0]),
            "consents": contacts.consent_history(session, people[0]),
            "known_tags": labels.known(session),
            "erased_at": session.get_one(Contact, people[0]).erased_at,
        }

    found = await centre.db.read(read)
    if found is None:
        raise HTTPException(404)
    who: Card = found["card"]
    marks = await centre.db.read(lambda session: marks_of(session, HoldSubject.CONTACT, None, who.id))
    if who.full:
        await centre.db.write(
            lambda session: audit.record(session, "contact.seen", "contact", who.id, now=now, staff_id=staff.staff_id)
        )
    return render(
        request,
        "console/contact.html",
        **found,
        marks=marks,
        request_names=privacy_requests.NAMES,
        scopes=SCOPES,
        today=now.astimezone(centre.settings.zone).date(),
    )


@router.post("/{contact_id}/unmask")
async def unmask(
    request: Request,
    contact_id: int,
    staff: Unmasks,
    reason: Annotated[str, Form(max_length=24)] = "",
    note: Annotated[str, Form(max_length=400)] = "",
    back: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Shows the numbers and addresses for a while, on the page it was asked from."""
    centre = centre_of(request)
    page = back if re.fullmatch(r"/console/[a-z]+/\d+", back) else f"/console/contacts/{contact_id}"
    return await change(
        request,
        page,
        lambda s, now: unmasking.unmask(
            s, centre, contact_id, staff_id=staff.staff_id, reason=reason, note=note, now=now
        ),
        None,
    )


@router.post("/{contact_id}/consent")
async def consent(
    request: Request,
    contact_id: int,
    staff: Handles,
    scope: Annotated[str, Form(max_length=24)],
    granted: Annotated[bool, Form()] = False,
) -> Response:
    """What the customer said about being contacted, as they told a colleague; calls they no longer want end at once."""
    if scope not in SCOPES:
        raise HTTPException(404)

    def work(session: Session, now: datetime) -> None:
        person = contacts.survivor(session, session.get_one(Contact, contact_id).id)
        contacts.consent(session, person, scope, granted, f"{BY_STAFF} {staff.staff_id}", now)
        session.flush()
        if not granted:
            callbacks.stop(session, person, now)
        audit.record(
            session,
            "contact.consent",
            "contact",
            person,
            now=now,
            staff_id=staff.staff_id,
            scope=scope,
            granted=granted,
        )

    return await change(request, f"/console/contacts/{contact_id}", work)


@router.post("/{contact_id}/tags")
async def tag(
    request: Request, contact_id: int, staff: Handles, tags: Annotated[str, Form(max_length=400)] = ""
) -> Response:
    """Puts free labels on a customer."""

    def work(session: Session, now: datetime) -> None:
        labels.add(session, contact_id, tags, now=now, staff_id=staff.staff_id)

    return await change(request, f"/console/contacts/{contact_id}", work)


@router.post("/{contact_id}/tags/remove")
async def untag(
    request: Request, contact_id: int, staff: Handles, tag: Annotated[str, Form(max_length=100)] = ""
) -> Response:
    """Takes a label off a customer."""

    def work(session: Session, now: datetime) -> None:
        labels.remove(session, contact_id, tag, now=now, staff_id=staff.staff_id)

    return await change(request, f"/console/contacts/{contact_id}", work)


def oversees(staff: SignedIn) -> bool:
    """Whether this person sees who looked."""
    return staff.may(Function.SEE_CONTACT, *unmasking.MAY) or staff.may(Function.SEE_AUDIT)
