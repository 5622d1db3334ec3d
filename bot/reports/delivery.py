"""Handing the follow-up report over: on demand, and daily into the data folder; each delivery is logged (REQ-C16)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.windows import local_midnight
from bot.core.words import Language, Role
from bot.reports.follow_ups import FollowUps, follow_ups
from bot.reports.rows import Rights
from bot.reports.spreadsheet import Wording, as_csv, workbook
from bot.services import audit
from bot.services.centre import Centre
from bot.services.escalation import alerts
from bot.services.i18n import N_
from bot.services.staffing import staff
from store.tables import AuditEntry

log = structlog.get_logger()
DAILY = "report.daily"
NO_RIGHTS = Rights(health=False, numbers=False)
CATCH_UP = 7  # days written later, where the program stood still
LISTED = 60
PAGE = "/console/reports/daily"


class Format(StrEnum):
    """What a report may be had as."""

    XLSX = "xlsx"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Daily:
    """A daily report that was written: of which day, when, how many rows, and its file where it lies on this host."""

    day: date
    written_at: datetime
    rows: int
    path: Path | None


def wording(centre: Centre, language: Language) -> Wording:
    """How a reader of this centre calls what a report holds."""
    shelf = centre.library.current
    return Wording(language, centre.settings.zone, shelf.book, centre.settings.address, shelf.policies.plans)


def written(centre: Centre, report: FollowUps, form: Format, language: Language) -> bytes:
    """A report as a file, in a language and the centre's time zone."""
    words = wording(centre, language)
    return workbook(report, words) if form is Format.XLSX else as_csv(report, words)


def deliver(
    session: Session,
    centre: Centre,
    *,
    since: datetime,
    until: datetime,
    rights: Rights,
    now: datetime,
    staff_id: int | None,
    plan: str | None = None,
) -> FollowUps:
    """Reads a report and logs that it was handed over: to whom, how much, with what in it."""
    zone = centre.settings.zone
    report = follow_ups(session, since=since, until=until, rights=rights, zone=zone, plan=plan)
    _log(session, "report.follow_ups", report, rights, now=now, staff_id=staff_id)
    return report


def _log(
    session: Session,
    action: str,
    report: FollowUps,
    rights: Rights,
    *,
    now: datetime,
    staff_id: int | None = None,
    **details: Any,
) -> None:
    audit.record(
        session,
        action,
        "report",
        None,
        now=now,
        staff_id=staff_id,
        rows=len(report.rows),
        since=report.since.isoformat(),
        until=report.until.isoformat(),
        plan=report.plan or "",
        health=rights.health,
        numbers=rights.numbers,
        **details,
    )


# ── daily ──


async def daily(centre: Centre) -> int:
    """From the policies' hour on, yesterday's follow-ups as XLSX into <data folder>/reports, and what was missed of the
    days before while the program stood still; gives how many files were written.

    A file is written whole or not at all, then logged, and the report owners are told. A day without follow-ups has
    none. It holds no health answers and no numbers: who may see more takes the report at the console.
    """
    here = centre.clock.now().astimezone(centre.settings.zone)
    yesterday = here.date() - timedelta(days=1)
    latest = await centre.db.read(latest_day)
    if latest == yesterday or here.time() < centre.library.current.policies.reports.daily_at:
        return 0
    first = yesterday
    if latest is not None:
        first = max(latest + timedelta(days=1), yesterday - timedelta(days=CATCH_UP - 1))
    return sum([await _write(centre, first + timedelta(days=n)) for n in range((yesterday - first).days + 1)])


async def _write(centre: Centre, day: date) -> int:
    since, until = (local_midnight(each, centre.settings.timezone) for each in (day, day + timedelta(days=1)))
    zone = centre.settings.zone
    report = await centre.db.read(lambda s: follow_ups(s, since=since, until=until, rights=NO_RIGHTS, zone=zone))
    if not report.rows:
        return 0
    content = await asyncio.to_thread(written, centre, report, Format.XLSX, centre.settings.language)
    await asyncio.to_thread(_keep, path_of(centre, day), content)
    now = centre.clock.now()

    def tell(session: Session) -> None:
        _log(session, DAILY, report, NO_RIGHTS, now=now, day=day.isoformat())
        alerts.tell(
            session,
            staff.holding(session, Role.REPORT_OWNER),
            N_("%(day)s 的回访报表已写好，共 %(rows)s 行。"),
            cause=f"report:{day.isoformat()}",
            link=PAGE,
            now=now,
            day=day.isoformat(),
            rows=len(report.rows),
        )

    await centre.db.write(tell)
    log.info("reports.daily", day=day.isoformat(), rows=len(report.rows))
    return 1


def latest_day(session: Session) -> date | None:
    """The latest day whose report was written, by whatever process."""
    entries = _entries(session, 1)
    return _day_of(entries[0]) if entries else None


def deliveries(session: Session, centre: Centre) -> tuple[Daily, ...]:
    """The daily reports written lately, the latest first."""
    found: dict[date, Daily] = {}
    for entry in _entries(session, LISTED):
        day = _day_of(entry)
        path = path_of(centre, day)
        found.setdefault(day, Daily(day, entry.at, int(entry.details.get("rows", 0)), path if path.is_file() else None))
    return tuple(found[day] for day in sorted(found, reverse=True))


def hand_out(session: Session, day: date, *, staff_id: int, now: datetime) -> None:
    """Logs that somebody took the daily report of a day."""
    audit.record(session, "report.download", "report", None, now=now, staff_id=staff_id, day=day.isoformat())


def path_of(centre: Centre, day: date) -> Path:
    """Where the daily report of a day lies."""
    return centre.settings.home / "reports" / f"follow-ups-{day.isoformat()}.xlsx"


def _entries(session: Session, limit: int) -> list[AuditEntry]:
    found = session.scalars(
        select(AuditEntry)
        .where(AuditEntry.subject == "report", AuditEntry.action == DAILY)
        .order_by(AuditEntry.id.desc())
        .limit(limit)
    )
    return [entry for entry in found if "day" in entry.details]


def _day_of(entry: AuditEntry) -> date:
    return date.fromisoformat(entry.details["day"])


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(content)
    unfinished.replace(path)
