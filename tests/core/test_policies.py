"""The operator's file: the requirements' figures as shipped, layers, versions, and mistakes told all at once."""

from __future__ import annotations

import json
from datetime import date, time, timedelta
from pathlib import Path

import pytest

from bot.core.policy import Holidays, MonthDay, Window
from bot.core.words import ChannelName, FollowUpGroup, Language
from scripts.calendars import calendar_of
from scripts.policies import DEMO, SHIPPED, PolicyError, dump, from_json, load_policies
from scripts.typed import Problem

SHIPPED_POLICIES = load_policies([SHIPPED])


def overlay(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "own.yml"
    file.write_text(text, encoding="utf-8")
    return file


def problems(tmp_path: Path, text: str) -> tuple[Problem, ...]:
    with pytest.raises(PolicyError) as caught:
        load_policies([SHIPPED, overlay(tmp_path, text)])
    return caught.value.problems


def test_the_shipped_figures_are_the_requirements() -> None:
    p = SHIPPED_POLICIES
    follow_up = p.hours.windows["follow_up"]
    evening = Window(time(19), time(20))
    assert follow_up.summer == (Window(time(14, 30), time(16, 30)), evening)  # REQ-B10
    assert follow_up.winter == (Window(time(14), time(16, 30)), evening)  # REQ-B11
    assert p.hours.windows["outbound"].all_year == (Window(time(9), time(10)), Window(time(14), time(16)))  # REQ-B08
    assert p.hours.carrier == Window(time(8), time(21))
    assert [(cap.times, cap.within) for cap in p.frequency.calls] == [
        (3, timedelta(minutes=5)),
        (5, timedelta(hours=24)),
    ]
    assert (p.sla.first_reply_target, p.sla.first_reply_limit, p.sla.answer_limit) == tuple(
        timedelta(seconds=n) for n in (10, 15, 20)
    )  # REQ-B01, B02, B05
    assert p.chat.hold_after == timedelta(seconds=20)  # REQ-B05
    assert p.chat.misses == 2  # REQ-D10
    assert [rung.after for rung in p.ladders["urgent"].rungs] == [timedelta(minutes=n) for n in (0, 5, 10, 60)]
    assert p.plans[FollowUpGroup.VISITED_NO_PURCHASE].steps[0].within_days == 2  # REQ-B13
    assert p.plans[FollowUpGroup.VISITED_PURCHASED].windows == ("evening",)  # REQ-B14
    assert (p.rates[ChannelName.SMS].per_second, p.rates[ChannelName.TELEGRAM].per_second) == (1, 30)
    assert p.retention.short == timedelta(days=3 * 365)  # REQ-B42


def test_what_the_sources_leave_blank_is_unset() -> None:
    """X3, REQ-C08."""
    assert SHIPPED_POLICIES.seasons.summer_start is None
    assert SHIPPED_POLICIES.seasons.winter_start is None
    assert SHIPPED_POLICIES.plans[FollowUpGroup.NOT_VISITED].steps[0].after_days is None


def test_the_demo_sets_fictional_ones_and_leaves_the_rest() -> None:
    demo = load_policies([SHIPPED, DEMO])
    assert demo.seasons.summer_start == MonthDay(5, 15)
    assert demo.seasons.winter_start == (10, 15)
    assert demo.plans[FollowUpGroup.NOT_VISITED].flow == "follow_up_not_visited"
    assert demo.hours == SHIPPED_POLICIES.hours
    assert demo.company.name.of(Language.ZH) != SHIPPED_POLICIES.company.name.of(Language.ZH)


@pytest.mark.parametrize("paths", [[SHIPPED], [SHIPPED, DEMO]])
def test_a_stored_version_comes_back_as_it_was(paths: list[Path]) -> None:
    policies = load_policies(paths)
    assert from_json(json.loads(json.dumps(dump(policies)))) == policies


def test_an_older_version_is_completed_and_a_newer_ones_keys_dropped() -> None:
    stored = dump(load_policies([SHIPPED, DEMO]))
    del stored["chat"]["misses"]
    stored["horoscope"] = {"sign": "cat"}
    assert from_json(stored) == load_policies([SHIPPED, DEMO])


def test_a_later_file_replaces_lists_and_merges_mappings(tmp_path: Path) -> None:
    own = overlay(tmp_path, 'hours: {windows: {outbound: {all_year: ["10:00-11:00"]}}}')
    windows = load_policies([SHIPPED, own]).hours.windows
    assert windows["outbound"].all_year == (Window(time(10), time(11)),)
    assert windows["follow_up"] == SHIPPED_POLICIES.hours.windows["follow_up"]


def test_every_mistake_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    text = """\
zone: Asia/Shangai
seasons:
  summer_start: 05-32
chat:
  hold_afer: 20 s
  remind_after: soon
  misses: -1
calls:
  machine: hangup
hours:
  quiet: "25:00-08:00"
"""
    told = {(p.key, p.line) for p in problems(tmp_path, text)}
    assert told == {
        ("seasons.summer_start", 3),
        ("chat.hold_afer", 5),
        ("chat.remind_after", 6),
        ("chat.misses", 7),
        ("calls.machine", 9),
        ("hours.quiet", 11),
    }


@pytest.mark.parametrize(
    ("text", "key", "line", "right"),
    [
        ("zone: Asia/Shangai", "zone", 1, "Asia/Shanghai"),
        ("chat: {hold_afer: 20 s}", "chat.hold_afer", 1, "known: hold_after"),
        ("chat:\n  hold_after: 20", "chat.hold_after", 2, "10 s, 5 min"),
        ("calls: {machine: hangup}", "calls.machine", 1, "one of: hang_up"),
        ("language: fr", "language", 1, "zh, en"),
        ("holidays: {region: XX}", "holidays.region", 1, "CN"),
        ("seasons: {summer_start: 05-15}", "seasons", 1, "both"),
        ("seasons: {summer_start: 05-15, winter_start: 05-15}", "seasons", 1, "different days"),
        ("plans: {requested: {windows: [night]}}", "plans.requested.windows", 1, "known: follow_up"),
        (
            "plans: {after_complaint: {steps: [{after_days: 3, within_days: 1}]}}",
            "plans.after_complaint.steps.0.within_days",
            1,
            "less than after_days",
        ),
        ("hours: {purposes: {marketing: []}}", "hours.purposes.marketing", 1, "windows it keeps"),
        ("hours: {windows: {x: {weekdays: [8], all_year: ['09:00-10:00']}}}", "hours.windows.x.weekdays", 1, "1 to 7"),
        ("hours: {windows: {x: {weekdays: [1], summer: ['09:00-10:00']}}}", "hours.windows.x", 1, "both summer"),
        ("ladders: {urgent: {rungs: []}}", "ladders.urgent.rungs", 1, "at least one rung"),
        ("ladders:\n  urgent:\n    rungs:\n      - {after: 5 min, roles: [leader]}\n      - {after: 5 min, roles: []}",
         "ladders.urgent.rungs", 3, "later than the one before"),
        ("rates: {sms: {per_second: 0}}", "rates.sms.per_second", 1, "more than 0"),
        ("rates: {sms: {price: cheap}}", "rates.sms.price", 1, "0.05"),
        ("sla: {warn_at: 80}", "sla.warn_at", 1, "between 0 and 1"),
        ("chat: {remind_after: 1 h}", "chat.remind_after", 1, "shorter than close_after"),
        ("broadcast: {ack_digit: 1}", "broadcast.ack_digit", 1, "quotes"),
        ("broadcast: {ack_digit: '收'}", "broadcast.ack_digit", 1, "one digit"),
        ("agents: 5", "agents", 1, "mapping"),
        ("chat:\n  misses: 2\n  misses: 3", "chat.misses", 3, "twice"),
        ("- 1", "", 1, "mapping"),
        ("a: [", "", 1, "not valid YAML"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_what_would_be_right(
    tmp_path: Path, text: str, key: str, line: int, right: str
) -> None:
    told = [p for p in problems(tmp_path, text) if p.key == key and right in p.en]
    assert told
    assert told[0].zh
    assert (Path(told[0].file).name, told[0].line) == ("own.yml", line)
    assert f"own.yml:{line}:" in str(told[0])


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        load_policies([SHIPPED, Path("nowhere.yml")])


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert load_policies([SHIPPED, overlay(tmp_path, "# nothing yet\n")]) == SHIPPED_POLICIES


def test_the_operators_own_days_lie_over_the_calendar() -> None:
    day_off, workday = date(2026, 7, 1), date(2026, 10, 5)
    calendar = calendar_of(Holidays("CN", frozenset({day_off}), frozenset({workday})), 2026)
    assert day_off in calendar.holidays
    assert workday not in calendar.holidays
    assert workday in calendar.workdays


def test_a_region_that_decrees_nothing_is_never_provisional() -> None:
    assert not calendar_of(Holidays("DE", frozenset(), frozenset()), 2026).provisional(date(2040, 1, 1))
    assert calendar_of(Holidays("", frozenset(), frozenset()), 2026).holidays == frozenset()
