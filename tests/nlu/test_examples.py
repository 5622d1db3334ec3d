"""Reading examples, and keeping the sets apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from nlu.__main__ import app
from nlu.embedded import ROOT
from nlu.examples import BadExamples, Example, digest, near_duplicates, quoted, read

NLU = ROOT / "nlu"


def test_rasas_format_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(
        'version: "3.1"\nnlu:\n- intent: greet\n  examples: |\n    - 你好\n    - fly to [Chengdu](city)\n'
        "- synonym: x\n  examples: |\n    - y\n",
        "utf-8",
    )
    assert [(e.text, e.intent) for e in read(tmp_path)] == [("你好", "greet"), ("fly to Chengdu", "greet")]


@pytest.mark.parametrize(("name", "content"), [("a.tsv", "no tab here"), ("a.yml", "nlu: 3"), ("a.yml", "nlu: [")])
def test_another_format_is_refused_by_name(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    with pytest.raises(BadExamples, match=name):
        read(tmp_path)


def test_the_digest_knows_content_alone(tmp_path: Path) -> None:
    a, b = tmp_path / "a.tsv", tmp_path / "b.tsv"
    a.write_text("x\ty", "utf-8")
    b.write_text("x\ty", "utf-8")
    assert digest([a]) == digest([b]) != digest([a], "other")


def test_near_duplicates_are_found_whatever_their_dress() -> None:
    left = [Example("我要退款！", "a"), Example("Where is my parcel", "b"), Example("👋", "c")]
    right = [
        Example("我要退款", "a"),
        Example("where is  my parcel??", "b"),
        Example("#￥%", "d"),
        Example("你好", "e"),
    ]
    assert [(n.left.text, n.right.text) for n in near_duplicates(left, right)] == [
        ("我要退款！", "我要退款"),
        ("Where is my parcel", "where is  my parcel??"),
    ]


def test_no_test_utterance_is_a_training_one() -> None:
    near = near_duplicates(read(NLU / "data"), read(NLU / "tests"))
    assert not [f"{n.left.text} = {n.right.text} ({n.right.file})" for n in near]


def test_examples_keep_away_from_what_is_quoted_elsewhere(tmp_path: Path) -> None:
    page, examples = tmp_path / "D.md", tmp_path / "a.tsv"
    page.write_text('- zh: 「我要退款!」 / 「你好呀」\n- en: "Where is my parcel?"\n', "utf-8")
    assert [each.text for each in quoted(tmp_path)] == ["我要退款!", "你好呀", "Where is my parcel?"]
    examples.write_text("我要退款\trefund\nwhere is my  parcel\tparcel\n钱什么时候退我\trefund\n", "utf-8")
    run = CliRunner().invoke(app, ["apart", "--data", str(examples), "--quotes", str(page)])
    assert run.exit_code == 1
    assert run.output.splitlines() == [
        "a.tsv  refund  我要退款 = 我要退款!  1.00",
        "a.tsv  parcel  where is my  parcel = Where is my parcel?  1.00",
    ]
    examples.write_text("钱什么时候退我\trefund\n", "utf-8")
    assert CliRunner().invoke(app, ["apart", "--data", str(examples), "--quotes", str(tmp_path)]).exit_code == 0
    assert CliRunner().invoke(app, ["apart", "--data", str(examples), "--quotes", str(tmp_path / "no")]).exit_code == 1
