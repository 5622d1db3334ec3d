"""A call in which the other end never said a word, whoever placed it (REQ-E24).

It is marked, counts as unanswered, and a caller is asked by one text whether we should call.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.permission import stopped
from bot.core.words import ChannelName, ConversationState, Purpose
from bot.services import contacts
from bot.services.calls import waiting
from bot.services.centre import Centre
from bot.services.conversation.conversations import Held
from bot.services.conversation.speaking_first import hold_where, speak
from bot.services.desk.wrap_up import SILENT, heard_nothing
from store.db import vault_of
from store.tables import Address, Conversation

FLOW = "silent_call"
IN_TIME = timedelta(hours=1)  # the text speaks of a call just now
NOT_AGAIN = timedelta(hours=24)  # a telephone that calls by itself in a pocket is texted once


def over(session: Session, centre: Centre, held: Held, now: datetime) -> None:
    """Where the bot has ended its call, or the other end did: marks a silent one and writes to its caller. `held` is
    changed, not yet saved. An announcement that nobody answers was still listened to."""
    closed = held.state is ConversationState.CLOSED
    if not closed or held.broadcast_id is not None or not heard_nothing(held.flow):
        return
    held.change(wrap_up=SILENT)
    if held.callback_id is None and centre.library.current.policies.calls.silent_sms:
        _offer(session, centre, held, now)


def _offer(session: Session, centre: Centre, held: Held, now: datetime) -> None:
    if FLOW not in centre.library.current.book.flows or not waiting.may_be_called(session, held.address_id):
        return
    withdrawn = {scope for scope, (granted, _) in contacts.consents(session, held.contact_id).items() if not granted}
    if stopped(withdrawn, ChannelName.SMS) or _lately(session, held, now):
        return
    number = vault_of(session).open(session.get_one(Address, held.address_id).sealed)
    address = contacts.add_address(session, held.contact_id, ChannelName.SMS, number, now)
    if not address.reachable:
        return
    text = hold_where(session, centre, address.contact_id or held.contact_id, address, now)
    if text.state is not ConversationState.BOT:
        return
    speak(
        session,
        centre,
        text,
        FLOW,
        {},
        now,
        purpose=Purpose.SERVICE_NOTICE,
        dedupe_key=f"silent_call:{held.id}",
        expires_at=now + IN_TIME,
    )


def _lately(session: Session, held: Held, now: datetime) -> bool:
    other = select(Conversation.id).where(
        Conversation.contact_id == held.contact_id,
        Conversation.id != held.id,
        Conversation.wrap_up == SILENT,
        Conversation.closed_at > now - NOT_AGAIN,
    )
    return session.scalar(other.limit(1)) is not None
