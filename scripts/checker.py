"""What is wrong with the scripts: each problem with file, line and, where one is near, a suggestion."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from bot.core.actions import ACTIONS, CONTEXT
from bot.core.book import (
    COMMANDS,
    Book,
    Branch,
    Call,
    Collect,
    Flow,
    FromContext,
    FromEntity,
    FromIntent,
    Link,
    Node,
    Perform,
    SetSlots,
    Utter,
    Variant,
)
from bot.core.conditions import Condition, Scope, names
from bot.core.filling import coerce
from bot.core.flow_run import ENGINE_CONTEXT
from bot.core.payload import IntentPayload, SlotsPayload, read_payload
from bot.core.wording import PLACEHOLDER
from bot.core.words import ChannelName, Language
from scripts.compiler import Compiler, nearest
from scripts.source import ALWAYS, Problem, read

CATALOGUE = Path(__file__).resolve().parent.parent / "nlu" / "catalogue.yml"
ENTITIES = frozenset(
    [
        "phone",
        "order_no",
        "case_no",
        "tracking_no",
        "money",
        "quantity",
        "datetime",
        "unit",
        "rating",
        "height",
        "weight",
        "number",
        "affirm",
        "deny",
        "cancel",
        "repeat",
    ]
)
PATTERNS = (
    "pattern_session_start",
    "pattern_cannot_handle",
    "pattern_clarification",
    "pattern_continue_interrupted",
    "pattern_correction",
    "pattern_cancel_flow",
    "pattern_skip_question",
    "pattern_human_handoff",
    "pattern_user_silence",
    "pattern_holding",
    "pattern_angry",
)
STARTED_BY_SERVICES = (
    "pattern_",
    "follow_up_",
    "plan_",
    "requested_callback",
    "silent_call",
    "broadcast_",
    "visit_notice",
    "visit_again",
)
MAX_TITLE = 40  # columns, a Han character taking two: what fits on a telephone's button
MAX_PAYLOAD = 64  # bytes: a Telegram button's callback data
MAX_BUTTONS = 9  # a telephone's keys 1 to 9


def check(roots: Sequence[Path], packs: frozenset[str] | None = None) -> list[Problem]:
    """Every problem of the scripts under these roots, by file and line; an empty list means they may go live."""
    return examine(roots, packs)[1]


def examine(roots: Sequence[Path], packs: frozenset[str] | None) -> tuple[Book, list[Problem]]:
    """The book as far as it can be built, and all its problems."""
    problems: list[Problem] = []
    compiler = Compiler(read(roots, packs, problems), problems)
    book = compiler.book()
    _Examination(book, compiler.lines, problems, whole=packs is None).all()
    return book, sorted(set(problems), key=lambda p: (p.file, p.line, p.message))


class _Examination:
    def __init__(
        self, book: Book, lines: Mapping[tuple[str, ...], tuple[str, int]], problems: list[Problem], *, whole: bool
    ) -> None:
        self.book = book
        self.lines = lines
        self.problems = problems
        self.whole = whole  # every pack is there, so what nothing leads to is lost
        self.intents = frozenset(yaml.load(CATALOGUE.read_bytes(), Loader=yaml.CSafeLoader)) | COMMANDS
        results = {name for action in ACTIONS.values() for name in action.results}
        self.known_slots = frozenset(book.slots) | results
        self.known_context = frozenset(CONTEXT) | ENGINE_CONTEXT

    def all(self) -> None:
        for flow in self.book.flows.values():
            self._flow(flow)
        self._slots()
        for name, variants in self.book.responses.items():
            for variant in variants:
                self._variant(name, variant)
        self._triggers()
        self._ways_in()
        self._loops()
        for pattern in PATTERNS:
            if pattern not in self.book.flows:
                self._add((), f"the flow `{pattern}` is missing", "the engine needs it")

    # ── one flow ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _flow(self, flow: Flow) -> None:
        place = ("flow", flow.id)
        if flow.guard is not None:
            self._condition(place, flow.guard)
        for slot in flow.persisted:
            self._slot(place, slot)
        for node in flow.nodes.values():
            self._node(flow, node)
        reached = _reached(flow)
        for node_id in flow.nodes:
            if node_id not in reached:
                self._add(("node", flow.id, node_id), f"flow `{flow.id}` never comes to this step", "delete it")

    def _node(self, flow: Flow, node: Node) -> None:
        place = ("node", flow.id, node.id)
        for branch in node.next:
            if branch.when is not None:
                self._condition(place, branch.when)
        match node:
            case Collect():
                if node.slot not in self.book.slots:
                    hint = nearest(node.slot, self.book.slots) or "declare it under `slots:`"
                    self._add(place, f"unknown slot `{node.slot}`", hint)
                elif not self.book.slots[node.slot].labels:
                    self._add(place, f"slot `{node.slot}` is asked for but has no label", "staff see it under `label:`")
                self._response(place, node.utter)
                for rejection in node.rejections:
                    self._condition(place, rejection.when)
                    self._response(place, rejection.utter)
            case Utter(response=response):
                self._response(place, response)
            case Perform():
                self._action(place, node)
            case SetSlots(values=values):
                for name, value in values:
                    self._slot(place, name)
                    self._placeholders(place, value)
            case Call(flow=other) | Link(flow=other):
                self._lean(place, flow, other)
            case _:
                pass

    def _lean(self, place: tuple[str, ...], flow: Flow, other: str) -> None:
        if other not in self.book.flows:
            self._add(place, f"unknown flow `{other}`", nearest(other, self.book.flows))
        elif self.book.flows[other].pack not in (flow.pack, ALWAYS):
            pack = self.book.flows[other].pack
            self._add(place, f"flow `{other}` belongs to the pack `{pack}`, which may be switched off")

    def _action(self, place: tuple[str, ...], node: Perform) -> None:
        action = ACTIONS.get(node.action)
        if action is None:
            known = [*ACTIONS, *self.book.responses]
            self._add(place, f"unknown action `{node.action}`", nearest(node.action, known))
            return
        for name, value in node.args.items():
            if name not in action.args:
                self._add(place, f"`{node.action}` takes no `{name}`", nearest(name, action.args))
            self._placeholders(place, value)
            choices = action.choices.get(name, ())
            if choices and value not in choices and not PLACEHOLDER.search(str(value)):
                self._add(place, f"`{name}` of `{node.action}` cannot be `{value}`", "one of: " + ", ".join(choices))

    # ── slots, responses, ways in ────────────────────────────────────────────────────────────────────────────────────

    def _slots(self) -> None:
        for slot in self.book.slots.values():
            place = ("slot", slot.name)
            for mapping in slot.mappings:
                match mapping:
                    case FromEntity(entity) if entity not in ENTITIES:
                        self._add(place, f"unknown entity `{entity}`", nearest(entity, ENTITIES))
                    case FromIntent(intent) if intent not in self.intents:
                        self._add(place, f"unknown intent `{intent}`", nearest(intent, self.intents))
                    case FromContext(key) if key not in self.known_context:
                        self._add(place, f"unknown context `{key}`", nearest(key, self.known_context))
                    case _:
                        pass

    def _variant(self, name: str, variant: Variant) -> None:
        place = ("response", name)
        if variant.condition is not None:
            self._condition(place, variant.condition)
        if variant.channel is not None and variant.channel not in frozenset(ChannelName):
            self._add(place, f"unknown channel `{variant.channel}`", nearest(variant.channel, ChannelName))
        for text in variant.texts.values():
            self._placeholders(place, text)
        if variant.texts[Language.ZH] and not _han(variant.texts[Language.ZH]):
            self._add(place, f"response `{name}`: `text` is not Chinese", "Chinese is `text`, English the translation")
        if len(variant.choices) > MAX_BUTTONS:
            self._add(place, f"response `{name}` has more than {MAX_BUTTONS} buttons", "a telephone has nine keys")
        for choice in variant.choices:
            for title in choice.titles.values():
                self._placeholders(place, title)
                if _columns(title) > MAX_TITLE:
                    self._add(
                        place, f"the button “{title}” is too long", f"at most {MAX_TITLE // 2} Chinese characters"
                    )
            self._payload(place, choice.payload)

    def _payload(self, place: tuple[str, ...], payload: str) -> None:
        self._placeholders(place, payload)
        if len(payload.encode()) > MAX_PAYLOAD:
            self._add(place, f"the payload `{payload}` is longer than {MAX_PAYLOAD} bytes")
        read_as = read_payload(payload)
        if isinstance(read_as, IntentPayload) and read_as.intent not in self.intents:
            self._add(place, f"unknown intent `{read_as.intent}` on a button", nearest(read_as.intent, self.intents))
        if isinstance(read_as, SlotsPayload):
            for name, value in read_as.slots.items():
                self._slot(place, name)
                slot = self.book.slots.get(name)
                if slot and not PLACEHOLDER.search(payload) and coerce(slot, value) is None:
                    self._add(place, f"`{payload}` gives slot `{name}` no value it can hold")

    def _triggers(self) -> None:
        for intent, triggers in self.book.triggers.items():
            if intent not in self.intents:
                for trigger in triggers:
                    self._add(("flow", trigger.flow), f"unknown intent `{intent}`", nearest(intent, self.intents))

    def _ways_in(self) -> None:
        entered = {t.flow for triggers in self.book.triggers.values() for t in triggers}
        for flow in self.book.flows.values():
            entered |= {n.flow for n in flow.nodes.values() if isinstance(n, Call | Link) and n.flow != flow.id}
        for name, flow in self.book.flows.items():
            shared = flow.pack == ALWAYS and not self.whole
            if name not in entered and not shared and not name.startswith(STARTED_BY_SERVICES):
                hint = "give it an `nlu_trigger`, or call it from another flow"
                self._add(("flow", name), f"nothing starts flow `{name}`", hint)

    # ── loops ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _loops(self) -> None:
        """Reports a way round that never waits for the customer."""
        done: set[tuple[str, str]] = set()
        for flow in self.book.flows.values():
            for node_id in flow.nodes:
                self._walk((flow.id, node_id), [], done)

    def _walk(self, at: tuple[str, str], path: list[tuple[str, str]], done: set[tuple[str, str]]) -> None:
        if at in path:
            self._add(("node", *at), f"flow `{at[0]}` goes round here without waiting", "ask something on the way")
            return
        if at in done:
            return
        path.append(at)
        for following in self._without_waiting(*at):
            self._walk(following, path, done)
        path.pop()
        done.add(at)

    def _without_waiting(self, flow_id: str, node_id: str) -> Iterator[tuple[str, str]]:
        node = self.book.flows[flow_id].nodes[node_id]
        if isinstance(node, Collect):
            return
        if isinstance(node, Call | Link) and node.flow in self.book.flows:
            start = self.book.flows[node.flow].start
            if start in self.book.flows[node.flow].nodes and start is not None:
                yield node.flow, start
            if isinstance(node, Link) or not self._passes(node.flow, frozenset()):
                return
        yield from ((flow_id, to) for to in _targets(node.next) if to in self.book.flows[flow_id].nodes)

    def _passes(self, flow_id: str, within: frozenset[str]) -> bool:
        """Whether a flow can be gone through without waiting."""
        flow = self.book.flows.get(flow_id)
        if flow is None or flow_id in within:
            return False
        ahead, seen = [flow.start], set[str | None]()
        while ahead:
            node_id = ahead.pop()
            if node_id is None:
                return True
            if node_id in seen or node_id not in flow.nodes:
                continue
            seen.add(node_id)
            node = flow.nodes[node_id]
            stops = isinstance(node, Collect) or (
                isinstance(node, Call | Link) and not self._passes(node.flow, within | {flow_id})
            )
            if isinstance(node, Link) and not stops:
                return True
            if not stops:
                ahead.extend(branch.to for branch in node.next)
        return False

    # ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _condition(self, place: tuple[str, ...], condition: Condition) -> None:
        for name in names(condition):
            known = self.known_slots if name.scope is Scope.SLOTS else self.known_context
            if name.key not in known:
                self._add(place, f"unknown name `{name.scope}.{name.key}` in a condition", nearest(name.key, known))

    def _placeholders(self, place: tuple[str, ...], text: object) -> None:
        for found in PLACEHOLDER.finditer(text) if isinstance(text, str) else ():
            known = self.known_slots | self.known_context
            if found[1] not in known:
                self._add(place, f"unknown placeholder {{{found[1]}}}", nearest(found[1], known))

    def _slot(self, place: tuple[str, ...], slot: str) -> None:
        if slot not in self.known_slots:
            hint = nearest(slot, self.known_slots) or "declare it under `slots:`"
            self._add(place, f"unknown slot `{slot}`", hint)

    def _response(self, place: tuple[str, ...], response: str) -> None:
        if response not in self.book.responses:
            hint = nearest(response, self.book.responses) or "write it under `responses:`"
            self._add(place, f"unknown response `{response}`", hint)

    def _add(self, place: tuple[str, ...], message: str, suggestion: str = "") -> None:
        file, line = self.lines.get(place, ("", 0))
        self.problems.append(Problem(file, line, message, suggestion))


def _reached(flow: Flow) -> set[str]:
    seen: set[str] = set()
    ahead = [flow.start] if flow.start else []
    while ahead:
        node_id = ahead.pop()
        if node_id in seen or node_id not in flow.nodes:
            continue
        seen.add(node_id)
        ahead.extend(_targets(flow.nodes[node_id].next))
    return seen


def _targets(branches: Iterable[Branch]) -> list[str]:
    return [branch.to for branch in branches if branch.to is not None]


def _han(text: str) -> bool:
    return any("\u4e00" <= c <= "\u9fff" for c in text) or not any(c.isalpha() for c in PLACEHOLDER.sub("", text))


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
