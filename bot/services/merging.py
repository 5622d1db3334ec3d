"""One person under two contacts: noticed, offered to a person, never merged silently (DESIGN §2).

Whoever gives a number in conversation that another contact holds may be that contact; both must have come to us where
their address is proven. A REST sender's name proves nothing (DESIGN §8), so those are never offered.
A number typed in conversation proves nothing either: whoever writes or calls from it is somebody of their own until a
person says that the two are one.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from bot.core.words import ChannelName, Language
from bot.services import audit, contacts
from bot.services.conversation.conversations import Held
from bot.services.refusal import RefusedError
from store.db import vault_of
from store.tables import Address, Contact, Merge, MergeState

SAME_PHONE, BY_HAND = "same_phone", "by_hand"
SHOWN = 100


def give_phone(session: Session, held: Held, phone: str, now: datetime) -> tuple[Address, Address]:
    """The addresses of a number a customer gave in conversation; one that somebody has stays theirs, and whether the
    two are one person is offered to be decided. Raises BadPhoneError."""
    sms, voice = contacts.add_phone(session, held.contact_id, phone, now, claimed=True)
    if voice.contact_id is not None and voice.contact_id != held.contact_id:
        _notice(session, held.contact_id, voice, now, conversation_id=held.id)
    return sms, voice


def prove(session: Session, number: str, *, language: Language, zone: str, now: datetime) -> None:
    """Somebody writes or calls from this number (E.164). Where it was only typed in conversation it becomes theirs: a
    contact of their own, who may be the one that typed it. What was promised to call there still calls there."""
    blinds = {channel: vault_of(session).blind(channel, number) for channel in contacts.PHONE_CHANNELS}
    here = or_(*(and_(Address.channel == channel, Address.blind == blind) for channel, blind in blinds.items()))
    claimed = session.scalars(select(Address).where(here, Address.claimed).order_by(Address.id).with_for_update()).all()
    if not claimed:
        return
    typed_by = contacts.survivor(session, claimed[0].contact_id or 0)
    caller = Contact(language=language, timezone=zone, created_at=now)
    session.add(caller)
    session.flush()
    contacts.move(session, claimed, caller.id)
    for address in claimed:
        address.claimed = False
    session.flush()
    _notice(session, typed_by, claimed[0], now)


def _notice(
    session: Session, contact_id: int, number: Address, now: datetime, *, conversation_id: int | None = None
) -> None:
    one, other = contact_id, contacts.survivor(session, number.contact_id or 0)
    nameless = exists().where(Address.contact_id.in_((one, other)), Address.channel == ChannelName.REST)
    if one == other or session.scalar(select(nameless)):
        return
    _offer(session, one, other, SAME_PHONE, now, hint=number.hint, conversation_id=conversation_id)


def propose(session: Session, one: int, other: int, now: datetime) -> int:
    """A colleague thinks these two are one person; the pair's id. Raises RefusedError."""
    one, other = contacts.survivor(session, one), contacts.survivor(session, other)
    if one == other:
        raise RefusedError("same_contact")
    return _offer(session, one, other, BY_HAND, now)


def _offer(
    session: Session,
    one: int,
    other: int,
    why: str,
    now: datetime,
    *,
    hint: str = "",
    conversation_id: int | None = None,
) -> int:
    """The pair's row, as it is where there is one: what was declined is not offered again."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    kept, merged = sorted((one, other))
    new = {"kept_id": kept, "other_id": merged, "why": why, "hint": hint, "conversation_id": conversation_id}
    session.execute(insert(Merge).values(**new, at=now).on_conflict_do_nothing())
    return session.scalars(select(Merge.id).where(Merge.kept_id == kept, Merge.other_id == merged)).one()


def open_offers(session: Session, contact_id: int | None = None) -> list[Merge]:
    """Pairs that wait for somebody to decide, the latest first; of one person, or all of them."""
    query = select(Merge).where(Merge.state == MergeState.OPEN).order_by(Merge.id.desc()).limit(SHOWN)
    if contact_id is not None:
        people = contacts.same_person(session, contact_id)
        query = query.where(or_(Merge.kept_id.in_(people), Merge.other_id.in_(people)))
    return list(session.scalars(query))


def waiting(session: Session) -> int:
    """How many pairs wait."""
    return session.scalar(select(func.count()).select_from(Merge).where(Merge.state == MergeState.OPEN)) or 0


def accept(session: Session, merge_id: int, staff_id: int, now: datetime) -> None:
    """They are one person. Raises RefusedError."""
    found = session.get_one(Merge, merge_id, with_for_update=True)
    if found.state is MergeState.MERGED:
        raise RefusedError("merged_already")
    kept, other = (contacts.survivor(session, each) for each in (found.kept_id, found.other_id))
    if kept != other and {kept, other} != {found.kept_id, found.other_id}:  # one of them has become somebody else
        accept(session, _offer(session, kept, other, found.why, now, hint=found.hint), staff_id, now)
    elif kept != other:
        why = f"merge {found.id}: {found.why}"
        found.moved = contacts.merge(session, other, kept, staff_id=staff_id, why=why, now=now)
    found.state, found.staff_id, found.decided_at = MergeState.MERGED, staff_id, now


def decline(session: Session, merge_id: int, staff_id: int, now: datetime) -> None:
    """They are different people. Raises RefusedError."""
    found = session.get_one(Merge, merge_id, with_for_update=True)
    if found.state is MergeState.MERGED:
        raise RefusedError("merged_already")
    found.state, found.staff_id, found.decided_at = MergeState.DECLINED, staff_id, now
    audit.record(
        session, "contact.not_same", "contact", found.kept_id, now=now, staff_id=staff_id, other=found.other_id
    )


def undo(session: Session, merge_id: int, staff_id: int, now: datetime) -> None:
    """They were two people after all: the other gets its addresses, and the conversations open there, back. What was
    written, opened or stopped since stays with the one that was kept. Raises RefusedError."""
    found = session.get_one(Merge, merge_id, with_for_update=True)
    if found.state is not MergeState.MERGED or not found.moved:
        raise RefusedError("not_merged")
    holder = contacts.survivor(session, found.kept_id)
    own = select(Address).where(Address.id.in_(found.moved), Address.contact_id == holder)
    contacts.part(session, found.other_id, staff_id=staff_id, why=f"merge {found.id} undone", now=now)
    contacts.move(session, session.scalars(own).all(), found.other_id)
    found.state, found.moved, found.staff_id, found.decided_at = MergeState.DECLINED, [], staff_id, now
