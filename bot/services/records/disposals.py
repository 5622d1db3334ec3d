"""Disposals: what is due is listed each night, two people approve, then it is destroyed page by page (REQ-G08).

The nightly look only proposes. A list grows until somebody approves it first; from then on it is frozen, and the second
person approves that very list. Whoever asked for a list never approves it, and the general manager is always one of the
two. Each record is judged again in the transaction that destroys it: what is held meanwhile, or belongs to something
longer, stays. A crash leaves whole pages behind it; the next round goes on, removes the files that are still there, and
only then writes the certificate. A large record takes several pages, each of which adds what it destroyed to the counts
of that record; one that is held half-way stays from there on, and the certificate says so.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter as Counts
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from bot.core.policy import RecordKind, Retention, Way
from bot.core.retention import Found, Judgement, earliest, judge, may_go
from bot.core.words import Role
from bot.services import audit
from bot.services.casework.cases import next_number
from bot.services.centre import Centre
from bot.services.conversation import media
from bot.services.escalation import alerts
from bot.services.i18n import N_
from bot.services.permissions import Function, Grant, may
from bot.services.records import certificates, due_records, holds
from bot.services.records.destruction import destroy
from bot.services.records.holds import Reach
from bot.services.refusal import RefusedError
from store.tables import (
    Counter,
    Disposal,
    DisposalApproval,
    DisposalItem,
    DisposalState,
    FileRemoval,
    ItemState,
    Staff,
)

log = structlog.get_logger()
LOOKED = "disposals looked at"
EVERY = 10.0  # seconds between rounds of what two people approved
PAGE = 50  # records destroyed in one transaction
ROWS = 1000  # and about so many rows of them: nobody waits longer than for these
GONE = "gone"
LINK = "/console/archive/disposals/%d"


# ── proposing ──


async def look(centre: Centre) -> int:
    """Once a day, from the policies' hour on: lists what is due. Gives how many records that were."""
    now = centre.clock.now()
    here = now.astimezone(centre.settings.zone)
    if here.time() < centre.library.current.policies.retention.look_at:
        return 0
    today = here.date().toordinal()
    if not await centre.db.read(lambda s: _not_looked(s, today)):
        return 0
    if not await centre.db.write(lambda s: _mark_looked(s, today)):
        return 0
    return await propose(centre)


def _not_looked(session: Session, today: int) -> bool:
    return (session.scalar(select(Counter.value).where(Counter.name == LOOKED)) or 0) < today


def _mark_looked(session: Session, today: int) -> bool:
    """Whether it is this process that looks today."""
    if session.get(Counter, LOOKED) is None:
        session.add(Counter(name=LOOKED, value=0))
        session.flush()
    marked: Any = session.execute(
        update(Counter).where(Counter.name == LOOKED, Counter.value < today).values(value=today)
    )
    return bool(marked.rowcount)


async def propose(centre: Centre, staff_id: int | None = None) -> int:
    """Lists whatever is due now, a page at a time; `staff_id` asked for it, None is the nightly look. Gives how many
    records were added; where nothing is due there is no list."""
    now, retention = centre.clock.now(), centre.library.current.policies.retention
    added = 0
    for kind in due_records.KINDS:
        edge, after = earliest(kind, retention, now), 0
        while edge is not None:
            ended = edge
            count, last = await centre.db.write(
                lambda s, kind=kind, ended=ended, after=after: _propose_page(  # type: ignore[misc]
                    s, centre, kind, ended, after, staff_id, now
                ),
                bulk=True,
            )
            added += count
            if last is None:
                break
            after = last
    if added:
        await centre.db.write(lambda s: _tell_reviewers(s, staff_id, now))
    return added


def _propose_page(
    session: Session, centre: Centre, kind: RecordKind, edge: datetime, after: int, staff_id: int | None, now: datetime
) -> tuple[int, int | None]:
    """Adds a page of candidates to the open list; how many were due, and the last one looked at."""
    ids = due_records.candidates(session, kind, edge, now=now, after=after)
    if not ids:
        return 0, None
    retention = centre.library.current.policies.retention
    due = [
        (found, judgement)
        for found, judgement in judged(session, retention, kind, ids, holds.reach(session))
        if may_go(judgement, now)
    ]
    if due:
        disposal = _open_list(session, staff_id, centre.settings.zone, now)
        session.execute(insert(DisposalItem), [_item(disposal.id, found, judgement) for found, judgement in due])
    return len(due), ids[-1]


def judged(
    session: Session, retention: Retention, kind: RecordKind, ids: Collection[int], reached: Reach
) -> list[tuple[Found, Judgement]]:
    """These records with what becomes of them."""
    return [
        (found, judge(found.own, found.linked, retention, held=bool(found.holds)))
        for found in due_records.looked_at(session, kind, ids, reached)
    ]


