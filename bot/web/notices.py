"""Public notices for the operator's own site: what the chat page's banner reads, and feeds (JSON Feed 1.1, Atom, CAP).

Everybody may read them, from any site. Sources: jsonfeed.org "JSON Feed Version 1.1"; RFC 4287; OASIS CAP 1.2.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, SubElement, tostring

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import JSONResponse, Response

from bot.core.words import Language
from bot.services.announcements import notices
from bot.services.announcements.notices import Notice
from bot.services.incidents import cap
from bot.web.api.door import centre_of, reader

router = APIRouter(include_in_schema=False)
ATOM = "http://www.w3.org/2005/Atom"
OPEN = {"Access-Control-Allow-Origin": "*", "Cache-Control": "public, max-age=15"}


def _address(request: Request) -> str:
    """Where we are from outside."""
    return centre_of(request).settings.address.rstrip("/")


def _company(request: Request, language: Language) -> str:
    return centre_of(request).library.current.policies.company.name.of(language)


async def _feed(request: Request) -> list[Notice]:
    now = centre_of(request).clock.now()
    return await centre_of(request).db.read(lambda session: notices.feed(session, now))


@router.get("/notices.json")
async def banner(request: Request) -> Response:
    """What a page shows at its top now, in the reader's language (`?language=`)."""
    centre, language = centre_of(request), reader(request)
    now = centre.clock.now()
    shown = await centre.db.read(lambda s: notices.banner(s, now))
    return JSONResponse(
        [{"id": each.id, "text": each.text.of(language), "over": each.over} for each in shown], headers=OPEN
    )


@router.get("/notices/feed.json")
async def json_feed(request: Request) -> Response:
    language, at = reader(request), _address(request)
    items = [
        {
            "id": notices.identifier(each.id),
            "title": each.title,
            "content_text": each.text.of(language),
            "date_published": each.sent.isoformat(timespec="seconds"),
            "url": f"{at}/notices/{each.id}.cap",
        }
        for each in await _feed(request)
    ]
    content: dict[str, Any] = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": _company(request, language),
        "home_page_url": f"{at}/chat",
        "feed_url": f"{at}/notices/feed.json",
        "language": language.value,
        "items": items,
    }
    return JSONResponse(content, headers=OPEN, media_type="application/feed+json")


@router.get("/notices/feed.atom")
async def atom(request: Request) -> Response:
    language, at, found = reader(request), _address(request), await _feed(request)
    root = Element("feed", {"xmlns": ATOM, "xml:lang": language.value})

    def put(parent: Element, name: str, text: str = "", **attributes: str) -> None:
        SubElement(parent, name, attributes).text = text or None

    put(root, "id", f"{at}/notices/feed.atom")
    put(root, "title", _company(request, language))
    put(root, "updated", notices.changed_at(found, centre_of(request).clock.now()).isoformat(timespec="seconds"))
    put(root, "link", rel="self", href=f"{at}/notices/feed.atom")
    author = SubElement(root, "author")
    put(author, "name", _company(request, language))
    for each in found:
        entry = SubElement(root, "entry")
        put(entry, "id", f"{at}/notices/{each.id}.cap")
        put(entry, "title", each.title)
        put(entry, "updated", each.sent.isoformat(timespec="seconds"))
        put(entry, "content", each.text.of(language), type="text")
        put(entry, "link", rel="alternate", type="application/cap+xml", href=f"{at}/notices/{each.id}.cap")
    content: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return Response(content, media_type="application/atom+xml", headers=OPEN)


@router.get("/notices/{broadcast_id}.cap")
async def cap_alert(request: Request, broadcast_id: int) -> Response:
    centre = centre_of(request)
    found = await centre.db.read(lambda s: notices.find(s, broadcast_id))
    if found is None:
        raise HTTPException(404)
    sender = urlsplit(_address(request)).hostname or "hotline"
    return Response(cap.written(centre, found, sender), media_type="application/cap+xml", headers=OPEN)
