"""Edited scripts and policies go live without a restart; broken ones are refused and the old ones stay.

Every process follows the files by itself. They are read outside of any transaction, kept in the database, and only
then made current, so that nothing can pin a version another process does not find.
"""

from __future__ import annotations

import asyncio
from functools import partial

import structlog
from sqlalchemy.exc import IntegrityError

from bot.services.centre import Centre

log = structlog.get_logger()
EVERY = 2.0  # seconds between two looks at the files


class Follower:
    """Looks at the files. An edit is taken over once two looks find the same, so that half a save is not read."""

    def __init__(self) -> None:
        self._changed = ""

    async def look(self, centre: Centre) -> int:
        """Takes over what has been edited; 1 where something new is current now."""
        library = centre.library
        found = await asyncio.to_thread(library.fingerprint)
        if found == library.seen:
            self._changed = ""
        elif found != self._changed:
            self._changed = found
        else:
            return int(await reload(centre))
        return 0


async def reload(centre: Centre) -> bool:
    """Reads the files; whether something new is current now. `centre.library.refused` says what is wrong with them."""
    library = centre.library
    async with library.reloading:
        shelf, current = await asyncio.to_thread(library.read), library.current
        if shelf is None:
            log.error("scripts.refused", problems=library.refused)
            return False
        if shelf.same(current):
            return False
        keep = partial(library.keep, now=centre.clock.now(), shelf=shelf)
        try:
            await centre.db.write(keep)
        except IntegrityError:  # another process kept it at the same moment
            await centre.db.write(keep)
        library.adopt(shelf)
        log.info("scripts.reloaded", book=shelf.book.version[:12], policies=shelf.policies_version[:12])
        return True
