"""From the plain data of flows, slots and responses to a frozen book. What cannot be built becomes a problem."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bot.core.book import (
    COMMANDS,
    Book,
    Branch,
    Call,
    Choice,
    Collect,
    Flow,
    FromContext,
    FromEntity,
    FromIntent,
    FromText,
    Interrupts,
    Link,
    Mapped,
    Node,
    Noop,
    Perform,
    Rejection,
    SetSlots,
    Slot,
    SlotKind,
    Texts,
    Trigger,
    Utter,
    Variant,
)
from bot.core.conditions import Condition, Holds, Literal
from bot.core.words import Language
from scripts.grammar import ConditionError, parse_condition
from scripts.source import Problem

STEPS = ("collect", "action", "set_slots", "call", "link", "noop")
FLOW_KEYS = frozenset(
    [
        "name",
        "description",
        "translation",
        "if",
        "nlu_trigger",
        "persisted_slots",
        "steps",
        "interrupts",
        "menu",
        "pack",
    ]
)
STEP_KEYS: Mapping[str, frozenset[str]] = {
    "collect": frozenset(
        ["utter", "rejections", "ask_before_filling", "force_slot_filling", "optional", "description"]
    ),
    "action": frozenset({"args"}),
    "set_slots": frozenset(),
    "call": frozenset(),
    "link": frozenset(),
    "noop": frozenset(),
}
SLOT_KEYS = frozenset(["type", "values", "min_value", "max_value", "initial_value", "mappings", "label", "translation"])
VARIANT_KEYS = frozenset(["text", "translation", "buttons", "channel", "condition", "metadata"])
MAPPING_KEYS = frozenset(["type", "entity", "intent", "value", "key"])
DEFAULT_MAPPINGS: Mapping[SlotKind, tuple[Mapped, ...]] = {
    SlotKind.TEXT: (FromText(),),
    SlotKind.BOOL: (FromIntent("affirm", True), FromIntent("deny", False)),
    SlotKind.PHONE: (FromEntity("phone"),),
    SlotKind.DATETIME: (FromEntity("datetime"),),
    SlotKind.UNIT: (FromEntity("unit"),),
    SlotKind.SCALE: (FromEntity("rating"), FromEntity("number")),
    SlotKind.INT: (FromEntity("number"), FromEntity("quantity")),
    SlotKind.FLOAT: (FromEntity("money"), FromEntity("number"), FromEntity("quantity")),
}
END = "END"
_NEVER: Condition = Holds(Literal(False))


def nearest(word: str, known: Iterable[str]) -> str:
    """A suggestion for a name nobody knows."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean `{near[0]}`?" if near else ""


