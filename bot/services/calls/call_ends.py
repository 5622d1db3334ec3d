"""A call is over, whoever ended it: its delivery is settled, and the conversation goes on without a voice or ends."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.telephone import FAILURES, CallState
from bot.core.words import Author, ChannelName, ConversationState, DeliveryState, Report
from bot.services import i18n
from bot.services.calls import agent_phones, silent_calls
from bot.services.calls.speech import OF_CALL, OFF_THE_LINE
from bot.services.centre import Centre
from bot.services.conversation.conversations import Held, add_line, hold, save
from bot.services.delivery import dispatch
from bot.services.i18n import N_
from store.db import touch
from store.tables import CallAttempt, Conversation, Delivery, Message

HUNG_UP = N_("客户已挂断电话")


def ended(
    session: Session,
    centre: Centre,
    *,
    call_sid: str,
    delivery_id: int | None,
    state: CallState,
    sequence: int = 0,
    error: str | None = None,
) -> None:
    """A carrier says a call is over; repeats change nothing. `delivery_id` None: the customer had called us. `error`:
    why it failed, where the carrier knows better than `state`.

    An announcement counts as heard only when it was listened to (`silent`, `heard`, `listened`), not by the call's end.
    """
    now = centre.clock.now()
    conversation_id = session.scalar(
        select(Message.conversation_id).where(
            Message.channel == ChannelName.VOICE, Message.provider_id == f"{OF_CALL}{call_sid}"
        )
    )
    delivery = session.get(Delivery, delivery_id) if delivery_id is not None else None
    if delivery is not None:
        conversation_id = delivery.conversation_id or session.scalar(
            select(CallAttempt.conversation_id).where(CallAttempt.delivery_id == delivery.id)
        )
        error = error or FAILURES.get(state)
        reached = DeliveryState.FAILED if error else DeliveryState.HEARD
        if error or delivery.recipient_id is None:
            word = Report(ChannelName.VOICE, call_sid, delivery.id, reached, sequence, error)
            dispatch.report_now(session, centre, word)
    if conversation_id is not None:
        _legs_over(session, centre, conversation_id)
        held = hold(session, conversation_id)
        over = f"over:{call_sid}"
        known = select(Message.id).where(Message.channel == ChannelName.VOICE, Message.provider_id == over)
        if session.scalar(known) is None:
            off_the_line(session, centre, held, now, over)


def _legs_over(session: Session, centre: Centre, conversation_id: int) -> None:
    """What the caller's own call rang has ended with it, should the carrier's word on that be lost."""
    for leg in agent_phones.up_for(session, conversation_id):
        talked = leg.state is DeliveryState.DELIVERED
        state, error = (DeliveryState.HEARD, None) if talked else (DeliveryState.FAILED, FAILURES[CallState.CANCELED])
        dispatch.report_now(session, centre, Report(ChannelName.VOICE, None, leg.id, state, error=error))


def off_the_line(session: Session, centre: Centre, held: Held, now: datetime, provider_id: str | None = None) -> None:
    """Nobody is on the line any more: the bot's conversation is over, people's goes on without a voice."""
    if held.state is ConversationState.CLOSED:
        return
    words = i18n.text(held.language, HUNG_UP)
    add_line(session, held, Author.SYSTEM, words, now, provider_id=provider_id, key=OFF_THE_LINE)
    if held.state is ConversationState.BOT:
        held.state = ConversationState.CLOSED
        held.change(closed_at=now, silence_at=None, unanswered_since=None)
        silent_calls.over(session, centre, held, now)
    save(session, held)
    touch(session, "floor")


def end_of_line(session: Session, address_id: int, now: datetime) -> None:
    """A conversation still open at this number has ended: the line could not ring otherwise."""
    query = select(Conversation.id).where(
        Conversation.address_id == address_id, Conversation.state != ConversationState.CLOSED
    )
    for conversation_id in session.scalars(query):
        before = hold(session, conversation_id)
        before.state, before.staff_id = ConversationState.CLOSED, None
        before.change(closed_at=now, silence_at=None, unanswered_since=None)
        save(session, before)
