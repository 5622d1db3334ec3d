"""The REST channel keeps Rasa's shape, answers a repeated request alike, and meets hostile input with a clear 4xx."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import func, select

from bot.core.words import Author, ConversationState
from store.tables import Conversation, Message
from tests.fakes.house import House

URL = "/webhooks/rest/webhook"


async def send(house: House, message: str = "你好", sender: str = "visitor-1", **metadata: Any) -> list[dict[str, Any]]:
    answer = await house.client.post(URL, json={"sender": sender, "message": message, "metadata": metadata})
    assert answer.status_code == 200, answer.text
    lines: list[dict[str, Any]] = answer.json()
    return lines


async def test_a_message_gets_its_answers_in_rasas_shape(house: House) -> None:
    answer = await house.client.post(URL, json={"sender": "widget-7", "message": "暖气不热"})
    assert answer.status_code == 200
    lines = answer.json()
    assert lines
    for line in lines:
        assert line["recipient_id"] == "widget-7"
        assert set(line) <= {"recipient_id", "text", "buttons"}
        for button in line.get("buttons", ()):
            assert set(button) == {"title", "payload"}


async def test_the_same_message_id_gets_the_same_answer_and_does_nothing_twice(house: House) -> None:
    first = await send(house, "暖气不热", message_id="m-1")
    assert await send(house, "暖气不热", message_id="m-1") == first
    together = await asyncio.gather(*(send(house, "3-1-201", message_id="m-2") for _ in range(4)))
    assert all(lines == together[0] for lines in together)
    written = await house.centre.db.read(
        lambda s: s.scalar(select(func.count()).select_from(Message).where(Message.author == Author.CUSTOMER))
    )
    assert written == 2


async def test_another_senders_message_id_is_another_message(house: House) -> None:
    await send(house, message_id="same", sender="a")
    await send(house, message_id="same", sender="b")
    conversations = await house.centre.db.read(lambda s: s.scalar(select(func.count()).select_from(Conversation)))
    assert conversations == 2


async def test_a_buttons_payload_works_as_a_message(house: House) -> None:
    lines = await send(house, "/greet")
    assert lines
    assert "/greet" not in json.dumps(lines)


async def test_the_language_is_the_metadatas(house: House) -> None:
    lines = await send(house, "hello", language="en")
    assert not any("\u4e00" <= c <= "\u9fff" for c in lines[0]["text"])


async def test_while_people_hold_it_the_answer_is_empty_and_their_lines_can_be_read(house: House) -> None:
    await send(house, "转人工")
    state = await house.centre.db.read(lambda s: s.scalars(select(Conversation.state)).one())
    assert state is ConversationState.QUEUED
    assert await send(house, "在吗") == []
    lines = (await house.client.get("/webhooks/rest/messages", params={"sender": "visitor-1"})).json()
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    after = {"sender": "visitor-1", "after": lines[-1]["seq"] - 1}
    (last,) = (await house.client.get("/webhooks/rest/messages", params=after)).json()
    assert (last["author"], last["text"]) == ("customer", "在吗")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"[]", 422),
        (b"null", 422),
        (b"[" * 50_000, 422),
        (b"\xff\xfe", 422),
        (b'{"sender": "a"}', 422),
        (b'{"message": "hi"}', 422),
        (b'{"sender": "", "message": "hi"}', 422),
        (b'{"sender": 7, "message": "hi"}', 422),
        (b'{"sender": "a", "message": ["hi"]}', 422),
        (b'{"sender": "a", "message": null}', 422),
        (b'{"sender": "a", "message": "hi", "metadata": "x"}', 422),
        (b'{"sender": "a", "message": "hi", "metadata": {"message_id": 5}}', 422),
        (b'{"sender": "a", "message": "hi", "metadata": {"message_id": ""}}', 422),
        (b'{"sender": "a", "message": "hi", "metadata": {"language": "fr"}}', 422),
        (b'{"sender": "a", "message": "hi", "metadata": {"language": {}}}', 422),
        (b'{"sender": "a", "message": "hi", "metadata": {"language": []}}', 422),
        (json.dumps({"sender": "a" * 121, "message": "hi"}).encode(), 422),
        (json.dumps({"sender": "a", "message": "x" * 4001}).encode(), 413),
        (json.dumps({"sender": "a", "message": "x" * 100_000}).encode(), 413),
    ],
)
async def test_hostile_bodies_are_refused_clearly(house: House, body: bytes, status: int) -> None:
    answer = await house.client.post(URL, content=body)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert await house.centre.db.read(lambda s: s.scalar(select(func.count()).select_from(Message))) == 0


@pytest.mark.parametrize(
    "message",
    [
        "<script>alert(1)</script>",
        "'; DROP TABLE message; --",
        "\x00\x07\x1b[31m",
        "\ud800 lone",
        "🏳️‍🌈" * 300,
        "\u202egnirts",
        "/",
        "/{",
        "/SetSlots(",
        '/SetSlots(urgency="urgent")',
        '/greet{"a": [}',
        "/greet{" + "[" * 500,
        "{company} {{ 7*7 }} %(name)s",
        "9" * 4000,
        " ",
        "",
    ],
)
async def test_hostile_words_get_a_kind_reply(house: House, message: str) -> None:
    body = json.dumps({"sender": "visitor-\ud800\x00", "message": message}).encode()
    answer = await house.client.post(URL, content=body)
    assert answer.status_code == 200, answer.text
    assert isinstance(answer.json(), list)


async def test_a_sender_that_floods_is_slowed_and_others_are_not(house: House) -> None:
    flood = await asyncio.gather(
        *(house.client.post(URL, json={"sender": "flood", "message": "hi"}) for _ in range(30))
    )
    assert {answer.status_code for answer in flood} == {200, 429}
    assert (await house.client.post(URL, json={"sender": "calm", "message": "hi"})).status_code == 200


@pytest.mark.parametrize("query", ["", "?sender=", "?sender=a&after=-1", "?sender=a&after=x", "?sender=" + "a" * 121])
async def test_reading_lines_wants_a_sender_and_a_number(house: House, query: str) -> None:
    assert (await house.client.get(f"/webhooks/rest/messages{query}")).status_code == 422


@pytest.mark.parametrize("after", [2**31, 2**63, 10**30])
async def test_reading_lines_far_behind_the_end_finds_none(house: House, after: int) -> None:
    answer = await house.client.get("/webhooks/rest/messages", params={"sender": "a\x00", "after": after})
    assert answer.status_code in (200, 422)
