"""Incidents at the console: the board, one incident with its timeline, and every step of its life (REQ-F06)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.console.door import centre_of, change, fragment, refuse, render, require, see_other
from bot.console.live import live
from bot.console.queries.archive import marks_of
from bot.console.queries.incidents import IncidentFile, board, incident_file, reports_of
from bot.console.times import moment_of
from bot.core.grades import SCALES
from bot.core.retention import HoldSubject
from bot.core.words import Role
from bot.services.announcements import announcements
from bot.services.announcements.audience import known_buildings
from bot.services.centre import Centre
from bot.services.incidents import detection, incident_record, incidents, seats
from bot.services.incidents.incident_types import catalogue
from bot.services.incidents.incident_words import BECAUSE, ENTRIES, GAPS, GRADES, PLANS, QUESTIONS, REACHES
from bot.services.permissions import Function, Grant
from bot.services.staffing.staff import SignedIn, everybody
from store.tables import Archivable

router = APIRouter(prefix="/console/incidents", include_in_schema=False)
Reader = Annotated[SignedIn, Depends(require(Function.OPEN_INCIDENT))]
Leader = Annotated[SignedIn, Depends(require(Function.LEAVE_SEAT, Grant.YES))]
Text = Annotated[str, Form(max_length=4000)]
Line = Annotated[str, Form(max_length=160)]

PARTS = ("state", "gaps", "timeline", "steps")


@router.get("")
async def index(request: Request, _: Reader) -> Response:
    centre = centre_of(request)
    return render(
        request,
        "console/incidents.html",
        board=await centre.db.read(board),
        types=catalogue(centre).types,
        buildings=await centre.db.read(known_buildings),
    )


@router.post("/leaves/{leave_id}")
async def decide_leave(request: Request, leave_id: int, staff: Leader, granted: Annotated[bool, Form()]) -> Response:
    """A leader answers an agent who would like to sign out meanwhile (REQ-A22)."""
    centre = centre_of(request)
    now = centre.clock.now()
    await centre.db.write(lambda s: seats.decide(s, leave_id, granted, staff_id=staff.staff_id, now=now))
    return see_other("/console/incidents", "saved")


@router.get("/events")
async def board_events(request: Request, _: Reader) -> Response:
    centre = centre_of(request)

    async def draw(_: SignedIn) -> Mapping[str, str]:
        seen = await centre.db.read(board)
        types = catalogue(centre).types
        return {"board": fragment(request, "console/incidents/board.html", board=seen, types=types)}

    return live(request, ("incidents",), draw)


@router.post("")
async def report(
    request: Request,
    staff: Reader,
    code: Annotated[str, Form(max_length=8)],
    title: Line = "",
    buildings: Annotated[str, Form(max_length=400)] = "",
    place: Line = "",
    source: Text = "",
    drill: Annotated[bool, Form()] = False,
) -> Response:
    """Somebody noticed something; agents report, others may go on from there."""
    centre = centre_of(request)
    if code not in catalogue(centre).types:
        raise HTTPException(422)

    def work(session: Session, now: datetime) -> int:
        return detection.report(
            session,
            centre,
            code=code,
            title=title,
            buildings=split(buildings),
            place=place,
            staff_id=staff.staff_id,
            now=now,
            source=source,
            drill=drill,
        ).id

    return await change(request, "/console/incidents", work, "incident_reported", back=page_of)


def page_of(incident_id: int) -> str:
    return f"/console/incidents/{incident_id}"


def split(names: str) -> list[str]:
    """Names as people list them: by commas of either width, 、 or spaces."""
    for sign in "，、,;；\n":
        names = names.replace(sign, " ")
    return names.split()


def context_of(centre: Centre, file: IncidentFile) -> dict[str, Any]:
    """What an incident's page and its live parts show."""
    about = catalogue(centre).types.get(file.incident.code)
    owed = incident_record.owed(centre, file.incident)
    return {
        "file": file,
        "incident": file.incident,
        "type": about,
        "entries": ENTRIES,
        "plans": PLANS,
        "grades": GRADES,
        "scale": SCALES[about.grading] if about is not None and about.grading is not None else (),
        "because": BECAUSE,
        "questions": QUESTIONS,
        "gap_names": GAPS,
        "forms": {
            name: fields
            for name, fields in incident_record.FORMS.items()
            if {"authorities": owed.authorities, "hall": owed.hall}.get(name, True)
        },
        "reaches": REACHES,
        "role_of": Role,
        "pace": pace_of(centre),
        "at_hand": centre.clock.now(),
    }


def pace_of(centre: Centre) -> float:
    """How fast the centre's clock runs beside a reader's own; a rehearsal may hurry it."""
    rehearsal = centre.settings.rehearsal
    return (rehearsal.speed or 1.0) if rehearsal else 1.0


