"""Follow-up plans (回访计划): what they are and how they stand; who is in one, and changes by hand (REQ-C02)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, HTTPException, Path, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.console.callbacks import holds
from bot.console.door import centre_of, change, fragment, language_of, refuse, render, require
from bot.console.live import Beside, live
from bot.console.queries import plans as queries
from bot.console.queries.office import assignable
from bot.console.queries.plans import PAGE, View, Wanted
from bot.console.times import moment_of
from bot.core.plan import Plan
from bot.core.windows import local_date, season_on
from bot.services.calls.waits import MESSAGE_WHY, WAITS
from bot.services.permissions import Function, Grant
from bot.services.plans import imports, plan_owners, plan_people
from bot.services.staffing.staff import SignedIn

router = APIRouter(prefix="/console/callbacks/plans", include_in_schema=False)

Manages = Annotated[SignedIn, Depends(require(Function.MANAGE_CALLBACKS, Grant.YES))]
Assigns = Annotated[SignedIn, Depends(require(Function.EDIT_POLICIES))]
PlanId = Annotated[str, Path(max_length=60)]
Id = Annotated[int, Path(ge=1, le=2**53)]
Kind = Literal["call", "message"]
Words = Annotated[str, Form(max_length=2000)]
HERE = "/console/callbacks/plans"
CALLS = frozenset({"callbacks"})
EVERY = 2.0  # seconds: figures over many people, looked at while thousands are called


@router.get("")
async def index(request: Request, staff: Manages) -> Response:
    """Every plan of the scripts."""
    return render(request, "console/plans.html", **await _plans(request, staff))


@router.get("/events")
async def events(request: Request, _: Manages) -> Response:
    async def draw(staff: SignedIn) -> tuple[float, Mapping[str, str]]:
        asked, found = time.monotonic(), await _plans(request, staff)
        return asked, {"plans": fragment(request, "console/plan/cards.html", **found)}

    return live(request, (), None, beside=Beside(CALLS, draw, EVERY))


async def _plans(request: Request, staff: SignedIn) -> dict[str, Any]:
    centre = centre_of(request)
    plans, now = centre.library.current.policies.plans, centre.clock.now()
    found = await centre.db.read(lambda s: queries.figures(s, plans, centre.settings.timezone, now))
    return {"plans": plans, "figures": found, **await _around(request, staff)}


async def _around(request: Request, staff: SignedIn) -> dict[str, Any]:
    """What every plan's card needs besides the plan."""
    centre, language = centre_of(request), language_of(request)
    policies, now = centre.library.current.policies, centre.clock.now()
    paused = await centre.db.read(queries.held)
    today = local_date(now, centre.settings.timezone)
    season = season_on(today, policies.seasons)

    def hours(plan: Plan) -> list[str]:
        """Today's season's windows, as spans of local time."""
        sets = [policies.hours.windows[name] for name in plan.windows if name in policies.hours.windows]
        return [f"{window.start:%H:%M}–{window.end:%H:%M}" for each in sets for window in each.of(season)]

    return {
        "paused": paused,
        "owners": await centre.db.read(plan_owners.assigned),
        "state_of": lambda id_, plan: queries.state_of(plan, id_ in paused, today),
        "holds": lambda id_: holds(request, staff, id_),
        "hours": hours,
        "language": language,
    }


# ── one plan ──


