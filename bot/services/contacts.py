"""Contacts: who is behind an address, what we learn about them, what they allow (REQ-A01, C39, G02, G14)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import phonenumbers
from sqlalchemy import Table, bindparam, select, update
from sqlalchemy.orm import Session

from bot.core.words import ChannelName, ConversationState, Language, mask
from bot.services import audit
from store.db import vault_of
from store.tables import Address, Consent, Contact, Conversation, DoNotContact

PHONE_CHANNELS = (ChannelName.SMS, ChannelName.VOICE)
EVERYTHING = "all"
REGION = "CN"
MOBILE = re.compile(r"1[3-9][0-9]{9}")


class BadPhoneError(ValueError):
    """The text is no telephone number that can be called."""


@dataclass(frozen=True, slots=True)
class Known:
    """A contact and the address they were met at."""

    contact_id: int
    address_id: int


def phone_number(text: str, region: str = REGION) -> str:
    """E.164 of a number as people write it; raises BadPhoneError."""
    if region == REGION and MOBILE.fullmatch(text):  # most of a list; parsing 100,000 of them takes half a minute
        return f"+86{text}"
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        raise BadPhoneError(f"{mask(text)} is not a telephone number") from error
    if not phonenumbers.is_possible_number(number):
        raise BadPhoneError(f"{mask(text)} is not a telephone number")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def find_address(session: Session, channel: ChannelName, value: str) -> Address | None:
    blind = vault_of(session).blind(channel, value)
    return session.scalar(select(Address).where(Address.channel == channel, Address.blind == blind))


def survivor(session: Session, contact_id: int) -> int:
    """The contact a merged one became; itself where it was not merged."""
    seen: set[int] = set()
    while contact_id not in seen:
        seen.add(contact_id)
        merged = session.scalar(select(Contact.merged_into_id).where(Contact.id == contact_id))
        if merged is None:
            break
        contact_id = merged
    return contact_id


def meet(session: Session, channel: ChannelName, value: str, *, language: Language, zone: str, now: datetime) -> Known:
    """The contact behind an address, made on first sight. Every new guest passes here, so these are Core statements."""
    connection, vault = session.connection(), vault_of(session)
    blind = vault.blind(channel, value)
    known = connection.execute(_AT, {"channel": channel, "blind": blind}).one_or_none()
    if known is not None and known.contact_id is not None:
        return Known(survivor(session, known.contact_id), known.id)
    person = {"language": language, "timezone": zone, "created_at": now}
    contact_id: int = connection.execute(_ADD_CONTACT, person).scalar_one()
    if known is not None:
        return Known(contact_id, known.id)
    address = {"sealed": vault.seal(value), "blind": blind, "hint": mask(value), "created_at": now}
    address_id = connection.execute(_ADD_ADDRESS, address | {"contact_id": contact_id, "channel": channel}).scalar_one()
    _remember_refusal(session, contact_id, channel, blind, now)
    return Known(contact_id, address_id)


ERASED = "kept from before erasure"


def _remember_refusal(session: Session, contact_id: int, channel: ChannelName, blind: str, now: datetime) -> None:
    """Whoever did not want to be contacted, and whose data were erased, is not contacted again as somebody new."""
    scopes = session.execute(_REFUSED, {"channel": channel, "blind": blind}).scalar_one_or_none()
    for scope in scopes or ():
        consent(session, contact_id, scope, False, ERASED, now)


_contact, _address = cast(Table, Contact.__table__), cast(Table, Address.__table__)
_AT = select(_address.c.id, _address.c.contact_id).where(
    _address.c.channel == bindparam("channel"), _address.c.blind == bindparam("blind")
)
_refused = cast(Table, DoNotContact.__table__)
_REFUSED = select(_refused.c.scopes).where(
    _refused.c.channel == bindparam("channel"), _refused.c.blind == bindparam("blind")
)
_ADD_CONTACT = _contact.insert().returning(_contact.c.id)
_ADD_ADDRESS = _address.insert().returning(_address.c.id)


def add_address(
    session: Session, contact_id: int, channel: ChannelName, value: str, now: datetime, *, claimed: bool = False
) -> Address:
    """Gives a contact an address; one that somebody has already stays theirs and is returned as it is."""
    if (known := find_address(session, channel, value)) is not None:
        return known
    vault = vault_of(session)
    address = Address(
        contact_id=contact_id,
        channel=channel,
        sealed=vault.seal(value),
        blind=vault.blind(channel, value),
        hint=mask(value),
        claimed=claimed,
        created_at=now,
    )
    session.add(address)
    session.flush()
    _remember_refusal(session, contact_id, channel, address.blind, now)
    return address


def add_phone(
    session: Session, contact_id: int, phone: str, now: datetime, *, claimed: bool = False
) -> tuple[Address, Address]:
    """The SMS and the voice address of a number; `claimed`: the customer typed it, nothing proves it is theirs. Raises
    BadPhoneError."""
    number = phone_number(phone)
    sms, voice = (add_address(session, contact_id, channel, number, now, claimed=claimed) for channel in PHONE_CHANNELS)
    return sms, voice


def learn(
    session: Session, contact_id: int, facts: dict[str, Any], *, now: datetime, staff_id: int | None = None, why: str
) -> None:
    """Writes what was learnt about a contact; what it replaces stays legible as a revision (REQ-G02).

    `facts` may hold name, title, unit, language, timezone, segments, tags, vulnerable, not_before, not_after.
    """
    contact = session.get_one(Contact, contact_id)
    vault = vault_of(session)
    for field, value in facts.items():
        if field == "unit":
            old = vault.open(contact.unit_sealed) if contact.unit_sealed else None
            if value and old != value:
                contact.unit_sealed = vault.seal(str(value))
                contact.building = building_of(str(value))
                kept, now_kept = (audit.sealed(vault, each) for each in (old, str(value)))
                _revise(session, contact, field, kept, now_kept, staff_id, why, now)
            continue
        old = getattr(contact, field)
        if value not in (None, "") and old != value:
            setattr(contact, field, value)
            _revise(session, contact, field, old, value, staff_id, why, now)


def _revise(
    session: Session, contact: Contact, field: str, old: Any, new: Any, staff_id: int | None, why: str, now: datetime
) -> None:
    contact.revision += 1
    audit.revise(session, "contact", contact.id, field, old, new, now=now, staff_id=staff_id, why=why)


TITLES = frozenset({"先生", "女士", "小姐", "太太", "老师", "医生", "经理", "主任", "Mr", "Mrs", "Ms", "Miss", "Dr"})
COMPOUND = ("欧阳", "上官", "司马", "诸葛", "皇甫", "令狐", "东方", "尉迟", "公孙", "慕容", "司徒", "夏侯")


def addressed(name: str, title: str) -> str:
    """How a person is addressed: a bare title with the surname before it in Chinese, behind it in English (REQ-C22).

    >>> addressed("郑晓霜", "女士"), addressed("Alex Morgan", "Mr"), addressed("", "女士")
    ('郑女士', 'Mr Morgan', '女士')
    """
    if not name or title not in TITLES:
        return title
    if title.isascii():
        return f"{title} {name.split()[-1]}"
    return f"{name[:2] if name.startswith(COMPOUND) else name[0]}{title}"


def building_of(unit: str) -> str:
    """The location key broadcasts and incidents filter by: the first part of a unit.

    >>> building_of("3-2-501")
    '3'
    """
    return unit.split("-", 1)[0].strip()


def unit_of(session: Session, contact: Contact) -> str | None:
    return vault_of(session).open(contact.unit_sealed) if contact.unit_sealed else None


def phone_of(session: Session, contact_id: int, channel: ChannelName = ChannelName.VOICE) -> Address | None:
    """The contact's preferred reachable number."""
    return session.scalar(
        select(Address)
        .where(Address.contact_id == contact_id, Address.channel == channel, Address.reachable)
        .order_by(Address.rank, Address.id)
        .limit(1)
    )


