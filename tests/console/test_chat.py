"""The customer's chat keeps its word against whatever is sent to it."""

from __future__ import annotations

import json
from dataclasses import replace

import httpx
import pytest

from bot.app import create_app
from bot.core.words import Author, Language
from bot.services.conversation import webchat
from bot.services.conversation.webchat import ChatLine
from bot.services.delivery.pace import Bound
from bot.web.chat import COOKIE, spoken
from tests.fakes.house import House
from tests.fakes.people import OURS

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
async def visitor(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """Somebody who has opened the chat page."""
    page = await client.get("/chat")
    assert page.status_code == 200
    return client


def lines_of(house: House, client: httpx.AsyncClient) -> list[ChatLine]:
    token = client.cookies[COOKIE]

    def read(session):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        here = webchat.present(session, token)
        return webchat.lines(session, here.address_id) if here.address_id else []

    lines: list[ChatLine] = house.centre.db.read_now(read)
    return lines


async def send(client: httpx.AsyncClient, **body: object) -> httpx.Response:
    return await client.post("/chat/messages", json={"client_id": "a1", **body}, headers=OURS)


async def test_the_page_may_stand_in_any_frame_but_runs_only_our_script(client: httpx.AsyncClient) -> None:
    chat, console = await client.get("/chat"), await client.get("/sign-in")
    assert "frame-ancestors *" in chat.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in console.headers["content-security-policy"]
    for page in (chat, console):
        assert "default-src 'self'" in page.headers["content-security-policy"]
        assert "unsafe-inline" not in page.headers["content-security-policy"]


async def test_a_visitor_is_greeted_once(house: House, visitor: httpx.AsyncClient) -> None:
    for _ in range(3):
        assert (await visitor.post("/chat/open", headers=OURS)).status_code == 200
    assert [line.author for line in lines_of(house, visitor)] == [Author.BOT]


async def test_a_message_sent_twice_is_taken_once(house: House, visitor: httpx.AsyncClient) -> None:
    first = await send(visitor, text="你好")
    again = await send(visitor, text="你好")
    assert (first.json()["repeated"], again.json()["repeated"]) == (False, True)
    mine = [line for line in lines_of(house, visitor) if line.author is Author.CUSTOMER]
    assert [(line.text, line.client) for line in mine] == [("你好", "a1")]


async def test_another_visitors_message_of_the_same_id_is_another(house: House, visitor: httpx.AsyncClient) -> None:
    await send(visitor, text="我是甲")
    visitor.cookies.clear()
    await visitor.get("/chat")
    assert (await send(visitor, text="我是乙")).json()["repeated"] is False
    assert "我是甲" not in [line.text for line in lines_of(house, visitor)]


async def test_a_page_resumes_behind_what_it_has(house: House, visitor: httpx.AsyncClient) -> None:
    await send(visitor, text="你好")
    everything = lines_of(house, visitor)
    token = visitor.cookies[COOKIE]
    here = house.centre.db.read_now(lambda s: webchat.present(s, token))
    assert here.address_id is not None
    for index, line in enumerate(everything):
        rest = house.centre.db.read_now(lambda s, p=line.place: webchat.lines(s, here.address_id, p))  # type: ignore[misc]
        assert rest == everything[index + 1 :]


async def test_a_hundred_kilobytes_are_kindly_refused(visitor: httpx.AsyncClient) -> None:
    for text in ("长" * 100_000, "x" * 5_000):
        answer = await send(visitor, text=text)
        assert answer.status_code == 413
        assert "太长" in answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"null",
        b'"text"',
        b'{"text": 1, "client_id": "a"}',
        b'{"text": "x"}',
        b'{"text": "x", "client_id": "a b"}',
        b'{"text": "x", "client_id": ""}',
        b'{"text": "x", "client_id": "a", "payload": []}',
        b'{"text": "x", "client_id": "a", "payload": "' + b"p" * 600 + b'"}',
        b'{"text": "   ", "client_id": "a"}',
        b"\xff\xfe",
        b"[" * 10_000,
    ],
)
async def test_what_is_no_message_is_refused(visitor: httpx.AsyncClient, body: bytes) -> None:
    answer = await visitor.post("/chat/messages", content=body, headers=OURS)
    assert answer.status_code == 422
    assert answer.json()["error"]


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "\u202e反过来",
        "👩‍👩‍👧‍👦" * 50,
        "a\x00b\x07c",
        "\ud800 lone",
        "{{ 7*7 }}",
        "%s%n%(x)s",
        "/SetSlots(x=1)",
    ],
)
async def test_hostile_words_are_only_words(house: House, visitor: httpx.AsyncClient, text: str) -> None:
    body = json.dumps({"text": text, "client_id": "a1"})
    answer = await visitor.post("/chat/messages", content=body, headers=OURS)
    assert answer.status_code == 200
    mine = [line.text for line in lines_of(house, visitor) if line.author is Author.CUSTOMER]
    assert len(mine) == 1
    assert "\x00" not in mine[0]