def _item(disposal_id: int, found: Found, judgement: Judgement) -> dict[str, Any]:
    return {
        "disposal_id": disposal_id,
        "kind": found.kind,
        "record_id": found.id,
        "title": found.title[:80],
        "cls": judgement.cls,
        "why": judgement.why,
        "since": judgement.since,
        "due": judgement.due,
        "state": ItemState.WAITING,
        "kept_why": "",
        "counts": {},
    }


def _open_list(session: Session, staff_id: int | None, zone: ZoneInfo, now: datetime) -> Disposal:
    """The list that still grows, of the same proposer; a new one where there is none."""
    mine = Disposal.proposed_by == staff_id if staff_id is not None else Disposal.proposed_by.is_(None)
    growing = select(Disposal).where(Disposal.state == DisposalState.PROPOSED, Disposal.frozen_at.is_(None), mine)
    known = session.scalar(growing.order_by(Disposal.id.desc()).limit(1).with_for_update())
    if known is not None:
        return known
    year = now.astimezone(zone).year
    number = f"D{year}-{next_number(session, f'disposal:{year}'):04d}"
    made = Disposal(number=number, proposed_by=staff_id, proposed_at=now)
    session.add(made)
    session.flush()
    audit.record(session, "disposal.propose", "disposal", made.id, now=now, staff_id=staff_id, number=number)
    return made


def _tell_reviewers(session: Session, staff_id: int | None, now: datetime) -> None:
    """Whoever may approve is told that a list waits, once a list."""
    waiting = select(Disposal).where(Disposal.state == DisposalState.PROPOSED).order_by(Disposal.id.desc()).limit(1)
    disposal = session.scalar(waiting)
    if disposal is None:
        return
    people = [
        each for each in session.scalars(select(Staff).where(Staff.active)) if may(_roles(each), Function.DISPOSE)
    ]
    alerts.tell(
        session,
        [each for each in people if each.id != staff_id],
        N_("有到期的档案等待审批：销毁清单 %(number)s。"),
        cause=f"disposal:{disposal.id}",
        link=LINK % disposal.id,
        now=now,
        how=(Way.CONSOLE,),
        number=disposal.number,
    )


# ── approving ──


