"""Canned replies: the page where they are kept, and what is offered in a conversation by "/"."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import JSONResponse, Response

from bot.console.conversations import OnTheFloor, look
from bot.console.door import centre_of, change, render, require
from bot.services.desk import canned
from bot.services.desk.canned import BLANKS
from bot.services.intents import known_intents
from bot.services.permissions import Function
from bot.services.staffing.staff import SignedIn

router = APIRouter(prefix="/console", include_in_schema=False)
Keeping = Annotated[SignedIn, Depends(require(Function.SUPERVISE_FLOOR))]
Words = Annotated[str, Form(max_length=8000)]
Short = Annotated[str, Form(max_length=80)]
PAGE = "/console/canned"


@router.get("/canned")
async def page(request: Request, _: OnTheFloor) -> Response:
    """All of them; leaders and supervisors change them."""
    replies = await centre_of(request).db.read(canned.everything)
    return render(request, "console/canned.html", replies=replies, blanks=BLANKS, intents=known_intents())


@router.post("/canned")
async def add(
    request: Request, staff: Keeping, shortcut: Short = "", intent: Short = "", zh: Words = "", en: Words = ""
) -> Response:
    return await change(
        request,
        PAGE,
        lambda session, now: canned.keep(session, None, shortcut, intent, zh, en, staff_id=staff.staff_id, now=now),
    )


@router.post("/canned/{reply_id}")
async def edit(
    request: Request,
    staff: Keeping,
    reply_id: int,
    shortcut: Short = "",
    intent: Short = "",
    zh: Words = "",
    en: Words = "",
) -> Response:
    return await change(
        request,
        PAGE,
        lambda session, now: canned.keep(session, reply_id, shortcut, intent, zh, en, staff_id=staff.staff_id, now=now),
    )


@router.post("/canned/{reply_id}/drop")
async def drop(request: Request, staff: Keeping, reply_id: int) -> Response:
    return await change(
        request, PAGE, lambda session, now: canned.drop(session, reply_id, staff_id=staff.staff_id, now=now)
    )


@router.get("/conversations/{conversation_id}/canned")
async def offers(request: Request, conversation_id: int, staff: OnTheFloor) -> Response:
    """[{shortcut, text, fits}] with the blanks filled in."""
    centre = centre_of(request)
    await look(request, conversation_id, staff)
    found = await centre.db.read(lambda session: canned.offers(session, centre, conversation_id, staff.staff_id))
    return JSONResponse([asdict(offer) for offer in found])
