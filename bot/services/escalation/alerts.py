"""Alerts to staff: rows of the outbox like everything else, read at the console's bell (REQ-E16, F60).

Whoever linked a chat of their own gets them there too, with buttons; urgent ones also reach their telephones, where "1"
takes it. An answer by any of these ways is bot/services/escalation/staff_answers.py's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot.core.policy import WAYS, Way
from bot.core.words import ChannelName, DeliveryState, Language, Purpose, mask
from bot.services.delivery import outbox
from bot.services.i18n import N_, text
from store.db import touch, vault_of
from store.tables import Address, Delivery, Staff, StaffNumber

CONSOLE = Way.CONSOLE.value
SEEN, CLAIM, PASS = "/staff seen", "/staff claim", "/staff pass"  # followed by the escalation's id
WORDS = {SEEN: N_("收到"), CLAIM: N_("认领"), PASS: N_("转给别人")}
BY_TEXT = N_("%(alert)s。回复1接手，回复2转给别人。")
STEP_BY_TEXT = N_("%(alert)s 回复1表示收到。")
STALE = {  # an alert that could not be brought for so long is not worth bringing any more
    Way.TELEGRAM: timedelta(hours=12),
    Way.SMS: timedelta(hours=2),
    Way.VOICE: timedelta(minutes=30),
}
CHANNELS = {Way.TELEGRAM: ChannelName.TELEGRAM, Way.SMS: ChannelName.SMS, Way.VOICE: ChannelName.VOICE}


@dataclass(frozen=True, slots=True)
class _Alert:
    """What is told: `message` is a marked source string, as texts among `values` may be; `link` a console path."""

    message: str
    values: Mapping[str, object]
    cause: str
    link: str
    now: datetime
    urgent: bool
    escalation_id: int | None
    answers: tuple[str, ...]
    steps: tuple[int, ...] = ()

    def words(self, person: Staff) -> str:
        said = {name: _in(person.language, value) for name, value in self.values.items()}
        return text(person.language, self.message, **said)


def _in(language: Language, value: object) -> object:
    if isinstance(value, Mapping):  # known in both languages
        return value[language]
    return text(language, value) if isinstance(value, str) and value else value


def tell(
    session: Session,
    staff: Iterable[Staff],
    message: str,
    *,
    cause: str,
    link: str,
    now: datetime,
    how: Collection[Way] = WAYS,
    urgent: bool = False,
    escalation_id: int | None = None,
    claimable: bool = False,
    steps_told: Iterable[int] = (),
    **values: object,
) -> None:
    """Tells each of these people once per `cause`, in the ways of `how` in which they can be reached, always at the
    console. `message` is a marked source string, and texts among `values` may be, or be known in both languages; `link`
    is a console path. With an `escalation_id` it can be answered where it is read: seen, handed on, and where it is
    `claimable`, claimed; with the incident's `steps_told` (ids), on a telephone, that it was received."""
    answers: tuple[str, ...] = ()
    if escalation_id is not None:
        answers = ((CLAIM,) if claimable else ()) + (SEEN, PASS)
    alert = _Alert(message, values, cause, link, now, urgent, escalation_id, answers, tuple(steps_told))
    for person in staff:
        _at_the_console(session, person, alert)
        for way in how:
            if way is not Way.CONSOLE:
                _to_them(session, person, alert, way)
    touch(session, "floor")


def _at_the_console(session: Session, person: Staff, alert: _Alert) -> None:
    outbox.put(
        session,
        dedupe_key=f"alert:{alert.cause}:{person.id}",
        purpose=Purpose.STAFF_ALERT,
        channel=ChannelName.STAFF,
        address_id=_address(session, person, alert.now),
        contact_id=None,
        text=alert.words(person),
        language=Language(person.language),
        metadata={"link": alert.link, "urgent": alert.urgent, "staff_id": person.id},
        now=alert.now,
        state=DeliveryState.ACCEPTED,  # our own page: it is read, not sent
        escalation_id=alert.escalation_id,
    )
    touch(session, f"staff:{person.id}")


