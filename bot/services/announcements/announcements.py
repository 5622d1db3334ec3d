"""An announcement as it is written: drafted from a template in both languages, changed, followed by updates, a
correction and the all-clear (REQ-F29..F33). Approving and launching is approvals.py's, the flight broadcasts.py's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.policy import Bilingual
from bot.core.words import (
    BroadcastKind,
    BroadcastState,
    ChannelName,
    IncidentState,
    Language,
    Purpose,
    Role,
)
from bot.services import audit
from bot.services.announcements import announcement_templates, saved_audiences
from bot.services.announcements.announcement_templates import filled
from bot.services.announcements.broadcasts import BroadcastRefusedError
from bot.services.centre import Centre
from bot.services.i18n import when
from bot.services.incidents import incidents
from bot.services.incidents.incident_file import OPEN
from bot.services.incidents.incident_types import catalogue
from bot.services.permissions import Function, may
from scripts.incidents import Catalogue
from store.db import touch
from store.tables import Broadcast, Incident, Staff

MAX_TEXT = 1000  # characters in one language
PURPOSES = (Purpose.EMERGENCY, Purpose.SERVICE_NOTICE)


# ── the draft ──


def template(
    centre: Centre, incident: Incident, kind: BroadcastKind, now: datetime, frame: Bilingual | None = None
) -> Bilingual:
    """What an announcement about this incident says, in both languages: problem, scope, what to do, the expected time
    of recovery, the next update, the issuer (REQ-F31); by `frame`, else by the scripts' own."""
    known = catalogue(centre)
    words = frame or known.words[kind.value]
    zh, en = (
        filled(words.of(each), _pieces(centre, known, incident, each, now)) for each in (Language.ZH, Language.EN)
    )
    return Bilingual(zh, en)


def _pieces(
    centre: Centre, known: Catalogue, incident: Incident, language: Language, now: datetime
) -> Mapping[str, str]:
    """What a template's placeholders stand for."""
    zone, words = centre.settings.zone, known.words
    about = known.types.get(incident.code)
    problem = about.problem.of(language) if about and about.problem else incident.title
    between = "、" if language is Language.ZH else ", "
    buildings = between.join(
        words["building"].of(language).format(name=name) if name.isdigit() else name for name in incident.buildings
    )
    eta = incident.eta_at if incident.eta_at and incident.eta_at > now else None
    return {
        "issuer": centre.library.current.policies.company.name.of(language),
        "problem": problem,
        "scope": words["scope"].of(language).format(buildings=buildings) if buildings else "",
        "advice": about.advice.of(language) if about and about.advice else "",
        "eta": words["eta"].of(language).format(at=when(language, eta, zone)) if eta else words["no_eta"].of(language),
        "next": words["next"].of(language).format(at=when(language, now + known.next_update, zone)),
    }


