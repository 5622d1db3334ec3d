"""What the staff answer to an alert, whatever brings it: a button in their chat, a text message, a key of a telephone.

"1" takes it, "2" hands it on; whoever is first has it, and everybody else is told who
(bot/services/escalation/ladders.py). To an incident's step "1" says that it was received
(bot/services/incidents/incident_steps.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.policy import Way
from bot.core.words import Incoming, Language, Purpose
from bot.services import contacts, i18n
from bot.services.delivery import outbox
from bot.services.desk import escalations
from bot.services.escalation import alerts, ladders
from bot.services.i18n import N_
from bot.services.incidents import incident_steps
from bot.services.incidents.incident_file import IncidentRefusedError
from bot.services.permissions import Function, may
from bot.services.refusal import RefusedError
from store.tables import Delivery, Escalation, Staff, StaffNumber

YOURS = N_("好的，由您负责了。")
PASSED = N_("好的，已转给别人。")
TOO_LATE = N_("这件事已经了结了。")
NOT_YOURS = N_("您没有权限这样做。")
RECEIVED = N_("已记下您收到了。")
LATEST = 5  # of the alerts that went to a telephone, the first that can be answered
KEYS: Mapping[str, str] = {"1": alerts.CLAIM, "2": alerts.PASS}
"""What a digit means, by text message and on the telephone."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of an answer: one of the marked words above, and who has it where that is somebody else."""

    words: str
    who: str = ""

    def of(self, language: Language) -> str:
        return i18n.text(language, self.words, **({"who": self.who} if self.who else {}))


def answer(session: Session, person: Staff, escalation_id: int, verb: str, *, how: str, now: datetime) -> Answered:
    """Does what somebody answers (`verb`: alerts.CLAIM, SEEN or PASS) by the channel `how`."""
    if verb == alerts.PASS:
        passed = ladders.hand_on(session, ladders.the(escalation_id), person.id, now)
        return Answered(PASSED if passed else TOO_LATE)
    claims = verb == alerts.CLAIM and _claimable(session, escalation_id)
    if claims and not may({held.role for held in person.roles}, Function.HANDLE_QUEUE):
        return Answered(NOT_YOURS)
    try:
        taker = escalations.take(session, escalation_id, person.id, now, claims=claims, how=how)
    except RefusedError:
        return Answered(TOO_LATE)
    who = session.get(Staff, taker.staff_id) if taker.staff_id else None
    if who is None:
        return Answered(TOO_LATE)
    return Answered(YOURS) if who.id == person.id else Answered(ladders.TAKEN_BY, who.name)


def _claimable(session: Session, escalation_id: int) -> bool:
    """An incident is seen to, not claimed."""
    found = session.get(Escalation, escalation_id)
    return found is not None and found.incident_id is None


def by_text(session: Session, text: Incoming, now: datetime) -> bool:
    """Whether a text message answers an alert that went to this telephone; then it is done, and said so. A repeated
    message is answered once. Anything else is a message like any other."""
    verb = KEYS.get(text.text.strip().rstrip("。.!！"))
    address = contacts.find_address(session, text.channel, text.address) if verb else None
    if verb is None or address is None:
        return False
    person = session.scalar(
        select(Staff).join(StaffNumber, StaffNumber.staff_id == Staff.id).where(StaffNumber.sms_id == address.id)
    )
    asked = _asked(session, address.id)
    if person is None or not person.active or asked is None:
        return False
    key = f"alert:answered:{text.provider_id}"
    if session.scalar(select(Delivery.id).where(Delivery.dedupe_key == key)) is None:
        words = _said(session, person, asked, verb, Way.SMS, now).of(Language(person.language))
        outbox.put(
            session,
            dedupe_key=key,
            purpose=Purpose.STAFF_ALERT,
            channel=text.channel,
            address_id=address.id,
            contact_id=None,
            text=words,
            language=Language(person.language),
            now=now,
            expires_at=now + alerts.STALE[Way.SMS],
        )
    return True


def _asked(session: Session, address_id: int) -> Delivery | None:
    """The latest alert that went there and can be answered."""
    latest = session.scalars(
        select(Delivery)
        .where(Delivery.address_id == address_id, Delivery.purpose == Purpose.STAFF_ALERT)
        .order_by(Delivery.id.desc())
        .limit(LATEST)
    )
    return next((each for each in latest if each.escalation_id is not None or steps_of(each)), None)


def steps_of(delivery: Delivery) -> Sequence[int]:
    """The steps of an incident an alert tells of."""
    return tuple(delivery.body["metadata"].get("steps", ()))


def _said(session: Session, person: Staff, alert: Delivery, verb: str, how: Way, now: datetime) -> Answered:
    if alert.escalation_id is not None:
        return answer(session, person, alert.escalation_id, verb, how=how, now=now)
    for step_id in steps_of(alert):
        with suppress(IncidentRefusedError):  # they were asked to do it, not told by it
            incident_steps.acknowledge(session, step_id, staff_id=person.id, now=now)
    return Answered(RECEIVED)


def by_phone(session: Session, delivery: Delivery, digit: str, now: datetime) -> str | None:
    """What a key means on a call that brought an alert; None: nothing, so it is asked again."""
    person = session.get(Staff, delivery.body["metadata"].get("staff_id", 0))
    verb = KEYS.get(digit)
    if person is None or not person.active or verb is None:
        return None
    if delivery.escalation_id is None and verb != alerts.CLAIM:
        return None
    return _said(session, person, delivery, verb, Way.VOICE, now).of(Language(person.language))
