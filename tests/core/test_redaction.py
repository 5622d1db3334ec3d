"""Subjects name no telephone and no flat; days, times, amounts and numbers of cases stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.redaction import without_addresses


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("3-2-501暖气不热", "***暖气不热"),
        ("3号楼2单元501室漏水", "***漏水"),
        ("5栋 1203 投诉噪音", "*** 投诉噪音"),
        ("请回电13800001234", "请回电****1234"),
        ("请回电 138 0000 1234 谢谢", "请回电 ****1234 谢谢"),
        ("+86 13800001234", "****1234"),
        ("call 010-88886666", "call ****6666"),
        ("2026-07-01 14:30 上门", "2026-07-01 14:30 上门"),
        ("退款 128.50 元，订单 A2001", "退款 128.50 元，订单 A2001"),
        ("暖气不热", "暖气不热"),
        ("", ""),
    ],
)
def test_subjects(text: str, shown: str) -> None:
    assert without_addresses(text) == shown


@given(st.text(max_size=20), st.from_regex(r"1[3-9]\d{9}", fullmatch=True), st.text(max_size=20))
def test_no_mobile_number_is_ever_left_whole(before: str, number: str, after: str) -> None:
    assert number not in without_addresses(f"{before} {number} {after}")
