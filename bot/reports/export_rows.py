"""The rows of exported lists: customers, cases, and the recipients of an announcement (REQ-G09, G14)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.services import contacts
from bot.services.centre import Centre
from bot.services.i18n import N_, label, text
from bot.services.records.exports import FIELDS
from store.db import vault_of
from store.tables import Acknowledgement, Address, BroadcastRecipient, Case, Contact, Export, Staff

MOST = 100_000  # rows of one file
Table = tuple[list[str], list[list[str]]]
"""Headings and cells."""


def _heads(export: Export) -> list[str]:
    return [text(export.language, FIELDS[export.kind][name]) for name in export.fields]


def contacts_of(session: Session, export: Export) -> Table:
    """Everybody known, but for who was merged or erased."""
    people = session.scalars(
        select(Contact)
        .where(Contact.merged_into_id.is_(None), Contact.erased_at.is_(None))
        .order_by(Contact.id)
        .limit(MOST)
    ).all()
    numbers = _numbers(session) if "phone" in export.fields else {}

    def cell(person: Contact, name: str) -> str:
        match name:
            case "language":
                return label(export.language, person.language)
            case "segments":
                return " / ".join(person.segments)
            case "tags":
                return " / ".join(person.tags)
            case "unit":
                return contacts.unit_of(session, person) or ""
            case "phone":
                return numbers.get(person.id, "")
            case "stopped":
                given = contacts.consents(session, person.id)
                return " / ".join(scope for scope, (granted, _) in given.items() if not granted)
        return str(getattr(person, name) or "")

    return _heads(export), [[cell(person, name) for name in export.fields] for person in people]


def _numbers(session: Session) -> dict[int, str]:
    """Everybody's numbers."""
    vault = vault_of(session)
    found: dict[int, dict[str, None]] = {}
    rows = session.execute(
        select(Address.contact_id, Address.sealed)
        .where(Address.channel.in_(contacts.PHONE_CHANNELS), Address.contact_id.is_not(None))
        .order_by(Address.rank, Address.id)
    )
    for contact_id, sealed in rows:
        found.setdefault(contact_id, {})[vault.open(sealed)] = None
    return {contact_id: " ".join(filter(None, numbers)) for contact_id, numbers in found.items()}


def cases_of(session: Session, centre: Centre, export: Export, since: datetime, until: datetime) -> Table:
    """The cases opened in a span of days; those of the media stay with the spokesperson (REQ-E15)."""
    rows = session.execute(
        select(Case, Contact.name, Contact.title, Staff.name)
        .join(Contact, Contact.id == Case.contact_id)
        .outerjoin(Staff, Staff.id == Case.staff_id)
        .where(Case.opened_at >= since, Case.opened_at < until, Case.kind != "media")
        .order_by(Case.id)
        .limit(MOST)
    ).all()
    numbers = _numbers(session) if "phone" in export.fields else {}
    language, zone = export.language, centre.settings.zone

    def cell(case: Case, name: str, who: str, agent: str | None) -> str:
        match name:
            case "kind" | "state":
                return label(language, getattr(case, name))
            case "opened_at" | "closed_at":
                at = getattr(case, name)
                return f"{at.astimezone(zone):%Y-%m-%d %H:%M}" if at is not None else ""
            case "agent":
                return agent or ""
            case "name":
                return who
            case "phone":
                return numbers.get(case.contact_id, "")
        return str(getattr(case, name) or "")

    heads = [text(language, N_("工单号")), *_heads(export)]
    return heads, [
        [case.number, *(cell(case, field, name or title, agent) for field in export.fields)]
        for case, name, title, agent in rows
    ]


def recipients_of(session: Session, centre: Centre, export: Export) -> Table:
    """Everybody an announcement was for, with what became of each (REQ-F30); who was erased is left out."""
    rows = session.execute(
        select(BroadcastRecipient, Contact, Acknowledgement)
        .join(Contact, Contact.id == BroadcastRecipient.contact_id)
        .outerjoin(Acknowledgement, Acknowledgement.recipient_id == BroadcastRecipient.id)
        .where(BroadcastRecipient.broadcast_id == int(export.scope["broadcast"]), Contact.erased_at.is_(None))
        .order_by(BroadcastRecipient.id)
        .limit(MOST)
    ).all()
    numbers = _numbers(session) if "phone" in export.fields else {}
    language, zone = export.language, centre.settings.zone

    def cell(row: BroadcastRecipient, person: Contact, said: Acknowledgement | None, name: str) -> str:
        match name:
            case "name":
                return person.name or person.title
            case "unit":
                return contacts.unit_of(session, person) or ""
            case "phone":
                return numbers.get(person.id, "")
            case "outcome":
                return label(language, row.outcome)
            case "channel":
                return label(language, said.channel) if said is not None else ""
            case "at":
                return f"{row.changed_at.astimezone(zone):%Y-%m-%d %H:%M}"
        return str(getattr(person, name) or "")

    return _heads(export), [[cell(row, person, said, field) for field in export.fields] for row, person, said in rows]
