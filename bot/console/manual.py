"""The manual fallback form: printed, typed in, or as a page that works with no server, and brought in afterwards
(REQ-F13)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, HTTPException, Query, Request, UploadFile
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.console.door import centre_of, refuse, render, require, see_other
from bot.console.queries.incidents import HandRow, hand_rows, open_incidents
from bot.services.i18n import N_
from bot.services.incidents import manual_records
from bot.services.incidents.incident_file import IncidentRefusedError
from bot.services.incidents.manual_records import Written
from bot.services.permissions import Function
from bot.services.staffing.staff import SignedIn
from store.tables import Incident

router = APIRouter(prefix="/console/manual", include_in_schema=False)
Reader = Annotated[SignedIn, Depends(require(Function.HANDLE_QUEUE))]
Which = Annotated[int | None, Query(alias="incident", ge=1)]
MAX_FILE = 2 * 1024 * 1024  # bytes
WHYS: Mapping[str, str] = {
    "record_bad": N_("这条记录不完整"),
    "matter_missing": N_("没有写来电内容"),
    "number_missing": N_("要回电，却没有号码"),
    "number_bad": N_("号码打不通，请核对"),
    "time_bad": N_("时间看不懂，或不在一年之内"),
}


@router.get("")
async def index(
    request: Request,
    staff: Reader,
    incident: Which = None,
    added: int = 0,
    known: int = 0,
    calls: int = 0,
    wrong: str = "",
) -> Response:
    centre = centre_of(request)

    def look(session: Session) -> tuple[list[Incident], list[HandRow]]:
        return open_incidents(session), hand_rows(session, incident)

    incidents, rows = await centre.db.read(look)
    return render(
        request,
        "console/manual.html",
        incidents=incidents,
        chosen=incident,
        rows=rows,
        result=(added, known, calls) if added or known or wrong else None,
        wrong=[each.split(":", 1) for each in wrong.split(",") if ":" in each][:20],
        whys=WHYS,
        now_local=centre.clock.now().astimezone(centre.settings.zone).strftime("%Y-%m-%dT%H:%M"),
        full=staff.may(Function.SUPERVISE_FLOOR),
    )


@router.get("/print")
async def paper(request: Request, _: Reader) -> Response:
    """To print a stack of before anything happens."""
    return render(request, "console/manual_paper.html", company=_company(request))


@router.get("/offline.html")
async def offline(request: Request, _: Reader) -> Response:
    """One file to keep on every seat: it opens and saves without us."""
    response = render(request, "console/manual_offline.html", company=_company(request), kind=manual_records.KIND)
    name = f"hotline-{request.app.state.look.language(request)}.html"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _company(request: Request) -> str:
    centre = centre_of(request)
    return centre.library.current.policies.company.name.of(request.app.state.look.language(request))


@router.post("")
async def add(
    request: Request,
    staff: Reader,
    taken_at: Annotated[datetime, Form()],
    number: Annotated[str, Form(max_length=40)] = "",
    name: Annotated[str, Form(max_length=60)] = "",
    matter: Annotated[str, Form(max_length=4000)] = "",
    promise: Annotated[str, Form(max_length=2000)] = "",
    agent: Annotated[str, Form(max_length=60)] = "",
    callback: Annotated[bool, Form()] = False,
    incident: Annotated[str, Form(pattern=r"^\d{0,12}$")] = "",
) -> Response:
    """One record typed in from paper; `taken_at` is local time of the centre."""
    centre = centre_of(request)
    at = taken_at.replace(tzinfo=centre.settings.zone) if taken_at.tzinfo is None else taken_at
    written = manual_records.checked(
        Written(
            secrets.token_hex(12), at, agent.strip() or staff.name, number.strip(), name.strip(), matter.strip(),
            promise.strip(), callback,
        )
    )  # fmt: skip
    if isinstance(written, str):
        return refuse(request, "/console/manual", written)
    return await _bring_in(request, staff, [written], [], incident)


@router.post("/import")
async def bring_in(
    request: Request,
    staff: Reader,
    file: Annotated[UploadFile, File()],
    incident: Annotated[str, Form(pattern=r"^\d{0,12}$")] = "",
) -> Response:
    """The file an offline page saved."""
    content = await file.read(MAX_FILE + 1)
    clock = centre_of(request).clock
    latest = max(clock.now(), clock.machine())  # the page's own clock is the seat's, which no rehearsal moves
    try:
        if len(content) > MAX_FILE:
            raise IncidentRefusedError("file_bad")
        good, bad = manual_records.read(content, latest)
    except IncidentRefusedError as refused:
        return refuse(request, "/console/manual", refused.code)
    return await _bring_in(request, staff, good, bad, incident)


async def _bring_in(
    request: Request, staff: SignedIn, good: list[Written], bad: list[manual_records.Wrong], incident: str
) -> Response:
    centre = centre_of(request)
    now = centre.clock.now()
    chosen = int(incident) if incident else None
    try:
        done = await centre.db.write(
            lambda s: manual_records.bring_in(
                s, centre, good, incident_id=chosen, staff_id=staff.staff_id, now=now, wrong=bad
            )
        )
    except IncidentRefusedError as refused:
        raise HTTPException(404) from refused
    wrong = ",".join(f"{each.place}:{each.code}" for each in done.wrong[:20])
    where = f"&incident={chosen}" if chosen is not None else ""
    return see_other(
        f"/console/manual?added={done.added}&known={done.known}&calls={done.callbacks}&wrong={wrong}{where}"
    )
