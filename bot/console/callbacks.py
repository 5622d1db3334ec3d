"""The callback queue: what is due when and why, filtered and live; several changed at once; plans paused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, HTTPException, Path, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse, Response

from bot.console import notices
from bot.console.door import centre_of, fragment, language_of, refuse, render, require, see_other
from bot.console.live import live
from bot.console.queries.callback_file import may_change
from bot.console.queries.callbacks import (
    PAGE,
    QueueView,
    Wanted,
    counted,
    plans,
    progress,
    queue,
    shown,
    total,
    waiting_events,
)
from bot.console.times import day_of, moment_of
from bot.core.plan import Rings
from bot.core.words import CallbackSource, CallbackState
from bot.reports.spreadsheet import FLAGS
from bot.services.calls import callback_changes, calling_now, recovery_calls
from bot.services.calls.callback_changes import CallbackRefusedError
from bot.services.calls.waits import WAITS
from bot.services.permissions import Function, Grant
from bot.services.plans import followups, imports, pauses, plan_owners
from bot.services.refusal import RefusedError
from bot.services.staffing.staff import SignedIn
from store.tables import Callback

router = APIRouter(prefix="/console/callbacks", include_in_schema=False)

Sees = Annotated[SignedIn, Depends(require(Function.MANAGE_CALLBACKS))]
Manages = Annotated[SignedIn, Depends(require(Function.MANAGE_CALLBACKS, Grant.YES))]
Words = Annotated[str, Form(max_length=2000)]
PlanId = Annotated[str, Path(max_length=60)]
QUEUE = "/console/callbacks"


def _wanted(
    view: QueueView = QueueView.TODAY,
    plan: Annotated[str, Query(max_length=60)] = "",
    source: Annotated[str, Query(max_length=24)] = "",
    state: Annotated[str, Query(max_length=24)] = "",
    day: Annotated[str, Query(max_length=10)] = "",
    q: Annotated[str, Query(max_length=100)] = "",
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> Wanted:
    """What the address asks for; a filter nobody can mean is none."""
    return Wanted(
        view=view,
        plan=plan,
        source=CallbackSource(source) if source in set(CallbackSource) else None,
        state=CallbackState(state) if state in set(CallbackState) else None,
        day=day_of(day),
        search=q.strip(),
        page=page,
    )


Asked = Annotated[Wanted, Depends(_wanted)]


def address_of(wanted: Wanted, **other: object) -> str:
    """The query string that asks for the same, with some of it changed."""
    asked = {
        "view": wanted.view.value,
        "plan": wanted.plan,
        "source": wanted.source or "",
        "state": wanted.state or "",
        "day": wanted.day.isoformat() if wanted.day else "",
        "q": wanted.search,
        "page": wanted.page if wanted.page > 1 else "",
    } | other
    return urlencode({name: value for name, value in asked.items() if value not in ("", None)})


@router.get("")
async def index(request: Request, staff: Sees, wanted: Asked) -> Response:
    centre = centre_of(request)
    return render(
        request,
        "console/callbacks.html",
        plan_rows=await centre.db.read(plans),
        owed=await centre.db.read(recovery_calls.owed),
        did=_did(request),
        holds=lambda plan: holds(request, staff, plan),
        sources=tuple(CallbackSource),
        states=tuple(CallbackState),
        centre_zone=centre.settings.timezone,
        **await _queue(request, staff, wanted),
    )


@router.get("/events")
async def events(request: Request, _: Sees, wanted: Asked) -> Response:
    async def draw(staff: SignedIn) -> Mapping[str, str]:
        found = await _queue(request, staff, wanted)
        return {
            "progress": fragment(request, "console/callbacks/progress.html", **found),
            "callbacks": fragment(request, "console/callbacks/queue.html", **found),
        }

    return live(request, ("callbacks",), draw)


async def _queue(request: Request, staff: SignedIn, wanted: Wanted) -> dict[str, Any]:
    centre = centre_of(request)
    zone, now = centre.settings.timezone, centre.clock.now()

    def read(session: Session) -> dict[str, Any]:
        conditions = shown(session, wanted, staff, zone, now)
        found = total(session, conditions)
        return {
            "wanted": wanted,
            "address_of": address_of,
            "rows": queue(session, wanted, conditions),
            "found": found,
            "counts": counted(session, staff, zone, now),
            "progress": progress(session, staff, zone, now),
            "waiting": waiting_events(session) if staff.may(Function.MANAGE_CALLBACKS, Grant.YES) else (),
            "pages": max(1, -(-found // PAGE)),
            "flags": FLAGS,
            "waits": WAITS,
            "right": imports.RIGHT,
        }

    return {"plan_names": plan_names(request), "plan_rings": plan_rings(request), **await centre.db.read(read)}


@router.post("/replan")
async def replan(request: Request, _: Manages) -> Response:
    """Tries the events that wait for a setting again, now."""
    centre = centre_of(request)
    now = centre.clock.now()
    await centre.db.write(lambda session: followups.replan(session, centre, now, anew=True))
    return see_other(QUEUE, "saved")


# ── several at once ──


class Together(StrEnum):
    """What can be done with the callbacks that are ticked."""

    CALL_NOW = "call_now"
    MOVE = "move"
    FORWARD = "forward"
    BACK = "back"
    CANCEL = "cancel"


@router.post("/several")
async def several(
    request: Request,
    staff: Sees,
    wanted: Asked,
    action: Annotated[Together, Form()],
    chosen: Annotated[list[str] | None, Form(max_length=PAGE)] = None,
    at: Annotated[str, Form(max_length=40)] = "",
    text: Words = "",
) -> Response:
    """Does the same with each one that is ticked ("<id>:<revision>"); what cannot be done is told by its reason."""
    centre = centre_of(request)
    now, back = centre.clock.now(), f"{QUEUE}?{address_of(wanted)}"
    pairs = (each.partition(":") for each in chosen or ())
    picked = [(int(a), int(b)) for a, _, b in pairs if a.isdigit() and b.isdigit()]
    if not picked:
        return refuse(request, back, "none_ticked", status=422)
    if action is Together.CANCEL and not text.strip():
        return refuse(request, back, "reason_missing", status=422)
    moment = moment_of(at, request) if action is Together.MOVE else None
    if action is Together.MOVE and moment is None:
        return refuse(request, back, "time_bad", status=422)

    def one(session: Session, callback_id: int, revision: int) -> str:
        by: dict[str, Any] = {"revision": revision, "staff_id": staff.staff_id, "now": now}
        callback = session.get(Callback, callback_id)
        try:
            if callback is None or not may_change(callback, staff):
                raise CallbackRefusedError("not_yours" if callback else "not_found")
            with session.begin_nested():
                match action:
                    case Together.CALL_NOW:
                        calling_now.call_now(session, centre, callback_id, **by)
                    case Together.MOVE if moment is not None:
                        callback_changes.postpone(session, centre, callback_id, moment, **by)
                    case Together.CANCEL:
                        callback_changes.cancel(session, callback_id, text, **by)
                    case _:
                        step = -1 if action is Together.FORWARD else 1
                        callback_changes.reorder(session, callback_id, callback.priority + step, **by)
        except RefusedError as error:
            return error.code
        return ""

    codes = await centre.db.write(lambda session: [one(session, *each) for each in picked])
    refused = Counter(code for code in codes if code)
    told = [("did", codes.count("")), *(("not", f"{code}*{n}") for code, n in refused.items())]
    return RedirectResponse(f"{back}&{urlencode(told)}", 303)


def _did(request: Request) -> tuple[int, list[tuple[str, int]]] | None:
    """What came of the last change of several, as the address carries it: how many went well, and the reasons why
    others did not, with how many."""
    done = request.query_params.get("did", "")
    if not done.isdigit():
        return None
    left = []
    for each in request.query_params.getlist("not")[:PAGE]:
        code, _, n = each.partition("*")
        if code in notices.REFUSED and n.isdigit():
            left.append((notices.REFUSED[code], int(n)))
    return int(done), left


# ── plans and lists ──


def holds(request: Request, staff: SignedIn, plan: str) -> bool:
    """Whether this person may pause a plan: those of its role, and whoever edits windows (REQ-A22); a plan that is gone
    from the files is the latter's."""
    found = centre_of(request).library.current.policies.plans.get(plan)
    return staff.may(Function.EDIT_POLICIES) or (found is not None and found.owner in staff.roles)


