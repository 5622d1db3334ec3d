"""Alerts to staff: rows of the outbox like everything else, read at the console's bell (REQ-E16, F60)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot.core.words import ChannelName, DeliveryState, Language, Purpose, mask
from bot.services import outbox
from bot.services.i18n import text
from store.db import touch, vault_of
from store.tables import Address, Delivery, Staff

CONSOLE = "console"


def tell(
    session: Session,
    staff: Iterable[Staff],
    message: str,
    *,
    cause: str,
    link: str,
    now: datetime,
    urgent: bool = False,
    **values: object,
) -> None:
    """Tells each of these people once per `cause`; `message` is a marked source string, `link` a console path."""
    for person in staff:
        outbox.put(
            session,
            dedupe_key=f"alert:{cause}:{person.id}",
            purpose=Purpose.STAFF_ALERT,
            channel=ChannelName.STAFF,
            address_id=_address(session, person, now),
            contact_id=None,
            text=text(person.language, message, **values),
            language=Language(person.language),
            metadata={"link": link, "urgent": urgent},
            now=now,
            state=DeliveryState.ACCEPTED,  # our own page: it is read, not sent
        )
        touch(session, f"staff:{person.id}")
    touch(session, "floor")


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
