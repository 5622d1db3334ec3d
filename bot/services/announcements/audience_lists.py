"""A list of telephone numbers somebody brings along, as whom an announcement is for (REQ-F32).

The file is CSV or XLSX, whatever its columns: the first number in each line counts. Whoever is not known yet becomes a
contact; lines without a number are told, and nothing of the file is lost for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import ChannelName
from bot.services import contacts
from bot.services.announcements import announcements
from bot.services.announcements.broadcasts import BroadcastRefusedError
from bot.services.centre import Centre
from bot.services.contacts import BadPhoneError
from bot.services.plans.visit_lists import lines
from store.db import vault_of
from store.tables import Address

TOLD = 20  # of the lines that cannot be used
AT_ONCE = 500  # numbers looked up together


@dataclass(frozen=True, slots=True)
class NumberList:
    """The numbers (E.164) of a file, each once, and the lines without one, the first line being taken for a heading."""

    numbers: tuple[str, ...]
    without: tuple[int, ...]


def read_list(data: bytes) -> NumberList:
    """The numbers of a file. Raises UnreadableError (visit_lists) where it is no list at all."""
    numbers: dict[str, None] = {}
    without: list[int] = []
    for at, (line, cells) in enumerate(lines(data)):
        number = next(filter(None, map(_number, cells)), None)
        if number is not None:
            numbers[number] = None
        elif at and any(cells):
            without.append(line)
    return NumberList(tuple(numbers), tuple(without))


def _number(cell: str) -> str | None:
    if sum(char.isdigit() for char in cell) < 7:
        return None
    try:
        return contacts.phone_number(cell)
    except BadPhoneError:
        return None


def add_list(
    session: Session,
    centre: Centre,
    broadcast_id: int,
    numbers: Sequence[str],
    *,
    revision: int,
    staff_id: int,
    now: datetime,
) -> int:
    """Adds these people to a draft's audience; gives how many the list has. Raises BroadcastRefusedError."""
    broadcast = announcements.held(session, broadcast_id)
    if broadcast.follows_id is not None:
        raise BroadcastRefusedError("audience_fixed")
    announcements.draft_still(broadcast, revision)
    people = {*broadcast.audience.get("contacts", ()), *_people(session, centre, numbers, now)}
    announcements.change_audience(
        session, broadcast, {**broadcast.audience, "contacts": sorted(people)}, staff_id=staff_id, now=now
    )
    return len(people)


def _people(session: Session, centre: Centre, numbers: Sequence[str], now: datetime) -> set[int]:
    vault, found = vault_of(session), set[int]()
    for start in range(0, len(numbers), AT_ONCE):
        page = numbers[start : start + AT_ONCE]
        blinds = {vault.blind(channel, number): number for number in page for channel in contacts.PHONE_CHANNELS}
        known = session.execute(
            select(Address.blind, Address.contact_id).where(
                Address.channel.in_(contacts.PHONE_CHANNELS), Address.blind.in_(blinds)
            )
        ).all()
        found |= {row.contact_id for row in known if row.contact_id is not None}
        met = {blinds[row.blind] for row in known}
        for number in (each for each in page if each not in met):
            someone = contacts.meet(
                session,
                ChannelName.SMS,
                number,
                language=centre.settings.language,
                zone=centre.settings.timezone,
                now=now,
            )
            contacts.add_phone(session, someone.contact_id, number, now)
            found.add(someone.contact_id)
    return found
