"""One conversation, one screen: the lines, what was understood, who the customer is, what the agent does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from sqlalchemy.orm import Session
from sse_starlette import ServerSentEvent
from starlette.responses import JSONResponse, Response

from bot.console.door import (
    centre_of,
    change,
    fragment,
    language_of,
    refuse,
    render,
    require,
    see_other,
    wants_json,
    write,
)
from bot.console.floor import talks_of
from bot.console.live import Beside, Tail, live
from bot.console.queries.archive import marks_of
from bot.console.queries.conversations import Exchange, exchange, names_of_staff, visible
from bot.console.queries.floor import Talks, Waiting, talks
from bot.console.queries.office import assignable
from bot.console.shared import shared_of
from bot.core.media import ENDINGS, MAX_BYTES, TYPES
from bot.core.retention import HoldSubject
from bot.services import audit
from bot.services.conversation import transcript
from bot.services.conversation.conversations import MAX_TEXT
from bot.services.conversation.inbox import TooLongError, clean
from bot.services.conversation.transcript import Line
from bot.services.desk import agent_lines, escalations, spokesperson
from bot.services.desk.agent_lines import Standing, Typed, Written
from bot.services.desk.wrap_up import WRAP_UPS
from bot.services.permissions import Function
from bot.services.queues import HANDED
from bot.services.refusal import RefusedError
from bot.services.staffing.staff import SignedIn

router = APIRouter(prefix="/console/conversations", include_in_schema=False)
OnTheFloor = Annotated[SignedIn, Depends(require(Function.HANDLE_QUEUE))]
Supervising = Annotated[SignedIn, Depends(require(Function.SUPERVISE_FLOOR))]
Text = Annotated[str, Form(max_length=200_000)]
CLIENT = re.compile(r"[A-Za-z0-9-]{1,64}")
MOST_SECONDS = 3600.0  # of writing one line
FILES: Mapping[str, Any] = {"max_file": MAX_BYTES, "file_types": ",".join((*TYPES, *ENDINGS))}
PARTS = ("head", "actions", "side")
T = TypeVar("T")


async def look(request: Request, conversation_id: int, staff: SignedIn) -> Exchange:
    """The conversation as `staff` may see it; 404 where there is none, 403 where it is none of their business."""

    now = centre_of(request).clock.now()

    def read(session: Session) -> tuple[Exchange | None, bool]:
        return exchange(session, conversation_id, staff, now), visible(session, conversation_id, staff)

    found, allowed = await centre_of(request).db.read(read)
    if found is None:
        raise HTTPException(404)
    if not allowed:
        raise HTTPException(403)
    return found


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a conversation, how far the agents' latest got, and the names of who wrote."""

    new: list[Line]
    standings: dict[int, Standing]
    people: dict[int, str]


async def _lines(request: Request, conversation_id: int, after: int, *, standing: bool = True) -> Lines:
    def read(session: Session) -> Lines:
        new = transcript.transcript(session, conversation_id, after, private=True)
        people = names_of_staff(session, {line.staff_id for line in new if line.staff_id is not None})
        return Lines(new, agent_lines.standings(session, conversation_id) if standing else {}, people)

    return await centre_of(request).db.read(read)


@router.get("/{conversation_id}")
async def show(request: Request, conversation_id: int, staff: OnTheFloor) -> Response:
    found = await look(request, conversation_id, staff)
    lines = await _lines(request, conversation_id, 0)
    if found.card.full:
        await write(request, lambda session, now: _seen(session, found.card.id, staff, now))
    colleagues = await centre_of(request).db.read(assignable)
    return render(
        request,
        "console/conversation.html",
        exchange=found,
        lines=lines.new,
        standings=lines.standings,
        people=lines.people,
        colleagues=[(key, name) for key, name in colleagues if key != staff.staff_id],
        queues=HANDED,
        groups=_groups(await centre_of(request).db.read(talks), staff),
        here=conversation_id,
        marks=await centre_of(request).db.read(
            lambda session: marks_of(session, HoldSubject.CONVERSATION, None, conversation_id)
        ),
        max_text=MAX_TEXT,
        **FILES,
    )


