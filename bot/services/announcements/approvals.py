"""Approving and launching an announcement: the second person, the freeze of text and audience, the night (REQ-F29).

The author never approves, unless a supervisor or manager says why nobody else could: kept, audited, on the timeline.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, insert, literal, select
from sqlalchemy.orm import Session

from bot.core.words import BroadcastKind, BroadcastState, ChannelName, Outcome, Presence, Purpose
from bot.services import audit
from bot.services.announcements import broadcasts
from bot.services.announcements.announcements import draft_still, held, log, roles
from bot.services.announcements.audience import members
from bot.services.announcements.broadcasts import BroadcastRefusedError
from bot.services.announcements.recipients import usable
from bot.services.centre import Centre
from bot.services.delivery.outbox import OWN_PAGES
from bot.services.escalation import alerts
from bot.services.i18n import N_
from bot.services.incidents import incidents
from bot.services.incidents.incident_file import note
from bot.services.permissions import Function, Grant, grants, may
from store.base import UTCDateTime
from store.tables import Broadcast, BroadcastRecipient, Contact, Incident, Staff

DRILLED = N_("【演练】客户本来会收到：%(text)s")
GRAVEST = frozenset({"I", "major"})  # the grades for which people may be woken


def why_not(session: Session, broadcast: Broadcast, staff_id: int) -> str | None:
    """Why this person cannot approve it, as a code; None: they can. A leader only stands in (REQ-A22)."""
    if broadcast.state is not BroadcastState.DRAFT:
        return "not_a_draft"
    if broadcast.author_id == staff_id:
        return "approver_is_author"
    granted = grants(roles(session, staff_id), Function.APPROVE_ANNOUNCEMENT)
    if Grant.YES in granted:
        return None
    if Grant.FALLBACK in granted:
        return "supervisor_present" if _approver_present(session, broadcast) else None
    return "not_allowed"


def _approver_present(session: Session, broadcast: Broadcast) -> bool:
    there = session.scalars(
        select(Staff).where(Staff.active, Staff.presence != Presence.OFFLINE, Staff.id != broadcast.author_id)
    )
    return any(may({each.role for each in person.roles}, Function.APPROVE_ANNOUNCEMENT, Grant.YES) for person in there)


def may_override(session: Session, broadcast: Broadcast, staff_id: int) -> bool:
    """Whether this person may do without the second person, or disturb the night, with a reason: a supervisor or
    manager, in an emergency."""
    emergency = broadcast.purpose is Purpose.EMERGENCY
    return emergency and may(roles(session, staff_id), Function.APPROVE_ANNOUNCEMENT, Grant.YES)


def approve(
    session: Session,
    centre: Centre,
    broadcast_id: int,
    *,
    revision: int,
    staff_id: int,
    now: datetime,
    override: str = "",
) -> Broadcast:
    """Approves a draft as seen at `revision` and freezes it: the text, and everybody of the audience as a recipient.

    `override`: why the author approves it, where nobody else can be waited for; it is kept and audited."""
    broadcast = held(session, broadcast_id)
    code = why_not(session, broadcast, staff_id)
    if code == "approver_is_author" and override.strip() and may_override(session, broadcast, staff_id):
        _override(session, broadcast, "broadcast.override", override, staff_id, now)
    elif code is not None:
        raise BroadcastRefusedError(code)
    draft_still(broadcast, revision)
    if not usable(centre, broadcast):
        raise BroadcastRefusedError("channels_missing")
    centre.library.keep(session, now)
    broadcast.policies = centre.library.current.policies_version
    broadcast.audience_size = _freeze(session, broadcast, now)
    if not broadcast.audience_size:
        raise BroadcastRefusedError("nobody")
    broadcast.state, broadcast.approver_id, broadcast.approved_at = BroadcastState.APPROVED, staff_id, now
    log(session, broadcast, "broadcast.approve", staff_id, now, size=broadcast.audience_size)
    return broadcast


def _override(session: Session, broadcast: Broadcast, action: str, reason: str, staff_id: int, now: datetime) -> None:
    """Kept with the announcement, on the incident's timeline and in the audit."""
    reason = reason.strip()[:400]
    broadcast.override_reason = "\n".join(filter(None, (broadcast.override_reason, reason)))
    incident = session.get_one(Incident, broadcast.incident_id)
    note(session, incident, "override", reason, staff_id, now)
    audit.record(session, action, "broadcast", broadcast.id, now=now, staff_id=staff_id, note=reason)


