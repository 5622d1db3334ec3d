"""The rows of a list that did not load, as a file to mend and import again: as they were given, with the reason last.

Cells are text, never formulas; in CSV what a spreadsheet would take for one begins with an apostrophe, which reading
the file takes off again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

import xlsxwriter

from bot.core.words import Language
from bot.reports.spreadsheet import FORMULA_STARTS
from bot.services.i18n import text
from bot.services.plans.visit_lists import REASONS

WIDTH, REASON_WIDTH = 16, 60


def faulty_rows(
    header: Sequence[str], rows: Iterable[tuple[Sequence[str], str]], kind: str, language: Language
) -> bytes:
    """The file, "xlsx" or "csv"; `rows` are cells and what would be right, in the reader's language."""
    lines = [[*header, text(language, REASONS[0])]]
    for cells, reason in rows:
        lines.append([*cells[: len(header)], *[""] * (len(header) - len(cells)), reason])
    return _csv(lines) if kind == "csv" else _xlsx(lines)


def _csv(lines: Sequence[Sequence[str]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    for line in lines:
        writer.writerow([f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell for cell in line])
    return out.getvalue().encode("utf-8-sig")


def _xlsx(lines: Sequence[Sequence[str]]) -> bytes:
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    sheet = book.add_worksheet()
    bold, bad = book.add_format({"bold": True}), book.add_format({"bg_color": "#FDE7E9", "text_wrap": True})
    last = len(lines[0]) - 1
    sheet.set_column(0, max(last - 1, 0), WIDTH)
    sheet.set_column(last, last, REASON_WIDTH)
    sheet.freeze_panes(1, 0)
    for number, line in enumerate(lines):
        for at, cell in enumerate(line):
            sheet.write_string(number, at, cell, bold if number == 0 else bad if at == last else None)
    book.close()
    return out.getvalue()
