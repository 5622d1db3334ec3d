"""Signing in by password or one-time link, and out again.

Before anybody is signed in, forms are held to this browser by a cookie that must equal a hidden field. A link's page
only asks; the button uses it up, so that a mail scanner's prefetch does not.
"""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from bot.console.door import COOKIE, centre_of, is_secure, let_in, render, require, see_other, visitor
from bot.services import staff as staff_service
from bot.services.staff import SignedIn, StaffRefusedError

DOOR = "hotline_door"
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
        cookie = await staff_service.sign_in(
            centre.db,
            username,
            password,
            request.client.host if request.client else "",
            now=centre.clock.now(),
            machine=centre.clock.machine(),
        )
    except StaffRefusedError as error:
        status = 429 if error.code == "sign_in_too_many" else 401
        return _form(request, next, username[:60], refused=error.code, status=status)
    return let_in(request, cookie, _local(next))


@router.get("/sign-in/link/{token}")
async def ask_by_link(request: Request, token: str) -> Response:
    centre = centre_of(request)
    machine = centre.clock.machine()
    person = await centre.db.read(lambda session: staff_service.whose_link(session, token, machine))
    if person is None:
        return _form(request, HOME, refused="link_used", status=410)
    return _form(request, HOME, person=person.name)


@router.post("/sign-in/link/{token}")
async def sign_in_by_link(request: Request, token: str, csrf: Annotated[str, Form(max_length=100)] = "") -> Response:
    centre = centre_of(request)
    if not _same_browser(request, csrf):
        return see_other(f"/sign-in/link/{token}", "page_expired")
    now, machine = centre.clock.now(), centre.clock.machine()
    try:
        cookie = await centre.db.write(
            lambda session: staff_service.sign_in_by_link(session, token, now=now, machine=machine)
        )
    except StaffRefusedError as error:
        return _form(request, HOME, refused=error.code, status=410)
    return let_in(request, cookie, HOME)


@router.post("/sign-out")
async def sign_out(request: Request, _: Annotated[SignedIn, Depends(require())]) -> Response:
    centre = centre_of(request)
    now = centre.clock.now()
    await centre.db.write(lambda session: staff_service.sign_out(session, request.cookies[COOKIE], now=now))
    response = see_other("/sign-in", "signed_out")
    response.delete_cookie(COOKIE, path="/")
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
    return bool(door) and staff_service.same_token(csrf, door)


def _local(path: str) -> str:
    """A path of our own, whatever was asked for."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else HOME
