"""The figures themselves, by hand; and the command that prints them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nlu.__main__ import app
from nlu.evaluation import Answered, auroc, calibration_error, hold_out, macro_f1
from nlu.examples import Example

TRAIN = {
    "refund": ["我要退款", "把钱退给我", "退钱", "怎么退货退款", "I want a refund", "give me my money back"],
    "greet": ["你好", "您好", "在吗", "哈喽有人吗", "hello", "hi there"],
    "size": ["穿几码", "这款偏小吗", "尺码怎么选", "我穿L码合适吗", "what size should I take", "does it run small"],
}
TEST = {"refund": ["能退款吗"], "greet": ["你好在吗"], "size": ["选什么尺码"], "weather": ["明天下雨吗"]}


def answered(intent: str, best: str) -> Answered:
    return Answered(Example("x", intent), best, best, 1.0, 1.0, 0.0)


def test_macro_f1() -> None:
    rows = [answered("a", "a"), answered("a", "b"), answered("b", "b"), answered("b", "b")]
    assert macro_f1(rows) == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_calibration_error() -> None:
    assert calibration_error([(0.8, True)] * 8 + [(0.8, False)] * 2) == pytest.approx(0)
    assert calibration_error([(0.9, False), (0.5, True)]) == pytest.approx((0.9 + 0.5) / 2)


def test_auroc_counts_ties_half() -> None:
    assert auroc([3, 2], [1, 0]) == 1
    assert auroc([0], [1]) == 0
    assert auroc([1], [1]) == 0.5
    assert auroc([1, 3], [2]) == 0.5


def test_intents_are_held_out_by_seed() -> None:
    examples = [Example("x", str(n)) for n in range(10)]
    assert len(hold_out(examples, 0.2, 7)) == 8
    assert hold_out(examples, 0.2, 7) == hold_out(examples, 0.2, 7) != hold_out(examples, 0.2, 8)


def write(path: Path, texts: dict[str, list[str]]) -> Path:
    path.write_text("".join(f"{text}\t{intent}\n" for intent, rows in texts.items() for text in rows), "utf-8")
    return path


def test_the_command_prints_writes_and_draws(tmp_path: Path) -> None:
    train, test = write(tmp_path / "train.tsv", TRAIN), write(tmp_path / "test.tsv", TEST)
    figures, picture = tmp_path / "figures.json", tmp_path / "picture.svg"
    run = CliRunner().invoke(
        app,
        ["evaluate", "--train", str(train), "--test", str(test), "--json", str(figures), "--picture", str(picture)],
    )
    assert run.exit_code == 0, run.output
    assert "AUROC" in run.output
    measured = json.loads(figures.read_text("utf-8"))
    assert measured["accuracy"] == 1
    assert measured["out_of_scope"]["examples"] == 1
    assert ET.parse(picture).getroot().tag.endswith("svg")


def test_a_wrong_file_is_told_kindly(tmp_path: Path) -> None:
    bad = tmp_path / "bad.tsv"
    bad.write_text("no tab", "utf-8")
    run = CliRunner().invoke(app, ["evaluate", "--train", str(bad), "--test", str(bad)])
    assert run.exit_code == 1
    assert "bad.tsv" in run.output