async def file_of(request: Request, incident_id: int) -> IncidentFile:
    centre = centre_of(request)
    found = await centre.db.read(lambda session: incident_file(session, centre, incident_id))
    if found is None:
        raise HTTPException(404)
    return found


@router.get("/{incident_id}")
async def show(request: Request, incident_id: int, _: Reader) -> Response:
    centre = centre_of(request)
    file = await file_of(request, incident_id)
    return render(
        request,
        "console/incident.html",
        **context_of(centre, file),
        colleagues=await centre.db.read(_colleagues),
        reports=await centre.db.read(lambda session: reports_of(session, incident_id)),
        marks=await centre.db.read(
            lambda session: marks_of(session, HoldSubject.INCIDENT, Archivable.INCIDENT, incident_id)
        ),
    )


def _colleagues(session: Session) -> list[tuple[int, str]]:
    return [(person.id, person.name) for person in everybody(session) if person.active]


@router.get("/{incident_id}/events")
async def events(request: Request, incident_id: int, _: Reader) -> Response:
    await file_of(request, incident_id)

    async def draw(_: SignedIn) -> Mapping[str, str]:
        context = context_of(centre_of(request), await file_of(request, incident_id))
        return {part: fragment(request, f"console/incident/{part}.html", **context) for part in PARTS}

    return live(request, (f"incident:{incident_id}", "broadcasts"), draw)


@router.post("/{incident_id}/confirm")
async def confirm(
    request: Request,
    incident_id: int,
    staff: Reader,
    plan: Annotated[str, Form(pattern="^(general|major|)$")] = "",
) -> Response:
    return await change(
        request,
        page_of(incident_id),
        lambda s, now: incidents.confirm(
            s, centre_of(request), incident_id, staff_id=staff.staff_id, now=now, plan=plan or None
        ),
    )


@router.post("/{incident_id}/contain")
async def contain(request: Request, incident_id: int, staff: Reader, text: Text = "") -> Response:
    return await change(
        request,
        page_of(incident_id),
        lambda s, now: incidents.contain(s, incident_id, staff_id=staff.staff_id, text=text, now=now),
    )


@router.post("/{incident_id}/recover")
async def recover(request: Request, incident_id: int, staff: Reader, text: Text = "") -> Response:
    return await change(
        request,
        page_of(incident_id),
        lambda s, now: incidents.recover(
            s, centre_of(request), incident_id, staff_id=staff.staff_id, text=text, now=now
        ),
    )


@router.post("/{incident_id}/waive")
async def waive(request: Request, incident_id: int, staff: Reader, text: Text = "") -> Response:
    return await change(
        request,
        page_of(incident_id),
        lambda s, now: incidents.waive_all_clear(s, incident_id, staff_id=staff.staff_id, why=text, now=now),
    )


@router.post("/{incident_id}/review")
async def review(request: Request, incident_id: int, staff: Reader, text: Text = "") -> Response:
    return await change(
        request,
        page_of(incident_id),
        lambda s, now: incidents.review(s, incident_id, staff_id=staff.staff_id, text=text, now=now),
    )


@router.post("/{incident_id}/close")
async def close(request: Request, incident_id: int, staff: Reader, text: Text = "") -> Response:
    return await change(
        request,
        page_of(incident_id),
        lambda s, now: incidents.close(
            s, centre_of(request), incident_id, staff_id=staff.staff_id, evaluation=text, now=now
        ),
        "incident_closed",
    )


@router.post("/{incident_id}/dismiss")
async def dismiss(request: Request, incident_id: int, staff: Reader, text: Text = "") -> Response:
    return await change(
        request,
        page_of(incident_id),
        lambda s, now: incidents.dismiss(s, incident_id, staff_id=staff.staff_id, why=text, now=now),
        "incident_closed",
    )


@router.post("/{incident_id}/eta")
async def eta(
    request: Request, incident_id: int, staff: Reader, at: Annotated[str, Form(max_length=40)] = ""
) -> Response:
    """`at` is local time of the centre; empty: nobody can say."""
    centre = centre_of(request)
    wished = moment_of(at.strip(), request)
    if wished is None and at.strip():
        return refuse(request, page_of(incident_id), "time_bad")
    return await change(
        request,
        page_of(incident_id),
        lambda s, now: announcements.new_eta(s, centre, incident_id, wished, staff_id=staff.staff_id, now=now),
        "eta_changed",
    )


@router.post("/{incident_id}/wording")
async def wording(
    request: Request, incident_id: int, staff: Reader, zh: Text = "", en: Text = "", why: Line = ""
) -> Response:
    return await change(
        request,
        page_of(incident_id),
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
    return await change(
        request,
        page_of(incident_id),
        lambda s, now: incidents.add_note(s, incident_id, kind, text, staff_id=staff.staff_id, now=now),
        "noted",
    )
