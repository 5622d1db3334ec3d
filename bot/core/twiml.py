"""What a telephone does with TwiML: pure, from a document to what is heard and what is wanted next.

    passage = play(document)          → what is heard, then Gather | Record | Dial | Fetch | Over
    play(document, passage.at)        where a Gather got nothing: on from behind it

Verbs: Say (with prosody and other speech marks inside), Play, Pause, Gather, Record, Dial (with one Number), Redirect,
Hangup, Reject. A verb that is not listed raises BadTwimlError: better here than at a carrier.
(Meaning of verbs and defaults: Twilio documentation, "TwiML for Programmable Voice".)
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

MAX_DOCUMENT = 64 * 1024  # characters; Twilio's limit, in bytes
MAX_LOOPS = 10
TIMEOUT = 5.0  # seconds a Gather waits by default
PAUSE = 1.0
FINISH = "#"
TAGS = {"cmn-CN": "zh-CN"}  # a voice's language as browsers call it


class BadTwimlError(ValueError):
    """The document cannot be played; the message says why and holds none of its text."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Something the person on the line hears: words, a recording's address, or `pause` seconds of silence."""

    text: str = ""
    language: str = "en-US"
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Gather:
    """Listen while what was heard goes on, and `timeout` seconds after it. `digits` None: as many as are pressed until
    `finish`. `empty`: silence too is told to `url`."""

    url: str
    dtmf: bool = True
    speech: bool = False
    timeout: float = TIMEOUT
    digits: int | None = None
    finish: str = FINISH
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Fetch:
    """Ask this address for the next document, with these parameters (a POST's form)."""

    url: str
    form: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Over:
    """The call ends; `rejected` says it was never answered ("busy" or "rejected"). `ran_out`: the document has no more
    verbs, which in a whisper connects the two."""

    rejected: str | None = None
    ran_out: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """After a beep, what is said is recorded until `finish` is pressed or `limit` seconds are over, and told to `url`;
    where nothing is said the document goes on. `ready` is told once it may be fetched."""

    url: str
    limit: int = 3600
    timeout: float = TIMEOUT
    finish: str = "1234567890*#"
    ready: str | None = None


@dataclass(frozen=True, slots=True)
class Dial:
    """`number` rings for `timeout` seconds; who answers hears `whisper` first. When it is over, `url` is told."""

    number: str
    url: str
    whisper: str | None = None
    timeout: float = 30.0
    report: str | None = None


@dataclass(frozen=True, slots=True)
class Talk:
    """Two calls are connected, or about to be (`ringing`): what one says the other hears."""

    peer: int
    ringing: bool = False


Then = Gather | Record | Dial | Talk | Fetch | Over
KINDS: Mapping[str, type[Then]] = {kind.__name__: kind for kind in (Gather, Record, Dial, Talk, Fetch, Over)}


@dataclass(frozen=True, slots=True)
class Passage:
    """What is heard, what comes then, and the verb at which the document goes on behind a Gather."""

    heard: tuple[Heard, ...]
    then: Then
    at: int


def play(document: str, at: int = 0, *, url: str = "") -> Passage:
    """Plays from the verb numbered `at` until something is wanted from outside. `url` is where the document came from;
    relative addresses are relative to it. Raises BadTwimlError."""
    heard: list[Heard] = []
    verbs = _verbs(document)
    for index in range(at, len(verbs)):
        verb = verbs[index]
        match verb.tag:
            case "Say" | "Play" | "Pause":
                heard += _heard(verb)
            case "Gather":
                for nested in verb:
                    heard += _heard(nested)
                return Passage(tuple(heard), _gather(verb, url), index + 1)
            case "Record":
                return Passage(tuple(heard), _record(verb, url), index + 1)
            case "Dial":
                return Passage(tuple(heard), _dial(verb, url), index + 1)
            case "Redirect":
                return Passage(tuple(heard), Fetch(urljoin(url, _text(verb))), index + 1)
            case "Hangup":
                return Passage(tuple(heard), Over(), index + 1)
            case "Reject":
                return Passage(tuple(heard), Over(verb.get("reason", "rejected")), index + 1)
            case _:
                raise BadTwimlError(f"verb {index + 1} is none that can be played")
    return Passage(tuple(heard), Over(ran_out=True), len(verbs))


def reply(gather: Gather, digits: str = "", speech: str = "") -> Fetch | None:
    """What a Gather makes of what was pressed or said; None where that is nothing it listens for."""
    pressed = "".join(c for c in digits if c in "0123456789*#")
    if gather.dtmf and pressed:
        if gather.finish and gather.finish in pressed:
            pressed = pressed[: pressed.index(gather.finish)] or pressed
        return Fetch(gather.url, {"Digits": pressed[: gather.digits]})
    if gather.speech and speech.strip():
        return Fetch(gather.url, {"SpeechResult": speech.strip(), "Confidence": "1.0"})
    return Fetch(gather.url, {"Digits": ""}) if gather.empty else None