async def test_only_our_own_page_can_post(visitor: httpx.AsyncClient) -> None:
    assert (await visitor.post("/chat/messages", json={"text": "x", "client_id": "a"})).status_code == 403
    visitor.cookies.clear()
    assert (await send(visitor, text="x")).status_code == 403
    visitor.cookies.set(COOKIE, "../../etc/passwd")
    assert (await send(visitor, text="x")).status_code == 403


async def test_answers_follow_the_language_somebody_writes(house: House, visitor: httpx.AsyncClient) -> None:
    visitor.headers["accept-language"] = "en-US"
    await send(visitor, text="我家暖气不热")
    assert house.centre.db.read_now(lambda s: webchat.present(s, visitor.cookies[COOKIE])).conversation_id
    answers = [line.text for line in lines_of(house, visitor) if line.author is Author.BOT]
    assert all(spoken(answer) is Language.ZH for answer in answers)


class Tight(Bound):
    """Three a minute, whatever the policy says: within a minute and the next one never more than six."""

    async def allows(self, whose: str, rate: float | None) -> bool:
        assert rate
        return await super().allows(whose, 3 / 60)


async def newcomer(house: House, network: str, **headers: str) -> httpx.Response:
    """Somebody without a cookie, at this address, opens the chat and says something."""
    transport = httpx.ASGITransport(house.app, client=(network, 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://hotline.test", headers=headers) as client:
        await client.get("/chat")
        return await send(client, text="你好")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("203.0.113.7", "203.0.113.8"), ("2001:db8:1:2::7", "2001:db8:1:3::7")],
)
async def test_a_cookie_thrown_away_is_no_way_around_the_bound(house: House, ours: str, theirs: str) -> None:
    house.app.state.network_limiter = Tight("test")
    refused = [answer for _ in range(7) if (answer := await newcomer(house, ours)).status_code == 429]
    assert refused[0].json()["code"] == "network_busy"
    assert "过几秒会自动再发" in refused[0].json()["error"]
    english = await newcomer(house, ours, **{"accept-language": "en"})
    assert english.status_code == 429
    assert "goes out by itself" in english.json()["error"]
    assert (await newcomer(house, theirs)).status_code == 200


async def test_the_devices_of_one_ipv6_network_share_its_bound(house: House) -> None:
    house.app.state.network_limiter = Tight("test")
    answers = [await newcomer(house, f"2001:db8:1:2::{device}") for device in range(1, 8)]
    assert 429 in [answer.status_code for answer in answers]


async def test_who_opens_chat_after_chat_is_bound_too(house: House, visitor: httpx.AsyncClient) -> None:
    house.app.state.network_limiter = Tight("test")
    answers = [await visitor.post("/chat/open", headers=OURS) for _ in range(7)]
    assert 429 in [answer.status_code for answer in answers]


@pytest.mark.parametrize(
    ("proxies", "told_apart"), [(("203.0.113.0/24",), True), (("198.51.100.1",), False), ((), False)]
)
async def test_only_a_trusted_proxy_is_believed_where_customers_are(
    house: House, proxies: tuple[str, ...], told_apart: bool
) -> None:
    settings = house.centre.settings.model_copy(update={"trusted_proxies": proxies})
    app = create_app(replace(house.centre, settings=settings), heartbeat=False)
    app.state.network_limiter = Tight("test")
    behind = replace(house, app=app)
    answers = [
        await newcomer(behind, "203.0.113.7", **{"x-forwarded-for": f"192.0.2.{number}"}) for number in range(1, 8)
    ]
    assert (429 not in [answer.status_code for answer in answers]) is told_apart
