"""Conditions of flows as a frozen tree, and their evaluation.

The text form is Rasa's predicate syntax (Rasa documentation, "Conditions"); scripts/grammar.py parses it once, at load.
Nothing here ever evaluates text. A name is `slots.x` or `context.x`; an unknown or empty one is null. A comparison of
order with null or between a number and a word is false, never an error, so a half-filled conversation cannot break.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Scope(StrEnum):
    """Where a name is looked up."""

    SLOTS = "slots"
    CONTEXT = "context"


@dataclass(frozen=True, slots=True)
class Name:
    scope: Scope
    key: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A text, number, true, false or null (None); a set literal `{…}` is a tuple."""

    value: str | float | bool | tuple[str | float | bool | None, ...] | None


Operand = Name | Literal


class Comparator(StrEnum):
    EQUAL = "="
    UNEQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="


@dataclass(frozen=True, slots=True)
class Compare:
    left: Operand
    by: Comparator
    right: Operand


@dataclass(frozen=True, slots=True)
class Contains:
    """`whole contains part`: membership of a set or list, or a piece of a text."""

    whole: Operand
    part: Operand


@dataclass(frozen=True, slots=True)
class Matches:
    """`subject matches "pattern"`: the pattern is found anywhere in the text."""

    subject: Operand
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Holds:
    """A bare name: true where its value is neither null, false, zero nor empty."""

    of: Operand


@dataclass(frozen=True, slots=True)
class Not:
    of: Condition


@dataclass(frozen=True, slots=True)
class And:
    of: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    of: tuple[Condition, ...]


Condition = Compare | Contains | Matches | Holds | Not | And | Or


def holds(condition: Condition, slots: Mapping[str, Any], context: Mapping[str, Any]) -> bool:
    """Whether `condition` is true of these slots and this context."""
    match condition:
        case And(parts):
            return all(holds(part, slots, context) for part in parts)
        case Or(parts):
            return any(holds(part, slots, context) for part in parts)
        case Not(part):
            return not holds(part, slots, context)
        case Holds(operand):
            return bool(_value(operand, slots, context))
        case Compare(left, by, right):
            return _compare(_value(left, slots, context), by, _value(right, slots, context))
        case Contains(whole, part_of):
            return _contains(_value(whole, slots, context), _value(part_of, slots, context))
        case Matches(subject, pattern):
            found = _value(subject, slots, context)
            return found is not None and pattern.search(str(found)) is not None


def names(condition: Condition) -> Iterator[Name]:
    """Every name a condition mentions, for the checker."""
    match condition:
        case And(parts) | Or(parts):
            for part in parts:
                yield from names(part)
        case Not(part):
            yield from names(part)
        case Holds(operand) | Matches(operand, _):
            yield from _named(operand)
        case Compare(left, _, right) | Contains(left, right):
            yield from _named(left)
            yield from _named(right)


def _named(operand: Operand) -> Iterator[Name]:
    if isinstance(operand, Name):
        yield operand


def _value(operand: Operand, slots: Mapping[str, Any], context: Mapping[str, Any]) -> Any:
    if isinstance(operand, Literal):
        return operand.value
    return (slots if operand.scope is Scope.SLOTS else context).get(operand.key)


def _compare(left: Any, by: Comparator, right: Any) -> bool:
    if by is Comparator.EQUAL:
        return _same(left, right)
    if by is Comparator.UNEQUAL:
        return not _same(left, right)
    if left is None or right is None or isinstance(left, str) != isinstance(right, str):
        return False
    match by:
        case Comparator.LESS:
            return bool(left < right)
        case Comparator.AT_MOST:
            return bool(left <= right)
        case Comparator.MORE:
            return bool(left > right)
        case Comparator.AT_LEAST:
            return bool(left >= right)


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):  # 1 is a number here, never true
        return left is right
    return bool(left == right)


def _contains(whole: Any, part: Any) -> bool:
    if isinstance(whole, str):
        return isinstance(part, str) and part in whole
    if isinstance(whole, (list, tuple)):
        return any(_same(each, part) for each in whole)
    return False