def list_digest(session: Session, disposal_id: int) -> str:
    """SHA-256 over what is on a list, in the order of its rows: whoever approves has seen this and nothing else."""
    digest = hashlib.sha256()
    rows = session.execute(
        select(
            DisposalItem.kind,
            DisposalItem.record_id,
            DisposalItem.title,
            DisposalItem.cls,
            DisposalItem.since,
            DisposalItem.due,
        )
        .where(DisposalItem.disposal_id == disposal_id)
        .order_by(DisposalItem.id)
    )
    for kind, record_id, title, cls, since, due in rows:
        line = [kind.value, record_id, title, cls.value, since.isoformat(), due.isoformat()]
        digest.update(json.dumps(line, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()


def approvals(session: Session, disposal_id: int) -> Sequence[DisposalApproval]:
    """Who approved, the first first."""
    query = select(DisposalApproval).where(DisposalApproval.disposal_id == disposal_id)
    return session.scalars(query.order_by(DisposalApproval.id)).all()


def why_not(session: Session, disposal: Disposal, staff_id: int) -> str | None:
    """Why this person cannot approve it, as a code; None: they can."""
    person = session.get(Staff, staff_id)
    roles = _roles(person) if person is not None and person.active else set()
    if disposal.state is not DisposalState.PROPOSED:
        return "disposal_not_open"
    if not may(roles, Function.DISPOSE):
        return "not_allowed"
    if disposal.proposed_by == staff_id:
        return "disposal_proposer"
    given = approvals(session, disposal.id)
    if any(each.staff_id == staff_id for each in given):
        return "disposal_approved_by_you"
    if given and not any(each.decides for each in given) and not may(roles, Function.DISPOSE, Grant.APPROVE):
        return "disposal_wants_manager"
    return None


def approve(session: Session, disposal_id: int, *, seen: str, staff_id: int, note: str, now: datetime) -> Disposal:
    """Approves the list as `seen` (its digest). The first approval freezes it, the second sets it going."""
    disposal = _locked(session, disposal_id)
    if (code := why_not(session, disposal, staff_id)) is not None:
        raise RefusedError(code)
    digest = list_digest(session, disposal.id)
    if seen != digest or (disposal.frozen_at is not None and disposal.digest != digest):
        raise RefusedError("disposal_changed")
    if disposal.frozen_at is None:
        disposal.frozen_at, disposal.digest = now, digest
    decides = may(_roles(session.get_one(Staff, staff_id)), Function.DISPOSE, Grant.APPROVE)
    session.add(
        DisposalApproval(disposal_id=disposal.id, staff_id=staff_id, decides=decides, note=note.strip(), at=now)
    )
    session.flush()
    if len(approvals(session, disposal.id)) >= 2:
        disposal.state = DisposalState.APPROVED
    audit.record(
        session, "disposal.approve", "disposal", disposal.id, now=now, staff_id=staff_id, note=note.strip(), list=digest
    )
    return disposal


def decline(session: Session, disposal_id: int, *, why: str, staff_id: int, now: datetime) -> Disposal:
    """Sends a list back: nothing on it is destroyed, and none of it is proposed again for a while."""
    disposal = _locked(session, disposal_id)
    person = session.get(Staff, staff_id)
    if person is None or not may(_roles(person), Function.DISPOSE):
        raise RefusedError("not_allowed")
    if disposal.state is not DisposalState.PROPOSED:
        raise RefusedError("disposal_not_open")
    if not why.strip():
        raise RefusedError("reason_missing")
    disposal.state, disposal.ended_at = DisposalState.DECLINED, now
    disposal.declined_by, disposal.declined_why = staff_id, why.strip()[:2000]
    audit.record(session, "disposal.decline", "disposal", disposal.id, now=now, staff_id=staff_id, note=why.strip())
    return disposal


def _locked(session: Session, disposal_id: int) -> Disposal:
    disposal = session.get(Disposal, disposal_id, with_for_update=True, populate_existing=True)
    if disposal is None:
        raise RefusedError("not_found")
    return disposal


def _roles(person: Staff) -> set[Role]:
    return {each.role for each in person.roles}


# ── carrying out ──


async def carry_out(centre: Centre) -> int:
    """Goes on with every list that two people approved; gives how many records were dealt with."""
    now, handled = centre.clock.now(), 0
    approved = select(Disposal.id).where(Disposal.state == DisposalState.APPROVED).order_by(Disposal.id)
    for disposal_id in await centre.db.read(lambda s: s.scalars(approved).all()):
        while True:
            through = await centre.db.write(
                lambda s, each=disposal_id: destroy_page(s, centre, each, now),  # type: ignore[misc]
                bulk=True,
            )
            if through is None:
                break
            handled += through
        await _remove_files(centre, now)
        await centre.db.write(lambda s, each=disposal_id: certify(s, each, now))  # type: ignore[misc]
    await _remove_files(centre, now)
    return handled


def destroy_page(session: Session, centre: Centre, disposal_id: int, now: datetime) -> int | None:
    """Destroys the next records of an approved list, or a part of a large one, in one short transaction; gives how many
    were dealt with, None when none waits."""
    disposal = _locked(session, disposal_id)
    if disposal.state is not DisposalState.APPROVED:
        return None
    waiting = DisposalItem.disposal_id == disposal_id, DisposalItem.state == ItemState.WAITING
    items = session.scalars(select(DisposalItem).where(*waiting).order_by(DisposalItem.id).limit(PAGE)).all()
    reached, retention = holds.reach(session), centre.library.current.policies.retention
    through, left = 0, ROWS
    for item in items:
        if left <= 0:
            break
        found = judged(session, retention, item.kind, [item.record_id], reached)
        if found and may_go(found[0][1], now):
            gone = destroy(session, item.kind, item.record_id, disposal_id=disposal_id, most=left)
            item.counts, left = dict(Counts(item.counts) + Counts(gone.counts)), gone.left
            if not gone.whole:
                break
            item.state = ItemState.DESTROYED
        else:
            item.state, item.kept_why = ItemState.KEPT, found[0][1].why if found else GONE
        item.done_at = now
        through += 1
    return through if items else None


async def _remove_files(centre: Centre, now: datetime) -> None:
    """Removes from the disk what was destroyed; a file that is gone already counts as removed."""
    waiting = select(FileRemoval.id, FileRemoval.file).where(FileRemoval.removed_at.is_(None)).order_by(FileRemoval.id)
    while rows := await centre.db.read(lambda s: s.execute(waiting.limit(PAGE)).all()):
        for _, name in rows:
            await media.remove(centre, name)
        ids = [row.id for row in rows]
        await centre.db.write(
            lambda s, ids=ids: s.execute(update(FileRemoval).where(FileRemoval.id.in_(ids)).values(removed_at=now))  # type: ignore[misc]
        )


def certify(session: Session, disposal_id: int, now: datetime) -> bool:
    """Writes the certificate of a list of which nothing waits, neither a record nor a file; whether it did."""
    disposal = _locked(session, disposal_id)
    item = select(func.count()).where(DisposalItem.disposal_id == disposal_id, DisposalItem.state == ItemState.WAITING)
    file = select(func.count()).where(FileRemoval.disposal_id == disposal_id, FileRemoval.removed_at.is_(None))
    if disposal.state is not DisposalState.APPROVED or session.scalar(item) or session.scalar(file):
        return False
    written = certificates.write(session, disposal, approvals(session, disposal_id), now)
    disposal.state, disposal.ended_at = DisposalState.DONE, now
    disposal.certificate, disposal.sealed = written, certificates.digest_of(written)
    audit.record(
        session,
        "disposal.certify",
        "disposal",
        disposal.id,
        now=now,
        number=disposal.number,
        destroyed=written["destroyed"],
        kept=written["kept"],
        digest=disposal.sealed,
    )
    log.info("disposal.done", number=disposal.number, destroyed=written["destroyed"], kept=written["kept"])
    return True
