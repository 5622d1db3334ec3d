"""Reads, checks and stores the operator's policies (scripts/policies.yml).

    load_policies([SHIPPED, own]) -> Policies     later files lie over earlier ones, key by key; lists are replaced
    dump(policies) -> dict                        plain JSON, for the versions in the database
    from_json(stored) -> Policies                 what an older program stored is completed by the shipped figures

A wrong file raises PolicyError with every problem in it, each with file, line, key and what would be right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from bot.core import repair
from bot.core.permission import TABLE
from bot.core.policy import (
    OTHER_QUEUES,
    Broadcast,
    Hours,
    Ladder,
    Plan,
    Policies,
    Repairs,
    Visits,
    Warranty,
    Windows,
)
from bot.core.warranty import DAYS_IN_A_YEAR
from bot.core.words import Cell, ChannelName, FollowUpGroup, Rule, Urgency
from scripts.calendars import knows
from scripts.typed import Decoder, Key, Problem, Report, encode, merged, read_yaml

SHIPPED = Path(__file__).with_name("policies.yml")
DEMO = Path(__file__).with_name("demo") / "policies.yml"

MAX_AHEAD = timedelta(days=366)

Fault = tuple[Key, str, str]  # key, what is wrong in Chinese, in English


class PolicyError(Exception):
    """The policies cannot be used; `problems` names everything that is wrong."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


def load_policies(paths: Sequence[Path]) -> Policies:
    """The policies these files make together; the first is SHIPPED. Raises PolicyError."""
    report = Report()
    plain: dict[str, Any] = {}
    for path in paths:
        plain = merged(plain, read_yaml(path, report))
    return _decoded(plain, report, strict=True)


def dump(policies: Policies) -> dict[str, Any]:
    """Plain JSON values; `from_json(dump(p)) == p`."""
    plain: dict[str, Any] = encode(policies)
    return plain


def from_json(stored: Mapping[str, Any]) -> Policies:
    """Policies as `dump` stored them; keys this program no longer knows are dropped. Raises PolicyError."""
    report = Report()
    return _decoded(merged(read_yaml(SHIPPED, report), stored), report, strict=False)


def _decoded(plain: Mapping[str, Any], report: Report, *, strict: bool) -> Policies:
    policies = Decoder(report, strict=strict).value(plain, Policies, ()) if plain else None
    if not report.problems and isinstance(policies, Policies):
        for key, zh, en in _faults(policies):
            report.add(key, zh, en)
    if report.problems or not isinstance(policies, Policies):
        raise PolicyError(report.problems)
    return policies


# ── what each value alone cannot tell ────────────────────────────────────────────────────────────────────────────────


def _faults(policies: Policies) -> Iterator[Fault]:
    if policies.zone not in available_timezones():
        yield ("zone",), "没有这个时区，如 Asia/Shanghai", "is no time zone; such as Asia/Shanghai"
    if not knows(policies.holidays.region):
        yield ("holidays", "region"), "没有这个地区的节假日，如 CN", "has no known holidays; such as CN"
    if (policies.seasons.summer_start is None) != (policies.seasons.winter_start is None):
        yield ("seasons",), "两个换季日要么都写，要么都不写", "set both season starts, or neither"
    elif policies.seasons.summer_start and policies.seasons.summer_start == policies.seasons.winter_start:
        yield ("seasons",), "两个换季日不能相同", "the two seasons must start on different days"
    yield from _hours_faults(policies.hours)
    for group in FollowUpGroup:
        if group not in policies.plans:
            yield ("plans", group.value), "缺少这一项", "is missing"
    for group, plan in policies.plans.items():
        yield from _plan_faults(("plans", group.value), plan, policies.hours)
    for urgency in Urgency:
        if urgency.value not in policies.ladders:
            yield ("ladders", urgency.value), "缺少这一项", "is missing"
        if urgency not in policies.sla.cases:
            yield ("sla", "cases", urgency.value), "缺少这一项", "is missing"
    for name, ladder in policies.ladders.items():
        yield from _ladder_faults(("ladders", name), ladder)
    yield from _windows_faults(("sla", "hours"), policies.sla.hours)
    yield from _repair_faults(policies.repairs)
    yield from _visit_faults(policies.visits)
    yield from _figure_faults(policies)
    yield from _broadcast_faults(policies.broadcast)
    yield from _warranty_faults(policies.warranty)


def _hours_faults(hours: Hours) -> Iterator[Fault]:
    for name, windows in hours.windows.items():
        yield from _windows_faults(("hours", "windows", name), windows)
    for purpose, cells in TABLE.items():
        if cells[Rule.WINDOW] is Cell.APPLIES and not hours.purposes.get(purpose):
            yield ("hours", "purposes", purpose.value), "要写守哪些时段", "must name the windows it keeps"
    for purpose, names in hours.purposes.items():
        yield from _name_faults(("hours", "purposes", purpose.value), names, hours)


def _name_faults(key: Key, names: Sequence[str], hours: Hours) -> Iterator[Fault]:
    known = ", ".join(hours.windows)
    for name in names:
        if name not in hours.windows:
            yield key, f"没有叫 {name} 的时段；可用：{known}", f"no windows are called {name}; known: {known}"


def _windows_faults(key: Key, windows: Windows) -> Iterator[Fault]:
    if windows.all_year and windows.seasonal:
        yield key, "写 all_year，或写 summer 和 winter，不能都写", "write all_year, or summer and winter, not both"
    elif not windows.all_year and not (windows.summer and windows.winter):
        yield key, "要写 all_year，或 summer 和 winter 都写", "write all_year, or both summer and winter"
    if not windows.weekdays or not windows.weekdays <= set(range(1, 8)):
        yield (*key, "weekdays"), "应为 1 到 7 的数字", "must be numbers from 1 to 7"


