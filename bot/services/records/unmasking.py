"""Numbers and addresses are masked until somebody who may see them says why (REQ-A22, G14).

What one's own matter needs is shown with it; everything else is shown to whoever supervises for a few minutes, with a
reason that is kept, and much looking around is told to the supervisors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.core.words import Role
from bot.services import audit, contacts
from bot.services.centre import Centre
from bot.services.escalation import alerts
from bot.services.i18n import N_
from bot.services.permissions import Grant
from bot.services.refusal import RefusedError
from bot.services.staffing import staff as people
from store.tables import Contact, Staff, Unmasking

MAY = (Grant.YES, Grant.TEAM)  # of SEE_CONTACT
OWN_WORDS = "other"
REASONS: Mapping[str, str] = {
    "call": N_("要给客户打电话"),
    "visit": N_("安排上门或寄送"),
    "complaint": N_("核对投诉或工单"),
    "merge": N_("核对是不是同一人"),
    "emergency": N_("紧急联系"),
    OWN_WORDS: N_("其他，请写明"),
}
PAGE = "/console/privacy/looks"
MOST = 200  # characters of one's own words
MANY = N_("%(name)s在 %(hours)s 小时内查看了 %(count)s 位客户的完整联系方式，请看一看。")
LISTED = 100


@dataclass(frozen=True, slots=True)
class Look:
    """Somebody's look at a contact, with both names."""

    row: Unmasking
    who: str
    whom: str


def unmask(
    session: Session, centre: Centre, contact_id: int, *, staff_id: int, reason: str, note: str, now: datetime
) -> Unmasking:
    """Shows a contact's numbers and addresses to this person for a while. Raises RefusedError."""
    note = note.strip()[:MOST]
    if reason not in REASONS or (reason == OWN_WORDS and not note):
        raise RefusedError("reason_missing")
    policy = centre.library.current.policies.privacy
    contact_id = contacts.survivor(session, session.get_one(Contact, contact_id).id)
    look = Unmasking(
        contact_id=contact_id, staff_id=staff_id, reason=reason, note=note, at=now, until=now + policy.shown_for
    )
    session.add(look)
    session.flush()
    audit.record(session, "contact.unmask", "contact", contact_id, now=now, staff_id=staff_id, reason=reason)
    _watch(session, centre, staff_id, now)
    return look


def _watch(session: Session, centre: Centre, staff_id: int, now: datetime) -> None:
    """More people than the policy calls usual: the other supervisors and managers are told, once in that span."""
    cap = centre.library.current.policies.privacy.unusual
    since = now - cap.within
    looked = select(func.count(Unmasking.contact_id.distinct())).where(
        Unmasking.staff_id == staff_id, Unmasking.at > since
    )
    count = session.scalar(looked) or 0
    if count < cap.times:
        return
    first = session.scalar(select(func.min(Unmasking.id)).where(Unmasking.staff_id == staff_id, Unmasking.at > since))
    person = session.get_one(Staff, staff_id)
    alerts.tell(
        session,
        [each for each in people.holding(session, Role.SUPERVISOR, Role.MANAGER) if each.id != staff_id],
        MANY,
        cause=f"unmasking:{staff_id}:{first}",
        link=PAGE,
        now=now,
        name=person.name,
        hours=round(cap.within.total_seconds() / 3600),
        count=count,
    )


def shown(session: Session, contact_id: int, staff_id: int, now: datetime) -> datetime | None:
    """Until when this contact is shown to this person; None: masked."""
    until: datetime | None = session.scalar(
        select(func.max(Unmasking.until)).where(
            Unmasking.contact_id == contact_id, Unmasking.staff_id == staff_id, Unmasking.until > now
        )
    )
    return until


def looks(
    session: Session,
    *,
    contact_id: int | None = None,
    staff_id: int | None = None,
    since: datetime | None = None,
    limit: int = LISTED,
) -> tuple[Look, ...]:
    """Who looked at whom and why, the latest first."""
    query = (
        select(Unmasking, Staff.name, Contact.name, Contact.title)
        .join(Staff, Staff.id == Unmasking.staff_id)
        .join(Contact, Contact.id == Unmasking.contact_id)
        .order_by(Unmasking.id.desc())
        .limit(limit)
    )
    if contact_id is not None:
        query = query.where(Unmasking.contact_id.in_(contacts.same_person(session, contact_id)))
    if staff_id is not None:
        query = query.where(Unmasking.staff_id == staff_id)
    if since is not None:
        query = query.where(Unmasking.at > since)
    return tuple(Look(row, who, name or title) for row, who, name, title in session.execute(query))


def counted(session: Session, since: datetime) -> tuple[tuple[int, str, int, int], ...]:
    """Per person of the staff since then: id, name, how many looks, at how many contacts; the most first."""
    how_many, whom = func.count(), func.count(Unmasking.contact_id.distinct())
    rows = session.execute(
        select(Staff.id, Staff.name, how_many, whom)
        .join(Unmasking, Unmasking.staff_id == Staff.id)
        .where(Unmasking.at > since)
        .group_by(Staff.id, Staff.name)
        .order_by(whom.desc(), Staff.name)
    )
    return tuple(rows.tuples())
