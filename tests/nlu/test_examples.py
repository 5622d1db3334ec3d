"""Reading examples, and keeping the sets apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from nlu.embedded import ROOT
from nlu.examples import BadExamples, Example, digest, near_duplicates, read

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
