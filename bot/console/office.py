"""The office: who works here (administrator), and what was done (audit)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.console.door import centre_of, change, render, require
from bot.console.queries.office import audit_actions, audit_trail, colleagues
from bot.core.words import Language, Role
from bot.services.permissions import Function
from bot.services.queues import HANDED
from bot.services.staffing import second_factor, sign_in
from bot.services.staffing import staff as staff_service
from bot.services.staffing.staff import SignedIn

router = APIRouter(prefix="/console", include_in_schema=False)
Administrator = Annotated[SignedIn, Depends(require(Function.MANAGE_STAFF))]
Auditor = Annotated[SignedIn, Depends(require(Function.SEE_AUDIT))]
Roles = Annotated[list[Role], Form()]
STAFF = "/console/staff"


@router.get("/audit")
async def audit_page(
    request: Request,
    _: Auditor,
    about: Annotated[str, Query(max_length=60)] = "",
    who: int | None = None,
    before: int | None = None,
) -> Response:
    def read(session: Session) -> dict[str, Any]:
        return {
            "rows": audit_trail(session, action=f"{about}." if about else "", staff_id=who, before=before),
            "subjects": audit_actions(session),
            "people": colleagues(session),
        }

    found = await centre_of(request).db.read(read)
    return render(request, "console/audit.html", **found, about=about, whose=who)


@router.get("/staff")
async def staff_page(request: Request, _: Administrator) -> Response:
    return await _staff_page(request)


async def _staff_page(request: Request, **context: Any) -> Response:
    centre = centre_of(request)

    def read(session: Session) -> dict[str, Any]:
        people, machine = colleagues(session), centre.clock.machine()
        return {
            "people": people,
            "locked_out": sign_in.locked_out(session, people, machine),
        }

    return render(
        request,
        "console/staff.html",
        roles=list(Role),
        queues=HANDED,
        languages=list(Language),
        **await centre.db.read(read),
        **{"link": None, **context},
    )


@router.post("/staff")
async def add(
    request: Request,
    admin: Administrator,
    username: Annotated[str, Form(max_length=200)] = "",
    name: Annotated[str, Form(max_length=200)] = "",
    roles: Roles = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    return await change(
        request,
        STAFF,
        lambda session, now: staff_service.create_staff(
            session, username, name, roles, now=now, by_staff_id=admin.staff_id
        ),
        "staff_created",
    )


@router.post("/staff/{staff_id}/roles")
async def change_roles(
    request: Request,
    admin: Administrator,
    staff_id: int,
    roles: Roles = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    return await change(
        request,
        STAFF,
        lambda session, now: staff_service.set_roles(session, staff_id, roles, now=now, by_staff_id=admin.staff_id),
    )


@router.post("/staff/{staff_id}/skills")
async def change_skills(
    request: Request,
    admin: Administrator,
    staff_id: int,
    capacity: Annotated[int, Form()],
    queues: Annotated[list[str], Form()] = [],  # noqa: B006 - FastAPI copies it
    languages: Annotated[list[Language], Form()] = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """How much somebody is given at once, and what of."""
    if set(queues) - set(HANDED):
        raise HTTPException(404)
    return await change(
        request,
        STAFF,
        lambda session, now: staff_service.set_skills(
            session, staff_id, capacity, queues, languages, now=now, by_staff_id=admin.staff_id
        ),
    )


@router.post("/staff/{staff_id}/active")
async def change_active(
    request: Request, admin: Administrator, staff_id: int, active: Annotated[bool, Form()]
) -> Response:
    return await change(
        request,
        STAFF,
        lambda session, now: staff_service.set_active(session, staff_id, active, now=now, by_staff_id=admin.staff_id),
    )


@router.post("/staff/{staff_id}/unlock")
async def unlock(request: Request, admin: Administrator, staff_id: int) -> Response:
    """Lets somebody try again who mistook their password too often."""
    return await change(
        request,
        STAFF,
        lambda session, now: sign_in.let_try_again(session, staff_id, now=now, by_staff_id=admin.staff_id),
    )


@router.post("/staff/{staff_id}/second-factor/remove")
async def remove_second_factor(request: Request, admin: Administrator, staff_id: int) -> Response:
    """For somebody who lost their phone and their recovery codes."""
    return await change(
        request,
        STAFF,
        lambda session, now: second_factor.remove(session, staff_id, now=now, by_staff_id=admin.staff_id),
    )


@router.post("/staff/{staff_id}/link")
async def make_link(request: Request, admin: Administrator, staff_id: int) -> Response:
    """Shows a one-time sign-in link, once."""
    centre = centre_of(request)
    now, machine = centre.clock.now(), centre.clock.machine()

    def work(session: Session) -> tuple[str, str]:
        person = staff_service.person(session, staff_id)
        token = sign_in.make_link(session, staff_id, now=now, machine=machine, by_staff_id=admin.staff_id)
        return person.name, f"{centre.settings.address}/sign-in/link/{token}"

    return await _staff_page(request, link=await centre.db.write(work))
