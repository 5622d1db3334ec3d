"""/api/v1/events and /api/v1/callbacks: what happened outside, and the calls it leads to."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from bot.core.plan import Trigger
from bot.core.words import CallbackSource, CallbackState, Disposition, FollowUpGroup, Language, Purpose
from bot.services import contacts
from bot.services.calls import bookings, callback_changes
from bot.services.calls.bookings import NotBookableError
from bot.services.calls.callback_changes import CallbackRefusedError
from bot.services.contacts import BadPhoneError
from bot.services.i18n import N_, text
from bot.services.plans import followups, imports, visit_lists
from bot.services.plans.followups import TOLD
from bot.services.plans.planning import Occurrence
from bot.services.records import corrections
from bot.web.api.contacts import Zone
from bot.web.api.door import (
    After,
    Asked,
    Guarded,
    Id,
    Instant,
    Limit,
    Line,
    Name,
    Phone,
    Words,
    centre_of,
    missing,
    reader,
    refused,
    wrong,
)
from store.db import Session
from store.rows import rows
from store.tables import Answer, CallAttempt, Callback, Contact, Event

router = APIRouter(route_class=Guarded)
DETAILS = ("department", "treatment", "product", "order_no", "courier", "tracking_no", "remarks")
NOT_THEN = N_("这个时间不能打电话，可以选 nearest 里的时间。")
REFUSED: dict[str, str] = {
    "callback_changed": N_("别人刚改过这个回电，请重新读取后再改。"),
    "callback_ended": N_("这个回电已经结束。"),
    "callback_dialling": N_("正在拨打，请等这次通话结束。"),
    "callback_opted_out": N_("客户要求不再联系。"),
    "no_phone": N_("这位联系人没有可以拨打的电话。"),
}


class NewEvent(Asked):
    """Something that happened to a person. `source` and `external_id` name it: the same one again changes nothing."""

    source: Annotated[Line, Field(min_length=1, max_length=60)] = visit_lists.SOURCE
    external_id: Line = Field("", description="Your own number of it; without one it is known by what it says")
    kind: Trigger = Field(description=", ".join(TOLD), examples=["visited_no_purchase"])
    phone: Phone
    name: Name
    title: Annotated[Line, Field(max_length=40)] = ""
    language: Language | None = None
    timezone: Zone | None = None
    happened_at: Instant
    department: Line = ""
    treatment: Line = ""
    product: Line = ""
    order_no: Line = Field("", description="Of an order: what the message names, and asks the facts about")
    courier: Line = ""
    tracking_no: Line = ""
    birthday: Annotated[str, Field(pattern=r"^(\d\d-\d\d)?$", description="MM-DD")] = ""
    remarks: Annotated[Words, Field(max_length=500)] = ""


class Attempt(BaseModel):
    number: int
    started_at: datetime
    ended_at: datetime | None
    rang: bool
    answered_by: str | None
    disposition: Disposition | None


class Said(BaseModel):
    question: str
    answer: str
    score: int | None
    at: datetime


class CallbackShown(BaseModel):
    """A call we owe somebody. Answers about health are left out; the console shows them to those who may see them."""

    id: int
    contact_id: int
    group: FollowUpGroup
    purpose: Purpose
    state: CallbackState
    disposition: Disposition | None
    due_at: datetime | None
    late_after: datetime | None
    not_after: datetime | None
    priority: int
    topic: str
    remarks: str
    flags: list[str]
    revision: int
    created_at: datetime
    closed_at: datetime | None
    attempts: list[Attempt]
    answers: list[Said]


class EventShown(BaseModel):
    """`fresh` False: it was known already. `unplanned` says why there is no callback, `message` in your language."""

    id: int
    source: str
    external_id: str
    kind: str
    contact_id: int
    happened_at: datetime
    recorded_at: datetime
    fresh: bool = False
    unplanned: str | None
    message: str | None
    callback: CallbackShown | None


@router.post(
    "/events",
    status_code=201,
    tags=["events"],
    summary="Tell that something happened; a follow-up is planned by its kind",
    responses={200: {"model": EventShown, "description": "It was known already; nothing was added"}},
)
async def tell(request: Request, response: Response, new: NewEvent) -> EventShown:
    centre, language = centre_of(request), reader(request)
    now = centre.clock.now()
    if new.kind not in TOLD:
        raise wrong("kind", "kind", language)
    if new.happened_at > now + timedelta(days=1):
        raise wrong("happened_at", "in_the_future", language)
    try:
        number = contacts.phone_number(new.phone)
    except BadPhoneError as error:
        raise wrong("phone", "phone", language) from error
    birthday = visit_lists.month_day(new.birthday)
    if new.birthday and birthday is None:
        raise wrong("birthday", "birthday", language)
    what = Occurrence(
        source=new.source,
        external_id=new.external_id,
        kind=new.kind,
        phone=number,
        name=new.name,
        title=new.title,
        language=new.language,
        zone=new.timezone,
        happened_at=new.happened_at,
        birthday=birthday or "",
        details={name: value for name in DETAILS if (value := getattr(new, name))},
    )

    def work(session: Session) -> EventShown:
        recorded = followups.record(session, centre, imports.named(session, what), now)
        return _event(session, session.get_one(Event, recorded.event_id), language, fresh=recorded.fresh)

    shown = await centre.db.write(work)
    if not shown.fresh:
        response.status_code = 200
    return shown


@router.get("/events/{event_id}", tags=["events"])
async def show_event(request: Request, event_id: Id) -> EventShown:
    language = reader(request)

    def work(session: Session) -> EventShown | None:
        event = session.get(Event, event_id)
        return _event(session, event, language) if event else None

    found = await centre_of(request).db.read(work)
    if found is None:
        raise missing("event")
    return found


def _event(session: Session, event: Event, language: Language, *, fresh: bool = False) -> EventShown:
    callback = next(iter(rows(session, Callback, event_id=event.id, newest=True, limit=1)), None)
    code = event.unplanned
    return EventShown(
        id=event.id,
        source=event.source,
        external_id=event.external_id,
        kind=event.kind,
        contact_id=event.contact_id,
        happened_at=event.happened_at,
        recorded_at=event.recorded_at,
        fresh=fresh,
        unplanned=code,
        message=text(language, imports.RIGHT.get(code, code)) if code else None,
        callback=_callback(session, callback) if callback else None,
    )


# ── callbacks ──


class NewCallback(Asked):
    """A call a person wishes for."""

    contact_id: Annotated[int, Field(ge=1, le=2**53)]
    wish: Instant | None = Field(None, description="When; left out: as soon as permitted")
    topic: Annotated[Words, Field(max_length=500)] = ""
    external_id: Annotated[Line, Field(min_length=1, max_length=100)] = Field(
        description="Your own number of it: the same one again moves the call instead of doubling it"
    )


class CallbackChange(Asked):
    """`revision` is the one you read; a field left out stays as it is."""

    revision: Annotated[int, Field(ge=0, le=2**31)]
    due_at: Instant | None = None
    priority: Annotated[int, Field(ge=-9, le=9)] | None = Field(None, description="The smaller, the sooner")
    remarks: Words | None = None


class Cancelled(Asked):
    revision: Annotated[int, Field(ge=0, le=2**31)]
    why: Words = ""


@router.post("/callbacks", status_code=201, tags=["callbacks"], summary="Book a call a person wishes for")
async def book(request: Request, new: NewCallback) -> CallbackShown:
    centre = centre_of(request)
    now = centre.clock.now()

    def work(session: Session) -> CallbackShown:
        if session.get(Contact, new.contact_id) is None:
            raise missing("contact")
        contact_id = contacts.survivor(session, new.contact_id)
        if contacts.phone_of(session, contact_id) is None:
            raise refused("no_phone", text(reader(request), REFUSED["no_phone"]))
        booked = bookings.book(
            session,
            centre,
            contact_id,
            dedupe_key=f"api:{new.external_id}",
            wish=new.wish,
            topic=new.topic,
            source=CallbackSource.API,
            now=now,
        )
        return _callback(session, booked)

    return await _refusing(request, work)


@router.get("/callbacks", tags=["callbacks"], summary="Callbacks, by id")
async def browse(
    request: Request,
    limit: Limit = 50,
    after: After = 0,
    state: Annotated[CallbackState | None, Query()] = None,
    contact_id: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> list[CallbackShown]:
    def work(session: Session) -> list[CallbackShown]:
        found = rows(session, Callback, after=after, limit=limit, state=state, contact_id=contact_id)
        return [_callback(session, each) for each in found]

    return await centre_of(request).db.read(work)


@router.get("/callbacks/{callback_id}", tags=["callbacks"])
async def show(request: Request, callback_id: Id) -> CallbackShown:
    def work(session: Session) -> CallbackShown | None:
        callback = session.get(Callback, callback_id)
        return _callback(session, callback) if callback else None

    found = await centre_of(request).db.read(work)
    if found is None:
        raise missing("callback")
    return found


@router.patch("/callbacks/{callback_id}", tags=["callbacks"], summary="Move, reorder or annotate a callback")
async def change(request: Request, callback_id: Id, asked: CallbackChange) -> CallbackShown:
    centre = centre_of(request)
    now = centre.clock.now()

    def work(session: Session) -> CallbackShown:
        revision, by = asked.revision, {"staff_id": None, "now": now}
        callback = session.get(Callback, callback_id)
        if asked.remarks is not None:
            callback = callback_changes.annotate(session, callback_id, asked.remarks, revision=revision, **by)  # type: ignore[arg-type]
            revision = callback.revision
        if asked.priority is not None:
            callback = callback_changes.reorder(session, callback_id, asked.priority, revision=revision, **by)  # type: ignore[arg-type]
            revision = callback.revision
        if asked.due_at is not None:
            callback = callback_changes.postpone(session, centre, callback_id, asked.due_at, revision=revision, **by)  # type: ignore[arg-type]
        if callback is None:
            raise missing("callback")
        return _callback(session, callback)

    return await _refusing(request, work)


@router.post("/callbacks/{callback_id}/cancel", tags=["callbacks"], summary="Cancel a callback")
async def cancel(request: Request, callback_id: Id, asked: Cancelled) -> CallbackShown:
    now = centre_of(request).clock.now()

    def work(session: Session) -> CallbackShown:
        cancelled = callback_changes.cancel(
            session, callback_id, asked.why, revision=asked.revision, staff_id=None, now=now
        )
        return _callback(session, cancelled)

    return await _refusing(request, work)


async def _refusing(request: Request, work: Any) -> CallbackShown:
    """Runs `work`; what a rule forbids is a 409 that says why, and what would be possible."""
    language = reader(request)
    try:
        shown: CallbackShown = await centre_of(request).db.write(work)
    except NotBookableError as error:
        nearest = [slot.start.isoformat() for slot in error.slots]
        raise refused("outside_window", text(language, NOT_THEN), nearest=nearest) from error
    except CallbackRefusedError as error:
        if error.code == "not_found":
            raise missing("callback") from error
        raise refused(error.code, text(language, REFUSED.get(error.code, error.code))) from error
    return shown


def _callback(session: Session, callback: Callback) -> CallbackShown:
    attempts = rows(session, CallAttempt, callback_id=callback.id)
    answers = rows(session, Answer, callback_id=callback.id)
    return CallbackShown(
        id=callback.id,
        contact_id=callback.contact_id,
        group=callback.follow_up_group,
        purpose=callback.purpose,
        state=callback.state,
        disposition=callback.disposition,
        due_at=callback.due_at,
        late_after=callback.late_after,
        not_after=callback.not_after,
        priority=callback.priority or 0,
        topic=callback.topic or "",
        remarks=callback.remarks or "",
        flags=callback.flags,
        revision=callback.revision,
        created_at=callback.created_at,
        closed_at=callback.closed_at,
        attempts=[
            Attempt(
                number=a.number,
                started_at=a.started_at,
                ended_at=a.ended_at,
                rang=a.rang,
                answered_by=a.answered_by,
                disposition=a.disposition,
            )
            for a in attempts
        ],
        answers=[
            Said(question=given.row.question, answer=given.text, score=given.score, at=given.row.at)
            for given in corrections.answers(session, answers)
            if not followups.is_health(given.row.question)
        ],
    )
