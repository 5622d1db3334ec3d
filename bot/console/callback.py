"""One callback at the console: looked at, moved, edited, cancelled, called now; booked in a diary; next steps (C17)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.console.callbacks import plan_names, plan_rings
from bot.console.door import centre_of, change, language_of, refuse, render, require
from bot.console.queries.archive import marks_of
from bot.console.queries.callback_file import CallbackFile, callback_file, is_own, may_change
from bot.console.queries.office import assignable
from bot.console.queries.people import Card, card
from bot.console.times import moment_of
from bot.core.plan import Rings
from bot.core.words import CallbackSource, FollowUpGroup
from bot.reports.spreadsheet import FLAGS
from bot.services import audit, contacts
from bot.services.calls import bookings, callback_changes, calling_now, dialling
from bot.services.calls.bookings import slots_to_offer
from bot.services.calls.callback_changes import CallbackRefusedError
from bot.services.calls.waits import WAITS
from bot.services.permissions import Function, Grant
from bot.services.plans import next_steps, preparation
from bot.services.staffing.staff import SignedIn
from store.tables import Archivable, Callback, Case, Contact

router = APIRouter(prefix="/console/callbacks", include_in_schema=False)


async def _reads(staff: Annotated[SignedIn, Depends(require())]) -> SignedIn:
    """Whoever works the queue or reads its reports may look at one callback."""
    if not staff.may(Function.MANAGE_CALLBACKS) and not staff.may(Function.SEE_REPORTS):
        raise HTTPException(403, "not within your role")
    return staff


Sees = Annotated[SignedIn, Depends(require(Function.MANAGE_CALLBACKS))]
Reads = Annotated[SignedIn, Depends(_reads)]
Assigns = Annotated[SignedIn, Depends(require(Function.ASSIGN_NEXT_STEP))]
Revision = Annotated[int, Form(ge=0, le=2**31)]
Text = Annotated[str, Form(max_length=4000)]
Field = Annotated[str, Form(max_length=200)]
Id = Annotated[int | None, Form(ge=1, le=2**53)]
Way = Annotated[str, Form(max_length=20)]
MINE = "me"


def _way(given: str) -> Rings | None:
    """Whom the call rings; None: as its plan says."""
    return Rings(given) if given in set(Rings) else None


# ── the diary ──


@router.get("/new")
async def new(
    request: Request,
    staff: Sees,
    contact: Annotated[int, Query(ge=1, le=2**53)],
    case: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> Response:
    """The form to book a call to somebody, in one's own diary or for the team."""
    centre = centre_of(request)
    now = centre.clock.now()

    def read(session: Session) -> tuple[Card, Case | None] | None:
        if session.get(Contact, contact) is None:
            return None
        return card(session, contacts.survivor(session, contact), staff, now), session.get(Case, case) if case else None

    found = await centre.db.read(read)
    if found is None:
        raise HTTPException(404)
    who, about = found
    slots = await centre.db.read(
        lambda session: slots_to_offer(session, centre, FollowUpGroup.REQUESTED, who.timezone, now, n=4)
    )
    return render(
        request,
        "console/callbacks/new.html",
        card=who,
        case=about,
        slots=slots,
        zone=centre.settings.timezone,
        ways=tuple(Rings),
        usual=plan_rings(request)[FollowUpGroup.REQUESTED],
    )


@router.post("/new")
async def book(
    request: Request,
    staff: Sees,
    contact: Annotated[int, Form(ge=1, le=2**53)],
    case: Annotated[str, Form(max_length=20)] = "",
    at: Annotated[str, Form(max_length=40)] = "",
    slot: Annotated[str, Form(max_length=40)] = "",
    topic: Annotated[str, Form(max_length=2000)] = "",
    whose: Annotated[str, Form(max_length=10)] = MINE,
    rings: Way = "",
) -> Response:
    centre = centre_of(request)
    back = f"/console/callbacks/new?contact={contact}" + (f"&case={case}" if case else "")
    moment = moment_of(slot or at, request)
    if moment is None:
        return refuse(request, back, "time_bad", status=422)

    def work(session: Session, now: datetime) -> int:
        if session.get(Contact, contact) is None:
            raise CallbackRefusedError("not_found")
        contact_id = contacts.survivor(session, contact)
        if contacts.phone_of(session, contact_id) is None:
            raise CallbackRefusedError("no_number")
        about = session.get(Case, int(case)) if case.isdigit() else None
        return bookings.book(
            session,
            centre,
            contact_id,
            dedupe_key=f"diary:{staff.staff_id}:{contact_id}:{moment.isoformat()}",
            wish=moment,
            topic=topic.strip(),
            case_id=about.id if about is not None else None,
            source=CallbackSource.DIARY,
            owner_id=staff.staff_id if whose == MINE else None,
            staff_id=staff.staff_id,
            rings=_way(rings),
            now=now,
        ).id

    return await change(request, back, work, back=_page)


