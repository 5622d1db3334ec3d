"""Reports at the console: the figures and rows of a period, and the same as a spreadsheet (REQ-C16, H10, H11)."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from bot.console.door import centre_of, render, require
from bot.core.windows import local_date, local_midnight
from bot.core.words import Language
from bot.reports.delivery import Format, deliver, written
from bot.reports.follow_ups import FollowUps, Rights, follow_ups
from bot.reports.spreadsheet import FLAGS, Wording, rates
from bot.services.permissions import Function, Grant
from bot.services.staff import SignedIn

router = APIRouter(prefix="/console/reports", include_in_schema=False)
Reader = Annotated[SignedIn, Depends(require(Function.SEE_REPORTS))]
Day = Annotated[date | None, Query()]
SHOWN = 200  # rows on the page; the spreadsheet has all
LONGEST = timedelta(days=366)
TYPES = {
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Format.CSV: "text/csv; charset=utf-8",
}


@router.get("")
async def index(request: Request, staff: Reader, since: Day = None, until: Day = None) -> Response:
    """The last seven days unless told; `until` is the last day included."""
    centre = centre_of(request)
    first, last = _days(request, since, until)
    start, end = _span(request, first, last)
    report: FollowUps = await centre.db.read(lambda s: follow_ups(s, since=start, until=end, rights=rights_of(staff)))
    words = Wording(_language(request), centre.settings.zone, centre.library.current.book)
    return render(
        request,
        "console/reports.html",
        since=first,
        until=last,
        report=report,
        rows=report.rows[:SHOWN],
        rates=rates(report, words),
        words=words,
        flags=FLAGS,
    )


@router.get("/follow-ups.{form}")
async def download(request: Request, form: Format, staff: Reader, since: Day = None, until: Day = None) -> Response:
    centre, language = centre_of(request), _language(request)
    first, last = _days(request, since, until)
    start, end = _span(request, first, last)
    now = centre.clock.now()
    report = await centre.db.write(
        lambda s: deliver(s, since=start, until=end, rights=rights_of(staff), now=now, staff_id=staff.staff_id)
    )
    content = await asyncio.to_thread(written, centre, report, form, language)
    name = f"follow-ups-{first.isoformat()}-{last.isoformat()}.{form.value}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(content, media_type=TYPES[form], headers=headers)


def rights_of(staff: SignedIn) -> Rights:
    """What this reader may see in a report (REQ-A22, G14, G18)."""
    seen = staff.grants(Function.SEE_CONTACT) & {Grant.YES, Grant.TEAM, Grant.REPORT_ROWS}
    return Rights(health=staff.may(Function.SEE_HEALTH), numbers=bool(seen))


def _days(request: Request, since: date | None, until: date | None) -> tuple[date, date]:
    centre = centre_of(request)
    today = local_date(centre.clock.now(), centre.settings.timezone)
    last = min(until or today, today + LONGEST)
    first = since or last - timedelta(days=6)
    return max(min(first, last), last - LONGEST), last


def _span(request: Request, first: date, last: date) -> tuple[datetime, datetime]:
    zone = centre_of(request).settings.timezone
    return local_midnight(first, zone), local_midnight(last + timedelta(days=1), zone)


def _language(request: Request) -> Language:
    language = request.app.state.look.language(request)
    assert isinstance(language, Language)
    return language
