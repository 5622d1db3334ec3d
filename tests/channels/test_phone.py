"""The phone page's door: who may pick up, what its requests may hold, and that nothing of one phone reaches another."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import func, select, update

from bot.core.telephone import CallState
from store.tables import Message, SandboxCall, Staff
from tests.fakes.handset import Handset
from tests.fakes.house import House

NUMBER = "+8619900000101"


async def test_the_page_opens_on_the_first_person_known(house: House) -> None:
    answer = await house.client.get("/phone", headers={"accept": "text/html"})
    assert answer.status_code == 303
    page = await house.client.get(answer.headers["location"], headers={"accept-language": "zh"})
    assert page.status_code == 200
    assert "赵春生" in page.text
    assert "拨打服务中心" in page.text


async def test_no_number_stands_in_an_address(house: House) -> None:
    phone = await Handset.of(house, "199 0000 0199")
    assert "19900000199" not in phone.url
    assert "+8619900000199" in (await house.client.get(phone.url)).text


@pytest.mark.parametrize("number", ["", "abc", "1", "<i>1</i>", "9" * 61])
async def test_a_number_that_is_none_is_refused(house: House, number: str) -> None:
    answer = await house.client.post("/phone", data={"number": number}, headers={"accept": "text/html"})
    assert answer.status_code == 422
    assert "<i>" not in answer.text


@pytest.mark.parametrize("token", ["x", "A" * 16, "é", "A" * 600, "%00"])
async def test_a_made_up_phone_is_not_found(house: House, token: str) -> None:
    assert (await house.client.get(f"/phone/{token}")).status_code == 404
    assert (await house.client.post(f"/phone/{token}/dial", json={})).status_code == 404


async def test_another_phones_call_cannot_be_touched(house: House) -> None:
    mine, other = await Handset.of(house, NUMBER), await Handset.of(house, "+8619900000102")
    await mine.dial()
    call = (await mine.screen()).call
    assert call is not None
    for path in ("answer", "hang-up", "next"):
        answer = await house.client.post(f"{other.url}/calls/{call.id}/{path}", json={"step": call.sequence})
        assert answer.status_code == 404
    assert await mine.state() is CallState.IN_PROGRESS


@pytest.mark.parametrize("call_id", ["0", "-1", "99999999999999999999", "x"])
async def test_a_call_that_is_none_is_not_found(house: House, call_id: str) -> None:
    phone = await Handset.of(house, NUMBER)
    assert (await house.client.post(f"{phone.url}/calls/{call_id}/next", json={"step": 0})).status_code in (404, 422)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"[" * 20_000,
        b'{"step": "1"}',
        b'{"step": 1, "digits": 5}',
        b'{"step": 1, "speech": []}',
        b"x" * 70_000,
    ],
)
async def test_malformed_steps_are_refused(house: House, body: bytes) -> None:
    phone = await Handset.of(house, NUMBER)
    await phone.dial()
    call = (await phone.screen()).call
    assert call is not None
    answer = await house.client.post(f"{phone.url}/calls/{call.id}/next", content=body)
    assert answer.status_code in (413, 422)


@pytest.mark.parametrize("speech", ["<b>&amp;</b>", "\x00\x01", "\ud800", "]]>", "🙂" * 3000, "1" * 5000, "﻿"])
async def test_hostile_words_are_heard_without_harm(house: House, speech: str) -> None:
    phone = await Handset.of(house, NUMBER)
    await phone.dial()
    call = (await phone.screen()).call
    assert call is not None
    body = json.dumps({"step": call.sequence, "speech": speech}).encode()
    assert (await house.client.post(f"{phone.url}/calls/{call.id}/next", content=body)).status_code == 204
    assert await phone.state() is CallState.IN_PROGRESS
    assert await phone.heard()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"text": "hi"}, 422),
        ({"text": "hi", "client_id": "no spaces"}, 422),
        ({"text": 5, "client_id": "a"}, 422),
        ({"text": "  ", "client_id": "a"}, 422),
        ({"text": "x" * 4001, "client_id": "a"}, 413),
    ],
)
async def test_malformed_texts_are_refused(house: House, body: dict[str, Any], status: int) -> None:
    phone = await Handset.of(house, NUMBER)
    assert (await house.client.post(f"{phone.url}/texts", json=body)).status_code == status
    assert await phone.texts() == []
    assert await house.centre.db.read(lambda s: s.scalar(select(func.count()).select_from(Message))) == 0


async def test_where_real_people_may_be_known_only_staff_come_in(house: House) -> None:
    phone = await Handset.of(house, NUMBER)
    await house.centre.db.write(lambda s: s.execute(update(Staff).values(demo=False)))
    assert (await house.client.get(phone.url)).status_code == 401
    assert (await house.client.post(f"{phone.url}/dial", json={})).status_code == 401
    browser = await house.client.get(phone.url, headers={"accept": "text/html"})
    assert browser.status_code == 303
    assert browser.headers["location"].startswith("/sign-in")
    assert await house.centre.db.read(lambda s: s.scalar(select(func.count()).select_from(SandboxCall))) == 0
