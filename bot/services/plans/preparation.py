"""The preparation card: what an agent, and the bot, must know before dialling (REQ-C20)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from bot.core.book import Book, Call, Collect, Link
from bot.core.policy import Preparation
from bot.core.words import CallbackState, FollowUpGroup, Language
from bot.services import audit, contacts
from bot.services.calls.callback_changes import TEXT, CallbackRefusedError
from bot.services.library import Shelf
from store.db import touch
from store.tables import Callback, Case, Contact, Event

NAME_MISSING, PURPOSE_MISSING = "name_missing", "purpose_missing"
EARLIEST_BIRTH = 1900
INTERESTS = 200  # characters


@dataclass(frozen=True, slots=True)
class Card:
    """What is known before a call. `asks` are the script's questions in order, `card` the words of its plan; `missing`
    is why the bot does not dial, "" where it may."""

    name: str
    title: str
    age: int | None
    interests: str
    reason: str
    asks: tuple[str, ...]
    card: Preparation | None
    notes: str
    missing: str


def prepare(session: Session, shelf: Shelf, callback: Callback, language: Language, now: datetime) -> Card:
    """The card of a callback, in the reader's language."""
    contact = session.get_one(Contact, callback.contact_id)
    details = _details(session, callback)
    words = shelf.preparations.get(callback.follow_up_group)
    age = details.get("age", "")
    return Card(
        name=_name(contact, details),
        title=details.get("title") or contact.title,
        age=int(age) if age.isascii() and age.isdecimal() else _age(contact, now),
        interests=details.get("interests") or contact.interests,
        reason=_purpose(session, shelf, callback, details, language),
        asks=tuple(dict.fromkeys(_asks(shelf.book, callback.flow_id, language))),
        card=words,
        notes=callback.notes,
        missing=missing(session, shelf, callback),
    )


def missing(session: Session, shelf: Shelf, callback: Callback) -> str:
    """Why the bot may not dial: nobody knows whom it would be calling, or what for; "" where both are known.

    Who asked to be called is expecting it and is asked for their name then; nobody is approached by name there.
    """
    details = _details(session, callback)
    contact = session.get_one(Contact, callback.contact_id)
    if callback.follow_up_group is not FollowUpGroup.REQUESTED and not _name(contact, details):
        return NAME_MISSING
    return "" if _purpose(session, shelf, callback, details, contact.language) else PURPOSE_MISSING


def write(
    session: Session,
    callback_id: int,
    *,
    known: dict[str, str],
    notes: str,
    revision: int,
    staff_id: int,
    now: datetime,
) -> Callback:
    """Keeps what an agent found out beforehand: `known` may hold name, title, birth_year and interests of the person;
    `notes` are the key points. A call that waited for a name may then go out."""
    callback = session.get(Callback, callback_id, with_for_update=True, populate_existing=True)
    if callback is None:
        raise CallbackRefusedError("not_found")
    if callback.revision != revision:
        raise CallbackRefusedError("callback_changed")
    facts: dict[str, Any] = {
        "name": known.get("name", "").strip()[:120],
        "title": known.get("title", "").strip()[:40],
        "interests": known.get("interests", "").strip()[:INTERESTS],
        "birth_year": _year(known.get("birth_year", ""), now),
    }
    contacts.learn(session, callback.contact_id, facts, now=now, staff_id=staff_id, why="preparation")
    notes = notes.strip()[:TEXT]
    if notes != callback.notes:
        audit.revise(session, "callback", callback.id, "notes", callback.notes, notes, now=now, staff_id=staff_id)
        callback.notes = notes
    if NAME_MISSING in callback.flags and callback.state is CallbackState.SCHEDULED:
        callback.due_at = now
    callback.revision += 1
    audit.record(session, "callback.prepare", "callback", callback.id, now=now, staff_id=staff_id)
    touch(session, "callbacks")
    return callback


def _year(told: str, now: datetime) -> int | None:
    told = told.strip()
    if not told:
        return None
    if told.isascii() and told.isdecimal() and EARLIEST_BIRTH <= int(told) <= now.year:
        return int(told)
    raise CallbackRefusedError("birth_year_bad")


def _age(contact: Contact, now: datetime) -> int | None:
    return now.year - contact.birth_year if contact.birth_year is not None else None


def _details(session: Session, callback: Callback) -> dict[str, str]:
    event = session.get(Event, callback.event_id) if callback.event_id is not None else None
    return {key: str(value) for key, value in event.details.items()} if event is not None else {}


def _name(contact: Contact, details: dict[str, str]) -> str:
    """A number may be a family's: who visited is named in the event."""
    return (details.get("name") or contact.name).strip()


def _purpose(session: Session, shelf: Shelf, callback: Callback, details: dict[str, str], language: Language) -> str:
    """What the call is about, most particular first; with what its plan says."""
    case = session.get(Case, callback.case_id) if callback.case_id is not None else None
    words, plan = shelf.preparations.get(callback.follow_up_group), shelf.policies.plans.get(callback.plan)
    told = (
        case.subject if case is not None else callback.topic,
        details.get("department", ""),
        details.get("treatment", ""),
    )
    parts = [part for part in dict.fromkeys(told) if part]
    if words is not None:
        parts.append(words.reason.of(language))
    elif plan is not None:
        parts.append(plan.name.get(language, ""))
    return " · ".join(part for part in parts if part)


def _asks(book: Book, flow_id: str, language: Language) -> Iterator[str]:
    """What a script asks, by the names staff know, in the order of its steps; through the flows it calls."""
    ahead, seen = [flow_id], set[str]()
    while ahead:
        flow = book.flows.get(ahead.pop(0))
        if flow is None or flow.id in seen:
            continue
        seen.add(flow.id)
        inner = []
        for node in flow.nodes.values():
            match node:
                case Collect(slot=slot) if labels := book.slots[slot].labels:
                    yield labels.get(language, slot)
                case Call(flow=other) | Link(flow=other):
                    inner.append(other)
                case _:
                    pass
        ahead = inner + ahead
