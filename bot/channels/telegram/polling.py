"""Asking Telegram for updates, or having it bring them: one asker at a time, an update confirmed after its commit.

`getUpdates` with an offset confirms everything before it, so the offset moves on only when every update of the batch is
committed. A second asker gets 409; askers of the same house take turns by a lease, and whoever meets a 409 all the same
stands back. (Source: Bot API documentation, "Getting updates".)
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from aiogram import Bot
from aiogram.exceptions import TelegramConflictError, TelegramRetryAfter
from aiogram.types import BotCommand

from bot.channels.telegram.channel import TelegramChannel
from bot.channels.telegram.edge import FAULTS, PATIENCE, RawUpdates
from bot.channels.telegram.receiver import Receiver
from bot.channels.telegram.updates import WANTED, Me
from bot.core.arrivals import NotNow
from bot.core.words import Language

log = structlog.get_logger()
LONG_POLL = 15  # seconds the server holds a poll open; the lease outlives it
STAND_BACK = 10.0  # seconds before the lease, or a provider in trouble, is asked again
MOST = 60.0
BATCH = 100


@dataclass(frozen=True, slots=True)
class Office:
    """What the house does for the asker: `lease` says whether this process is the one; `heard` and `failed` keep how it
    goes, for /readyz; `leave` lets another one ask."""

    lease: Callable[[], Awaitable[bool]]
    heard: Callable[[], Awaitable[None]]
    failed: Callable[[str], Awaitable[None]]
    leave: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where Telegram brings updates, and the secret by which they are known to be its own."""

    url: str
    secret: str


class Poller:
    """Runs while the process does. `commands` is the bot's menu, by language; the first one's is also everybody's."""

    def __init__(
        self,
        channel: TelegramChannel,
        receiver: Receiver,
        office: Office,
        commands: Mapping[Language, Sequence[tuple[str, str]]],
        webhook: Webhook | None = None,
    ) -> None:
        self._channel = channel
        self._bot: Bot = channel.bot
        self._receiver = receiver
        self._office = office
        self._commands = commands
        self._webhook = webhook
        self._offset: int | None = None
        self._settled = False
        self._task: asyncio.Task[None] | None = None

    @property
    def receiver(self) -> Receiver:
        """What a webhook's door hands updates to."""
        return self._receiver

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stops asking and lets go; what was committed is confirmed, so that it does not come again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            with suppress(Exception):
                await self._confirm()
                await self._office.leave()
        await self._bot.session.close()

    async def _run(self) -> None:
        trouble = 0
        while True:
            try:
                if not await self._office.lease():
                    self._offset, self._settled = None, False
                    await asyncio.sleep(STAND_BACK)
                    continue
                await self.once()
                trouble = 0
            except (*FAULTS, NotNow) as error:
                trouble += 1
                await self._tell(error)
                await asyncio.sleep(_pause(error, trouble))
            except Exception:
                trouble += 1
                log.exception("telegram.polling_failed")
                await asyncio.sleep(_pause(None, trouble))

    async def once(self, wait: int = LONG_POLL) -> int:
        """Asks once; gives how many updates came. Raises what the request raises, and NotNow."""
        await self.introduce()
        if self._webhook is not None:
            await self._office.heard()
            await asyncio.sleep(wait)
            return 0
        updates = await self._bot(
            RawUpdates(offset=self._offset, limit=BATCH, timeout=wait, allowed_updates=list(WANTED)),
            request_timeout=int(wait + PATIENCE),
        )
        await self._office.heard()
        await self._receive(updates)
        return len(updates)

    async def introduce(self) -> None:
        """Once: learns the bot's own name, puts up the menu, and says how updates are to come."""
        if self._settled:
            return
        me = await self._bot.get_me()
        self._receiver.me = Me(me.id, me.username or "")
        self._channel.account = me.username or ""
        if self._webhook is not None:
            await self._bot.set_webhook(
                self._webhook.url, secret_token=self._webhook.secret, allowed_updates=list(WANTED)
            )
        else:
            await self._bot.delete_webhook()
        for number, (language, entries) in enumerate(self._commands.items()):
            menu = [BotCommand(command=name, description=words) for name, words in entries]
            await self._bot.set_my_commands(menu, language_code=language.value)
            if number == 0:
                await self._bot.set_my_commands(menu)
        self._settled = True

    async def _receive(self, updates: Sequence[Mapping[str, Any]]) -> None:
        """Chats side by side, each chat in order; the offset stops before the first that could not be committed."""
        chats: defaultdict[object, list[Mapping[str, Any]]] = defaultdict(list)
        for raw in sorted(updates, key=lambda raw: int(raw["update_id"])):
            chats[_chat(raw)].append(raw)
        left = [at for at in await asyncio.gather(*(self._in_order(each) for each in chats.values())) if at is not None]
        if left:
            self._offset = min(left)
            raise NotNow("the database takes nothing")
        if updates:
            self._offset = max(int(raw["update_id"]) for raw in updates) + 1

    async def _in_order(self, updates: Sequence[Mapping[str, Any]]) -> int | None:
        """The id of the first update that must come again, or None."""
        for raw in updates:
            try:
                await self._receiver.receive(raw)
            except NotNow:
                return int(raw["update_id"])
        return None

    async def _confirm(self) -> None:
        if self._offset is not None and self._webhook is None:
            await self._bot(RawUpdates(offset=self._offset, limit=1, timeout=0), request_timeout=3)

    async def _tell(self, error: Exception) -> None:
        said = "409: another process asks with the same token" if isinstance(error, TelegramConflictError) else ""
        log.warning("telegram.trouble", error=said or type(error).__name__)
        with suppress(Exception):
            await self._office.failed(said or type(error).__name__)


def _chat(raw: Mapping[str, Any]) -> object:
    """The chat an update says it is of, as far as that can be told before it is read."""
    for kind in WANTED:
        inside = raw.get(kind)
        if isinstance(inside, Mapping):
            chat = inside.get("chat") or inside.get("from")
            return chat.get("id") if isinstance(chat, Mapping) else None
    return None


def _pause(error: Exception | None, trouble: int) -> float:
    """Seconds to stand back: longer each time, and as long as the server says."""
    asked = float(error.retry_after) if isinstance(error, TelegramRetryAfter) else 0.0
    grown = STAND_BACK if isinstance(error, TelegramConflictError) else min(MOST, 2.0 ** min(trouble, 6))
    return max(asked, grown)
