"""The follow-up report as files: XLSX with a summary and its charts, and CSV (REQ-C16).

Whatever a customer said is written as text: no cell is ever a formula, a link or a number by its looks, and in CSV a
cell that a spreadsheet would take for a formula begins with an apostrophe. Times are the centre's own.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

import xlsxwriter

from bot.core.book import Book
from bot.core.plan import Plan, Rings
from bot.core.words import Disposition, Language
from bot.reports.figures import KINDS, Figure, Measure, by, by_day, measures
from bot.reports.follow_ups import FollowUps
from bot.reports.rows import Row, Step
from bot.services.i18n import LABELS, N_, label, text

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
FLAGS: Mapping[str, str] = {
    "missed_same_evening": N_("错过当晚"),
    "late": N_("晚于期限"),
    "late_holiday": N_("因节假日延后"),
    "pulled_forward": N_("因节假日提前"),
    "provisional": N_("节假日待定"),
    "asked_time": N_("客户约的时间"),
    "low_score": N_("评分低"),
    "unknown": N_("结果未知，请核实"),
    "seasons_unset": N_("换季日期未设置"),
    "name_missing": N_("缺客户姓名，暂不拨打"),
    "purpose_missing": N_("缺拨打事由，暂不拨打"),
    "void": N_("作废，不计入统计"),
    **LABELS[Rings],
}
COLUMNS: Sequence[tuple[str, str, int]] = (
    ("callback_id", N_("编号"), 8),
    ("customer", N_("客户"), 12),
    ("title", N_("称呼"), 10),
    ("number", N_("电话"), 16),
    ("group", N_("类别"), 14),
    ("plan", N_("计划"), 18),
    ("reason", N_("事由"), 18),
    ("happened_at", N_("到诊时间"), 17),
    ("due_at", N_("应回访时间"), 17),
    ("window", N_("时段"), 13),
    ("channel", N_("方式"), 8),
    ("attempt", N_("第几次"), 8),
    ("result", N_("结果"), 12),
    ("state", N_("状态"), 10),
    ("on_time", N_("是否按时"), 10),
    ("agent", N_("经办"), 12),
    ("started_at", N_("开始"), 17),
    ("ended_at", N_("结束"), 17),
    ("remarks", N_("备注"), 24),
    ("flags", N_("标记"), 18),
    ("steps", N_("后续处理"), 30),
    ("recording", N_("录音或对话"), 30),
)
HIDDEN = N_("（无权查看）")


class Wording:
    """One reader's words for what a report holds."""

    def __init__(
        self, language: Language, zone: ZoneInfo, book: Book, address: str = "", plans: Mapping[str, Plan] | None = None
    ) -> None:
        """`address` is where the console is reached, for what a row refers to; `plans` are those there are now."""
        self.language = language
        self._zone = zone
        self._book = book
        self._address = address
        self._plans = plans or {}

    def text(self, message: str, **values: Any) -> str:
        return text(self.language, message, **values)

    def local(self, at: datetime | None) -> datetime | None:
        """The centre's wall-clock time, without a zone: a spreadsheet knows none."""
        return at.astimezone(self._zone).replace(tzinfo=None) if at is not None else None

    def question(self, name: str) -> str:
        slot = self._book.slots.get(name)
        return slot.labels.get(self.language, name) if slot is not None else name

    def plan(self, plan_id: str) -> str:
        """A plan's name; its id where there is no such plan any more."""
        plan = self._plans.get(plan_id)
        return plan.name.get(self.language, plan_id) if plan is not None else plan_id

    def result(self, result: Disposition | None) -> str:
        return label(self.language, result) if result is not None else self.text(N_("尚未结束"))

    def share(self, figure: Figure, measure: Measure) -> str:
        """A figure as people read it: 62.5%, 4.25, or a dash where there is nothing to take it of."""
        if measure.share is None:
            return "—"
        return f"{measure.share:.2f}" if figure is Figure.SATISFACTION else f"{measure.share:.1%}"

    def answer(self, row: Row, question: str) -> str:
        """What somebody answered; where it was corrected, with what was written first."""
        given = row.answers.get(question, "")
        if given is None:
            return self.text(HIDDEN)
        if question in row.corrected:
            first = self._said(row.corrected[question])
            return self.text(N_("%(new)s（更正，原为：%(old)s）"), new=self._said(given), old=first)
        return self._said(given)

    def _said(self, given: str) -> str:
        return {"yes": self.text(N_("是")), "no": self.text(N_("否"))}.get(given, given)

    def cell(self, row: Row, column: str) -> str | int | datetime | None:
        """What stands in a column of a row."""
        match column:
            case "happened_at" | "due_at" | "started_at" | "ended_at":
                return self.local(getattr(row, column))
            case "callback_id" | "attempt":
                return int(getattr(row, column))
            case "agent":
                return row.agent or (self.text(N_("机器人")) if row.attempt else "")
            case "plan":
                return self.plan(row.plan)
            case "recording":
                return f"{self._address}{row.recording}" if row.recording else ""
            case "on_time":
                return "" if row.on_time is None else self.text(N_("是") if row.on_time else N_("否"))
            case "flags":
                return " / ".join(self.text(FLAGS.get(flag, flag)) for flag in row.flags)
            case "steps":
                return "\n".join(self._step(step) for step in row.steps)
        value = getattr(row, column)
        return label(self.language, value) if isinstance(value, StrEnum) else str(value or "")

    def _step(self, step: Step) -> str:
        state = step.result if step.done else self.text(N_("未完成"))
        return f"{step.owner} {step.due_on.isoformat()} · {step.what} · {state}"


