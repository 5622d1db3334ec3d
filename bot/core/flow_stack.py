"""The open flows of a conversation while one message is worked through: which are open, what they asked, and the slots
they have filled. Frames lie on a stack: a called flow over its caller, an interrupting one over what it interrupted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from bot.core.book import Book, Collect, Flow, Link, Node, Slot
from bot.core.flow_state import Frame, State
from bot.core.words import Language

MAX_DEPTH = 5  # flows open at once; the oldest interrupted one is let go


class OpenFlows:
    """The stack and the slots; flow_run.Run walks through them."""

    def __init__(self, book: Book, state: State, context: Mapping[str, Any]) -> None:
        self.book = book
        self.stack = list(state.stack)
        self.slots = dict(state.slots)
        self.topic = state.topic
        self.about = ""  # the name of the flow a repair speaks of
        self.given = context

    @property
    def language(self) -> Language:
        return Language(self.given.get("language", Language.ZH))

    @property
    def question(self) -> Collect | None:
        """The open question: that of the topmost flow which is not a repair."""
        frame = self.asking()
        node = self.node(frame) if frame else None
        return node if isinstance(node, Collect) else None

    @property
    def slot(self) -> Slot | None:
        """The slot the open question fills."""
        return self.book.slots[self.question.slot] if self.question else None

    @property
    def tries(self) -> int:
        frame = self.asking()
        return frame.tries if frame else 0

    def flow(self, frame: Frame) -> Flow:
        return self.book.flows[frame.flow]

    # ── changes a message makes ──────────────────────────────────────────────────────────────────────────────────────

    def start(self, flow_id: str) -> None:
        """Opens a flow on top of whatever is open."""
        flow = self.book.flows[flow_id]
        self.turn_to(flow)
        self.stack.append(Frame(flow_id, flow.start))
        while sum(not frame.called for frame in self.stack) > MAX_DEPTH:
            second = next(i for i, frame in enumerate(self.stack) if i and not frame.called)
            self.let_go(self.stack[:second])

    def fill(self, values: Mapping[str, Any]) -> None:
        """Sets slots on behalf of the topmost flow; they are forgotten with it."""
        self.slots.update(values)
        if self.stack:
            frame = self.stack[-1]
            self.stack[-1] = replace(frame, filled=with_names(frame.filled, values))

    @property
    def filled(self) -> list[str]:
        """The slots of the topmost flow and of those that called it, latest first."""
        chain = self.stack[self.root_of(len(self.stack) - 1) :]
        return [name for frame in reversed(chain) for name in reversed(frame.filled)]

    def go_back(self, slot: str) -> bool:
        """Returns to the question of `slot` if nothing has been done since it was answered."""
        for at in range(len(self.stack) - 1, self.root_of(len(self.stack) - 1) - 1, -1):
            frame = self.stack[at]
            for index, node_id in enumerate(frame.passed):
                node = self.flow(frame).nodes[node_id]
                if isinstance(node, Collect) and node.slot == slot:
                    above = self.stack[at + 1 :]
                    filled = frame.filled
                    for dropped in above:
                        filled = with_names(filled, dropped.filled)
                    # asked=node_id: the value at hand counts even where the question insists on being asked
                    back = replace(
                        frame, node=node_id, asked=node_id, tries=0, filled=filled, passed=frame.passed[:index]
                    )
                    self.stack[at:] = [back]
                    return True
        return False

    def in_chain(self, flow_id: str) -> bool:
        """Whether the open question belongs to this flow, or to one that it called."""
        return any(f.flow == flow_id for f in self.stack[self.root_of(len(self.stack) - 1) :])

    def return_to(self, flow_id: str) -> bool:
        """Drops what was opened over an interrupted flow."""
        for index, frame in enumerate(self.stack):
            if frame.flow == flow_id:
                top = index
                while top + 1 < len(self.stack) and self.stack[top + 1].called:
                    top += 1
                self.let_go(self.stack[top + 1 :])
                return True
        return False

    def cancel(self) -> None:
        """Gives up the topmost flow with the flows it called."""
        self.about = self.topic_name()
        self.let_go(self.stack[self.root_of(len(self.stack) - 1) :])

    def end_others(self) -> None:
        """The conversation is given away: what was interrupted is not returned to."""
        self.let_go(self.stack[: self.root_of(len(self.stack) - 1)])

    # ── small change ─────────────────────────────────────────────────────────────────────────────────────────────────

    def asking(self) -> Frame | None:
        """The frame whose question is open, below any repair that is running."""
        for frame in reversed(self.stack):
            if not self.flow(frame).repairs or frame.asked:
                return frame if frame.asked is not None and frame.asked == frame.node else None
        return None

    def node(self, frame: Frame) -> Node | None:
        return self.flow(frame).nodes.get(frame.node) if frame.node else None

    def root_of(self, index: int) -> int:
        while index > 0 and self.stack[index].called:
            index -= 1
        return max(index, 0)

    def topic_name(self) -> str:
        for frame in reversed(self.stack):
            if not frame.called and not self.flow(frame).repairs:
                return self.flow(frame).names[self.language]
        return ""

    def turn_to(self, flow: Flow) -> None:
        """Remembers what the conversation is about; a repair, or a flow that only leads elsewhere, is no topic."""
        only_leads = all(isinstance(node, Link) for node in flow.nodes.values())
        if not flow.repairs and not only_leads:
            self.topic = flow.id

    def let_go(self, frames: Iterable[Frame]) -> None:
        for frame in list(frames):
            self.stack.remove(frame)
            self.forget(frame)

    def forget(self, frame: Frame) -> None:
        """A flow's own slots end with it; what is known of the person stays, and so does what it persists."""
        still = {name for open_frame in self.stack for name in open_frame.filled}
        kept = self.flow(frame).persisted
        for name in frame.filled:
            slot = self.book.slots.get(name)
            if name not in still and name not in kept and not (slot and slot.personal):
                self.slots.pop(name, None)


def with_names(names: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    added = tuple(more)
    return (*(n for n in names if n not in added), *added)
