"""Fact tables in files: `facts/<table>.csv` under each script root, read strictly; a later root's table replaces the
earlier one of the same name (bot/core/facts.py lists tables and columns; scripts/README.md explains them)."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import tzinfo
from pathlib import Path

from bot.core.facts import MAX_ROWS, TABLES, BadCellError, Row, read_row
from scripts.source import Problem, ScriptsError

FOLDER = "facts"
IGNORED = "#"  # a line that begins so is a remark
Tables = Mapping[str, tuple[Row, ...]]


def load_tables(roots: Sequence[Path], zone: tzinfo) -> Tables:
    """The tables under these roots; one that no root has is missing. Raises ScriptsError naming every problem."""
    tables, problems = examine_tables(roots, zone)
    if problems:
        raise ScriptsError(problems)
    return tables


def examine_tables(roots: Sequence[Path], zone: tzinfo) -> tuple[Tables, list[Problem]]:
    """The tables as far as they can be read, and all their problems."""
    tables: dict[str, tuple[Row, ...]] = {}
    problems: list[Problem] = []
    for root in roots:
        for file in sorted((root / FOLDER).glob("*.csv")):
            if file.stem not in TABLES:
                problems.append(
                    _problem(file, 0, f"没有叫 {file.stem} 的表", "no such table", _near(file.stem, TABLES))
                )
                continue
            tables[file.stem] = tuple(_rows(file, zone, problems))
    return tables, problems


def _rows(file: Path, zone: tzinfo, problems: list[Problem]) -> Iterator[Row]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        problems.append(
            _problem(file, 0, "不是 UTF-8 文本", "not UTF-8 text", "Excel：另存为 CSV UTF-8 · save as CSV UTF-8")
        )
        return
    columns = TABLES[file.stem]
    reader = csv.reader(io.StringIO(text), strict=True)
    header: list[str] | None = None
    count = 0
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells) or cells[0].startswith(IGNORED):
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                if not _heads(file, reader.line_num, header, problems):
                    return
                continue
            count += 1
            if count > MAX_ROWS:
                problems.append(_problem(file, reader.line_num, f"超过 {MAX_ROWS} 行", f"more than {MAX_ROWS} rows"))
                return
            if len(cells) != len(header):
                zh, en = f"有 {len(cells)} 格，应为 {len(header)} 格", f"{len(cells)} cells, {len(header)} wanted"
                hint = '内容里有逗号就加双引号 · put a text with commas in "quotes"'
                problems.append(_problem(file, reader.line_num, zh, en, hint))
                continue
            try:
                yield read_row(file.stem, dict(zip(header, cells, strict=True)), zone)
            except BadCellError as error:
                problems.append(Problem(str(file), reader.line_num, str(error)))
    except csv.Error as error:
        problems.append(_problem(file, reader.line_num, "不是有效的 CSV", f"not valid CSV: {error}"))
    if header is None:
        problems.append(_problem(file, 1, "缺少表头", "the header is missing", ", ".join(columns)))


def _heads(file: Path, line: int, header: Sequence[str], problems: list[Problem]) -> bool:
    columns = TABLES[file.stem]
    found = [
        _problem(file, line, f"没有叫 {name or '（空）'} 的列", "no such column", _near(name, columns))
        for name in header
        if name not in columns
    ]
    found += [
        _problem(file, line, f"{name} 列写了两次", f"column {name} stands here twice")
        for name in columns
        if header.count(name) > 1
    ]
    found += [
        _problem(file, line, f"缺少 {name} 列", f"column {name} is missing")
        for name, column in columns.items()
        if column.required and name not in header
    ]
    problems += found
    return not found


def _near(name: str, known: Iterable[str]) -> str:
    names = list(known)
    alike = difflib.get_close_matches(name, names, n=1)
    return "可用 · known: " + ", ".join(alike + [each for each in names if each not in alike])


def _problem(file: Path, line: int, zh: str, en: str, suggestion: str = "") -> Problem:
    return Problem(str(file), line, f"{zh} · {en}", suggestion)
