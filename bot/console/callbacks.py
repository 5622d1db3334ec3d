"""The callback queue: what is due when and why, moved, reordered, cancelled, called now; lists taken in; next steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from sqlalchemy.orm import Session
from starlette.datastructures import UploadFile
from starlette.responses import HTMLResponse, Response

from bot.console.door import centre_of, fragment, refuse, render, require, see_other
from bot.console.live import live
from bot.console.queries.callbacks import PAGE, QueueView, callback_file, counted, is_own, queue, waiting_events
from bot.console.queries.office import assignable
from bot.core.words import Language
from bot.reports.spreadsheet import FLAGS
from bot.services import audit, callback_changes, followups, imports
from bot.services.bookings import NotBookableError, slots_to_offer
from bot.services.callback_changes import CallbackRefusedError
from bot.services.imports import UnreadableError
from bot.services.permissions import Function, Grant
from bot.services.staff import SignedIn
from bot.services.visit_lists import COLUMNS, MAX_BYTES
from store.tables import Callback

router = APIRouter(prefix="/console/callbacks", include_in_schema=False)


async def _reads(staff: Annotated[SignedIn, Depends(require())]) -> SignedIn:
    """Whoever works the queue or reads its reports may look at one callback."""
    if not staff.may(Function.MANAGE_CALLBACKS) and not staff.may(Function.SEE_REPORTS):
        raise HTTPException(403, "not within your role")
    return staff


Sees = Annotated[SignedIn, Depends(require(Function.MANAGE_CALLBACKS))]
Reads = Annotated[SignedIn, Depends(_reads)]
Manages = Annotated[SignedIn, Depends(require(Function.MANAGE_CALLBACKS, Grant.YES))]
Assigns = Annotated[SignedIn, Depends(require(Function.ASSIGN_NEXT_STEP))]
Revision = Annotated[int, Form(ge=0, le=2**31)]
Text = Annotated[str, Form(max_length=4000)]
SHOWN_PROBLEMS = 100


@router.get("")
async def index(
    request: Request, _: Sees, view: QueueView = QueueView.TODAY, page: Annotated[int, Query(ge=1, le=10_000)] = 1
) -> Response:
    return render(request, "console/callbacks.html", view=view, **await _queue(request, view, page))


@router.get("/events")
async def events(request: Request, _: Sees, view: QueueView = QueueView.TODAY) -> Response:
    async def draw(_staff: SignedIn) -> Mapping[str, str]:
        return {
            "callbacks": fragment(request, "console/callbacks/queue.html", view=view, **await _queue(request, view, 1))
        }

    return live(request, ("callbacks",), draw)


async def _queue(request: Request, view: QueueView, page: int) -> dict[str, Any]:
    centre = centre_of(request)
    zone, now = centre.settings.timezone, centre.clock.now()

    def read(session: Session) -> dict[str, Any]:
        counts = counted(session, zone, now)
        return {
            "rows": queue(session, view, zone, now, page=page),
            "counts": counts,
            "waiting": waiting_events(session),
            "page": page,
            "pages": max(1, -(-counts[view] // PAGE)),
            "flags": FLAGS,
            "right": imports.RIGHT,
        }

    return await centre.db.read(read)


@router.post("/replan")
async def replan(request: Request, _: Manages) -> Response:
    """Tries the events that wait for a setting again, now."""
    centre = centre_of(request)
    now = centre.clock.now()
    await centre.db.write(lambda session: followups.replan(session, centre, now, anew=True))
    return see_other("/console/callbacks", "saved")


# ── lists ──


@router.get("/import")
async def import_page(
    request: Request, _: Manages, run: Annotated[int | None, Query(ge=1, le=2**53)] = None
) -> Response:
    centre, language = centre_of(request), _language(request)
    runs = await centre.db.read(imports.runs)
    chosen = next((each for each in runs if each.id == run), None)
    told_problems = (
        [imports.explain(p, language) for p in imports.problems_of(chosen)[:SHOWN_PROBLEMS]] if chosen else []
    )
    columns = [(imports.column_name(name, language), _aliases(names, language)) for name, names in COLUMNS.items()]
    return render(
        request,
        "console/callbacks/import.html",
        runs=runs,
        run=chosen,
        problems=told_problems,
        columns=columns,
        unreadable="",
    )


def _aliases(names: Sequence[str], language: Language) -> str:
    """A few names a column may have, in the reader's language."""
    english = language is Language.EN
    return (", " if english else "、").join([name for name in names if name.isascii() is english][:3])


@router.post("/import/preview")
async def preview(request: Request, _: Manages) -> Response:
    """What a file would do, without doing it; a fragment for the page's script."""
    centre, language = centre_of(request), _language(request)
    now = centre.clock.now()
    filename, data = await _file(request)
    try:
        seen = await imports.preview(centre, data, now=now)
    except UnreadableError as error:
        return HTMLResponse(
            fragment(request, "console/callbacks/preview.html", unreadable=imports.explain_file(error, language))
        )
    problems = [imports.explain(p, language) for p in seen.refused[:SHOWN_PROBLEMS]]
    return HTMLResponse(
        fragment(
            request, "console/callbacks/preview.html", unreadable="", filename=filename, seen=seen, problems=problems
        )
    )


@router.post("/import")
async def take_in(request: Request, staff: Manages) -> Response:
    centre = centre_of(request)
    now = centre.clock.now()
    filename, data = await _file(request)
    try:
        done = await imports.import_upload(centre, filename, data, now=now, staff_id=staff.staff_id)
    except UnreadableError as error:
        return render(
            request,
            "console/callbacks/import.html",
            422,
            runs=await centre.db.read(imports.runs),
            run=None,
            problems=[],
            columns=[],
            unreadable=imports.explain_file(error, _language(request)),
        )
    return see_other(f"/console/callbacks/import?run={done.run_id}")


