"""Reads, checks and stores the operator's policies (scripts/policies.yml).

    load_policies([SHIPPED, own]) -> Policies     later files lie over earlier ones, key by key; lists are replaced
    policy_files(roots)                           those of these folders of scripts, for load_policies
    dump(policies) -> dict                        plain JSON, for the versions in the database
    from_json(stored) -> Policies                 what an older program stored is completed by the shipped figures

A policies.yml brings the follow-up plans in the folder plans/ beside it along; policies and plans are one version.
A wrong file raises PolicyError with every problem in it, each with file, line, key and what would be right.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from bot.core import repair
from bot.core.ladder import COMPLAINT, MEDIA, SYSTEM_FAULT
from bot.core.permission import TABLE
from bot.core.plan import BY_CALL, OF_THE_YEAR, Plan, Trigger
from bot.core.policy import (
    OTHER_QUEUES,
    Broadcast,
    Hours,
    Ladder,
    Policies,
    Repairs,
    Visits,
    Warranty,
    Windows,
)
from bot.core.warranty import DAYS_IN_A_YEAR
from bot.core.words import Cell, ChannelName, FollowUpGroup, Language, Purpose, Rule, Urgency
from scripts.calendars import knows
from scripts.typed import Decoder, Key, Problem, Report, encode, merged, read_yaml

FILE, PLANS = "policies.yml", "plans"
SHIPPED = Path(__file__).with_name(FILE)
DEMO = Path(__file__).with_name("demo") / FILE

MAX_AHEAD = timedelta(days=366)

NEEDED_LADDERS = (*(urgency.value for urgency in Urgency), COMPLAINT, SYSTEM_FAULT, MEDIA)

Fault = tuple[Key, str, str]  # key, what is wrong in Chinese, in English


class PolicyError(Exception):
    """The policies cannot be used; `problems` names everything that is wrong."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


def policy_files(roots: Sequence[Path]) -> list[Path]:
    """The policies.yml of each root that has one, or plans beside it."""
    return [root / FILE for root in roots if (root / FILE).is_file() or _plan_files(root)]


def _plan_files(root: Path) -> list[Path]:
    return sorted((root / PLANS).glob("*.yml"))


def load_policies(paths: Sequence[Path]) -> Policies:
    """The policies these files make together; the first is SHIPPED. Raises PolicyError."""
    report = Report()
    plain: dict[str, Any] = {}
    for path in paths:
        plain = merged(plain, _read(path, report))
    return _decoded(plain, report, strict=True)


def _read(path: Path, report: Report) -> dict[str, Any]:
    """A policies file, and under it the plans in the folder beside it; a folder may hold plans alone."""
    beside = _plan_files(path.parent) if path.name == FILE else []
    plans: dict[str, Any] = {}
    for file in beside:
        held = read_yaml(file, report)
        for name in sorted(held.keys() - {PLANS}):
            report.add((name,), "这里只能写 plans", "only plans stand in this file")
        for id_ in sorted(plans.keys() & _mapping(held.get(PLANS)).keys()):
            report.add((PLANS, id_), "另一个文件里已有这个计划", "another file has this plan already")
        plans |= _mapping(held.get(PLANS))
    own = read_yaml(path, report) if path.is_file() or not beside else {}
    return merged({PLANS: plans} if plans else {}, own)


def check_plans(policies: Policies, flows: Collection[str], paths: Sequence[Path]) -> None:
    """Raises PolicyError for plans of these files whose script is no flow of any pack."""
    report = Report()
    for path in paths:
        _read(path, report)
    for id_, plan in policies.plans.items():
        if plan.flow not in flows:
            report.add((PLANS, id_, "flow"), f"没有叫 {plan.flow} 的话术", f"there is no flow {plan.flow}")
    if report.problems:
        raise PolicyError(report.problems)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def dump(policies: Policies) -> dict[str, Any]:
    """Plain JSON values; `from_json(dump(p)) == p`."""
    plain: dict[str, Any] = encode(policies)
    return plain


def from_json(stored: Mapping[str, Any]) -> Policies:
    """Policies as `dump` stored them; keys this program no longer knows are dropped. Raises PolicyError."""
    report = Report()
    return _decoded(merged(_read(SHIPPED, report), stored), report, strict=False)


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
    if policies.retention.long is not None and policies.retention.long < policies.retention.short:
        yield ("retention", "long"), "长期不能比短期还短", "long must not be shorter than short"
    wished = policies.plans.get(FollowUpGroup.REQUESTED)
    if wished is None or wished.trigger is not Trigger.WISH:
        yield (
            (PLANS, FollowUpGroup.REQUESTED.value),
            "缺少客户约回电的计划",
            "the plan of callbacks asked for is missing",
        )
    for id_, plan in policies.plans.items():
        yield from _plan_faults((PLANS, id_), plan, policies.hours)
    for urgency in Urgency:
        if urgency not in policies.sla.cases:
            yield ("sla", "cases", urgency.value), "缺少这一项", "is missing"
    for name in NEEDED_LADDERS:
        if name not in policies.ladders:
            yield ("ladders", name), "缺少这一项", "is missing"
    for name, ladder in policies.ladders.items():
        yield from _ladder_faults(("ladders", name), ladder)
    yield from _windows_faults(("sla", "hours"), policies.sla.hours)
    yield from _windows_faults(("cover", "on_call"), policies.cover.on_call)
    yield from _windows_faults(("cover", "leader"), policies.cover.leader)
    if policies.occupancy.general >= policies.occupancy.major:
        yield ("occupancy", "major"), "应比 general 晚", "must come later than general"
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


