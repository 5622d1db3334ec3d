"""Templates of announcements and saved audiences at the console (REQ-F31, F32): seen by whoever writes or approves,
templates changed by supervisors and managers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse, Response

from bot.console.door import centre_of, change, fragment, render, require, see_other
from bot.core.broadcast import sms_segments
from bot.core.policy import Bilingual
from bot.core.words import BroadcastKind
from bot.services.announcements import announcement_templates, announcements, audience, saved_audiences
from bot.services.announcements.announcement_templates import BLANKS, Draft
from bot.services.announcements.broadcasts import BroadcastRefusedError
from bot.services.centre import Centre
from bot.services.incidents.incident_types import catalogue
from bot.services.permissions import Function
from bot.services.staffing.staff import SignedIn
from store.tables import AnnouncementTemplate, Incident, SavedAudience

router = APIRouter(prefix="/console/broadcasts", include_in_schema=False)
Reader = Annotated[SignedIn, Depends(require(Function.OPEN_INCIDENT))]
Writer = Annotated[SignedIn, Depends(require(Function.DRAFT_ANNOUNCEMENT))]
Editor = Annotated[SignedIn, Depends(require(Function.EDIT_POLICIES))]
PAGE, SAVED = "/console/broadcasts/templates", "/console/broadcasts/audiences"
EXAMPLE = "INC-29"


def written(
    kind: Annotated[BroadcastKind, Form()],
    name: Annotated[str, Form(max_length=60)] = "",
    code: Annotated[str, Form(max_length=8)] = "",
    text_zh: Annotated[str, Form(max_length=4000)] = "",
    text_en: Annotated[str, Form(max_length=4000)] = "",
) -> Draft:
    return Draft(name, code, kind, Bilingual(text_zh, text_en))


Written = Annotated[Draft, Depends(written)]


def _shown(centre: Centre, draft: Draft, now: datetime) -> dict[str, Any]:
    """What people would read, of an incident made up for it, in both languages; or what cannot be."""
    code = draft.code or EXAMPLE
    known = catalogue(centre).types.get(code)
    made_up = Incident(
        code=code,
        title=known.name.zh if known else code,
        buildings=["3", "5"],
        eta_at=now + timedelta(hours=3),
    )
    said = announcements.template(centre, made_up, draft.kind, now, draft.text)
    unknown = dict.fromkeys(announcement_templates.unknown_blanks(f"{draft.text.zh}\n{draft.text.en}"))
    return {"said": said, "unknown": list(unknown), "segments": (sms_segments(said.zh), sms_segments(said.en))}


def _page(request: Request, now: datetime, draft: Draft, **more: Any) -> Response:
    centre = centre_of(request)
    known = catalogue(centre)
    return render(
        request,
        "console/broadcast_template.html",
        draft=draft,
        blanks=BLANKS,
        types=known.types,
        all_kinds=list(BroadcastKind),
        **_shown(centre, draft, now),
        **more,
    )


@router.get("/templates")
async def index(request: Request, _: Reader) -> Response:
    """The centre's own, and the scripts' frames they stand before."""
    centre = centre_of(request)
    return render(
        request,
        "console/broadcast_templates.html",
        rows=await centre.db.read(announcement_templates.everything),
        frames={kind: catalogue(centre).words[kind.value] for kind in BroadcastKind},
        types=catalogue(centre).types,
    )


@router.get("/templates/new")
async def new(request: Request, _: Editor, kind: BroadcastKind = BroadcastKind.NOTICE) -> Response:
    """A form that begins with the scripts' frame."""
    centre = centre_of(request)
    return await _form(request, None, Draft("", "", kind, catalogue(centre).words[kind.value]))


@router.post("/templates/preview")
async def preview(request: Request, _: Editor, draft: Written) -> Response:
    centre = centre_of(request)
    shown = _shown(centre, draft, centre.clock.now())
    return HTMLResponse(fragment(request, "console/broadcast/template_preview.html", **shown))


@router.post("/templates")
async def add(request: Request, staff: Editor, draft: Written) -> Response:
    return await _keep(request, None, draft, staff, 0)


@router.get("/templates/{template_id}")
async def show(request: Request, template_id: int, _: Reader) -> Response:
    return await _form(request, template_id)


@router.post("/templates/{template_id}")
async def edit(
    request: Request, template_id: int, staff: Editor, draft: Written, version: Annotated[int, Form()] = 0
) -> Response:
    return await _keep(request, template_id, draft, staff, version)


async def _keep(request: Request, template_id: int | None, draft: Draft, staff: SignedIn, version: int) -> Response:
    """Keeps what was written; refused, it stands in the form again with the reason above it."""
    centre = centre_of(request)
    now = centre.clock.now()
    try:
        await centre.db.write(
            lambda s: announcement_templates.keep(
                s, centre, template_id, draft, staff_id=staff.staff_id, now=now, version=version
            )
        )
    except BroadcastRefusedError as refused:
        if refused.code == "not_found":
            raise HTTPException(404) from refused
        return await _form(request, template_id, draft, refused=refused.code, status=409)
    return see_other(PAGE, "saved")


async def _form(request: Request, template_id: int | None, draft: Draft | None = None, **more: Any) -> Response:
    """A template's page, with what was written there instead of what is kept."""
    centre = centre_of(request)
    now = centre.clock.now()
    if template_id is None:
        assert draft is not None
        return _page(request, now, draft, kept=None, action=PAGE, versions=(), **more)

    def read(session: Session) -> tuple[AnnouncementTemplate, list[announcement_templates.Version]]:
        row = session.get(AnnouncementTemplate, template_id)
        if row is None or row.retired_at is not None:
            raise HTTPException(404)
        return row, announcement_templates.versions(session, template_id)

    row, versions = await centre.db.read(read)
    kept = Draft(row.name, row.code, row.kind, Bilingual(row.text_zh, row.text_en))
    return _page(request, now, draft or kept, kept=row, action=f"{PAGE}/{template_id}", versions=versions, **more)


@router.post("/templates/{template_id}/retire")
async def retire(request: Request, template_id: int, staff: Editor) -> Response:
    return await change(
        request,
        PAGE,
        lambda s, now: announcement_templates.retire(s, template_id, staff_id=staff.staff_id, now=now),
    )


@router.get("/audiences")
async def audiences(request: Request, _: Writer) -> Response:
    """The saved audiences, and how many people each is now."""
    centre = centre_of(request)
    now = centre.clock.now()

    def read(session: Session) -> list[tuple[SavedAudience, int]]:
        return [(each, audience.size_of(session, each.audience, now)) for each in saved_audiences.everything(session)]

    return render(request, "console/audiences.html", rows=await centre.db.read(read))


@router.post("/audiences/{saved_id}/drop")
async def drop(request: Request, saved_id: int, staff: Writer) -> Response:
    return await change(
        request, SAVED, lambda s, now: saved_audiences.drop(s, saved_id, staff_id=staff.staff_id, now=now)
    )
