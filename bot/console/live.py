"""Pages that are kept live: named sections are drawn again when something changed, and only those that differ are sent.

A stream ends by itself when its reader signs out or loses their role; the browser then meets the sign-in page.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from fastapi import Request
from sse_starlette import EventSourceResponse, ServerSentEvent

from bot.console.door import centre_of, visitor
from bot.services.staff import SignedIn

HEARTBEAT = 20.0  # seconds without a change after which the stream looks again whether its reader is still signed in
TOGETHER = 0.15  # seconds in which several changes become one
HEADERS = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}

Draw = Callable[[SignedIn], Awaitable[Mapping[str, str]]]
More = Callable[[], Awaitable[list[ServerSentEvent]]]


def live(request: Request, topics: tuple[str, ...], draw: Draw, more: More | None = None) -> EventSourceResponse:
    """Streams the sections `draw` gives (id → HTML) as event "sections", and whatever `more` has, on every change."""
    return EventSourceResponse(_stream(request, topics, draw, more), headers=HEADERS, ping=15)


async def _stream(
    request: Request, topics: tuple[str, ...], draw: Draw, more: More | None
) -> AsyncIterator[ServerSentEvent]:
    shown: dict[str, str] = {}
    async with centre_of(request).live.listen(*topics) as ear:
        while True:
            staff = await visitor(request)
            if staff is None:
                yield ServerSentEvent("", event="gone")
                return
            for event in await more() if more else ():
                yield event
            sections = await draw(staff)
            changed = {name: html for name, html in sections.items() if shown.get(name) != html}
            shown.update(changed)
            if changed:
                yield ServerSentEvent(json.dumps(changed, ensure_ascii=False), event="sections")
            while (woken := await ear.wait(HEARTBEAT)) and all(topic.startswith("typing:") for topic in woken):
                yield ServerSentEvent("", event="typing")
            await asyncio.sleep(TOGETHER)
