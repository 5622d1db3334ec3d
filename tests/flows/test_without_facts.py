"""Where no source of facts is connected, every flow that wants one says so and leads to a person (REQ-D11)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.core.book import Book, Call, Flow, Link, Perform, SlotKind
from bot.core.words import Act, Entity, Language, Parse
from scripts.loader import load_book
from scripts.player import Player, Who

NOW = datetime(2026, 7, 1, 10, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
FACTS = frozenset(
    {
        "action_answer", "action_lookup_order", "action_change_order", "action_lookup_product", "action_size",
        "action_promotion", "action_delivery", "action_warranty",
    }
)  # fmt: skip
TO_PEOPLE = frozenset({"action_handoff", "action_open_case", "action_book_callback"})
NOT_FACTS: Mapping[str, Mapping[str, Any]] = {
    "action_open_case": {"case_number": "C20260701-0001"},
    "action_handoff": {"queue_position": 1},
    "action_service_hours": {"hours_text": "09:00–18:00", "hours_open": True},
    "action_book_callback": {"callback_ok": True, "callback_at": "2026-07-01T15:00:00+08:00"},
}
ANSWERS: Mapping[SlotKind, str] = {
    SlotKind.FLOAT: "168", SlotKind.INT: "2", SlotKind.PHONE: "13800000000", SlotKind.DATETIME: "2026-06-20",
    SlotKind.BOOL: "/affirm 是", SlotKind.UNIT: "3-2-501", SlotKind.SCALE: "3",
}  # fmt: skip


@cache
def book() -> Book:
    return load_book()


def wants_facts(flow: Flow, seen: frozenset[str] = frozenset()) -> bool:
    leads = [node.flow for node in flow.nodes.values() if isinstance(node, Call | Link)]
    return any(isinstance(node, Perform) and node.action in FACTS for node in flow.nodes.values()) or any(
        wants_facts(book().flows[each], seen | {flow.id}) for each in leads if each not in seen
    )


def intents() -> Iterator[str]:
    for intent, triggers in sorted(book().triggers.items()):
        if any(wants_facts(book().flows[trigger.flow]) for trigger in triggers):
            yield intent


def understand(text: str, _expecting: frozenset[str]) -> Parse:
    kinds = {"168": "number", "2": "number", "13800000000": "phone", "2026-06-20": "datetime", "3": "rating"}
    values = {"13800000000": "+8613800000000", "2026-06-20": "2026-06-20T00:00:00+08:00"}
    kind = kinds.get(text) or ("unit" if text == "3-2-501" else None)
    found = (Entity(kind, values.get(text, text), text, 0, len(text)),) if kind else ()
    return Parse(text, "", 0.0, entities=found)


def reply(player: Player) -> str | None:
    """Something that answers the open question; None where none is open."""
    if player.state.offered:
        return "1"  # the first choice
    frame = next((f for f in reversed(player.state.stack) if f.asked), None)
    if frame is None or frame.asked is None:
        return None
    node = book().flows[frame.flow].nodes[frame.asked]
    return ANSWERS.get(book().slots[node.slot].kind, "海风H1")  # type: ignore[union-attr]


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("intent", list(intents()))
def test_it_says_so_and_leads_to_a_person(intent: str, language: Language) -> None:
    done: list[str] = []

    def perform(act: Act) -> Mapping[str, Any]:
        done.append(act.name)
        return NOT_FACTS.get(act.name, {})

    context = {"channel": "webchat", "language": language.value, "company": "X", "bot_name": "Y"}
    player = Player(book(), understand, perform, context, NOW)
    lines = player.say(f"/{intent} 海风")
    for _ in range(12):
        answer = reply(player)
        if answer is None or TO_PEOPLE & set(done):
            break
        lines += player.say(answer)
    said = " ".join(line.text for line in lines if line.who is Who.BOT)
    assert FACTS & set(done)
    assert TO_PEOPLE & set(done) or "转人工" in said or "a person" in said
    assert "None" not in said
