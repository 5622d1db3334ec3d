"""The service report at the console: how customers were served in a period, each figure leading to what missed it."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.console.door import attachment, centre_of, language_of, render
from bot.console.reports import Day, Reader, days_of, span_of
from bot.reports import service_sheet
from bot.reports.service import KINDS, Service, Standard, service
from bot.services import audit

router = APIRouter(prefix="/console/reports/service", include_in_schema=False)
SHOWN = 200  # of what missed a standard


async def _report(request: Request, since: Day = None, until: Day = None) -> tuple[date, date, Service]:
    """The last seven days unless told."""
    centre = centre_of(request)
    first, last = days_of(request, since, until)
    start, end = span_of(request, first, last)

    def read(session: Session) -> Service:
        return service(
            session,
            since=start,
            until=end,
            sla=centre.library.current.policies.sla,
            zone=centre.settings.zone,
            now=centre.clock.now(),
        )

    return first, last, await centre.db.read(read)


Report = Annotated[tuple[date, date, Service], Depends(_report)]


@router.get("")
async def index(request: Request, _: Reader, found: Report, of: str = "") -> Response:
    first, last, report = found
    standard = Standard(of) if of in list(Standard) else None
    busiest = max((begun for _, begun, _ in report.hours), default=0)
    return render(
        request,
        "console/service.html",
        first=first,
        last=last,
        report=report,
        kinds=KINDS,
        of=standard,
        outside=report.outside[standard][:SHOWN] if standard else (),
        busiest=busiest,
        sla=centre_of(request).library.current.policies.sla,
    )


@router.get("/service.xlsx")
async def download(request: Request, staff: Reader, found: Report) -> Response:
    centre, (first, last, report) = centre_of(request), found
    book = centre.library.current.book
    content = await asyncio.to_thread(service_sheet.written, report, language_of(request), centre.settings.zone, book)
    now = centre.clock.now()
    await centre.db.write(
        lambda session: audit.record(
            session,
            "report.download",
            "report",
            None,
            now=now,
            staff_id=staff.staff_id,
            what="service",
            since=first.isoformat(),
            until=last.isoformat(),
        )
    )
    name = f"service-{first.isoformat()}-{last.isoformat()}.xlsx"
    return attachment(content, name)
