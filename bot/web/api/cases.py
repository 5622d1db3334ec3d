"""/api/v1/cases: work with a number the customer knows. What a case is about is shown; what was said is not."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from bot.core.sla import business_after, business_time
from bot.core.words import CaseKind, CaseState, Urgency
from bot.services import audit, contacts
from bot.services.casework import cases
from bot.web.api.door import After, Asked, Guarded, Limit, Line, Words, centre_of, missing
from store.db import Session
from store.rows import rows
from store.tables import Case, Contact

router = APIRouter(prefix="/cases", tags=["cases"], route_class=Guarded)


class NewCase(Asked):
    contact_id: Annotated[int, Field(ge=1, le=2**53)]
    kind: CaseKind
    subject: Annotated[Words, Field(min_length=1, max_length=200)]
    urgency: Urgency = Urgency.ORDINARY
    queue: Annotated[Line, Field(min_length=1, max_length=40, pattern=r"^[a-z_]+$")] = "service"


class CaseShown(BaseModel):
    number: str
    kind: CaseKind
    state: CaseState
    urgency: Urgency
    queue: str
    level: int
    contact_id: int
    subject: str
    feedback: str
    opened_at: datetime
    due_at: datetime | None
    feedback_at: datetime | None
    closed_at: datetime | None
    id: int


@router.post("", status_code=201, summary="Open a case, due by the case standards in business time")
async def create(request: Request, new: NewCase) -> CaseShown:
    centre = centre_of(request)
    now, shelf = centre.clock.now(), centre.library.current

    def work(session: Session) -> CaseShown | None:
        contact = session.get(Contact, contacts.survivor(session, new.contact_id))
        if contact is None:
            return None
        target = shelf.policies.sla.cases[new.urgency].resolution
        hours = business_time(shelf.policies, shelf.calendar, frozenset(contact.segments))
        due = business_after(now, target, hours)
        case = cases.open_case(
            session,
            kind=new.kind,
            contact_id=contact.id,
            subject=new.subject,
            zone=centre.settings.zone,
            now=now,
            urgency=new.urgency,
            queue=new.queue,
            due_in=due - now if due else None,
        )
        if cases.climbs(case):
            cases.escalate(session, centre, case, now)
        audit.record(session, "case.open", "case", case.id, now=now, note="api")
        return _show(case)

    found = await centre.db.write(work)
    if found is None:
        raise missing("contact")
    return found


@router.get("", summary="Cases, by id")
async def browse(
    request: Request,
    limit: Limit = 50,
    after: After = 0,
    state: Annotated[CaseState | None, Query()] = None,
    contact_id: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> list[CaseShown]:
    def work(session: Session) -> list[CaseShown]:
        found = rows(session, Case, after=after, limit=limit, state=state, contact_id=contact_id)
        return [_show(case) for case in found]

    return await centre_of(request).db.read(work)


@router.get("/{number}", summary="A case by its number")
async def show(request: Request, number: Annotated[str, Path(pattern=r"^[A-Za-z]\d{8}-\d{4,9}$")]) -> CaseShown:
    def work(session: Session) -> CaseShown | None:
        case = cases.by_number(session, number)
        return _show(case) if case else None

    found = await centre_of(request).db.read(work)
    if found is None:
        raise missing("case")
    return found


def _show(case: Case) -> CaseShown:
    return CaseShown(
        id=case.id,
        number=case.number,
        kind=case.kind,
        state=case.state,
        urgency=case.urgency,
        queue=case.queue,
        level=case.level or 0,
        contact_id=case.contact_id,
        subject=case.subject,
        feedback=case.feedback or "",
        opened_at=case.opened_at,
        due_at=case.due_at,
        feedback_at=case.feedback_at,
        closed_at=case.closed_at,
    )
