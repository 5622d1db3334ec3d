"""The moment a call with an announcement is answered: a person hears it and may press the digit, a machine keeps it.

The voice service (bot/services/voice.py) asks `answered` for a delivery of a broadcast as it asks calls.py for one of a
callback, and gives what is pressed or said to `talk.turn`: the conversation waits for the answer already.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from bot.core.words import ChannelName, ConversationState, Language, Outcome, Say
from bot.services.announcement_lines import key_of, put_line, words_for
from bot.services.broadcasts import IN_FLIGHT
from bot.services.calls import MACHINE, Answered
from bot.services.centre import Centre
from bot.services.conversations import hold, save
from store.tables import Broadcast, BroadcastRecipient, Delivery


def answered(session: Session, centre: Centre, delivery_id: int, answered_by: str | None, now: datetime) -> Answered:
    """Somebody, or a machine (`answered_by` "machine"), picked up. Repeats are given the same words again.

    Raises LookupError where the delivery is no announcement's call.
    """
    delivery = session.get(Delivery, delivery_id, with_for_update=True, populate_existing=True)
    if delivery is None or delivery.recipient_id is None or delivery.channel is not ChannelName.VOICE:
        raise LookupError(f"delivery {delivery_id} is no announcement's call")
    recipient = session.get_one(BroadcastRecipient, delivery.recipient_id)
    broadcast = session.get_one(Broadcast, recipient.broadcast_id)
    language = Language(delivery.body["language"])
    say = words_for(centre, broadcast, language, ChannelName.VOICE)
    if delivery.conversation_id is not None:
        over = hold(session, delivery.conversation_id).state is ConversationState.CLOSED
        return Answered(delivery.conversation_id, (say,), over, language)
    if broadcast.state not in IN_FLIGHT or recipient.outcome is Outcome.ACKNOWLEDGED:
        return Answered(None, (), True, language)
    if answered_by == MACHINE:
        delivery.error = MACHINE  # a recording is delivered, nobody has heard it (recipients.proven)
        return Answered(None, (Say(say.text, key=key_of(broadcast)),), True, language)
    delivery.conversation_id, delivery.message_id = put_line(
        session,
        centre,
        broadcast,
        contact_id=delivery.contact_id or recipient.contact_id,
        address_id=delivery.address_id,
        channel=ChannelName.VOICE,
        language=language,
        say=say,
        now=now,
    )
    return Answered(delivery.conversation_id, (say,), not say.buttons, language)


def hung_up(session: Session, conversation_id: int, now: datetime) -> None:
    """The call is over, and so is its conversation."""
    held = hold(session, conversation_id)
    if held.state is not ConversationState.CLOSED:
        held.state, held.staff_id = ConversationState.CLOSED, None
        held.change(closed_at=now, silence_at=None, unanswered_since=None)
        save(session, held)
