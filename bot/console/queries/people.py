"""A contact as the viewer may see them: card, search, whose they are (REQ-A22, G14)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from bot.core.words import (
    ChannelName,
    Language,
)
from bot.services import contacts, merging
from bot.services.casework.cases import OPEN_STATES
from bot.services.permissions import Function, Grant
from bot.services.records import corrections, unmasking
from bot.services.records.corrections import Was
from bot.services.staffing.staff import SignedIn
from store.db import vault_of
from store.tables import (
    Address,
    Case,
    Contact,
    Conversation,
    Merge,
    Staff,
)

FOUND_LIMIT = 50


@dataclass(frozen=True, slots=True)
class Card:
    """A contact as the viewer may see them. `full` tells whether numbers and unit are shown or masked (REQ-G14),
    `until` when they are masked again; `unmaskable`, whether the viewer may have them shown with a reason."""

    id: int
    name: str
    title: str
    language: Language
    timezone: str
    segments: tuple[str, ...]
    tags: tuple[str, ...]
    vulnerable: bool
    unit: str | None
    addresses: tuple[tuple[ChannelName, str, str], ...]  # channel, value as it may be seen, its masked form
    stopped: tuple[str, ...]
    full: bool
    twins: int = 0  # other contacts who may be the same person, and wait for somebody to decide
    until: datetime | None = None
    unmaskable: bool = False
    was: Mapping[str, tuple[Was, ...]] = field(default_factory=dict)  # what stood in name, title and unit before


def own_contact(session: Session, contact_id: int, staff_id: int) -> bool:
    """Whether this contact is of one's own cases (REQ-A22): a conversation held, or an unfinished case."""
    people = contacts.same_person(session, contact_id)
    holds = exists().where(Conversation.contact_id.in_(people), Conversation.staff_id == staff_id)
    works = exists().where(Case.contact_id.in_(people), Case.staff_id == staff_id, Case.state.in_(OPEN_STATES))
    return bool(session.scalar(select(or_(holds, works))))


def card(session: Session, contact_id: int, viewer: SignedIn, now: datetime, *, own: bool = False) -> Card:
    """`own` says that the viewer holds this contact's matter already; otherwise it is looked up."""
    contact = session.get_one(Contact, contact_id)
    how_far = viewer.grants(Function.SEE_CONTACT)
    theirs = bool(how_far & {Grant.OWN_CASES, *unmasking.MAY}) and (
        own or own_contact(session, contact_id, viewer.staff_id)
    )
    until = None if theirs else unmasking.shown(session, contact_id, viewer.staff_id, now)
    full = theirs or until is not None
    vault = vault_of(session)
    addresses = session.scalars(
        select(Address).where(Address.contact_id == contact_id).order_by(Address.rank, Address.id)
    )
    shown: dict[tuple[ChannelName, str, str], None] = {}
    for address in addresses:
        if address.channel in contacts.PHONE_CHANNELS:
            shown[(ChannelName.VOICE, vault.open(address.sealed) if full else address.hint, address.hint)] = None
        else:
            shown[(address.channel, "", "")] = None
    unit = contacts.unit_of(session, contact)
    return Card(
        contact.id,
        contact.name,
        contact.title,
        contact.language,
        contact.timezone,
        tuple(contact.segments),
        tuple(contact.tags),
        contact.vulnerable,
        unit if full or unit is None else "****",
        tuple(shown),
        tuple(scope for scope, (granted, _) in contacts.consents(session, contact_id).items() if not granted),
        full,
        len(merging.open_offers(session, contact_id)),
        until,
        not full and bool(how_far & {*unmasking.MAY}),
        _was(session, contact_id, full=full),
    )


def _was(session: Session, contact_id: int, *, full: bool) -> dict[str, tuple[Was, ...]]:
    found = corrections.history(session, "contact", [contact_id], full=full)
    return {name: found.get((contact_id, name), ()) for name in corrections.FIELDS["contact"]}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two contacts who may be one person, side by side; `kept` is the earlier one, whom a merge keeps."""

    offer: Merge
    kept: Card
    other: Card
    decided_by: str | None


def pairs(session: Session, offers: Sequence[Merge], viewer: SignedIn, now: datetime) -> list[Pair]:
    """Merges with both people as the viewer may see them."""
    found = []
    for offer in offers:
        staff = session.get(Staff, offer.staff_id) if offer.staff_id else None
        kept, other = (card(session, each, viewer, now) for each in (offer.kept_id, offer.other_id))
        found.append(Pair(offer, kept, other, staff.name if staff else None))
    return found


def find_contacts(session: Session, text: str) -> list[int]:
    """Contacts by whole telephone number, case number or part of a name."""
    text = text.strip()
    if not text:
        return []
    contact_id = session.scalar(select(Case.contact_id).where(Case.number == text.upper()))
    if contact_id is not None:
        return [contacts.survivor(session, contact_id)]
    try:
        address = contacts.find_address(session, ChannelName.VOICE, contacts.phone_number(text))
    except contacts.BadPhoneError:
        address = None
    if address is not None and address.contact_id is not None:
        return [contacts.survivor(session, address.contact_id)]
    pattern = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    return list(
        session.scalars(
            select(Contact.id)
            .where(Contact.merged_into_id.is_(None), Contact.name.like(pattern, escape="\\"))
            .order_by(Contact.name)
            .limit(FOUND_LIMIT)
        )
    )
