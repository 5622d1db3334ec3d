"""What a conversation remembers between two messages, and what goes in and out of the engine: values only.

A state is stored with its conversation as JSON and means something only together with the book it pins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from bot.core.words import Act, Button, Parse, Say, as_buttons


@dataclass(frozen=True, slots=True)
class Frame:
    """An open flow. `called` frames return to the flow that called them; others were interrupted into.

    `asked` is the collect node whose question is open, `tries` how often it was answered in vain; `filled` are the
    slots to be forgotten when the flow ends; `passed` are the collect nodes since the last action that commits, to
    which a correction may still go back.
    """

    flow: str
    node: str | None
    asked: str | None = None
    tries: int = 0
    called: bool = False
    filled: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """`State()` is a conversation that has not begun.

    `misses` (messages not understood, on the telephone silences too), `silences` and `anger` count what happened in a
    row; `turns` counts the customer's messages; `acts` the actions since the last one. `offered` are the choices last
    shown, `last` what was last said, `topic` the last flow that was no repair, `request` the message that started it
    and `said` the last one, as far as a case's subject needs them.
    """

    stack: tuple[Frame, ...] = ()
    slots: Mapping[str, Any] = field(default_factory=dict)
    acting: str | None = None
    misses: int = 0
    silences: int = 0
    anger: int = 0
    turns: int = 0
    acts: int = 0
    topic: str | None = None
    request: str = ""
    said: str = ""
    offered: tuple[Button, ...] = ()
    last: tuple[Say, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; `State.from_json` gives the same value back."""
        return {
            **_fields(self),
            "stack": [_fields(frame) for frame in self.stack],
            "slots": dict(self.slots),
            "offered": [_fields(button) for button in self.offered],
            "last": [_said(said) for said in self.last],
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> State:
        """The inverse of `to_json`; an empty mapping is a conversation that has not begun."""
        plain = dict(raw)
        plain["stack"] = tuple(
            Frame(**{**f, "filled": tuple(f["filled"]), "passed": tuple(f["passed"])}) for f in plain.get("stack", ())
        )
        plain["offered"] = as_buttons(plain.get("offered", ()))
        plain["last"] = tuple(Say(**{**say, "buttons": as_buttons(say["buttons"])}) for say in plain.get("last", ()))
        return cls(**plain)


@dataclass(frozen=True, slots=True)
class Turn:
    """A customer's message. `payload` is what a pressed button brought back.

    `context` is what conditions read as `context.x` and responses as {x}: channel, language, company, bot_name, what is
    known of the contact (name, title, phone, unit), outbound … (scripts/README.md lists them).
    """

    text: str
    parse: Parse
    payload: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Visit:
    """A node the engine came to; with `branch`, the place of the way it left by among the node's `next`."""

    flow: str
    node: str
    branch: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now: say the `says`; if there is an `act`, perform it and `resume` with its result.

    `expecting` are the intents the open question can take as an answer (give them to the next parse); `question` is the
    slot it fills. `done` says nothing is open; `missed` that the message was not understood.
    """

    state: State
    says: tuple[Say, ...] = ()
    act: Act | None = None
    expecting: frozenset[str] = frozenset()
    question: str | None = None
    done: bool = False
    missed: bool = False
    visits: tuple[Visit, ...] = ()


def _fields(value: Any) -> dict[str, Any]:
    """A dataclass's own fields, its values as they are: `asdict` copies each deeply, on every turn."""
    return {each.name: getattr(value, each.name) for each in fields(value)}


def _said(said: Say) -> dict[str, Any]:
    buttons = [_fields(button) for button in said.buttons]
    return {**_fields(said), "buttons": buttons, "metadata": dict(said.metadata)}
