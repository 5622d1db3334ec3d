"""A page of a list in a handful of statements: people nobody knows yet, their numbers, events and calls (REQ-C02).

Row by row a list of 100,000 takes a quarter of an hour. Here whoever is new is added together; whoever is known, or
shares a number with somebody in the same page, goes the usual way (followups.record), which asks about consent too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from bot.core.plan import started_by
from bot.core.words import ChannelName, mask
from bot.services import tags
from bot.services.centre import Centre
from bot.services.contacts import PHONE_CHANNELS
from bot.services.plans import followups, planning
from bot.services.plans.planning import Occurrence, Owed
from store.db import touch, vault_of
from store.tables import Address, Callback, Contact, Event

IN_A_QUERY = 500
_contact, _address = cast(Table, Contact.__table__), cast(Table, Address.__table__)
_event, _callback = cast(Table, Event.__table__), cast(Table, Callback.__table__)


def record_all(
    session: Session, centre: Centre, page: Sequence[Occurrence], now: datetime, owed: Owed
) -> list[str | None]:
    """Keeps these events, none of which is known, each named once; for each why it could not be planned, or None."""
    met = _met(session, page)
    times = Counter(what.phone for what in page)
    plans = centre.library.current.policies.plans
    fresh = [
        n
        for n, what in enumerate(page)
        if what.phone not in met
        and times[what.phone] == 1
        and all(plans[id_].calls for id_ in started_by(plans, what.kind, what.details))
    ]
    found: dict[int, str | None] = dict(
        zip(fresh, _add(session, centre, [page[n] for n in fresh], now, owed), strict=True)
    )
    for n, what in enumerate(page):
        if n not in found:
            found[n] = followups.record(session, centre, what, now).unplanned
    return [found[n] for n in range(len(page))]


def _met(session: Session, page: Sequence[Occurrence]) -> set[str]:
    """The numbers somebody has already, on any telephone channel."""
    vault = vault_of(session)
    phones = {vault.blind(channel, what.phone): what.phone for what in page for channel in PHONE_CHANNELS}
    blinds = list(phones)
    known: set[str] = set()
    for at in range(0, len(blinds), IN_A_QUERY):
        query = select(Address.blind).where(
            Address.channel.in_(PHONE_CHANNELS), Address.blind.in_(blinds[at : at + IN_A_QUERY])
        )
        known.update(phones[blind] for blind in session.scalars(query))
    return known


def _add(session: Session, centre: Centre, page: Sequence[Occurrence], now: datetime, owed: Owed) -> list[str | None]:
    """New people with their numbers, events and calls."""
    if not page:
        return []
    settings, shelf = centre.settings, centre.library.current
    people = _ids(
        session,
        _contact,
        (
            {
                "name": what.name,
                "title": what.title,
                "language": what.language or settings.language,
                "timezone": what.zone or settings.timezone,
                "birthday": what.birthday or None,
                "segments": [],
                "tags": tags.read(what.tags),
                "created_at": now,
            }
            for what in page
        ),
    )
    vault = vault_of(session)
    session.connection().execute(
        _address.insert(),
        [
            {
                "contact_id": person,
                "channel": channel,
                "sealed": vault.seal(what.phone),
                "blind": vault.blind(channel, what.phone),
                "hint": mask(what.phone),
                "created_at": now,
            }
            for person, what in zip(people, page, strict=True)
            for channel in (ChannelName.VOICE, ChannelName.SMS)
        ],
    )
    calls, reasons = planning.calls_of(session, centre, page, now, owed)
    events = _ids(
        session,
        _event,
        (
            {
                "source": what.source,
                "external_id": what.external_id,
                "kind": what.kind.value,
                "contact_id": person,
                "happened_at": what.happened_at,
                "recorded_at": now,
                "details": {k: v for k, v in {**what.details, "name": what.name, "title": what.title}.items() if v},
                "unplanned": reason,
                "tried": planning.settings_tried(shelf),
            }
            for person, what, reason in zip(people, page, reasons, strict=True)
        ),
    )
    rows = [
        {**call, "dedupe_key": f"event:{event}:{call['plan']}:{call['step']}", "contact_id": person, "event_id": event}
        for person, event, theirs in zip(people, events, calls, strict=True)
        for call in theirs
    ]
    if rows:
        session.connection().execute(_callback.insert(), rows)
        touch(session, "callbacks")
    return reasons


def _ids(session: Session, table: Table, rows: Iterable[dict[str, Any]]) -> list[int]:
    """Inserts rows and gives their ids, in the same order."""
    statement = table.insert().returning(table.c.id, sort_by_parameter_order=True)
    return list(session.connection().execute(statement, list(rows)).scalars())
