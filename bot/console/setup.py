"""The first page of a new installation: an administrator, the centre's name, the season dates.

Its address is a secret the starting program prints; it opens only while nobody works here.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.console.door import caller_of, centre_of, let_in, render
from bot.services import reload
from bot.services.staffing import first_run, sign_in
from bot.services.staffing import staff as staff_service
from bot.services.staffing.first_run import Basics
from bot.services.staffing.staff import StaffRefusedError
from bot.web.i18n import language_of

router = APIRouter(prefix="/setup", include_in_schema=False)
Short = Annotated[str, Form(max_length=100)]
FIELDS = ("username", "name", "name_zh", "name_en", "bot_zh", "bot_en", "summer_start", "winter_start")
NEXT = "/console/staff?said=set_up"


def _policies(request: Request) -> Path:
    return centre_of(request).settings.own_scripts / "policies.yml"


async def _invited(request: Request, token: str) -> None:
    """404 to everybody else, and to all once somebody works here."""
    if not await centre_of(request).db.read(lambda session: first_run.invited(session, token)):
        raise HTTPException(404)


@router.get("/{token}")
async def ask(request: Request, token: str) -> Response:
    await _invited(request, token)
    return await _page(request, {"username": "admin"})


async def _page(request: Request, given: dict[str, Any], status: int = 200, **context: str) -> Response:
    company = centre_of(request).library.current.policies.company
    return render(
        request,
        "console/setup.html",
        status,
        given={**dict.fromkeys(FIELDS, ""), **given},
        company=company,
        asks=not await asyncio.to_thread(_policies(request).exists),
        **context,
    )


@router.post("/{token}")
async def begin(
    request: Request,
    token: str,
    username: Short = "",
    name: Short = "",
    password: Annotated[str, Form(max_length=staff_service.MAX_PASSWORD)] = "",
    name_zh: Short = "",
    name_en: Short = "",
    bot_zh: Short = "",
    bot_en: Short = "",
    summer_start: Short = "",
    winter_start: Short = "",
) -> Response:
    await _invited(request, token)
    centre = centre_of(request)
    basics = Basics(*(each.strip() for each in (name_zh, name_en, bot_zh, bot_en, summer_start, winter_start)))
    now, machine, caller = centre.clock.now(), centre.clock.machine(), caller_of(request)
    language = language_of(request, centre.settings.language)

    def work(session: Session) -> str:
        first = first_run.begin(session, token, username, name, password_hash, language=language, now=now)
        return sign_in.open_session(session, first.id, caller, now=now, machine=machine, how="first run")

    try:
        password_hash = await asyncio.to_thread(staff_service.hash_password, password, username, name)
        drafted = None
        if not await asyncio.to_thread(_policies(request).exists):
            earlier = centre.library.policy_files()
            drafted = await asyncio.to_thread(first_run.draft, basics, _policies(request), earlier)
        cookie = await centre.db.write(work)
    except StaffRefusedError as error:
        given = {key: value for key, value in (await request.form()).items() if key != "password"}
        return await _page(request, given, 422, refused=error.code)
    if drafted is not None:
        await asyncio.to_thread(drafted.rename, _policies(request))
        await reload.reload(centre)
    return let_in(request, cookie, NEXT)
