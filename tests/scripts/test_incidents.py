"""The catalogue of incidents: whole, every step traceable, and mistakes named with file, line and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.words import StepKind
from scripts.incidents import SHIPPED, examine_catalogue, load_catalogue


def test_all_thirty_five_types_have_steps_of_their_own() -> None:
    catalogue = load_catalogue()
    assert sorted(catalogue.types) == [f"INC-{number:02}" for number in range(1, 36)]
    plans = [tuple(step.do.zh for step in each.steps) for each in catalogue.types.values()]
    assert len(set(plans)) == 35
    assert min(len(plan) for plan in plans) >= 4
    for code, each in catalogue.types.items():
        assert each.refs, code
        assert all(step.refs and step.do.zh != step.do.en for step in each.steps), code


@pytest.mark.parametrize(
    ("code", "step", "kind", "minutes"),
    [
        ("INC-11", "supervisor", StepKind.RELAY, 5),  # REQ-B18
        ("INC-11", "managers", StepKind.TELL, 10),  # REQ-B19
        ("INC-11", "vendor", StepKind.DECIDE, 60),  # REQ-B20
        ("INC-29", "company", StepKind.RELAY, 15),  # REQ-B28
        ("INC-29", "crew", StepKind.ARRIVE, 15),  # REQ-B29
        ("INC-30", "crew", StepKind.ARRIVE, 30),  # REQ-B30
        ("INC-30", "authorities", StepKind.REPORT, 60),  # REQ-B31
        ("INC-16", "estimate", StepKind.DO, 10),  # REQ-B21
        ("INC-18", "level2", StepKind.DECIDE, 30),  # REQ-B23
        ("INC-18", "level3", StepKind.DECIDE, 30),  # REQ-B24
    ],
)
def test_the_figures_of_the_requirements(code: str, step: str, kind: StepKind, minutes: int) -> None:
    found = next(each for each in load_catalogue().types[code].steps if each.id == step)
    assert found.kind is kind
    assert found.within is not None
    assert found.within.total_seconds() == minutes * 60


def test_every_kind_of_customer_report_leads_to_a_type() -> None:
    catalogue = load_catalogue()
    for intent in ("login_failure", "mass_disconnect", "site_or_forum_down", "ticket_submit_fail", "data_rollback"):
        assert catalogue.told_by(intent)
    assert catalogue.told_by("no_heating")[0] == "INC-29"
    assert catalogue.told_by("ask_size") == ()


TYPE = """types:
  INC-13:
    name: {zh: 空调, en: Air}
    owner: leader
    refs: [REQ-F16]
    steps:
      - {id: a, who: [leader], do: {zh: 甲, en: A}, refs: [REQ-F16]}
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "said"),
    [
        ("owner: leader", "owner: boss", 4, "types.INC-13.owner", "must be one of"),
        ("refs: [REQ-F16]\n", "refs: []\n", 5, "types.INC-13.refs", "must name the requirements"),
        ("refs: [REQ-F16]}", "refs: [F16]}", 7, "types.INC-13.steps.0.refs", "must be an id such as"),
        ("who: [leader]", "who: [leader], within: soon", 7, "types.INC-13.steps.0.within", "must be a duration"),
        ("who: [leader]", "who: [leader], after: b", 7, "types.INC-13.steps.0.after", "must be an earlier step"),
        ("who: [leader]", "kind: relay, within: 5 min, who: [leader]", 7, "types.INC-13.steps.0", "must be told"),
        ("who: [leader], ", "", 7, "types.INC-13.steps.0", "must be in charge"),
        ("id: a", "id: a, colour: red", 7, "types.INC-13.steps.0.colour", "is not known here"),
        ("{zh: 甲, en: A}", "{zh: 甲}", 7, "types.INC-13.steps.0.do", "is missing"),
        ("INC-13", "INC-1", 2, "types.INC-1", "must be a code"),
        ("owner: leader", "owner: leader\n    reports: [nothing]", 5, "types.INC-13.reports", "no intent"),
    ],
)
def test_mistakes_name_file_line_and_field(tmp_path: Path, old: str, new: str, line: int, key: str, said: str) -> None:
    own = tmp_path / "incident_types"
    own.mkdir()
    (own / "mine.yml").write_text(TYPE.replace(old, new, 1), encoding="utf-8")
    _, problems = examine_catalogue((SHIPPED, tmp_path))
    assert any(
        p.file.endswith("mine.yml") and p.line == line and p.key.startswith(key) and said in p.en for p in problems
    ), problems


def test_a_placeholder_nobody_fills_is_refused(tmp_path: Path) -> None:
    (tmp_path / "incidents.yml").write_text("words:\n  next: {zh: '{when}', en: 'by {at}'}\n", encoding="utf-8")
    _, problems = examine_catalogue((SHIPPED, tmp_path))
    assert [(p.line, p.key) for p in problems] == [(2, "words.next.zh")]
