"""One conversation, one screen: the lines, what was understood, who the customer is, what the agent does."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from sqlalchemy.orm import Session
from sse_starlette import ServerSentEvent
from starlette.responses import JSONResponse, Response

from bot.console.door import centre_of, fragment, refuse, render, require, see_other, wants_json
from bot.console.live import live
from bot.console.queries.conversations import Exchange, exchange, names_of_staff, visible
from bot.console.queries.office import assignable
from bot.services import audit, conversations, escalations, facts
from bot.services.conversations import MAX_TEXT, Line
from bot.services.escalations import EscalationRefusedError
from bot.services.inbox import TooLongError, clean
from bot.services.permissions import Function
from bot.services.staff import SignedIn
from bot.services.wrap_up import WRAP_UPS

router = APIRouter(prefix="/console/conversations", include_in_schema=False)
OnTheFloor = Annotated[SignedIn, Depends(require(Function.HANDLE_QUEUE))]
Supervising = Annotated[SignedIn, Depends(require(Function.SUPERVISE_FLOOR))]
Text = Annotated[str, Form(max_length=200_000)]
PARTS = ("head", "actions", "side")
T = TypeVar("T")


async def _look(request: Request, conversation_id: int, staff: SignedIn) -> Exchange:
    """The conversation as `staff` may see it; 404 where there is none, 403 where it is none of their business."""

    def read(session: Session) -> tuple[Exchange | None, bool]:
        return exchange(session, conversation_id, staff), visible(session, conversation_id, staff)

    found, allowed = await centre_of(request).db.read(read)
    if found is None:
        raise HTTPException(404)
    if not allowed:
        raise HTTPException(403)
    return found


async def _lines(request: Request, conversation_id: int, after: int) -> tuple[list[Line], dict[int, str]]:
    return await centre_of(request).db.read(
        lambda session: (
            conversations.transcript(session, conversation_id, after, private=True),
            names_of_staff(session),
        )
    )


@router.get("/{conversation_id}")
async def show(request: Request, conversation_id: int, staff: OnTheFloor) -> Response:
    found = await _look(request, conversation_id, staff)
    lines, people = await _lines(request, conversation_id, 0)
    if found.card.full:
        await _write(request, lambda session, now: _seen(session, found.card.id, staff, now))
    colleagues = await centre_of(request).db.read(assignable)
    return render(
        request,
        "console/conversation.html",
        exchange=found,
        lines=lines,
        people=people,
        colleagues=[(key, name) for key, name in colleagues if key != staff.staff_id],
        max_text=MAX_TEXT,
    )


@router.get("/{conversation_id}/events")
async def events(request: Request, conversation_id: int, staff: OnTheFloor, after: int = 0) -> Response:
    """New lines by their sequence (resumed by Last-Event-ID) and the sections that changed."""
    exchange = await _look(request, conversation_id, staff)
    seen = after
    if (last := request.headers.get("last-event-id", "")).isdecimal():
        seen = max(seen, int(last))

    async def more() -> list[ServerSentEvent]:
        nonlocal seen
        lines, people = await _lines(request, conversation_id, seen)
        seen = lines[-1].seq if lines else seen
        return [
            ServerSentEvent(
                json.dumps(
                    {
                        "seq": line.seq,
                        "author": line.author,
                        "html": fragment(request, "console/line.html", line=line, people=people, exchange=exchange),
                    },
                    ensure_ascii=False,
                ),
                event="line",
                id=str(line.seq),
            )
            for line in lines
        ]

    async def draw(reader: SignedIn) -> Mapping[str, str]:
        found = await _look(request, conversation_id, reader)
        return {part: fragment(request, f"console/conversation/{part}.html", exchange=found) for part in PARTS}

    return live(request, (f"conversation:{conversation_id}", f"typing:{conversation_id}:customer"), draw, more)


# ── what an agent does ──


@router.post("/{conversation_id}/claim")
async def claim(request: Request, conversation_id: int, staff: OnTheFloor) -> Response:
    """Exactly one of two agents wins; the other is told who did."""
    won = await _write(request, lambda session, now: escalations.claim(session, conversation_id, staff.staff_id, now))
    found = await centre_of(request).db.read(lambda session: exchange(session, conversation_id, staff))
    if found is None:
        raise HTTPException(404)
    if won or found.staff_id == staff.staff_id:
        return see_other(_page(conversation_id))
    return refuse(request, "/console", "already_claimed", who=found.agent or "")


@router.post("/{conversation_id}/take-over")
async def take_over(request: Request, conversation_id: int, staff: Supervising) -> Response:
    return await _change(
        request,
        conversation_id,
        lambda session, now: escalations.take_over(session, conversation_id, staff.staff_id, now),
    )


@router.post("/{conversation_id}/say")
async def say(request: Request, conversation_id: int, staff: OnTheFloor, text: Text = "") -> Response:
    centre = centre_of(request)
    return await _write_line(
        request,
        conversation_id,
        text,
        lambda session, now, words: escalations.say(session, centre, conversation_id, staff.staff_id, words, now),
    )


@router.post("/{conversation_id}/note")
async def note(request: Request, conversation_id: int, staff: OnTheFloor, text: Text = "") -> Response:
    """A private line; customers never see it."""
    await _look(request, conversation_id, staff)
    return await _write_line(
        request,
        conversation_id,
        text,
        lambda session, now, words: escalations.note(session, conversation_id, staff.staff_id, words, now),
    )


@router.post("/{conversation_id}/typing")
async def typing(request: Request, conversation_id: int, _: OnTheFloor) -> Response:
    """The customer's page shows that somebody is writing."""
    centre_of(request).live.publish((f"typing:{conversation_id}:agent",))
    return Response(status_code=204)


