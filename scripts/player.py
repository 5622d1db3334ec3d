"""Plays conversations without a database: for `hotline talk` and for the golden transcripts.

Understanding and actions are handed in as functions, so the player is as pure as the engine. A line that begins with
`/intent` sets the intent by hand (`/no_heating 暖气冰凉`); any other line means what `understand` makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from bot.core.flow import Book, State, Step, Turn, begin, resume, silence, step
from bot.core.words import Act, Parse, Say

Understand = Callable[[str, frozenset[str]], Parse]
"""From a text and the intents the open question expects to its meaning."""
Perform = Callable[[Act], Mapping[str, Any]]
"""From an action to its result."""

SURE = 0.95  # the confidence of an intent set by hand
SILENCE = "…"  # a line that stands for the customer saying nothing


class Who(StrEnum):
    CUSTOMER = "customer"
    BOT = "bot"
    ACT = "act"
    EXPLAIN = "explain"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a transcript."""

    who: Who
    text: str


class Player:
    """One conversation. `state` is where it stands; every call returns the new lines of the transcript."""

    def __init__(
        self, book: Book, understand: Understand, perform: Perform, context: Mapping[str, Any], now: datetime
    ) -> None:
        self.book = book
        self.understand = understand
        self.perform = perform
        self.context = context
        self.now = now
        self.state = State()
        self.expecting: frozenset[str] = frozenset()

    def begin(self, flow_id: str = "pattern_session_start") -> list[Line]:
        """Starts a flow by name, as the services do for a greeting or a call."""
        return list(self._run(begin(self.book, self.state, flow_id, self.context, self.now)))

    def say(self, text: str) -> list[Line]:
        """A customer's message; `SILENCE` is none."""
        said = Line(Who.CUSTOMER, text)
        if text == SILENCE:
            return [said, *self._run(silence(self.book, self.state, self.context, self.now))]
        words, parse = self._read(text)
        done = step(self.book, self.state, Turn(words, parse, None, self.context), self.now)
        shown = parse.intent or "–"
        found = " ".join(f"{e.kind}={e.value}" for e in parse.entities)
        explained = Line(Who.EXPLAIN, f"{shown} {parse.confidence:.2f} {found}".rstrip())
        return [said, explained, *self._run(done)]

    def _read(self, text: str) -> tuple[str, Parse]:
        head, _, words = text.partition(" ")
        if text.startswith("/") and head[1:] in self.book.intents:
            parse = self.understand(words or head, self.expecting)
            return words or head, replace(parse, intent=head[1:], confidence=SURE, ranking=((head[1:], SURE),))
        return text, self.understand(text, self.expecting)

    def _run(self, at: Step) -> Iterable[Line]:
        while True:
            yield from (Line(Who.BOT, shown(said)) for said in at.says)
            if at.act is None:
                break
            yield Line(Who.ACT, wanted(at.act))
            at = resume(self.book, at.state, self.perform(at.act), self.context, self.now)
        self.state, self.expecting = at.state, at.expecting
        slots = " ".join(f"{name}={value}" for name, value in sorted(at.state.slots.items()) if value is not None)
        asks = f"asks {at.question}" if at.question else ("done" if at.done else "waits")
        yield Line(Who.EXPLAIN, f"{asks} · {slots}".rstrip(" ·"))


def shown(said: Say) -> str:
    """What the bot says, with numbered choices as SMS shows them."""
    choices = "  ".join(f"[{n}] {button.title}" for n, button in enumerate(said.buttons, start=1))
    return f"{said.text}\n{choices}" if choices else said.text


def wanted(act: Act) -> str:
    """An action with its arguments."""
    args = ", ".join(f"{name}={value}" for name, value in sorted(act.args.items()))
    return f"{act.name.removeprefix('action_')}({args})"


def transcript(lines: Iterable[Line], explain: bool = False) -> str:
    """A transcript as text: `> ` the customer, `< ` the bot, `! ` an action, `~ ` what was understood and filled."""
    marks = {Who.CUSTOMER: ">", Who.BOT: "<", Who.ACT: "!", Who.EXPLAIN: "~"}
    kept = [line for line in lines if explain or line.who is not Who.EXPLAIN]
    return "\n".join(f"{marks[line.who]} " + line.text.replace("\n", "\n  ") for line in kept)
