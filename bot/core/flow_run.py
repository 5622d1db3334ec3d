"""One run of the engine: from node to node until a question, an action, or nothing is left to do.

A run is the mutable workings of one call of flow.py; values go in and values come out. It never waits and never fails:
a flow that goes round without waiting is abandoned for a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from bot.core.actions import ACTIONS, Action
from bot.core.book import (
    Book,
    Branch,
    Call,
    Collect,
    Flow,
    Link,
    Node,
    Noop,
    Perform,
    SetSlots,
    Trigger,
    Utter,
)
from bot.core.conditions import holds
from bot.core.filling import coerce, intents_of, known_already
from bot.core.flow_stack import OpenFlows, with_names
from bot.core.flow_state import Frame, State, Step, Visit
from bot.core.wording import PLACEHOLDER, fill, value_of, word
from bot.core.words import Act, Button, Parse, Say

MAX_NODES = 100  # nodes passed without waiting
MAX_ACTS = 12  # actions between two messages of the customer
MAX_TRIES = 3  # answers in vain to one question, before a person is called
NOT_UNDERSTOOD = 2  # messages in a row not understood, before a person is called (REQ-D10)
TOPICS_SHOWN = 8
RANKING_SHOWN = 3
RANKING_FLOOR = 0.1  # a meaning less likely than this is not offered

ENGINE_CONTEXT = frozenset(
    {
        "misses",
        "silences",
        "anger",
        "angry_turns",
        "threatening",
        "worried",
        "turns",
        "intent",
        "flow_name",
        "question",
        "optional",
        "said",
        "request",
        "topic",
        "topic_id",
    }
)
"""Context keys the engine itself provides, beside the services'."""