async def _file(request: Request) -> tuple[str, bytes]:
    """The uploaded list; an empty one where nothing was chosen. What is too big is cut just above the limit."""
    found = (await request.form()).get("file")
    if not isinstance(found, UploadFile):
        return "", b""
    try:
        return found.filename or "", await found.read(MAX_BYTES + 1)
    finally:
        await found.close()


# ── one callback ──


@router.get("/{callback_id}")
async def show(request: Request, callback_id: int, staff: Reads) -> Response:
    centre = centre_of(request)
    now = centre.clock.now()
    found = await centre.db.read(lambda session: callback_file(session, callback_id, staff))
    if found is None:
        raise HTTPException(404)
    if found.card.full or any(said.text is not None for said in found.answers):
        await centre.db.write(
            lambda s: audit.record(s, "callback.seen", "callback", callback_id, now=now, staff_id=staff.staff_id)
        )
    book, language = centre.library.current.book, _language(request)

    def question(name: str) -> str:
        slot = book.slots.get(name)
        return slot.labels.get(language, name) if slot is not None else name

    return render(
        request,
        "console/callbacks/callback.html",
        file=found,
        flags=FLAGS,
        question=question,
        colleagues=await centre.db.read(assignable),
        zone=centre.settings.timezone,
        local=lambda at: at.astimezone(centre.settings.zone).strftime("%Y-%m-%dT%H:%M"),
        slots=slots_to_offer(centre, found.callback.follow_up_group, found.card.timezone, now),
    )


@router.post("/{callback_id}/postpone")
async def postpone(
    request: Request, callback_id: int, staff: Manages, revision: Revision, at: Annotated[str, Form(max_length=40)]
) -> Response:
    centre = centre_of(request)
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return refuse(request, _page(callback_id), "time_bad", status=422)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=centre.settings.zone)
    return await _change(
        request,
        callback_id,
        lambda session, now: callback_changes.postpone(
            session, centre, callback_id, moment, revision=revision, staff_id=staff.staff_id, now=now
        ),
    )


@router.post("/{callback_id}/reorder")
async def reorder(
    request: Request, callback_id: int, staff: Manages, revision: Revision, priority: Annotated[int, Form(ge=-9, le=9)]
) -> Response:
    return await _change(
        request,
        callback_id,
        lambda session, now: callback_changes.reorder(
            session, callback_id, priority, revision=revision, staff_id=staff.staff_id, now=now
        ),
    )


@router.post("/{callback_id}/remarks")
async def remarks(request: Request, callback_id: int, staff: Sees, revision: Revision, text: Text = "") -> Response:
    """Remarks may be written by whoever manages the queue, and by an agent on their own cases (REQ-A22)."""

    def work(session: Session, now: datetime) -> None:
        callback = session.get(Callback, callback_id)
        if callback is None:
            raise CallbackRefusedError("not_found")
        if not staff.may(Function.MANAGE_CALLBACKS, Grant.YES) and not is_own(session, callback, staff.staff_id):
            raise CallbackRefusedError("not_yours")
        callback_changes.annotate(session, callback_id, text, revision=revision, staff_id=staff.staff_id, now=now)

    return await _change(request, callback_id, work)


@router.post("/{callback_id}/cancel")
async def cancel(request: Request, callback_id: int, staff: Manages, revision: Revision, text: Text = "") -> Response:
    return await _change(
        request,
        callback_id,
        lambda session, now: callback_changes.cancel(
            session, callback_id, text, revision=revision, staff_id=staff.staff_id, now=now
        ),
    )


@router.post("/{callback_id}/call-now")
async def call_now(request: Request, callback_id: int, staff: Manages, revision: Revision) -> Response:
    centre = centre_of(request)
    return await _change(
        request,
        callback_id,
        lambda session, now: callback_changes.call_now(
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
        lambda session, now: callback_changes.add_step(
            session, callback_id, owner_id=owner, what=what, due_on=due_on, staff_id=staff.staff_id, now=now
        ),
    )


@router.post("/{callback_id}/steps/{step_id}")
async def finish_step(request: Request, callback_id: int, step_id: int, staff: Reads, result: Text = "") -> Response:
    """The owner of a step, or who may assign them, says what came of it."""
    assigns = staff.may(Function.ASSIGN_NEXT_STEP)

    def work(session: Session, now: datetime) -> None:
        callback_changes.finish_step(
            session, callback_id, step_id, result, staff_id=staff.staff_id, anybodys=assigns, now=now
        )

    return await _change(request, callback_id, work)


async def _change(request: Request, callback_id: int, work: Callable[[Session, datetime], object]) -> Response:
    centre = centre_of(request)
    now = centre.clock.now()
    page = _page(callback_id)
    try:
        done = await centre.db.write(lambda session: work(session, now))
    except CallbackRefusedError as error:
        if error.code == "not_found":
            raise HTTPException(404) from error
        return refuse(request, page, error.code)
    except NotBookableError:
        return refuse(request, page, "outside_window")
    if isinstance(done, Callback):
        page = _page(done.id)
    return see_other(page, "saved")


def _page(callback_id: int) -> str:
    return f"/console/callbacks/{callback_id}"


def _language(request: Request) -> Language:
    language = request.app.state.look.language(request)
    assert isinstance(language, Language)
    return language