def consent(session: Session, contact_id: int, scope: str, granted: bool, source: str, now: datetime) -> None:
    """Writes a consent given or withdrawn; the latest of a scope counts (REQ-G19)."""
    session.add(Consent(contact_id=contact_id, scope=scope, granted=granted, source=source, at=now))


def consents(session: Session, contact_id: int) -> dict[str, tuple[bool, datetime]]:
    """The latest word of a contact on each scope."""
    rows = session.execute(
        select(Consent.scope, Consent.granted, Consent.at).where(Consent.contact_id == contact_id).order_by(Consent.id)
    )
    return {scope: (granted, at) for scope, granted, at in rows}


def consent_history(session: Session, contact_id: int) -> list[Consent]:
    """Every consent given or withdrawn by this person, the latest first (REQ-G19)."""
    theirs = Consent.contact_id.in_(same_person(session, contact_id))
    return list(session.scalars(select(Consent).where(theirs).order_by(Consent.at.desc(), Consent.id.desc())))


def same_person(session: Session, contact_id: int) -> list[int]:
    """The surviving contact first, then every one merged into it."""
    people = [survivor(session, contact_id)]
    found = people
    while found:
        merged = session.scalars(select(Contact.id).where(Contact.merged_into_id.in_(found)))
        found = [each for each in merged if each not in people]
        people += found
    return people


