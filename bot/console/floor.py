"""The floor: who waits, what I hold, open cases, alerts; kept live, and claimed from."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse, Response

from bot.console.door import (
    FLOOR,
    SECTIONS,
    centre_of,
    change,
    fragment,
    language_of,
    refuse,
    render,
    require,
    see_other,
)
from bot.console.live import Beside, live
from bot.console.queries.floor import QUEUE_LIMIT, Floor, Talks, floor, talks
from bot.console.shared import shared_of
from bot.core.words import Presence
from bot.services.desk import occupancy
from bot.services.escalation import alerts, ladders, staff_answers
from bot.services.escalation.staff_answers import Answered
from bot.services.permissions import Function
from bot.services.staffing import staff as staff_service
from bot.services.staffing.staff import SignedIn
from store.tables import Escalation, Staff

router = APIRouter(prefix="/console", include_in_schema=False)
PARTS = ("alerts", "lines", "queue", "mine", "others", "cases")
Anybody = Annotated[SignedIn, Depends(require())]
OnTheFloor = Annotated[SignedIn, Depends(require(Function.HANDLE_QUEUE))]
Supervising = Annotated[SignedIn, Depends(require(Function.SUPERVISE_FLOOR))]
Why = Annotated[str, Form(max_length=200)]


class Decision(StrEnum):
    """What a supervisor makes of a proposal."""

    CONFIRM = "confirm"
    REFUSE = "refuse"


async def _floor(request: Request, staff: SignedIn, seen: Talks | None = None) -> Floor:
    now = centre_of(request).clock.now()
    return await centre_of(request).db.read(lambda session: floor(session, staff, now, seen))


async def talks_of(request: Request) -> tuple[float, Talks]:
    """The conversations on the floor, asked for once for all who look, with when that was."""
    return await shared_of(request).get("talks", lambda: centre_of(request).db.read(talks))


@router.get("")
async def console(request: Request, staff: Anybody) -> Response:
    """The first room of whoever comes in: the floor, or where else their work is."""
    if not staff.may(Function.HANDLE_QUEUE):
        room = next((address for address, _, function in SECTIONS if staff.may(function)), "/console/me")
        return RedirectResponse(room, 303)
    return render(request, "console/floor.html", floor=await _floor(request, staff), parts=PARTS)


@router.get("/events")
async def events(request: Request, staff: OnTheFloor) -> Response:
    async def draw(staff: SignedIn) -> tuple[float, Mapping[str, str]]:
        asked, known = await talks_of(request)
        seen = await _floor(request, staff, known)

        def drawn(part: str) -> str:
            draw = partial(fragment, request, f"console/floor/{part}.html", floor=seen)
            if part != "others" or seen.others != known.held[:QUEUE_LIMIT]:
                return draw()
            return shared_of(request).once((part, language_of(request)), asked, draw)  # who holds nothing sees the same

        return asked, {part: drawn(part) for part in PARTS}

    return live(request, (), None, beside=Beside(frozenset({"floor", f"staff:{staff.staff_id}"}), draw))


@router.post("/presence")
async def presence(request: Request, staff: Anybody, presence: Annotated[Presence, Form()]) -> Response:
    centre = centre_of(request)
    now = centre.clock.now()
    await centre.db.write(lambda session: staff_service.set_presence(session, staff.staff_id, presence, now=now))
    return see_other("/console")


# ── alerts ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Reply(StrEnum):
    """What somebody answers to an alert at the console."""

    TAKE = "take"
    SEEN = "seen"
    HAND_ON = "hand_on"


DONE_BY = {staff_answers.YOURS: "alert_yours", staff_answers.PASSED: "alert_passed"}
REFUSED_BY = {
    staff_answers.TOO_LATE: "alert_over",
    staff_answers.NOT_YOURS: "not_allowed",
    ladders.TAKEN_BY: "alert_taken",
}
VERBS = {Reply.TAKE: alerts.CLAIM, Reply.SEEN: alerts.SEEN, Reply.HAND_ON: alerts.PASS}


@router.post("/alerts/read")
async def read_alerts(request: Request, staff: Anybody, up_to: Annotated[int, Form(ge=1)]) -> Response:
    """Puts away what the person has read."""
    centre = centre_of(request)
    now = centre.clock.now()
    await centre.db.write(lambda session: alerts.seen(session, staff.staff_id, up_to, now))
    return see_other("/console")


@router.post("/alerts/{escalation_id}")
async def answer_alert(
    request: Request, escalation_id: int, staff: Anybody, reply: Annotated[Reply, Form()]
) -> Response:
    """Takes it, says that one sees to it, or hands it on; the same as by any other channel."""
    centre = centre_of(request)
    now = centre.clock.now()

    def work(session: Session) -> Answered:
        if session.get(Escalation, escalation_id) is None:
            raise HTTPException(404)
        person = session.get_one(Staff, staff.staff_id)
        return staff_answers.answer(session, person, escalation_id, VERBS[reply], how=alerts.CONSOLE, now=now)

    said = await centre.db.write(work)
    if said.words in DONE_BY:
        return see_other("/console", DONE_BY[said.words])
    return refuse(request, "/console", REFUSED_BY[said.words], who=said.who)


# ── occupancy ────────────────────────────────────────────────────────────────────────────────────────────────────────


@router.post("/proposals/{proposal_id}")
async def decide(
    request: Request, proposal_id: int, staff: Supervising, decision: Annotated[Decision, Form()], why: Why = ""
) -> Response:
    centre = centre_of(request)
    return await change(
        request,
        FLOOR,
        lambda session, now: occupancy.decide(
            session,
            centre,
            proposal_id,
            staff_id=staff.staff_id,
            confirm=decision is Decision.CONFIRM,
            why=why,
            now=now,
        ),
    )


@router.post("/surge")
async def start_surge(
    request: Request, staff: Supervising, level: Annotated[int, Form(ge=1, le=3)], why: Why = ""
) -> Response:
    return await change(
        request,
        FLOOR,
        lambda session, now: occupancy.start_surge(session, level, staff_id=staff.staff_id, why=why, now=now),
    )


@router.post("/surge/end")
async def end_surge(request: Request, staff: Supervising, why: Why = "") -> Response:
    return await change(
        request, FLOOR, lambda session, now: occupancy.end_surge(session, staff_id=staff.staff_id, why=why, now=now)
    )
