"""The office: who works here (administrator), what was done (audit), one's own password and Telegram chat."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.console.door import centre_of, let_in, refuse, render, require, see_other
from bot.console.queries.office import audit_actions, audit_trail, colleagues
from bot.core.arrivals import Named
from bot.core.words import ChannelName, Role
from bot.services import own_chats
from bot.services import staff as staff_service
from bot.services.permissions import Function
from bot.services.staff import SignedIn, StaffRefusedError

router = APIRouter(prefix="/console", include_in_schema=False)
Anybody = Annotated[SignedIn, Depends(require())]
Administrator = Annotated[SignedIn, Depends(require(Function.MANAGE_STAFF))]
Auditor = Annotated[SignedIn, Depends(require(Function.SEE_AUDIT))]
Password = Annotated[str, Form(max_length=staff_service.MAX_PASSWORD)]
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
    people = await centre_of(request).db.read(colleagues)
    return render(request, "console/staff.html", people=people, roles=list(Role), **{"link": None, **context})


@router.post("/staff")
async def add(
    request: Request,
    admin: Administrator,
    username: Annotated[str, Form(max_length=200)] = "",
    name: Annotated[str, Form(max_length=200)] = "",
    roles: Roles = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    return await _change(
        request,
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
    return await _change(
        request,
        lambda session, now: staff_service.set_roles(session, staff_id, roles, now=now, by_staff_id=admin.staff_id),
        "saved",
    )


@router.post("/staff/{staff_id}/active")
async def change_active(
    request: Request, admin: Administrator, staff_id: int, active: Annotated[bool, Form()]
) -> Response:
    return await _change(
        request,
        lambda session, now: staff_service.set_active(session, staff_id, active, now=now, by_staff_id=admin.staff_id),
        "saved",
    )


@router.post("/staff/{staff_id}/link")
async def make_link(request: Request, admin: Administrator, staff_id: int) -> Response:
    """Shows a one-time sign-in link, once."""
    centre = centre_of(request)
    now, machine = centre.clock.now(), centre.clock.machine()

    def work(session: Session) -> tuple[str, str]:
        person = staff_service.person(session, staff_id)
        token = staff_service.make_link(session, staff_id, now=now, machine=machine, by_staff_id=admin.staff_id)
        return person.name, f"{centre.settings.address}/sign-in/link/{token}"

    try:
        return await _staff_page(request, link=await centre.db.write(work))
    except LookupError as error:
        raise HTTPException(404) from error


@router.get("/me")
async def me(request: Request, staff: Anybody) -> Response:
    return await _my_page(request, staff)


async def _my_page(request: Request, staff: SignedIn, code: str | None = None) -> Response:
    """One's own page; `code` is a fresh one, shown this once."""
    centre = centre_of(request)
    channel = centre.channels.get(ChannelName.TELEGRAM)
    account = channel.account if isinstance(channel, Named) else ""
    parameter = f"{own_chats.PREFIX}{code}" if code else None
    return render(
        request,
        "console/me.html",
        telegram=channel is not None,
        chat=await centre.db.read(lambda session: own_chats.of(session, staff.staff_id)),
        account=account,
        command=f"/start {parameter}" if parameter else None,
        link=f"https://t.me/{account}?start={parameter}" if parameter and account else None,
    )


@router.post("/me/telegram")
async def link_telegram(request: Request, staff: Anybody) -> Response:
    """Shows a one-time link, and the same code for typing, once."""
    centre = centre_of(request)
    if ChannelName.TELEGRAM not in centre.channels:
        raise HTTPException(404)
    now, machine = centre.clock.now(), centre.clock.machine()
    code = await centre.db.write(lambda s: own_chats.make_code(s, staff.staff_id, now=now, machine=machine))
    return await _my_page(request, staff, code)


@router.post("/me/telegram/unlink")
async def unlink_telegram(request: Request, staff: Anybody) -> Response:
    centre = centre_of(request)
    now = centre.clock.now()
    await centre.db.write(lambda s: own_chats.unlink(s, staff.staff_id, now=now))
    return see_other("/console/me", "saved")


@router.post("/me/password")
async def change_password(request: Request, staff: Anybody, password: Password = "") -> Response:
    centre = centre_of(request)
    now, machine = centre.clock.now(), centre.clock.machine()
    try:
        password_hash = await asyncio.to_thread(staff_service.hash_password, password)
    except StaffRefusedError as error:
        return refuse(request, "/console/me", error.code, status=422)

    def work(session: Session) -> str:
        staff_service.set_password(session, staff.staff_id, password_hash, now=now, by_staff_id=staff.staff_id)
        return staff_service.open_session(session, staff.staff_id, now=now, machine=machine, how="new password")

    return let_in(request, await centre.db.write(work), "/console/me?said=password_set")


async def _change(request: Request, work: Callable[[Session, datetime], object], done: str) -> Response:
    centre = centre_of(request)
    now = centre.clock.now()
    try:
        await centre.db.write(lambda session: work(session, now))
    except StaffRefusedError as error:
        return refuse(request, STAFF, error.code)
    except LookupError as error:
        raise HTTPException(404) from error
    return see_other(STAFF, done)
