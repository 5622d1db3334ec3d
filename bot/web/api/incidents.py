"""/api/v1/incidents: other systems report incidents, and read how they stand. Confirming one is for people."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from bot.core.words import IncidentSource, IncidentState
from bot.services.incidents import detection
from bot.services.incidents.incident_file import IncidentRefusedError
from bot.services.incidents.incident_types import catalogue
from bot.web.api.door import After, Asked, Guarded, Id, Instant, Limit, Line, Words, centre_of, missing, refused
from store.db import Session
from store.rows import rows
from store.tables import Incident

router = APIRouter(prefix="/incidents", tags=["incidents"], route_class=Guarded)


class NewIncident(Asked):
    """Something another system noticed: suspected until a person confirms it. The same `key` is opened once; asked
    again, the incident it opened is given back as it stands."""

    key: Annotated[Line, Field(min_length=1, max_length=100, description="The other system's own id of it")]
    code: Annotated[Line, Field(pattern=r"^INC-\d\d$", examples=["INC-30"])]
    title: Annotated[Line, Field(min_length=1, max_length=120)]
    buildings: Annotated[list[Line], Field(max_length=200)] = Field(
        default_factory=list, description="Empty: it concerns everybody"
    )
    started_at: Instant | None = Field(None, description="Left out: now")
    details: Words = ""
    drill: bool = Field(False, description="A drill never reaches a customer")


class IncidentShown(BaseModel):
    """How an incident stands. `wording_*` is what everybody says about it, empty until somebody agreed one."""

    id: int
    code: str
    title: str
    state: IncidentState
    source: IncidentSource
    drill: bool
    buildings: list[str]
    plan: str | None
    grade: str | None
    wording_zh: str
    wording_en: str
    started_at: datetime
    eta_at: datetime | None
    ended_at: datetime | None


@router.post("", status_code=201, summary="Report an incident; the same key is opened once")
async def report(request: Request, new: NewIncident) -> IncidentShown:
    centre = centre_of(request)
    now = centre.clock.now()
    if new.code not in catalogue(centre).types:
        raise missing("kind of incident")

    def work(session: Session) -> IncidentShown:
        found = detection.suspect(
            session,
            centre,
            code=new.code,
            title=new.title,
            buildings=new.buildings,
            source=IncidentSource.API,
            key=f"api:{new.key}",
            now=now,
            started_at=min(new.started_at, now) if new.started_at is not None else None,
            details=new.details,
            drill=new.drill,
        )
        return _show(found)

    try:
        return await centre.db.write(work)
    except IncidentRefusedError as error:
        raise refused(error.code) from error


@router.get("", summary="Incidents, by id")
async def browse(request: Request, limit: Limit = 50, after: After = 0) -> list[IncidentShown]:
    def work(session: Session) -> list[IncidentShown]:
        return [_show(each) for each in rows(session, Incident, after=after, limit=limit)]

    return await centre_of(request).db.read(work)


@router.get("/{incident_id}")
async def show(request: Request, incident_id: Id) -> IncidentShown:
    def work(session: Session) -> IncidentShown | None:
        found = session.get(Incident, incident_id)
        return _show(found) if found else None

    found = await centre_of(request).db.read(work)
    if found is None:
        raise missing("incident")
    return found


def _show(incident: Incident) -> IncidentShown:
    return IncidentShown(
        id=incident.id,
        code=incident.code,
        title=incident.title,
        state=incident.state,
        source=incident.source,
        drill=incident.drill,
        buildings=list(incident.buildings),
        plan=incident.plan,
        grade=incident.grade,
        wording_zh=incident.wording_zh,
        wording_en=incident.wording_en,
        started_at=incident.started_at,
        eta_at=incident.eta_at,
        ended_at=incident.ended_at,
    )
