"""Alerts to staff: rows of the outbox like everything else, read at the console's bell (REQ-E16, F60).

Whoever linked a chat of their own gets them there too; an escalation's alert has buttons there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot.core.words import ChannelName, DeliveryState, Language, Purpose, mask
from bot.services import outbox
from bot.services.i18n import N_, text
from store.db import touch, vault_of
from store.tables import Address, Delivery, Staff

CONSOLE = "console"
SEEN, CLAIM = "/staff seen", "/staff claim"  # followed by the escalation's id
STALE = timedelta(hours=12)  # an alert nobody's chat could take for so long is not worth sending
WORDS = {SEEN: N_("收到"), CLAIM: N_("认领")}


def tell(
    session: Session,
    staff: Iterable[Staff],
    message: str,
    *,
    cause: str,
    link: str,
    now: datetime,
    urgent: bool = False,
    escalation_id: int | None = None,
    claimable: bool = False,
    **values: object,
) -> None:
    """Tells each of these people once per `cause`; `message` is a marked source string, `link` a console path. With an
    `escalation_id` it can be answered where it is read: seen, and where it is `claimable`, claimed."""
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
        if person.telegram_id is not None:
            _to_their_chat(
                session,
                person,
                text(person.language, message, **values),
                cause=cause,
                link=link,
                now=now,
                payloads=[f"{each} {escalation_id}" for each in ((CLAIM, SEEN) if claimable else (SEEN,))]
                if escalation_id is not None
                else [],
            )
    touch(session, "floor")


def _to_their_chat(
    session: Session, person: Staff, words: str, *, cause: str, link: str, now: datetime, payloads: Sequence[str]
) -> None:
    """The same alert in the person's own chat, unless they blocked the bot there."""
    address = session.get_one(Address, person.telegram_id)
    if not address.reachable:
        return
    language = Language(person.language)
    outbox.put(
        session,
        dedupe_key=_chat_key(cause, person.id),
        purpose=Purpose.STAFF_ALERT,
        channel=address.channel,
        address_id=address.id,
        contact_id=None,
        text=words,
        language=language,
        buttons=[{"title": text(language, WORDS[p.rpartition(" ")[0]]), "payload": p} for p in payloads],
        metadata={"link": link},
        now=now,
        expires_at=now + STALE,
    )


def _chat_key(cause: str, staff_id: int) -> str:
    return f"alert:{cause}:{staff_id}:chat"


def sent_to_chats(session: Session, escalation_id: int) -> list[Delivery]:
    """The alerts of an escalation that stand in people's own chats."""
    return list(
        session.scalars(
            select(Delivery).where(
                Delivery.dedupe_key.startswith(f"alert:{cause_of(escalation_id)}:", autoescape=True),
                Delivery.dedupe_key.endswith(":chat"),
                Delivery.provider_id.is_not(None),
            )
        )
    )


def cause_of(escalation_id: int, rung: int | None = None) -> str:
    """What an escalation's alerts are told apart by."""
    return f"escalation:{escalation_id}" + (f":{rung}" if rung is not None else "")


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
