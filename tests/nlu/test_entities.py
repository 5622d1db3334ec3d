"""Values in texts, in both languages. The present is Saturday 2026-11-21, 10:00 in Shanghai."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlu.entities import extract

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 21, 10, 0, tzinfo=SHANGHAI)

MOMENTS = {
    "明天下午三点": "11-22T15:00",
    "下周二": "11-24T00:00",
    "过会儿": "11-21T10:30",
    "半小时后": "11-21T10:30",
    "两个半小时后再打": "11-21T12:30",
    "再过两天": "11-23T10:00",
    "下周三上午": "11-25T09:00",
    "大后天晚上8点": "11-24T20:00",
    "后天一早": "11-23T08:00",
    "两点半": "11-21T14:30",
    "十点以后": "11-21T10:00",
    "5点半之前": "11-21T17:30",
    "明早有空打给我行吗": "11-22T08:00",
    "下午三点以后找我吧": "11-21T15:00",
    "下午一点": "11-21T13:00",
    "一点半来": "11-21T13:30",
    "今晚": "11-21T19:00",
    "昨晚开始发烧": "11-20T19:00",
    "礼拜天能打进来吗": "11-22T00:00",
    "月底": "11-30T00:00",
    "15号": "12-15T00:00",
    "下个月5号": "12-05T00:00",
    "12月1日15:30": "12-01T15:30",
    "十一月二十八号晚上七点": "11-28T19:00",
    "周三买的": "11-18T00:00",
    "上周三": "11-11T00:00",
    "三天前": "11-18T10:00",
    "晚点说": "11-21T12:00",
    "明天三点可以吗": "11-22T15:00",
    "in half an hour": "11-21T10:30",
    "call me in 2 days": "11-23T10:00",
    "next Tuesday at 3": "11-24T15:00",
    "tomorrow afternoon": "11-22T14:00",
    "Not a good time, try after three": "11-21T15:00",
    "tonight at 8pm": "11-21T20:00",
    "Monday morning": "11-23T09:00",
    "3pm on Friday": "11-27T15:00",
    "half past three": "11-21T15:30",
    "quarter to four": "11-21T15:45",
    "yesterday": "11-20T00:00",
    "this weekend": "11-21T00:00",
    "the 5th": "12-05T00:00",
    "maybe later": "11-21T12:00",
    "in a bit": "11-21T10:30",
}


@pytest.mark.parametrize(("text", "when"), MOMENTS.items(), ids=MOMENTS.keys())
def test_a_moment_is_resolved_against_now(text: str, when: str) -> None:
    assert [e.value for e in extract(text, NOW, SHANGHAI) if e.kind == "datetime"] == [f"2026-{when}:00+08:00"]


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("3月5号上午十点半", "2027-03-05T10:30"),
        ("9月30号买的", "2026-09-30T00:00"),
        ("the 5th of March", "2027-03-05T00:00"),
        ("March 5th at noon", "2027-03-05T12:00"),
        ("2027-01-02", "2027-01-02T00:00"),
        ("2027年1月2日", "2027-01-02T00:00"),
    ],
)
def test_a_date_without_a_year_is_the_nearest(text: str, when: str) -> None:
    assert [e.value for e in extract(text, NOW, SHANGHAI) if e.kind == "datetime"] == [f"{when}:00+08:00"]


@pytest.mark.parametrize(
    "text",
    [
        *("便宜一点", "有点疼", "一点都不热", "三点建议", "等了一个钟头", "停暖三天了", "2月30号", "99999999天后"),
        *("什么时候能修好", "I waited two hours", "second floor", "one of them", "may I ask", "I have 2 kids"),
    ],
)
def test_what_only_looks_like_a_moment_is_none(text: str) -> None:
    assert not [e for e in extract(text, NOW, SHANGHAI) if e.kind == "datetime"]


def test_a_bare_hour_that_has_passed_is_tomorrows() -> None:
    evening = NOW.replace(hour=21, minute=30)
    assert extract("三点", evening, SHANGHAI)[0].value == "2026-11-22T15:00:00+08:00"


def test_moments_stand_in_the_given_zone_and_across_its_clock_change() -> None:
    before = datetime(2026, 3, 28, 9, 0, tzinfo=UTC)  # Berlin springs forward on the 29th
    assert extract("tomorrow at 3pm", before, ZoneInfo("Europe/Berlin"))[0].value == "2026-03-29T15:00:00+02:00"


VALUES = [
    ("我电话13800001234谢谢", "phone", "+8613800001234"),
    ("打１３８００００１２３４", "phone", "+8613800001234"),
    ("打010-62345678", "phone", "+861062345678"),
    ("call +1 650 253 0000", "phone", "+16502530000"),
    ("工单C20261121-0042怎么样了", "case_no", "C20261121-0042"),
    ("订单号是20261120998877", "order_no", "20261120998877"),
    ("my order number is AB-12345", "order_no", "AB-12345"),
    ("快递单号SF1234567890123查不到", "tracking_no", "SF1234567890123"),
    ("退我三百五十块", "money", "350"),
    ("¥1,299.50", "money", "1299.5"),
    ("两块五", "money", "2.5"),
    ("I paid 20 dollars", "money", "20"),
    ("买了两件", "quantity", "2"),
    ("three pairs please", "quantity", "3"),
    ("充了1.5万", "number", "15000"),
    ("给八分吧", "rating", "8"),
    ("8/10", "rating", "8"),
    ("eight out of ten", "rating", "8"),
    ("五星好评", "rating", "5"),
    ("⭐⭐⭐⭐", "rating", "4"),
    ("不满意", "rating", "2"),
    ("非常满意", "rating", "5"),
    ("very dissatisfied", "rating", "1"),
    ("3号楼2单元501", "unit", "3-2-501"),
    ("三号楼二单元五零一室", "unit", "3-2-501"),
    ("12栋1203", "unit", "12-1203"),
    ("B座1203", "unit", "B-1203"),
    ("我家3-2-501没暖气", "unit", "3-2-501"),
    ("building 3 unit 2 room 501", "unit", "3-2-501"),
    ("是的", "affirm", "是"),
    ("好的，明天下午可以", "affirm", "好"),
    ("yes please", "affirm", "yes"),
    ("不用了谢谢", "deny", "不用了"),
    ("no thanks", "deny", "no"),
    ("算了不弄了", "cancel", "算了不弄了"),
    ("never mind", "cancel", "never mind"),
    ("再说一遍", "repeat", "再说一遍"),
    ("pardon?", "repeat", "pardon"),
]


@pytest.mark.parametrize(("text", "kind", "value"), VALUES, ids=[text for text, _, _ in VALUES])
def test_a_value_is_found_and_normalised(text: str, kind: str, value: str) -> None:
    found = [e for e in extract(text, NOW, SHANGHAI) if e.kind == kind]
    assert [e.value for e in found] == [value]
    assert all(text[e.start : e.end] == e.text for e in found)


def test_a_bare_number_is_a_number_and_a_rating() -> None:
    assert {(e.kind, e.value) for e in extract("4", NOW)} == {("number", "4"), ("rating", "4")}
    assert {(e.kind, e.value) for e in extract("十", NOW)} == {("number", "10"), ("rating", "10")}


@pytest.mark.parametrize(
    "text", ["是不是坏了", "好吃吗这个", "不热了怎么办", "not working", "okra soup recipe", "对面楼着火了"]
)
def test_a_word_that_only_begins_like_an_answer_is_none(text: str) -> None:
    assert not [e for e in extract(text, NOW) if e.kind in {"affirm", "deny", "cancel", "repeat"}]


def test_several_values_in_one_message() -> None:
    found = {e.kind: e.value for e in extract("3号楼2单元501，电话13800001234，明天上午十点来", NOW, SHANGHAI)}
    assert found == {"unit": "3-2-501", "phone": "+8613800001234", "datetime": "2026-11-22T10:00:00+08:00"}


@given(st.text(max_size=300))
def test_nothing_raises(text: str) -> None:
    for entity in extract(text, NOW, SHANGHAI):
        assert text[entity.start : entity.end] == entity.text


@given(st.text("0123456789一二三十百千万点号天后半年月周明过in at/:.-next两前 ", max_size=40))
def test_nothing_raises_on_what_looks_like_values(text: str) -> None:
    for entity in extract(text, NOW, SHANGHAI):
        if entity.kind == "datetime":
            assert datetime.fromisoformat(entity.value).utcoffset() is not None


@pytest.mark.parametrize(
    "text", ["9" * 10_000, "一" * 10_000, "3号楼" * 3000, "a1 " * 3000, "((((" * 2500, "不" * 10_000]
)
def test_a_hostile_text_takes_no_time(text: str) -> None:
    started = time.thread_time()  # of the processor, whatever else the machine does
    extract(text, NOW, SHANGHAI)
    assert time.thread_time() - started < 2


def test_without_now_the_present_is_used() -> None:
    when = datetime.fromisoformat(extract("半小时后")[0].value)
    assert abs(when - datetime.now(UTC) - timedelta(minutes=30)) < timedelta(seconds=30)
