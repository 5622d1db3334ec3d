"""An announcement before it flies: drafted from a template in both languages, previewed, approved by a second person,
then audience and text are frozen (REQ-F29..F33). In flight it is broadcasts.py's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, literal, select
from sqlalchemy.orm import Session

from bot.core.policy import Bilingual
from bot.core.words import (
    BroadcastKind,
    BroadcastState,
    ChannelName,
    IncidentState,
    Language,
    Outcome,
    Presence,
    Purpose,
)
from bot.services import alerts, audit, broadcasts, incidents
from bot.services.audience import members
from bot.services.broadcasts import BroadcastRefusedError
from bot.services.centre import Centre
from bot.services.i18n import N_, when
from bot.services.permissions import Function, Grant, grants, may
from bot.services.recipients import usable
from scripts.incidents import SHIPPED, Catalogue, load_catalogue
from store.base import UTCDateTime
from store.db import touch
from store.tables import Broadcast, BroadcastRecipient, Contact, Incident, Staff

MAX_TEXT = 1000  # characters in one language
DRILLED = N_("【演练】客户本来会收到：%(text)s")
PURPOSES = (Purpose.EMERGENCY, Purpose.SERVICE_NOTICE)


# ── the draft ──


def catalogue(centre: Centre) -> Catalogue:
    """The incidents this centre knows, the operator's own words over the shipped ones."""
    own = centre.settings.scripts
    return load_catalogue((SHIPPED, own.resolve()) if own else (SHIPPED,))


def template(centre: Centre, incident: Incident, kind: BroadcastKind, now: datetime) -> Bilingual:
    """What an announcement about this incident says, in both languages: problem, scope, what to do, the expected time
    of recovery, the next update, the issuer (REQ-F31)."""
    known = catalogue(centre)
    return Bilingual(
        *(_worded(centre, known, incident, kind, language, now) for language in (Language.ZH, Language.EN))
    )


def _worded(
    centre: Centre, known: Catalogue, incident: Incident, kind: BroadcastKind, language: Language, now: datetime
) -> str:
    zone, words = centre.settings.zone, known.words
    about = known.types.get(incident.code)
    problem = about.problem.of(language) if about and about.problem else incident.title
    between = "、" if language is Language.ZH else ", "
    buildings = between.join(
        words["building"].of(language).format(name=name) if name.isdigit() else name for name in incident.buildings
    )
    eta = incident.eta_at if incident.eta_at and incident.eta_at > now else None
    pieces = {
        "issuer": centre.library.current.policies.company.name.of(language),
        "problem": problem,
        "scope": words["scope"].of(language).format(buildings=buildings) if buildings else "",
        "advice": about.advice.of(language) if about and about.advice else "",
        "eta": words["eta"].of(language).format(at=when(language, eta, zone)) if eta else words["no_eta"].of(language),
        "next": words["next"].of(language).format(at=when(language, now + known.next_update, zone)),
    }
    return words[kind.value].of(language).format(**pieces).strip()


def draft(
    session: Session,
    centre: Centre,
    incident_id: int,
    *,
    staff_id: int,
    now: datetime,
    audience: Mapping[str, Any],
    channels: Sequence[ChannelName] | None = None,
    text: Bilingual | None = None,
    purpose: Purpose = Purpose.EMERGENCY,
) -> Broadcast:
    """A notice for an incident; `text` None takes the template, `channels` None the policies' ladder."""
    incident = _open_incident(session, incident_id)
    ladder = [step.channel for step in centre.library.current.policies.broadcast.ladder]
    return _draft(
        session,
        Broadcast(
            incident_id=incident.id,
            kind=BroadcastKind.NOTICE,
            drill=incident.drill,
            audience=dict(audience),
            channels=[channel.value for channel in channels or ladder],
            purpose=purpose,
        ),
        text or template(centre, incident, BroadcastKind.NOTICE, now),
        staff_id,
        now,
    )


