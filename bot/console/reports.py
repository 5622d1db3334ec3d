"""Reports at the console: the figures and rows of a period, the same as a spreadsheet, and the daily files
(REQ-C16, H10, H11)."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import FileResponse, Response

from bot.console.door import FILES, attachment, centre_of, language_of, render, require
from bot.console.queries.office import assignable
from bot.console.queries.reports import UNFINISHED, Look, sheet
from bot.console.times import day_of
from bot.core.policy import ExportRule
from bot.core.windows import local_date, local_midnight
from bot.core.words import Disposition
from bot.reports import delivery
from bot.reports.delivery import NO_RIGHTS, Format, deliver, written
from bot.reports.figures import KINDS, Figure
from bot.reports.follow_ups import FollowUps, follow_ups
from bot.reports.rows import Rights
from bot.reports.spreadsheet import FLAGS
from bot.services.permissions import Function, Grant
from bot.services.staffing.staff import SignedIn
from store.tables import ExportKind

router = APIRouter(prefix="/console/reports", include_in_schema=False)
Reader = Annotated[SignedIn, Depends(require(Function.SEE_REPORTS))]
Day = Annotated[date | None, Query()]
SHOWN = 100  # rows on a page; the spreadsheet has all
LONGEST = timedelta(days=366)
RESULTS = ("", UNFINISHED, *(each.value for each in Disposition))


async def _look(
    request: Request,
    since: Day = None,
    until: Day = None,
    plan: Annotated[str, Query(max_length=40)] = "",
    result: Annotated[str, Query(max_length=24)] = "",
    day: str = "",
    of: str = "",
) -> Look:
    """The last seven days unless told. What an empty field of the form says is nothing; what nobody could have chosen
    is passed over."""
    first, last = days_of(request, since, until)
    return Look(
        first,
        last,
        plan=plan or None,
        result=result if result in RESULTS else "",
        day=day_of(day),
        of=Figure(of) if of in list(Figure) else None,
    )


Looks = Annotated[Look, Depends(_look)]


@router.get("")
async def index(
    request: Request, staff: Reader, look: Looks, page: Annotated[int, Query(ge=1, le=10_000)] = 1
) -> Response:
    """The figures of a period and plan, each leading down to its rows."""
    centre = centre_of(request)
    start, end = span_of(request, look.since, look.until)

    def read(session: Session) -> FollowUps:
        return follow_ups(
            session, since=start, until=end, rights=rights_of(staff), zone=centre.settings.zone, plan=look.plan
        )

    report: FollowUps = await centre.db.read(read)
    rows = look.rows(report.rows)
    return render(
        request,
        "console/reports.html",
        look=look,
        sheet=sheet(report.rows, look),
        rows=rows[(page - 1) * SHOWN : page * SHOWN],
        found=len(rows),
        page=page,
        pages=max(1, -(-len(rows) // SHOWN)),
        scores=report.figures.scores,
        words=delivery.wording(centre, language_of(request)),
        flags=FLAGS,
        kinds=KINDS,
        plans=centre.library.current.policies.plans,
        **await _assigning(request, staff),
    )


async def _assigning(request: Request, staff: SignedIn) -> dict[str, Any]:
    """Whom rows can be given to, for those who may give them."""
    if not staff.may(Function.ASSIGN_NEXT_STEP):
        return {"colleagues": (), "tomorrow": None}
    centre = centre_of(request)
    tomorrow = local_date(centre.clock.now(), centre.settings.timezone) + timedelta(days=1)
    return {"colleagues": await centre.db.read(assignable), "tomorrow": tomorrow}


@router.get("/follow-ups.{form}")
async def download(request: Request, form: Format, staff: Reader, look: Looks) -> Response:
    """The rows at once, as far as the policy lets them go without a second person (REQ-G09)."""
    centre, language = centre_of(request), language_of(request)
    start, end = span_of(request, look.since, look.until)
    now = centre.clock.now()
    rule = centre.library.current.policies.privacy.exports.get(ExportKind.FOLLOW_UPS, ExportRule.APPROVE)
    rights = rights_of(staff) if rule is ExportRule.DIRECT else NO_RIGHTS

    def work(session: Session) -> FollowUps:
        return deliver(
            session,
            centre,
            since=start,
            until=end,
            rights=rights,
            now=now,
            staff_id=staff.staff_id,
            plan=look.plan,
        )

    report = await centre.db.write(work)
    content = await asyncio.to_thread(written, centre, report, form, language)
    plans = centre.library.current.policies.plans
    part = f"-{look.plan}" if look.plan in plans else ""
    name = f"follow-ups-{look.since.isoformat()}-{look.until.isoformat()}{part}.{form.value}"
    return attachment(content, name)


# ── the daily files ──


@router.get("/daily")
async def daily(request: Request, _: Reader) -> Response:
    """The daily reports that were written, and when the next one is."""
    centre = centre_of(request)
    found = await centre.db.read(lambda session: delivery.deliveries(session, centre))
    return render(
        request, "console/reports_daily.html", found=found, daily_at=centre.library.current.policies.reports.daily_at
    )


@router.get("/daily/{day}.xlsx")
async def daily_file(request: Request, staff: Reader, day: date) -> Response:
    """The file as it was written; 404 where it is not on this host."""
    centre, now = centre_of(request), centre_of(request).clock.now()
    path = delivery.path_of(centre, day)
    if not path.is_file():
        raise HTTPException(404)
    await centre.db.write(lambda session: delivery.hand_out(session, day, staff_id=staff.staff_id, now=now))
    return FileResponse(
        path, media_type=FILES["xlsx"], filename=path.name, headers={"Cache-Control": "private, no-store"}
    )


def rights_of(staff: SignedIn) -> Rights:
    """What this reader may see in a report (REQ-A22, G14, G18)."""
    seen = staff.grants(Function.SEE_CONTACT) & {Grant.YES, Grant.TEAM, Grant.REPORT_ROWS}
    return Rights(health=staff.may(Function.SEE_HEALTH), numbers=bool(seen))


def days_of(request: Request, since: date | None, until: date | None) -> tuple[date, date]:
    centre = centre_of(request)
    today = local_date(centre.clock.now(), centre.settings.timezone)
    last = min(until or today, today + LONGEST)
    first = since or last - timedelta(days=6)
    return max(min(first, last), last - LONGEST), last


def span_of(request: Request, first: date, last: date) -> tuple[datetime, datetime]:
    """The instants between which the centre's days from `first` to `last` lie, both included."""
    zone = centre_of(request).settings.timezone
    return local_midnight(first, zone), local_midnight(last + timedelta(days=1), zone)
