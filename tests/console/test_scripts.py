"""The scripts' room: every flow as a diagram, this week's traffic on it, edits taken over or refused."""

from __future__ import annotations

import re
from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.console.flow_chart import chart, steps_of
from bot.console.layers import SIDE, arrange
from bot.console.script_words import ACTIONS as ACTION_NAMES
from bot.console.script_words import PACKS, Reader
from bot.core.actions import ACTIONS
from bot.core.words import Language, Role
from bot.services.conversation.branches import Traffic
from bot.settings import PACKS as ALL
from scripts.grammar import parse_condition
from scripts.loader import load_book
from tests.fakes.desk import Desk
from tests.fakes.house import House

BOOK = load_book()
ZH, EN = Reader(BOOK, Language.ZH), Reader(BOOK, Language.EN)
NOBODY = Traffic(0, {}, {})


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, tuple[float, float]], list[tuple[str, str]]]:
    """Boxes of any size, with edges from earlier to later ones."""
    boxes = draw(st.lists(st.tuples(st.floats(1, 300), st.floats(1, 120)), min_size=1, max_size=14))
    pairs = [(a, b) for a in range(len(boxes)) for b in range(a + 1, len(boxes))]
    edges = draw(st.lists(st.sampled_from(pairs), max_size=20, unique=True)) if pairs else []
    return {str(n): size for n, size in enumerate(boxes)}, [(str(a), str(b)) for a, b in edges]


@given(graphs())
def test_nothing_overlaps_and_every_arrow_leads_down(
    graph: tuple[dict[str, tuple[float, float]], list[tuple[str, str]]],
) -> None:
    sizes, edges = graph
    layout = arrange(sizes, edges)
    for (one, route), other in zip(((e[0], r) for e, r in zip(edges, layout.routes, strict=True)), edges, strict=True):
        assert all(a[1] <= b[1] for a, b in pairwise(route))
        assert route[0][0] == layout.middles[one][0]
        assert route[-1][0] == layout.middles[other[1]][0]
        assert route[0][1] < route[-1][1]
    names = list(sizes)
    for at, one in enumerate(names):
        (x, y), (w, h) = layout.middles[one], sizes[one]
        assert w / 2 - 0.01 <= x <= layout.width - w / 2 + 0.01
        assert h / 2 - 0.01 <= y <= layout.height - h / 2 + 0.01
        for other in names[at + 1 :]:
            (x2, y2), (w2, h2) = layout.middles[other], sizes[other]
            apart_x = abs(x - x2) >= (w + w2) / 2 + SIDE - 0.01
            assert apart_x or abs(y - y2) >= (h + h2) / 2 - 0.01


def test_a_circle_is_refused() -> None:
    with pytest.raises(ValueError, match="round"):
        arrange({"a": (1, 1), "b": (1, 1)}, [("a", "b"), ("b", "a")])


@pytest.mark.parametrize("reader", [ZH, EN], ids=["zh", "en"])
def test_every_shipped_flow_can_be_drawn(reader: Reader) -> None:
    for flow in BOOK.flows.values():
        steps = steps_of(flow, NOBODY, reader)
        assert {step.node.id for step in steps} == set(flow.nodes)
        drawn = chart(steps, NOBODY, reader)
        assert {s.href for s in drawn.shapes} >= {f"#{step.anchor}" for step in steps}
        assert drawn.width > 0


def test_everything_a_flow_mentions_has_a_name() -> None:
    """In both languages; a slot by its label, everything else by this room's table."""
    assert set(ACTION_NAMES) == set(ACTIONS)
    assert set(PACKS) == set(ALL)
    for flow in BOOK.flows.values():
        for step in steps_of(flow, NOBODY, EN):
            for way in step.ways:
                assert "_" not in re.sub("“.*?”", "", way.words)


@pytest.mark.parametrize(
    ("condition", "zh", "en"),
    [
        ('context.channel = "voice"', "渠道是“电话”", "Channel is “Phone”"),
        ("slots.rating <= 2", "满意度不超过2", "rating at most 2"),
        ("slots.phone is not null", "电话已知", "phone is known"),
        ("slots.order_found = false", "订单找到了：否", "order found: no"),
        (
            "not slots.phone is null and context.turns > 1",
            "不成立：电话还不知道，并且客户说了几句大于1",
            "not so: phone is not known, and customer's messages so far above 1",
        ),
        (
            '{"phone", "sms"} contains context.channel',
            "渠道是其中之一：phone、短信",
            "Channel is one of: phone, SMS",
        ),
        ('context.said matches "没人|坏"', "客户刚说的话里有“没人 / 坏”", "last message contains “没人 / 坏”"),
    ],
)
def test_conditions_in_words(condition: str, zh: str, en: str) -> None:
    parsed = parse_condition(condition)
    assert ZH.condition(parsed) == zh
    assert EN.condition(parsed) == en


async def test_the_diagram_counts_this_weeks_conversations(house: House, client: httpx.AsyncClient) -> None:
    for who in ("a", "b"):
        told = {"sender": who, "message": "/stop_contact", "message_id": who}
        assert (await client.post("/webhooks/rest/webhook", json=told)).status_code == 200
    desk = await Desk.of(house.centre, client, Role.LEADER)
    assert "/console/scripts/stop_contact" in await desk.see("/console/scripts")
    page = await desk.see("/console/scripts/stop_contact")
    assert page.count("<svg") == 1
    assert "2 · 100%" in page
    assert "今后不再向您回访" in page
    assert "no more follow-up calls" in page
    assert "/console/scripts/call_back_later" in await desk.see("/console/scripts/requested_callback?lang=en")
    assert "2 · 100%" not in await desk.see("/console/scripts/stop_contact?ago=1")
    await desk.see("/console/scripts/nothing", status=404)


async def test_who_may_look_and_who_may_reload(house: House, client: httpx.AsyncClient) -> None:
    leader = await Desk.of(house.centre, client, Role.LEADER)
    await leader.see("/console/scripts")
    await leader.do("/console/scripts/reload", status=403)
    supervisor = await Desk.of(house.centre, client, Role.SUPERVISOR)
    await supervisor.see("/console/scripts")
    assert "scripts_same" in await supervisor.do("/console/scripts/reload")
    agent = await Desk.of(house.centre, client, Role.AGENT)
    await agent.see("/console/scripts", status=403)
