"""A caller who waits for a person: "press 1 and we call you back, you keep your place" (REQ-E05).

Or they leave a message (voicemail.py), or go on by text (to_text.py).
The conversation stays in the queue where it is, and whoever takes it sees the promise. Where the bot rings back first
and hands over again, the new conversation takes the old one's place (bot/services/desk/handoff.py).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import Author, CallbackSource, ConversationState, Language, Say
from bot.services import i18n
from bot.services.calls import bookings
from bot.services.centre import Centre
from bot.services.conversation.conversations import Held, add_lines, save
from bot.services.desk import handoff
from bot.services.i18n import N_
from store.db import vault_of
from store.tables import Address, Callback

log = structlog.get_logger()


class Choice(StrEnum):
    """What a caller may do instead of waiting."""

    CALL_BACK = "call_back"
    VOICEMAIL = "voicemail"
    TEXT = "text"


KEYS = {"1": Choice.CALL_BACK, "2": Choice.VOICEMAIL, "3": Choice.TEXT}
SOON = timedelta(minutes=10)  # the least time before we ring back: at once would only mean waiting again
PLACE, NEXT = N_("您前面还有%(ahead)s位。"), N_("下一位就是您。")
OFFER = N_("客服都在忙，请您稍候。不想等请按1，我们给您回电；留言请按2；转短信继续请按3。您的排队位置保留。")
NOBODY = N_("现在没有客服在线。请按1，我们给您回电；留言请按2；转短信继续请按3。也可以在线等候。")
PROMISED = N_("好的，我们%(at)s左右给您回电，您的排队位置保留。再见。")
NOTED = N_("客户选择回电（%(at)s），排队位置保留")


def may_be_called(session: Session, address_id: int) -> bool:
    """Whether the caller's number is known: a withheld one cannot be rung back."""
    return vault_of(session).open(session.get_one(Address, address_id).sealed).startswith("+")


def call_back(session: Session, centre: Centre, held: Held, now: datetime) -> str | None:
    """Owes a caller in the queue a call, once; gives what they are told, None where we cannot call them back."""
    if held.state is not ConversationState.QUEUED or not may_be_called(session, held.address_id):
        return None
    key = f"{handoff.WAITED}{held.id}"
    promised = session.scalar(select(Callback).where(Callback.dedupe_key == key))
    if promised is None:
        try:
            promised = bookings.book(
                session,
                centre,
                held.contact_id,
                dedupe_key=key,
                wish=now + max(SOON, handoff.waits(session, now=now)),
                topic=i18n.text(held.language, N_("来电等待人工")),
                address_id=held.address_id,
                source=CallbackSource.QUEUE,
                now=now,
            )
        except bookings.NotBookableError:
            log.info("waiting.not_bookable", conversation=held.id)
            return None
        note = i18n.text(centre.settings.language, NOTED, at=_at(promised, now, held, centre.settings.language))
        add_lines(session, held, Author.SYSTEM, [Say(note)], now, private=True)
        save(session, held)
    return i18n.text(held.language, PROMISED, at=_at(promised, now, held, held.language))


def _at(promised: Callback, now: datetime, held: Held, language: Language) -> str:
    return bookings.told(promised.due_at or now, now, held.zone, language)