def follow(
    session: Session,
    centre: Centre,
    notice_id: int,
    kind: BroadcastKind,
    *,
    staff_id: int,
    now: datetime,
    text: Bilingual | None = None,
) -> Broadcast:
    """An update or the all-clear of a notice: to the same people, by the channels that worked, and for the all-clear to
    those who asked to be told (REQ-F25, F30, C29). An open draft of the kind is given back instead of a second one."""
    notice = _held(session, notice_id)
    incident = session.get_one(Incident, notice.incident_id)
    if notice.kind is not BroadcastKind.NOTICE or notice.state in (BroadcastState.DRAFT, BroadcastState.APPROVED):
        raise BroadcastRefusedError("not_sent_yet")
    if kind is BroadcastKind.ALL_CLEAR and incident.state not in (IncidentState.RECOVERED, IncidentState.ALL_CLEAR):
        raise BroadcastRefusedError("not_recovered")
    open_draft = session.scalar(
        select(Broadcast).where(
            Broadcast.follows_id == notice.id, Broadcast.kind == kind, Broadcast.state == BroadcastState.DRAFT
        )
    )
    if open_draft is not None:
        return open_draft
    asked = {"notify_me": incident.id} if kind is BroadcastKind.ALL_CLEAR else {}
    return _draft(
        session,
        Broadcast(
            incident_id=incident.id,
            kind=kind,
            follows_id=notice.id,
            drill=notice.drill,
            audience={"same_as": notice.id, **asked},
            channels=notice.channels,
            purpose=notice.purpose,
        ),
        text or template(centre, incident, kind, now),
        staff_id,
        now,
    )


def new_eta(
    session: Session, centre: Centre, incident_id: int, eta: datetime | None, *, staff_id: int, now: datetime
) -> list[Broadcast]:
    """The estimate changes, so everybody who was told is owed an update: its drafts, where this person may draft."""
    incidents.change_eta(session, incident_id, eta, staff_id=staff_id, zone=centre.settings.zone, now=now)
    if not may(_roles(session, staff_id), Function.DRAFT_ANNOUNCEMENT):
        return []
    return [
        follow(session, centre, notice.id, BroadcastKind.UPDATE, staff_id=staff_id, now=now)
        for notice in incidents.told_of(session, incident_id)
    ]


def _draft(session: Session, broadcast: Broadcast, text: Bilingual, staff_id: int, now: datetime) -> Broadcast:
    if not may(_roles(session, staff_id), Function.DRAFT_ANNOUNCEMENT):
        raise BroadcastRefusedError("not_allowed")
    _check(broadcast, text)
    broadcast.text_zh, broadcast.text_en = text.zh.strip(), text.en.strip()
    broadcast.author_id, broadcast.created_at = staff_id, now
    session.add(broadcast)
    session.flush()
    _log(session, broadcast, "broadcast.draft", staff_id, now)
    return broadcast


def edit(
    session: Session,
    broadcast_id: int,
    *,
    revision: int,
    staff_id: int,
    now: datetime,
    text: Bilingual,
    audience: Mapping[str, Any] | None = None,
    channels: Sequence[ChannelName] | None = None,
    purpose: Purpose | None = None,
) -> Broadcast:
    """Changes a draft; whoever changes it becomes its author, so that another person approves what they wrote.

    What a text replaces stays legible. `revision` is the one the person saw.
    """
    broadcast = _held(session, broadcast_id)
    if not may(_roles(session, staff_id), Function.DRAFT_ANNOUNCEMENT):
        raise BroadcastRefusedError("not_allowed")
    _draft_still(broadcast, revision)
    if audience is not None and broadcast.follows_id is None:
        broadcast.audience = dict(audience)
    if channels is not None:
        broadcast.channels = [channel.value for channel in channels]
    if purpose is not None:
        broadcast.purpose = purpose
    _check(broadcast, text)
    for field, new in (("text_zh", text.zh.strip()), ("text_en", text.en.strip())):
        if (old := getattr(broadcast, field)) != new:
            setattr(broadcast, field, new)
            audit.revise(session, "broadcast", broadcast.id, field, old, new, now=now, staff_id=staff_id)
    broadcast.author_id = staff_id
    _log(session, broadcast, "broadcast.edit", staff_id, now)
    return broadcast


def _check(broadcast: Broadcast, text: Bilingual) -> None:
    if not text.zh.strip() or not text.en.strip():
        raise BroadcastRefusedError("text_missing")
    if max(len(text.zh), len(text.en)) > MAX_TEXT:
        raise BroadcastRefusedError("text_long")
    if not broadcast.audience:
        raise BroadcastRefusedError("audience_missing")
    if not broadcast.channels:
        raise BroadcastRefusedError("channels_missing")
    if broadcast.purpose not in PURPOSES:
        raise BroadcastRefusedError("purpose_wrong")


# ── the second person ──


