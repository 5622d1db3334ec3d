"""What a step of a call says and listens for, as TwiML: what a carrier that plays TwiML renders with.

Verbs used: Gather (input "dtmf speech") with Say inside, Redirect where nothing was heard, Record, Dial with Number,
Hangup. A document that runs out of verbs ends a whisper, which connects. The sandbox plays the same document in the
browser (bot/core/twiml.py).
(Verbs and attributes: Twilio documentation, "TwiML for Programmable Voice".)
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from twilio.twiml.voice_response import Gather, VoiceResponse
from twilio.twiml.voice_response import Say as SayVerb

from bot.channels import menu
from bot.core.telephone import STATUS, Connect, Dial, GoOn, Listen, Next, Record
from bot.core.words import Button, Language, Say

VOICES = {Language.ZH: ("Polly.Zhiyu", "cmn-CN"), Language.EN: ("Polly.Joanna", "en-US")}  # that know <prosody>
EARS = {Language.ZH: "cmn-Hans-CN", Language.EN: "en-US"}  # BCP-47 tags of Gather's speech recognition
RATE = "92%"  # a little slower than talk: many who are called are old or ill
MAX_HINTS = 20
QUIET = 5  # seconds that end a recording


def render(says: Sequence[Say], language: Language, then: Next, base: str = "") -> str:
    """The document of one step: says, then listens, goes on or hangs up. `base` stands before the addresses."""
    document = VoiceResponse()
    lines = [line for say in says for line in _lines(say, language)]
    match then:
        case Record():
            for line in lines:
                _speak(document, line, language)
            document.record(**_tape(then, base))
            document.redirect(base + then.silent_url, method="POST")
        case Dial():
            for line in lines:
                _speak(document, line, language)
            dial = document.dial(action=base + then.url, method="POST", timeout=then.seconds, answer_on_bridge=True)
            dial.number(then.number, **_leg(then, base))
        case Connect():
            for line in lines:
                _speak(document, line, language)
        case Listen():
            choices = says[-1].buttons if says else ()
            gather = document.gather(action=base + then.url, **_ears(choices, then, language))
            for line in lines:
                _speak(gather, line, language)
            document.redirect(base + then.silent_url, method="POST")
        case GoOn(url=url):
            for line in lines:
                _speak(document, line, language)
            document.redirect(base + url, method="POST")
        case _:
            for line in lines:
                _speak(document, line, language)
            document.hangup()
    return str(document)


def _tape(then: Record, base: str) -> dict[str, object]:
    """Record's attributes; a pound sign or five quiet seconds end it."""
    return {
        "action": base + then.url,
        "method": "POST",
        "max_length": then.seconds,
        "timeout": QUIET,
        "finish_on_key": "#",
        "play_beep": True,
        "trim": "trim-silence",
        "recording_status_callback": base + then.ready_url,
        "recording_status_callback_event": "completed",
    }


def _leg(then: Dial, base: str) -> dict[str, object]:
    """Number's attributes: what the other end hears first, and where the leg's states are told."""
    whisper = {"url": base + then.whisper_url, "method": "POST"} if then.whisper_url else {}
    return {
        "status_callback": f"{base}{STATUS}?delivery={then.delivery_id}",
        "status_callback_event": "initiated answered completed",
        "status_callback_method": "POST",
        **whisper,
    }


def _ears(choices: Sequence[Button], then: Listen, language: Language) -> dict[str, object]:
    """Gather's attributes: one key is enough where every choice has one."""
    one_key = {"num_digits": 1} if 0 < len(choices) <= menu.KEYS else {}
    hints = ",".join(button.title.replace(",", " ") for button in choices[:MAX_HINTS])
    return {
        "input": "dtmf speech",
        "method": "POST",
        "timeout": then.seconds,
        "speech_timeout": "auto",
        "language": EARS[language],
        **one_key,
        **({"hints": hints} if hints else {}),
    }


def _lines(say: Say, language: Language) -> list[str]:
    return [line for text in (say.text, menu.spoken(say.text, say.buttons, language)) if (line := speakable(text))]


def _speak(parent: VoiceResponse | Gather, line: str, language: Language) -> None:
    voice, tag = VOICES[language]
    say: SayVerb = parent.say(voice=voice, language=tag)
    say.prosody(line, rate=RATE)


def speakable(text: str) -> str:
    """Text without what cannot be spoken: pictures, control characters and what XML may not hold.

    >>> speakable("您好😊\\x00 请讲")
    '您好 请讲'
    """
    kept = (c for c in text if c in "\n\t" or unicodedata.category(c) not in ("So", "Sk", "Cc", "Cs", "Co", "Cn", "Cf"))
    return " ".join("".join(kept).split())
