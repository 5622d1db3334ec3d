"""Pages that are kept live: named sections are drawn again when something changed, and only those that differ are sent.

A stream ends by itself when its reader signs out or loses their role; the browser then meets the sign-in page.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

from fastapi import Request
from sse_starlette import EventSourceResponse, ServerSentEvent

from bot.console.door import centre_of, visitor
from bot.services.desk import assigning
from bot.services.staffing.staff import SignedIn

HEARTBEAT = 20.0  # seconds its reader is taken for signed in and present, unless something is heard of them
TOGETHER = 0.15  # seconds in which several changes become one; the first is shown at once
HEADERS = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
_TICKING = re.compile(r' data-seconds="\d+"([^>]*)>[^<]*<')
"""How long somebody has waited, which the page counts on by itself."""

Draw = Callable[[SignedIn], Awaitable[Mapping[str, str]]]
Aside = Callable[[SignedIn], Awaitable[tuple[float, Mapping[str, str]]]]
"""Sections with when what they show was asked for, on the monotonic clock."""


@dataclass(frozen=True, slots=True)
class Beside:
    """Sections of a page that follow other topics, and need not follow at once: drawn each `every` seconds at most."""

    topics: frozenset[str]
    draw: Aside
    every: float = 1.0


@dataclass(frozen=True, slots=True)
class Tail:
    """What a page adds at its end: `read` gives what came since it was asked last, and is told whether anything else
    may have changed; on `topics` nothing has."""

    topics: frozenset[str]
    read: Callable[[bool], Awaitable[list[ServerSentEvent]]]


def live(
    request: Request,
    topics: tuple[str, ...],
    draw: Draw | None,
    tail: Tail | None = None,
    beside: Beside | None = None,
) -> EventSourceResponse:
    """Streams the sections `draw` gives (id → HTML) as event "sections", and what is new at the `tail`, when anything
    changed; sections whose topics kept silent are looked at again after HEARTBEAT."""
    return EventSourceResponse(_stream(request, topics, draw, tail, beside), headers=HEADERS, ping=15)


async def _stream(
    request: Request, topics: tuple[str, ...], draw: Draw | None, tail: Tail | None, beside: Beside | None
) -> AsyncIterator[ServerSentEvent]:
    staff = await visitor(request)
    checked = time.monotonic()
    if staff is None:
        yield ServerSentEvent("", event="gone")
        return
    me, near, far = f"staff:{staff.staff_id}", frozenset(topics), beside.topics if beside else frozenset()
    added = tail.topics if tail else frozenset()
    every = beside.every if beside else HEARTBEAT
    shown: dict[str, str] = {}
    told = looked = drawn = -math.inf
    own, more, aside = True, True, beside is not None
    async with centre_of(request).live.listen(me, *near, *added, *far) as ear:
        while True:
            began = time.monotonic()
            if began - checked > HEARTBEAT:
                staff, checked = await visitor(request), began
            if staff is None:
                yield ServerSentEvent("", event="gone")
                return
            if began - told > HEARTBEAT:
                told = began
                await _here(request, staff)
            sections: dict[str, str] = {}
            for event in await tail.read(own) if tail and more else ():
                yield event
            if own and draw:
                looked = began
                sections.update(await draw(staff))
            if aside and beside and began - drawn >= every:
                asked, found = await beside.draw(staff)
                sections.update(found)
                drawn, aside = began, ear.woken_at > asked
            changed = {name: html for name, html in sections.items() if shown.get(name) != _TICKING.sub("", html)}
            shown.update((name, _TICKING.sub("", html)) for name, html in changed.items())
            if changed:
                yield ServerSentEvent(json.dumps(changed, ensure_ascii=False), event="sections")
            own = more = False
            while not more and not (aside and time.monotonic() - drawn >= every):
                patience = max(0.0, drawn + every - time.monotonic()) if aside else HEARTBEAT
                woken = await ear.wait(patience, far - near if aside else frozenset())
                if any(topic.startswith("typing:") for topic in woken):
                    yield ServerSentEvent("", event="typing")
                heard = {topic for topic in woken if not topic.startswith("typing:")}
                if me in heard:
                    checked = -math.inf
                own = bool(heard & {me, *near}) or (not woken and not aside)
                more = own or bool(heard & added)
                aside = aside or (beside is not None and (not woken or bool(heard & far)))
            own = own or began - looked > HEARTBEAT
            await asyncio.sleep(max(0.0, began + TOGETHER - time.monotonic()))


async def _here(request: Request, staff: SignedIn) -> None:
    """An open page is somebody present (bot/services/desk/assigning.py)."""
    centre = centre_of(request)
    now, machine = centre.clock.now(), centre.clock.machine()
    await centre.db.write(lambda session: assigning.seen(session, staff.staff_id, now=now, machine=machine))
