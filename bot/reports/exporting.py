"""Making the files that were allowed, in the background, and taking old ones away (REQ-G09, G14).

Every file says whose it is: number, who asked, who allowed it, what for and for whom.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import structlog
import xlsxwriter
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.windows import local_midnight
from bot.core.words import Language
from bot.reports import delivery, export_rows, person_file, service_sheet
from bot.reports.export_rows import Table
from bot.reports.follow_ups import FollowUps, follow_ups
from bot.reports.incidents import Document, Report, documents, written
from bot.reports.rows import Rights
from bot.reports.service import Service, service
from bot.reports.spreadsheet import watermarked, workbook
from bot.services.centre import Centre
from bot.services.i18n import N_, text, when
from bot.services.records import export_files
from bot.services.records.exports import NAMES
from store.tables import Export, ExportKind, Staff

log = structlog.get_logger()
EVERY = 5.0  # seconds between rounds


async def make(centre: Centre) -> int:
    """Makes what is due, one file at a time, and removes what was kept long enough; gives how much that was."""
    made = await export_files.clear(centre)
    while (export_id := await centre.db.write(lambda s: _claimed(s, centre.clock.machine()))) is not None:
        await _make(centre, export_id)
        made += 1
    return made


def _claimed(session: Session, machine: datetime) -> int | None:
    export = export_files.claim(session, machine)
    return export.id if export is not None else None


async def _make(centre: Centre, export_id: int) -> None:
    now = centre.clock.now()
    gathered, rows, mark, language = await centre.db.read(lambda s: _gathered(s, centre, export_id, now))
    content = await asyncio.to_thread(_written, centre, gathered, mark, language)
    name = await asyncio.to_thread(export_files.put, export_files.folder(centre), content)
    digest = hashlib.sha256(content).hexdigest()
    kept = await centre.db.write(
        lambda s: export_files.settle(
            s, centre, export_id, name, rows=rows, size=len(content), digest=digest, now=centre.clock.now()
        )
    )
    if not kept:
        await asyncio.to_thread(export_files.remove, export_files.folder(centre), [name])
    log.info("exports.made", export=export_id, rows=rows, kept=kept)


ENDINGS = {ExportKind.PERSON: "zip", ExportKind.INCIDENT: "docx"}


def ending(kind: ExportKind) -> str:
    """What a file of this kind is called at its end."""
    return ENDINGS.get(kind, "xlsx")


Gathered = Table | FollowUps | Report | Service | person_file.Everything


def _gathered(
    session: Session, centre: Centre, export_id: int, now: datetime
) -> tuple[Gathered, int, list[str], Language]:
    export = session.get_one(Export, export_id)
    mark = _mark(session, centre, export, now)
    match export.kind:
        case ExportKind.PERSON:
            everything = person_file.everything(session, centre, int(export.scope["contact"]))
            return everything, everything.rows, mark, export.language
        case ExportKind.FOLLOW_UPS:
            since, until = _span(centre, export)
            rights = Rights(health="health" in export.fields, numbers="phone" in export.fields)
            plan = export.scope.get("plan") or None
            calls = follow_ups(session, since=since, until=until, rights=rights, zone=centre.settings.zone, plan=plan)
            return calls, len(calls.rows), mark, export.language
        case ExportKind.INCIDENT:
            report = documents(
                session, centre, int(export.scope["incident"]), "file", export.language, now,
                numbers="phone" in export.fields,
            )  # fmt: skip
            return report, sum(len(part.rows) for part in report.parts), mark, export.language
        case ExportKind.SERVICE:
            since, until = _span(centre, export)
            sla, zone = centre.library.current.policies.sla, centre.settings.zone
            served = service(session, since=since, until=until, sla=sla, zone=zone, now=now)
            served = served if "staff" in export.fields else replace(served, people=())
            return served, served.talks, mark, export.language
        case ExportKind.CONTACTS:
            table = export_rows.contacts_of(session, export)
        case ExportKind.RECIPIENTS:
            table = export_rows.recipients_of(session, centre, export)
        case ExportKind.CASES:
            table = export_rows.cases_of(session, centre, export, *_span(centre, export))
    return table, len(table[1]), mark, export.language


def _written(centre: Centre, gathered: Gathered, mark: list[str], language: Language) -> bytes:
    match gathered:
        case person_file.Everything():
            return person_file.written(gathered, mark)
        case FollowUps():
            return workbook(gathered, delivery.wording(centre, language), mark)
        case Report():
            return written(replace(gathered, notes=(*gathered.notes, *mark)), Document.DOCX)
        case Service():
            return service_sheet.written(gathered, language, centre.settings.zone, centre.library.current.book, mark)
        case (heads, rows):
            return _sheet(heads, rows, mark)


def _mark(session: Session, centre: Centre, export: Export, now: datetime) -> list[str]:
    """The watermark, most important line first."""
    names = {row.id: row.name for row in session.execute(select(Staff.id, Staff.name))}
    language, zone = export.language, centre.settings.zone
    asker, decider = names[export.asked_by], names.get(export.decided_by or 0, "—")
    company = centre.library.current.policies.company.name.of(language)

    def said(message: str, **values: object) -> str:
        return text(language, message, **values)

    return [
        f"{company} · {export.number} · {asker} · {when(language, now, zone)}",
        said(N_("内容：%(what)s"), what=said(NAMES[export.kind])),
        said(N_("用途：%(purpose)s"), purpose=export.purpose),
        said(N_("交给：%(recipient)s"), recipient=export.recipient),
        said(N_("申请人：%(asker)s；批准人：%(decider)s"), asker=asker, decider=decider),
        said(N_("含个人信息：只用于上面的用途，不转给别人，用完删除。")),
    ]


def _span(centre: Centre, export: Export) -> tuple[datetime, datetime]:
    """The instants the centre's days of an export lie between, both days included."""
    zone = centre.settings.timezone
    first, last = (date.fromisoformat(str(export.scope[name])) for name in ("since", "until"))
    return local_midnight(first, zone), local_midnight(last + timedelta(days=1), zone)


def _sheet(heads: Sequence[str], rows: Sequence[Sequence[str]], mark: Sequence[str]) -> bytes:
    file = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(file, options) as book:
        _table(book, "1", heads, rows)
        watermarked(book, mark)
    return file.getvalue()


def _table(book: Any, name: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A sheet with its headings frozen and filtered."""
    sheet = book.add_worksheet(name)
    bold = book.add_format({"bold": True, "bg_color": "#DCEFEC", "border": 1, "text_wrap": True})
    wrap = book.add_format({"text_wrap": True, "valign": "top"})
    sheet.set_column(0, max(0, len(heads) - 1), 22)
    for at, head in enumerate(heads):
        sheet.write_string(0, at, head, bold)
    for line, row in enumerate(rows, start=1):
        for at, cell in enumerate(row):
            sheet.write_string(line, at, cell, wrap)
    sheet.freeze_panes(1, 0)
    if heads:
        sheet.autofilter(0, 0, max(1, len(rows)), len(heads) - 1)