def merge(session: Session, duplicate_id: int, into_id: int, *, staff_id: int, why: str, now: datetime) -> list[int]:
    """A person decides that two contacts are one: addresses and open conversations move, the duplicate points to what
    it became, and what either of them said last about being contacted holds. Gives the addresses that moved."""
    people = select(Contact).where(Contact.id.in_((duplicate_id, into_id))).order_by(Contact.id).with_for_update()
    locked = {person.id: person for person in session.scalars(people)}
    duplicate, into_id = locked[duplicate_id], survivor(session, into_id)
    if duplicate.id == into_id or duplicate.merged_into_id is not None:
        return []
    duplicate.merged_into_id = into_id
    addresses = session.scalars(select(Address).where(Address.contact_id == duplicate_id)).all()
    move(session, addresses, into_id)
    _join(session, duplicate, into_id, staff_id, why, now)
    _revise(session, duplicate, "merged_into_id", None, into_id, staff_id, why, now)
    audit.record(session, "contact.merge", "contact", duplicate_id, now=now, staff_id=staff_id, note=why, into=into_id)
    return [address.id for address in addresses]


def move(session: Session, addresses: Sequence[Address], contact_id: int) -> None:
    """Gives addresses to a contact, with the conversations that are open there."""
    for address in addresses:
        address.contact_id = contact_id
    at = Conversation.address_id.in_([address.id for address in addresses])
    open_ones = at & (Conversation.state != ConversationState.CLOSED)
    session.execute(update(Conversation).where(open_ones).values(contact_id=contact_id))


def part(session: Session, duplicate_id: int, *, staff_id: int, why: str, now: datetime) -> None:
    """Two contacts were no one person after all; the addresses are the caller's to move back."""
    duplicate = session.get_one(Contact, duplicate_id, with_for_update=True)
    was, duplicate.merged_into_id = duplicate.merged_into_id, None
    _revise(session, duplicate, "merged_into_id", was, None, staff_id, why, now)
    audit.record(session, "contact.part", "contact", duplicate_id, now=now, staff_id=staff_id, note=why, was=was)


def _join(session: Session, duplicate: Contact, into_id: int, staff_id: int, why: str, now: datetime) -> None:
    """What is known of the duplicate alone, and its later words on consent, hold for the one it became."""
    into = session.get_one(Contact, into_id)
    facts = {name: getattr(duplicate, name) for name in ("name", "title") if not getattr(into, name)}
    if duplicate.unit_sealed and not into.unit_sealed:
        facts["unit"] = unit_of(session, duplicate)
    if duplicate.vulnerable:
        facts["vulnerable"] = True
    if new := [tag for tag in duplicate.tags if tag.casefold() not in {each.casefold() for each in into.tags}]:
        facts["tags"] = [*into.tags, *new]
    learn(session, into_id, facts, now=now, staff_id=staff_id, why=why)
    known = consents(session, into_id)
    for scope, (granted, at) in consents(session, duplicate.id).items():
        if scope not in known or known[scope][1] < at:
            consent(session, into_id, scope, granted, f"merged contact {duplicate.id}", at)
    session.flush()