async def _may_hold(request: Request, staff: SignedIn, plan: str) -> None:
    """Whoever holds it, and the person it is assigned to."""
    if holds(request, staff, plan):
        return
    owner = (await centre_of(request).db.read(plan_owners.assigned)).get(plan)
    if owner is None or owner.id != staff.staff_id:
        raise HTTPException(403, "not within your role")


def plan_names(request: Request) -> dict[str, str]:
    """What the plans are called, by id."""
    language = language_of(request)
    return {id_: plan.name[language] for id_, plan in centre_of(request).library.current.policies.plans.items()}


def plan_rings(request: Request) -> dict[str, Rings]:
    """Whom the plans' calls ring, by id."""
    return {id_: plan.rings for id_, plan in centre_of(request).library.current.policies.plans.items()}


@router.post("/plans/{plan}/pause")
async def pause(
    request: Request, staff: Manages, plan: PlanId, text: Words = "", here: Annotated[bool, Form()] = False
) -> Response:
    """`here`: back to the plan's own page."""
    await _may_hold(request, staff, plan)
    back = f"{QUEUE}/plans/{plan}" if here else QUEUE
    if not text.strip():
        return refuse(request, back, "reason_missing", status=422)
    centre = centre_of(request)
    now = centre.clock.now()
    await centre.db.write(lambda s: pauses.pause(s, plan, text.strip(), staff_id=staff.staff_id, now=now))
    return see_other(back, "saved")


@router.post("/plans/{plan}/resume")
async def resume(request: Request, staff: Manages, plan: PlanId, here: Annotated[bool, Form()] = False) -> Response:
    await _may_hold(request, staff, plan)
    centre = centre_of(request)
    now = centre.clock.now()
    await centre.db.write(lambda s: pauses.resume(s, plan, staff_id=staff.staff_id, now=now))
    return see_other(f"{QUEUE}/plans/{plan}" if here else QUEUE, "saved")


@router.post("/recovery/{incident_id}")
async def call_after_outage(request: Request, staff: Manages, incident_id: int) -> Response:
    """Owes everybody who asked to hear the end of an incident a call (REQ-C29)."""
    centre = centre_of(request)
    now = centre.clock.now()
    booked = await centre.db.write(
        lambda s: recovery_calls.book(s, centre, incident_id, staff_id=staff.staff_id, now=now)
    )
    if booked is None:
        raise HTTPException(404)
    left = (("no_number", booked.unreachable), ("outside_window", booked.refused))
    told = [("did", str(booked.calls)), *(("not", f"{code}*{n}") for code, n in left if n)]
    return RedirectResponse(f"{QUEUE}?{urlencode(told)}", 303)
