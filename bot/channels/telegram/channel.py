"""Sending: one delivery is one message, plain text without markup, its choices an inline keyboard.

No parse mode is used, so nothing in a text can be taken for markup. A button carries only where it stood
("<delivery>:<number>", always under the 64 bytes a button may carry); what it means stays in the house. A file is one
message too: a picture as a photo where Telegram takes it as one, everything else as a document, as it is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import structlog
from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest, TelegramMigrateToChat
from aiogram.types import (
    FSInputFile,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    ReplyParameters,
)

from bot.channels.telegram.edge import FAULTS, PATIENCE, meaning
from bot.core.media import TOO_LARGE, Enclosure, kept_at
from bot.core.words import Button, Can, ChannelName, DeliveryState, Outgoing, Rejected, Sent

log = structlog.get_logger()
ROW = 30  # letters that stand side by side on a small telephone
NARROW = 14  # a title wider than this gets a row of its own
ABREAST = 8  # buttons Telegram puts into one row at most
MAX_TITLE = 64  # characters; more is cut by the applications anyway
NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
PICTURES = frozenset({"image/jpeg", "image/png", "image/webp"})
MAX_PICTURE = 10 * 1024 * 1024  # bytes of a photo (Bot API, sendPhoto); a document may have 50 MB
NO_PHOTO = ("photo_invalid_dimensions", "photo_save_file_invalid", "image_process_failed")
"""Refusals of a picture as a photo: too wide, too high, of a kind of its own. It goes out as a document then."""
ChatMoved = Callable[[str, str], Awaitable[None]]


class TelegramChannel:
    """`account` is the bot's own name, once the server has told it. `moved` is told a group's new address."""

    name = ChannelName.TELEGRAM
    can = Can(max_text=4096, max_buttons=30, max_button=64, per_second=30.0, files=True, quotes=True)

    def __init__(self, bot: Bot, media: Path) -> None:
        self.bot = bot
        self._media = media
        self.account = ""
        self.moved: ChatMoved | None = None

    async def send(self, out: Outgoing) -> Sent:
        """Raises Rejected, TryLater or Unsure. Texts come in the length `can` says (outbox)."""
        if not out.address.lstrip("-").isdecimal():
            raise Rejected("not a Telegram chat", unreachable=True)
        try:
            return await self._send(int(out.address), out)
        except TelegramMigrateToChat as moved:
            return await self._follow(moved.migrate_to_chat_id, out)
        except FAULTS as error:
            raise meaning(error) from error

    async def _send(self, chat: int, out: Outgoing) -> Sent:
        standing = str(out.metadata.get("rewrites", ""))
        if standing:
            return await self._rewrite(chat, int(standing), out.text)
        if out.enclosure is not None:
            return await self._send_file(chat, out, out.enclosure)
        message = await self.bot.send_message(
            chat,
            out.text,
            reply_markup=keyboard(out.delivery_id, out.buttons),
            link_preview_options=NO_PREVIEW,
            reply_parameters=answering(out),
        )
        return Sent(str(message.message_id))

    async def _send_file(self, chat: int, out: Outgoing, enclosure: Enclosure) -> Sent:
        path = self._media / kept_at(enclosure.file)
        if not path.is_file():
            raise Rejected("the file is gone")
        file = FSInputFile(path, enclosure.called)
        caption, reply = out.text or None, answering(out)
        if enclosure.mime in PICTURES and path.stat().st_size <= MAX_PICTURE:
            try:
                photo = await self.bot.send_photo(chat, file, caption=caption, reply_parameters=reply)
                return Sent(str(photo.message_id))
            except TelegramBadRequest as error:
                if not any(word in error.message.casefold() for word in NO_PHOTO):
                    raise
        document = await self.bot.send_document(chat, file, caption=caption, reply_parameters=reply)
        return Sent(str(document.message_id))

    async def _rewrite(self, chat: int, message: int, text: str) -> Sent:
        """A message that went out earlier now reads `text`, without buttons; one that is gone, or reads so already, is
        no fault."""
        try:
            await self.bot.edit_message_text(text, chat_id=chat, message_id=message)
        except TelegramBadRequest:
            log.info("telegram.not_rewritten")
        return Sent(f"rewritten:{message}", DeliveryState.READ)

    async def _follow(self, chat: int, out: Outgoing) -> Sent:
        """The group became a supergroup: nothing was sent to its old address, and the new one is kept."""
        if self.moved is not None:
            await self.moved(out.address, str(chat))
        try:
            return await self._send(chat, out)
        except FAULTS as error:
            raise meaning(error) from error

    async def fetch(self, source: str, limit: int) -> bytes:
        """A file somebody sent, by its file_id. Raises Rejected, TryLater or Unsure."""
        try:
            file = await self.bot.get_file(source)
            if file.file_path is None or (file.file_size or 0) > limit:
                raise Rejected(TOO_LARGE)
            return await self._download(file.file_path, limit)
        except FAULTS as error:
            raise meaning(error) from error

    async def _download(self, path: str, limit: int) -> bytes:
        content = bytearray()
        url = self.bot.session.api.file_url(self.bot.token, path)
        async for chunk in self.bot.session.stream_content(url, timeout=int(PATIENCE)):
            content += chunk
            if len(content) > limit:
                raise Rejected(TOO_LARGE)
        return bytes(content)


def answering(out: Outgoing) -> ReplyParameters | None:
    """The message of this chat that is answered; one that its writer took away is no fault."""
    if not out.replies_to.isdecimal():
        return None
    return ReplyParameters(message_id=int(out.replies_to), allow_sending_without_reply=True)


def keyboard(delivery_id: int, buttons: Sequence[Button]) -> InlineKeyboardMarkup | None:
    """Short choices side by side, longer ones each on a row of its own, in order; None where there are none."""
    if not buttons:
        return None
    rows: list[list[InlineKeyboardButton]] = []
    width = 0
    for number, button in enumerate(buttons[: TelegramChannel.can.max_buttons]):
        size = breadth(button.title)
        key = InlineKeyboardButton(text=button.title[:MAX_TITLE], callback_data=f"{delivery_id}:{number}")
        if rows and size <= NARROW and 0 < width <= ROW - size and len(rows[-1]) < ABREAST:
            rows[-1].append(key)
            width += size
        else:
            rows.append([key])
            width = size if size <= NARROW else 0
    return InlineKeyboardMarkup(inline_keyboard=rows)


def breadth(title: str) -> int:
    """How wide a title is, in letters: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in title)