PLAN_ID = 40  # characters, as the database keeps it
STEPS = 20
CALLED_FOR = (Purpose.FOLLOW_UP, Purpose.REQUESTED_CALLBACK)
WRITTEN_FOR = (Purpose.FOLLOW_UP, Purpose.MARKETING, Purpose.SERVICE_NOTICE)
WRITTEN_ON = (ChannelName.TELEGRAM, ChannelName.WEBCHAT, ChannelName.SMS, BY_CALL)


def _plan_faults(key: Key, plan: Plan, hours: Hours) -> Iterator[Fault]:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", key[-1]) or len(key[-1]) > PLAN_ID:
        yield key, "编号用小写字母、数字和下划线，最多 40 个", "its id is lower-case letters, digits and _, 40 at most"
    for language in Language:
        if not plan.name.get(language, "").strip():
            yield (*key, "name", language.value), "缺少名称", "the name is missing"
    if not plan.windows:
        yield (*key, "windows"), "至少写一个时段", "must name at least one set of windows"
    yield from _name_faults((*key, "windows"), plan.windows, hours)
    yield from _step_faults(key, plan)
    if not plan.channels or len(set(plan.channels)) < len(plan.channels) or set(plan.channels) - set(WRITTEN_ON):
        known = ", ".join(WRITTEN_ON)
        yield (*key, "channels"), f"至少写一个，不重复；可用：{known}", f"at least one, none twice; known: {known}"
    elif plan.calls and len(plan.channels) > 1:
        yield (*key, "channels"), "voice 只能写在最后", "voice stands last"
    purposes = CALLED_FOR if plan.channels[:1] == (BY_CALL,) else WRITTEN_FOR
    if plan.purpose not in purposes:
        known = ", ".join(purposes)
        yield (*key, "purpose"), f"这些渠道可用：{known}", f"on these channels one of: {known}"
    if plan.attempts == 0:
        yield (*key, "attempts"), "应大于 0，或不写", "must be more than 0, or left out"
    if (plan.trigger is Trigger.SOLAR_TERM) is not bool(plan.terms):
        yield (
            (*key, "terms"),
            "只有 solar_term 计划要写节气",
            "a solar_term plan names its terms, no other does",
        )
    if plan.trigger in OF_THE_YEAR and plan.purpose is not Purpose.MARKETING:
        yield (*key, "purpose"), "关怀短信应写 marketing，须客户同意", "care is marketing and wants consent (REQ-C09)"
    if plan.repeat_days == 0 or (plan.repeat_days and plan.calls):
        yield (*key, "repeat_days"), "应大于 0，且只用于文字消息", "must be more than 0, and only for written messages"


def _step_faults(key: Key, plan: Plan) -> Iterator[Fault]:
    if not 1 <= len(plan.steps) <= STEPS or (plan.trigger is Trigger.WISH and len(plan.steps) > 1):
        yield (*key, "steps"), "写 1 到 20 次；客户要求的回电只写一次", "1 to 20; a callback asked for has one"
    for i, step in enumerate(plan.steps):
        at = (*key, "steps", str(i))
        if step.after_days is not None and step.within_days is not None and step.within_days < step.after_days:
            yield (*at, "within_days"), "不能早于 after_days", "must not be less than after_days"
        if step.after and step.after_days != 0:
            yield (*at, "after"), "只在 after_days 为 0 时写", "only where after_days is 0"


def _ladder_faults(key: Key, ladder: Ladder) -> Iterator[Fault]:
    delays = [rung.after for rung in ladder.rungs]
    if not delays:
        yield (*key, "rungs"), "至少写一级", "must have at least one rung"
    if delays != sorted(set(delays)):
        yield (*key, "rungs"), "时间应一级比一级晚", "each rung must come later than the one before"
    for i, rung in enumerate(ladder.rungs):
        if not rung.roles and not rung.people:
            yield (*key, "rungs", str(i), "roles"), "至少写一个角色或 people", "must name at least one role, or people"
    if ladder.repeat is not None and not ladder.repeat:
        yield (*key, "repeat"), "应大于 0，或写 null", "must be more than 0, or null"
    if ladder.repeats is not None and ladder.repeats < 0:
        yield (*key, "repeats"), "不能小于 0", "must not be less than 0"
    if ladder.repeats != 0 and ladder.repeat is None:
        yield (
            (*key, "repeat"),
            "有 repeats（null 为直到有人接手）就要写间隔",
            "must be set when there are repeats",
        )


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
        ("calls", "failures"): policies.calls.failures,
        ("facts", "timeout"): policies.facts.timeout.total_seconds(),
    }
    if policies.chat.per_network is not None:
        positive["chat", "per_network"] = policies.chat.per_network
    if policies.calls.at_once is not None:
        positive["calls", "at_once"] = policies.calls.at_once
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
