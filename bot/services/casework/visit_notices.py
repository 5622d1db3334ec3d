"""What customers are told about their visits without having asked: the reminder the day before, a change or a
cancelling of ours, an apology for one that was missed (REQ-C29, C35, INT-32).

Told once, in the conversation where the visit was agreed, whose scripts then take the answer (`visit_notice`,
`visit_again`). A service notice passes the gate: what the night refuses is told in the morning, if that is in time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.permission import Refused
from bot.core.visits import Notice
from bot.core.words import (
    CaseState,
    ChannelName,
    Purpose,
    VisitState,
)
from bot.services import audit, contacts, gate
from bot.services.casework import cases, visits
from bot.services.casework.visit_times import span_told
from bot.services.centre import Centre
from bot.services.conversation.speaking_first import hold_where, speak
from bot.services.delivery import outbox
from store.db import touch
from store.tables import Address, Case, Visit

PAGE = 50
FLOWS: Mapping[Notice, str] = {
    Notice.REMINDER: "visit_notice",
    Notice.CHANGED: "visit_notice",
    Notice.CANCELLED: "visit_again",
    Notice.MISSED: "visit_again",
}
STATES: Mapping[Notice, VisitState] = {
    Notice.REMINDER: VisitState.BOOKED,
    Notice.CHANGED: VisitState.BOOKED,
    Notice.CANCELLED: VisitState.CANCELLED,
    Notice.MISSED: VisitState.MISSED,
}


def tick(session: Session, centre: Centre, now: datetime) -> int:
    """Tells what is due; each row's notice goes with it, so that it is told once however often this runs."""
    due = session.scalars(
        select(Visit)
        .where(Visit.notice_at.is_not(None), Visit.notice_at <= now)
        .order_by(Visit.notice_at)
        .limit(PAGE)
        .with_for_update(skip_locked=True)
    ).all()
    for visit in due:
        _tell(session, centre, visit, now)
    return len(due)


def next_due(session: Session, now: datetime) -> datetime | None:
    return session.scalar(
        select(Visit.notice_at)
        .where(Visit.notice_at.is_not(None), Visit.notice_at > now)
        .order_by(Visit.notice_at)
        .limit(1)
    )


def _tell(session: Session, centre: Centre, visit: Visit, now: datetime) -> None:
    notice, visit.notice, visit.notice_at = visit.notice, None, None
    case = session.get_one(Case, visit.case_id)
    if notice is None or visit.state is not STATES[notice] or case.state is CaseState.CLOSED:
        return
    coming = visit.state is VisitState.BOOKED
    if coming and visit.starts_at <= now:
        return
    address = _reach(session, centre, visit)
    if address is None or FLOWS[notice] not in centre.library.current.book.flows:
        _untold(session, visit, notice, now)
        return
    shelf = centre.library.current
    answer = gate.ask(
        session,
        purpose=Purpose.SERVICE_NOTICE,
        channel=address.channel,
        contact_id=contacts.survivor(session, visit.contact_id),
        policies=shelf.policies,
        calendar=shelf.calendar,
        now=now,
    )
    if isinstance(answer, Refused):
        if answer.until is not None and (not coming or answer.until < visit.starts_at):
            visit.notice, visit.notice_at = notice, answer.until
        else:
            _untold(session, visit, notice, now)
        return
    _say(session, centre, visit, case, notice, address, now)
    visit.told_at = now
    if notice is Notice.CHANGED:
        visits.remind_later(visit, centre, now)
    audit.record(session, "visit.tell", "visit", visit.id, now=now, what=notice.value)
    touch(session, "visits")


def _untold(session: Session, visit: Visit, notice: Notice, now: datetime) -> None:
    """The customer cannot be told by us: somebody should telephone (REQ-C35)."""
    cases.note(session, visit.case_id, "visit.untold", "", now=now)
    audit.record(session, "visit.untold", "visit", visit.id, now=now, what=notice.value)
    touch(session, "visits")


def _reach(session: Session, centre: Centre, visit: Visit) -> Address | None:
    """Where the visit was agreed; after a call, and where that channel is gone, the contact's number for texts."""
    address = session.get(Address, visit.address_id) if visit.address_id else None
    if address is not None and address.channel is not ChannelName.VOICE and _open(centre, address.channel):
        return address
    number = contacts.phone_of(session, contacts.survivor(session, visit.contact_id), ChannelName.SMS)
    return number if number is not None and _open(centre, ChannelName.SMS) else None


def _open(centre: Centre, channel: ChannelName) -> bool:
    return channel in outbox.OWN_PAGES or channel in centre.channels


def _say(
    session: Session, centre: Centre, visit: Visit, case: Case, notice: Notice, address: Address, now: datetime
) -> None:
    """Says the notice where the visit was agreed; the conversation there waits for the answer."""
    held = hold_where(session, centre, visit.contact_id, address, now)
    told = {
        "visit_notice": notice.value,
        "visit_at": span_told(visit.starts_at, visit.ends_at, now, centre.settings.timezone, held.language),
        "case_number": case.number,
    }
    speak(
        session,
        centre,
        held,
        FLOWS[notice],
        told,
        now,
        purpose=Purpose.SERVICE_NOTICE,
        dedupe_key=f"visit:{visit.id}:{notice}:{held.seq}",
        expires_at=visit.starts_at if visit.state is VisitState.BOOKED else None,
    )