# ── one callback ──


@router.get("/{callback_id}")
async def show(request: Request, callback_id: int, staff: Reads) -> Response:
    centre = centre_of(request)
    now = centre.clock.now()
    language, shelf = language_of(request), centre.library.current

    def read(session: Session) -> tuple[CallbackFile, preparation.Card] | None:
        file = callback_file(session, callback_id, staff, now)
        return (file, preparation.prepare(session, shelf, file.callback, language, now)) if file is not None else None

    seen = await centre.db.read(read)
    if seen is None:
        raise HTTPException(404)
    found, prepared = seen
    plan_id, theirs = found.callback.plan, found.card.timezone
    if found.card.full or any(said.text is not None for said in found.answers):
        await centre.db.write(
            lambda s: audit.record(s, "callback.seen", "callback", callback_id, now=now, staff_id=staff.staff_id)
        )
    book = shelf.book

    def question(name: str) -> str:
        slot = book.slots.get(name)
        return slot.labels.get(language, name) if slot is not None else name

    return render(
        request,
        "console/callbacks/callback.html",
        file=found,
        prepared=prepared,
        flags=FLAGS,
        question=question,
        colleagues=await centre.db.read(assignable),
        zone=centre.settings.timezone,
        local=lambda at: at.astimezone(centre.settings.zone).strftime("%Y-%m-%dT%H:%M"),
        waits=WAITS,
        plan_names=plan_names(request),
        plan_rings=plan_rings(request),
        ways=tuple(Rings),
        marks=await centre.db.read(lambda session: marks_of(session, None, Archivable.CALLBACK, callback_id)),
        stands=await centre.db.read(lambda session: _stands(session, request, callback_id)),
        slots=await centre.db.read(lambda session: slots_to_offer(session, centre, plan_id, theirs, now)),
    )


@router.post("/{callback_id}/postpone")
async def postpone(
    request: Request, callback_id: int, staff: Sees, revision: Revision, at: Annotated[str, Form(max_length=40)]
) -> Response:
    centre = centre_of(request)
    moment = moment_of(at, request)
    if moment is None:
        return refuse(request, _page(callback_id), "time_bad", status=422)
    return await _change(
        request,
        callback_id,
        staff,
        lambda session, now: callback_changes.postpone(
            session, centre, callback_id, moment, revision=revision, staff_id=staff.staff_id, now=now
        ),
    )


@router.post("/{callback_id}/edit")
async def edit(
    request: Request,
    callback_id: int,
    staff: Sees,
    revision: Revision,
    topic: Text = "",
    number: Annotated[str, Form(max_length=20)] = "",
    owner: Annotated[str, Form(max_length=20)] = "",
    rings: Way = "",
) -> Response:
    """What it is about, which number is rung first, whose diary it is in, who speaks."""
    return await _change(
        request,
        callback_id,
        staff,
        lambda session, now: callback_changes.edit(
            session,
            callback_id,
            topic=topic,
            address_id=int(number) if number.isdigit() else None,
            owner_id=int(owner) if owner.isdigit() else None,
            rings=_way(rings),
            revision=revision,
            staff_id=staff.staff_id,
            now=now,
        ),
    )


@router.post("/{callback_id}/reorder")
async def reorder(
    request: Request, callback_id: int, staff: Sees, revision: Revision, priority: Annotated[int, Form(ge=-9, le=9)]
) -> Response:
    return await _change(
        request,
        callback_id,
        staff,
        lambda session, now: callback_changes.reorder(
            session, callback_id, priority, revision=revision, staff_id=staff.staff_id, now=now
        ),
    )


