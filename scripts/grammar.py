"""Rasa's predicate syntax, read once into the frozen tree of bot.core.conditions.

slots.n > 3 and (context.channel = "voice" or not slots.name is null)
{"yes", "y"} contains slots.answer        slots.order_no matches "^[0-9]+$"
"""

from __future__ import annotations

import re
from typing import Any

from lark import Lark, Transformer, v_args
from lark.exceptions import LarkError, VisitError

from bot.core.conditions import (
    And,
    Comparator,
    Compare,
    Condition,
    Contains,
    Holds,
    Literal,
    Matches,
    Name,
    Not,
    Operand,
    Or,
    Scope,
)

_GRAMMAR = r"""
    ?start: any
    any: all ("or"i all)*
    all: term ("and"i term)*
    ?term: "not"i term -> negated
         | "(" any ")"
         | operand COMPARATOR operand -> compare
         | operand "is"i "not"i operand -> differs
         | operand "is"i operand -> same
         | operand "contains"i operand -> contains
         | operand "matches"i STRING -> matches
         | operand -> truth
    ?operand: NAME -> name
            | "{" literal ("," literal)* "}" -> a_set
            | literal
    ?literal: STRING -> text
            | NUMBER -> number
            | "true"i -> true
            | "false"i -> false
            | "null"i -> null
            | "undefined"i -> null
    COMPARATOR: "!=" | "<=" | ">=" | "==" | "=" | "<" | ">"
    NAME: /(slots|context)\.[a-z_][a-z0-9_]*/i
    STRING: /"[^"]*"|'[^']*'/
    NUMBER: /-?[0-9]+(\.[0-9]+)?/
    %ignore /\s+/
"""


class ConditionError(ValueError):
    """The text is no condition; the message says where it stops making sense."""


@v_args(inline=True)
class _Tree(Transformer[Any, Condition]):
    def any(self, *parts: Condition) -> Condition:
        return parts[0] if len(parts) == 1 else Or(parts)

    def all(self, *parts: Condition) -> Condition:
        return parts[0] if len(parts) == 1 else And(parts)

    def negated(self, part: Condition) -> Condition:
        return Not(part)

    def compare(self, left: Operand, by: str, right: Operand) -> Condition:
        return Compare(left, Comparator("=" if by == "==" else str(by)), right)

    def same(self, left: Operand, right: Operand) -> Condition:
        return Compare(left, Comparator.EQUAL, right)

    def differs(self, left: Operand, right: Operand) -> Condition:
        return Compare(left, Comparator.UNEQUAL, right)

    def contains(self, whole: Operand, part: Operand) -> Condition:
        return Contains(whole, part)

    def matches(self, subject: Operand, pattern: str) -> Condition:
        return Matches(subject, re.compile(pattern[1:-1]))

    def truth(self, operand: Operand) -> Condition:
        return Holds(operand)

    def name(self, dotted: str) -> Operand:
        scope, key = str(dotted).split(".", 1)
        return Name(Scope(scope.casefold()), key)

    def a_set(self, *literals: Literal) -> Operand:
        values = tuple(each.value for each in literals)
        return Literal(tuple(v for v in values if not isinstance(v, tuple)))

    def text(self, quoted: str) -> Operand:
        return Literal(str(quoted[1:-1]))

    def number(self, digits: str) -> Operand:
        return Literal(float(digits) if "." in digits else int(digits))

    def true(self) -> Operand:
        return Literal(True)

    def false(self) -> Operand:
        return Literal(False)

    def null(self) -> Operand:
        return Literal(None)


_PARSER = Lark(_GRAMMAR, parser="lalr", transformer=_Tree(), maybe_placeholders=False)


def parse_condition(text: str) -> Condition:
    """The condition as a tree; ConditionError where it cannot be read.

    >>> parse_condition("slots.n > 3")
    Compare(left=Name(scope=<Scope.SLOTS: 'slots'>, key='n'), by=<Comparator.MORE: '>'>, right=Literal(value=3))
    """
    try:
        tree: Any = _PARSER.parse(text)
    except VisitError as error:
        raise ConditionError(f"the pattern is no regular expression: {error.orig_exc}") from error
    except re.error as error:
        raise ConditionError(f"the pattern is no regular expression: {error}") from error
    except LarkError as error:
        at = getattr(error, "column", None)
        where = f" at character {at}" if isinstance(at, int) and at > 0 else ""
        raise ConditionError(f"cannot be read{where}: {text}") from error
    condition: Condition = tree
    return condition
