"""Announcements at the console: approved by a second person, watched and steered while they fly. How one is drafted is
announcement_drafts.py's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.console.announcement_drafts import GATE, Writer, asks_reason, form_of, page_of
from bot.console.door import centre_of, change, fragment, render, require
from bot.console.live import live
from bot.console.queries.announcements import PAGE, progress, staff_name
from bot.console.queries.announcements import announcements as announcement_rows
from bot.core.words import BroadcastKind, BroadcastState
from bot.services.announcements import (
    announcements,
    approvals,
    broadcasts,
)
from bot.services.i18n import N_
from bot.services.permissions import Function
from bot.services.staffing.staff import SignedIn
from store.tables import Broadcast, Incident

router = APIRouter(prefix="/console/broadcasts", include_in_schema=False)
Reader = Annotated[SignedIn, Depends(require(Function.OPEN_INCIDENT))]

WHY_NOT: Mapping[str, str] = {
    "approver_is_author": N_("这份公告是您写的，要由另一位同事批准。"),
    "supervisor_present": N_("客服主管在岗，请由主管批准；主管联系不上时您才能代批。"),
    "not_allowed": N_("批准公告不在您的权限之内。"),
}


FAILURES: Mapping[str, str] = {
    **GATE,
    "invalid": N_("空号"),
    "unreachable": N_("关机或无信号"),
    "no_answer": N_("无人接听"),
    "busy": N_("占线"),
    "machine": N_("语音信箱"),
    "blocked": N_("被运营商拦截"),
    "filtered": N_("被当作垃圾短信拦下"),
    "not_permitted": N_("不允许发往这个号码"),
    "too_long": N_("内容太长"),
}
"""Why a delivery came to nothing, by the code its provider or the gate left; what is not here is shown as it is."""


@router.get("")
async def index(request: Request, _: Reader, page: Annotated[int, Query(ge=1, le=1000)] = 1) -> Response:
    rows = await centre_of(request).db.read(
        lambda session: announcement_rows(session, limit=PAGE + 1, offset=(page - 1) * PAGE)
    )
    return render(request, "console/broadcasts.html", rows=rows[:PAGE], page=page, more=len(rows) > PAGE)


async def _context(request: Request, broadcast_id: int, staff: SignedIn) -> dict[str, Any]:
    centre = centre_of(request)
    now = centre.clock.now()

    def read(session: Session) -> dict[str, Any] | None:
        broadcast = session.get(Broadcast, broadcast_id)
        if broadcast is None:
            return None
        shown = {
            "broadcast": broadcast,
            "incident": session.get_one(Incident, broadcast.incident_id),
            "author": staff_name(session, broadcast.author_id),
            "approver": staff_name(session, broadcast.approver_id),
        }
        if broadcast.state is BroadcastState.DRAFT:
            why_not = approvals.why_not(session, broadcast, staff.staff_id)
            override = why_not == "approver_is_author" and approvals.may_override(session, broadcast, staff.staff_id)
            may = approvals.may_override(session, broadcast, staff.staff_id)
            form = form_of(session, request, broadcast, now)
            return {**shown, "why_not": WHY_NOT.get(why_not or ""), "override": override, "may_override": may, **form}
        rates = dict(centre.library.current.policies.rates)
        shown["asks_reason"] = asks_reason(session, request, broadcast, now)
        return {**shown, "failures": FAILURES, "progress": progress(session, broadcast, rates)}

    found = await centre.db.read(read)
    if found is None:
        raise HTTPException(404)
    return found


@router.get("/{broadcast_id}")
async def show(request: Request, broadcast_id: int, staff: Reader) -> Response:
    """A draft as its form, with who may approve it; anything later as its progress."""
    context = await _context(request, broadcast_id, staff)
    if context["broadcast"].state is BroadcastState.DRAFT:
        action = f"/console/broadcasts/{broadcast_id}/edit"
        return render(request, "console/broadcast_draft.html", action=action, **context)
    return render(request, "console/broadcast.html", **context)


@router.get("/{broadcast_id}/events")
async def events(request: Request, broadcast_id: int, _: Reader) -> Response:
    async def draw(staff: SignedIn) -> Mapping[str, str]:
        context = await _context(request, broadcast_id, staff)
        if context["broadcast"].state is BroadcastState.DRAFT:
            return {}
        return {part: fragment(request, f"console/broadcast/{part}.html", **context) for part in ("state", "progress")}

    return live(request, (f"broadcast:{broadcast_id}",), draw)


@router.post("/{broadcast_id}/approve")
async def approve(
    request: Request,
    broadcast_id: int,
    staff: Reader,
    revision: Annotated[int, Form()],
    launch: Annotated[bool, Form()] = False,
    reason: Annotated[str, Form(max_length=400)] = "",
) -> Response:
    """A second person approves what they saw; with `launch` it goes out in the same transaction."""
    centre = centre_of(request)

    def work(session: Session, now: datetime) -> None:
        approvals.approve(
            session, centre, broadcast_id, revision=revision, staff_id=staff.staff_id, now=now, override=reason
        )
        if launch:
            approvals.send(session, centre, broadcast_id, staff_id=staff.staff_id, now=now, override=reason)

    return await change(request, page_of(broadcast_id), work, "launched" if launch else "approved")


@router.post("/{broadcast_id}/launch")
async def launch(
    request: Request, broadcast_id: int, staff: Reader, reason: Annotated[str, Form(max_length=400)] = ""
) -> Response:
    centre = centre_of(request)
    return await change(
        request,
        page_of(broadcast_id),
        lambda s, now: approvals.send(s, centre, broadcast_id, staff_id=staff.staff_id, now=now, override=reason),
        "launched",
    )


@router.post("/{broadcast_id}/stop")
async def stop(request: Request, broadcast_id: int, staff: Reader) -> Response:
    _commands(staff)
    return await change(
        request,
        page_of(broadcast_id),
        lambda s, now: broadcasts.stop(s, broadcast_id, staff_id=staff.staff_id, now=now),
        "stopped",
    )


@router.post("/{broadcast_id}/resume")
async def resume(request: Request, broadcast_id: int, staff: Reader) -> Response:
    _commands(staff)
    return await change(
        request,
        page_of(broadcast_id),
        lambda s, now: broadcasts.resume(s, broadcast_id, staff_id=staff.staff_id, now=now),
        "resumed",
    )


@router.post("/{broadcast_id}/cancel")
async def cancel(
    request: Request, broadcast_id: int, staff: Reader, why: Annotated[str, Form(max_length=400)] = ""
) -> Response:
    _commands(staff)
    return await change(
        request,
        page_of(broadcast_id),
        lambda s, now: broadcasts.cancel(s, broadcast_id, staff_id=staff.staff_id, why=why, now=now),
        "broadcast_cancelled",
    )


def _commands(staff: SignedIn) -> None:
    """Stopping is for whoever writes or approves announcements: better held once too often."""
    if not staff.may(Function.APPROVE_ANNOUNCEMENT) and not staff.may(Function.DRAFT_ANNOUNCEMENT):
        raise HTTPException(403)


@router.post("/{broadcast_id}/follow")
async def follow(
    request: Request,
    broadcast_id: int,
    staff: Writer,
    kind: Annotated[str, Form(pattern="^(update|all_clear|correction)$")],
) -> Response:
    """Drafts an update, a correction or the all-clear, to the same people."""
    centre = centre_of(request)

    def work(session: Session, now: datetime) -> int:
        if kind == "correction":
            return announcements.amend(session, broadcast_id, staff_id=staff.staff_id, now=now).id
        what = BroadcastKind(kind)
        return announcements.follow(session, centre, broadcast_id, what, staff_id=staff.staff_id, now=now).id

    return await change(request, page_of(broadcast_id), work, "drafted", back=page_of)
