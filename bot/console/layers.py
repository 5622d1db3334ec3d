"""Lays a small graph without cycles out in layers from the top down (after Sugiyama, Tagawa and Toda, 1981).

Every arrow goes down; one that passes layers is led through them, so that it crosses no box. Layers are ordered by
their neighbours' middles, and places found by least squares under "side by side, no overlap" (isotonic regression).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

SIDE, BELOW = 24.0, 30.0  # free space between neighbours and between layers
SWEEPS = 12

Size = tuple[float, float]
Point = tuple[float, float]
Edge = tuple[str, str]
Layers = list[list[str]]


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything lies between (0, 0) and (`width`, `height`). `middles` are the boxes' centres; each of `routes` leads
    from a box's lower edge to another's upper one, in the order of the edges given."""

    middles: Mapping[str, Point]
    routes: tuple[tuple[Point, ...], ...]
    width: float
    height: float


def arrange(sizes: Mapping[str, Size], edges: Sequence[Edge]) -> Layout:
    """Places boxes of these (width, height) so that every edge leads down. Raises ValueError where edges go round."""
    depth = _depths(sizes, edges)
    chains = [_chain(number, edge, depth) for number, edge in enumerate(edges)]
    layers = _layers(sizes, depth, chains)
    above, below = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for chain in chains:
        for one, other in pairwise(chain):
            below[one].append(other)
            above[other].append(one)
    _order(layers, above, below)
    wide = {name: sizes[name][0] if name in sizes else 0.0 for layer in layers for name in layer}
    across = _across(layers, wide, above, below)
    tops, y = [], 0.0
    heights = [max((sizes[name][1] for name in layer if name in sizes), default=0.0) for layer in layers]
    for height in heights:
        tops.append(y)
        y += height + BELOW
    middles = {name: (across[name], tops[depth[name]] + sizes[name][1] / 2) for name in sizes}
    routes = []
    for chain in chains:
        first, last = chain[0], chain[-1]
        points = [(across[first], tops[depth[first]] + sizes[first][1])]
        for at, name in enumerate(chain[1:-1], depth[first] + 1):
            points += [(across[name], tops[at]), (across[name], tops[at] + heights[at])]
        routes.append((*points, (across[last], tops[depth[last]])))
    width = max((across[name] + wide[name] / 2 for name in across), default=0.0)
    return Layout(middles, tuple(routes), width, max(y - BELOW, 0.0))


def _depths(sizes: Mapping[str, Size], edges: Sequence[Edge]) -> dict[str, int]:
    """The longest way from above to each box."""
    depth, changed = dict.fromkeys(sizes, 0), True
    for _ in range(len(sizes) + 1):
        changed = False
        for one, other in edges:
            if depth[other] <= depth[one]:
                depth[other], changed = depth[one] + 1, True
        if not changed:
            return depth
    raise ValueError("the edges go round")


def _chain(number: int, edge: Edge, depth: Mapping[str, int]) -> list[str]:
    """An edge with a bend of its own in each layer it passes."""
    one, other = edge
    return [one, *(f"\0{number}.{at}" for at in range(depth[one] + 1, depth[other])), other]


def _layers(sizes: Mapping[str, Size], depth: Mapping[str, int], chains: Sequence[Sequence[str]]) -> Layers:
    layers: Layers = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in sizes:
        layers[depth[name]].append(name)
    for chain in chains:
        for at, bend in enumerate(chain[1:-1], depth[chain[0]] + 1):
            layers[at].append(bend)
    return layers


def _order(layers: Layers, above: Mapping[str, list[str]], below: Mapping[str, list[str]]) -> None:
    """Brings each layer into the order of its neighbours, down and up again; children keep their parent's order."""
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        near = above if down else below
        for layer in layers if down else reversed(layers):
            place = {name: at for each in layers for at, name in enumerate(each)}
            middle = {
                name: fmean(place[other] for other in near[name]) if near.get(name) else float(place[name])
                for name in layer
            }
            layer.sort(key=lambda name: middle[name])


def _across(
    layers: Layers, wide: Mapping[str, float], above: Mapping[str, list[str]], below: Mapping[str, list[str]]
) -> dict[str, float]:
    """Where each box's middle lies from left to right."""
    across: dict[str, float] = {}
    for layer in layers:
        across.update(_apart(layer, wide, dict.fromkeys(layer, 0.0)))
    for sweep in range(SWEEPS):
        near = above if sweep % 2 == 0 else below
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wish = {name: fmean(across[n] for n in near[name]) if near.get(name) else across[name] for name in layer}
            across.update(_apart(layer, wide, wish))
    left = min((across[name] - wide[name] / 2 for name in across), default=0.0)
    return {name: x - left for name, x in across.items()}


def _apart(layer: Sequence[str], wide: Mapping[str, float], wish: Mapping[str, float]) -> dict[str, float]:
    """As near as can be to what each wishes, in this order and without overlap."""
    offsets, offset = [], 0.0
    for at, name in enumerate(layer):
        if at:
            offset += (wide[layer[at - 1]] + wide[name]) / 2 + SIDE
        offsets.append(offset)
    blocks: list[tuple[float, int]] = []  # mean, how many: neighbours that push one another stand together
    for name, shift in zip(layer, offsets, strict=True):
        mean, count = wish[name] - shift, 1
        while blocks and blocks[-1][0] > mean:
            other, many = blocks.pop()
            mean, count = (other * many + mean * count) / (many + count), many + count
        blocks.append((mean, count))
    means = [mean for mean, count in blocks for _ in range(count)]
    return {name: mean + shift for name, mean, shift in zip(layer, means, offsets, strict=True)}