def why_not(session: Session, broadcast: Broadcast, staff_id: int) -> str | None:
    """Why this person cannot approve it, as a code; None: they can. A leader only stands in (REQ-A22)."""
    if broadcast.state is not BroadcastState.DRAFT:
        return "not_a_draft"
    if broadcast.author_id == staff_id:
        return "approver_is_author"
    held = grants(_roles(session, staff_id), Function.APPROVE_ANNOUNCEMENT)
    if Grant.YES in held:
        return None
    if Grant.FALLBACK in held:
        return "supervisor_present" if _approver_present(session, broadcast) else None
    return "not_allowed"


def _approver_present(session: Session, broadcast: Broadcast) -> bool:
    there = session.scalars(
        select(Staff).where(Staff.active, Staff.presence != Presence.OFFLINE, Staff.id != broadcast.author_id)
    )
    return any(may({each.role for each in person.roles}, Function.APPROVE_ANNOUNCEMENT, Grant.YES) for person in there)


def approve(
    session: Session, centre: Centre, broadcast_id: int, *, revision: int, staff_id: int, now: datetime
) -> Broadcast:
    """Approves a draft as seen at `revision` and freezes it: the text, and everybody of the audience as a recipient."""
    broadcast = _held(session, broadcast_id)
    if (code := why_not(session, broadcast, staff_id)) is not None:
        raise BroadcastRefusedError(code)
    _draft_still(broadcast, revision)
    if not usable(centre, broadcast):
        raise BroadcastRefusedError("channels_missing")
    centre.library.keep(session, now)
    broadcast.policies = centre.library.current.policies_version
    broadcast.audience_size = _freeze(session, broadcast, now)
    if not broadcast.audience_size:
        raise BroadcastRefusedError("nobody")
    broadcast.state, broadcast.approver_id, broadcast.approved_at = BroadcastState.APPROVED, staff_id, now
    _log(session, broadcast, "broadcast.approve", staff_id, now, size=broadcast.audience_size)
    return broadcast


def _freeze(session: Session, broadcast: Broadcast, now: datetime) -> int:
    """One statement, so that nobody moves in or out of the audience while it is frozen; people in need come first."""
    chosen = members(session, broadcast.audience).with_only_columns(
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


def send(session: Session, centre: Centre, broadcast_id: int, *, staff_id: int, now: datetime) -> bool:
    """Launches an approved announcement, once; False where that happened already.

    What it says becomes what bot and agents say (REQ-F33); an all-clear moves its incident on.
    """
    roles = _roles(session, staff_id)
    if not may(roles, Function.DRAFT_ANNOUNCEMENT) and not may(roles, Function.APPROVE_ANNOUNCEMENT):
        raise BroadcastRefusedError("not_allowed")
    if not broadcasts.launch(session, centre, broadcast_id, staff_id=staff_id, now=now):
        return False
    broadcast = _held(session, broadcast_id)
    incident = session.get_one(Incident, broadcast.incident_id, with_for_update=True)
    if broadcast.kind is BroadcastKind.ALL_CLEAR:
        incidents.all_clear_sent(session, incident, staff_id=staff_id, now=now)
        return True
    if broadcast.drill:
        _tell_staff(session, broadcast, now)
    incidents.note(session, incident, "announced", broadcast.text_zh, staff_id, now)
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


# ── shared ──


def _open_incident(session: Session, incident_id: int) -> Incident:
    incident = session.get(Incident, incident_id)
    if incident is None:
        raise BroadcastRefusedError("not_found")
    if incident.state not in incidents.OPEN:
        raise BroadcastRefusedError("incident_over")
    return incident


def _held(session: Session, broadcast_id: int) -> Broadcast:
    broadcast = session.get(Broadcast, broadcast_id, with_for_update=True, populate_existing=True)
    if broadcast is None:
        raise BroadcastRefusedError("not_found")
    return broadcast


def _draft_still(broadcast: Broadcast, revision: int) -> None:
    if broadcast.state is not BroadcastState.DRAFT:
        raise BroadcastRefusedError("not_a_draft")
    if broadcast.revision != revision:
        raise BroadcastRefusedError("changed_meanwhile")


def _roles(session: Session, staff_id: int) -> set[Any]:
    person = session.get(Staff, staff_id)
    return {each.role for each in person.roles} if person is not None and person.active else set()


def _log(session: Session, broadcast: Broadcast, action: str, staff_id: int, now: datetime, **details: Any) -> None:
    broadcast.revision += 1
    audit.record(session, action, "broadcast", broadcast.id, now=now, staff_id=staff_id, **details)
    touch(session, f"broadcast:{broadcast.id}", "broadcasts", f"incident:{broadcast.incident_id}")
