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
from functools import partial
from typing import Any
from urllib.parse import urlencode

from fastapi import HTTPException, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from bot.console import names, notices
from bot.services import staff as staff_service
from bot.services.centre import Centre
from bot.services.i18n import N_
from bot.services.intents import intent_name
from bot.services.permissions import Function, Grant
from bot.services.staff import SESSION_LIFE, SignedIn
from bot.services.wrap_up import WRAP_UPS

COOKIE = "hotline_session"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

SECTIONS: tuple[tuple[str, str, Function], ...] = (
    ("/console", N_("接待"), Function.HANDLE_QUEUE),
    ("/console/cases", N_("工单"), Function.HANDLE_QUEUE),
    ("/console/visits", N_("上门"), Function.HANDLE_QUEUE),
    ("/console/callbacks", N_("回电"), Function.MANAGE_CALLBACKS),
    ("/console/reports", N_("报表"), Function.SEE_REPORTS),
    ("/console/incidents", N_("事件与公告"), Function.OPEN_INCIDENT),
    ("/console/scripts", N_("话术"), Function.SEE_REPORTS),
    ("/console/learning", N_("学习"), Function.EDIT_POLICIES),
    ("/console/audit", N_("审计"), Function.SEE_AUDIT),
    ("/console/staff", N_("员工"), Function.MANAGE_STAFF),
)
"""The console's rooms, in the order of the menu: address, name, and whose they are."""


def centre_of(request: Request) -> Centre:
    """The running centre; domain time is `centre_of(request).clock.now()`."""
    centre = request.app.state.centre
    assert isinstance(centre, Centre)
    return centre


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
        sections=SECTIONS,
        notice=notices.DONE.get(said),
        warning=notices.REFUSED.get(refused),
        who=request.query_params.get("who", "")[:60],
        **context,
    )
    return page


def fragment(request: Request, template: str, **context: Any) -> str:
    """A piece of a console page, for what is kept live."""
    piece: str = request.app.state.look.fragment(request, template, **_vocabulary(request), **context)
    return piece


def _vocabulary(request: Request) -> dict[str, Any]:
    """What console templates call things: `names`, `wrap_ups`, `intent_name(intent)`, `facts_of(slots, full=…)`."""
    book = centre_of(request).library.current.book
    language = request.app.state.look.language(request)
    return {
        "names": names,
        "wrap_ups": WRAP_UPS,
        "intent_name": partial(intent_name, language),
        "facts_of": partial(names.facts_of, book, language),
    }


def see_other(path: str, said: str | None = None) -> RedirectResponse:
    """After a change: on to `path`, where the notice of that code (bot/console/notices.py) is shown."""
    return RedirectResponse(f"{path}{'&' if '?' in path else '?'}said={said}" if said else path, 303)


def wants_json(request: Request) -> bool:
    """Whether the page's own script asks rather than a plain form."""
    return "application/json" in request.headers.get("accept", "")


def refuse(request: Request, path: str, code: str, *, status: int = 409, who: str = "") -> Response:
    """Says kindly why not: on `path` for a plain form, as {"error": …} for the page's script. `who` is a colleague."""
    if not wants_json(request):
        return see_other(f"{path}?{urlencode({'who': who})}" if who else path, code)
    message = request.app.state.look.text(request, notices.REFUSED.get(code, notices.FAILED))
    return JSONResponse({"error": message, "code": code}, status)


def is_secure(request: Request) -> bool:
    """Whether browsers reach us by https, so that cookies may insist on it."""
    return centre_of(request).settings.address.startswith("https://")


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
    found = await centre.db.read(lambda session: staff_service.signed_in(session, cookie, machine))
    request.state.staff = found
    return found


def require(function: Function | None = None, *wanted: Grant) -> Callable[[Request], Awaitable[SignedIn]]:
    """A dependency: the signed-in person, who may use `function` (as far as one of `wanted`); None: anybody."""

    async def signed_in(request: Request) -> SignedIn:
        staff = await visitor(request)
        if staff is None:
            raise HTTPException(401, "sign in first")
        if request.method not in SAFE and not staff_service.same_token(await _given_token(request), staff.csrf):
            raise HTTPException(403, "the page has expired")
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
