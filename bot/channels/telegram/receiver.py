"""One update in: read, committed by the house, and only then shown in the chat and acknowledged.

What is shown at once (a pressed keyboard goes away, a short note to whoever pressed it) is a courtesy: it may fail
without harm. What is said comes from the outbox.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from weakref import WeakValueDictionary

import structlog
from aiogram import Bot
from aiogram.types import CallbackQuery, Message, Update
from pydantic import ValidationError

from bot.channels.telegram.edge import FAULTS
from bot.channels.telegram.updates import Me, chat_of, read
from bot.core.arrivals import Press, Take, Taken
from bot.core.splitting import units

log = structlog.get_logger()
MAX_TEXT = 4096


class Receiver:
    """`take` commits what an update says (bot/services/conversation/messenger.py)."""

    def __init__(self, bot: Bot, take: Take) -> None:
        self._bot = bot
        self._take = take
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self.me = Me(bot.id, "")

    async def receive(self, raw: Mapping[str, Any]) -> None:
        """Returns once the update may be acknowledged; the same one again changes nothing. Raises NotNow.

        An update this program cannot read is logged and let go.
        """
        try:
            update = Update.model_validate(raw, context={"bot": self._bot})
        except ValidationError as error:
            log.warning("telegram.unreadable", update=raw.get("update_id"), problems=error.error_count())
            return
        lock = self._lock(chat_of(update))
        async with lock:  # a chat's updates in their order, whatever brings them
            await self._handle(update)

    def _lock(self, chat: int | None) -> asyncio.Lock:
        lock = self._locks.get(chat or 0)
        if lock is None:
            lock = self._locks[chat or 0] = asyncio.Lock()
        return lock

    async def _handle(self, update: Update) -> None:
        arrival = read(update, self.me)
        query = update.callback_query
        if arrival is None:
            if query is not None:
                await self._note(query, "")
            return
        taken = await self._take(arrival)
        if query is not None and isinstance(arrival, Press):
            await self._show(query, taken)
        elif taken.answering and update.message is not None:
            with suppress(*FAULTS):
                await self._bot.send_chat_action(update.message.chat.id, "typing")

    async def _show(self, query: CallbackQuery, taken: Taken) -> None:
        """The button stops spinning, its keyboard goes, and the choice stands in its place."""
        await self._note(query, taken.note)
        message = query.message
        if isinstance(message, Message) and taken.chosen:
            await self._rewrite(
                message.chat.id, message.message_id, f"{message.text or ''}\n\n✔ {taken.chosen}".strip()
            )
        elif message is not None:
            with suppress(*FAULTS):
                await self._bot.edit_message_reply_markup(chat_id=message.chat.id, message_id=message.message_id)

    async def _note(self, query: CallbackQuery, note: str) -> None:
        with suppress(*FAULTS):
            await self._bot.answer_callback_query(query.id, text=note or None)

    async def _rewrite(self, chat: int, message: int, text: str) -> None:
        with suppress(*FAULTS):
            if units(text) <= MAX_TEXT:
                await self._bot.edit_message_text(text, chat_id=chat, message_id=message)
            else:
                await self._bot.edit_message_reply_markup(chat_id=chat, message_id=message)
