"""Signing in by password or one-time link, then by the second factor, and out again.

Before anybody is signed in, forms are held to this browser by a cookie that must equal a hidden field. A link's page
only asks; the button uses it up, so that a mail scanner's prefetch does not.
"""

from __future__ import annotations

import secrets
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Request
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse, Response

from bot.console.door import COOKIE, caller_of, centre_of, is_secure, let_in, render, require, see_other, visitor
from bot.services.incidents import seats
from bot.services.staffing import sign_in as signing
from bot.services.staffing.sign_in import HALF_WAY_LIFE, HalfWay
from bot.services.staffing.staff import SignedIn, StaffRefusedError

DOOR = "hotline_door"
STEP = "hotline_half_way"
HOME = "/console"

router = APIRouter(include_in_schema=False)


@router.get("/sign-in")
async def ask(request: Request, next: str = HOME) -> Response:  # noqa: A002 - the name in the address
    if await visitor(request) is not None:
        return RedirectResponse(_local(next), 303)
    return _form(request, next)


@router.post("/sign-in")
async def sign_in(
    request: Request,
    username: Annotated[str, Form(max_length=200)] = "",
    password: Annotated[str, Form(max_length=1000)] = "",
    next: Annotated[str, Form(max_length=500)] = HOME,  # noqa: A002
    csrf: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    centre = centre_of(request)
    if not _same_browser(request, csrf):
        return _form(request, next, username, refused="page_expired", status=403)
    try:
        came = await signing.sign_in(
            centre.db,
            username,
            password,
            caller_of(request),
            now=centre.clock.now(),
            machine=centre.clock.machine(),
        )
    except StaffRefusedError as error:
        status = 429 if error.code == "sign_in_too_many" else 401
        return _form(request, next, username[:60], refused=error.code, status=status)
    return _on(request, came, _local(next))


@router.get("/sign-in/code")
async def ask_code(request: Request, next: str = HOME) -> Response:  # noqa: A002
    if STEP not in request.cookies:
        return RedirectResponse("/sign-in", 303)
    return _form(request, next, code_wanted="yes")


@router.post("/sign-in/code")
async def sign_in_by_code(
    request: Request,
    code: Annotated[str, Form(max_length=40)] = "",
    next: Annotated[str, Form(max_length=500)] = HOME,  # noqa: A002
    csrf: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    """The second factor's code, or a recovery code."""
    centre = centre_of(request)
    if not _same_browser(request, csrf):
        return _form(request, next, code_wanted="yes", refused="page_expired", status=403)
    try:
        cookie = await signing.finish(
            centre.db,
            request.cookies.get(STEP, ""),
            code,
            caller_of(request),
            now=centre.clock.now(),
            machine=centre.clock.machine(),
        )
    except StaffRefusedError as error:
        again = "" if error.code == "half_way_over" else "yes"
        status = 429 if error.code == "sign_in_too_many" else 401
        return _form(request, next, code_wanted=again, refused=error.code, status=status)
    response = let_in(request, cookie, _local(next))
    response.delete_cookie(STEP, path="/sign-in")
    return response


@router.get("/sign-in/link/{token}")
async def ask_by_link(request: Request, token: str) -> Response:
    centre = centre_of(request)
    machine = centre.clock.machine()
    person = await centre.db.read(lambda session: signing.whose_link(session, token, machine))
    if person is None:
        return _form(request, HOME, refused="link_used", status=410)
    return _form(request, HOME, person=person.name)


@router.post("/sign-in/link/{token}")
async def sign_in_by_link(request: Request, token: str, csrf: Annotated[str, Form(max_length=100)] = "") -> Response:
    centre = centre_of(request)
    if not _same_browser(request, csrf):
        return see_other(f"/sign-in/link/{token}", "page_expired")
    now, machine, caller = centre.clock.now(), centre.clock.machine(), caller_of(request)
    try:
        came = await centre.db.write(
            lambda session: signing.sign_in_by_link(session, token, caller, now=now, machine=machine)
        )
    except StaffRefusedError as error:
        return _form(request, HOME, refused=error.code, status=410)
    return _on(request, came, HOME)


@router.post("/sign-out")
async def sign_out(request: Request, staff: Annotated[SignedIn, Depends(require())]) -> Response:
    """Out; an agent whom an incident keeps at their seat has their leader asked first (REQ-A22)."""
    centre = centre_of(request)
    now = centre.clock.now()

    def leave(session: Session) -> bool:
        if not seats.may_leave(session, staff.staff_id, now):
            seats.ask(session, staff.staff_id, now)
            return False
        signing.sign_out(session, request.cookies[COOKIE], now=now)
        return True

    if not await centre.db.write(leave):
        return see_other("/console", "leave_asked")
    response = see_other("/sign-in", "signed_out")
    response.delete_cookie(COOKIE, path="/")
    return response


def _on(request: Request, came: str | HalfWay, to: str) -> Response:
    """In, or on to the second factor; what proves the first step is this browser's alone."""
    if not isinstance(came, HalfWay):
        return let_in(request, came, to)
    response = RedirectResponse(f"/sign-in/code?{urlencode({'next': to})}", 303)
    response.set_cookie(
        STEP,
        came.step,
        max_age=int(HALF_WAY_LIFE.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=is_secure(request),
        path="/sign-in",
    )
    return response


def _form(request: Request, next_page: str, username: str = "", *, status: int = 200, **context: str) -> Response:
    door = request.cookies.get(DOOR) or secrets.token_urlsafe(24)
    response = render(
        request, "console/sign_in.html", status, next=_local(next_page), username=username, door=door, **context
    )
    response.set_cookie(DOOR, door, httponly=True, samesite="lax", secure=is_secure(request), path="/sign-in")
    return response


def _same_browser(request: Request, csrf: str) -> bool:
    door = request.cookies.get(DOOR, "")
    return bool(door) and signing.same_token(csrf, door)


def _local(path: str) -> str:
    """A path of our own, whatever was asked for."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else HOME
