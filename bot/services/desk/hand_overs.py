"""Hand-over lists between people and shifts: what each case is, what was promised, what is due next (REQ-E17)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import CaseState
from bot.services import audit
from bot.services.casework import cases
from bot.services.casework.cases import OPEN_STATES
from bot.services.escalation import alerts
from bot.services.i18n import N_
from bot.services.refusal import RefusedError
from store.db import touch
from store.tables import Case, HandOver, Staff

LINK = "/console/hand-overs"
GIVEN = N_("%(who)s向您交班，共 %(count)s 件，请核对后确认")
TAKEN = N_("%(who)s已确认接班，共 %(count)s 件")


def open_cases(session: Session, staff_id: int) -> list[Case]:
    """What somebody has in hand, soonest due first."""
    return list(
        session.scalars(
            select(Case)
            .where(Case.staff_id == staff_id, Case.state.in_(OPEN_STATES))
            .order_by(Case.due_at.is_(None), Case.due_at, Case.id)
        )
    )


def hand_over(
    session: Session,
    to_staff_id: int,
    promises: Mapping[int, str],
    note: str,
    *,
    staff_id: int,
    now: datetime,
) -> HandOver:
    """Offers cases of one's own to a colleague; `promises` says by case what was promised and what comes next, and may
    not be empty for any. They stay one's own until the colleague confirms."""
    other = session.get(Staff, to_staff_id)
    if other is None or not other.active or to_staff_id == staff_id:
        raise RefusedError("owner_unknown")
    mine = {case.id: case for case in open_cases(session, staff_id)}
    if not promises or not promises.keys() <= mine.keys():
        raise RefusedError("hand_over_empty")
    if not all(text.strip() for text in promises.values()):
        raise RefusedError("promise_missing")
    items: list[dict[str, Any]] = [
        {
            "case_id": case.id,
            "number": case.number,
            "summary": case.subject,
            "promise": promises[case.id].strip()[:500],
            "due_at": case.due_at.isoformat() if case.due_at else None,
        }
        for case in (mine[each] for each in promises)
    ]
    row = HandOver(from_staff_id=staff_id, to_staff_id=to_staff_id, note=note.strip(), items=items, at=now)
    session.add(row)
    session.flush()
    me = session.get_one(Staff, staff_id)
    alerts.tell(session, [other], GIVEN, cause=f"hand_over:{row.id}", link=LINK, now=now, who=me.name, count=len(items))
    audit.record(session, "hand_over.give", "hand_over", row.id, now=now, staff_id=staff_id, to=to_staff_id)
    return row


def confirm(session: Session, hand_over_id: int, *, staff_id: int, now: datetime) -> None:
    """The new owner has read the list: every case of it that is still open and the giver's becomes theirs."""
    row = session.get_one(HandOver, hand_over_id, with_for_update=True)
    if row.to_staff_id != staff_id:
        raise RefusedError("not_yours")
    if row.confirmed_at is not None:
        raise RefusedError("hand_over_done")
    row.confirmed_at = now
    for item in row.items:
        case = session.get_one(Case, item["case_id"], with_for_update=True)
        if case.state is CaseState.CLOSED or case.staff_id != row.from_staff_id:
            continue
        case.staff_id, case.revision = staff_id, case.revision + 1
        cases.note(session, case.id, "handed_over", item["promise"], now=now, staff_id=row.from_staff_id)
    giver = session.get_one(Staff, row.from_staff_id)
    me = session.get_one(Staff, staff_id)
    alerts.tell(
        session,
        [giver],
        TAKEN,
        cause=f"hand_over_done:{row.id}",
        link=LINK,
        now=now,
        who=me.name,
        count=len(row.items),
    )
    audit.record(session, "hand_over.confirm", "hand_over", row.id, now=now, staff_id=staff_id)
    touch(session, "floor")
