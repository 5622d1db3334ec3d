"""What a step of a call looks like on the wire, and what choices sound and read like without buttons."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pytest

from bot.channels import menu
from bot.channels.sms import SmsChannel
from bot.channels.twiml import render, speakable
from bot.channels.voice import VoiceChannel
from bot.core.telephone import GoOn, HangUp, Listen, Next, Speaks
from bot.core.twiml import Fetch, Gather, Over, play
from bot.core.words import Button, ChannelName, Language, LooksUp, Outgoing, Report, Say, Sent

YES_NO = (Button("方便", "/SetSlots(convenient=true)"), Button("不方便", "/SetSlots(convenient=false)"))
EAR = Listen("/twilio/voice?conversation=7&turn=3", "/twilio/voice?conversation=7&turn=3&silent=0", 6)


class Paper:
    """A carrier that writes down what it is given."""

    name = "paper"

    def __init__(self) -> None:
        self.calls: list[Outgoing] = []
        self.texts: list[Outgoing] = []

    async def place_call(self, out: Outgoing) -> Sent:
        self.calls.append(out)
        return Sent("call")

    async def send_sms(self, out: Outgoing) -> Sent:
        self.texts.append(out)
        return Sent("text")

    async def look_up(self, out: Outgoing, since: datetime) -> Report | None:  # noqa: ARG002
        return None

    def render(self, says: Sequence[Say], language: Language, then: Next) -> str:
        return render(says, language, then)

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def voice() -> VoiceChannel:
    return VoiceChannel(Paper())


def test_the_channels_are_what_the_services_ask_for(voice: VoiceChannel) -> None:
    assert isinstance(voice, Speaks)
    assert isinstance(voice, LooksUp)
    assert isinstance(SmsChannel(Paper()), LooksUp)


def test_a_question_with_choices_takes_one_key_and_names_them(voice: VoiceChannel) -> None:
    document = voice.answer([Say("您好。"), Say("现在方便吗？", YES_NO)], Language.ZH, EAR)
    assert document == (
        '<?xml version="1.0" encoding="UTF-8"?><Response>'
        '<Gather action="/twilio/voice?conversation=7&amp;turn=3" hints="方便,不方便" input="dtmf speech" '
        'language="cmn-Hans-CN" method="POST" numDigits="1" speechTimeout="auto" timeout="6">'
        '<Say language="cmn-CN" voice="Polly.Zhiyu"><prosody rate="92%">您好。</prosody></Say>'
        '<Say language="cmn-CN" voice="Polly.Zhiyu"><prosody rate="92%">现在方便吗？</prosody></Say>'
        '<Say language="cmn-CN" voice="Polly.Zhiyu"><prosody rate="92%">方便请按1，不方便请按2。</prosody></Say>'
        "</Gather>"
        '<Redirect method="POST">/twilio/voice?conversation=7&amp;turn=3&amp;silent=0</Redirect></Response>'
    )


def test_an_open_question_takes_as_many_keys_as_are_pressed(voice: VoiceChannel) -> None:
    passage = play(voice.answer([Say("Your phone number, please?")], Language.EN, EAR))
    assert passage.then == Gather(EAR.url, dtmf=True, speech=True, timeout=6.0)
    assert passage.heard[0].language == "en-US"


def test_the_last_words_hang_up_and_an_announcement_goes_on(voice: VoiceChannel) -> None:
    assert play(voice.answer([Say("再见。")], Language.ZH, HangUp())).then == Over()
    assert play(voice.answer([Say("停暖。")], Language.ZH, GoOn("/x?a=1&b=2"))).then == Fetch("/x?a=1&b=2")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("您好😊", "您好"),
        ("a\x00\x07b", "ab"),
        ("a\ud800b", "ab"),
        ("一\n二", "一 二"),
        ("价格￥5 & <3", "价格￥5 & <3"),
        ("👩‍👧", ""),
    ],
)
def test_only_what_can_be_spoken_is_spoken(text: str, said: str, voice: VoiceChannel) -> None:
    assert speakable(text) == said
    heard = play(voice.answer([Say(text)], Language.ZH, HangUp())).heard
    assert [h.text for h in heard] == ([said] if said else [])


@pytest.mark.parametrize(
    "text", ["听清楚了请按1。", "请打分，1到5分。", "收到请回复1。", "Press 1 to confirm.", "from 1 to 5"]
)
def test_words_that_name_the_keys_are_not_repeated(text: str) -> None:
    assert menu.spoken(text, YES_NO, Language.ZH) == ""
    assert menu.numbered(text, YES_NO) == text


@pytest.mark.parametrize("text", ["7月1日14:30可以吗？", "您住11栋吗？", "Is 10:15 all right?"])
def test_other_numbers_in_the_words_do_not_hide_the_choices(text: str) -> None:
    assert menu.spoken(text, YES_NO, Language.ZH) == "方便请按1，不方便请按2。"


def test_more_choices_than_keys_are_not_read_out() -> None:
    assert menu.spoken("哪一种？", [Button(str(n), str(n)) for n in range(10)], Language.ZH) == ""


async def test_a_text_message_numbers_its_choices() -> None:
    carrier = Paper()
    out = Outgoing(1, ChannelName.SMS, "+8613900010001", "现在方便吗？", Language.ZH, YES_NO)
    await SmsChannel(carrier).send(out)
    assert carrier.texts[0].text == "现在方便吗？\n1. 方便\n2. 不方便"