@router.get("/{conversation_id}/events")
async def events(request: Request, conversation_id: int, staff: OnTheFloor, after: int = 0) -> Response:
    """New lines by their sequence (resumed by Last-Event-ID) and the sections that changed."""
    exchange = await look(request, conversation_id, staff)
    seen = after
    if (last := request.headers.get("last-event-id", "")).isdecimal():
        seen = max(seen, int(last))

    shown: dict[int, Standing] = {}

    async def added(changed: bool) -> list[ServerSentEvent]:
        nonlocal seen
        lines = await _lines(request, conversation_id, seen, standing=changed)
        seen = lines.new[-1].seq if lines.new else seen
        moved = {seq: each for seq, each in lines.standings.items() if shown.get(seq) != each}
        shown.update(moved)
        return [
            *(_line_event(request, line, lines, exchange) for line in lines.new),
            *([_standings_event(request, moved, exchange)] if moved else []),
        ]

    async def draw(reader: SignedIn) -> Mapping[str, str]:
        found = await look(request, conversation_id, reader)
        return {part: fragment(request, f"console/conversation/{part}.html", exchange=found, **FILES) for part in PARTS}

    listed: list[tuple[str, tuple[Waiting, ...]]] = []  # the lists beside it as the page has them

    async def beside(reader: SignedIn) -> tuple[float, Mapping[str, str]]:
        nonlocal listed
        asked, seen = await talks_of(request)
        if (groups := _groups(seen, reader)) == listed:
            return asked, {}
        listed = groups
        drawn = (_group(request, asked, seen, key, rows, conversation_id) for key, rows in groups)
        return asked, {"talks": "".join(drawn)}

    return live(
        request,
        (f"conversation:{conversation_id}", f"typing:{conversation_id}:customer", "incidents"),
        draw,
        Tail(frozenset({f"lines:{conversation_id}"}), added),
        Beside(frozenset({"floor"}), beside),
    )


def _line_event(request: Request, line: Line, lines: Lines, exchange: Exchange) -> ServerSentEvent:
    html = fragment(
        request,
        "console/line.html",
        line=line,
        people=lines.people,
        standings=lines.standings,
        exchange=exchange,
    )
    told = {"seq": line.seq, "author": line.author, "html": html}
    return ServerSentEvent(json.dumps(told, ensure_ascii=False), event="line", id=str(line.seq))


def _standings_event(request: Request, moved: Mapping[int, Standing], exchange: Exchange) -> ServerSentEvent:
    drawn = {
        seq: fragment(request, "console/standing.html", seq=seq, standing=standing, exchange=exchange)
        for seq, standing in moved.items()
    }
    return ServerSentEvent(json.dumps(drawn, ensure_ascii=False), event="standings")


def _groups(seen: Talks, viewer: SignedIn) -> list[tuple[str, tuple[Waiting, ...]]]:
    """The lists beside a conversation; those without a row are left out, but for who waits."""
    groups = [("mine", seen.mine(viewer)), ("queue", seen.queue(viewer)), ("team", seen.others(viewer))]
    return [(key, rows) for key, rows in groups if rows or key == "queue"]


def _group(request: Request, asked: float, seen: Talks, key: str, rows: tuple[Waiting, ...], here: int) -> str:
    """One list as HTML; the queue, where they see all of it and do not stand in it, is drawn once for all."""
    draw = partial(fragment, request, "console/conversation/group.html", key=key, rows=rows, here=here)
    if key != "queue" or rows != seen.waiting or any(row.id == here for row in rows):
        return draw()
    return shared_of(request).once((key, language_of(request)), asked, draw)


# ── what an agent does ──


@router.post("/{conversation_id}/claim")
async def claim(request: Request, conversation_id: int, staff: OnTheFloor) -> Response:
    """Exactly one of two agents wins; the other is told who did. What only the spokesperson sees is theirs to take."""
    centre = centre_of(request)
    if not staff.may(Function.PERMIT_MEDIA) and await centre.db.read(
        lambda session: spokesperson.is_asked(session, conversation_id)
    ):
        raise HTTPException(403)
    won = await write(request, lambda session, now: escalations.claim(session, conversation_id, staff.staff_id, now))
    now = centre_of(request).clock.now()
    found = await centre_of(request).db.read(lambda session: exchange(session, conversation_id, staff, now))
    if found is None:
        raise HTTPException(404)
    if won or found.staff_id == staff.staff_id:
        return see_other(page_of(conversation_id))
    return refuse(request, "/console", "already_claimed", who=found.agent or "")


