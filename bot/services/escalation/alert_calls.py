"""A call of ours brings somebody of the staff an alert: read out, and answered with a key (REQ-F60)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from bot.core.telephone import BadCallError, HangUp, Listen, door
from bot.core.words import ChannelName, Language, Purpose, Say
from bot.services import i18n
from bot.services.calls.speech import Spoken, render
from bot.services.centre import Centre
from bot.services.escalation import staff_answers
from bot.services.i18n import N_
from store.tables import Delivery

ALERT_KEYS = N_("按1接手，按2转给别人。")
STEP_KEYS = N_("按1表示收到。")
ALERT_ASKS, ALERT_PAUSE = 3, 6  # how often a call asks, and how many seconds it listens


async def alert_answered(centre: Centre, delivery_id: int, digits: str, asked: int) -> str:
    """A key on a call that brought an alert: it is taken or handed on, or asked again, not for ever (REQ-F60)."""
    now = centre.clock.now()
    return render(centre, await centre.db.write(lambda s: _alert_answered(s, delivery_id, digits, asked, now)))


def _alert_answered(session: Session, delivery_id: int, digits: str, asked: int, now: datetime) -> Spoken:
    delivery = session.get(Delivery, delivery_id)
    if delivery is None or delivery.channel is not ChannelName.VOICE or _keys(delivery) is None:
        raise BadCallError("no such alert")
    words = staff_answers.by_phone(session, delivery, digits, now)
    if words is not None:
        return Spoken((Say(words),), Language(delivery.body["language"]), HangUp())
    return staff_call(delivery, asked + 1)


def staff_call(delivery: Delivery, asked: int = 0) -> Spoken:
    """What a call that brings an alert says: the alert, and which keys answer it; after three times goodbye."""
    language, keys = Language(delivery.body["language"]), _keys(delivery)
    says = (Say(delivery.body["text"]), Say(i18n.text(language, keys or "")))
    if asked >= ALERT_ASKS or keys is None:
        return Spoken(says[:1], language, HangUp())
    return Spoken(
        says,
        language,
        Listen(door(alert=delivery.id, asked=asked), door(alert=delivery.id, asked=asked), ALERT_PAUSE),
    )


def is_alert(delivery: Delivery) -> bool:
    """Whether a call to the staff brings an alert: those lead to a page of the console."""
    return delivery.purpose is Purpose.STAFF_ALERT and "link" in delivery.body["metadata"]


def _keys(delivery: Delivery) -> str | None:
    """Which keys answer it; None: it is only heard."""
    if delivery.escalation_id is not None:
        return ALERT_KEYS
    return STEP_KEYS if staff_answers.steps_of(delivery) else None