class Compiler:
    """Builds a book from merged sections; `problems` collects what is wrong, `lines` where each part stands."""

    def __init__(self, source: Mapping[str, Mapping[str, Any]], problems: list[Problem]) -> None:
        self.source = source
        self.problems = problems
        self.lines: dict[tuple[str, ...], tuple[str, int]] = {}

    def book(self) -> Book:
        flows: dict[str, Flow] = {}
        triggers: dict[str, list[Trigger]] = {}
        for name, raw in self.source["flows"].items():
            self.lines["flow", name] = _place(raw)
            flows[name] = FlowCompiler(self, name, raw).flow()
            for trigger in self._triggers(name, raw):
                triggers.setdefault(trigger.intent, []).append(trigger)
        slots = {name: self._slot(name, raw) for name, raw in self.source["slots"].items()}
        responses = {name: self._response(name, raw) for name, raw in self.source["responses"].items()}
        text = json.dumps(self.source, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        mapped = {m.intent for s in slots.values() for m in s.mappings if isinstance(m, FromIntent)}
        return Book(
            version=hashlib.sha256(text.encode()).hexdigest(),
            source=text,
            flows=flows,
            slots=slots,
            responses=responses,
            triggers={intent: tuple(found) for intent, found in triggers.items()},
            intents=frozenset(triggers) | mapped | COMMANDS,
        )

    # ── shared readings ──────────────────────────────────────────────────────────────────────────────────────────────

    def wrong(self, raw: Any, key: str | None, message: str, suggestion: str = "") -> None:
        self.problems.append(Problem(*_place(raw, key), message, suggestion))

    def only(self, raw: Mapping[str, Any], allowed: frozenset[str], what: str) -> None:
        for key in raw:
            if key not in allowed:
                self.wrong(raw, key, f"unknown key `{key}` in {what}", nearest(key, allowed))

    def condition(self, raw: Mapping[str, Any], key: str) -> Condition:
        try:
            return parse_condition(str(raw[key]))
        except ConditionError as error:
            self.wrong(raw, key, f"the condition {error}", "see the table of conditions in scripts/README.md")
            return _NEVER

    def texts(self, raw: Mapping[str, Any], key: str, what: str) -> Texts:
        """`key` in Chinese and, under `translation`, in English; an empty text is a missing one."""
        found: dict[Language, str] = {}
        if isinstance(raw.get(key), str) and raw[key].strip():
            found[Language.ZH] = raw[key].strip()
        else:
            self.wrong(raw, key, f"{what} has no `{key}`")
            found[Language.ZH] = ""
        other = _mapping(_mapping(raw, "translation"), "en") or _mapping(raw, "translation")
        self.only(other, frozenset({key, "en"}), "a translation")
        english = other.get(key) if key in other else other.get("en")
        if isinstance(english, str) and english.strip():
            found[Language.EN] = english.strip()
        else:
            self.wrong(raw, key, f"{what} has no English", "add it under `translation:` as `en:`")
        return found

    # ── slots and responses ──────────────────────────────────────────────────────────────────────────────────────────

    def _slot(self, name: str, raw: Mapping[str, Any]) -> Slot:
        self.lines["slot", name] = _place(raw)
        self.only(raw, SLOT_KEYS, "a slot")
        try:
            kind = SlotKind(str(raw.get("type")))
        except ValueError:
            self.wrong(raw, "type", f"slot `{name}` has the unknown type `{raw.get('type')}`", ", ".join(SlotKind))
            kind = SlotKind.ANY
        if kind is SlotKind.CATEGORICAL and not raw.get("values"):
            self.wrong(raw, "type", f"slot `{name}` is categorical without `values`")
        low, high = raw.get("min_value"), raw.get("max_value")
        if kind is SlotKind.SCALE and (low is None or high is None):
            self.wrong(raw, "type", f"slot `{name}` is a scale without `min_value` and `max_value`")
        labels = self.texts(raw, "label", f"slot `{name}`") if "label" in raw else {}
        return Slot(
            name=name,
            kind=kind,
            mappings=self._mappings(raw, kind),
            values=tuple(str(v) for v in raw.get("values") or ()),
            low=low,
            high=high,
            initial=raw.get("initial_value"),
            labels=labels,
        )

    def _mappings(self, raw: Mapping[str, Any], kind: SlotKind) -> tuple[Mapped, ...]:
        if "mappings" not in raw:
            return DEFAULT_MAPPINGS.get(kind, ())
        found: list[Mapped] = []
        for each in raw["mappings"] or ():
            self.only(each, MAPPING_KEYS, "a mapping")
            match each.get("type"):
                case "from_entity":
                    found.append(FromEntity(str(each.get("entity"))))
                case "from_intent":
                    found.append(FromIntent(str(each.get("intent")), each.get("value")))
                case "from_text":
                    found.append(FromText())
                case "from_context":
                    found.append(FromContext(str(each.get("key"))))
                case "controlled":
                    pass
                case unknown:
                    kinds = ("from_entity", "from_intent", "from_text", "from_context", "controlled")
                    self.wrong(each, "type", f"unknown mapping `{unknown}`", nearest(str(unknown), kinds))
        return tuple(found)

    def _response(self, name: str, raw: Mapping[str, Any]) -> tuple[Variant, ...]:
        self.lines["response", name] = _place(raw)
        variants = raw.get("variants")
        if not isinstance(variants, list) or not variants:
            self.wrong(raw, None, f"response `{name}` must be a list of wordings")
            return ()
        return tuple(self._variant(name, v) for v in variants if isinstance(v, Mapping))

    def _variant(self, name: str, raw: Mapping[str, Any]) -> Variant:
        self.only(raw, VARIANT_KEYS, "a wording")
        choices = []
        for button in raw.get("buttons") or ():
            self.only(button, frozenset({"title", "payload", "translation"}), "a button")
            titles = self.texts(button, "title", f"a button of `{name}`")
            choices.append(Choice(titles, str(button.get("payload") or titles[Language.ZH])))
        return Variant(
            texts=self.texts(raw, "text", f"response `{name}`"),
            choices=tuple(choices),
            channel=raw.get("channel"),
            condition=self.condition(raw, "condition") if "condition" in raw else None,
            metadata=dict(_mapping(raw, "metadata")),
        )

    def _triggers(self, name: str, raw: Mapping[str, Any]) -> Iterable[Trigger]:
        for each in raw.get("nlu_trigger") or ():
            intent = each.get("intent") if isinstance(each, Mapping) else None
            if isinstance(intent, Mapping):
                yield Trigger(name, str(intent.get("name")), float(intent.get("confidence_threshold", 0)))
            elif isinstance(intent, str):
                yield Trigger(name, intent)
            else:
                self.wrong(raw, "nlu_trigger", f"flow `{name}` has a trigger without an intent", "- intent: name")


class FlowCompiler:
    """One flow: its nested steps become nodes that name the next one."""

    def __init__(self, compiler: Compiler, name: str, raw: Mapping[str, Any]) -> None:
        self.compiler = compiler
        self.name = name
        self.raw = raw
        self.nodes: dict[str, Node] = {}
        self.ids = frozenset(_ids(raw.get("steps")))
        self.count = 0

    def flow(self) -> Flow:
        compiler, raw = self.compiler, self.raw
        compiler.only(raw, FLOW_KEYS, "a flow")
        if not str(raw.get("description") or "").strip():
            compiler.wrong(raw, None, f"flow `{self.name}` has no description")
        start = self._steps(raw.get("steps"), None)
        if start is None:
            compiler.wrong(raw, "steps", f"flow `{self.name}` has no steps")
        try:
            interrupts = Interrupts(str(raw.get("interrupts", Interrupts.NORMAL)))
        except ValueError:
            compiler.wrong(raw, "interrupts", "unknown value", ", ".join(Interrupts))
            interrupts = Interrupts.NORMAL
        return Flow(
            id=self.name,
            pack=str(raw.get("pack", "")),
            names=compiler.texts(raw, "name", f"flow `{self.name}`"),
            description=str(raw.get("description") or ""),
            start=start,
            nodes=self.nodes,
            guard=compiler.condition(raw, "if") if "if" in raw else None,
            persisted=frozenset(raw.get("persisted_slots") or ()),
            interrupts=interrupts,
            menu=raw.get("menu"),
            shape=_shape(raw.get("steps")),
        )

    def _steps(self, raw: Any, after: str | None) -> str | None:
        """Adds a list of steps; what falls out of its end goes on at `after`. Returns the first step's id."""
        steps = [each for each in raw or () if isinstance(each, Mapping)]
        ids = [self._id(each) for each in steps]
        for index, each in enumerate(steps):
            following = ids[index + 1] if index + 1 < len(ids) else after
            self._step(ids[index], each, following)
        return ids[0] if ids else after

    def _id(self, raw: Mapping[str, Any]) -> str:
        self.count += 1
        kind = next((k for k in STEPS if k in raw), "step")
        of = raw.get(kind)
        return str(raw.get("id") or (f"{self.count}_{kind}_{of}" if isinstance(of, str) else f"{self.count}_{kind}"))

    def _step(self, node_id: str, raw: Mapping[str, Any], following: str | None) -> None:
        kinds = [k for k in STEPS if k in raw]
        wrong = self.compiler.wrong
        self.compiler.lines["node", self.name, node_id] = _place(raw)
        if len(kinds) != 1:
            wrong(raw, None, "a step does exactly one thing", "one of: " + ", ".join(STEPS))
            return
        kind = kinds[0]
        self.compiler.only(raw, STEP_KEYS[kind] | {kind, "id", "next"}, f"the {kind} step")
        if node_id in self.nodes:
            wrong(raw, "id", f"the id `{node_id}` is given twice")
        self.nodes[node_id] = self._node(kind, node_id, raw, ())  # keeps the order of the file for the diagram
        self.nodes[node_id] = self._node(kind, node_id, raw, self._next(raw, following))

    def _node(self, kind: str, node_id: str, raw: Mapping[str, Any], following: tuple[Branch, ...]) -> Node:
        name = str(raw[kind])
        match kind:
            case "collect":
                return self._collect(node_id, raw, following)
            case "action" if name.startswith("utter_"):
                return Utter(node_id, following, name)
            case "action":
                return Perform(node_id, following, name, dict(_mapping(raw, "args")))
            case "set_slots":
                pairs = [(n, v) for each in raw[kind] or () if isinstance(each, Mapping) for n, v in each.items()]
                return SetSlots(node_id, following, tuple(pairs))
            case "call":
                return Call(node_id, following, name)
            case "link":
                return Link(node_id, (), name)
            case _:
                return Noop(node_id, following)

    def _collect(self, node_id: str, raw: Mapping[str, Any], following: tuple[Branch, ...]) -> Collect:
        slot = str(raw["collect"])
        rejections = []
        for each in raw.get("rejections") or ():
            self.compiler.only(each, frozenset({"if", "utter"}), "a rejection")
            if "if" in each:
                rejections.append(Rejection(self.compiler.condition(each, "if"), str(each.get("utter"))))
        return Collect(
            node_id,
            following,
            slot,
            utter=str(raw.get("utter") or f"utter_ask_{slot}"),
            rejections=tuple(rejections),
            ask_before_filling=raw.get("ask_before_filling") is True,
            force_slot_filling=raw.get("force_slot_filling") is True,
            optional=raw.get("optional") is True,
        )

    def _next(self, raw: Mapping[str, Any], following: str | None) -> tuple[Branch, ...]:
        given = raw.get("next")
        if given is None:
            return (Branch(following),)
        if not isinstance(given, list):
            return (Branch(self._target(raw, "next", given)),)
        branches: list[Branch] = []
        for each in given:
            if "if" in each:
                self.compiler.only(each, frozenset({"if", "then"}), "a branch")
                to = self._then(each, "then", following)
                branches.append(Branch(to, self.compiler.condition(each, "if")))
            elif "else" in each:
                branches.append(Branch(self._then(each, "else", following)))
            else:
                self.compiler.wrong(each, None, "a branch needs `if` with `then`, or `else`")
        if not branches or branches[-1].when is not None:
            branches.append(Branch(following))
        return tuple(branches)

    def _then(self, raw: Mapping[str, Any], key: str, following: str | None) -> str | None:
        given = raw.get(key)
        if isinstance(given, list):
            return self._steps(given, following)
        if given is None:
            self.compiler.wrong(raw, None, "a branch leads nowhere", f"`{key}: END` ends the flow")
            return None
        return self._target(raw, key, given)

    def _target(self, raw: Mapping[str, Any], key: str, given: Any) -> str | None:
        target = str(given)
        if target == END:
            return None
        if target not in self.ids:
            self.compiler.wrong(raw, key, f"no step has the id `{target}`", nearest(target, self.ids))
            return None
        return target


def _shape(steps: Any) -> str:
    plain = json.dumps(steps, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()[:8]


def _ids(steps: Any) -> Iterable[str]:
    for each in steps or ():
        if not isinstance(each, Mapping):
            continue
        if each.get("id"):
            yield str(each["id"])
        branches: Sequence[Any] = each["next"] if isinstance(each.get("next"), list) else ()
        for branch in branches:
            for key in ("then", "else"):
                if isinstance(branch, Mapping) and isinstance(branch.get(key), list):
                    yield from _ids(branch[key])


def _mapping(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = raw.get(key)
    return found if isinstance(found, Mapping) else {}


def _place(raw: Any, key: str | None = None) -> tuple[str, int]:
    at = getattr(raw, "at", None)
    place: tuple[str, int] = at(key) if at is not None else ("", 0)
    return place
