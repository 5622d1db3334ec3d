"""/api/v1/broadcasts: announcements and how far they have come. Approving one is for people at the console."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, model_validator

from bot.core.policy import Bilingual
from bot.core.words import BroadcastKind, BroadcastState, ChannelName, Outcome
from bot.services.announcements import announcements, broadcasts
from bot.services.announcements.audience import audience_of
from bot.services.announcements.broadcasts import BroadcastRefusedError
from bot.services.i18n import N_, text
from bot.services.staffing import staff as staff_service
from bot.web.api.door import After, Asked, Guarded, Id, Limit, Line, Words, centre_of, missing, reader, refused
from store.db import Session
from store.rows import rows
from store.tables import Broadcast

router = APIRouter(prefix="/broadcasts", tags=["broadcasts"], route_class=Guarded)


REFUSED: Mapping[str, str] = {
    "not_allowed": N_("这不在您的权限之内。"),
    "incident_over": N_("事件已经结束。"),
    "text_missing": N_("中文和英文都要写。"),
    "audience_missing": N_("请选择发给谁。"),
    "channels_missing": N_("请至少选择一种本中心能用的联系方式。"),
}


class NewBroadcast(Asked):
    """A notice for an incident that is open. `author` is the member of staff it is drafted for; somebody else approves.

    Without texts it says what the incident's template says. Buildings, segments and tags together mean people of all.
    """

    incident_id: Annotated[int, Field(ge=1, le=2**53)]
    author: Annotated[Line, Field(min_length=1, max_length=60, description="A user name of staff")]
    everybody: bool = False
    buildings: Annotated[list[Line], Field(max_length=200)] = Field(default_factory=list)
    segments: Annotated[list[Line], Field(max_length=50)] = Field(default_factory=list)
    tags: Annotated[list[Line], Field(max_length=50)] = Field(default_factory=list)
    channels: Annotated[list[ChannelName], Field(max_length=6)] | None = Field(
        None, description="In this order; left out: as the policies say"
    )
    text_zh: Annotated[Words, Field(max_length=1000)] | None = None
    text_en: Annotated[Words, Field(max_length=1000)] | None = None

    @model_validator(mode="after")
    def _both_or_neither(self) -> NewBroadcast:
        if (self.text_zh is None) != (self.text_en is None):
            raise ValueError("text_zh and text_en are wanted together")
        return self


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


@router.post("", status_code=201, summary="Draft an announcement; a second person approves it at the console")
async def draft(request: Request, new: NewBroadcast) -> BroadcastShown:
    centre = centre_of(request)
    now = centre.clock.now()
    words = Bilingual(new.text_zh, new.text_en) if new.text_zh is not None and new.text_en is not None else None

    def work(session: Session) -> BroadcastShown:
        author = staff_service.by_username(session, new.author)
        if author is None:
            raise BroadcastRefusedError("not_allowed")
        drafted = announcements.draft(
            session,
            centre,
            new.incident_id,
            staff_id=author.id,
            now=now,
            audience=audience_of(new.buildings, new.segments, tags=new.tags, everybody=new.everybody),
            channels=new.channels,
            text=words,
        )
        return _show(session, drafted)

    try:
        return await centre.db.write(work)
    except BroadcastRefusedError as error:
        if error.code == "not_found":
            raise missing("incident") from error
        message = text(reader(request), REFUSED.get(error.code, error.code))
        raise refused(error.code, message) from error


@router.get("", summary="Announcements, by id")
async def browse(request: Request, limit: Limit = 50, after: After = 0) -> list[BroadcastShown]:
    def work(session: Session) -> list[BroadcastShown]:
        return [_show(session, each) for each in rows(session, Broadcast, after=after, limit=limit)]

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
