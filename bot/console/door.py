"""The console's door: who comes in, and the pages they get.

    router = APIRouter(prefix="/console")

    @router.get("/things")
    async def things(request: Request, staff: Annotated[SignedIn, Depends(require(Function.SEE_REPORTS))]) -> Response:
        return render(request, "console/things.html", things=...)      # extends "console/base.html"

`require` answers 401 (a browser is led to the sign-in page) or 403, and on every change also checks the CSRF token,
from the form field `csrf` (write `{{ csrf_field() }}`, see console/base.html) or the header X-CSRF-Token.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlencode

import ua_parser
from fastapi import HTTPException, Request
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, RedirectResponse, Response

from bot.console import names, notices
from bot.core.words import Language
from bot.services.centre import Centre
from bot.services.desk.wrap_up import ENDINGS, WRAP_UPS
from bot.services.facts import facts
from bot.services.i18n import N_
from bot.services.intents import intent_name
from bot.services.permissions import Function, Grant
from bot.services.refusal import RefusedError
from bot.services.staffing import sign_in
from bot.services.staffing.sign_in import SEEN_EVERY, SESSION_LIFE, Caller
from bot.services.staffing.staff import SignedIn

T = TypeVar("T")
COOKIE = "hotline_session"
SECOND_FACTOR = "/console/me/second-factor"
FILES = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "csv": "text/csv; charset=utf-8",
    "zip": "application/zip",
}
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

FLOOR = "/console"
SECTIONS: tuple[tuple[str, str, Function], ...] = (
    (FLOOR, N_("接待"), Function.HANDLE_QUEUE),
    ("/console/cases", N_("工单"), Function.HANDLE_QUEUE),
    ("/console/visits", N_("上门"), Function.HANDLE_QUEUE),
    ("/console/callbacks", N_("回电"), Function.MANAGE_CALLBACKS),
    ("/console/roster", N_("值班表"), Function.HANDLE_QUEUE),
    ("/console/reports", N_("报表"), Function.SEE_REPORTS),
    ("/console/steps", N_("后续事项"), Function.SEE_NEXT_STEPS),
    ("/console/incidents", N_("事件与公告"), Function.OPEN_INCIDENT),
    ("/console/scripts", N_("话术"), Function.SEE_REPORTS),
    ("/console/canned", N_("常用回复"), Function.HANDLE_QUEUE),
    ("/console/learning", N_("学习"), Function.EDIT_POLICIES),
    ("/console/privacy", N_("资料保护"), Function.EXPORT_DATA),
    ("/console/archive", N_("档案"), Function.SEE_ARCHIVE),
    ("/console/audit", N_("审计"), Function.SEE_AUDIT),
    ("/console/staff", N_("员工"), Function.MANAGE_STAFF),
)
"""The console's rooms, in the order of the menu: address, name, and whose they are."""
IN_SIGHT = 7  # so many stand in the menu; where there are more, the last ones are one press away


@dataclass(frozen=True, slots=True)
class Menu:
    """One reader's rooms: address, name, and whether they stand in it."""

    first: tuple[tuple[str, str, bool], ...]
    more: tuple[tuple[str, str, bool], ...]


def menu_of(staff: SignedIn | None, path: str) -> Menu:
    """What this person may enter; conversations are had on the floor."""
    mine = tuple(
        (
            address,
            name,
            path == address or path.startswith("/console/conversations" if address == FLOOR else f"{address}/"),
        )
        for address, name, function in SECTIONS
        if staff is not None and staff.may(function)
    )
    return Menu(mine, ()) if len(mine) <= IN_SIGHT else Menu(mine[: IN_SIGHT - 1], mine[IN_SIGHT - 1 :])


def centre_of(request: Request) -> Centre:
    """The running centre; domain time is `centre_of(request).clock.now()`."""
    centre = request.app.state.centre
    assert isinstance(centre, Centre)
    return centre


def language_of(request: Request) -> Language:
    """The language the reader's page is in."""
    language = request.app.state.look.language(request)
    assert isinstance(language, Language)
    return language


def render(request: Request, template: str, status: int = 200, **context: Any) -> Response:
    """A console page in the reader's language; `staff` and what bot/web/look.py names are there already.

    Pass `refused` (a code of bot/console/notices.py) to show a form again with what was wrong.
    """
    said = request.query_params.get("said", "")
    refused = context.pop("refused", said)
    page: Response = request.app.state.look.page(
        request,
        template,
        status,
        **_vocabulary(request),
        menu=menu_of(getattr(request.state, "staff", None), request.url.path),
        notice=notices.DONE.get(said),
        warning=notices.REFUSED.get(refused),
        colleague=request.query_params.get("who", "")[:60],
        **context,
    )
    return page


def fragment(request: Request, template: str, **context: Any) -> str:
    """A piece of a console page, for what is kept live."""
    piece: str = request.app.state.look.fragment(request, template, **_vocabulary(request), **context)
    return piece


