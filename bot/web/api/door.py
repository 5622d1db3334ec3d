"""What every request to the API passes: the token, a bound on its size, and errors that name what is wrong."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import JSONResponse, Response

from bot.core.words import Language
from bot.services.centre import Centre
from bot.services.i18n import text
from bot.services.plans.imports import RIGHT
from bot.web.bodies import read_at_most
from bot.web.i18n import language_of

MAX_BODY = 256 * 1024  # bytes
BIG = 2**53  # ids beyond are nobody's, and no JavaScript could name them
_bearer = HTTPBearer(auto_error=False, description="HOTLINE_API_TOKEN")


async def known(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> None:
    """Whoever asks has the token."""
    token = centre_of(request).settings.kept_api_token()
    if given is None or not hmac.compare_digest(given.credentials.encode(), token.encode()):
        raise HTTPException(401, "a bearer token is wanted", headers={"WWW-Authenticate": "Bearer"})


class Guarded(APIRoute):
    """Refuses bodies that are too large before reading them whole, and answers 422 without repeating what was sent."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]  # as FastAPI documents it
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            if await _too_large(request):
                return JSONResponse({"detail": f"the request is larger than {MAX_BODY} bytes"}, 413)
            try:
                return await handle(request)
            except RequestValidationError as error:
                problems = [{"loc": p["loc"], "msg": p["msg"], "type": p["type"]} for p in error.errors()]
                return JSONResponse({"detail": _sayable(problems)}, 422)

        return guarded


async def _too_large(request: Request) -> bool:
    """Reads the body for whoever reads it next, unless there is too much of it."""
    body = await read_at_most(request, MAX_BODY)
    if body is None:
        return True
    request._body = body  # where Starlette keeps a body that has been read
    return False


def _sayable(value: Any) -> Any:
    """Without the lone surrogates a stranger's field names may hold, which no answer can be encoded with."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list | tuple):
        return [_sayable(part) for part in value]
    if isinstance(value, dict):
        return {key: _sayable(part) for key, part in value.items()}
    return value


def centre_of(request: Request) -> Centre:
    centre = request.app.state.centre
    assert isinstance(centre, Centre)
    return centre


def reader(request: Request) -> Language:
    """The language errors are told in."""
    return language_of(request, centre_of(request).settings.language)


def missing(what: str) -> HTTPException:
    return HTTPException(404, f"no such {what}")


def refused(code: str, message: str = "", **more: Any) -> HTTPException:
    """409: a rule stands against it."""
    return HTTPException(409, {"code": code, "message": message or code, **more})


def wrong(field: str, code: str, language: Language) -> HTTPException:
    """422 for what only the service can tell; in the shape of the others."""
    return HTTPException(422, [{"loc": ["body", field], "msg": text(language, RIGHT[code]), "type": code}])


# ── what fields may hold ──


def _storable(value: str) -> str:
    if any(c < " " and c not in "\n\t" for c in value) or "\x7f" in value:
        raise ValueError("control characters are not wanted")
    return value


def _bounded(value: datetime) -> datetime:
    if not 2000 <= value.year <= 2100:
        raise ValueError("a year between 2000 and 2100 is wanted")
    return value.astimezone(UTC)


Id = Annotated[int, Path(ge=1, le=BIG)]
Limit = Annotated[int, Query(ge=1, le=200, description="How many at most")]
After = Annotated[int, Query(ge=0, le=BIG, description="Only ids above this: the last one of the page before")]
Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=120), AfterValidator(_storable)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60), AfterValidator(_storable)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000), AfterValidator(_storable)]
Phone = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=3, max_length=40),
    AfterValidator(_storable),
    Field(examples=["13800001234", "+8613800001234"]),
]
Instant = Annotated[AwareDatetime, AfterValidator(_bounded), Field(examples=["2026-07-01T10:00:00+08:00"])]


class Asked(BaseModel):
    """What comes in: nothing unknown, so that a misspelt field is noticed."""

    model_config = ConfigDict(extra="forbid")
