"""Fact tables in files: read strictly, every mistake with file, line, column and what would be right."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bot.core.facts import STATES, TABLES, TOPICS, BadCellError, bare, matches, read_row
from bot.services.facts.orders import STATES as STATE_TEXTS
from scripts.facts import examine_tables, load_tables
from scripts.loader import SHIPPED
from scripts.source import ScriptsError

ZONE = ZoneInfo("Asia/Shanghai")
HEAD = "campaign,text_zh,text_en,starts_on,ends_on,per_customer,code\n"


def lay(root: Path, text: str | bytes, table: str = "coupons") -> Path:
    (root / "facts").mkdir(exist_ok=True)
    file = root / "facts" / f"{table}.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def test_the_demo_has_every_table() -> None:
    tables = load_tables([SHIPPED, SHIPPED / "demo"], ZONE)
    assert set(tables) == set(TABLES)
    assert all(tables.values())


def test_the_demo_answers_every_topic() -> None:
    assert {row["topic"] for row in load_tables([SHIPPED / "demo"], ZONE)["answers"]} == set(TOPICS)


def test_every_state_has_its_words() -> None:
    assert set(STATE_TEXTS) == set(STATES)


def test_cells_become_values(tmp_path: Path) -> None:
    lay(tmp_path, HEAD + '# a remark\n\nspring,"减10元，满200可用。",10 off,2026-03-01,2026-05-31,2,\n')
    (row,) = load_tables([tmp_path], ZONE)["coupons"]
    assert row == {
        "campaign": "spring",
        "text_zh": "减10元，满200可用。",
        "text_en": "10 off",
        "starts_on": date(2026, 3, 1),
        "ends_on": date(2026, 5, 31),
        "per_customer": 2,
    }


def test_a_later_roots_table_replaces_the_earlier_one(tmp_path: Path) -> None:
    lay(tmp_path, HEAD + "mine,甲,A,2026-03-01,2026-05-31,1,\n")
    tables = load_tables([SHIPPED / "demo", tmp_path], ZONE)
    assert [row["campaign"] for row in tables["coupons"]] == ["mine"]
    assert tables["products"]


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        (HEAD + "a,甲,A,2026-13-01,2026-05-31,1,\n", 2, "starts_on: “2026-13-01”"),
        (HEAD + "a,甲,A,2026-03-01,2026-05-31,1,\nb,乙,B,2026-03-01,2026-05-31,many,\n", 3, "per_customer: “many”"),
        (HEAD + "a,甲,A,2026-03-01,2026-05-31,1.5,\n", 2, "whole number"),
        (HEAD + "a,,A,2026-03-01,2026-05-31,1,\n", 2, "text_zh: 不能空着"),
        (HEAD + "a,甲,A, really,2026-03-01,2026-05-31,1,\n", 2, "8 cells, 7 wanted"),
        (HEAD.replace("code", "kode"), 1, "known: code"),
        (HEAD.replace(",per_customer", ""), 1, "column per_customer is missing"),
        (HEAD.replace("code", "campaign"), 1, "campaign stands here twice"),
        ("", 1, "header is missing"),
        ("活动\n".encode("gbk"), 0, "CSV UTF-8"),
        (HEAD + 'a,"甲,A\n', 2, "not valid CSV"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str | bytes, line: int, told: str) -> None:
    with pytest.raises(ScriptsError) as wrong:
        load_tables([lay(tmp_path, text)], ZONE)
    (problem, *_) = wrong.value.problems
    assert problem.file.endswith("facts/coupons.csv")
    assert problem.line == line
    assert told in str(problem)


def test_a_table_nobody_knows_is_named(tmp_path: Path) -> None:
    _, (problem,) = examine_tables([lay(tmp_path, HEAD, "cupons")], ZONE)
    assert "known: coupons" in str(problem)


@pytest.mark.parametrize(
    ("column", "cell", "right"),
    [
        ("state", "sent", "dispatched"),
        ("phone", "me", "+8613800000000"),
        ("ordered_at", "yesterday", "2026-07-01 09:30"),
    ],
)
def test_a_systems_odd_cell_is_named(column: str, cell: str, right: str) -> None:
    row = {"order_no": "A1", "phone": "+8613800000000", "state": "paid", "ordered_at": "2026-07-01 09:30"}
    with pytest.raises(BadCellError, match=column) as wrong:
        read_row("orders", row | {column: cell}, ZONE)
    assert right in str(wrong.value)


def test_a_system_may_answer_with_values_and_columns_of_its_own() -> None:
    at = datetime(2026, 7, 1, 9, tzinfo=ZONE)
    row = read_row("orders", {"order_no": 7, "phone": "13800000000", "state": "paid", "ordered_at": at, "x": 1}, ZONE)
    assert row == {"order_no": "7", "phone": "13800000000", "state": "paid", "ordered_at": at}


def test_numbers_are_compared_however_they_are_written() -> None:
    assert matches({"phone": "138 0000 0000"}, (("phone", "+8613800000000"),))
    assert bare("+1 415 555 0100") == "14155550100"
    assert not matches({"order_no": "A1"}, (("order_no", "A2"),))
