"""The book: every flow, slot and response of the enabled packs, frozen and named by the hash of its source.

scripts.loader builds it from YAML in the syntax of Rasa's flows, slots and responses; the engine (flow.py) reads it.
A conversation pins the version it started with, so the source travels along as canonical JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bot.core.conditions import Condition
from bot.core.words import Language

Texts = Mapping[Language, str]
"""One text in both languages."""


class SlotKind(StrEnum):
    """What a slot holds. The first five are Rasa's; the others are ours (issue: slots are validated by type)."""

    TEXT = "text"
    BOOL = "bool"
    CATEGORICAL = "categorical"
    FLOAT = "float"
    ANY = "any"
    INT = "int"
    PHONE = "phone"  # E.164
    DATETIME = "datetime"  # ISO 8601 with offset
    UNIT = "unit"  # a building's unit such as 3-2-501
    SCALE = "scale"  # a whole number between `low` and `high`


@dataclass(frozen=True, slots=True)
class FromEntity:
    entity: str


@dataclass(frozen=True, slots=True)
class FromIntent:
    intent: str
    value: str | float | bool | None


@dataclass(frozen=True, slots=True)
class FromText:
    """The customer's words as they are. Beside an entity it is the last resort (filling.py)."""


@dataclass(frozen=True, slots=True)
class FromContext:
    """Something already known about the contact; the question is then not asked."""

    key: str


Mapped = FromEntity | FromIntent | FromText | FromContext


@dataclass(frozen=True, slots=True)
class Slot:
    """`mappings` empty: only actions and set_slots fill it (Rasa's `controlled`)."""

    name: str
    kind: SlotKind
    mappings: tuple[Mapped, ...] = ()
    values: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    initial: Any = None
    labels: Texts = field(default_factory=dict)  # what staff see, and what a customer names to correct it

    @property
    def personal(self) -> bool:
        """A fact about the person, not about the matter: it outlives the flow that asked for it."""
        return any(isinstance(m, FromContext) for m in self.mappings)


@dataclass(frozen=True, slots=True)
class Branch:
    """Go to node `to` (None: the flow ends) when the condition holds; without one, always."""

    to: str | None
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A value is refused, with these words, when the condition holds."""

    when: Condition
    utter: str


@dataclass(frozen=True, slots=True)
class Collect:
    id: str
    next: tuple[Branch, ...]
    slot: str
    utter: str
    rejections: tuple[Rejection, ...] = ()
    ask_before_filling: bool = False
    force_slot_filling: bool = False  # the answer is words: no ordinary intent interrupts
    optional: bool = False  # may be skipped, and is after the second answer not understood


@dataclass(frozen=True, slots=True)
class Utter:
    id: str
    next: tuple[Branch, ...]
    response: str


@dataclass(frozen=True, slots=True)
class Perform:
    """An action; `args` are literals or texts with {placeholders}."""

    id: str
    next: tuple[Branch, ...]
    action: str
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SetSlots:
    id: str
    next: tuple[Branch, ...]
    values: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Call:
    id: str
    next: tuple[Branch, ...]
    flow: str


@dataclass(frozen=True, slots=True)
class Link:
    id: str
    next: tuple[Branch, ...]
    flow: str


@dataclass(frozen=True, slots=True)
class Noop:
    id: str
    next: tuple[Branch, ...]


Node = Collect | Utter | Perform | SetSlots | Call | Link | Noop


class Interrupts(StrEnum):
    """Whether a flow may break into an open question of another one."""

    NORMAL = "normal"
    ALWAYS = "always"  # danger, a person wanted, no further contact: even where words are the answer
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Trigger:
    flow: str
    intent: str
    threshold: float = 0.0


@dataclass(frozen=True, slots=True)
class Flow:
    """`start` names the first node; `names` are shown to customers ("we were at …")."""

    id: str
    pack: str
    names: Texts
    description: str
    start: str | None
    nodes: Mapping[str, Node]
    guard: Condition | None = None
    persisted: frozenset[str] = frozenset()
    interrupts: Interrupts = Interrupts.NORMAL
    menu: int | None = None  # its rank among the topics offered to a customer who does not know where to begin
    shape: str = ""  # a hash of its steps: two versions of a book with the same steps count their branches together

    @property
    def repairs(self) -> bool:
        """A repair pattern (Rasa's `pattern_…`): it serves the conversation and is no topic of its own."""
        return self.id.startswith("pattern_")


@dataclass(frozen=True, slots=True)
class Choice:
    titles: Texts
    payload: str


@dataclass(frozen=True, slots=True)
class Variant:
    """One wording; `channel` and `condition` say where it fits. `choices` are its buttons."""

    texts: Texts
    choices: tuple[Choice, ...] = ()
    channel: str | None = None
    condition: Condition | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Book:
    """`version` is the SHA-256 of `source`, the canonical JSON of the flows, slots and responses it was built from."""

    version: str
    source: str
    flows: Mapping[str, Flow]
    slots: Mapping[str, Slot]
    responses: Mapping[str, tuple[Variant, ...]]
    triggers: Mapping[str, tuple[Trigger, ...]]  # by intent
    intents: frozenset[str]  # what the understanding room must tell apart for this book


COMMANDS = frozenset({"cancel", "repeat_that", "skip", "affirm", "deny"})
"""Intents the engine itself acts on, whatever flow is open."""