@router.post("/{conversation_id}/transfer")
async def transfer(request: Request, conversation_id: int, staff: OnTheFloor, to: Annotated[int, Form()]) -> Response:
    allowed = await centre_of(request).db.read(assignable)
    if to not in dict(allowed):
        raise HTTPException(404)
    return await _change(
        request,
        conversation_id,
        lambda session, now: escalations.transfer(session, conversation_id, to, staff.staff_id, now),
        done="transferred",
        to="/console",
    )


@router.post("/{conversation_id}/release")
async def release(request: Request, conversation_id: int, staff: OnTheFloor) -> Response:
    return await _change(
        request,
        conversation_id,
        lambda session, now: escalations.release(session, conversation_id, staff.staff_id, now),
        done="released",
        to="/console",
    )


@router.post("/{conversation_id}/hand-back")
async def hand_back(request: Request, conversation_id: int, staff: OnTheFloor) -> Response:
    return await _change(
        request,
        conversation_id,
        lambda session, now: escalations.hand_back(session, conversation_id, staff.staff_id, now),
        done="handed_back",
        to="/console",
    )


@router.post("/{conversation_id}/close")
async def close(
    request: Request,
    conversation_id: int,
    staff: OnTheFloor,
    wrap_up: Annotated[str, Form(max_length=40)] = "",
    wrap_up_note: Annotated[str, Form(max_length=4000)] = "",
) -> Response:
    centre = centre_of(request)
    code = wrap_up if wrap_up in WRAP_UPS else ""
    return await _change(
        request,
        conversation_id,
        lambda session, now: escalations.close(
            session, centre, conversation_id, staff.staff_id, code, wrap_up_note, now
        ),
        done="wrapped_up",
        to="/console",
    )


def _page(conversation_id: int) -> str:
    return f"/console/conversations/{conversation_id}"


def _seen(session: Session, contact_id: int, staff: SignedIn, now: datetime) -> None:
    """The access log of unmasked contact data (REQ-G14)."""
    audit.record(session, "contact.seen", "contact", contact_id, now=now, staff_id=staff.staff_id)


async def _write(request: Request, work: Callable[[Session, datetime], T]) -> T:
    centre = centre_of(request)
    now = centre.clock.now()
    return await facts.write(centre, lambda session: work(session, now))


async def _change(
    request: Request,
    conversation_id: int,
    work: Callable[[Session, datetime], object],
    *,
    done: str | None = None,
    to: str | None = None,
) -> Response:
    """Runs a change and goes on to `to` with the notice `done`; a refusal is told on the conversation's page."""
    try:
        await _write(request, work)
    except EscalationRefusedError as error:
        return refuse(request, _page(conversation_id), error.code)
    except LookupError as error:
        raise HTTPException(404) from error
    return see_other(to or _page(conversation_id), done)


async def _write_line(
    request: Request, conversation_id: int, text: str, work: Callable[[Session, datetime, str], int]
) -> Response:
    page = _page(conversation_id)
    try:
        words = clean(text)
        if not words:
            return refuse(request, page, "text_empty", status=422)
        seq = await _write(request, lambda session, now: work(session, now, words))
    except TooLongError:
        return refuse(request, page, "text_long", status=413)
    except EscalationRefusedError as error:
        return refuse(request, page, error.code)
    except LookupError as error:
        raise HTTPException(404) from error
    return JSONResponse({"seq": seq}) if wants_json(request) else see_other(page)
