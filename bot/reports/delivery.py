"""Handing the follow-up report over: on demand, and daily into the data folder; each delivery is logged (REQ-C16)."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.windows import local_date, local_midnight
from bot.core.words import Language
from bot.reports.follow_ups import FollowUps, Rights, follow_ups
from bot.reports.spreadsheet import Wording, as_csv, workbook
from bot.services import audit
from bot.services.centre import Centre
from store.tables import AuditEntry

log = structlog.get_logger()
DAILY = "report.daily"
NO_RIGHTS = Rights(health=False, numbers=False)


class Format(StrEnum):
    """What a report may be had as."""

    XLSX = "xlsx"
    CSV = "csv"


def written(centre: Centre, report: FollowUps, form: Format, language: Language) -> bytes:
    """A report as a file, in a language and the centre's time zone."""
    words = Wording(language, centre.settings.zone, centre.library.current.book)
    return workbook(report, words) if form is Format.XLSX else as_csv(report, words)


def deliver(
    session: Session,
    *,
    since: datetime,
    until: datetime,
    rights: Rights,
    now: datetime,
    staff_id: int | None,
    action: str = "report.follow_ups",
) -> FollowUps:
    """Reads a report and logs that it was handed over: to whom, how much, with what in it."""
    report = follow_ups(session, since=since, until=until, rights=rights)
    audit.record(
        session,
        action,
        "report",
        None,
        now=now,
        staff_id=staff_id,
        rows=len(report.rows),
        since=since.isoformat(),
        until=until.isoformat(),
        health=rights.health,
        numbers=rights.numbers,
    )
    return report


async def daily(centre: Centre) -> int:
    """Once a day, yesterday's follow-ups as XLSX into <data folder>/reports; gives how many files were written.

    The file is written whole or not at all, and logged once it is there; a day without follow-ups has none. It holds no
    health answers and no numbers: who may see more takes the report at the console.
    """
    zone, now = centre.settings.timezone, centre.clock.now()
    day = local_date(now, zone) - timedelta(days=1)
    since, until = local_midnight(day, zone), local_midnight(day + timedelta(days=1), zone)
    path = centre.settings.home / "reports" / f"follow-ups-{day.isoformat()}.xlsx"
    if path.exists() or await centre.db.read(lambda s: _logged(s, since)):
        return 0
    report = await centre.db.read(lambda s: follow_ups(s, since=since, until=until, rights=NO_RIGHTS))
    if not report.rows:
        return 0
    content = await asyncio.to_thread(written, centre, report, Format.XLSX, centre.settings.language)
    await asyncio.to_thread(_keep, path, content)
    await centre.db.write(
        lambda s: deliver(s, since=since, until=until, rights=NO_RIGHTS, now=now, staff_id=None, action=DAILY)
    )
    log.info("reports.daily", day=day.isoformat(), rows=len(report.rows))
    return 1


def _logged(session: Session, since: datetime) -> bool:
    """Whether this day's report was written already, by whatever process."""
    latest = session.scalar(
        select(AuditEntry.details)
        .where(AuditEntry.subject == "report", AuditEntry.action == DAILY)
        .order_by(AuditEntry.id.desc())
        .limit(1)
    )
    return latest is not None and str(latest.get("since", "")) >= since.isoformat()


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(content)
    unfinished.replace(path)