def _wanted(
    view: View = View.WAITING,
    step: Annotated[str, Query(max_length=4)] = "",
    q: Annotated[str, Query(max_length=100)] = "",
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> Wanted:
    return Wanted(view, int(step) if step.isdecimal() else None, q.strip(), page)


Asked = Annotated[Wanted, Depends(_wanted)]


def address_of(wanted: Wanted, **other: object) -> str:
    """The query string that asks for the same, with some of it changed."""
    asked = {
        "view": wanted.view.value,
        "step": "" if wanted.step is None else wanted.step,
        "q": wanted.search,
        "page": wanted.page if wanted.page > 1 else "",
    } | other
    return urlencode({name: value for name, value in asked.items() if value != ""})


@router.get("/{plan_id}")
async def show(request: Request, plan_id: PlanId, staff: Manages, wanted: Asked) -> Response:
    """One plan and the people in it."""
    centre = centre_of(request)
    plan = _plan(request, plan_id)
    unplanned, colleagues = await centre.db.read(
        lambda session: (queries.unplanned(session, plan_id, plan), assignable(session))
    )
    return render(
        request,
        "console/plan.html",
        unplanned=unplanned,
        colleagues=colleagues,
        views=tuple(View),
        takes=plan_people.takes_people(plan),
        right=imports.RIGHT,
        zone=centre.settings.timezone,
        **await _people(request, plan_id, wanted),
        **await _around(request, staff),
    )


@router.get("/{plan_id}/events")
async def events_of(request: Request, plan_id: PlanId, _: Manages, wanted: Asked) -> Response:
    _plan(request, plan_id)

    async def draw(_: SignedIn) -> tuple[float, Mapping[str, str]]:
        asked, found = time.monotonic(), await _people(request, plan_id, wanted)
        return asked, {part: fragment(request, f"console/plan/{part}.html", **found) for part in ("figures", "people")}

    return live(request, (), None, beside=Beside(CALLS, draw, EVERY))


async def _people(request: Request, plan_id: str, wanted: Wanted) -> dict[str, Any]:
    """A plan's figures and the people in it that are asked for."""
    centre = centre_of(request)
    plan, now = _plan(request, plan_id), centre.clock.now()

    def read(session: Session) -> dict[str, Any]:
        found = queries.counted(session, plan_id, plan, wanted, now)
        return {
            "figures": queries.figures(session, {plan_id: plan}, centre.settings.timezone, now)[plan_id],
            "rows": queries.people(session, plan_id, plan, wanted, now),
            "found": found,
            "pages": max(1, -(-found // PAGE)),
        }

    around = {"waits": {**WAITS, **MESSAGE_WHY}, "address_of": address_of}
    return {"id": plan_id, "plan": plan, "wanted": wanted, **around, **await centre.db.read(read)}


def _plan(request: Request, plan_id: str) -> Plan:
    found = centre_of(request).library.current.policies.plans.get(plan_id)
    if found is None:
        raise HTTPException(404)
    return found


def _page(request: Request, plan_id: str) -> str:
    """The page of a plan there is."""
    _plan(request, plan_id)
    return f"{HERE}/{plan_id}"


@router.post("/{plan_id}/owner")
async def assign(
    request: Request, plan_id: PlanId, staff: Assigns, owner: Annotated[str, Form(max_length=20)] = ""
) -> Response:
    """Assigns the plan to somebody, or to the role its file names."""
    owner_id = int(owner) if owner.isdecimal() else None
    return await change(
        request,
        _page(request, plan_id),
        lambda s, now: plan_owners.assign(s, plan_id, owner_id, staff_id=staff.staff_id, now=now),
    )


@router.post("/{plan_id}/people")
async def enrol(
    request: Request,
    plan_id: PlanId,
    staff: Manages,
    phone: Annotated[str, Form(max_length=40)] = "",
    name: Annotated[str, Form(max_length=60)] = "",
    at: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Puts somebody into the plan."""
    centre = centre_of(request)
    moment = moment_of(at, request) if at else centre.clock.now()
    if moment is None:
        return refuse(request, f"{HERE}/{plan_id}", "time_bad", status=422)

    return await change(
        request,
        _page(request, plan_id),
        lambda s, now: plan_people.enrol(
            s, centre, plan_id, phone=phone, name=name, at=moment, staff_id=staff.staff_id, now=now
        ),
        lambda enrolled: "enrolled_waits" if enrolled.unplanned else "enrolled",
    )


@router.post("/{plan_id}/people/{kind}/{contact_id}/skip")
async def skip(
    request: Request, plan_id: PlanId, kind: Kind, contact_id: Id, staff: Manages, text: Words = ""
) -> Response:
    """Leaves out this one contact."""
    return await change(
        request,
        _page(request, plan_id),
        lambda s, now: plan_people.skip(s, plan_id, kind, contact_id, text, staff_id=staff.staff_id, now=now),
    )


@router.post("/{plan_id}/people/{kind}/{contact_id}/take-out")
async def take_out(
    request: Request, plan_id: PlanId, kind: Kind, contact_id: Id, staff: Manages, text: Words = ""
) -> Response:
    """Takes the person out of the plan."""
    return await change(
        request,
        _page(request, plan_id),
        lambda s, now: plan_people.take_out(s, plan_id, kind, contact_id, text, staff_id=staff.staff_id, now=now),
    )
