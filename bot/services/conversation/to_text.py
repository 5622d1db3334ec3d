"""A caller goes on by text message: the conversation moves to their number's SMS, and keeps its place in the queue. The
text carries a link that takes it on into the web chat (chat_links.py)."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import Author, ChannelName, ConversationState, Say, Urgency
from bot.services import contacts, i18n
from bot.services.calls import waiting
from bot.services.centre import Centre
from bot.services.conversation import chat_links
from bot.services.conversation.conversations import Held, add_lines, hold_at, save
from bot.services.delivery import outbox
from bot.services.desk import handoff
from bot.services.escalation import ladders
from bot.services.i18n import N_
from store.db import touch, vault_of
from store.tables import Address, Conversation

HERE = N_(
    "这里是%(company)s，请直接回复这条短信接着聊，排队位置保留。"
    "也可在网页上聊 %(link)s （%(hours)s小时内有效，请勿转发）"
)
TEXTED = N_("好的，短信已经发给您，直接回复就能接着聊，您的排队位置保留。再见。")
CAME_FROM = N_("客户从电话转到短信，之前说的在同一客户的通话记录里")
WENT_TO = N_("客户转到短信继续")


def go_on(session: Session, centre: Centre, held: Held, now: datetime) -> str | None:
    """Moves a caller in the queue to text messages; what they are told, None where their number is hidden."""
    if not waiting.may_be_called(session, held.address_id):
        return None
    number = vault_of(session).open(session.get_one(Address, held.address_id).sealed)
    address = contacts.add_address(session, held.contact_id, ChannelName.SMS, number, now)
    text = hold_at(
        session,
        centre.library.current.book.version,
        address.contact_id or held.contact_id,
        address.id,
        ChannelName.SMS,
        held.language,
        now,
    )
    place = session.execute(
        select(Conversation.queued_at, Conversation.queue, Conversation.reason).where(Conversation.id == held.id)
    ).one()
    add_lines(session, text, Author.SYSTEM, [Say(_ours(centre, CAME_FROM))], now, private=True)
    if text.state is ConversationState.BOT:
        handoff.to_people(
            session,
            centre,
            text,
            reason=place.reason or "asked",
            urgency=Urgency.ORDINARY,
            queue=place.queue or "service",
            now=now,
        )
        text.change(queued_at=place.queued_at or now)
    company = centre.library.current.policies.company.name.of(text.language)
    link, hours = chat_links.make(session, centre, text.id), str(chat_links.LIFE // timedelta(hours=1))
    words = i18n.text(text.language, HERE, company=company, link=link, hours=hours)
    outbox.put_lines(session, centre, text, add_lines(session, text, Author.BOT, [Say(words)], now), now)
    save(session, text)
    add_lines(session, held, Author.SYSTEM, [Say(_ours(centre, WENT_TO))], now, private=True)
    held.state = ConversationState.CLOSED
    held.change(closed_at=now, queue=None, queued_at=None, unanswered_since=None, silence_at=None)
    ladders.end(session, ladders.of_conversation(held.id), now)
    save(session, held)
    touch(session, "floor")
    return i18n.text(held.language, TEXTED)


def _ours(centre: Centre, words: str) -> str:
    return i18n.text(centre.settings.language, words)
