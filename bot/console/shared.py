"""What is the same on many open pages, asked for and drawn once for all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

from fastapi import Request

T = TypeVar("T")
FRESH = 0.5  # seconds something is shown again as it was


class Shared:
    """One process's. What several ask for at the same moment is made once."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[float, Any]] = {}
        self._drawn: dict[Hashable, tuple[float, Any]] = {}
        self._making: dict[Hashable, asyncio.Task[tuple[float, Any]]] = {}

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]], fresh: float = FRESH) -> tuple[float, T]:
        """What `make` gave less than `fresh` seconds ago, with when it was asked for, on the monotonic clock: what
        changed later is not in it."""
        kept = self._kept.get(key)
        if kept is not None and time.monotonic() - kept[0] < fresh:
            return kept
        task = self._making.get(key)
        if task is None:
            task = asyncio.create_task(self._make(key, make))
            self._making[key] = task
            task.add_done_callback(lambda _: self._making.pop(key, None))
        return await asyncio.shield(task)

    def once(self, key: Hashable, asked: float, make: Callable[[], T]) -> T:
        """What `make` gives of something that was asked for at `asked`."""
        drawn = self._drawn.get(key)
        if drawn is None or drawn[0] != asked:
            drawn = self._drawn[key] = asked, make()
        made: T = drawn[1]
        return made

    async def _make(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> tuple[float, T]:
        asked = time.monotonic()
        self._kept[key] = made = asked, await make()
        return made


def shared_of(request: Request) -> Shared:
    """The running application's."""
    found = getattr(request.app.state, "shared", None)
    if not isinstance(found, Shared):
        found = request.app.state.shared = Shared()
    return found