class Run(OpenFlows):
    """The stack, the slots and what is said, while one message is worked through."""

    def __init__(self, book: Book, state: State, context: Mapping[str, Any], parse: Parse | None = None) -> None:
        super().__init__(book, state, context)
        self.before = state
        self.parse = parse
        self.misses = state.misses
        self.silences = state.silences
        self.angry_turns = state.anger
        self.turns = state.turns
        self.acts = state.acts
        self.request = state.request
        self.offered = state.offered
        self.last = list(state.last)
        self.says: list[Say] = []
        self.act: Act | None = None
        self.visits: list[Visit] = []
        self.missed = False
        self.waits = False  # what is open stays as it is, and is not asked again
        self._budget = MAX_NODES
        self._abandoned = False

    # ── what conditions and wordings see ─────────────────────────────────────────────────────────────────────────────

    def context(self) -> dict[str, Any]:
        emotion = self.parse.emotion if self.parse else None
        open_question = self.question
        return {
            **self.given,
            "not_understood_limit": self.limit,
            "misses": self.misses,
            "silences": self.silences,
            "anger": emotion.anger if emotion else 0,
            "angry_turns": self.angry_turns,
            "threatening": emotion.threatening if emotion else False,
            "worried": emotion.worried if emotion else False,
            "turns": self.turns,
            "intent": self.parse.intent if self.parse else None,
            "flow_name": self.about or self.topic_name(),
            "question": open_question.slot if open_question else None,
            "optional": open_question.optional if open_question else False,
            "said": self.before.said,
            "request": self.request or self.before.said,
            "topic": self.book.flows[self.topic].names[self.language] if self.topic else None,
            "topic_id": self.topic,
        }

    @property
    def limit(self) -> int:
        """Messages in a row that may stay not understood, by the operator's policy."""
        return int(self.given.get("not_understood_limit", NOT_UNDERSTOOD))

    def trigger(self, intent: str, confidence: float) -> Flow | None:
        """The flow an intent starts now: the first whose guard lets it."""
        context = self.context()
        for found in self.book.triggers.get(intent, ()):
            flow = self.book.flows[found.flow]
            if self._may(found, confidence) and (flow.guard is None or holds(flow.guard, self.slots, context)):
                return flow
        return None

    # ── changes a message makes ──────────────────────────────────────────────────────────────────────────────────────

    def skip(self) -> None:
        """Passes the open question without an answer."""
        node = self.question
        if node is not None:
            self.slots.pop(node.slot, None)
            self._pass(node)

    def tried(self) -> None:
        """The open question got no answer once more; at the limit it is passed, or a person is called."""
        frame, node = self.asking(), self.question
        if frame is None or node is None:
            return
        self.stack[-1] = replace(frame, tries=frame.tries + 1)
        if frame.tries + 1 < MAX_TRIES:
            return
        if node.optional:
            self.skip()
        else:
            self.misses = max(self.misses, self.limit)
            self.start("pattern_cannot_handle")

    def abandon(self) -> None:
        """A flow goes round without waiting: a person is called, once."""
        self.let_go(list(self.stack))
        self._budget, self.acts = MAX_NODES, 0
        if not self._abandoned:
            self._abandoned = True
            self.start("pattern_human_handoff")

    # ── the walk ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def advance(self) -> None:
        """Walks on until a question is open, an action is wanted, or no flow is left."""
        while self.stack and self.act is None and not self.waits:
            self._budget -= 1
            if self._budget < 0:
                self.abandon()
                continue
            node = self.node(self.stack[-1])
            if node is None:
                if self._finish():
                    return
                continue
            self.visits.append(Visit(self.stack[-1].flow, node.id))
            if self._do(node):
                return

    def _do(self, node: Node) -> bool:
        """Does one node; True where the run must wait for the customer."""
        match node:
            case Collect():
                return self._collect(node)
            case Perform():
                self.act = Act(node.action, self._args(node))
                return False
            case Call(flow=flow):
                self.stack.append(Frame(flow, self.book.flows[flow].start, called=True))
                return False
            case Link(flow=flow):
                frame = self.stack[-1]
                self.stack[-1] = Frame(flow, self.book.flows[flow].start, called=frame.called, filled=frame.filled)
                return False
            case SetSlots(values=values):
                self.fill({name: self._value(value) for name, value in values})
            case Utter(response=response):
                self.say(response)
            case Noop():
                pass
        self.go_on(node.next)
        return False

    def go_on(self, branches: Iterable[Branch]) -> None:
        """Moves the topmost flow along the first branch whose condition holds; without one it ends."""
        context, frame = self.context(), self.stack[-1]
        for place, branch in enumerate(branches):
            if branch.when is None or holds(branch.when, self.slots, context):
                self.visits.append(Visit(frame.flow, frame.node or "", place))
                self.stack[-1] = replace(frame, node=branch.to)
                return
        self.stack[-1] = replace(frame, node=None)

    def performed(self, result: Mapping[str, Any]) -> None:
        """The action of the topmost node is done; its result becomes slots."""
        frame = self.stack[-1]
        node = self.node(frame)
        if isinstance(node, Perform):
            action = ACTIONS.get(node.action, Action())
            for name in action.results:  # what is not known now must not be answered from earlier
                self.slots.pop(name, None)
            self.slots.update(result)
            if action.commits:
                self.stack = [replace(f, passed=()) for f in self.stack]
            if action.ends:
                self.end_others()
            self.go_on(node.next)

    def say(self, response: str) -> Say | None:
        said = word(response, self.book.responses.get(response, ()), self.book.slots, self.slots, self.context())
        if said is None:
            return None
        source = said.metadata.get("choices")
        if source:
            said = replace(said, buttons=self._choices(source) + said.buttons)
        if said.buttons:
            self.offered = said.buttons
        if said.text:
            self.says.append(said)
            self.last.append(said)
        return said

    def _collect(self, node: Collect) -> bool:
        frame = self.stack[-1]
        asked = frame.asked == node.id
        slot = self.book.slots[node.slot]
        if not asked and node.ask_before_filling:
            self.slots.pop(node.slot, None)
        elif not asked and self.slots.get(node.slot) is None:
            known = known_already(slot, self.given)
            if known is not None:
                self.slots[node.slot] = known
        if self.slots.get(node.slot) is None:
            return self._ask(node)
        context = self.context()
        for rejection in node.rejections:
            if holds(rejection.when, self.slots, context):
                self.say(rejection.utter)
                self.slots.pop(node.slot)
                if not asked:
                    return self._ask(node)
                self.tried()
                return self.node(self.stack[-1]) is node and self._ask(node)
        self._pass(node)
        return False

    def _ask(self, node: Collect) -> bool:
        self.stack[-1] = replace(self.stack[-1], asked=node.id)
        self.offered = ()
        self.say(node.utter)
        return True

    def _pass(self, node: Collect) -> None:
        frame = self.stack[-1]
        self.stack[-1] = replace(
            frame,
            asked=None,
            tries=0,
            filled=with_names(frame.filled, (node.slot,)),
            passed=(*(p for p in frame.passed if p != node.id), node.id),
        )
        self.go_on(node.next)

    def _finish(self) -> bool:
        """Closes the topmost flow; True where a repair has put a question of its own."""
        frame = self.stack.pop()
        if frame.called and self.stack:
            parent = self.stack[-1]
            self.stack[-1] = replace(parent, filled=with_names(parent.filled, frame.filled))
            node = self.node(parent)
            self.go_on(node.next if node else ())
            return False
        self.forget(frame)
        if not self.stack:
            return False
        root = self.stack[self.root_of(len(self.stack) - 1)]
        self.turn_to(self.flow(root))
        if self.flow(frame).repairs:
            return bool(self.says and self.says[-1].buttons)
        self.start("pattern_continue_interrupted")
        return False

    # ── small change ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _may(self, trigger: Trigger, confidence: float) -> bool:
        """A meaning starts a flow when it is sure enough, by the trigger's threshold and the operator's policy."""
        sure = max(trigger.threshold, float(self.given.get("understand", 0.0)))
        return confidence >= sure and not self.book.flows[trigger.flow].repairs

    def _args(self, node: Perform) -> dict[str, Any]:
        context = self.context()
        wanted = ACTIONS.get(node.action, Action()).args
        args = {name: value_of(name, self.slots, context) for name in wanted}
        args |= {name: self._value(value) for name, value in node.args.items()}
        return {name: value for name, value in args.items() if value is not None}

    def _value(self, raw: Any) -> Any:
        """A literal, or a text with placeholders; a text that is one placeholder keeps its value's type."""
        if not isinstance(raw, str):
            return raw
        context = self.context()
        if (whole := PLACEHOLDER.fullmatch(raw)) is not None:
            return value_of(whole[1], self.slots, context)
        return fill(raw, self.language, self.book.slots, self.slots, context)

    def _choices(self, source: str) -> tuple[Button, ...]:
        """Buttons made of what the message may have meant (`ranking`) or of what is on offer at all (`topics`)."""
        meant: list[Flow] = []
        if source == "ranking" and self.parse is not None:
            for intent, sure in self.parse.ranking:
                flow = self.trigger(intent, 1.0)
                if sure >= RANKING_FLOOR and flow is not None and flow not in meant:
                    meant.append(flow)
            meant = meant[:RANKING_SHOWN]
        if len(meant) < 2:  # a single guess is no choice
            ranked = sorted((f.menu, f.id) for f in self.book.flows.values() if f.menu is not None)
            meant += [flow for _, flow_id in ranked if (flow := self.book.flows[flow_id]) not in meant]
            meant = meant[:TOPICS_SHOWN]
        return tuple(Button(f.names[self.language], f"/{self._intent_of(f)}") for f in meant)

    def _intent_of(self, flow: Flow) -> str:
        return next(
            intent for intent, triggers in self.book.triggers.items() if any(t.flow == flow.id for t in triggers)
        )

    def coerced(self, values: Mapping[str, Any], allowed: Iterable[str]) -> dict[str, Any]:
        """The values of a pressed choice that fit their slots."""
        fit = {n: coerce(self.book.slots[n], values[n]) for n in allowed if n in values and n in self.book.slots}
        return {name: value for name, value in fit.items() if value is not None}

    def step(self) -> Step:
        """The run's outcome as values."""
        question = self.question if self.act is None else None
        slot = self.book.slots[question.slot] if question else None
        if question is None and self.says and not any(said.buttons for said in self.says):
            self.offered = ()
        state = State(
            stack=tuple(self.stack),
            slots=self.slots,
            acting=self.act.name if self.act else None,
            misses=self.misses,
            silences=self.silences,
            anger=self.angry_turns,
            turns=self.turns,
            acts=self.acts,
            topic=self.topic,
            said=self.before.said,
            request=self.request,
            offered=self.offered,
            last=tuple(self.last),
        )
        return Step(
            state,
            says=tuple(self.says),
            act=self.act,
            expecting=intents_of(slot) if slot else frozenset(),
            question=question.slot if question else None,
            done=not self.stack,
            missed=self.missed,
            visits=tuple(self.visits),
        )
