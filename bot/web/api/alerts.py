"""/api/v1/cap: alerts of others (OASIS CAP 1.2). Each becomes a suspected incident; people decide what follows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from bot.core.cap import CapRefused
from bot.core.words import IncidentState
from bot.services.i18n import N_, text
from bot.services.incidents import cap
from bot.services.incidents.cap import CapError, CapRefusedError
from bot.services.incidents.incident_file import IncidentRefusedError
from bot.services.staffing import staff as staff_service
from bot.web.api.door import Guarded, centre_of, reader, refused
from store.db import Session

router = APIRouter(prefix="/cap", tags=["broadcasts"], route_class=Guarded)
NOT_CAP = N_("这不是 CAP 1.2 文件：%(why)s")
REFUSED: Mapping[str, str] = {
    CapRefused.EXPIRED.value: N_("这条警报已经过期。"),
    CapRefused.REPEATED.value: N_("这条警报已经收过。"),
    CapRefused.OUT_OF_ORDER.value: N_("发布方对这件事已有更晚的消息，或发布时间不对。"),
    CapRefused.UNKNOWN_REFERENCE.value: N_("它更新或取消的警报没有收到过。"),
    "not_allowed": N_("这不在您的权限之内。"),
}


class Taken(BaseModel):
    """`incident_id` None: a cancellation of something that is no incident here."""

    identifier: str
    incident_id: int | None
    state: IncidentState | None
    drill: bool


@router.post(
    "",
    status_code=201,
    summary="Take a CAP 1.2 alert in: a suspected incident, nothing is sent",
    openapi_extra={"requestBody": {"content": {"application/cap+xml": {"schema": {"type": "string"}}}}},
)
async def take(
    request: Request, author: Annotated[str, Query(min_length=1, max_length=60, description="A user name of staff")]
) -> Taken:
    centre = centre_of(request)
    now, body = centre.clock.now(), await request.body()
    try:
        alert = cap.read(body)
    except CapError as error:
        raise refused("not_cap", text(reader(request), NOT_CAP, why=str(error))) from error

    def work(session: Session) -> Taken:
        person = staff_service.by_username(session, author)
        if person is None:
            raise IncidentRefusedError("not_allowed")
        incident = cap.take(session, centre, alert, staff_id=person.id, now=now)
        return Taken(
            identifier=alert.identifier,
            incident_id=incident.id if incident else None,
            state=incident.state if incident else None,
            drill=alert.exercise,
        )

    try:
        return await centre.db.write(work)
    except (CapRefusedError, IncidentRefusedError) as error:
        raise refused(error.code, text(reader(request), REFUSED.get(error.code, error.code))) from error