def drafted(
    session: Session, centre: Centre, incident: Incident, kind: BroadcastKind, now: datetime, template_id: int = 0
) -> Bilingual:
    """The text a draft begins with: from the template somebody chose, else from the one that comes first."""
    chosen = [each for each in announcement_templates.offered(session, incident, kind) if each.id == template_id]
    own = Bilingual(chosen[0].text_zh, chosen[0].text_en) if chosen else None
    return template(centre, incident, kind, now, own or announcement_templates.frame(session, incident, kind))


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
            audience=saved_audiences.resolved(session, audience),
            channels=[channel.value for channel in channels or ladder],
            purpose=purpose,
        ),
        text or drafted(session, centre, incident, BroadcastKind.NOTICE, now),
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
    notice = held(session, notice_id)
    incident = session.get_one(Incident, notice.incident_id)
    if notice.kind is not BroadcastKind.NOTICE or notice.state in (BroadcastState.DRAFT, BroadcastState.APPROVED):
        raise BroadcastRefusedError("not_sent_yet")
    if kind is BroadcastKind.ALL_CLEAR and incident.state not in (IncidentState.RECOVERED, IncidentState.ALL_CLEAR):
        raise BroadcastRefusedError("not_recovered")
    open_draft = session.scalar(
        select(Broadcast).where(
            Broadcast.follows_id == notice.id,
            Broadcast.kind == kind,
            Broadcast.amends.is_(False),
            Broadcast.state == BroadcastState.DRAFT,
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
        text or drafted(session, centre, incident, kind, now),
        staff_id,
        now,
    )


def amend(
    session: Session, notice_id: int, *, staff_id: int, now: datetime, text: Bilingual | None = None
) -> Broadcast:
    """What a notice says was wrong: a draft for the same people, which replaces it. Whoever was reached is told that it
    is a correction, the others get the new text alone; everybody is asked to acknowledge again."""
    notice = held(session, notice_id)
    if notice.kind is not BroadcastKind.NOTICE or notice.state in (BroadcastState.DRAFT, BroadcastState.APPROVED):
        raise BroadcastRefusedError("not_sent_yet")
    _open_incident(session, notice.incident_id)
    open_draft = session.scalar(
        select(Broadcast).where(
            Broadcast.follows_id == notice.id, Broadcast.amends, Broadcast.state == BroadcastState.DRAFT
        )
    )
    if open_draft is not None:
        return open_draft
    return _draft(
        session,
        Broadcast(
            incident_id=notice.incident_id,
            kind=BroadcastKind.UPDATE,
            amends=True,
            follows_id=notice.id,
            drill=notice.drill,
            audience={"same_as": notice.id},
            channels=notice.channels,
            purpose=notice.purpose,
        ),
        text or Bilingual(notice.text_zh, notice.text_en),
        staff_id,
        now,
    )


def new_eta(
    session: Session, centre: Centre, incident_id: int, eta: datetime | None, *, staff_id: int, now: datetime
) -> list[Broadcast]:
    """The estimate changes, so everybody who was told is owed an update: its drafts, where this person may draft."""
    incidents.change_eta(session, incident_id, eta, staff_id=staff_id, zone=centre.settings.zone, now=now)
    if not may(roles(session, staff_id), Function.DRAFT_ANNOUNCEMENT):
        return []
    return [
        follow(session, centre, notice.id, BroadcastKind.UPDATE, staff_id=staff_id, now=now)
        for notice in incidents.told_of(session, incident_id)
    ]


def _draft(session: Session, broadcast: Broadcast, text: Bilingual, staff_id: int, now: datetime) -> Broadcast:
    if not may(roles(session, staff_id), Function.DRAFT_ANNOUNCEMENT):
        raise BroadcastRefusedError("not_allowed")
    _check(broadcast, text)
    broadcast.text_zh, broadcast.text_en = text.zh.strip(), text.en.strip()
    broadcast.author_id, broadcast.created_at = staff_id, now
    session.add(broadcast)
    session.flush()
    log(session, broadcast, "broadcast.draft", staff_id, now)
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
    broadcast = held(session, broadcast_id)
    if not may(roles(session, staff_id), Function.DRAFT_ANNOUNCEMENT):
        raise BroadcastRefusedError("not_allowed")
    draft_still(broadcast, revision)
    if audience is not None and broadcast.follows_id is None:
        broadcast.audience = saved_audiences.resolved(session, audience)
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
    log(session, broadcast, "broadcast.edit", staff_id, now)
    return broadcast


def change_audience(
    session: Session, broadcast: Broadcast, audience: Mapping[str, Any], *, staff_id: int, now: datetime
) -> None:
    """Gives a draft, which the caller holds, another audience."""
    if not may(roles(session, staff_id), Function.DRAFT_ANNOUNCEMENT):
        raise BroadcastRefusedError("not_allowed")
    broadcast.audience = dict(audience)
    broadcast.author_id = staff_id
    log(session, broadcast, "broadcast.edit", staff_id, now)


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


# ── shared ──


def _open_incident(session: Session, incident_id: int) -> Incident:
    incident = session.get(Incident, incident_id)
    if incident is None:
        raise BroadcastRefusedError("not_found")
    if incident.state not in OPEN:
        raise BroadcastRefusedError("incident_over")
    return incident


def held(session: Session, broadcast_id: int) -> Broadcast:
    """The announcement, locked; raises BroadcastRefusedError where there is none."""
    broadcast = session.get(Broadcast, broadcast_id, with_for_update=True, populate_existing=True)
    if broadcast is None:
        raise BroadcastRefusedError("not_found")
    return broadcast


def draft_still(broadcast: Broadcast, revision: int) -> None:
    """Raises BroadcastRefusedError where it is no draft any more, or not the one that was seen."""
    if broadcast.state is not BroadcastState.DRAFT:
        raise BroadcastRefusedError("not_a_draft")
    if broadcast.revision != revision:
        raise BroadcastRefusedError("changed_meanwhile")


def roles(session: Session, staff_id: int) -> set[Role]:
    """The roles of somebody who works here still."""
    person = session.get(Staff, staff_id)
    return {each.role for each in person.roles} if person is not None and person.active else set()


def log(session: Session, broadcast: Broadcast, action: str, staff_id: int, now: datetime, **details: Any) -> None:
    """Counts and audits what became of an announcement, and wakes whoever looks at it."""
    broadcast.revision += 1
    audit.record(session, action, "broadcast", broadcast.id, now=now, staff_id=staff_id, **details)
    touch(session, f"broadcast:{broadcast.id}", "broadcasts", f"incident:{broadcast.incident_id}")
