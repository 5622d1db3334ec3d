"""One's own account: password, second factor, the browsers signed in, the linked Telegram chat, the telephone."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any

import segno
from fastapi import APIRouter, Depends, Form, HTTPException, Request
from markupsafe import Markup
from sqlalchemy.orm import Session
from starlette.responses import Response

from bot.console.door import (
    COOKIE,
    SECOND_FACTOR,
    caller_of,
    centre_of,
    change,
    let_in,
    refuse,
    render,
    require,
    second_factor_required,
    see_other,
)
from bot.core.arrivals import Named
from bot.core.words import ChannelName
from bot.services import contacts
from bot.services.escalation import own_chats, roster
from bot.services.staffing import second_factor, sign_in
from bot.services.staffing import staff as staff_service
from bot.services.staffing.staff import SignedIn, StaffRefusedError
from store.tables import NumberKind

router = APIRouter(prefix="/console/me", include_in_schema=False)
Anybody = Annotated[SignedIn, Depends(require())]
Password = Annotated[str, Form(max_length=staff_service.MAX_PASSWORD)]
Code = Annotated[str, Form(max_length=40)]
HERE = "/console/me"


@router.get("")
async def me(request: Request, staff: Anybody) -> Response:
    return await _my_page(request, staff)


async def _my_page(request: Request, staff: SignedIn, code: str | None = None) -> Response:
    """One's own page; `code` is a fresh one for Telegram, shown this once."""
    centre = centre_of(request)
    channel = centre.channels.get(ChannelName.TELEGRAM)
    account = channel.account if isinstance(channel, Named) else ""
    parameter = f"{own_chats.PREFIX}{code}" if code else None

    def read(session: Session) -> dict[str, Any]:
        machine = centre.clock.machine()
        return {
            "chat": own_chats.of(session, staff.staff_id),
            "phone": roster.mobile_hint(session, staff.staff_id),
            "has_password": staff_service.person(session, staff.staff_id).password_hash is not None,
            "factor": second_factor.of(session, staff.staff_id),
            "sessions": sign_in.sessions_of(session, staff.staff_id, request.cookies[COOKIE], machine),
        }

    return render(
        request,
        "console/me.html",
        telegram=channel is not None,
        account=account,
        command=f"/start {parameter}" if parameter else None,
        link=f"https://t.me/{account}?start={parameter}" if parameter and account else None,
        **await centre.db.read(read),
    )


@router.post("/password")
async def change_password(
    request: Request, staff: Anybody, password: Password = "", current: Password = ""
) -> Response:
    """A new password; whoever has one gives it too, so that a browser left open is not enough."""
    centre = centre_of(request)
    now, machine = centre.clock.now(), centre.clock.machine()
    held = (await centre.db.read(lambda s: staff_service.person(s, staff.staff_id))).password_hash
    if held is not None and not await asyncio.to_thread(staff_service.password_is, held, current):
        return refuse(request, HERE, "password_wrong", status=403)
    try:
        password_hash = await asyncio.to_thread(staff_service.hash_password, password, staff.username, staff.name)
    except StaffRefusedError as error:
        return refuse(request, HERE, error.code, status=422)
    caller = caller_of(request)

    def work(session: Session) -> str:
        staff_service.set_password(session, staff.staff_id, password_hash, now=now, by_staff_id=staff.staff_id)
        return sign_in.open_session(session, staff.staff_id, caller, now=now, machine=machine, how="new password")

    return let_in(request, await centre.db.write(work), f"{HERE}?said=password_set")


# ── the second factor ──


@router.get("/second-factor")
async def set_up(request: Request, staff: Anybody) -> Response:
    """The QR code to scan, until a first code has proved it; then what may be done about it."""
    centre = centre_of(request)
    if staff.second_factor:
        return see_other(HERE)
    secret = await centre.db.write(lambda s: second_factor.begun(s, staff.staff_id))
    drawn = segno.make(second_factor.address_of(secret, staff.username), error="m").svg_inline(scale=5, light="#fff")
    return render(
        request,
        "console/second_factor.html",
        secret=" ".join(secret[i : i + 4] for i in range(0, len(secret), 4)),
        drawn=Markup(drawn),  # noqa: S704 - our own drawing of our own address
        required=second_factor_required(request, staff),
    )


@router.post("/second-factor")
async def prove(request: Request, staff: Anybody, code: Code = "") -> Response:
    """The app's first code; shows the recovery codes, this once."""
    centre = centre_of(request)
    now, machine = centre.clock.now(), centre.clock.machine()
    try:
        codes = await centre.db.write(lambda s: second_factor.prove(s, staff.staff_id, code, now=now, machine=machine))
    except StaffRefusedError as error:
        return refuse(request, SECOND_FACTOR, error.code, status=422)
    return render(request, "console/second_factor.html", codes=codes)


@router.post("/second-factor/remove")
async def remove(request: Request, staff: Anybody, code: Code = "") -> Response:
    centre = centre_of(request)
    now, machine = centre.clock.now(), centre.clock.machine()

    def work(session: Session) -> bool:
        if not second_factor.check(session, staff.staff_id, code, now=now, machine=machine):
            return False
        second_factor.remove(session, staff.staff_id, now=now, by_staff_id=staff.staff_id)
        return True

    if not await centre.db.write(work):
        return refuse(request, HERE, "code_wrong", status=403)
    return see_other(HERE, "second_factor_removed")


@router.post("/sessions/{handle}/end")
async def end_session(request: Request, staff: Anybody, handle: str) -> Response:
    """Signs another of one's browsers out."""
    return await change(
        request,
        HERE,
        lambda s, now: sign_in.end_session(s, staff.staff_id, handle, now=now, by_staff_id=staff.staff_id),
        "session_ended",
    )


# ── Telegram ──


@router.post("/phone")
async def set_phone(request: Request, staff: Anybody, number: Annotated[str, Form(max_length=60)] = "") -> Response:
    """Where calls to this person ring; an empty number: nowhere."""
    zone = centre_of(request).settings.timezone

    def work(session: Session, now: datetime) -> None:
        kind, me = NumberKind.MOBILE, staff.staff_id
        roster.set_number(session, me, kind, number, zone=zone, now=now, by_staff_id=me)

    try:
        return await change(request, HERE, work)
    except contacts.BadPhoneError:
        return refuse(request, HERE, "phone_wrong", status=422)


@router.post("/telegram")
async def link_telegram(request: Request, staff: Anybody) -> Response:
    """Shows a one-time link, and the same code for typing, once."""
    centre = centre_of(request)
    if ChannelName.TELEGRAM not in centre.channels:
        raise HTTPException(404)
    now, machine = centre.clock.now(), centre.clock.machine()
    code = await centre.db.write(lambda s: own_chats.make_code(s, staff.staff_id, now=now, machine=machine))
    return await _my_page(request, staff, code)


@router.post("/telegram/unlink")
async def unlink_telegram(request: Request, staff: Anybody) -> Response:
    centre = centre_of(request)
    now = centre.clock.now()
    await centre.db.write(lambda s: own_chats.unlink(s, staff.staff_id, now=now))
    return see_other(HERE, "saved")