@router.post("/{conversation_id}/take-over")
async def take_over(request: Request, conversation_id: int, staff: Supervising) -> Response:
    return await change(
        request,
        page_of(conversation_id),
        lambda session, now: escalations.take_over(session, conversation_id, staff.staff_id, now),
        None,
    )


@router.post("/{conversation_id}/say")
async def say(request: Request, conversation_id: int, staff: OnTheFloor, text: Text = "") -> Response:
    """Beside the words, the desk tells what `read_written` reads."""
    centre = centre_of(request)
    written = read_written(await request.form(), text)
    return await _write_line(
        request,
        conversation_id,
        text,
        lambda session, now, words: agent_lines.say(
            session, centre, conversation_id, staff.staff_id, words, now, written
        ),
    )


@router.post("/{conversation_id}/lines/{seq}/again")
async def again(request: Request, conversation_id: int, seq: int, staff: OnTheFloor) -> Response:
    """A line that failed goes out once more."""
    return await change(
        request,
        page_of(conversation_id),
        lambda session, now: agent_lines.again(session, conversation_id, seq, staff.staff_id, now),
        None,
    )


@router.post("/{conversation_id}/note")
async def note(request: Request, conversation_id: int, staff: OnTheFloor, text: Text = "") -> Response:
    """A private line; customers never see it."""
    await look(request, conversation_id, staff)
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


@router.post("/{conversation_id}/release")
async def release(request: Request, conversation_id: int, staff: OnTheFloor) -> Response:
    return await change(
        request,
        page_of(conversation_id),
        lambda session, now: escalations.release(session, conversation_id, staff.staff_id, now),
        "released",
        back="/console",
    )


@router.post("/{conversation_id}/hand-back")
async def hand_back(request: Request, conversation_id: int, staff: OnTheFloor) -> Response:
    return await change(
        request,
        page_of(conversation_id),
        lambda session, now: escalations.hand_back(session, conversation_id, staff.staff_id, now),
        "handed_back",
        back="/console",
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
    return await change(
        request,
        page_of(conversation_id),
        lambda session, now: escalations.close(
            session, centre, conversation_id, staff.staff_id, code, wrap_up_note, now
        ),
        "wrapped_up",
        back="/console",
    )


def read_written(form: Mapping[str, object], text: str) -> Written:
    """How a line came about, of a form's `client`, `quotes`, `typed_characters` and `typed_seconds`; what makes no
    sense is left out, for a figure must not stand in the way of an answer."""
    client, quotes = str(form.get("client", "")), str(form.get("quotes", ""))
    try:
        typed = Typed(int(str(form.get("typed_characters", ""))), float(str(form.get("typed_seconds", ""))))
    except ValueError:
        typed = None
    if typed and not (typed.characters > 0 and 0 < typed.seconds <= MOST_SECONDS):
        typed = None
    if typed:  # what was put right counts once, the time of it counts too
        typed = replace(typed, characters=min(typed.characters, len(text)))
    return Written(
        client if CLIENT.fullmatch(client) else "",
        int(quotes) if quotes.isascii() and quotes.isdecimal() and len(quotes) < 9 else None,
        typed,
    )


def page_of(conversation_id: int) -> str:
    return f"/console/conversations/{conversation_id}"


def _seen(session: Session, contact_id: int, staff: SignedIn, now: datetime) -> None:
    """The access log of unmasked contact data (REQ-G14)."""
    audit.record(session, "contact.seen", "contact", contact_id, now=now, staff_id=staff.staff_id)


async def _write_line(
    request: Request, conversation_id: int, text: str, work: Callable[[Session, datetime, str], int]
) -> Response:
    page = page_of(conversation_id)
    try:
        words = clean(text)
        if not words:
            return refuse(request, page, "text_empty", status=422)
        seq = await write(request, lambda session, now: work(session, now, words))
    except TooLongError:
        return refuse(request, page, "text_long", status=413)
    except RefusedError as error:
        return refuse(request, page, error.code)
    return JSONResponse({"seq": seq}) if wants_json(request) else see_other(page)
