"""The operators' page is true: its examples check clean, its tables are the program's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.core.actions import ACTIONS, CONTEXT
from bot.core.facts import STATES, TABLES
from bot.core.flow_run import ENGINE_CONTEXT
from scripts.checker import PATTERNS, check
from scripts.grammar import parse_condition
from scripts.loader import SHIPPED

PAGE = (SHIPPED / "README.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (?P<cells>.*) \|$", re.MULTILINE)


def rows(heading: str) -> list[list[str]]:
    section = PAGE.split(f"## {heading}")[1].split("\n## ")[0]
    found = [[c.strip() for c in re.split(r"(?<!\\)\|", m["cells"])] for m in ROW.finditer(section)]
    return [cells for cells in found[1:] if not set(cells[0]) <= {"-"}]


def names(cell: str) -> list[str]:
    return [name.strip("` ") for name in cell.split(",") if name.strip("` ")]


@pytest.mark.parametrize("example", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_examples_check_clean(example: str, tmp_path: Path) -> None:
    pack = tmp_path / "example"
    pack.mkdir()
    (pack / "flows.yml").write_text(example, encoding="utf-8")
    assert check([SHIPPED, tmp_path]) == []


def test_actions() -> None:
    page = {names(action)[0]: (names(args), names(results)) for action, args, results, _ in rows("动作 · Actions")}
    assert page == {name: (list(a.args), list(a.results)) for name, a in ACTIONS.items()}


def test_context() -> None:
    page = {key for keys, _ in rows("已知信息 · Context") for key in names(keys)}
    assert page == set(CONTEXT) | ENGINE_CONTEXT


def test_fact_tables() -> None:
    page = {names(cells[0])[0]: names(cells[1]) for cells in rows("接入自己的系统 · Plugging in your own system")}
    known = {
        table: [f"{name}*" if column.required else name for name, column in columns.items()]
        for table, columns in TABLES.items()
    }
    assert {table: page.get(table) for table in known} == known
    assert all(f"{state}," in PAGE or f"{state};" in PAGE or f"{state}（" in PAGE for state in STATES)


def test_patterns() -> None:
    assert {names(pattern)[0] for pattern, _ in rows("修复 · Repair patterns")} == set(PATTERNS)


@pytest.mark.parametrize("example", [cells[1] for cells in rows("条件 · Conditions")])
def test_conditions_can_be_read(example: str) -> None:
    parse_condition(example.strip("`").replace("\\|", "|"))
