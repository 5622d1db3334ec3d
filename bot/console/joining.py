"""Who else takes part in a conversation: handed to a colleague or a queue, somebody called in, joining and leaving."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from starlette.responses import Response

from bot.console.conversations import OnTheFloor, Supervising, look, page_of
from bot.console.door import centre_of, change, refuse
from bot.console.queries.office import assignable
from bot.services.desk import escalations
from bot.services.queues import HANDED

router = APIRouter(prefix="/console/conversations/{conversation_id}", include_in_schema=False)
To = Annotated[str, Form(max_length=60)]
Note = Annotated[str, Form(max_length=1000)]


async def colleagues(request: Request) -> dict[int, str]:
    """Whom a conversation can be given to, by id."""
    return dict(await centre_of(request).db.read(assignable))


@router.post("/transfer")
async def transfer(request: Request, conversation_id: int, staff: OnTheFloor, to: To, note: Note = "") -> Response:
    """`to` is staff:<id> or queue:<name>."""
    centre = centre_of(request)
    kind, _, which = to.partition(":")
    if kind == "queue" and which in HANDED:
        return await change(
            request,
            page_of(conversation_id),
            lambda session, now: escalations.transfer_to_queue(
                session, centre, conversation_id, which, staff.staff_id, now, note
            ),
            "transferred",
            back="/console",
        )
    if kind != "staff" or not which.isdecimal() or int(which) not in await colleagues(request):
        raise HTTPException(404)
    return await change(
        request,
        page_of(conversation_id),
        lambda session, now: escalations.transfer(
            session, centre, conversation_id, int(which), staff.staff_id, now, note
        ),
        "transferred",
        back="/console",
    )


@router.post("/call-in")
async def call_in(request: Request, conversation_id: int, staff: OnTheFloor, to: Annotated[int, Form()]) -> Response:
    """The holder asks a colleague, such as the supervisor, to sit in."""
    if to not in await colleagues(request):
        raise HTTPException(404)
    return await change(
        request,
        page_of(conversation_id),
        lambda session, now: escalations.call_in(session, conversation_id, to, staff.staff_id, now),
        "called_in",
    )


@router.post("/join")
async def join(request: Request, conversation_id: int, staff: Supervising) -> Response:
    """Whoever supervises may sit in unasked."""
    return await change(
        request,
        page_of(conversation_id),
        lambda session, now: escalations.join(session, conversation_id, staff.staff_id, now),
        None,
    )


@router.post("/leave")
async def leave(request: Request, conversation_id: int, staff: OnTheFloor) -> Response:
    found = await look(request, conversation_id, staff)
    if staff.staff_id not in found.joined:
        return refuse(request, "/console", "not_yours")
    return await change(
        request,
        page_of(conversation_id),
        lambda session, now: escalations.leave(session, conversation_id, staff.staff_id, now),
        None,
        back="/console",
    )
