"""Announcements at the console: drafted with a live preview, approved by a second person, watched while they fly."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, HTTPException, Query, Request, UploadFile
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse, Response

from bot.console.audience_form import Whom, choices
from bot.console.door import centre_of, change, fragment, refuse, render, require
from bot.console.live import live
from bot.console.queries.announcements import PAGE, progress, staff_name
from bot.console.queries.announcements import announcements as announcement_rows
from bot.core.policy import Bilingual
from bot.core.words import BroadcastKind, BroadcastState, ChannelName, Purpose
from bot.services.announcements import (
    announcement_templates,
    announcements,
    approvals,
    audience_lists,
    broadcasts,
    previews,
    saved_audiences,
)
from bot.services.announcements.audience import audience_of
from bot.services.i18n import N_
from bot.services.permissions import Function
from bot.services.plans.visit_lists import MAX_BYTES, UnreadableError
from bot.services.staffing.staff import SignedIn
from store.tables import Broadcast, Incident

router = APIRouter(prefix="/console/broadcasts", include_in_schema=False)
Reader = Annotated[SignedIn, Depends(require(Function.OPEN_INCIDENT))]
Writer = Annotated[SignedIn, Depends(require(Function.DRAFT_ANNOUNCEMENT))]

WHY_NOT: Mapping[str, str] = {
    "approver_is_author": N_("这份公告是您写的，要由另一位同事批准。"),
    "supervisor_present": N_("客服主管在岗，请由主管批准；主管联系不上时您才能代批。"),
    "not_allowed": N_("批准公告不在您的权限之内。"),
}
GATE: Mapping[str, str] = {
    "drill": N_("演练，不联系客户"),
    "opted_out": N_("不愿接受联系"),
    "no_consent": N_("未同意"),
    "consent_withdrawn": N_("已撤回同意"),
    "holiday": N_("节假日"),
    "outside_window": N_("不在时段内"),
    "seasons_unset": N_("季节未设置"),
    "night": N_("夜间免打扰，等到早上再发"),
    "too_often": N_("联系太频繁"),
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


@dataclass(frozen=True, slots=True)
class DraftForm:
    """What the draft's form says. `keeps_list`: the numbers uploaded before stay chosen; `save_as`: the audience is
    also kept under this name."""

    text: Bilingual
    audience: dict[str, Any]
    channels: list[ChannelName]
    purpose: Purpose
    revision: int
    keeps_list: bool
    save_as: str = ""

    def audience_with(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        alone = any(self.audience.get(way) for way in ("everybody", "match", "saved"))
        listed = stored.get("contacts") if self.keeps_list and not alone else None
        return {**self.audience, **({"contacts": listed} if listed else {})}


def filled(
    audience: Whom,
    text_zh: Annotated[str, Form(max_length=4000)] = "",
    text_en: Annotated[str, Form(max_length=4000)] = "",
    channels: Annotated[list[ChannelName] | None, Form()] = None,
    purpose: Annotated[Purpose, Form()] = Purpose.EMERGENCY,
    revision: Annotated[int, Form()] = 0,
    listed: Annotated[bool, Form()] = False,
    save_as: Annotated[str, Form(max_length=60)] = "",
) -> DraftForm:
    """The form as values; channels keep the order of the page, which is the ladder's."""
    return DraftForm(Bilingual(text_zh, text_en), audience, channels or [], purpose, revision, listed, save_as.strip())


Filled = Annotated[DraftForm, Depends(filled)]


@router.get("")
async def index(request: Request, _: Reader, page: Annotated[int, Query(ge=1, le=1000)] = 1) -> Response:
    rows = await centre_of(request).db.read(
        lambda session: announcement_rows(session, limit=PAGE + 1, offset=(page - 1) * PAGE)
    )
    return render(request, "console/broadcasts.html", rows=rows[:PAGE], page=page, more=len(rows) > PAGE)


@router.get("/new/{incident}")
async def new(request: Request, incident: int, _: Writer, template: Annotated[int, Query(ge=0)] = 0) -> Response:
    """An empty form filled from the incident's template, or the one that was chosen; nothing is stored before it is
    sent."""
    centre = centre_of(request)
    now = centre.clock.now()

    def read(session: Session) -> dict[str, Any] | None:
        found = session.get(Incident, incident)
        if found is None:
            return None
        text = announcements.drafted(session, centre, found, BroadcastKind.NOTICE, now, template)
        ladder = [step.channel.value for step in centre.library.current.policies.broadcast.ladder]
        draft = Broadcast(
            incident_id=found.id,
            kind=BroadcastKind.NOTICE,
            drill=found.drill,
            purpose=Purpose.EMERGENCY,
            audience=audience_of(found.buildings, [], everybody=not found.buildings),
            channels=ladder,
            text_zh=text.zh,
            text_en=text.en,
            revision=0,
        )
        offered = announcement_templates.offered(session, found, BroadcastKind.NOTICE)
        return {"incident": found, **_form(session, request, draft, now), "offered": offered, "chosen": template}

    context = await centre.db.read(read)
    if context is None:
        raise HTTPException(404)
    return render(request, "console/broadcast_draft.html", action="/console/broadcasts", **context)


def _form(session: Session, request: Request, draft: Broadcast, now: datetime) -> dict[str, Any]:
    """What the draft's form and its preview show; templates are offered before it is first saved."""
    centre = centre_of(request)
    return {
        "offered": (),
        "chosen": 0,
        "ladder": [step.channel for step in centre.library.current.policies.broadcast.ladder],
        **choices(session, centre, draft.audience),
        **_preview(session, request, draft, now),
    }