def _plan_faults(key: Key, plan: Plan, hours: Hours) -> Iterator[Fault]:
    if not plan.windows:
        yield (*key, "windows"), "至少写一个时段", "must name at least one set of windows"
    yield from _name_faults((*key, "windows"), plan.windows, hours)
    if plan.after_days is not None and plan.within_days is not None and plan.within_days < plan.after_days:
        yield (*key, "within_days"), "不能早于 after_days", "must not be less than after_days"


def _ladder_faults(key: Key, ladder: Ladder) -> Iterator[Fault]:
    delays = [rung.after for rung in ladder.rungs]
    if not delays:
        yield (*key, "rungs"), "至少写一级", "must have at least one rung"
    if delays != sorted(set(delays)):
        yield (*key, "rungs"), "时间应一级比一级晚", "each rung must come later than the one before"
    for i, rung in enumerate(ladder.rungs):
        if not rung.roles:
            yield (*key, "rungs", str(i), "roles"), "至少写一个角色", "must name at least one role"
    if ladder.repeat is not None and not ladder.repeat:
        yield (*key, "repeat"), "应大于 0，或写 null", "must be more than 0, or null"
    if ladder.repeats and ladder.repeat is None:
        yield (*key, "repeat"), "有 repeats 就要写间隔", "must be set when there are repeats"


def _repair_faults(repairs: Repairs) -> Iterator[Fault]:
    if OTHER_QUEUES not in repairs.paths:
        yield ("repairs", "paths", OTHER_QUEUES), "缺少这一项", "is missing"
    for queue, path in repairs.paths.items():
        for zh, en in repair.faults(path):
            yield ("repairs", "paths", queue), zh, en


def _visit_faults(visits: Visits) -> Iterator[Fault]:
    yield from _windows_faults(("visits", "hours"), visits.hours)
    if visits.hours.seasonal:
        yield ("visits", "hours"), "请写 all_year", "write all_year here"
    for name in ("slot", "capacity", "ahead"):
        if not getattr(visits, name):
            yield ("visits", name), "应大于 0", "must be more than 0"
    if visits.ahead < visits.notice:
        yield ("visits", "ahead"), "应大于 notice", "must be longer than notice"
    if visits.ahead > MAX_AHEAD:
        yield ("visits", "ahead"), "最多 366 d", "must be 366 d at most"


def _figure_faults(policies: Policies) -> Iterator[Fault]:
    positive: dict[Key, float] = {
        ("calls", "attempts"): policies.calls.attempts,
        ("calls", "unrung"): policies.calls.unrung,
        ("agents", "capacity"): policies.agents.capacity,
        ("chat", "split_at"): policies.chat.split_at,
        ("chat", "misses"): policies.chat.misses,
        ("facts", "timeout"): policies.facts.timeout.total_seconds(),
    }
    for channel in ChannelName:
        rate = policies.rates.get(channel)
        if rate is None:
            yield ("rates", channel.value), "缺少这一项", "is missing"
            continue
        positive["rates", channel.value, "per_second"] = rate.per_second
        if rate.per_address is not None:
            positive["rates", channel.value, "per_address"] = rate.per_address
        if rate.chat_share >= 1:
            yield ("rates", channel.value, "chat_share"), "应小于 1", "must be less than 1"
    for key, figure in positive.items():
        if figure <= 0:
            yield key, "应大于 0", "must be more than 0"
    shares = {
        ("sla", "warn_at"): policies.sla.warn_at,
        ("chat", "understand"): policies.chat.understand,
        ("chat", "clarify"): policies.chat.clarify,
    }
    for share_key, share in shares.items():
        if share > 1:
            yield share_key, "应在 0 和 1 之间", "must be between 0 and 1"
    if policies.sla.first_reply_target > policies.sla.first_reply_limit:
        yield ("sla", "first_reply_target"), "不能超过 first_reply_limit", "must not exceed first_reply_limit"
    if policies.chat.remind_after >= policies.chat.close_after:
        yield ("chat", "remind_after"), "应短于 close_after", "must be shorter than close_after"
    for caps_key, caps in (("calls", policies.frequency.calls), ("follow_ups", policies.frequency.follow_ups)):
        for i, cap in enumerate(caps):
            if not cap.times or not cap.within:
                yield ("frequency", caps_key, str(i)), "次数和时长都应大于 0", "times and within must be more than 0"


def _warranty_faults(warranty: Warranty) -> Iterator[Fault]:
    for name in ("refund_days", "exchange_days", "free_exchange_days", "depreciation_after_days"):
        days = getattr(warranty, name)
        if days is not None and days > DAYS_IN_A_YEAR:
            yield ("warranty", name), "不能超过一年（365 天）", "must not be more than a year (365 days)"
    refund, exchange = warranty.refund_days, warranty.exchange_days
    if refund is not None and exchange is not None and exchange < refund:
        yield ("warranty", "exchange_days"), "不能短于 refund_days", "must not be less than refund_days"
    if not warranty.repeat_repairs:
        yield ("warranty", "repeat_repairs"), "应大于 0", "must be more than 0"


def _broadcast_faults(broadcast: Broadcast) -> Iterator[Fault]:
    if len(broadcast.ack_digit) != 1 or broadcast.ack_digit not in "0123456789":
        yield ("broadcast", "ack_digit"), '应为一位数字，如 "1"', 'must be one digit, such as "1"'
    channels = [step.channel for step in broadcast.ladder]
    if not channels or len(set(channels)) != len(channels):
        yield ("broadcast", "ladder"), "至少写一种渠道，且不重复", "must name at least one channel, none twice"
