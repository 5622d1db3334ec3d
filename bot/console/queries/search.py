"""What one search found, in groups, as the viewer may see it (REQ-A22, G14)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.console.queries.cases import CaseRow, case_rows
from bot.console.queries.conversations import visible_to
from bot.core.search import snippet
from bot.core.words import ChannelName
from bot.services import search
from bot.services.permissions import Function
from bot.services.search import Said
from bot.services.staffing.staff import SignedIn
from store.tables import Address, Case, Contact

SHOWN = 20  # of each group


@dataclass(frozen=True, slots=True)
class Person:
    """A contact as they stand in a list: numbers always as hints."""

    id: int
    who: str
    title: str
    hints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """A line that was found; `pieces` say which part is what was asked."""

    line: Said
    pieces: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """Everything one search found; a group with SHOWN entries may have more."""

    people: tuple[Person, ...] = ()
    cases: tuple[CaseRow, ...] = ()
    messages: tuple[Hit, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.people or self.cases or self.messages)


def found(session: Session, query: str, viewer: SignedIn, limit: int = SHOWN) -> Found:
    """People for whoever may see contacts; cases and messages for those who handle the queue."""
    people = _people(session, search.people(session, query, limit))
    if not viewer.may(Function.HANDLE_QUEUE):
        return Found(people)
    numbers = search.cases(session, query, limit)
    cases = case_rows(session, viewer, Case.id.in_(numbers), limit=limit) if numbers else ()
    said = search.messages(session, query, *visible_to(viewer), limit=limit)
    return Found(people, cases, tuple(Hit(line, snippet(query, line.text)) for line in said))


def _people(session: Session, ids: list[int]) -> tuple[Person, ...]:
    hints: dict[int, dict[str, None]] = {each: {} for each in ids}
    for contact_id, hint in session.execute(
        select(Address.contact_id, Address.hint).where(
            Address.contact_id.in_(ids), Address.channel.in_((ChannelName.VOICE, ChannelName.SMS))
        )
    ):
        hints[contact_id][hint] = None
    rows = {row.id: row for row in session.scalars(select(Contact).where(Contact.id.in_(ids)))}
    return tuple(Person(each, rows[each].name, rows[each].title, tuple(hints[each])) for each in ids)