def _asks_reason(session: Session, request: Request, draft: Broadcast, now: datetime) -> str:
    """Why launching it now wants a reason: "night", or nothing."""
    incident = session.get(Incident, draft.incident_id)
    night = incident is not None and approvals.at_night(centre_of(request), draft, incident, now)
    return "night" if night else ""


def _preview(session: Session, request: Request, draft: Broadcast, now: datetime) -> dict[str, Any]:
    centre = centre_of(request)
    return {
        "broadcast": draft,
        "preview": previews.preview(session, centre, draft, now),
        "missing": previews.missing_channels(centre, draft),
        "gate": GATE,
        "asks_reason": _asks_reason(session, request, draft, now),
    }


@router.post("/preview")
async def preview(
    request: Request,
    _: Writer,
    form: Filled,
    incident: Annotated[int, Form()],
    broadcast: Annotated[int | None, Form()] = None,
) -> Response:
    """The preview of a form that is being filled in, as a piece of the page."""
    centre = centre_of(request)
    now = centre.clock.now()

    def read(session: Session) -> dict[str, Any]:
        stored = session.get(Broadcast, broadcast) if broadcast is not None else None
        found = session.get(Incident, incident)
        draft = Broadcast(
            incident_id=incident,
            kind=stored.kind if stored else BroadcastKind.NOTICE,
            follows_id=stored.follows_id if stored else None,
            drill=bool(found and found.drill),
            purpose=form.purpose,
            amends=bool(stored and stored.amends),
            audience=stored.audience
            if stored and stored.follows_id
            else saved_audiences.resolved(session, form.audience_with(stored.audience if stored else {})),
            channels=[channel.value for channel in form.channels],
            text_zh=form.text.zh,
            text_en=form.text.en,
        )
        return _preview(session, request, draft, now)

    return HTMLResponse(fragment(request, "console/broadcast/preview.html", **await centre.db.read(read)))


@router.post("")
async def create(request: Request, staff: Writer, form: Filled, incident: Annotated[int, Form()]) -> Response:
    centre = centre_of(request)

    def work(session: Session, now: datetime) -> int:
        if form.save_as:
            saved_audiences.keep(session, form.save_as, form.audience, staff_id=staff.staff_id, now=now)
        return announcements.draft(
            session,
            centre,
            incident,
            staff_id=staff.staff_id,
            now=now,
            audience=form.audience,
            channels=form.channels,
            text=form.text,
            purpose=form.purpose,
        ).id

    return await change(request, f"/console/incidents/{incident}", work, "drafted", back=_page)


def _page(broadcast_id: int) -> str:
    return f"/console/broadcasts/{broadcast_id}"


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
            form = _form(session, request, broadcast, now)
            return {**shown, "why_not": WHY_NOT.get(why_not or ""), "override": override, "may_override": may, **form}
        rates = dict(centre.library.current.policies.rates)
        shown["asks_reason"] = _asks_reason(session, request, broadcast, now)
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


@router.post("/{broadcast_id}/edit")
async def edit(request: Request, broadcast_id: int, staff: Writer, form: Filled) -> Response:
    def work(session: Session, now: datetime) -> None:
        stored = session.get(Broadcast, broadcast_id)
        if form.save_as:
            saved_audiences.keep(session, form.save_as, form.audience, staff_id=staff.staff_id, now=now)
        announcements.edit(
            session,
            broadcast_id,
            revision=form.revision,
            staff_id=staff.staff_id,
            now=now,
            text=form.text,
            audience=form.audience_with(stored.audience if stored else {}),
            channels=form.channels,
            purpose=form.purpose,
        )

    return await change(request, _page(broadcast_id), work)


@router.post("/{broadcast_id}/list")
async def upload(
    request: Request,
    broadcast_id: int,
    staff: Writer,
    revision: Annotated[int, Form()],
    file: Annotated[UploadFile, File()],
) -> Response:
    """Adds the numbers of a CSV or XLSX file to the draft's audience."""
    centre = centre_of(request)
    data = await file.read(MAX_BYTES + 1)
    try:
        found = await asyncio.to_thread(audience_lists.read_list, data)
    except UnreadableError:
        return refuse(request, _page(broadcast_id), "list_unreadable")
    if not found.numbers:
        return refuse(request, _page(broadcast_id), "list_empty")
    return await change(
        request,
        _page(broadcast_id),
        lambda s, now: audience_lists.add_list(
            s, centre, broadcast_id, found.numbers, revision=revision, staff_id=staff.staff_id, now=now
        ),
        "list_added_some" if found.without else "list_added",
    )


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

    return await change(request, _page(broadcast_id), work, "launched" if launch else "approved")


@router.post("/{broadcast_id}/launch")
async def launch(
    request: Request, broadcast_id: int, staff: Reader, reason: Annotated[str, Form(max_length=400)] = ""
) -> Response:
    centre = centre_of(request)
    return await change(
        request,
        _page(broadcast_id),
        lambda s, now: approvals.send(s, centre, broadcast_id, staff_id=staff.staff_id, now=now, override=reason),
        "launched",
    )


@router.post("/{broadcast_id}/stop")
async def stop(request: Request, broadcast_id: int, staff: Reader) -> Response:
    _commands(staff)
    return await change(
        request,
        _page(broadcast_id),
        lambda s, now: broadcasts.stop(s, broadcast_id, staff_id=staff.staff_id, now=now),
        "stopped",
    )


@router.post("/{broadcast_id}/resume")
async def resume(request: Request, broadcast_id: int, staff: Reader) -> Response:
    _commands(staff)
    return await change(
        request,
        _page(broadcast_id),
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
        _page(broadcast_id),
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

    return await change(request, _page(broadcast_id), work, "drafted", back=_page)
