"""Templates of announcements kept at the console, beside those of the scripts: by kind, for one incident type or any
(REQ-F31). A draft takes the centre's own for its type, then its own for any type, then the scripts' frame.

    keep(session, centre, None, Draft(…), staff_id=…, now=…) -> id      what a later change replaces stays legible
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.policy import Bilingual
from bot.core.words import BroadcastKind
from bot.services import audit
from bot.services.announcements.broadcasts import BroadcastRefusedError
from bot.services.centre import Centre
from bot.services.i18n import N_
from bot.services.incidents.incident_types import catalogue
from store.tables import AnnouncementTemplate, Incident, Revision, Staff

MAX_TEXT, MAX_NAME = 1000, 60
BLANK = re.compile(r"\{(\w+)\}")
BLANKS: Mapping[str, str] = {
    "issuer": N_("发布单位"),
    "problem": N_("出了什么事"),
    "scope": N_("影响范围，整句"),
    "advice": N_("请客户怎么做"),
    "eta": N_("预计恢复，整句"),
    "next": N_("下次通报，整句"),
}
"""What may stand in braces, and what comes of it."""
SUBJECT = "announcement_template"


@dataclass(frozen=True, slots=True)
class Draft:
    """A template as somebody writes it; `code` empty: for any type of incident."""

    name: str
    code: str
    kind: BroadcastKind
    text: Bilingual


@dataclass(frozen=True, slots=True)
class Version:
    """What a template said until it was changed: by whom and when."""

    text: Bilingual
    changed_by: str
    until: datetime


def everything(session: Session) -> list[AnnouncementTemplate]:
    """Those in use, by kind and name."""
    rows = session.scalars(select(AnnouncementTemplate).where(AnnouncementTemplate.retired_at.is_(None)))
    order = list(BroadcastKind)
    return sorted(rows, key=lambda each: (order.index(each.kind), each.code, each.name))


def found(session: Session, template_id: int) -> AnnouncementTemplate:
    """One in use, locked; raises BroadcastRefusedError("not_found")."""
    row = session.get(AnnouncementTemplate, template_id, with_for_update=True, populate_existing=True)
    if row is None or row.retired_at is not None:
        raise BroadcastRefusedError("not_found")
    return row


def offered(session: Session, incident: Incident, kind: BroadcastKind) -> list[AnnouncementTemplate]:
    """What an announcement of this kind about this incident may be written from: its type's own first, the latest
    changed before the others; the first is taken where nobody chooses."""
    rows = session.scalars(
        select(AnnouncementTemplate)
        .where(
            AnnouncementTemplate.retired_at.is_(None),
            AnnouncementTemplate.kind == kind,
            AnnouncementTemplate.code.in_(("", incident.code)),
        )
        .order_by(AnnouncementTemplate.code.desc(), AnnouncementTemplate.changed_at.desc(), AnnouncementTemplate.id)
    )
    return list(rows)


def frame(session: Session, incident: Incident, kind: BroadcastKind) -> Bilingual | None:
    """The centre's own template for this; None: the scripts' frame."""
    first = next(iter(offered(session, incident, kind)), None)
    return Bilingual(first.text_zh, first.text_en) if first is not None else None


def filled(text: str, pieces: Mapping[str, str]) -> str:
    """A template's text with its placeholders filled in."""
    return BLANK.sub(lambda blank: pieces.get(blank.group(1), ""), text).strip()


def keep(
    session: Session,
    centre: Centre,
    template_id: int | None,
    draft: Draft,
    *,
    staff_id: int,
    now: datetime,
    version: int = 0,
) -> int:
    """Adds a template, or changes the one somebody saw at `version`. Raises BroadcastRefusedError."""
    _check(session, centre, template_id, draft)
    row = AnnouncementTemplate(version=0) if template_id is None else found(session, template_id)
    if template_id is not None:
        if row.version != version:
            raise BroadcastRefusedError("changed_meanwhile")
        old, new = [row.text_zh, row.text_en], [draft.text.zh.strip(), draft.text.en.strip()]
        audit.revise(session, SUBJECT, row.id, "text", old, new, now=now, staff_id=staff_id)
    row.name, row.code, row.kind = draft.name.strip(), draft.code, draft.kind
    row.text_zh, row.text_en = draft.text.zh.strip(), draft.text.en.strip()
    row.version, row.staff_id, row.changed_at = row.version + 1, staff_id, now
    session.add(row)
    session.flush()
    audit.record(session, "template.keep", "announcement_template", row.id, now=now, staff_id=staff_id, name=row.name)
    return row.id


def _check(session: Session, centre: Centre, template_id: int | None, draft: Draft) -> None:
    name = draft.name.strip()
    if not name or len(name) > MAX_NAME:
        raise BroadcastRefusedError("template_name")
    if draft.code and draft.code not in catalogue(centre).types:
        raise BroadcastRefusedError("template_name")
    if not draft.text.zh.strip() or not draft.text.en.strip():
        raise BroadcastRefusedError("text_missing")
    if max(len(draft.text.zh), len(draft.text.en)) > MAX_TEXT:
        raise BroadcastRefusedError("text_long")
    if unknown_blanks(draft.text.zh) or unknown_blanks(draft.text.en):
        raise BroadcastRefusedError("template_blank")
    taken = session.scalar(
        select(AnnouncementTemplate.id).where(
            AnnouncementTemplate.name == name, AnnouncementTemplate.retired_at.is_(None)
        )
    )
    if taken is not None and taken != template_id:
        raise BroadcastRefusedError("template_taken")


def unknown_blanks(text: str) -> Sequence[str]:
    """The placeholders nobody knows, and braces that are none."""
    unknown = [name for name in BLANK.findall(text) if name not in BLANKS]
    return [*unknown, *(sign for sign in BLANK.sub("", text) if sign in "{}")]


def retire(session: Session, template_id: int, *, staff_id: int, now: datetime) -> None:
    """It is offered no more; drafts made from it stay as they are."""
    row = found(session, template_id)
    row.retired_at = now
    audit.record(session, "template.retire", "announcement_template", row.id, now=now, staff_id=staff_id, name=row.name)


def versions(session: Session, template_id: int) -> list[Version]:
    """What it said before, the latest first."""
    rows = session.execute(
        select(Revision, Staff.name)
        .outerjoin(Staff, Staff.id == Revision.staff_id)
        .where(Revision.subject == SUBJECT, Revision.subject_id == template_id)
        .order_by(Revision.id.desc())
    )
    return [Version(Bilingual(*row.old), name or "", row.at) for row, name in rows]