def at_night(centre: Centre, broadcast: Broadcast, incident: Incident, now: datetime) -> bool:
    """Whether launching it now would wake people for less than the gravest kind of incident (REQ-F36, B38)."""
    asleep = centre.library.current.policies.hours.quiet.holds(now.astimezone(centre.settings.zone).time())
    rings = any(ChannelName(name) not in OWN_PAGES for name in broadcast.channels)
    wakes = broadcast.purpose is Purpose.EMERGENCY and rings and not broadcast.drill
    return asleep and wakes and incident.grade not in GRAVEST


def _freeze(session: Session, broadcast: Broadcast, now: datetime) -> int:
    """One statement, so that nobody moves in or out of the audience while it is frozen; people in need come first."""
    chosen = members(session, broadcast.audience, now).with_only_columns(
        literal(broadcast.id),
        Contact.id,
        literal(Outcome.PENDING, BroadcastRecipient.outcome.type),
        literal(0),
        literal(now, UTCDateTime()),
    )
    names = ["broadcast_id", "contact_id", "outcome", "step", "changed_at"]
    session.execute(insert(BroadcastRecipient).from_select(names, chosen))
    return (
        session.scalar(
            select(func.count()).select_from(BroadcastRecipient).where(BroadcastRecipient.broadcast_id == broadcast.id)
        )
        or 0
    )


def send(
    session: Session, centre: Centre, broadcast_id: int, *, staff_id: int, now: datetime, override: str = ""
) -> bool:
    """Launches an approved announcement, once; False where that happened already.

    What it says becomes what bot and agents say (REQ-F33); an all-clear moves its incident on. At night it wants a
    grave incident, or an `override` that says why it cannot wait.
    """
    theirs = roles(session, staff_id)
    if not may(theirs, Function.DRAFT_ANNOUNCEMENT) and not may(theirs, Function.APPROVE_ANNOUNCEMENT):
        raise BroadcastRefusedError("not_allowed")
    broadcast = held(session, broadcast_id)
    incident = session.get_one(Incident, broadcast.incident_id, with_for_update=True)
    if broadcast.state is BroadcastState.APPROVED and at_night(centre, broadcast, incident, now):
        if not override.strip() or not may_override(session, broadcast, staff_id):
            raise BroadcastRefusedError("night")
        _override(session, broadcast, "broadcast.at_night", override, staff_id, now)
    if not broadcasts.launch(session, centre, broadcast_id, staff_id=staff_id, now=now):
        return False
    if broadcast.kind is BroadcastKind.ALL_CLEAR:
        incidents.all_clear_sent(session, incident, staff_id=staff_id, now=now)
        return True
    if broadcast.drill:
        _tell_staff(session, broadcast, now)
    note(session, incident, "announced", broadcast.text_zh, staff_id, now)
    incidents.set_wording(
        session, incident, broadcast.text_zh, broadcast.text_en, staff_id=staff_id, why="announced", now=now
    )
    return True


def _tell_staff(session: Session, broadcast: Broadcast, now: datetime) -> None:
    """A drill's announcement reaches the people of the centre, who see what customers would have got (REQ-F54)."""
    alerts.tell(
        session,
        session.scalars(select(Staff).where(Staff.active)).all(),
        DRILLED,
        cause=f"broadcast:{broadcast.id}:drill",
        link=f"/console/broadcasts/{broadcast.id}",
        now=now,
        text=broadcast.text_zh,
    )
