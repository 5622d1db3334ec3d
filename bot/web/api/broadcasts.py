"""/api/v1/broadcasts: announcements and how far they have come. Approving one is for people at the console."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import BroadcastKind, BroadcastState, Outcome
from bot.services import broadcasts
from bot.web.api.door import After, Guarded, Id, Limit, centre_of, missing
from store.tables import Broadcast

router = APIRouter(prefix="/broadcasts", tags=["broadcasts"], route_class=Guarded)


class BroadcastShown(BaseModel):
    """`recipients` by outcome always sum to `audience_size`."""

    id: int
    incident_id: int
    kind: BroadcastKind
    state: BroadcastState
    drill: bool
    text_zh: str
    text_en: str
    audience_size: int
    recipients: dict[Outcome, int] = Field(description="How many people are at which outcome")
    created_at: datetime
    approved_at: datetime | None
    expires_at: datetime | None
    finished_at: datetime | None


@router.get("", summary="Announcements, by id")
async def browse(request: Request, limit: Limit = 50, after: After = 0) -> list[BroadcastShown]:
    def work(session: Session) -> list[BroadcastShown]:
        found = session.scalars(select(Broadcast).where(Broadcast.id > after).order_by(Broadcast.id).limit(limit))
        return [_show(session, broadcast) for broadcast in found]

    return await centre_of(request).db.read(work)


@router.get("/{broadcast_id}")
async def show(request: Request, broadcast_id: Id) -> BroadcastShown:
    def work(session: Session) -> BroadcastShown | None:
        broadcast = session.get(Broadcast, broadcast_id)
        return _show(session, broadcast) if broadcast else None

    found = await centre_of(request).db.read(work)
    if found is None:
        raise missing("broadcast")
    return found


def _show(session: Session, broadcast: Broadcast) -> BroadcastShown:
    return BroadcastShown(
        id=broadcast.id,
        incident_id=broadcast.incident_id,
        kind=broadcast.kind,
        state=broadcast.state,
        drill=broadcast.drill,
        text_zh=broadcast.text_zh,
        text_en=broadcast.text_en,
        audience_size=broadcast.audience_size,
        recipients=broadcasts.counts(session, broadcast.id),
        created_at=broadcast.created_at,
        approved_at=broadcast.approved_at,
        expires_at=broadcast.expires_at,
        finished_at=broadcast.finished_at,
    )
