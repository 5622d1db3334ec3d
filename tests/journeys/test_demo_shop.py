"""The demo's fictional shop, spoken to through the REST door: each line is what a customer says and what they hear."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from bot.core.words import ChannelName, Incoming
from bot.services.conversation import inbox
from store.tables import Case, Coupon, Message
from tests.fakes.house import House

URL = "/webhooks/rest/webhook"
TALKS: dict[str, list[tuple[str, str]]] = {
    "stock, colours and fabric of one dress": [
        ("亚麻连衣裙还有货吗", "亚麻连衣裙现在还有12件。"),
        ("那还有别的颜色吗", "亚麻连衣裙现在有这些：米白、浅蓝、墨绿三色"),
        ("面料会起球吗", "80支纯亚麻"),
    ],
    "stock, in English": [
        ("Is the linen dress in stock?", "Linen dress: we have 12 in stock."),
        ("What fabric is it?", "80-count pure linen"),
    ],
    "two dresses": [
        ("/ask_stock_or_recommend", "是哪一款？"),
        ("连衣裙", "您说的是哪一款？"),
        ("2", "纯棉连衣裙现在没货了"),
    ],
    "a size": [
        ("/ask_size", "是哪一款？"),
        ("亚麻连衣裙", "身高多少厘米"),
        ("168", "体重多少"),
        ("60", "建议您选M。"),
    ],
    "a size outside the table": [
        ("/ask_size", "是哪一款？"),
        ("亚麻连衣裙", "身高"),
        ("190", "体重"),
        ("110公斤", "没有准确的资料"),
    ],
    "an order": [
        ("我的快递到哪了", "订单号或运单号"),
        ("DD20260628001", "手机号的后四位"),
        ("0109", "运输途中。顺丰速运承运，运单号SF1999000000109。"),
    ],
    "an order, in English": [
        ("Where is my parcel? order DD20260628001", "the last four digits"),
        ("0109", "on its way. SF Express, tracking number SF1999000000109."),
    ],
    "a parcel that is stuck": [
        ("我的快递到哪了", "订单号"),
        ("YT1999000000106", "后四位"),
        ("0106", "好几天没有动静了"),
    ],
    "an address while the parcel is on its way": [
        ("/confirm_or_change_address", "订单号"),
        ("DD20260628001", "后四位"),
        ("0109", "已经发出了"),
    ],
    "a coupon, once": [
        ("再便宜点嘛", "满200元减10元。券码XIAOYUN10。"),
        ("再便宜点嘛", "要不要我替您向主管申请"),
        ("1", "申请已经交给主管"),
    ],
    "free shipping": [
        ("满多少包邮", "大概选了多少钱"),
        ("150", "满199元包邮，您还差49元"),
        ("最近有什么活动", "买亚麻系列任意一件送同色发圈一个。"),
    ],
    "a courier": [("发到成都大概几天", "寄到成都一般走中通快递，平时3到4天。")],
    "an exchange": [
        ("/request_exchange", "品牌"),
        ("海风手机H1", "什么时候买的"),
        ("2026年6月20日", "有没有摔过"),
        ("没有", "外壳、屏幕都完好吗"),
        ("完好", "买了11天，可以换货。检测确认后，收到您的机器起5天内寄出新的。也可以免费维修。"),
        ("可以", "打哪个电话"),
        ("19900000177", "工单号R20260701-0001"),
    ],
    "a refund with its fee": [
        ("/ask_depreciation", "多少钱"),
        ("1999", "什么时候买的"),
        ("2026年5月20日", "在修了多少天"),
        ("3", "折旧费116.94元：单价1999元 × 每天1.5‰ ×（购买至今42天 − 在修3天）。"),
    ],
    "a refund on a day that has not come": [
        ("/request_return", "品牌"),
        ("海风手机H1", "什么时候买的"),
        ("2026年7月20日", "有没有摔过"),
        ("没有", "这个日期还没到呢"),
        (
            "2026年6月27日",
            "买了4天，可以退货。买了不超过7天，退货不收折旧费。也可以换货或免费维修。换货要求外壳和屏幕完好。",
        ),
    ],
    "a refund in English, too late": [
        ("/request_return I want my money back", "brand"),
        ("Haifeng H1", "When did you buy it"),
        ("20 May 2026", "dropped"),
        ("no", "too late to return it for a refund. You can still have it repaired free of charge."),
    ],
    "a charger by its card": [
        ("/request_exchange 充电器坏了", "品牌"),
        ("海风充电器", "什么时候买的"),
        ("2025年5月1日", "有没有摔过"),
        ("没有", "哪个部分"),
        ("4", "外壳"),
        ("完好", "保修卡上写了保多少个月"),
        ("24", "可以换货"),
    ],
    "a test that is under way": [
        ("/test_progress_delay", "委托单号"),
        ("WT2026062901", "后四位"),
        ("0108", "检测中"),
    ],
}


@pytest.mark.parametrize("name", TALKS)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_customer_hears(house: House, name: str) -> None:
    hello = ("hello", "Hello") if "English" in name else ("你好", "您好")
    for said, heard in [hello, *TALKS[name]]:
        answer = await house.client.post(URL, json={"sender": "wen", "message": said})
        assert heard in "\n".join(line["text"] for line in answer.json()), said


async def test_the_number_that_writes_is_proof_enough(house: House) -> None:
    """A text message comes from the order's own number: its latest order is told without a question (REQ-G12)."""
    incoming = Incoming(ChannelName.SMS, "+8619900000109", "sms-1", "我的快递到哪了")
    await inbox.receive(house.centre, incoming)
    await house.advance(seconds=10)
    told = await house.centre.db.read(lambda s: s.scalars(select(Message.text)).all())
    assert any("DD20260628001" in text for text in told)


async def test_a_number_claimed_in_a_chat_is_none(house: House) -> None:
    for said in ("你好", "/report_fault", "海风H1", "不开机", "跳过", "1", "冯小寒", "19900000109"):
        await house.client.post(URL, json={"sender": "stranger", "message": said})
    answer = await house.client.post(URL, json={"sender": "stranger", "message": "我的快递到哪了"})
    assert "DD2026" not in answer.text
    assert "订单号" in answer.text


async def test_what_the_customer_was_promised_is_written(house: House) -> None:
    for said in ("再便宜点嘛", "再便宜点嘛", "1"):
        await house.client.post(URL, json={"sender": "wen", "message": said})
    coupons, queues = await house.centre.db.read(
        lambda s: (s.scalars(select(Coupon.code)).all(), s.scalars(select(Case.queue)).all())
    )
    assert coupons == ["XIAOYUN10"]
    assert queues == ["sales_supervisor"]
