"""A shop plugs in its own HTTP system: customers get its answers, its changes are made once, its faults are told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from bot.core.words import ConversationState
from bot.settings import Settings
from store.tables import Case, Conversation, Coupon, Message
from tests.fakes.house import House
from tests.fakes.shop import TOKEN, Shop, serving

URL = "/webhooks/rest/webhook"
ORDER = "DD20260701900"
CAMPAIGN = {"starts_on": "2026-06-01", "ends_on": "2026-07-31", "per_customer": 1}


@pytest.fixture
def shop() -> Iterator[Shop]:
    tables: dict[str, list[dict[str, Any]]] = {
        "products": [{"product_no": "MUG1", "name_zh": "马克杯", "name_en": "Mug", "words": ["杯子"], "stock": 8}],
        "orders": [
            {
                "order_no": ORDER,
                "phone": "19900000109",
                "state": "paid",
                "ordered_at": "2026-07-01 09:00",
                "address": "杭州市示例路1号",
            }
        ],
        "coupons": [{"campaign": "july", "text_zh": "减5元。", "text_en": "5 yuan off.", **CAMPAIGN}],
    }
    with serving(tables) as shop:
        yield shop


@pytest.fixture
def settings(settings: Settings, shop: Shop) -> Settings:
    return settings.model_copy(update={"facts": shop.url, "facts_token": SecretStr(TOKEN)})


async def say(house: House, text: str, sender: str = "wen", message_id: str | None = None) -> str:
    metadata = {"message_id": message_id} if message_id else {}
    answer = await house.client.post(URL, json={"sender": sender, "message": text, "metadata": metadata})
    assert answer.status_code == 200, answer.text
    return "\n".join(line["text"] for line in answer.json())


async def count(house: House, table: type) -> int:
    return await house.centre.db.read(lambda s: s.scalar(select(func.count()).select_from(table)) or 0)


async def test_the_systems_answer_is_told(house: House) -> None:
    assert "马克杯现在还有8件" in await say(house, "杯子还有货吗")


async def test_an_order_is_told_only_with_the_last_four_digits(house: House) -> None:
    await say(house, "我的快递到哪了")
    asked = await say(house, ORDER)
    assert "后四位" in asked
    assert "已付款" not in asked
    assert "已付款，等待发货" in await say(house, "0109")


async def test_wrong_digits_tell_nothing_and_are_not_tried_for_ever(house: House) -> None:
    for n in range(6):
        sender = f"guesser-{n}"
        await say(house, "我的快递到哪了", sender)
        await say(house, ORDER, sender)
        told = await say(house, "0000", sender)
        assert "没有查到" in told
        assert "已付款" not in told
    await say(house, "我的快递到哪了", "late")
    await say(house, ORDER, "late")
    assert "没有查到" in await say(house, "0109", "late")


async def test_an_unknown_order_looks_like_a_strangers(house: House) -> None:
    await say(house, "我的快递到哪了")
    assert "后四位" in await say(house, "DD20260701999")
    assert "没有查到" in await say(house, "0109")


async def cancel(house: House, sure_id: str | None = None) -> str:
    await say(house, "我要取消订单")
    await say(house, ORDER)
    await say(house, "0109")
    return await say(house, "/SetSlots(cancel_sure=true)", message_id=sure_id)


async def test_a_change_the_system_took_is_confirmed(house: House, shop: Shop) -> None:
    assert "已经取消" in await cancel(house)
    (change,) = shop.changes.values()
    assert change == {"table": "orders", "key": {"order_no": ORDER}, "values": {"change": "cancel", "value": ""}}
    assert await count(house, Case) == 0


async def test_the_same_message_again_changes_nothing_twice(house: House, shop: Shop) -> None:
    first = await cancel(house, "sure-1")
    assert await say(house, "/SetSlots(cancel_sure=true)", message_id="sure-1") == first
    assert len(shop.posts) == 1


async def test_a_refusal_is_told_in_the_systems_words(house: House, shop: Shop) -> None:
    shop.refusal = {"zh": "仓库已经在装车了。", "en": "It is being loaded."}
    told = await cancel(house)
    assert "仓库已经在装车了" in told
    assert "已经取消" not in told


async def test_a_lost_answer_is_asked_again_with_the_same_key_and_then_given_to_people(
    house: House, shop: Shop
) -> None:
    shop.silent = True
    told = await cancel(house)
    assert "已经取消" not in told
    assert len(shop.posts) == 2
    assert len(set(shop.posts)) == 1
    subject = await house.centre.db.read(lambda s: s.scalars(select(Case.subject)).one())
    assert ORDER in subject
    assert "请先核对" in subject
    assert "编号" in told


async def test_a_coupon_is_issued_once_with_the_systems_code(house: House, shop: Shop) -> None:
    assert "SHOP-1" in await say(house, "再便宜点嘛")
    assert "申请" in await say(house, "再便宜点嘛")
    assert len(shop.posts) == 1
    assert await count(house, Coupon) == 1


async def test_a_coupon_the_system_refuses_is_not_promised(house: House, shop: Shop) -> None:
    shop.refusal = {"zh": "发完了。"}
    assert "优惠券：" not in await say(house, "再便宜点嘛")
    assert await count(house, Coupon) == 0


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, None), (200, "<html>"), (200, '{"rows": 7}'), (200, '{"rows": [{"product_no": "X"}]}')],
    ids=["error", "no JSON", "no rows", "odd row"],
)
async def test_a_faulty_system_is_told_and_a_person_comes(house: House, shop: Shop, status: int, body: str) -> None:
    shop.status, shop.body = status, body
    assert "没有准确的资料" in await say(house, "杯子还有货吗")
    state = await house.centre.db.read(lambda s: s.scalars(select(Conversation.state)).one())
    assert state is ConversationState.QUEUED
    health = (await house.client.get("/readyz")).json()
    assert health["facts"]["source"] == "http"
    assert any(line.startswith("facts:") for line in health["degraded"])


async def test_a_table_the_system_does_not_have_is_not_known(house: House) -> None:
    assert "没有准确的资料" in await say(house, "最近有什么活动")


async def test_nothing_is_locked_while_the_system_is_asked(house: House, shop: Shop) -> None:
    """Everybody else is answered and written meanwhile, the very conversation's row included."""
    await say(house, "你好")
    shop.gate.clear()
    slow = asyncio.create_task(say(house, "杯子还有货吗"))
    while not shop.asked:
        await asyncio.sleep(0.01)
    await house.centre.db.write(
        lambda s: s.scalars(select(Conversation).with_for_update()).one().id  # waits for ever behind an open turn
    )
    assert "机器人" in await say(house, "你好", "somebody else")
    assert not slow.done()
    shop.gate.set()
    assert "8件" in await slow
    asked = select(func.count()).select_from(Message).where(Message.text == "杯子还有货吗")
    assert await house.centre.db.read(lambda s: s.scalar(asked)) == 1
