"""Incidents at the console: the board, one incident with its timeline, and every step of its life (REQ-F06)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.console.door import centre_of, fragment, refuse, render, require, see_other
from bot.console.live import live
from bot.console.queries.announcements import IncidentFile, board, incident_file
from bot.services import announcements, incidents
from bot.services.audience import known_buildings
from bot.services.broadcasts import BroadcastRefusedError
from bot.services.centre import Centre
from bot.services.i18n import N_
from bot.services.incidents import IncidentRefusedError
from bot.services.permissions import Function
from bot.services.staff import SignedIn

router = APIRouter(prefix="/console/incidents", include_in_schema=False)
Reader = Annotated[SignedIn, Depends(require(Function.OPEN_INCIDENT))]
Text = Annotated[str, Form(max_length=4000)]
Line = Annotated[str, Form(max_length=160)]

ENTRIES: Mapping[str, str] = {
    "reported": N_("上报"),
    "suspected": N_("疑似"),
    "confirmed": N_("已确认"),
    "plan": N_("启动预案"),
    "grade": N_("事件级别"),
    "contained": N_("已控制"),
    "recovered": N_("已恢复"),
    "all_clear": N_("已发解除通知"),
    "all_clear_waived": N_("不发解除通知"),
    "reviewed": N_("已复盘"),
    "evaluation": N_("总体评价"),
    "closed": N_("已关闭"),
    "eta": N_("预计恢复时间"),
    "wording": N_("统一口径"),
    "announced": N_("已发公告"),
    "action": N_("处置"),
    "cause": N_("原因"),
    "measure": N_("改进措施"),
    "cost": N_("费用"),
    "told": N_("已通知"),
    "note": N_("备注"),
}
PLANS: Mapping[str, str] = {"general": N_("一般预案"), "major": N_("重大预案")}


@router.get("")
async def index(request: Request, _: Reader) -> Response:
    centre = centre_of(request)
    return render(
        request,
        "console/incidents.html",
        board=await centre.db.read(board),
        types=announcements.catalogue(centre).types,
        buildings=await centre.db.read(known_buildings),
    )


@router.get("/events")
async def board_events(request: Request, _: Reader) -> Response:
    centre = centre_of(request)

    async def draw(_: SignedIn) -> Mapping[str, str]:
        seen = await centre.db.read(board)
        types = announcements.catalogue(centre).types
        return {"board": fragment(request, "console/incidents/board.html", board=seen, types=types)}

    return live(request, ("incidents",), draw)


@router.post("")
async def report(
    request: Request,
    staff: Reader,
    code: Annotated[str, Form(max_length=8)],
    title: Line = "",
    buildings: Annotated[str, Form(max_length=400)] = "",
    source: Text = "",
    drill: Annotated[bool, Form()] = False,
) -> Response:
    """Somebody noticed something; agents report, others may go on from there."""
    centre = centre_of(request)
    now = centre.clock.now()
    if code not in announcements.catalogue(centre).types:
        raise HTTPException(422)

    def work(session: Session) -> int:
        return incidents.report(
            session,
            centre,
            code=code,
            title=title,
            buildings=split(buildings),
            staff_id=staff.staff_id,
            now=now,
            source=source,
            drill=drill,
        ).id

    try:
        incident_id = await centre.db.write(work)
    except IncidentRefusedError as refused:
        return refuse(request, "/console/incidents", refused.code)
    return see_other(f"/console/incidents/{incident_id}", "incident_reported")


def split(names: str) -> list[str]:
    """Names as people list them: by commas of either width, 、 or spaces."""
    for sign in "，、,;；\n":
        names = names.replace(sign, " ")
    return names.split()


def _context(centre: Centre, file: IncidentFile) -> dict[str, Any]:
    return {
        "file": file,
        "incident": file.incident,
        "type": announcements.catalogue(centre).types.get(file.incident.code),
        "entries": ENTRIES,
        "plans": PLANS,
    }


async def _file(request: Request, incident_id: int) -> IncidentFile:
    found = await centre_of(request).db.read(lambda session: incident_file(session, incident_id))
    if found is None:
        raise HTTPException(404)
    return found


@router.get("/{incident_id}")
async def show(request: Request, incident_id: int, _: Reader) -> Response:
    return render(request, "console/incident.html", **_context(centre_of(request), await _file(request, incident_id)))


@router.get("/{incident_id}/events")
async def events(request: Request, incident_id: int, _: Reader) -> Response:
    await _file(request, incident_id)

    async def draw(_: SignedIn) -> Mapping[str, str]:
        context = _context(centre_of(request), await _file(request, incident_id))
        return {part: fragment(request, f"console/incident/{part}.html", **context) for part in ("state", "timeline")}

    return live(request, (f"incident:{incident_id}", "broadcasts"), draw)


async def _step(request: Request, incident_id: int, said: str, work: Callable[[Session, datetime], object]) -> Response:
    centre = centre_of(request)
    now = centre.clock.now()
    try:
        await centre.db.write(lambda session: work(session, now))
    except (IncidentRefusedError, BroadcastRefusedError) as refused:
        if refused.code == "not_found":
            raise HTTPException(404) from refused
        return refuse(request, f"/console/incidents/{incident_id}", refused.code)
    return see_other(f"/console/incidents/{incident_id}", said)


@router.post("/{incident_id}/confirm")
async def confirm(
    request: Request,
    incident_id: int,
    staff: Reader,
    plan: Annotated[str, Form(pattern="^(general|major|)$")] = "",
    grade: Annotated[str, Form(max_length=12)] = "",
) -> Response:
    return await _step(
        request,
        incident_id,
        "saved",
        lambda s, now: incidents.confirm(
            s, incident_id, staff_id=staff.staff_id, now=now, plan=plan or None, grade=grade
        ),
    )


@router.post("/{incident_id}/contain")
async def contain(request: Request, incident_id: int, staff: Reader, text: Text = "") -> Response:
    return await _step(
        request,
        incident_id,
        "saved",
        lambda s, now: incidents.contain(s, incident_id, staff_id=staff.staff_id, text=text, now=now),
    )


@router.post("/{incident_id}/recover")
async def recover(request: Request, incident_id: int, staff: Reader, text: Text = "") -> Response:
    return await _step(
        request,
        incident_id,
        "saved",
        lambda s, now: incidents.recover(s, incident_id, staff_id=staff.staff_id, text=text, now=now),
    )


@router.post("/{incident_id}/waive")
async def waive(request: Request, incident_id: int, staff: Reader, text: Text = "") -> Response:
    return await _step(
        request,
        incident_id,
        "saved",
        lambda s, now: incidents.waive_all_clear(s, incident_id, staff_id=staff.staff_id, why=text, now=now),
    )


@router.post("/{incident_id}/review")
async def review(request: Request, incident_id: int, staff: Reader, text: Text = "") -> Response:
    return await _step(
        request,
        incident_id,
        "saved",
        lambda s, now: incidents.review(s, incident_id, staff_id=staff.staff_id, text=text, now=now),
    )


@router.post("/{incident_id}/close")
async def close(request: Request, incident_id: int, staff: Reader, text: Text = "") -> Response:
    return await _step(
        request,
        incident_id,
        "incident_closed",
        lambda s, now: incidents.close(s, incident_id, staff_id=staff.staff_id, evaluation=text, now=now),
    )


@router.post("/{incident_id}/dismiss")
async def dismiss(request: Request, incident_id: int, staff: Reader, text: Text = "") -> Response:
    return await _step(
        request,
        incident_id,
        "incident_closed",
        lambda s, now: incidents.dismiss(s, incident_id, staff_id=staff.staff_id, why=text, now=now),
    )


@router.post("/{incident_id}/eta")
async def eta(
    request: Request, incident_id: int, staff: Reader, at: Annotated[datetime | str | None, Form()] = None
) -> Response:
    """`at` is local time of the centre; empty: nobody can say."""
    centre = centre_of(request)
    if isinstance(at, str) and at.strip():
        raise HTTPException(422)
    when = at.replace(tzinfo=centre.settings.zone) if isinstance(at, datetime) else None
    return await _step(
        request,
        incident_id,
        "eta_changed",
        lambda s, now: announcements.new_eta(s, centre, incident_id, when, staff_id=staff.staff_id, now=now),
    )


@router.post("/{incident_id}/wording")
async def wording(
    request: Request, incident_id: int, staff: Reader, zh: Text = "", en: Text = "", why: Line = ""
) -> Response:
    return await _step(
        request,
        incident_id,
        "saved",
        lambda s, now: incidents.agree_wording(s, incident_id, zh, en, staff_id=staff.staff_id, why=why, now=now),
    )


@router.post("/{incident_id}/note")
async def note(
    request: Request,
    incident_id: int,
    staff: Reader,
    kind: Annotated[str, Form(max_length=24)] = "note",
    text: Text = "",
) -> Response:
    return await _step(
        request,
        incident_id,
        "noted",
        lambda s, now: incidents.add_note(s, incident_id, kind, text, staff_id=staff.staff_id, now=now),
    )
