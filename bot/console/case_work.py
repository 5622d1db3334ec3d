"""What is done on a case besides answering it: urgent, pending, links, tasks, a found item's register; hand-overs; the
shield against abuse (REQ-E04, E14, E16, E17, E20, B40)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from sqlalchemy import or_, select
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.console import door
from bot.console.cases import change
from bot.console.door import centre_of, render, require
from bot.console.queries.conversations import exchange, names_of_staff, visible
from bot.console.queries.office import assignable
from bot.services.casework import case_work, cases
from bot.services.desk import abuse, hand_overs
from bot.services.permissions import Function
from bot.services.refusal import NotFoundError, RefusedError
from bot.services.staffing.staff import SignedIn
from store.tables import AbuseStep, Case, CaseTask, Conversation, HandOver, Incident, LinkKind

router = APIRouter(include_in_schema=False)
OnTheFloor = Annotated[SignedIn, Depends(require(Function.HANDLE_QUEUE))]
Short = Annotated[str, Form(max_length=200)]
Text = Annotated[str, Form(max_length=4000)]
CASE = "/console/cases/{case_id}"
SHOWN = 20


@router.post(f"{CASE}/urgent")
async def urgent(request: Request, case_id: int, staff: OnTheFloor, why: Short = "") -> Response:
    centre = centre_of(request)
    return await change(
        request,
        staff,
        case_id,
        lambda s, now: case_work.make_urgent(s, centre, case_id, why, staff_id=staff.staff_id, now=now),
    )


@router.post(f"{CASE}/escalate")
async def escalate(request: Request, case_id: int, staff: OnTheFloor, why: Short = "") -> Response:
    """Asks for somebody above, by the ladder of its kind."""
    centre = centre_of(request)

    def work(session: Session, now: datetime) -> None:
        case = session.get_one(Case, case_id, with_for_update=True)
        case_work.ask_above(session, centre, case, why, staff_id=staff.staff_id, now=now)

    return await change(request, staff, case_id, work)


@router.post(f"{CASE}/pend")
async def pend(request: Request, case_id: int, staff: OnTheFloor, why: Short = "") -> Response:
    return await change(
        request,
        staff,
        case_id,
        lambda s, now: case_work.pend(s, case_id, why, staff_id=staff.staff_id, now=now),
    )


@router.post(f"{CASE}/go-on")
async def go_on(request: Request, case_id: int, staff: OnTheFloor) -> Response:
    return await change(
        request, staff, case_id, lambda s, now: case_work.go_on(s, case_id, staff_id=staff.staff_id, now=now)
    )


@router.post(f"{CASE}/links")
async def link(
    request: Request, case_id: int, staff: OnTheFloor, kind: Annotated[LinkKind, Form()], other: Short = ""
) -> Response:
    """`other` is an id, or for a case its number."""

    def work(session: Session, now: datetime) -> None:
        tables: dict[LinkKind, type[Conversation] | type[Incident]] = {
            LinkKind.CONVERSATION: Conversation,
            LinkKind.INCIDENT: Incident,
        }
        found: int | None = None
        if kind is LinkKind.CASE:
            case = cases.by_number(session, other)
            found = case.id if case and case.id != case_id else None
        elif other.isascii() and other.isdecimal() and len(other) <= 18:
            found = session.scalar(select(tables[kind].id).where(tables[kind].id == int(other)))
        if found is None:
            raise RefusedError("link_unknown")
        case_work.link(session, case_id, kind, found, staff_id=staff.staff_id, now=now)

    return await change(request, staff, case_id, work)


@router.post(f"{CASE}/tasks")
async def add_task(
    request: Request,
    case_id: int,
    staff: OnTheFloor,
    to: Annotated[int, Form()],
    department: Short = "",
    what: Short = "",
    hours: Annotated[int, Form(ge=1, le=720)] = 24,
) -> Response:
    return await change(
        request,
        staff,
        case_id,
        lambda s, now: case_work.add_task(
            s, case_id, department, what, to, due_in=timedelta(hours=hours), staff_id=staff.staff_id, now=now
        ),
    )


@router.post(f"{CASE}/tasks/{{task_id}}")
async def finish_task(request: Request, case_id: int, task_id: int, staff: OnTheFloor, result: Text = "") -> Response:
    def work(session: Session, now: datetime) -> None:
        if session.get_one(CaseTask, task_id).case_id != case_id:
            raise NotFoundError
        case_work.finish_task(session, task_id, result, staff_id=staff.staff_id, now=now)

    return await change(request, staff, case_id, work)


@router.post(f"{CASE}/item")
async def register_item(
    request: Request,
    case_id: int,
    staff: OnTheFloor,
    what: Text = "",
    where: Short = "",
    camera: Short = "",
    kept_at: Short = "",
) -> Response:
    return await change(
        request,
        staff,
        case_id,
        lambda s, now: case_work.register_item(
            s,
            case_id,
            what=what,
            where=where,
            camera=camera,
            kept_at=kept_at,
            staff_id=staff.staff_id,
            now=now,
        ),
    )


@router.post(f"{CASE}/item/confirm")
async def confirm_item(request: Request, case_id: int, staff: OnTheFloor) -> Response:
    return await change(
        request,
        staff,
        case_id,
        lambda s, now: case_work.confirm_item(s, case_id, staff_id=staff.staff_id, now=now),
    )


@router.post(f"{CASE}/item/return")
async def return_item(
    request: Request,
    case_id: int,
    staff: OnTheFloor,
    owner_name: Short = "",
    identity: Short = "",
    signature: Annotated[str, Form(max_length=60_000)] = "",
) -> Response:
    return await change(
        request,
        staff,
        case_id,
        lambda s, now: case_work.return_item(
            s,
            case_id,
            owner_name=owner_name,
            identity=identity,
            signature=signature,
            staff_id=staff.staff_id,
            now=now,
        ),
    )


# ── hand-overs ───────────────────────────────────────────────────────────────────────────────────────────────────────


@router.get(hand_overs.LINK)
async def hand_over_page(request: Request, staff: OnTheFloor) -> Response:
    def read(session: Session) -> tuple[list[Case], list[HandOver], dict[int, str]]:
        rows = session.scalars(
            select(HandOver)
            .where(or_(HandOver.to_staff_id == staff.staff_id, HandOver.from_staff_id == staff.staff_id))
            .order_by(HandOver.confirmed_at.is_not(None), HandOver.id.desc())
            .limit(SHOWN)
        ).all()
        return hand_overs.open_cases(session, staff.staff_id), list(rows), names_of_staff(session)

    centre = centre_of(request)
    mine, rows, people = await centre.db.read(read)
    colleagues = [each for each in await centre.db.read(assignable) if each[0] != staff.staff_id]
    return render(request, "console/hand_overs.html", mine=mine, rows=rows, people=people, colleagues=colleagues)


@router.post(hand_overs.LINK)
async def give(request: Request, staff: OnTheFloor, to: Annotated[int, Form()], note: Text = "") -> Response:
    """Each ticked case comes with its promise: fields `case` and `promise_<case>`."""
    form = await request.form()
    ticked = [str(each) for each in form.getlist("case")]
    promises = {
        int(each): str(form.get(f"promise_{each}", ""))
        for each in ticked
        if each.isascii() and each.isdecimal() and len(each) <= 18
    }
    return await door.change(
        request,
        hand_overs.LINK,
        lambda s, now: hand_overs.hand_over(s, to, promises, note, staff_id=staff.staff_id, now=now),
    )


@router.post(f"{hand_overs.LINK}/{{hand_over_id}}/confirm")
async def confirm(request: Request, hand_over_id: int, staff: OnTheFloor) -> Response:
    return await door.change(
        request, hand_overs.LINK, lambda s, now: hand_overs.confirm(s, hand_over_id, staff_id=staff.staff_id, now=now)
    )


# ── the shield ───────────────────────────────────────────────────────────────────────────────────────────────────────

SHIELD = "/console/conversations/{conversation_id}/abuse"


@router.get(SHIELD)
async def shield(request: Request, conversation_id: int, staff: OnTheFloor) -> Response:
    now = centre_of(request).clock.now()

    def read(session: Session) -> dict[str, object] | None:
        found = exchange(session, conversation_id, staff, now)
        if found is None or not visible(session, conversation_id, staff):
            return None
        address_id = session.get_one(Conversation, conversation_id).address_id
        return {
            "exchange": found,
            "taken": abuse.steps(session, conversation_id),
            "earlier": abuse.before(session, address_id, conversation_id),
            "people": names_of_staff(session),
        }

    found = await centre_of(request).db.read(read)
    if found is None:
        raise HTTPException(404)
    context: dict[str, object] = {**found, "said": abuse.SAID, "after": abuse.AFTER, "steps": list(AbuseStep)}
    return render(request, "console/abuse.html", 200, **context)


@router.post(SHIELD)
async def take_step(
    request: Request, conversation_id: int, staff: OnTheFloor, step: Annotated[AbuseStep, Form()], note: Text = ""
) -> Response:
    centre = centre_of(request)
    return await door.change(
        request,
        f"/console/conversations/{conversation_id}/abuse",
        lambda s, now: abuse.take_step(s, centre, conversation_id, step, note, staff_id=staff.staff_id, now=now),
    )
