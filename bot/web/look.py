"""How a page is made: templates in the reader's language, with the headers that keep other people's script out.

bot/app.py builds one Look and installs it; the web and the console render through `request.app.state.look`. Templates
see `_`, `ngettext`, `term(marked string)`, `label(enum)`, `when(instant)`, `clock(instant)`, `day(date)`,
`static(name)`, `language`, `switch_url`, `request`, `staff` (or None), `rehearsal` and `now` (domain time).
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.exception_handlers import http_exception_handler, request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from bot.core.words import Language
from bot.services import i18n
from bot.services.centre import Centre
from bot.services.refusal import NotFoundError
from bot.web.i18n import COOKIE, PARAMETER, REMEMBER_FOR, SPOKEN, TAGS, language_of, switch_url
from store.db import Missing

BOT = Path(__file__).parents[1]
TEMPLATES = (BOT / "web" / "templates", BOT / "console" / "templates")
STATIC = BOT / "web" / "static"
POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; object-src 'none'; img-src 'self' data: blob:; "
    "frame-ancestors {framed_by}"
)
MACHINES = ("/api/", "/webhooks/", "/twilio/", "/telegram/")  # doors where an error is JSON, whoever asks


class Look:
    """Renders pages for one installation."""

    def __init__(self, centre: Centre) -> None:
        self._centre = centre
        self._environments = {language: self._environment(language) for language in Language}

    def _environment(self, language: Language) -> Environment:
        zone = self._centre.settings.zone
        environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,  # a program's own templates do not change under it
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n"],
        )
        environment.install_gettext_translations(i18n.translations(language), newstyle=True)  # type: ignore[attr-defined]  # the extension adds it
        environment.globals |= {
            "language": language,
            "language_tag": TAGS[language],
            "label": partial(i18n.label, language),
            "term": partial(i18n.text, language),
            "when": lambda at: i18n.when(language, at, zone),
            "clock": lambda at: i18n.clock_time(at, zone),
            "day": lambda on: i18n.day(language, on.astimezone(zone) if isinstance(on, datetime) else on),
            "static": static_url,
        }
        return environment

    def language(self, request: Request) -> Language:
        return language_of(request, self._centre.settings.language)

    def text(self, request: Request, message: str, **values: Any) -> str:
        """A marked source string in the reader's language."""
        return i18n.text(self.language(request), message, **values)

    def fragment(self, request: Request, template: str, **context: Any) -> str:
        """A piece of a page, for pages that are kept live."""
        language = self.language(request)
        other = next(other for other in Language if other is not language)
        settings = self._centre.settings
        return (
            self._environments[language]
            .get_template(template)
            .render(
                {
                    "request": request,
                    "staff": getattr(request.state, "staff", None),
                    "rehearsal": settings.rehearsal,
                    "now": self._centre.clock.now(),
                    "other_language": other,
                    "other_language_tag": TAGS[other],
                    "switch_url": switch_url(request, other),
                    **context,
                }
            )
        )

    def page(
        self, request: Request, template: str, status: int = 200, framed_by: str = "'none'", **context: Any
    ) -> HTMLResponse:
        """A whole page. `framed_by` names who may show it in a frame (Content-Security-Policy, frame-ancestors)."""
        response = HTMLResponse(self.fragment(request, template, **context), status)
        response.headers["Content-Security-Policy"] = POLICY.format(framed_by=framed_by)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["Cache-Control"] = "no-store"
        response.headers["Content-Language"] = TAGS[self.language(request)]
        if (told := request.query_params.get(PARAMETER, "")) in SPOKEN:
            response.set_cookie(COOKIE, told, max_age=REMEMBER_FOR, samesite="lax", path="/")
        return response

    # ── kind errors ──

    def install(self, app: FastAPI) -> None:
        """Makes this the app's look: pages render by it, and people meet errors as pages in their language."""
        app.state.look = self
        app.mount("/static", StaticFiles(directory=STATIC), "static")
        app.add_exception_handler(HTTPException, self._refused)
        app.add_exception_handler(RequestValidationError, self._malformed)
        app.add_exception_handler(Missing, self._missing)
        app.add_exception_handler(NotFoundError, self._missing)

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if not wants_page(request) or error.status_code < 400:
            return await http_exception_handler(request, error)
        if error.status_code == 401 and request.method == "GET":
            return RedirectResponse(f"/sign-in?next={request.url.path}", 303)
        return self.page(request, "error.html", error.status_code, code=error.status_code)

    async def _missing(self, request: Request, _: Exception) -> Response:
        """What was asked for, by its id or otherwise, is not there."""
        return await self._refused(request, HTTPException(404))

    async def _malformed(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        if not wants_page(request):
            return await request_validation_exception_handler(request, error)
        return self.page(request, "error.html", 422, code=422)


def wants_page(request: Request) -> bool:
    """Whether a person in a browser asks, rather than a program or a page's script."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(MACHINES)


@cache
def static_url(name: str) -> str:
    """The address of a file under bot/web/static, changed with its content so that no browser keeps an old one."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"
