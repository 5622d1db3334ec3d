"""Every conversation in this folder's .yml files runs as it is written: words, actions with their arguments, slots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from bot.core.flow import Book, State
from bot.core.words import Act, Language, Parse
from nlu.emotion import emotion
from nlu.entities import extract
from scripts.loader import load_book
from scripts.player import Player, transcript

HERE = Path(__file__).parent
ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 7, 1, 10, 0, tzinfo=ZONE)
RESULTS: Mapping[str, Mapping[str, Any]] = {  # what the services answer, unless a conversation says otherwise
    "action_open_case": {"case_number": "C20260701-0001"},
    "action_red_flag": {"case_number": "R20260701-0001"},
    "action_handoff": {"queue_position": 1, "wait_minutes": None},
    "action_case_status": {"case_found": False},
    "action_book_callback": {"callback_ok": True},
    "action_offer_slots": {
        "slot_1": "7月2日 09:00",
        "slot_1_at": "2026-07-02T09:00:00+08:00",
        "slot_2": "7月2日 15:00",
        "slot_2_at": "2026-07-02T15:00:00+08:00",
    },
    "action_find_incident": {"incident_open": False},
    "action_service_hours": {"hours_text": "09:00–18:00", "hours_open": True},
}
CONTEXT = {
    "zh": {"company": "安心服务", "bot_name": "小安"},
    "en": {"company": "Anxin Services", "bot_name": "Ann"},
}


@cache
def book() -> Book:
    return load_book()


def conversations() -> Iterator[tuple[Path, str, dict[str, Any]]]:
    for file in sorted(HERE.glob("*.yml")):
        for name, each in yaml.safe_load(file.read_text(encoding="utf-8")).items():
            yield file, name, each


def understand(text: str, expecting: frozenset[str]) -> Parse:
    """Entities and emotion as the embedded engine finds them; the intent is given in the conversation."""
    del expecting
    return Parse(text, "", 0.0, entities=extract(text, NOW, ZONE), emotion=emotion(text))


def play(each: Mapping[str, Any]) -> str:
    results = {**RESULTS, **each.get("results", {})}

    def perform(act: Act) -> Mapping[str, Any]:
        booked = {"callback_at": act.args.get("preferred_time")} if act.name == "action_book_callback" else {}
        return {**results.get(act.name, {}), **booked}

    language = each.get("language", "zh")
    context = {"channel": "webchat", "language": language, **CONTEXT[language], **each.get("context", {})}
    player = Player(book(), understand, perform, context, NOW)
    player.state = State(slots=each.get("slots", {}))
    lines = player.begin(each.get("flow", "pattern_session_start"))
    for text in each["says"]:
        lines += player.say(str(text))
    return transcript(lines, explain=True)


@pytest.mark.parametrize(
    ("file", "name"), [pytest.param(file, name, id=f"{file.stem}-{name}") for file, name, _ in conversations()]
)
def test_conversation(file: Path, name: str, request: pytest.FixtureRequest) -> None:
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    played = play(document[name])
    if request.config.getoption("--update-golden", default=False):
        document[name]["transcript"] = played + "\n"
        _write(file, document)
        return
    assert played == str(document[name].get("transcript", "")).rstrip("\n")


def test_a_conversation_exists_in_both_languages() -> None:
    languages = {each.get("language", "zh") for _, _, each in conversations()}
    assert languages == set(Language)


class _Dumper(yaml.SafeDumper):
    """Transcripts as literal blocks, readable in a review."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _write(file: Path, document: Mapping[str, Any]) -> None:
    head = "".join(line for line in file.read_text(encoding="utf-8").splitlines(True) if line.startswith("#"))
    body = yaml.dump(document, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=1000)
    file.write_text(head + body, encoding="utf-8")
