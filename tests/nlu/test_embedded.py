"""The default engine: what it understands, what it refuses, what it costs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.words import Language
from nlu.embedded import ROOT, Embedded, Place, answer_only, load
from nlu.engine import OUT_OF_SCOPE
from nlu.evaluation import Answered, auroc, calibration_error, macro_f1
from nlu.examples import BadExamples, read
from tests.nlu.conftest import DATA

HELD_OUT = ROOT / "nlu" / "tests"


@pytest.fixture(scope="session")
def answered(engine: Embedded) -> list[Answered]:
    answers = answer_only(DATA)
    rows = []
    for example in read(HELD_OUT):
        started = time.perf_counter()
        parse = engine.parse(example.text, expecting=answers & {example.intent})
        seconds = time.perf_counter() - started
        best = parse.ranking[0][0] if parse.ranking else ""
        rows.append(Answered(example, best, parse.intent, parse.confidence, parse.in_scope, seconds))
    return rows


@pytest.mark.parametrize("language", Language)
def test_the_held_out_set_is_understood(answered: list[Answered], language: Language) -> None:
    rows = [a for a in answered if a.example.language is language and a.example.intent != OUT_OF_SCOPE]
    assert macro_f1(rows) >= 0.91
    assert calibration_error([(a.confidence, a.best == a.example.intent) for a in rows]) <= 0.07


def test_what_no_intent_covers_starts_nothing(answered: list[Answered]) -> None:
    inside = [a for a in answered if a.example.intent != OUT_OF_SCOPE]
    outside = [a for a in answered if a.example.intent == OUT_OF_SCOPE]
    right = [a for a in inside if a.best == a.example.intent]
    assert auroc([a.in_scope for a in inside], [a.in_scope for a in outside]) >= 0.955
    assert sum(not a.given for a in outside) / len(outside) >= 0.8
    assert sum(not a.given for a in right) / len(right) <= 0.03


HOSTILE = [
    *("", " ", "\n\t", "😀😀😀", "?!。，", "\x00\x01\x7f", "\ud800", "1", "'" * 500, "Ⅷ½ﬀ①", "नमस्ते", "ﷺ"),
    *("a" * 10_000, "退款" * 5000, "帮我check一下order"),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_gets_an_answer(engine: Embedded, text: str) -> None:
    parse = engine.parse(text)
    assert parse.text == text
    assert 0 <= parse.confidence <= 1
    assert parse.engine == "embedded"


@settings(max_examples=50)
@given(st.text(max_size=200))
def test_any_text_at_all(engine: Embedded, text: str) -> None:
    parse = engine.parse(text)
    assert abs(sum(share for _, share in parse.ranking)) <= 1.0001


@pytest.mark.parametrize("text", ["", "😀😀", "\x00"])
def test_a_text_without_words_starts_nothing(engine: Embedded, text: str) -> None:
    assert engine.parse(text).intent == ""


def test_the_language_is_the_texts_own_and_else_the_writers(engine: Embedded) -> None:
    assert engine.parse("my radiator is cold").language is Language.EN
    assert engine.parse("帮我check一下order").language is Language.ZH
    assert engine.parse("123", language=Language.EN).language is Language.EN
    assert engine.parse("123").language is Language.ZH


def test_only_enabled_intents_win(engine: Embedded) -> None:
    assert engine.parse("家里暖气片冰凉").intent == "no_heating"
    there = frozenset({"greet", "ask_size", "no_heating"})
    assert engine.parse("家里暖气片冰凉", enabled=there).intent == "no_heating"
    without = engine.parse("家里暖气片冰凉", enabled=frozenset({"greet", "ask_size"}))
    assert {intent for intent, _ in without.ranking} <= {"greet", "ask_size"}
    assert engine.parse("你好", enabled=frozenset()).intent == ""


def test_an_answer_is_understood_only_where_it_was_asked_for(engine: Embedded) -> None:
    text = "我正开车呢晚点说"
    assert "call_back_later" not in dict(engine.parse(text).ranking)
    assert engine.parse(text, expecting=frozenset({"call_back_later"})).intent == "call_back_later"


def test_out_of_scope_is_no_intent(engine: Embedded) -> None:
    parse = engine.parse("帮我订一张去上海的机票")
    assert parse.intent == ""
    assert OUT_OF_SCOPE not in dict(parse.ranking)


def test_a_cached_start_neither_trains_nor_imports_what_training_needs(engine: Embedded, models: Path) -> None:
    code = (
        "import sys, json; from pathlib import Path; from nlu.embedded import load;"
        "e = load(Path(sys.argv[1]), Path(sys.argv[2]));"
        "print(json.dumps([e.parse('你好').intent, [m for m in ('sklearn', 'scipy') if m in sys.modules]]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(DATA), str(models)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(run.stdout) == [engine.parse("你好").intent, []]


def test_a_damaged_cache_is_trained_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.tsv").write_text("退款\trefund\n我要退钱\trefund\n你好\tgreet\n您好啊\tgreet\n", "utf-8")
    first = load(data, tmp_path / "cache")
    path = Place(data, tmp_path / "cache").model
    path.write_bytes(path.read_bytes()[:1000])
    assert load(data, tmp_path / "cache").parse("退钱").ranking == first.parse("退钱").ranking


def test_an_operators_own_examples_count(tmp_path: Path) -> None:
    data, own = tmp_path / "data", tmp_path / "own.tsv"
    data.mkdir()
    (data / "a.tsv").write_text("退款\trefund\n我要退钱\trefund\n你好\tgreet\n您好啊\tgreet\n", "utf-8")
    before = Place(data, tmp_path / "cache", (own,)).model
    assert load(data, tmp_path / "cache", (own,)).parse("咋整").ranking
    own.write_text("咋整\thelp\n这咋整啊\thelp\n", "utf-8")
    assert Place(data, tmp_path / "cache", (own,)).model != before
    assert load(data, tmp_path / "cache", (own,)).parse("咋整啊").ranking[0][0] == "help"
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 1


@pytest.mark.parametrize("content", ["退款 refund", "只有一行\tgreet", ""])
def test_files_that_cannot_be_trained_from_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.tsv").write_text(content, "utf-8")
    with pytest.raises(BadExamples):
        load(tmp_path, tmp_path / "cache")
