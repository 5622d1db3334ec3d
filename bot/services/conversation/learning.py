"""Learning from what was not understood: collected as it happens, grouped, given an intent, kept as examples.

The examples are written to a file of their own in Rasa's training format; they go live with the next `hotline train`,
without a restart. No file that somebody edits by hand is ever touched.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml
from rapidfuzz import fuzz
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from bot.core.words import Parse
from bot.services import audit
from bot.services.conversation.conversations import Held
from bot.services.intents import known_intents
from bot.services.refusal import NotFoundError
from store.tables import Misunderstood

EXAMPLES = "learned.yml"
SHOWN = 400  # waiting messages looked at together
ALIKE = 70.0  # of 100: how near two texts are to stand in one group
NO_EXAMPLE = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Messages that say nearly the same; `guess` is the intent most of them were nearest to."""

    guess: str
    messages: tuple[Misunderstood, ...]


def keep_missed(session: Session, held: Held, message_id: int, text: str, parse: Parse, now: datetime) -> None:
    """Keeps the message the bot has just answered without understanding it."""
    if not held.flow.get("missed"):
        return
    session.add(
        Misunderstood(
            message_id=message_id,
            conversation_id=held.id,
            text=text,
            language=held.language,
            guess=parse.ranking[0][0] if parse.ranking else parse.intent,
            at=now,
        )
    )


def waiting(session: Session) -> list[Group]:
    """What waits for a person, the largest groups first."""
    rows = session.scalars(
        select(Misunderstood).where(Misunderstood.intent.is_(None)).order_by(Misunderstood.id.desc()).limit(SHOWN)
    )
    return sorted(group(rows), key=lambda found: -len(found.messages))


def group(rows: Iterable[Misunderstood]) -> list[Group]:
    """Puts messages of one language that say nearly the same together; each joins the first group it is near to."""
    groups: list[list[Misunderstood]] = []
    for row in rows:
        near = next(
            (g for g in groups if g[0].language is row.language and fuzz.ratio(g[0].text, row.text) >= ALIKE), None
        )
        if near is None:
            groups.append([row])
        else:
            near.append(row)
    return [Group(_most(row.guess for row in found), tuple(found)) for found in groups]


def _most(guesses: Iterable[str]) -> str:
    counted: dict[str, int] = {}
    for guess in guesses:
        counted[guess] = counted.get(guess, 0) + 1
    return max(counted, key=lambda guess: counted[guess])


def count(session: Session) -> int:
    """How many messages wait."""
    return session.scalar(select(func.count()).select_from(Misunderstood).where(Misunderstood.intent.is_(None))) or 0


def decide(session: Session, ids: Sequence[int], intent: str, *, staff_id: int, now: datetime) -> int:
    """Gives waiting messages an intent, or NO_EXAMPLE; says how many were still waiting. Raises NotFoundError."""
    if intent != NO_EXAMPLE and intent not in known_intents():
        raise NotFoundError
    decided = session.scalars(
        update(Misunderstood)
        .where(Misunderstood.id.in_(ids), Misunderstood.intent.is_(None))
        .values(intent=intent, staff_id=staff_id, decided_at=now)
        .returning(Misunderstood.id)
    ).all()
    if decided:
        audit.record(
            session, "examples.decide", "examples", None, now=now, staff_id=staff_id, intent=intent, count=len(decided)
        )
    return len(decided)


def learned(session: Session) -> dict[str, list[str]]:
    """Every example people gave, by intent, each text once."""
    rows = session.execute(
        select(Misunderstood.intent, Misunderstood.text)
        .where(Misunderstood.intent.is_not(None), Misunderstood.intent != NO_EXAMPLE)
        .order_by(Misunderstood.intent, Misunderstood.id)
    )
    found: dict[str, list[str]] = {}
    for intent, said in rows:
        line = " ".join(said.split())
        if intent is not None and line and line not in found.setdefault(intent, []):
            found[intent].append(line)
    return found


def write_examples(folder: Path, examples: Mapping[str, Sequence[str]]) -> Path:
    """Writes the examples in Rasa's training format, whole or not at all; gives the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / EXAMPLES
    entries = [
        {"intent": intent, "examples": "".join(f"- {_plain(line)}\n" for line in lines)}
        for intent, lines in sorted(examples.items())
    ]
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write("# Written by the program from what people decided at the console. Edit nothing here.\n")
        yaml.safe_dump({"version": "3.1", "nlu": entries}, file, allow_unicode=True, sort_keys=False)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return path


def _plain(line: str) -> str:
    """Without the brackets that mark entities in training data."""
    return line.translate({ord(c): " " for c in "[]{}"})
