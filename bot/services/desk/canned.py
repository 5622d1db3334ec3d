"""Answers kept ready for agents, in both languages: kept, changed, filled in and offered (REQ-B04, B05).

A blank such as {name} is filled from the conversation; one that is not known is left for the agent to see, but for
{title}, which may be nothing. What the scripts themselves say to the customer's last intent is offered beside them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.book import Book, Utter
from bot.core.words import Author, Language
from bot.services import audit
from bot.services.casework import cases
from bot.services.centre import Centre
from bot.services.conversation.conversations import MAX_TEXT, Held, hold
from bot.services.conversation.talk import context_of
from bot.services.i18n import N_
from bot.services.refusal import RefusedError
from store.tables import CannedReply, Message, Staff

SHORTCUT = re.compile(r"[^\s/]{1,40}")
BLANK = re.compile(r"\{(\w+)\}")
BLANKS = {
    "title": N_("称呼，如“郑女士”"),
    "name": N_("客户姓名"),
    "agent": N_("您的姓名"),
    "company": N_("机构名称"),
    "case": N_("未完成工单的编号"),
    "hotline": N_("服务电话"),
}
"""What may stand in braces."""
OFFERED = 3  # answers of the scripts


def everything(session: Session) -> list[CannedReply]:
    return list(session.scalars(select(CannedReply).order_by(CannedReply.shortcut)))


def keep(
    session: Session,
    reply_id: int | None,
    shortcut: str,
    intent: str,
    zh: str,
    en: str,
    *,
    staff_id: int,
    now: datetime,
) -> int:
    """Adds a reply, or changes the one of that id. Raises RefusedError."""
    shortcut, zh, en = shortcut.strip().lstrip("/"), zh.strip(), en.strip()
    if not SHORTCUT.fullmatch(shortcut):
        raise RefusedError("shortcut_bad")
    if not zh or not en or max(len(zh), len(en)) > MAX_TEXT:
        raise RefusedError("canned_text")
    if unknown := {name for name in BLANK.findall(zh + en) if name not in BLANKS}:
        raise RefusedError("canned_blank") from ValueError(", ".join(sorted(unknown)))
    taken = session.scalar(select(CannedReply.id).where(CannedReply.shortcut == shortcut))
    if taken is not None and taken != reply_id:
        raise RefusedError("shortcut_taken")
    reply = CannedReply() if reply_id is None else session.get_one(CannedReply, reply_id)
    reply.shortcut, reply.intent, reply.zh, reply.en = shortcut, intent, zh, en
    reply.staff_id, reply.changed_at = staff_id, now
    session.add(reply)
    session.flush()
    audit.record(session, "canned.keep", "canned", reply.id, now=now, staff_id=staff_id, shortcut=shortcut)
    return reply.id


def drop(session: Session, reply_id: int, *, staff_id: int, now: datetime) -> None:
    """Removes a reply."""
    reply = session.get_one(CannedReply, reply_id)
    session.delete(reply)
    audit.record(session, "canned.drop", "canned", reply_id, now=now, staff_id=staff_id, shortcut=reply.shortcut)


# ── offered in a conversation ──


@dataclass(frozen=True, slots=True)
class Offer:
    """A text to put into the answer. `shortcut` is "" for one of the scripts' own; `fits`: for what was asked last."""

    shortcut: str
    text: str
    fits: bool


def offers(session: Session, centre: Centre, conversation_id: int, staff_id: int) -> list[Offer]:
    """What may be answered here, in the customer's language, what fits first. Raises NotFoundError."""
    held = hold(session, conversation_id)
    intent = _last_intent(session, conversation_id)
    known = _known(session, centre, held, staff_id)
    kept = [
        Offer(reply.shortcut, _filled(reply.zh if held.language is Language.ZH else reply.en, known), fits)
        for reply in everything(session)
        for fits in [bool(intent) and reply.intent == intent]
    ]
    scripted = [Offer("", text, True) for text in said_to(centre.library.current.book, intent, held.language)]
    return sorted(kept, key=lambda offer: not offer.fits) + scripted


def said_to(book: Book, intent: str, language: Language) -> list[str]:
    """What the flows that this intent starts say at once, as far as it needs nothing filled in."""
    texts: dict[str, None] = {}
    for trigger in book.triggers.get(intent, ()):
        for node in book.flows[trigger.flow].nodes.values():
            variants = book.responses.get(node.response, ()) if isinstance(node, Utter) else ()
            for text in (variant.texts.get(language, "") for variant in variants[:1]):
                if text and not BLANK.search(text):
                    texts[text] = None
    return list(texts)[:OFFERED]


def _last_intent(session: Session, conversation_id: int) -> str:
    lately = (
        select(Message.understood)
        .where(Message.conversation_id == conversation_id, Message.author == Author.CUSTOMER)
        .order_by(Message.seq.desc())
        .limit(10)
    )
    return next((str(each["intent"]) for each in session.scalars(lately) if each and each.get("intent")), "")


def _known(session: Session, centre: Centre, held: Held, staff_id: int) -> dict[str, str]:
    context = context_of(centre, held)
    case = cases.open_for(session, held.contact_id)
    found = {
        "title": context["title"],
        "name": held.name,
        "agent": session.get_one(Staff, staff_id).name,
        "company": context["company"],
        "case": case.number if case else None,
        "hotline": context["hotline"],
    }
    return {"title": "", **{name: str(value) for name, value in found.items() if value}}


def _filled(text: str, known: dict[str, str]) -> str:
    return BLANK.sub(lambda blank: known.get(blank[1], blank[0]), text)
