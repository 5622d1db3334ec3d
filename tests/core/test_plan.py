"""Plans: what starts them, solar terms by day, and what is wrong with a file told by file, line and field."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from bot.core.plan import Trigger, started_by
from bot.core.solar_terms import SolarTerm, term_on
from bot.core.words import ChannelName, Language
from scripts.loader import load_book
from scripts.policies import FILE, SHIPPED, PolicyError, check_plans, dump, from_json, load_policies, policy_files

PLANS = load_policies([SHIPPED]).plans
OWN = """\
plans:
  knee_surgery:
    name: {zh: 膝关节术后, en: After a knee operation}
    group: inpatient_surgery
    trigger: inpatient_surgery
    only: {treatment: [膝关节置换]}
    steps: [{after_days: 1}, {after_days: 3}, {after_days: 7}, {after_days: 30, within_days: 33}]
    windows: [follow_up]
    flow: follow_up_inpatient_surgery
    attempts: 5
    owner: supervisor
"""


def own(tmp_path: Path, text: str) -> Path:
    (tmp_path / "plans").mkdir(exist_ok=True)
    (tmp_path / "plans" / "own.yml").write_text(text, encoding="utf-8")
    return tmp_path


def test_an_operators_plan_lies_beside_the_shipped_ones(tmp_path: Path) -> None:
    files = policy_files([SHIPPED.parent, own(tmp_path, OWN)])
    assert files == [SHIPPED, tmp_path / FILE]  # a folder with plans alone is enough
    policies = load_policies(files)
    assert policies.plans.keys() == PLANS.keys() | {"knee_surgery"}
    assert from_json(dump(policies)) == policies
    details = {"treatment": "膝关节置换"}
    assert [*started_by(policies.plans, Trigger.INPATIENT_SURGERY, details)] == ["inpatient_surgery", "knee_surgery"]
    assert [*started_by(policies.plans, Trigger.INPATIENT_SURGERY, {})] == ["inpatient_surgery"]


def test_the_same_id_lies_over_the_shipped_plan_key_by_key(tmp_path: Path) -> None:
    text = "plans: {not_visited: {steps: [{after_days: 2}]}}"
    plan = load_policies(policy_files([SHIPPED.parent, own(tmp_path, text)])).plans["not_visited"]
    assert (plan.steps[0].after_days, plan.flow) == (2, "follow_up_not_visited")


@pytest.mark.parametrize(
    ("wrong", "right", "key", "line"),
    [
        ("flow: follow", "flw: follow", "plans.knee_surgery.flw", 9),
        ("windows: [follow_up]", "windows: [night]", "plans.knee_surgery.windows", 8),
        ("trigger: inpatient_surgery", "trigger: knee", "plans.knee_surgery.trigger", 5),
        ("within_days: 33", "within_days: 3", "plans.knee_surgery.steps.3.within_days", 7),
        ("attempts: 5", "attempts: 0", "plans.knee_surgery.attempts", 10),
        ("attempts: 5", "channels: [voice, sms]", "plans.knee_surgery.channels", 10),
        ("attempts: 5", "channels: [rest]", "plans.knee_surgery.channels", 10),
        ("attempts: 5", "purpose: marketing", "plans.knee_surgery.purpose", 10),
        ("attempts: 5", "terms: [grain_rain]", "plans.knee_surgery.terms", 10),
        ("attempts: 5", "repeat_days: 30", "plans.knee_surgery.repeat_days", 10),
        ("{zh: 膝关节术后, en", "{zh: 膝关节术后, fr", "plans.knee_surgery.name.fr", 3),
        ("owner: supervisor", "owner: boss", "plans.knee_surgery.owner", 11),
        ("plans:", "seasons: {}\nplans:", "seasons", 1),
        ("  knee_surgery:", "  Knee surgery:", "plans.Knee surgery", 2),
    ],
)
def test_a_mistake_is_told_with_file_line_and_field(
    tmp_path: Path, wrong: str, right: str, key: str, line: int
) -> None:
    assert wrong in OWN
    with pytest.raises(PolicyError) as caught:
        load_policies(policy_files([SHIPPED.parent, own(tmp_path, OWN.replace(wrong, right))]))
    told = [(Path(p.file).name, p.line, p.key) for p in caught.value.problems]
    assert ("own.yml", line, key) in told


def test_a_plan_whose_script_is_missing_is_told(tmp_path: Path) -> None:
    files = policy_files([SHIPPED.parent, own(tmp_path, OWN.replace("flow: follow", "flow: fellow"))])
    with pytest.raises(PolicyError, match=r"own\.yml:9: plans\.knee_surgery\.flow"):
        check_plans(load_policies(files), load_book().flows, files)


def test_a_plan_in_two_files_of_one_folder_is_told(tmp_path: Path) -> None:
    own(tmp_path, OWN)
    (tmp_path / "plans" / "z.yml").write_text(OWN, encoding="utf-8")
    with pytest.raises(PolicyError, match=r"z\.yml:2: plans\.knee_surgery"):
        load_policies(policy_files([SHIPPED.parent, tmp_path]))


def test_every_shipped_plan_has_its_names_and_a_window() -> None:
    for plan in PLANS.values():
        assert all(plan.name[language] for language in Language)
        assert plan.windows
        assert ChannelName.VOICE not in plan.channels[:-1]


DAYS_2026 = (
    "01-05 01-20 02-04 02-18 03-05 03-20 04-05 04-20 05-05 05-21 06-05 06-21 "
    "07-07 07-23 08-07 08-23 09-07 09-23 10-08 10-23 11-07 11-22 12-07 12-22"
)  # as the Purple Mountain Observatory's almanac has them


def test_solar_terms_fall_on_the_almanacs_days() -> None:
    year = [date(2026, 1, 1) + timedelta(days=n) for n in range(365)]
    found = [(f"{day:%m-%d}", term) for day in year if (term := term_on(day, "Asia/Shanghai"))]
    assert [day for day, _ in found] == DAYS_2026.split()
    assert [term for _, term in found] == list(SolarTerm)


@pytest.mark.parametrize(
    ("day", "term"),
    [
        (date(2024, 2, 4), SolarTerm.START_OF_SPRING),
        (date(2025, 2, 3), SolarTerm.START_OF_SPRING),
        (date(2025, 12, 21), SolarTerm.WINTER_SOLSTICE),
        (date(2033, 12, 21), SolarTerm.WINTER_SOLSTICE),
        (date(2026, 6, 22), None),
    ],
)
def test_solar_terms_of_other_years(day: date, term: SolarTerm | None) -> None:
    assert term_on(day, "Asia/Shanghai") is term
