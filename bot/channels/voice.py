"""The telephone: calls placed through a carrier, and what they say as TwiML.

TwiML verbs used: Gather (input "dtmf speech") with Say inside, Redirect where nothing was heard, Hangup. The same
document goes to every carrier; the sandbox plays it in the browser (bot/core/twiml.py).
(Verbs and attributes: Twilio documentation, "TwiML for Programmable Voice".)
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import datetime

from twilio.twiml.voice_response import Gather, VoiceResponse
from twilio.twiml.voice_response import Say as SayVerb

from bot.channels import menu
from bot.channels.carrier import Carrier
from bot.core.telephone import GoOn, Listen, Next
from bot.core.words import Button, Can, ChannelName, Language, Outgoing, Report, Say, Sent

VOICES = {Language.ZH: "zh-CN", Language.EN: "en-US"}
EARS = {Language.ZH: "cmn-Hans-CN", Language.EN: "en-US"}  # BCP-47 tags of Gather's speech recognition
RATE = "92%"  # a little slower than talk: many who are called are old or ill
MAX_HINTS = 20


class VoiceChannel:
    """Sends by ringing; what is said is asked for once somebody picks up."""

    name = ChannelName.VOICE
    can = Can(max_text=3000, max_buttons=menu.KEYS, buttons=True, receipts=True, voice=True, per_second=1.0)

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    @property
    def carrier(self) -> str:
        return self._carrier.name

    async def send(self, out: Outgoing) -> Sent:
        return await self._carrier.place_call(out)

    async def look_up(self, out: Outgoing, since: datetime) -> Report | None:
        return await self._carrier.find(out, since)

    def answer(self, says: Sequence[Say], language: Language, then: Next) -> str:
        """The document of one step of a call: says, then listens, goes on or hangs up."""
        document = VoiceResponse()
        lines = [line for say in says for line in _lines(say, language)]
        match then:
            case Listen():
                choices = says[-1].buttons if says else ()
                gather = document.gather(**_ears(choices, then, language))
                for line in lines:
                    _speak(gather, line, language)
                document.redirect(then.silent_url, method="POST")
            case GoOn(url=url):
                for line in lines:
                    _speak(document, line, language)
                document.redirect(url, method="POST")
            case _:
                for line in lines:
                    _speak(document, line, language)
                document.hangup()
        return str(document)


def _ears(choices: Sequence[Button], then: Listen, language: Language) -> dict[str, object]:
    """Gather's attributes: one key is enough where every choice has one."""
    one_key = {"num_digits": 1} if 0 < len(choices) <= menu.KEYS else {}
    hints = ",".join(button.title.replace(",", " ") for button in choices[:MAX_HINTS])
    return {
        "input": "dtmf speech",
        "action": then.url,
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
    say: SayVerb = parent.say(language=VOICES[language])
    say.prosody(line, rate=RATE)


def speakable(text: str) -> str:
    """Text without what cannot be spoken: pictures, control characters and what XML may not hold.

    >>> speakable("您好😊\\x00 请讲")
    '您好 请讲'
    """
    kept = (c for c in text if c in "\n\t" or unicodedata.category(c) not in ("So", "Sk", "Cc", "Cs", "Co", "Cn", "Cf"))
    return " ".join("".join(kept).split())