def _to_them(session: Session, person: Staff, alert: _Alert, way: Way) -> None:
    """The same alert in the person's own chat or on their telephone, unless nothing reaches them there."""
    address = _reach(session, person, way)
    if address is None or not address.reachable:
        return
    words, language = alert.words(person), Language(person.language)
    if way is Way.SMS and alert.answers:
        words = text(language, BY_TEXT, alert=words)
    elif way is Way.SMS and alert.steps:
        words = text(language, STEP_BY_TEXT, alert=words)
    outbox.put(
        session,
        dedupe_key=f"alert:{alert.cause}:{person.id}:{way}",
        purpose=Purpose.STAFF_ALERT,
        channel=CHANNELS[way],
        address_id=address.id,
        contact_id=None,
        text=words,
        language=language,
        buttons=[
            {"title": text(language, WORDS[answer]), "payload": f"{answer} {alert.escalation_id}"}
            for answer in alert.answers
            if way is Way.TELEGRAM
        ],
        metadata={"link": alert.link, "staff_id": person.id, **({"steps": list(alert.steps)} if alert.steps else {})},
        now=alert.now,
        expires_at=alert.now + STALE[way],
        escalation_id=alert.escalation_id,
    )


def _reach(session: Session, person: Staff, way: Way) -> Address | None:
    """Where somebody of the staff is reached this way; on the telephone the mobile before the office number."""
    if way is Way.TELEGRAM:
        return session.get(Address, person.telegram_id) if person.telegram_id is not None else None
    numbers = session.scalars(
        select(StaffNumber).where(StaffNumber.staff_id == person.id).order_by(StaffNumber.kind)
    ).all()
    ids = [number.sms_id if way is Way.SMS else number.voice_id for number in numbers]
    return next((session.get(Address, each) for each in ids if each is not None), None)


def call_back(session: Session, escalation_id: int, now: datetime, message: str, **values: object) -> None:
    """An escalation needs nobody any more: alerts that have not left are cancelled, what stands in people's own chats
    says so and loses its buttons. `message` is a marked source string."""
    sent = session.scalars(select(Delivery).where(Delivery.escalation_id == escalation_id)).all()
    for delivery in sent:
        if delivery.state is DeliveryState.QUEUED:
            delivery.state, delivery.changed_at = DeliveryState.CANCELLED, now
        elif delivery.channel is ChannelName.TELEGRAM and delivery.provider_id is not None:
            _rewrite(session, delivery, now, text(Language(delivery.body["language"]), message, **values))
        elif delivery.channel is ChannelName.STAFF:
            touch(session, f"staff:{delivery.body['metadata'].get('staff_id', '')}")


def _rewrite(session: Session, delivery: Delivery, now: datetime, words: str) -> None:
    """The message that stands in a chat reads otherwise from now on, once."""
    outbox.put(
        session,
        dedupe_key=f"alert:rewritten:{delivery.id}:{words[:60]}",
        purpose=Purpose.STAFF_ALERT,
        channel=delivery.channel,
        address_id=delivery.address_id,
        contact_id=None,
        text=f"{delivery.body['text']}\n\n{words}",
        language=Language(delivery.body["language"]),
        metadata={"rewrites": delivery.provider_id},
        now=now,
        expires_at=now + STALE[Way.TELEGRAM],
    )


def unread(session: Session, staff_id: int, limit: int = 20) -> list[Delivery]:
    """What a person has not seen yet, newest first."""
    return list(
        session.scalars(
            select(Delivery)
            .join(Staff, Staff.address_id == Delivery.address_id)
            .where(Staff.id == staff_id, Delivery.state == DeliveryState.ACCEPTED)
            .order_by(Delivery.id.desc())
            .limit(limit)
        )
    )


def seen(session: Session, staff_id: int, up_to: int, now: datetime) -> None:
    """The person has read their alerts up to this delivery."""
    address = session.scalar(select(Staff.address_id).where(Staff.id == staff_id))
    session.execute(
        update(Delivery)
        .where(
            Delivery.address_id == address,
            Delivery.state == DeliveryState.ACCEPTED,
            Delivery.id <= up_to,
        )
        .values(state=DeliveryState.READ, changed_at=now)
    )
    touch(session, f"staff:{staff_id}")


def _address(session: Session, person: Staff, now: datetime) -> int:
    """Where a person's alerts lie; made on first need."""
    if person.address_id is None:
        value = f"{CONSOLE}:{person.id}"
        vault = vault_of(session)
        address = Address(
            contact_id=None,
            channel=ChannelName.STAFF,
            sealed=vault.seal(value),
            blind=vault.blind(ChannelName.STAFF, value),
            hint=mask(value),
            created_at=now,
        )
        session.add(address)
        session.flush()
        person.address_id = address.id
    return person.address_id
