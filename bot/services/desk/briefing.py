"""What the next colleague must know, so that the customer repeats nothing (REQ-E17): written into the conversation.

A private line: who hands over to whom and why, what the bot asked and heard, what is still open and by when.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import Author, CallbackState, Language, Say
from bot.services import i18n
from bot.services.casework.cases import OPEN_STATES
from bot.services.centre import Centre
from bot.services.conversation.conversations import Held, add_lines
from bot.services.i18n import N_
from store.tables import Callback, Case, Message, Staff

HANDED = N_("%(name)s 转交给 %(to)s")
NOTE = N_("说明：%(note)s")
ASKED = N_("客户最近说：%(words)s")
TOLD = N_("已问到：%(facts)s")
OPEN_CASE = N_("未完成工单 %(number)s：%(subject)s，期限 %(due)s")
NO_LIMIT = N_("未定")
PROMISED = N_("答应了 %(at)s 回电")
LAST_WORDS = 120  # characters


def write(session: Session, centre: Centre, held: Held, staff_id: int, to: str, note: str, now: datetime) -> None:
    """Adds the summary to a conversation that is about to be handed over; `held` is the caller's to save."""
    language = centre.settings.language
    lines = [i18n.text(language, HANDED, name=session.get_one(Staff, staff_id).name, to=to)]
    if note.strip():
        lines.append(i18n.text(language, NOTE, note=note.strip()))
    lines += _summary(session, centre, held, language)
    add_lines(session, held, Author.AGENT, [Say("\n".join(lines))], now, staff_id=staff_id, private=True)


def _summary(session: Session, centre: Centre, held: Held, language: Language) -> list[str]:
    last = session.scalar(
        select(Message.text)
        .where(Message.conversation_id == held.id, Message.author == Author.CUSTOMER)
        .order_by(Message.seq.desc())
        .limit(1)
    )
    lines = [i18n.text(language, ASKED, words=last[:LAST_WORDS])] if last else []
    if facts := _facts(centre, held, language):
        lines.append(i18n.text(language, TOLD, facts=facts))
    cases = select(Case).where(Case.contact_id == held.contact_id, Case.state.in_(OPEN_STATES)).order_by(Case.id)
    for case in session.scalars(cases.limit(5)):
        due = i18n.when(language, case.due_at, centre.settings.zone) if case.due_at else i18n.text(language, NO_LIMIT)
        lines.append(i18n.text(language, OPEN_CASE, number=case.number, subject=case.subject, due=due))
    calls = select(Callback.due_at).where(
        Callback.contact_id == held.contact_id, Callback.state == CallbackState.SCHEDULED, Callback.due_at.is_not(None)
    )
    promised = session.scalars(calls.order_by(Callback.due_at).limit(3))
    zone = centre.settings.zone
    return lines + [i18n.text(language, PROMISED, at=i18n.when(language, at, zone)) for at in promised if at]


def _facts(centre: Centre, held: Held, language: Language) -> str:
    """What the flow has filled, by the names staff know; numbers and places stand in the contact's card, masked."""
    book = centre.library.current.book
    told = []
    for name, value in held.flow.get("state", {}).get("slots", {}).items():
        slot = book.slots.get(name)
        if slot is None or not slot.labels or value in (None, "") or name in SENSITIVE:
            continue
        told.append(f"{slot.labels.get(language, name)} {value}")
    return "；".join(told) if language is Language.ZH else "; ".join(told)


SENSITIVE = frozenset({"phone", "unit", "address", "property_unit"})
