"""The sandbox plays TwiML as a carrier would, and refuses what a carrier would not play."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core import twiml
from bot.core.twiml import BadTwimlError, Fetch, Gather, Heard, Over, Passage, play, reply

ASK = (
    '<Response><Gather action="?turn=2" input="dtmf speech" numDigits="1" timeout="6">'
    '<Say language="zh-CN"><prosody rate="92%">您好</prosody></Say><Pause length="2"/></Gather>'
    '<Redirect method="POST">/door?silent=0</Redirect></Response>'
)


@pytest.mark.parametrize(
    ("document", "heard", "then"),
    [
        ("<Response/>", (), Over(ran_out=True)),
        ("<Response><Say>Hi</Say></Response>", (Heard("Hi"),), Over(ran_out=True)),
        ("<Response><Say>Hi</Say><Hangup/><Say>no</Say></Response>", (Heard("Hi"),), Over()),
        ('<Response><Say loop="2">Hi</Say><Hangup/></Response>', (Heard("Hi"), Heard("Hi")), Over()),
        ('<Response><Say loop="0">Hi</Say></Response>', (Heard("Hi"),) * twiml.MAX_LOOPS, Over(ran_out=True)),
        ("<Response><Pause/><Hangup/></Response>", (Heard(pause=1.0),), Over()),
        ("<Response><Play>/hold.mp3</Play></Response>", (Heard("♪ /hold.mp3"),), Over(ran_out=True)),
        ("<Response><Reject/></Response>", (), Over("rejected")),
        ('<Response><Reject reason="busy"/></Response>', (), Over("busy")),
        ("<Response><Redirect>/next?a=1&amp;b=2</Redirect></Response>", (), Fetch("/next?a=1&b=2")),
        ("<Response><Redirect>?turn=3</Redirect></Response>", (), Fetch("/door?turn=3")),
        ("<Response><Gather/></Response>", (), Gather("/door")),
        ("<Response><Say>  two\n words </Say></Response>", (Heard("two words"),), Over(ran_out=True)),
        ("<Response><Say></Say></Response>", (), Over(ran_out=True)),
    ],
)
def test_each_verb_does_what_it_says(document: str, heard: tuple[Heard, ...], then: twiml.Then) -> None:
    passage = play(document, url="/door")
    assert passage.heard == heard
    assert passage.then == then


def test_a_gather_speaks_what_it_holds_and_goes_on_behind_it_when_nothing_comes() -> None:
    passage = play(ASK, url="/door?turn=1")
    assert passage.heard == (Heard("您好", "zh-CN"), Heard(pause=2.0))
    assert passage.then == Gather("/door?turn=2", dtmf=True, speech=True, timeout=6.0, digits=1)
    assert play(ASK, passage.at, url="/door?turn=1") == Passage((), Fetch("/door?silent=0"), 2)


@pytest.mark.parametrize(
    ("gather", "digits", "speech", "answer"),
    [
        (Gather("/g", digits=1), "1", "", {"Digits": "1"}),
        (Gather("/g", digits=1), "12", "", {"Digits": "1"}),
        (Gather("/g"), "123#456", "", {"Digits": "123"}),
        (Gather("/g"), "#", "", {"Digits": "#"}),
        (Gather("/g", finish=""), "12#", "", {"Digits": "12#"}),
        (Gather("/g"), "<1>", "", {"Digits": "1"}),
        (Gather("/g"), "", "你好", None),
        (Gather("/g", speech=True), "", " 你好 ", {"SpeechResult": "你好", "Confidence": "1.0"}),
        (Gather("/g", dtmf=False, speech=True), "1", "", None),
        (Gather("/g", speech=True), "", "  ", None),
        (Gather("/g", empty=True), "", "", {"Digits": ""}),
    ],
)
def test_what_a_gather_makes_of_keys_and_words(
    gather: Gather, digits: str, speech: str, answer: dict[str, str] | None
) -> None:
    assert reply(gather, digits, speech) == (None if answer is None else Fetch("/g", answer))


@pytest.mark.parametrize(
    "document",
    [
        "",
        "hello",
        "<Response>",
        "<Other/>",
        "<Response><Dial>+1</Dial></Response>",
        "<Response><Gather><Hangup/></Gather></Response>",
        '<Response><Pause length="soon"/></Response>',
        '<Response><Pause length="-1"/></Response>',
        '<Response><Pause length="nan"/></Response>',
        '<Response><Gather timeout="1e9"/></Response>',
        '<!DOCTYPE r [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><Response><Say>&b;</Say></Response>',
        "<Response><Say>" + "x" * twiml.MAX_DOCUMENT + "</Say></Response>",
        "<Response><Say>\x00</Say></Response>",
    ],
)
def test_what_cannot_be_played_is_refused(document: str) -> None:
    with pytest.raises(BadTwimlError):
        play(document)


@given(st.text())
def test_no_text_breaks_the_player(document: str) -> None:
    try:
        play(document)
    except BadTwimlError:
        return


@pytest.mark.parametrize(
    "passage",
    [
        Passage((), Over(), 0),
        Passage((Heard("您好", "zh-CN"), Heard(pause=1.5)), Gather("/g", speech=True, digits=1), 3),
        Passage((), Fetch("/f", {"Digits": "1"}), 1),
        Passage((), Over("busy"), 1),
    ],
)
def test_a_passage_survives_being_stored(passage: Passage) -> None:
    assert twiml.from_json(twiml.to_json(passage)) == passage