def _vocabulary(request: Request) -> dict[str, Any]:
    """What console templates call things: `names`, `wrap_ups`, `endings`, `intent_name(intent)`,
    `facts_of(slots, full=…)`, `why(reason)`."""
    centre = centre_of(request)
    shelf = centre.library.current
    book, sla = shelf.book, shelf.policies.sla
    language = language_of(request)
    return {
        "names": names,
        "wait_steps": [round(each.total_seconds()) for each in sla.waits],
        "occupancy": shelf.policies.occupancy,
        "minutes": lambda span: round(span.total_seconds() / 60),
        "wrap_ups": WRAP_UPS,
        "endings": ENDINGS,
        "intent_name": partial(intent_name, language),
        "facts_of": partial(names.facts_of, book, language),
        "why": partial(names.why, centre, language),
    }


def see_other(path: str, said: str | None = None) -> RedirectResponse:
    """After a change: on to `path`, where the notice of that code (bot/console/notices.py) is shown."""
    return RedirectResponse(f"{path}{'&' if '?' in path else '?'}said={said}" if said else path, 303)


def wants_json(request: Request) -> bool:
    """Whether the page's own script asks rather than a plain form."""
    return "application/json" in request.headers.get("accept", "")


def refuse(request: Request, path: str, code: str, *, status: int = 409, who: str = "") -> Response:
    """Says kindly why not: on `path` for a plain form, as {"error": …} for the page's script. `who` is a colleague.
    What is not there is a 404."""
    if code == "not_found":
        raise HTTPException(404)
    if not wants_json(request):
        return see_other(f"{path}?{urlencode({'who': who})}" if who else path, code)
    message = request.app.state.look.text(request, notices.REFUSED.get(code, notices.FAILED))
    return JSONResponse({"error": message, "code": code}, status)


async def change(
    request: Request,
    page: str,
    work: Callable[[Session, datetime], T],
    done: str | Callable[[T], str] | None = "saved",
    *,
    back: str | Callable[[T], str] | None = None,
    status: int = 409,
) -> Response:
    """Does `work` in one transaction and goes on to `back` (else `page`) with the notice `done`; either may be told by
    what came of it. Where it is refused `page` says why, to its script with `status`."""
    try:
        made = await write(request, work)
    except RefusedError as refused:
        return refuse(request, page, refused.code, status=status)
    to, said = (each(made) if callable(each) else each for each in (back, done))
    return see_other(to or page, said)


async def write(request: Request, work: Callable[[Session, datetime], T]) -> T:
    """One transaction at the centre's time; `work` may run a flow."""
    centre = centre_of(request)
    now = centre.clock.now()
    return await facts.write(centre, lambda session: work(session, now))


def is_secure(request: Request) -> bool:
    """Whether browsers reach us by https, so that cookies may insist on it."""
    return centre_of(request).settings.address.startswith("https://")


def attachment(content: bytes, name: str) -> Response:
    """A file to save, of the kind its name ends with; no browser keeps it."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(content, media_type=FILES[name.rpartition(".")[2]], headers=headers)


def let_in(request: Request, cookie: str, to: str) -> RedirectResponse:
    """On to `to` with a session's cookie."""
    response = RedirectResponse(to, 303)
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=int(SESSION_LIFE.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=is_secure(request),
        path="/",
    )
    return response


async def visitor(request: Request) -> SignedIn | None:
    """Who is signed in, or None; also where templates look (`request.state.staff`)."""
    cookie = request.cookies.get(COOKIE)
    if not cookie:
        return None
    centre = centre_of(request)
    machine = centre.clock.machine()
    found = await centre.db.read(lambda session: sign_in.signed_in(session, cookie, machine))
    if found and found.seen_at and found.seen_at < machine - SEEN_EVERY:
        await centre.db.write(lambda session: sign_in.seen(session, cookie, machine))
    request.state.staff = found
    return found


def caller_of(request: Request) -> Caller:
    """Where a request comes from, as a person recognises it."""
    told = ua_parser.parse(request.headers.get("user-agent", "")[:500])
    parts = (told.user_agent and told.user_agent.family, told.os and told.os.family)
    return Caller(request.client.host if request.client else "", " · ".join(part for part in parts if part))


def second_factor_required(request: Request, staff: SignedIn) -> bool:
    """Whether this person's role asks for a second factor which they have not set up yet."""
    policies = centre_of(request).library.current.policies
    return bool(staff.roles & policies.sign_in.second_factor) and not staff.second_factor


def require(function: Function | None = None, *wanted: Grant) -> Callable[[Request], Awaitable[SignedIn]]:
    """A dependency: the signed-in person, who may use `function` (as far as one of `wanted`); None: anybody."""

    async def signed_in(request: Request) -> SignedIn:
        staff = await visitor(request)
        if staff is None:
            raise HTTPException(401, "sign in first")
        if request.method not in SAFE and not sign_in.same_token(await _given_token(request), staff.csrf):
            raise HTTPException(403, "the page has expired")
        if second_factor_required(request, staff) and not request.url.path.startswith((SECOND_FACTOR, "/sign-out")):
            raise HTTPException(303, "set up your second factor first", {"Location": SECOND_FACTOR})
        if function is not None and not staff.may(function, *wanted):
            raise HTTPException(403, "not within your role")
        return staff

    return signed_in


async def _given_token(request: Request) -> str:
    if token := request.headers.get("x-csrf-token"):
        return token
    kind = request.headers.get("content-type", "")
    if kind.startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        field = (await request.form()).get("csrf", "")
        return field if isinstance(field, str) else ""
    return ""
