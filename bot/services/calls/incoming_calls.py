"""Somebody calls the centre: the bot's greeting, or their place in the queue where they hold one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.telephone import BadCallError
from bot.core.words import Author, ChannelName, ConversationState, Language
from bot.services import contacts, i18n, merging
from bot.services.calls.call_ends import off_the_line
from bot.services.calls.speech import OF_CALL, ON_THE_LINE, Spoken, from_here, render
from bot.services.centre import Centre
from bot.services.conversation import talk
from bot.services.conversation.conversations import add_line, find_open, open_at, save
from bot.services.facts import facts
from bot.services.i18n import N_
from store.db import vault_of
from store.tables import Address, Contact, Message

RANG_IN = N_("客户来电")


async def rang_in(centre: Centre, number: str, call_sid: str) -> str:
    """A customer calls the centre: the bot's greeting, or their place in the queue where they hold one."""
    if not 0 < len(call_sid) <= 100:
        raise BadCallError("CallSid is missing")
    try:
        address = contacts.phone_number(number)
    except contacts.BadPhoneError:
        address = f"withheld:{call_sid}"  # a hidden number is served, and met anew at each call
    now = centre.clock.now()
    return render(centre, await facts.write(centre, lambda s: _rang_in(s, centre, address, call_sid, now)))


def _rang_in(session: Session, centre: Centre, number: str, call_sid: str, now: datetime) -> Spoken:
    known = session.execute(_of_call(call_sid)).one_or_none()
    if known is not None:
        return from_here(session, centre, known.conversation_id, known.seq)
    merging.prove(session, number, language=centre.settings.language, zone=centre.settings.timezone, now=now)
    held = find_open(session, ChannelName.VOICE, number)
    if held is not None and held.state is ConversationState.BOT:
        off_the_line(session, centre, held, now)
        held = None
    if held is None:
        held = open_at(
            session,
            ChannelName.VOICE,
            number,
            language=_language(session, number) or centre.settings.language,
            zone=centre.settings.timezone,
            book=centre.library.current.book.version,
            now=now,
        )
    words = i18n.text(held.language, RANG_IN)
    turn = add_line(session, held, Author.SYSTEM, words, now, provider_id=f"{OF_CALL}{call_sid}", key=ON_THE_LINE).seq
    if held.state is ConversationState.BOT:
        talk.greet(session, centre, held, now)
    save(session, held)
    return from_here(session, centre, held.id, turn)


def _of_call(call_sid: str) -> Any:
    return select(Message.conversation_id, Message.seq).where(
        Message.channel == ChannelName.VOICE, Message.provider_id == f"{OF_CALL}{call_sid}"
    )


def _language(session: Session, number: str) -> Language | None:
    blind = vault_of(session).blind(ChannelName.VOICE, number)
    return session.scalar(
        select(Contact.language)
        .join(Address, Address.contact_id == Contact.id)
        .where(Address.channel == ChannelName.VOICE, Address.blind == blind)
    )
