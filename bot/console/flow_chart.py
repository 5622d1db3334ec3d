"""A flow as staff see it: its steps in order, and as a diagram, with how many conversations went which way."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bot.console.layers import Layout, Point, arrange
from bot.console.script_words import Reader
from bot.core.book import Branch, Call, Collect, Flow, Link, Node, Noop, Perform, SetSlots, Utter
from bot.core.words import Language
from bot.services.conversation.branches import Traffic
from bot.services.i18n import N_

LINE = 18.0  # pixels from one line of text to the next; a letter's em is 13 (static/scripts.css)
EM = 13.0
PAD = 10.0
BOX, PILL = 216.0, 188.0  # widths
BOX_LINES, PILL_LINES = 3, 3
END = "\0end"
NEVER_FIRST = frozenset("，。！？；：、）》”")  # no line begins with these

KINDS: dict[type[Node], str] = {
    Collect: N_("问"),
    Utter: N_("说"),
    Perform: N_("做"),
    SetSlots: N_("记"),
    Call: N_("转入再回来"),
    Link: N_("转到"),
    Noop: N_("分岔"),
}


@dataclass(frozen=True, slots=True)
class Way:
    """One way on from a step; `to` is a step, None: the flow ends there. `words` is empty where there is no choice."""

    words: str
    to: Step | None
    count: int
    share: float | None  # of the conversations that came to the step


@dataclass(slots=True)
class Step:
    """`texts` are the wordings in both languages; `flow` is the other flow a call or link leads to."""

    number: int
    node: Node
    kind: str
    title: str
    texts: tuple[tuple[str, str], ...]
    flow: Flow | None
    reached: int
    ways: tuple[Way, ...] = ()

    @property
    def anchor(self) -> str:
        return f"step-{self.number}"

    @property
    def tone(self) -> str:
        return type(self.node).__name__.lower()


@dataclass(frozen=True, slots=True)
class Shape:
    """A box with its lines of text; `href` is where it leads. `tone` names its look."""

    x: float
    y: float
    width: float
    height: float
    tone: str
    lines: tuple[str, ...]
    href: str = ""
    head: str = ""
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Arrow:
    path: str
    weight: float  # 0 to 1: the share of the flow's conversations that went along it


@dataclass(frozen=True, slots=True)
class Chart:
    width: float
    height: float
    shapes: tuple[Shape, ...]
    arrows: tuple[Arrow, ...]


# ── the steps ────────────────────────────────────────────────────────────────────────────────────────────────────────


def steps_of(flow: Flow, traffic: Traffic, reader: Reader) -> list[Step]:
    """Every step a conversation can come to, in the order of the file."""
    found = {
        node.id: Step(
            number,
            node,
            reader.text(KINDS[type(node)]),
            _title(node, reader),
            _texts(node, reader),
            reader.book.flows.get(node.flow) if isinstance(node, Call | Link) else None,
            traffic.reached.get(node.id, 0),
        )
        for number, node in enumerate(_reachable(flow), 1)
    }
    for step in found.values():
        choice = len(step.node.next) > 1
        step.ways = tuple(
            Way(
                _when(branch, reader) if choice else "",
                found[branch.to] if branch.to else None,
                count := traffic.taken.get((step.node.id, place), 0),
                count / step.reached if step.reached else None,
            )
            for place, branch in enumerate(step.node.next)
        )
    return list(found.values())


def _reachable(flow: Flow) -> Iterator[Node]:
    ahead, seen = [flow.start], set[str]()
    while ahead:
        at = ahead.pop()
        if at is not None and at not in seen:
            seen.add(at)
            ahead += [branch.to for branch in flow.nodes[at].next]
    return (node for node in flow.nodes.values() if node.id in seen)


def _title(node: Node, reader: Reader) -> str:
    match node:
        case Collect():
            return reader.slot(node.slot)
        case Utter():
            return ""
        case Perform():
            return reader.action(node.action)
        case SetSlots():
            comma = "；" if reader.language is Language.ZH else "; "
            return comma.join(f"{reader.slot(name)} = {reader.value(name, value)}" for name, value in node.values)
        case Call() | Link():
            flow = reader.book.flows.get(node.flow)
            return flow.names[reader.language] if flow else node.flow
        case Noop():
            return ""


def _texts(node: Node, reader: Reader) -> tuple[tuple[str, str], ...]:
    response = node.utter if isinstance(node, Collect) else node.response if isinstance(node, Utter) else ""
    variants = reader.book.responses.get(response, ())
    return tuple((v.texts[Language.ZH], v.texts.get(Language.EN, "")) for v in variants)


def _when(branch: Branch, reader: Reader) -> str:
    return reader.text(N_("其他情况")) if branch.when is None else reader.condition(branch.when)


# ── the diagram ──────────────────────────────────────────────────────────────────────────────────────────────────────


def chart(steps: Sequence[Step], traffic: Traffic, reader: Reader) -> Chart:
    """The steps as boxes from the top down, branches side by side. A way back to an earlier step is a sign that leads
    there, not an arrow upwards."""
    shapes: dict[str, Shape] = {}
    edges: list[tuple[str, str]] = []
    weights: list[float] = []
    back = set(_ways_back(steps))

    def join(one: str, other: str, count: int) -> None:
        edges.append((one, other))
        weights.append(min(count / traffic.conversations, 1.0) if traffic.conversations else 0.0)

    for step in steps:
        shapes[step.anchor] = _box(step, reader)
    for step in steps:
        for place, way in enumerate(step.ways):
            name = f"{step.anchor}.{place}"
            above = step.anchor
            if way.words:
                shapes[name] = _pill(way)
                join(above, name, way.count)
                above = name
            if way.to is None:
                shapes[name + END] = _sign(reader.text(N_("结束")), "end")
                join(above, name + END, way.count)
            elif (step.number, place) in back:
                text = reader.text(N_("回到第%(number)s步"), number=way.to.number)
                shapes[name + END] = _sign(f"↑ {text}", "back", f"#{way.to.anchor}")
                join(above, name + END, way.count)
            else:
                join(above, way.to.anchor, way.count)
    layout = arrange({name: (shape.width, shape.height) for name, shape in shapes.items()}, edges)
    return _placed(shapes, layout, weights)


def _ways_back(steps: Sequence[Step]) -> Iterator[tuple[int, int]]:
    """The ways that lead to a step which is still being walked from: (step's number, way's place)."""
    walked, open_steps = set[int](), set[int]()
    stack: list[tuple[Step, int]] = [(steps[0], 0)] if steps else []
    while stack:
        step, place = stack.pop()
        walked.add(step.number)
        open_steps.add(step.number)
        if place == len(step.ways):
            open_steps.discard(step.number)
            continue
        stack.append((step, place + 1))
        to = step.ways[place].to
        if to is None:
            continue
        if to.number in open_steps:
            yield step.number, place
        elif to.number not in walked:
            stack.append((to, 0))


def _box(step: Step, reader: Reader) -> Shape:
    said = step.texts[0][0 if reader.language is Language.ZH else 1] if step.texts else step.title
    lines = tuple(_lines(said, BOX - 2 * PAD, BOX_LINES)) if said else ()
    head = f"{step.number} {step.kind}"
    if isinstance(step.node, Collect):
        head = f"{head} · {step.title}"
    height = LINE * (1 + len(lines)) + 2 * PAD
    (head,) = _lines(head, BOX - 2 * PAD - 4 * EM, 1)
    return Shape(0, 0, BOX, height, step.tone, lines, f"#{step.anchor}", head, step.reached)


def _pill(way: Way) -> Shape:
    share = "" if way.share is None else f" · {way.share:.0%}"
    lines = (*_lines(way.words, PILL - 2 * PAD, PILL_LINES), f"{way.count}{share}")
    width = max(map(_width, lines)) + 2 * PAD
    return Shape(0, 0, width, LINE * len(lines) + PAD, "when", lines)


def _sign(text: str, tone: str, href: str = "") -> Shape:
    return Shape(0, 0, _width(text) + 2 * PAD, LINE + PAD, tone, (text,), href)


def _placed(shapes: dict[str, Shape], layout: Layout, weights: Iterable[float]) -> Chart:
    placed = []
    for name, shape in shapes.items():
        x, y = layout.middles[name]
        left, top = round(x - shape.width / 2, 1), round(y - shape.height / 2, 1)
        placed.append(
            Shape(left, top, shape.width, shape.height, shape.tone, shape.lines, shape.href, shape.head, shape.count)
        )
    arrows = tuple(Arrow(_path(route), weight) for route, weight in zip(layout.routes, weights, strict=True))
    return Chart(layout.width, layout.height, tuple(placed), arrows)


def _path(points: Sequence[Point]) -> str:
    """A line from point to point that leaves and arrives downwards."""
    (x, y), parts = points[0], [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for to_x, to_y in points[1:]:
        half = (y + to_y) / 2
        parts.append(
            f"L{to_x:.1f} {to_y:.1f}"
            if abs(to_x - x) < 1
            else f"C{x:.1f} {half:.1f} {to_x:.1f} {half:.1f} {to_x:.1f} {to_y:.1f}"
        )
        x, y = to_x, to_y
    return "".join(parts)


def _width(text: str) -> float:
    """About how many pixels a line takes; a Han character is an em wide."""
    return sum(EM if unicodedata.east_asian_width(c) in "WFA" else EM * 0.56 for c in text)


def _lines(text: str, room: float, most: int) -> list[str]:
    """The text in at most so many lines of this width, cut with an ellipsis. Words stay whole, Han may break."""
    lines, line = [], ""
    for word in _words(" ".join(text.split())):
        if line and word not in NEVER_FIRST and _width(line + word.rstrip()) > room:
            lines.append(line.rstrip())
            line = ""
        line += word
    lines.append(line.rstrip())
    if len(lines) <= most and all(_width(each) <= room + EM for each in lines):
        return lines
    kept = lines[:most]
    while kept[-1] and _width(kept[-1] + "…") > room:
        kept[-1] = kept[-1][:-1]
    return [*(each for each in kept[:-1]), kept[-1].rstrip() + "…"]


def _words(text: str) -> Iterator[str]:
    for chunk in textwrap.wrap(text, 10**6, break_on_hyphens=False) or [""]:
        word = ""
        for c in chunk:
            if unicodedata.east_asian_width(c) in "WF":
                if word:
                    yield word
                word = ""
                yield c
            else:
                word += c
                if c == " ":
                    yield word
                    word = ""
        if word:
            yield word
