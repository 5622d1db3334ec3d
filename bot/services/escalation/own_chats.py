"""Staff's own chats: a one-time code from the console ties a Telegram chat to an account; alerts then come there too.

Codes live in machine time and are short-lived, so that one can be typed; only their hashes are stored.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from bot.core.words import ChannelName, Language, mask
from bot.services import audit, contacts
from store.db import vault_of
from store.tables import Address, ChatLink, Staff

PREFIX = "staff_"  # of the code, where a link brings it
ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # nothing that is misread
LENGTH = 12  # 60 bits, for a quarter of an hour
LIFE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class OwnChat:
    """Somebody's linked chat, masked; `reachable` False where they blocked the bot."""

    hint: str
    reachable: bool


def make_code(session: Session, staff_id: int, *, now: datetime, machine: datetime) -> str:
    """A new code for this person; their earlier ones end."""
    code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    session.execute(delete(ChatLink).where((ChatLink.staff_id == staff_id) | (ChatLink.expires_at <= machine)))
    session.add(ChatLink(token_hash=_hashed(code), staff_id=staff_id, expires_at=machine + LIFE))
    audit.record(session, "staff.make_chat_code", "staff", staff_id, now=now, staff_id=staff_id)
    return code


def link(
    session: Session,
    channel: ChannelName,
    address: str,
    code: str,
    *,
    language: Language,
    zone: str,
    now: datetime,
    machine: datetime,
) -> Staff | None:
    """Uses a code up: this chat is that person's from now on, and nobody else's. None where the code is none."""
    held = session.get(ChatLink, _hashed(code.strip().upper()), with_for_update=True)
    person = session.get(Staff, held.staff_id) if held and held.expires_at > machine else None
    if held is None or person is None or not person.active:
        return None
    session.delete(held)
    known = contacts.meet(session, channel, address, language=language, zone=zone, now=now)
    for other in session.scalars(select(Staff).where(Staff.telegram_id == known.address_id)):
        _untie(session, other, now=now, by=person.id)
    session.flush()
    person.telegram_id = known.address_id
    session.get_one(Address, known.address_id).reachable = True
    audit.record(session, "staff.link_chat", "staff", person.id, now=now, staff_id=person.id, chat=mask(address))
    return person


def unlink(session: Session, staff_id: int, *, now: datetime) -> None:
    """No more alerts in this person's chat."""
    _untie(session, session.get_one(Staff, staff_id), now=now, by=staff_id)


def _untie(session: Session, person: Staff, *, now: datetime, by: int) -> None:
    if person.telegram_id is not None:
        person.telegram_id = None
        audit.record(session, "staff.unlink_chat", "staff", person.id, now=now, staff_id=by)


def of(session: Session, staff_id: int) -> OwnChat | None:
    """The chat somebody linked, if any."""
    address = session.scalar(select(Address).join(Staff, Staff.telegram_id == Address.id).where(Staff.id == staff_id))
    return OwnChat(address.hint, address.reachable) if address else None


def whose(session: Session, channel: ChannelName, address: str) -> Staff | None:
    """The active member of staff whose chat this is."""
    blind = vault_of(session).blind(channel, address)
    return session.scalar(
        select(Staff)
        .join(Address, Address.id == Staff.telegram_id)
        .where(Address.channel == channel, Address.blind == blind, Staff.active)
    )


def _hashed(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
