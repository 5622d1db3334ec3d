"""The service report as a spreadsheet: its figures with how each is computed, then the staff, hours and reasons."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

import xlsxwriter

from bot.core.book import Book
from bot.core.standards import Typing
from bot.core.words import Language
from bot.reports.figures import Measure
from bot.reports.service import KINDS, Service, Standard
from bot.reports.spreadsheet import watermarked
from bot.services import reasons
from bot.services.i18n import N_, text
from bot.services.queues import QUEUES

Cell = str | int | float | None
INSIDE = N_("仅供本单位内部使用；交给外单位，请在“资料保护”申请导出。")
SHEETS = (N_("汇总"), N_("员工"), N_("时段"), N_("转人工原因"), N_("投诉"))


def written(report: Service, language: Language, zone: ZoneInfo, book: Book, mark: Sequence[str] = ()) -> bytes:
    """The file's bytes, reasons named by `book`; whatever somebody wrote is text, never a formula. `mark` is an
    export's watermark; without one the file is for the house."""

    def say(message: str) -> str:
        return text(language, message)

    span = f"{report.since.astimezone(zone):%Y-%m-%d %H:%M} – {report.until.astimezone(zone):%Y-%m-%d %H:%M}"
    summary: list[Sequence[Cell]] = [
        (say(KINDS[each][0]), shown(each, measure), measure.part, measure.whole, say(KINDS[each][1]))
        for each, measure in report.measures.items()
    ]
    waits = (
        (N_("机器人回答中位数（秒）"), report.median_bot),
        (N_("人工回答中位数（秒）"), report.median_person),
        (N_("人工回答九成不超过（秒）"), report.slow_person),
    )
    summary += [(say(name), _seconds(wait), None, None, None) for name, wait in waits]
    summary.append((say(N_("打字速度（字/分钟）")), _speed(report.typing), None, report.typing.characters, None))
    people = [
        (
            person.name,
            person.talks,
            person.answered.share,
            person.answered.whole,
            _seconds(person.median),
            person.rating.share,
            person.rating.whole,
            _speed(person.typing),
        )
        for person in report.people
    ]
    content = io.BytesIO()
    with xlsxwriter.Workbook(
        content, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    ) as file:
        bold = file.add_format({"bold": True})
        tables: tuple[tuple[Sequence[str], Iterable[Sequence[Cell]]], ...] = (
            ((N_("指标"), N_("数值"), N_("达到"), N_("样本"), span), summary),
            (
                (
                    N_("姓名"),
                    N_("会话"),
                    N_("及时回答率"),
                    N_("回答数"),
                    N_("中位数（秒）"),
                    N_("评分"),
                    N_("评分个数"),
                    N_("打字速度（字/分钟）"),
                ),
                people,
            ),
            ((N_("小时"), N_("新会话"), N_("转人工")), report.hours),
            ((N_("原因"), N_("会话")), [(reasons.said(language, key, book), count) for key, count in report.reasons]),
            ((N_("队列"), N_("投诉")), [(say(QUEUES.get(key, key)), count) for key, count in report.complaints]),
        )
        for name, (heads, rows) in zip(SHEETS, tables, strict=True):
            sheet = file.add_worksheet(say(name))
            sheet.write_row(0, 0, [say(head) for head in heads], bold)
            for at, row in enumerate(rows, 1):
                sheet.write_row(at, 0, row)
            sheet.autofit()
        watermarked(file, mark or (say(INSIDE),))
    return content.getvalue()


def shown(standard: Standard, measure: Measure) -> float | None:
    """A share of 0..1, or for ratings their mean."""
    share = measure.share
    return None if share is None else round(share, 2 if standard is Standard.RATING else 4)


def _seconds(wait: timedelta | None) -> float | None:
    return round(wait.total_seconds(), 1) if wait is not None else None


def _speed(typing: Typing) -> float | None:
    return None if typing.speed is None else round(typing.speed, 1)
