"""The language of a request: ?lang=, then the cookie of an earlier choice, then what the browser asks for."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import HTTPConnection

from bot.core.words import Language

COOKIE = "hotline_lang"
PARAMETER = "lang"
REMEMBER_FOR = 365 * 24 * 3600
SPOKEN = frozenset(language.value for language in Language)
TAGS = {Language.ZH: "zh-CN", Language.EN: "en"}


def language_of(request: HTTPConnection, default: Language) -> Language:
    """The reader's language; `default` where they say nothing we speak."""
    for told in (request.query_params.get(PARAMETER, ""), request.cookies.get(COOKIE, "")):
        if told in SPOKEN:
            return Language(told)
    return _accepted(request.headers.get("accept-language", "")) or default


def _accepted(header: str) -> Language | None:
    """The best of an Accept-Language header that we speak."""
    ranked: list[tuple[float, Language]] = []
    for part in header.split(",")[:20]:
        tag, _, quality = part.strip().partition(";q=")
        primary = tag.strip().lower().split("-")[0]
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        if primary in SPOKEN and weight > 0:
            ranked.append((weight, Language(primary)))
    return max(ranked, key=lambda choice: choice[0])[1] if ranked else None


def switch_url(request: HTTPConnection, to: Language) -> str:
    """This page in another language."""
    kept = [(key, value) for key, value in request.query_params.multi_items() if key != PARAMETER]
    return f"?{urlencode([*kept, (PARAMETER, to.value)])}"