def recorded(record: Record, sid: str, words: str) -> Fetch:
    """What a Record makes of words, which are all there is where nothing carries a voice."""
    spoken = max(1, round(len(words) / 4))  # seconds, as people talk
    form = {"RecordingSid": sid, "RecordingDuration": str(min(spoken, record.limit)), "TranscriptionText": words}
    return Fetch(record.url, form)


def to_json(passage: Passage) -> dict[str, Any]:
    """Plain JSON; `from_json` gives the same value back."""
    then = passage.then
    kind = type(then).__name__
    fields = {name: getattr(then, name) for name in type(then).__dataclass_fields__}
    if isinstance(then, Fetch):
        fields["form"] = dict(then.form)
    return {
        "heard": [{"text": h.text, "language": h.language, "pause": h.pause} for h in passage.heard],
        "then": {"kind": kind, **fields},
        "at": passage.at,
    }


def from_json(stored: Mapping[str, Any]) -> Passage:
    fields = dict(stored["then"])
    kind = KINDS[fields.pop("kind")]
    return Passage(tuple(Heard(**heard) for heard in stored["heard"]), kind(**fields), stored["at"])


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _verbs(document: str) -> list[ElementTree.Element]:
    if len(document) > MAX_DOCUMENT:
        raise BadTwimlError("the document is too large")
    if "<!" in document:  # no DOCTYPE, so no entities that expand
        raise BadTwimlError("the document declares more than verbs")
    try:
        root = ElementTree.fromstring(document)  # noqa: S314 - without declarations there is nothing to expand
    except (ElementTree.ParseError, ValueError) as error:
        raise BadTwimlError("the document is not XML") from error
    if root.tag != "Response":
        raise BadTwimlError("the document is no <Response>")
    return list(root)


def _heard(verb: ElementTree.Element) -> Iterator[Heard]:
    match verb.tag:
        case "Say":
            tag = verb.get("language", "en-US")
            once = Heard(_text(verb), TAGS.get(tag, tag))
        case "Play":
            once = Heard(f"♪ {_text(verb)}")
        case "Pause":
            once = Heard(pause=_number(verb, "length", PAUSE))
        case _:
            raise BadTwimlError("something stands in a <Gather> that cannot be heard")
    if once.text or once.pause:
        for _ in range(_times(verb)):
            yield once


def _times(verb: ElementTree.Element) -> int:
    loops = int(_number(verb, "loop", 1))
    return min(loops, MAX_LOOPS) if loops else MAX_LOOPS  # 0: until the call ends


def _gather(verb: ElementTree.Element, url: str) -> Gather:
    inputs = verb.get("input", "dtmf").split()
    digits = int(_number(verb, "numDigits", 0))
    return Gather(
        url=urljoin(url, verb.get("action", "")),
        dtmf="dtmf" in inputs,
        speech="speech" in inputs,
        timeout=_number(verb, "timeout", TIMEOUT),
        digits=digits or None,
        finish=verb.get("finishOnKey", FINISH),
        empty=verb.get("actionOnEmptyResult", "false") == "true",
    )


def _record(verb: ElementTree.Element, url: str) -> Record:
    ready = verb.get("recordingStatusCallback")
    return Record(
        url=urljoin(url, verb.get("action", "")),
        limit=int(_number(verb, "maxLength", 3600)),
        timeout=_number(verb, "timeout", TIMEOUT),
        finish=verb.get("finishOnKey", "1234567890*#"),
        ready=urljoin(url, ready) if ready else None,
    )


def _dial(verb: ElementTree.Element, url: str) -> Dial:
    numbers = list(verb)
    if len(numbers) != 1 or numbers[0].tag != "Number":
        raise BadTwimlError("a <Dial> without its one <Number>")
    whisper, report = numbers[0].get("url"), numbers[0].get("statusCallback")
    return Dial(
        number=_text(numbers[0]),
        url=urljoin(url, verb.get("action", "")),
        whisper=urljoin(url, whisper) if whisper else None,
        timeout=_number(verb, "timeout", 30.0),
        report=urljoin(url, report) if report else None,
    )


def _number(verb: ElementTree.Element, name: str, default: float) -> float:
    try:
        number = float(verb.get(name, default))
    except ValueError as error:
        raise BadTwimlError(f"{verb.tag}'s {name} is no number") from error
    if not 0 <= number <= 3600:
        raise BadTwimlError(f"{verb.tag}'s {name} is out of range")
    return number


def _text(verb: ElementTree.Element) -> str:
    """The words, without the speech marks around them."""
    return " ".join("".join(verb.itertext()).split())
