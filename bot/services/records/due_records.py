"""Which records there are, what each hangs together with, and whether its time is over (REQ-G01, G08).

candidates(session, kind, edge, after) -> ids      what ended by `edge`, has something left and is on no open list
looked_at(session, kind, ids, reached) -> [Found]  each with its parts, ready to be judged (bot/core/retention.py)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.orm import Session

from bot.core.policy import RecordKind
from bot.core.retention import Found
from bot.services.records import customer_records, working_records
from bot.services.records.customer_records import Ended, Look
from bot.services.records.holds import Reach
from store.tables import Disposal, DisposalItem, DisposalState, ItemState

PAGE = 200
AGAIN_AFTER = timedelta(days=90)  # a list that was sent back is not proposed again at once

_ENDED: Mapping[RecordKind, Ended] = {**working_records.ENDED, **customer_records.ENDED}
_LOOK: Mapping[RecordKind, Look] = {**working_records.LOOK, **customer_records.LOOK}

KINDS = tuple(_ENDED)
"""What can be disposed of, what belongs to something before the thing itself; a review goes with its incident."""


def candidates(
    session: Session, kind: RecordKind, edge: datetime, *, now: datetime, after: int = 0, limit: int = PAGE
) -> list[int]:
    """Ids of records that ended by `edge`, behind id `after`; those on a list that is open, or was sent back lately,
    are left out."""
    query = _ENDED[kind](edge)
    key = query.selected_columns[0]
    listed = (
        select(DisposalItem.id)
        .join(Disposal, Disposal.id == DisposalItem.disposal_id)
        .where(
            DisposalItem.kind == kind,
            DisposalItem.record_id == key,
            DisposalItem.state == ItemState.WAITING,
            or_(
                Disposal.state.in_((DisposalState.PROPOSED, DisposalState.APPROVED)),
                and_(Disposal.state == DisposalState.DECLINED, Disposal.ended_at > now - AGAIN_AFTER),
            ),
        )
    )
    return list(session.scalars(query.where(key > after, ~exists(listed)).order_by(key).limit(limit)))


def ended(session: Session, kind: RecordKind, edge: datetime) -> int:
    """How many records of a kind ended by then and are still there."""
    return session.scalar(select(func.count()).select_from(_ENDED[kind](edge).subquery())) or 0


def looked_at(session: Session, kind: RecordKind, ids: Collection[int], reached: Reach) -> list[Found]:
    """These records as they stand now, by id; one that is gone is left out."""
    return sorted(_LOOK[kind](session, kind, list(ids), reached), key=lambda found: found.id) if ids else []
