"""The draft of an announcement at the console: written, chosen for whom, previewed while it is written."""

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
from bot.core.policy import Bilingual
from bot.core.words import BroadcastKind, ChannelName, Purpose
from bot.services.announcements import (
    announcement_templates,
    announcements,
    approvals,
    audience_lists,
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
Writer = Annotated[SignedIn, Depends(require(Function.DRAFT_ANNOUNCEMENT))]

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
"""Why the permission gate holds somebody back, as a preview says it."""


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


def page_of(broadcast_id: int) -> str:
    return f"/console/broadcasts/{broadcast_id}"


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
        return {"incident": found, **form_of(session, request, draft, now), "offered": offered, "chosen": template}

    context = await centre.db.read(read)
    if context is None:
        raise HTTPException(404)
    return render(request, "console/broadcast_draft.html", action="/console/broadcasts", **context)


def form_of(session: Session, request: Request, draft: Broadcast, now: datetime) -> dict[str, Any]:
    """What the draft's form and its preview show; templates are offered before it is first saved."""
    centre = centre_of(request)
    return {
        "offered": (),
        "chosen": 0,
        "ladder": [step.channel for step in centre.library.current.policies.broadcast.ladder],
        **choices(session, centre, draft.audience),
        **_preview(session, request, draft, now),
    }


def asks_reason(session: Session, request: Request, draft: Broadcast, now: datetime) -> str:
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
        "asks_reason": asks_reason(session, request, draft, now),
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

    return await change(request, f"/console/incidents/{incident}", work, "drafted", back=page_of)


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

    return await change(request, page_of(broadcast_id), work)


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
        return refuse(request, page_of(broadcast_id), "list_unreadable")
    if not found.numbers:
        return refuse(request, page_of(broadcast_id), "list_empty")
    return await change(
        request,
        page_of(broadcast_id),
        lambda s, now: audience_lists.add_list(
            s, centre, broadcast_id, found.numbers, revision=revision, staff_id=staff.staff_id, now=now
        ),
        "list_added_some" if found.without else "list_added",
    )