def watermarked(book: Any, mark: Sequence[str]) -> None:
    """What an export says of itself: on a sheet of its own, and at the foot of every printed page."""
    if not mark:
        return
    sheet = book.add_worksheet("©")
    sheet.set_column(0, 0, 100)
    for line, said in enumerate(mark):
        sheet.write_string(line, 0, said)
    for each in book.worksheets():
        each.set_footer(f"&L{mark[0].replace('&', '&&')[:200]}&R&P/&N")
    book.set_properties({"comments": "\n".join(mark)})


def workbook(report: FollowUps, words: Wording, mark: Sequence[str] = ()) -> bytes:
    """The report as XLSX: a summary sheet, then the rows. `mark` is an export's watermark."""
    file = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = xlsxwriter.Workbook(file, options)
    try:
        styles = {
            "head": book.add_format({"bold": True, "bg_color": "#DCEFEC", "border": 1, "text_wrap": True}),
            "title": book.add_format({"bold": True, "font_size": 14}),
            "time": book.add_format({"num_format": "yyyy-mm-dd hh:mm", "valign": "top"}),
            "share": book.add_format({"num_format": "0.0%"}),
            "score": book.add_format({"num_format": "0.00"}),
            "wrap": book.add_format({"text_wrap": True, "valign": "top"}),
        }
        _summary(book, report, words, styles)
        _details(book, report, words, styles)
        watermarked(book, mark)
    finally:
        book.close()
    return file.getvalue()


def _details(book: Any, report: FollowUps, words: Wording, styles: Mapping[str, Any]) -> None:
    sheet = book.add_worksheet(words.text(N_("回访明细")))
    heads = [words.text(name) for _, name, _ in COLUMNS] + [words.question(name) for name in report.questions]
    widths = [width for _, _, width in COLUMNS] + [16] * len(report.questions)
    for at, (head, width) in enumerate(zip(heads, widths, strict=True)):
        sheet.set_column(at, at, width)
        sheet.write_string(0, at, head, styles["head"])
    for line, row in enumerate(report.rows, start=1):
        cells = [words.cell(row, column) for column, _, _ in COLUMNS]
        cells += [words.answer(row, name) for name in report.questions]
        for at, cell in enumerate(cells):
            _write(sheet, line, at, cell, styles)
    sheet.freeze_panes(1, 2)
    sheet.autofilter(0, 0, max(1, len(report.rows)), len(heads) - 1)


def _write(sheet: Any, line: int, at: int, cell: str | int | datetime | None, styles: Mapping[str, Any]) -> None:
    match cell:
        case None | "":
            sheet.write_blank(line, at, None, styles["wrap"])
        case datetime():
            sheet.write_datetime(line, at, cell, styles["time"])
        case int():
            sheet.write_number(line, at, cell, styles["wrap"])
        case str():
            sheet.write_string(line, at, cell, styles["wrap"])


def _summary(book: Any, report: FollowUps, words: Wording, styles: Mapping[str, Any]) -> None:
    """Figures with their samples; results and plans with a chart each; every figure by plan and by day."""
    name = words.text(N_("汇总"))
    sheet, figures = book.add_worksheet(name), report.figures
    sheet.set_column(0, 0, 26)
    sheet.set_column(1, len(Figure) + 1, 14)
    since, until = words.local(report.since), words.local(report.until)
    sheet.write_string(0, 0, words.text(N_("回访报表")), styles["title"])
    sheet.write_string(1, 0, words.text(N_("期间")))
    sheet.write_string(1, 1, f"{since:%Y-%m-%d %H:%M} – {until:%Y-%m-%d %H:%M}")
    if report.plan is not None:
        sheet.write_string(2, 0, words.text(N_("计划")))
        sheet.write_string(2, 1, words.plan(report.plan))
    line = 3
    for at, head in enumerate((N_("指标"), N_("数值"), N_("样本"), N_("怎么算"))):
        sheet.write_string(line, at, words.text(head), styles["head"])
    for line, (figure, measure) in enumerate(figures.measures.items(), start=4):
        sheet.write_string(line, 0, words.text(KINDS[figure].name))
        _measure(sheet, line, 1, figure, measure, styles)
        sheet.write_number(line, 2, measure.whole)
        sheet.write_string(line, 3, words.text(KINDS[figure].why))
    sheet.write_string(line + 1, 0, words.text(N_("回访总数")))
    sheet.write_number(line + 1, 1, figures.total)
    results = [(words.result(result), count) for result, count in figures.by_result.items()]
    groups = [(label(words.language, group), count) for group, count in figures.by_group.items()]
    line = _table(sheet, line + 3, words.text(N_("结果")), results, styles)
    _chart(book, sheet, name, words.text(N_("结果")), line, len(results), "J4")
    line = _table(sheet, line + 1, words.text(N_("类别")), groups, styles)
    _chart(book, sheet, name, words.text(N_("类别")), line, len(groups), "J20")
    line = _scores(sheet, line + 1, report, words, styles)
    plans = [(words.plan(plan), rows) for plan, rows in sorted(by(report.rows, lambda row: row.plan).items())]
    line = _spread(sheet, line + 1, words.text(N_("计划")), plans, words, styles)
    days = [(day.isoformat(), rows) for day, rows in by_day(report.rows).items()]
    line = _spread(sheet, line + 1, words.text(N_("日期")), days, words, styles)
    _chart(book, sheet, name, words.text(N_("每天的回访")), line, len(days), "J36", kind="column")


