"""What the wording betrays (REQ-E13)."""

from __future__ import annotations

import pytest

from bot.core.words import Emotion
from nlu.emotion import emotion


@pytest.mark.parametrize(
    ("text", "anger"),
    [
        ("请问几点上班", 0),
        ("帮我查下订单，谢谢", 0),
        ("What are your opening hours?", 0),
        ("等了三天没人理", 1),
        ("I'm disappointed with the service", 1),
        ("气死我了什么破服务", 2),
        ("你们就是骗子", 2),
        ("THIS IS ABSOLUTELY RIDICULOUS", 2),
        ("没人管吗！！！都几天了", 2),
        ("fuck you", 2),
    ],
)
def test_anger_has_three_degrees(text: str, anger: int) -> None:
    assert emotion(text).anger == anger


@pytest.mark.parametrize(
    "text", ["我很担心伤口感染", "怎么办啊孩子发烧了", "I'm worried about the swelling", "is it serious?"]
)
def test_worry_is_heard(text: str) -> None:
    assert emotion(text).worried


@pytest.mark.parametrize("text", ["再不解决我就打12315", "我要起诉你们", "I will sue you", "我认识记者，给你们曝光"])
def test_threats_are_heard(text: str) -> None:
    assert emotion(text).threatening


@pytest.mark.parametrize(
    "text", ["叫你们经理来", "我要跟你们主管讲话", "let me speak to your manager", "get me your supervisor"]
)
def test_the_wish_for_somebody_in_charge_is_heard(text: str) -> None:
    assert emotion(text).wants_manager


@pytest.mark.parametrize("text", ["", "😀", "\x00\x01", "你好", "hello"])
def test_plain_texts_betray_nothing(text: str) -> None:
    assert emotion(text) == Emotion()
