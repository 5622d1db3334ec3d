"""The checker finds what is wrong, with file and line, and a remedy where one is near."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.checker import check
from scripts.loader import SHIPPED, ScriptsError, book_from_json, dump_book, load_book

GOOD_RESPONSE = """
responses:
  utter_hello:
    - text: 您好
      translation: {en: Hello}
"""


def problems(tmp_path: Path, text: str) -> list[tuple[int, str, str]]:
    """What is wrong with a pack of one file laid over the shipped scripts."""
    pack = tmp_path / "mine"
    pack.mkdir()
    file = pack / "flows.yml"
    file.write_text(text, encoding="utf-8")
    found = check([SHIPPED, tmp_path])
    assert all(p.file == str(file) for p in found), found
    return [(p.line, p.message, p.suggestion) for p in found]


def flow(steps: str, head: str = "nlu_trigger: [{intent: praise}]") -> str:
    """A flow around steps; the steps begin in line 8."""
    return f"""flows:
  mine:
    name: 我的
    translation: {{en: {{name: Mine}}}}
    description: For this test.
    {head}
    steps:
{steps}{GOOD_RESPONSE}"""


def test_the_shipped_scripts_are_clean() -> None:
    assert check([SHIPPED]) == []


@pytest.mark.parametrize("pack", sorted(p.parent.name for p in SHIPPED.glob("*/flows.yml")))
def test_each_pack_is_clean_beside_service_alone(pack: str) -> None:
    assert check([SHIPPED], frozenset({pack})) == []


HELLO = "      - action: utter_hello\n"
BRANCH = "      - noop: true\n        next:\n"


@pytest.mark.parametrize(
    ("steps", "line", "message", "suggestion"),
    [
        ("      - action: utter_helo\n", 8, "unknown response `utter_helo`", "did you mean `utter_hello`?"),
        (
            "      - action: action_stop_contact\n        args: {scope: routine}\n",
            8,
            "cannot be `routine`",
            "one of: all, calls, sms",
        ),
        ("      - action: action_opn_case\n", 8, "unknown action `action_opn_case`", "`action_open_case`?"),
        ("      - action: action_rate\n        args: {scor: 1}\n", 8, "takes no `scor`", "did you mean `score`?"),
        ("      - colect: phone\n", 8, "a step does exactly one thing", "one of: collect, action"),
        (HELLO + "        nxt: END\n", 9, "unknown key `nxt` in the action step", "did you mean `next`?"),
        (HELLO + "        next: lst\n      - id: last\n        noop: true\n", 9, "no step has the id `lst`", "`last`?"),
        (HELLO + "        next: END\n" + HELLO, 10, "flow `mine` never comes to this step", "delete it"),
        ("      - id: a\n        action: utter_hello\n        next: a\n", 8, "without waiting", "ask something"),
        ("      - link: thanks_by\n", 8, "unknown flow `thanks_by`", "did you mean `thanks_bye`?"),
        ("      - call: no_heating\n", 8, "belongs to the pack `heating`", ""),
        ("      - collect: phne\n        utter: utter_hello\n", 8, "unknown slot `phne`", "did you mean `phone`?"),
        (
            BRANCH + "          - if: slots.phon is null\n            then: END\n",
            8,
            "unknown name `slots.phon`",
            "`phone`?",
        ),
        (BRANCH + "          - if: slots.phone is\n            then: END\n", 10, "cannot be read", "scripts/README.md"),
        (HELLO + "        next:\n          - then: END\n", 10, "a branch needs `if`", ""),
        ("      - set_slots:\n          - phon: 1\n" + HELLO, 8, "unknown slot `phon`", "did you mean `phone`?"),
    ],
)
def test_a_wrong_step(tmp_path: Path, steps: str, line: int, message: str, suggestion: str) -> None:
    found = problems(tmp_path, flow(steps))
    assert any(at == line and message in said and suggestion in hint for at, said, hint in found), found


def test_a_loop_through_a_question_waits(tmp_path: Path) -> None:
    steps = "      - id: a\n        collect: phone\n        utter: utter_hello\n        next: a\n"
    assert problems(tmp_path, flow(steps)) == []


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("nlu_trigger: [{intent: prase}]", "unknown intent `prase`"),
        ("interrupts: sometimes", "unknown value"),
        ("menus: 3", "unknown key `menus` in a flow"),
        ("if: slots.nothing = 1", "unknown name `slots.nothing`"),
        ("persisted_slots: [phon]", "unknown slot `phon`"),
    ],
)
def test_a_wrong_flow(tmp_path: Path, head: str, message: str) -> None:
    found = problems(tmp_path, flow("      - action: utter_hello\n", head))
    assert any(message in said for _, said, _ in found), found


def test_a_flow_nothing_leads_to(tmp_path: Path) -> None:
    found = problems(tmp_path, flow("      - action: utter_hello\n", "menu: 3"))
    assert (2, "nothing starts flow `mine`") in {(line, said) for line, said, _ in found}


def button(title: str, payload: str) -> str:
    buttons = f"[{{title: {title}, payload: {payload}, translation: {{en: {{title: Yes}}}}}}]"
    return f"- text: 好\n      translation: {{en: Yes}}\n      buttons: {buttons}"


@pytest.mark.parametrize(
    ("response", "message"),
    [
        ("- text: 您好", "has no English"),
        ("- text: Hello\n      translation: {en: Hello}", "is not Chinese"),
        ("- translation: {en: Hello}", "has no `text`"),
        ("- text: 您好{nam}\n      translation: {en: Hello}", "unknown placeholder {nam}"),
        ("- text: 您好\n      translation: {en: Hello}\n      chanel: sms", "unknown key `chanel` in a wording"),
        ("- text: 您好\n      translation: {en: Hello}\n      channel: fax", "unknown channel `fax`"),
        (button("好", "/prais"), "unknown intent `prais` on a button"),
        (button("好", "/SetSlots(rating=11)"), "no value it can hold"),
        (button("好", "/SetSlots(ratin=1)"), "unknown slot `ratin`"),
        (button("好", f"/{'x' * 64}"), "is longer than 64 bytes"),
        (button("一二三四五六七八九十" * 3, "/praise"), "is too long"),
        (button("好", "/praise").replace(", translation: {en: {title: Yes}}", ""), "has no English"),
        ("- text: 好\n      translation: {en: A, more: B}", "unknown key `more` in a translation"),
    ],
)
def test_a_wrong_response(tmp_path: Path, response: str, message: str) -> None:
    found = problems(tmp_path, f"responses:\n  utter_goodbye:\n    {response}\n")
    assert any(message in said for _, said, _ in found), found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("flows: [\n", "not readable as YAML"),
        ("- a\n", "the file must be a mapping"),
        ("flow:\n  a: {}\n", "unknown section `flow`"),
        ("flows:\n  a: 3\n", "`a` must be a mapping"),
        ("slots:\n  colour: {type: colour}\n", "unknown type `colour`"),
        ("slots:\n  colour: {type: categorical}\n", "categorical without `values`"),
        ("slots:\n  colour: {type: scale}\n", "a scale without"),
        ("slots:\n  colour: {type: text, mappings: [{type: from_entity, entity: color}]}\n", "unknown entity `color`"),
        ("slots:\n  colour: {type: text, mappings: [{type: from_air}]}\n", "unknown mapping `from_air`"),
        ("slots:\n  colour: {type: text}\n  colour: {type: bool}\n", "`colour` is given twice"),
        ("responses:\n  utter_goodbye: hello\n", "must be a list of wordings"),
    ],
)
def test_a_wrong_file(tmp_path: Path, text: str, message: str) -> None:
    found = problems(tmp_path, text)
    assert any(message in said for _, said, _ in found), found


def test_a_broken_script_is_refused_with_every_problem(tmp_path: Path) -> None:
    pack = tmp_path / "mine"
    pack.mkdir()
    (pack / "flows.yml").write_text(flow("      - action: utter_a\n      - action: utter_b\n"), encoding="utf-8")
    with pytest.raises(ScriptsError) as refused:
        load_book([SHIPPED, tmp_path])
    assert len(refused.value.problems) == 2
    assert f"{pack / 'flows.yml'}:8:" in str(refused.value)


def test_a_later_root_lies_over_the_shipped_one(tmp_path: Path) -> None:
    pack = tmp_path / "service"
    pack.mkdir()
    text = "responses:\n  utter_goodbye:\n    - text: 慢走\n      translation: {en: Take care}\n"
    (pack / "responses.yml").write_text(text, encoding="utf-8")
    mine, shipped = load_book([SHIPPED, tmp_path]), load_book()
    assert mine.version != shipped.version
    assert set(mine.responses) == set(shipped.responses)
    assert mine.responses["utter_goodbye"] != shipped.responses["utter_goodbye"]


def test_packs_can_be_switched_off() -> None:
    book = load_book(packs=frozenset({"heating"}))
    assert "no_heating" in book.intents
    assert "track_order" not in book.intents
    assert "greet" in book.intents


def test_a_stored_book_is_the_same_book() -> None:
    book = load_book()
    assert book_from_json(dump_book(book)) == book
    assert load_book().version == book.version
