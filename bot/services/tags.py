"""Tags: free labels that staff put on a customer, to find them and to announce to them (REQ-F32). Segments are another
thing: classes that policies know, such as key accounts.

A tag is what colleagues see: short, without commas; "VIP" and "vip" are one, written as it was first.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Select, exists, false, func, select
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.orm import InstrumentedAttribute, Session

from bot.services import audit, contacts
from bot.services.refusal import RefusedError
from store.tables import Contact

LONGEST = 24  # characters of a tag
MOST = 20  # tags of one person
BETWEEN = re.compile(r"[,，、;；|/\n]")
WHY = "tags"


class TagRefusedError(RefusedError):
    """What was to be a tag is none: `code` is tag_empty, tag_long or tags_many."""


def read(text: str) -> list[str]:
    """The tags of a list's cell or of what somebody typed, each once. Raises TagRefusedError."""
    found: dict[str, str] = {}
    for piece in BETWEEN.split(unicodedata.normalize("NFKC", text)):
        if tag := " ".join(piece.split()):
            found.setdefault(tag.casefold(), tag)
    if any(len(tag) > LONGEST for tag in found.values()):
        raise TagRefusedError("tag_long")
    if len(found) > MOST:
        raise TagRefusedError("tags_many")
    return list(found.values())


def joined(known: Iterable[str], more: Iterable[str]) -> list[str]:
    """Both, each once, in the order they came and as it was written first."""
    found: dict[str, str] = {}
    for tag in (*known, *more):
        found.setdefault(tag.casefold(), tag)
    return list(found.values())


def add(
    session: Session, contact_id: int, text: str, *, now: datetime, staff_id: int | None = None, why: str = WHY
) -> None:
    """Puts tags on a person; those they have stay. Raises TagRefusedError."""
    new = read(text)
    if not new:
        raise TagRefusedError("tag_empty")
    person = _held(session, contact_id)
    if {tag.casefold() for tag in new} <= {tag.casefold() for tag in person.tags}:
        return  # as most rows of a list that comes again; how others spell them is asked of every contact
    spelt = {tag.casefold(): tag for tag in known(session)}
    theirs = joined(person.tags, (spelt.get(tag.casefold(), tag) for tag in new))
    if len(theirs) > MOST:
        raise TagRefusedError("tags_many")
    _write(session, person, theirs, "contact.tag", now, staff_id, why)


def remove(session: Session, contact_id: int, tag: str, *, now: datetime, staff_id: int) -> None:
    """Takes a tag off a person; one they have not is none to take."""
    person = _held(session, contact_id)
    _write(session, person, [each for each in person.tags if each != tag], "contact.untag", now, staff_id, WHY)


def known(session: Session) -> dict[str, int]:
    """Every tag somebody has, by name, with how many people have it."""
    counts: dict[str, int] = {}
    here = Contact.merged_into_id.is_(None) & Contact.erased_at.is_(None)
    for tags, people in session.execute(select(Contact.tags, func.count()).where(here).group_by(Contact.tags)):
        for tag in tags:
            counts[tag] = counts.get(tag, 0) + people
    return dict(sorted(counts.items()))


def carried_by(session: Session, tag: str) -> Select[tuple[int]]:
    """Selects the contacts that carry a tag, whatever its case."""
    spelt = [each for each in known(session) if each.casefold() == tag.strip().casefold()]
    return select(Contact.id).where(has_any(session, Contact.tags, spelt) if spelt else false())


def has_any(session: Session, labels: InstrumentedAttribute[list[str]], wanted: Sequence[str]) -> ColumnElement[bool]:
    """Whether one of these stands in a contact's tags, or segments."""
    if session.get_bind().dialect.name == "postgresql":
        return labels.op("?|")(array(wanted))
    each = func.json_each(labels).table_valued("value")
    return exists().where(each.c.value.in_(wanted))


def _held(session: Session, contact_id: int) -> Contact:
    who = contacts.survivor(session, contact_id)
    return session.get_one(Contact, who, with_for_update=True, populate_existing=True)


def _write(
    session: Session, person: Contact, tags: list[str], action: str, now: datetime, staff_id: int | None, why: str
) -> None:
    if tags == person.tags:
        return
    contacts.learn(session, person.id, {"tags": tags}, now=now, staff_id=staff_id, why=why)
    audit.record(session, action, "contact", person.id, now=now, staff_id=staff_id)