@router.post("/{callback_id}/remarks")
async def remarks(request: Request, callback_id: int, staff: Sees, revision: Revision, text: Text = "") -> Response:
    """Remarks may be written by whoever manages the queue, and by an agent on their own cases (REQ-A22)."""

    def work(session: Session, now: datetime) -> None:
        _theirs(session, callback_id, staff)
        callback_changes.annotate(session, callback_id, text, revision=revision, staff_id=staff.staff_id, now=now)

    return await _change(request, callback_id, None, work)


@router.post("/{callback_id}/prepare")
async def prepare(
    request: Request,
    callback_id: int,
    staff: Sees,
    revision: Revision,
    notes: Text = "",
    name: Field = "",
    title: Field = "",
    birth_year: Field = "",
    interests: Field = "",
) -> Response:
    """What an agent notes and finds out before dialling (REQ-C20)."""
    known = {"name": name, "title": title, "birth_year": birth_year, "interests": interests}

    def work(session: Session, now: datetime) -> None:
        _theirs(session, callback_id, staff)
        preparation.write(
            session, callback_id, known=known, notes=notes, revision=revision, staff_id=staff.staff_id, now=now
        )

    return await _change(request, callback_id, None, work)


def _theirs(session: Session, callback_id: int, staff: SignedIn) -> None:
    """Whoever manages the queue may write on a callback, an agent on their own cases alone (REQ-A22)."""
    callback = session.get(Callback, callback_id)
    if callback is None:
        raise CallbackRefusedError("not_found")
    if not staff.may(Function.MANAGE_CALLBACKS, Grant.YES) and not is_own(session, callback, staff.staff_id):
        raise CallbackRefusedError("not_yours")


@router.post("/{callback_id}/cancel")
async def cancel(request: Request, callback_id: int, staff: Sees, revision: Revision, text: Text = "") -> Response:

    def work(session: Session, now: datetime) -> Callback:
        if not text.strip():
            raise CallbackRefusedError("reason_missing")
        return callback_changes.cancel(session, callback_id, text, revision=revision, staff_id=staff.staff_id, now=now)

    return await _change(request, callback_id, staff, work)


@router.post("/{callback_id}/call-now")
async def call_now(request: Request, callback_id: int, staff: Sees, revision: Revision) -> Response:
    centre = centre_of(request)
    return await _change(
        request,
        callback_id,
        staff,
        lambda session, now: calling_now.call_now(
            session, centre, callback_id, revision=revision, staff_id=staff.staff_id, now=now
        ),
    )


@router.post("/{callback_id}/steps")
async def add_step(
    request: Request,
    callback_id: int,
    staff: Assigns,
    owner: Annotated[int, Form()],
    due_on: Annotated[date, Form()],
    what: Text = "",
) -> Response:
    return await _change(
        request,
        callback_id,
        None,
        lambda session, now: next_steps.add(
            session, [callback_id], owner_id=owner, what=what, due_on=due_on, staff_id=staff.staff_id, now=now
        ),
    )


@router.post("/{callback_id}/steps/{step_id}")
async def finish_step(request: Request, callback_id: int, step_id: int, staff: Reads, result: Text = "") -> Response:
    """The owner of a step, or who may assign them, says what came of it."""
    assigns = staff.may(Function.ASSIGN_NEXT_STEP)

    def work(session: Session, now: datetime) -> None:
        next_steps.finish(session, step_id, result, staff_id=staff.staff_id, anybodys=assigns, now=now)

    return await _change(request, callback_id, None, work)


async def _change(
    request: Request, callback_id: int, changer: SignedIn | None, work: Callable[[Session, datetime], object]
) -> Response:
    """Does it in one transaction. `changer` must manage the queue or own the entry; None: `work` asks by itself."""

    def allowed(session: Session, now: datetime) -> object:
        callback = session.get(Callback, callback_id) if changer is not None else None
        if changer is not None and callback is not None and not may_change(callback, changer):
            raise HTTPException(403, "not within your role")
        return work(session, now)

    return await change(
        request,
        _page(callback_id),
        allowed,
        back=lambda made: _page(made.id if isinstance(made, Callback) else callback_id),
    )


def _stands(session: Session, request: Request, callback_id: int) -> tuple[str, datetime | None] | None:
    """What stands against calling now."""
    centre = centre_of(request)
    return dialling.stands_against(session, centre, session.get_one(Callback, callback_id), centre.clock.now())


def _page(callback_id: int) -> str:
    return f"/console/callbacks/{callback_id}"