def _scores(sheet: Any, line: int, report: FollowUps, words: Wording, styles: Mapping[str, Any]) -> int:
    for at, head in enumerate((N_("评分"), N_("平均分"), N_("人数"))):
        sheet.write_string(line, at, words.text(head), styles["head"])
    for at, (question, (mean, people)) in enumerate(report.figures.scores.items(), start=line + 1):
        sheet.write_string(at, 0, words.question(question))
        sheet.write_number(at, 1, mean, styles["score"])
        sheet.write_number(at, 2, people)
    return line + 1 + len(report.figures.scores)


def _spread(
    sheet: Any,
    line: int,
    title: str,
    parts: Sequence[tuple[str, Sequence[Row]]],
    words: Wording,
    styles: Mapping[str, Any],
) -> int:
    """Every figure over each part of the rows; gives the line after the last."""
    heads = [title, words.text(N_("回访总数")), *(words.text(KINDS[figure].name) for figure in Figure)]
    for at, head in enumerate(heads):
        sheet.write_string(line, at, head, styles["head"])
    for at, (part, rows) in enumerate(parts, start=line + 1):
        sheet.write_string(at, 0, part)
        sheet.write_number(at, 1, len(rows))
        for column, (figure, measure) in enumerate(measures(rows).items(), start=2):
            _measure(sheet, at, column, figure, measure, styles)
    return line + 1 + len(parts)


def _measure(sheet: Any, line: int, at: int, figure: Figure, measure: Measure, styles: Mapping[str, Any]) -> None:
    if measure.share is None:
        sheet.write_string(line, at, "—")
    else:
        sheet.write_number(line, at, measure.share, styles["score" if figure is Figure.SATISFACTION else "share"])


def _table(sheet: Any, line: int, title: str, rows: Sequence[tuple[str, int]], styles: Mapping[str, Any]) -> int:
    """Writes a heading and its counts; gives the line after the last."""
    sheet.write_string(line, 0, title, styles["head"])
    sheet.write_string(line, 1, "", styles["head"])
    for at, (name, count) in enumerate(rows, start=line + 1):
        sheet.write_string(at, 0, name)
        sheet.write_number(at, 1, count)
    return line + 1 + len(rows)


def _chart(book: Any, sheet: Any, name: str, title: str, end: int, rows: int, at: str, *, kind: str = "bar") -> None:
    """A chart of the `rows` counts above line `end`."""
    if not rows:
        return
    chart = book.add_chart({"type": kind})
    chart.add_series(
        {
            "categories": [name, end - rows, 0, end - 1, 0],
            "values": [name, end - rows, 1, end - 1, 1],
            "fill": {"color": "#0B6B63"},
            "data_labels": {"value": True},
        }
    )
    chart.set_title({"name": title})
    chart.set_legend({"none": True})
    chart.set_size({"width": 520, "height": 300})
    sheet.insert_chart(at, chart)


def as_csv(report: FollowUps, words: Wording) -> bytes:
    """The rows as CSV, UTF-8 with a mark so that every spreadsheet reads Chinese."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    heads = [words.text(name) for _, name, _ in COLUMNS] + [words.question(name) for name in report.questions]
    writer.writerow([_harmless(head) for head in heads])
    for row in report.rows:
        cells = [words.cell(row, column) for column, _, _ in COLUMNS]
        cells += [words.answer(row, name) for name in report.questions]
        writer.writerow([_harmless(_plain(cell)) for cell in cells])
    return out.getvalue().encode("utf-8-sig")


def _plain(cell: str | int | datetime | None) -> str:
    if cell is None:
        return ""
    return f"{cell:%Y-%m-%d %H:%M}" if isinstance(cell, datetime) else str(cell)


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell
