"""Plain values from a file or the database into frozen dataclasses, and back; every mistake with its place.

Texts stand for the types JSON lacks: "14:30-16:30" (Window), "08:00" (time), "5 min" (timedelta), "05-15" (MonthDay),
"2026-10-01" (date), "0.05" (Decimal). Enums stand as their values.
"""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import date, time, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import yaml

from bot.core.policy import MonthDay, Window

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong, told in both languages. `line` counts from 1; 0 where no file holds the key."""

    file: str
    line: int
    key: str
    zh: str
    en: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " if self.file else ""
        what = f"{self.key}: " if self.key else ""
        return f"{where}{what}{self.zh} · {self.en}"


class Report:
    """Collects problems, and knows at which file and line each key stands."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.places: dict[Key, tuple[str, int]] = {}

    def add(self, key: Key, zh: str, en: str) -> None:
        written = (key[:length] for length in range(len(key), -1, -1) if key[:length] in self.places)
        file, line = self.places.get(next(written, ()), ("", 0))  # the nearest key that is written somewhere
        self.problems.append(Problem(file, line, ".".join(key), zh, en))


# ── YAML with lines ──────────────────────────────────────────────────────────────────────────────────────────────────


def read_yaml(path: Path, report: Report) -> dict[str, Any]:
    """The mapping in a file; the report learns where each key stands, and about what is no YAML."""
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        told = error.problem or "syntax error"
        report.problems.append(Problem(str(path), line, "", f"不是有效的 YAML：{told}", f"not valid YAML: {told}"))
        return {}
    except (OSError, UnicodeDecodeError) as error:
        told = getattr(error, "strerror", None) or "not UTF-8"
        report.problems.append(Problem(str(path), 0, "", f"无法读取：{told}", f"cannot be read: {told}"))
        return {}
    if node is None:
        return {}
    value = _plain(node, (), str(path), report)
    if not isinstance(value, dict):
        report.add((), "应为“键: 值”的列表", "must be a mapping of keys to values")
        return {}
    return value


def _plain(node: yaml.Node, key: Key, file: str, report: Report) -> Any:
    report.places[key] = (file, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for name_node, value_node in node.value:
            name = str(name_node.value)
            if name in mapping:
                report.places[(*key, name)] = (file, name_node.start_mark.line + 1)
                report.add((*key, name), "写了两次，请删去一处", "stands here twice; delete one")
            mapping[name] = _plain(value_node, (*key, name), file, report)
            report.places[(*key, name)] = (file, name_node.start_mark.line + 1)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        for stale in [place for place in report.places if place[: len(key)] == key and place != key]:
            del report.places[stale]  # of a list this one replaces
        return [_plain(item, (*key, str(i)), file, report) for i, item in enumerate(node.value)]
    try:
        return yaml.constructor.SafeConstructor().construct_object(node)
    except (yaml.YAMLError, ValueError):
        return str(node.value)


def merged(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """`upper` laid over `lower`: mappings key by key, everything else replaced."""
    result = dict(lower)
    for name, value in upper.items():
        below = result.get(name)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        result[name] = merged(below, value) if both else value  # type: ignore[arg-type]
    return result


# ── values in ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Wrong(Exception):  # noqa: N818 - never leaves this module
    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.zh, self.en = zh, en


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Wrong("应为文字，请加引号", "must be a text; put it in quotes")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong("应为 true 或 false", "must be true or false")
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Wrong("应为不小于 0 的整数", "must be a whole number, 0 or more")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise Wrong("应为不小于 0 的数", "must be a number, 0 or more")
    return float(value)


def _decimal(value: Any) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount < 0:
        raise Wrong("应为金额，如 0.05", "must be an amount such as 0.05")
    return amount


UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def _duration(value: Any) -> timedelta:
    found = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,6})?)\s*(s|min|h|d)\s*", str(value))
    if not found:
        raise Wrong("应为时长，如 10 s、5 min、24 h、2 d", "must be a duration such as 10 s, 5 min, 24 h or 2 d")
    try:
        return timedelta(seconds=float(found[1]) * UNITS[found[2]])
    except OverflowError:
        raise Wrong("时长太大", "is too long") from None


def _day(value: Any) -> date:
    try:
        return value if type(value) is date else date.fromisoformat(str(value))
    except ValueError:
        raise Wrong("应为日期，如 2026-10-01", "must be a date such as 2026-10-01") from None


def _month_day(value: Any) -> MonthDay:
    found = re.fullmatch(r"\s*(\d{1,2})-(\d{1,2})\s*", str(value))
    try:
        if not found:
            raise ValueError
        day = date(2000, int(found[1]), int(found[2]))  # a leap year: 02-29 is a day of the year
    except ValueError:
        raise Wrong("应为“月-日”，如 05-15", "must be month-day such as 05-15") from None
    return MonthDay(day.month, day.day)


def _window(value: Any) -> Window:
    found = re.fullmatch(r"\s*(\d{1,2}):(\d{2})\s*[-–—~至]\s*(\d{1,2}):(\d{2})\s*", str(value))
    try:
        if not found:
            raise ValueError
        hours = [int(part) for part in found.groups()]
        return Window(time(hours[0], hours[1]), time(hours[2] % 24 if hours[3] == 0 else hours[2], hours[3]))
    except ValueError:
        raise Wrong('应为时段，如 "14:30-16:30"', 'must be a window such as "14:30-16:30"') from None


def _time(value: Any) -> time:
    found = re.fullmatch(r"\s*(\d{1,2}):(\d{2})\s*", str(value))
    try:
        if not found:
            raise ValueError
        return time(int(found[1]), int(found[2]))
    except ValueError:
        raise Wrong('应为时刻，加引号，如 "08:00"', 'must be a time of day in quotes, such as "08:00"') from None


SCALARS: Mapping[type, Callable[[Any], Any]] = {
    str: _text, bool: _flag, int: _whole, float: _number, Decimal: _decimal,
    timedelta: _duration, date: _day, MonthDay: _month_day, Window: _window,
    time: _time,
}  # fmt: skip


class Decoder:
    """Builds values of a type; what is wrong goes to the report and the value is None.

    `strict` reports unknown keys; otherwise they are dropped.
    """

    def __init__(self, report: Report, *, strict: bool) -> None:
        self._report = report
        self._strict = strict

    def value(self, plain: Any, wanted: Any, key: Key) -> Any:
        origin, args = get_origin(wanted), get_args(wanted)
        if origin in (Union, types.UnionType):
            return None if plain is None else self.value(plain, next(a for a in args if a is not type(None)), key)
        if origin in (tuple, frozenset):
            return self._items(plain, origin, args[0], key)
        if origin is not None and issubclass(origin, Mapping):
            return self._mapping(plain, args[0], args[1], key)
        try:
            if wanted in SCALARS:
                return SCALARS[wanted](plain)
            if issubclass(wanted, StrEnum):
                return _member(plain, wanted)
        except Wrong as wrong:
            self._report.add(key, wrong.zh, wrong.en)
            return None
        return self._record(plain, wanted, key)

    def _items(self, plain: Any, kind: type, item: Any, key: Key) -> Any:
        if not isinstance(plain, Sequence) or isinstance(plain, str):
            self._report.add(key, "应为列表 […]", "must be a list […]")
            return None
        return kind(self.value(each, item, (*key, str(i))) for i, each in enumerate(plain))

    def _mapping(self, plain: Any, name_type: Any, item: Any, key: Key) -> Any:
        if not isinstance(plain, Mapping):
            self._report.add(key, "应为“键: 值”的列表", "must be a mapping of keys to values")
            return None
        return {
            self.value(name, name_type, (*key, name)): self.value(each, item, (*key, name))
            for name, each in plain.items()
        }

    def _record(self, plain: Any, wanted: Any, key: Key) -> Any:
        if not isinstance(plain, Mapping):
            self._report.add(key, "应为“键: 值”的列表", "must be a mapping of keys to values")
            return None
        hints = get_type_hints(wanted)
        names = [each.name for each in fields(wanted)]
        optional = {each.name for each in fields(wanted) if (each.default, each.default_factory) != (MISSING, MISSING)}
        for name in plain if self._strict else ():
            if name not in names:
                near = _near(name, names)
                self._report.add((*key, name), f"没有这一项；可用：{near}", f"is not known here; known: {near}")
        given: dict[str, Any] = {}
        for name in names:
            if name in plain:
                given[name] = self.value(plain[name], hints[name], (*key, name))
            elif name in optional:
                continue
            elif get_origin(hints[name]) is tuple:
                given[name] = ()  # a list left out is an empty one
            else:
                self._report.add((*key, name), "缺少这一项", "is missing")
        return wanted(**given) if given.keys() | optional == set(names) else None


def _member(plain: Any, wanted: type[StrEnum]) -> StrEnum:
    values = [member.value for member in wanted]
    if plain not in values:
        near = _near(str(plain), values)
        raise Wrong(f"应为其中之一：{near}", f"must be one of: {near}")
    return wanted(plain)


def _near(name: str, known: Iterable[str]) -> str:
    """The known names, most alike first."""
    names = list(known)
    alike = difflib.get_close_matches(name, names, n=1)
    return ", ".join(alike + [each for each in names if each not in alike])


# ── values out ───────────────────────────────────────────────────────────────────────────────────────────────────────


def encode(value: Any) -> Any:
    """The plain JSON value Decoder reads back as the same value."""
    match value:
        case Window(start=start, end=end):
            return f"{start:%H:%M}-{end:%H:%M}"
        case time():
            return f"{value:%H:%M}"
        case MonthDay(month=month, day=day):
            return f"{month:02}-{day:02}"
        case timedelta():
            return _encoded_duration(value)
        case StrEnum():
            return value.value
        case Decimal():
            return str(value)
        case date():
            return value.isoformat()
        case Mapping():
            return {encode(name): encode(each) for name, each in value.items()}
        case frozenset():
            return sorted(encode(each) for each in value)
        case tuple():
            return [encode(each) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: encode(getattr(value, each.name)) for each in fields(value)}
    return value


def _encoded_duration(value: timedelta) -> str:
    seconds = value.total_seconds()
    unit = next(unit for unit in ("d", "h", "min", "s") if seconds % UNITS[unit] == 0 or unit == "s")
    return f"{seconds / UNITS[unit]:.6f}".rstrip("0").rstrip(".") + f" {unit}"
