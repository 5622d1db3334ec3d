"""An incident's plan and record at the console: steps ticked off and acknowledged, the plan and the grade, the forms,
corrective actions, and the file as a document (REQ-F06..F08, F35, F43, F45, F46, F50, F55)."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, time
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.console.door import attachment, centre_of, change, require
from bot.console.incidents import Line, Reader, Text, page_of
from bot.console.reports import rights_of
from bot.core.words import Language
from bot.reports.incidents import Document, Report, documents, written
from bot.services import audit
from bot.services.incidents import incident_costs, incident_record, incident_steps, incidents
from bot.services.permissions import Function, Grant
from bot.services.staffing.staff import SignedIn

router = APIRouter(prefix="/console/incidents/{incident_id}", include_in_schema=False)
Handler = Annotated[SignedIn, Depends(require(Function.OPEN_INCIDENT, Grant.YES))]
Number = Annotated[str, Form(max_length=24)]


@router.post("/steps/{step_id}/done")
async def done(request: Request, incident_id: int, step_id: int, staff: Reader, text: Text = "") -> Response:
    return await change(
        request,
        page_of(incident_id),
        lambda s, now: incident_steps.done(s, step_id, staff_id=staff.staff_id, result=text, now=now),
        "plan_step_done",
    )


@router.post("/steps/{step_id}/drop")
async def drop(request: Request, incident_id: int, step_id: int, staff: Reader, text: Text = "") -> Response:
    return await change(
        request,
        page_of(incident_id),
        lambda s, now: incident_steps.drop(s, step_id, staff_id=staff.staff_id, why=text, now=now),
    )


@router.post("/steps/{step_id}/ack")
async def acknowledge(request: Request, incident_id: int, step_id: int, staff: Reader) -> Response:
    return await change(
        request,
        page_of(incident_id),
        lambda s, now: incident_steps.acknowledge(s, step_id, staff_id=staff.staff_id, now=now),
        "acknowledged",
    )


@router.post("/plan")
async def plan(
    request: Request, incident_id: int, staff: Reader, plan: Annotated[str, Form(pattern="^(general|major)$")]
) -> Response:
    centre = centre_of(request)
    return await change(
        request,
        page_of(incident_id),
        lambda s, now: incidents.start_plan(s, centre, incident_id, plan, staff_id=staff.staff_id, now=now),
    )


@router.post("/facts")
async def facts(request: Request, incident_id: int, staff: Handler) -> Response:
    """The figures the grade follows from; which there are depends on the type."""
    centre = centre_of(request)
    given = await _fields(request)
    return await change(
        request,
        page_of(incident_id),
        lambda s, now: incident_record.enter_facts(s, centre, incident_id, given, staff_id=staff.staff_id, now=now),
    )


@router.post("/grade")
async def grade(
    request: Request,
    incident_id: int,
    staff: Handler,
    grade: Annotated[str, Form(max_length=12)],
    why: Line = "",
) -> Response:
    centre = centre_of(request)
    return await change(
        request,
        page_of(incident_id),
        lambda s, now: incident_record.confirm_grade(
            s, centre, incident_id, grade, staff_id=staff.staff_id, why=why, now=now
        ),
    )


@router.post("/forms/{form}")
async def form(request: Request, incident_id: int, form: str, staff: Handler) -> Response:
    given = await _fields(request)
    return await change(
        request,
        page_of(incident_id),
        lambda s, now: incident_record.fill(s, incident_id, form, given, staff_id=staff.staff_id, now=now),
    )


async def _fields(request: Request) -> dict[str, str]:
    """A form's texts, none longer than anybody writes."""
    return {name: value[:4000] for name, value in (await request.form()).items() if isinstance(value, str)}


@router.post("/costs")
async def cost(
    request: Request,
    incident_id: int,
    staff: Reader,
    amount: Number = "",
    what: Annotated[str, Form(max_length=400)] = "",
) -> Response:
    centre = centre_of(request)
    return await change(
        request,
        page_of(incident_id),
        lambda s, now: incident_costs.add(s, centre, incident_id, amount, what, staff_id=staff.staff_id, now=now),
        "noted",
    )


@router.post("/actions")
async def action(
    request: Request,
    incident_id: int,
    staff: Handler,
    what: Annotated[str, Form(max_length=1000)] = "",
    owner: Annotated[int, Form(ge=0)] = 0,
    due: Annotated[date | None, Form()] = None,
) -> Response:
    """`due` is a day of the centre's; until its end."""
    centre = centre_of(request)
    day = due or centre.clock.now().astimezone(centre.settings.zone).date()
    at = datetime.combine(day, time(18, 0), tzinfo=centre.settings.zone)
    return await change(
        request,
        page_of(incident_id),
        lambda s, now: incident_record.add_action(s, incident_id, what, owner, at, staff_id=staff.staff_id, now=now),
    )


@router.get("/{kind}.{form}")
async def document(request: Request, incident_id: int, kind: str, form: Document, staff: Handler) -> Response:
    """The whole file, the report to the authorities or the hall's form; noted in the audit, masked as its reader sees
    the rest. The report is due within the hour and may not wait for anybody (REQ-F45, F48); whatever else leaves the
    house goes by an export (REQ-G09)."""
    centre = centre_of(request)
    language = request.app.state.look.language(request)
    assert isinstance(language, Language)
    now, numbers = centre.clock.now(), rights_of(staff).numbers

    def gather(session: Session) -> Report:
        found = documents(session, centre, incident_id, kind, language, now, numbers=numbers)
        audit.record(
            session,
            "incident.document",
            "incident",
            incident_id,
            now=now,
            staff_id=staff.staff_id,
            kind=kind,
            numbers=numbers,
        )
        return found

    report = await centre.db.write(gather)
    content = await asyncio.to_thread(written, report, form)
    name = f"incident-{incident_id}-{kind}.{form.value}"
    return attachment(content, name)
