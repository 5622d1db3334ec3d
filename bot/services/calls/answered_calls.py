"""A call we placed is answered: a callback by its script, an announcement by its words, a machine by the policy.

A carrier may say at once who answered, or find out while the call is under way already (`found`).
"""

from __future__ import annotations

from datetime import datetime

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.telephone import GoOn, HangUp, door
from bot.core.words import (
    Author,
    BroadcastState,
    ChannelName,
    ConversationState,
    DeliveryState,
    Language,
    Purpose,
    Report,
    Say,
)
from bot.services import i18n
from bot.services.announcements import announcement_lines
from bot.services.calls import agent_legs, calls
from bot.services.calls.speech import Spoken, from_here, listen, render
from bot.services.centre import Centre
from bot.services.conversation import talk
from bot.services.conversation.conversations import hold, save
from bot.services.delivery import dispatch
from bot.services.escalation.alert_calls import is_alert, staff_call
from bot.services.facts import facts
from bot.services.i18n import N_
from store.tables import Broadcast, BroadcastRecipient, CallAttempt, Delivery, Message

log = structlog.get_logger()
MACHINE, HUMAN = "machine", "human"
WITHDRAWN = (BroadcastState.STOPPED, BroadcastState.CANCELLED)
SORRY = N_("抱歉，系统出了点问题，同事会尽快与您联系。再见。")


async def call_answered(centre: Centre, delivery_id: int, answered_by: str | None) -> str:
    """Somebody took a call of ours. `answered_by`: "human", "machine_…", "fax", "unknown", or None where the carrier is
    still finding out."""
    who, now = _who(answered_by), centre.clock.now()
    return render(centre, await facts.write(centre, lambda s: _answered(s, centre, delivery_id, who, now)))


def _who(answered_by: str | None) -> str | None:
    """None: not known yet, which is a person until it is."""
    if not answered_by:
        return None
    return MACHINE if answered_by.startswith((MACHINE, "fax")) else HUMAN


def found(session: Session, delivery_id: int, answered_by: str, now: datetime) -> str | None:
    """The carrier found out, while the call is up, who answered: where a machine did the call goes on at the address
    that is given. Somebody who has said or pressed something is a person, whatever a carrier thinks."""
    who = _who(answered_by) if answered_by != "unknown" else None
    attempt = session.scalar(select(CallAttempt).where(CallAttempt.delivery_id == delivery_id).with_for_update())
    if attempt is None or who is None or attempt.ended_at is not None:
        return None
    held = hold(session, attempt.conversation_id) if attempt.conversation_id is not None else None
    if who == HUMAN or (held is not None and _has_spoken(session, held.id)):
        attempt.answered_by = HUMAN
        return None
    attempt.answered_by = MACHINE
    if held is not None and held.state is not ConversationState.CLOSED:
        held.state = ConversationState.CLOSED
        held.change(closed_at=now, silence_at=None, unanswered_since=None)
        save(session, held)
    return door(delivery=delivery_id, machine=1)


def _has_spoken(session: Session, conversation_id: int) -> bool:
    said = select(Message.id).where(Message.conversation_id == conversation_id, Message.author == Author.CUSTOMER)
    return session.scalar(said.limit(1)) is not None


def _answered(session: Session, centre: Centre, delivery_id: int, who: str | None, now: datetime) -> Spoken:
    delivery = session.get(Delivery, delivery_id)
    if delivery is None or delivery.channel is not ChannelName.VOICE:
        return Spoken((), centre.settings.language, HangUp())
    machine = who == MACHINE
    word = Report(
        ChannelName.VOICE,
        None,
        delivery_id,
        DeliveryState.DELIVERED,
        error=MACHINE if machine else None,
        answered_by=who,
    )
    dispatch.report_now(session, centre, word)
    if is_alert(delivery):
        return _left_on(delivery) if machine else staff_call(delivery)
    if delivery.purpose is Purpose.STAFF_ALERT:
        return agent_legs.whisper(session, centre=centre, delivery_id=delivery_id, now=now)
    if delivery.recipient_id is not None:
        return _announce(session, centre, delivery, machine, now)
    language = Language(delivery.body["language"])
    if delivery.callback_id is None:
        return _left_on(delivery)
    try:
        with session.begin_nested():
            answer = calls.answered(session, centre, delivery_id, who, now)
    except talk.StuckError:
        log.exception("voice.stuck", delivery=delivery_id)
        return Spoken((Say(i18n.text(language, SORRY)),), language, HangUp())
    if answer.conversation_id is None:
        return Spoken(answer.says, answer.language, HangUp())
    return from_here(session, centre, answer.conversation_id, 0)


def _left_on(delivery: Delivery) -> Spoken:
    """Its words, and no more."""
    return Spoken((Say(delivery.body["text"]),), Language(delivery.body["language"]), HangUp())


def _announce(session: Session, centre: Centre, delivery: Delivery, machine: bool, now: datetime) -> Spoken:
    """An announcement is heard: by a person, who may acknowledge it, or left on a machine."""
    recipient = session.get_one(BroadcastRecipient, delivery.recipient_id)
    broadcast = session.get_one(Broadcast, recipient.broadcast_id)
    language = Language(delivery.body["language"])
    if broadcast.state in WITHDRAWN:
        return Spoken((), language, HangUp())
    say = announcement_lines.words_for(centre, broadcast, language, ChannelName.VOICE, told=recipient.told)
    if machine:
        text = broadcast.text_zh if language is Language.ZH else broadcast.text_en
        return Spoken((Say(text, key=say.key),), language, HangUp())
    if delivery.conversation_id is None:
        delivery.conversation_id, delivery.message_id = announcement_lines.put_line(
            session,
            centre,
            broadcast,
            contact_id=recipient.contact_id,
            address_id=delivery.address_id,
            channel=ChannelName.VOICE,
            language=language,
            say=say,
            now=now,
        )
        session.flush()
    if not announcement_lines.asks(broadcast):
        return Spoken((say,), language, GoOn(door(announcement=delivery.id)))
    turn = session.scalars(select(Message.seq).where(Message.id == delivery.message_id)).one()
    return Spoken((say,), language, listen(centre, delivery.conversation_id, turn, delivery.id))


async def listened(centre: Centre, announcement_id: int) -> str:
    """An announcement that asks nothing was heard to its end."""
    await centre.db.write(lambda s: was_heard(s, centre, announcement_id))
    return render(centre, Spoken((), centre.settings.language, HangUp()))


def was_heard(session: Session, centre: Centre, announcement_id: int | None) -> None:
    if announcement_id is not None:
        dispatch.report_now(
            session, centre, Report(ChannelName.VOICE, None, announcement_id, DeliveryState.HEARD, answered_by="human")
        )
