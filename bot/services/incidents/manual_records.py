"""Calls written down by hand while the system was down: brought in afterwards from the offline page's file or typed in
from paper; whoever wants a call is called (REQ-F13, C29).

The offline page saves {"kind": "hotline-manual-records", "records": [{"key", "taken_at", "agent", "number", "name",
"matter", "promise", "callback"}]}; `taken_at` is ISO 8601 with an offset. A record already known is left as it is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import ChannelName, Purpose
from bot.services import audit, contacts
from bot.services.calls import bookings
from bot.services.centre import Centre
from bot.services.incidents.incident_file import IncidentRefusedError, allow, note
from bot.services.permissions import Function
from store.db import touch
from store.tables import Incident, ManualRecord

KIND = "hotline-manual-records"
MOST = 2000  # records in one file


@dataclass(frozen=True, slots=True)
class Written:
    """A call as it was written down; `number` is as people write it, empty where the caller left none."""

    key: str
    taken_at: datetime
    agent: str
    number: str
    name: str
    matter: str
    promise: str
    callback: bool


@dataclass(frozen=True, slots=True)
class Wrong:
    """A record that cannot be taken in; `place` counts from 1, `code` says why."""

    place: int
    code: str


@dataclass(frozen=True, slots=True)
class BroughtIn:
    """What became of a file."""

    added: int
    known: int
    callbacks: int
    wrong: tuple[Wrong, ...]


def read(content: bytes, now: datetime) -> tuple[list[Written], list[Wrong]]:
    """The records of a file and what is wrong with the others. Raises IncidentRefusedError("file_bad")."""
    try:
        told = json.loads(content)
        records = told["records"]
        if told["kind"] != KIND or not isinstance(records, list) or len(records) > MOST:
            raise ValueError
    except (ValueError, TypeError, KeyError, RecursionError):
        raise IncidentRefusedError("file_bad") from None
    good: list[Written] = []
    bad: list[Wrong] = []
    for place, raw in enumerate(records, 1):
        found = _record(raw, now) if isinstance(raw, dict) else "record_bad"
        if isinstance(found, Written):
            good.append(found)
        else:
            bad.append(Wrong(place, found))
    return good, bad


def _record(raw: dict[str, Any], now: datetime) -> Written | str:
    texts = {name: raw.get(name) for name in ("key", "taken_at", "agent", "number", "name", "matter", "promise")}
    if not all(value is None or isinstance(value, str) for value in texts.values()):
        return "record_bad"
    said = {name: (value or "").replace("\x00", "").strip() for name, value in texts.items()}
    try:
        taken_at = datetime.fromisoformat(said["taken_at"])
        if taken_at.tzinfo is None or not now - timedelta(days=366) < taken_at <= now + timedelta(days=1):
            return "time_bad"
    except (ValueError, OverflowError):
        return "time_bad"
    callback = raw.get("callback") is True
    return checked(Written(said["key"][:64], taken_at, said["agent"][:60], *_rest(said), callback))


def _rest(said: dict[str, str]) -> tuple[str, str, str, str]:
    return said["number"][:40], said["name"][:60], said["matter"][:4000], said["promise"][:2000]


def checked(written: Written) -> Written | str:
    """The record, or the code of what is missing: a key, the matter, and the number of whoever wants a call."""
    if not written.key:
        return "record_bad"
    if not written.matter:
        return "matter_missing"
    if written.callback and not written.number:
        return "number_missing"
    if written.number:
        try:
            contacts.phone_number(written.number)
        except contacts.BadPhoneError:
            return "number_bad"
    return written


def bring_in(
    session: Session,
    centre: Centre,
    records: Sequence[Written],
    *,
    incident_id: int | None,
    staff_id: int,
    now: datetime,
    wrong: Sequence[Wrong] = (),
) -> BroughtIn:
    """Takes the records in, each once, and books the calls people were promised; in a drill nobody is called."""
    allow(session, staff_id, Function.HANDLE_QUEUE)
    incident = session.get(Incident, incident_id) if incident_id is not None else None
    if incident_id is not None and incident is None:
        raise IncidentRefusedError("not_found")
    drill = incident is not None and incident.drill
    added = known = calls = 0
    for written in records:
        row = _add(session, centre, written, incident, staff_id, now, drill=drill)
        if row is None:
            known += 1
            continue
        added += 1
        if written.callback and not drill:
            calls += _book(session, centre, row, now)
    if incident is not None and added:
        note(session, incident, "by_hand", str(added), staff_id, now)
    audit.record(session, "manual.import", "incident", incident_id, now=now, staff_id=staff_id, added=added)
    touch(session, "incidents")
    return BroughtIn(added, known, calls, tuple(wrong))


def _add(
    session: Session,
    centre: Centre,
    written: Written,
    incident: Incident | None,
    staff_id: int,
    now: datetime,
    *,
    drill: bool,
) -> ManualRecord | None:
    """The new record; None where it is known, by its key or by saying the same of the same minute."""
    alike = (
        (ManualRecord.taken_at == written.taken_at)
        & (ManualRecord.matter == written.matter)
        & (ManualRecord.agent == written.agent)
    )
    if session.scalar(select(ManualRecord.id).where((ManualRecord.key == written.key) | alike).limit(1)) is not None:
        return None
    row = ManualRecord(
        key=written.key,
        incident_id=incident.id if incident is not None else None,
        contact_id=None if drill else _contact(session, centre, written, now),
        taken_at=written.taken_at,
        agent=written.agent,
        matter=written.matter,
        promise=written.promise,
        wants_callback=written.callback,
        staff_id=staff_id,
        at=now,
    )
    session.add(row)
    session.flush()
    return row


def _contact(session: Session, centre: Centre, written: Written, now: datetime) -> int | None:
    if not written.number:
        return None
    phone = contacts.phone_number(written.number)
    zone, language = centre.settings.timezone, centre.settings.language
    met = contacts.meet(session, ChannelName.VOICE, phone, language=language, zone=zone, now=now)
    contacts.add_phone(session, met.contact_id, phone, now)
    if written.name:
        contacts.learn(session, met.contact_id, {"name": written.name}, now=now, why="manual record")
    return contacts.survivor(session, met.contact_id)


def _book(session: Session, centre: Centre, row: ManualRecord, now: datetime) -> int:
    assert row.contact_id is not None
    try:
        callback = bookings.book(
            session,
            centre,
            row.contact_id,
            dedupe_key=f"manual:{row.key}",
            wish=None,
            topic=row.matter[:120],
            now=now,
            purpose=Purpose.SERVICE_NOTICE,
        )
    except bookings.NotBookableError:
        return 0
    row.callback_id = callback.id
    return 1
