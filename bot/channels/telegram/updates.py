"""Reads a Telegram update into what the house understands (bot/core/arrivals.py). Pure: nothing is asked or sent.

Private chats are conversations. In a group, where everybody reads along, the bot answers only when it is meant
(a command, its name, a reply to it), and then only that personal matters belong into a private chat.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from aiogram.types import CallbackQuery, ChatMemberUpdated, Message, MessageEntity, Update

from bot.core.arrivals import Arrival, Linking, Moved, Press, Reached
from bot.core.media import Attachment, MediaKind, mark, refusal
from bot.core.words import SENT, ChannelName, Incoming, Language

TELEGRAM = ChannelName.TELEGRAM
WANTED = ("message", "edited_message", "callback_query", "my_chat_member")
"""The update types that are asked for."""

COMMANDS = {"human": "/ask_human", "cancel": "/cancel", "stop": "/stop_contact", "help": "/greet", "start": "/greet"}
COMMAND = re.compile(r"/([A-Za-z_]+)(?:@(\w+))?(?:\s+(.*))?", re.DOTALL)
STAFF = "staff_"  # begins the parameter of a link that ties a chat to an account
CAMPAIGN = re.compile(r"[A-Za-z0-9_-]{1,64}")  # what a deep link's parameter may hold (Bot API, "Deep linking")
PRESSED = re.compile(r"(\d{1,18}):(\d{1,3})")
QUOTE = 300  # characters of a quoted message that are kept


@dataclass(frozen=True, slots=True)
class Me:
    """The bot itself."""

    id: int
    username: str


def read(update: Update, me: Me) -> Arrival | None:
    """What the update is; None where it is nothing to us."""
    if update.message is not None:
        return _message(update.message, me)
    if update.edited_message is not None:
        return _edited(update.edited_message, me)
    if update.callback_query is not None:
        return _press(update.callback_query)
    if update.my_chat_member is not None:
        return _membership(update.my_chat_member)
    return None


def chat_of(update: Update) -> int | None:
    """The chat an update belongs to: what must be taken in order."""
    if update.callback_query is not None:
        return update.callback_query.from_user.id
    inside = update.message or update.edited_message or update.my_chat_member
    return inside.chat.id if inside is not None else None


def _message(message: Message, me: Me) -> Arrival | None:
    if message.migrate_to_chat_id is not None:
        return Moved(TELEGRAM, str(message.chat.id), str(message.migrate_to_chat_id))
    if message.from_user is None or message.from_user.is_bot:
        return None
    if message.chat.type != "private":
        return _in_group(message, me)
    return _command(message) or _said(message)


def _base(message: Message) -> Incoming:
    quoted = message.reply_to_message
    words = (quoted.text or quoted.caption or "") if quoted else ""
    return Incoming(
        TELEGRAM,
        str(message.chat.id),
        f"{message.chat.id}:{message.message_id}",
        message.text or message.caption or "",
        spoken=_language(message.from_user.language_code if message.from_user else None),
        metadata={
            "message": message.message_id,
            SENT: message.edit_date or int(message.date.timestamp()),
            **({"quoted": words[:QUOTE]} if words else {}),
        },
    )


def _command(message: Message) -> Arrival | None:
    """A command of ours; whatever else begins with a slash is the customer's words."""
    command = COMMAND.fullmatch((message.text or "").strip())
    if command is None:
        return None
    name, parameter = command[1].casefold(), (command[3] or "").strip()
    base = _base(message)
    if name == "start" and parameter.startswith(STAFF):
        return Linking(TELEGRAM, base.address, parameter.removeprefix(STAFF), base.spoken)
    if name == "language":
        return replace(base, aside="choose_language")
    if name not in COMMANDS:
        return None
    campaign = {"campaign": parameter} if name == "start" and CAMPAIGN.fullmatch(parameter) else {}
    return replace(base, payload=COMMANDS[name], context=campaign, metadata={**base.metadata, **campaign})


def _said(message: Message) -> Incoming | None:
    """A private message: words, or what stands for them."""
    base = _base(message)
    if message.text:
        return base
    if (contact := message.contact) is not None:
        mine = message.from_user is not None and contact.user_id == message.from_user.id
        number = "+" + contact.phone_number.lstrip("+")
        return replace(base, text=number) if mine else replace(base, text="[名片]", aside="card")
    if (place := message.location) is not None:
        title = f" {message.venue.title} {message.venue.address}" if message.venue else ""
        where = {"latitude": place.latitude, "longitude": place.longitude}
        text = f"[位置] {place.latitude:.5f}, {place.longitude:.5f}{title}"
        return replace(base, text=text, aside="location", metadata={**base.metadata, **where})
    if message.sticker is not None:
        return replace(base, text=f"[贴纸] {message.sticker.emoji or ''}".strip(), aside="sticker")
    if (file := attachment(message)) is not None:
        return _with_file(base, file)
    return replace(base, text="[其他消息]", aside="unreadable") if _is_content(message) else None


def _with_file(base: Incoming, file: Attachment) -> Incoming:
    """A file with what was written under it. Words are answered as words; without any, the file itself is."""
    why_not = refusal(file)
    stands = mark(file.kind, file.name)
    text = f"{stands}\n{base.text}" if base.text else stands
    if why_not is not None:
        return replace(base, text=text, aside=f"media_{why_not}")
    if base.text:
        return replace(base, attachments=(file,))
    return replace(base, text=text, aside="media", attachments=(file,))


def attachment(message: Message) -> Attachment | None:
    """The file a message carries; of a photo the largest picture."""
    if message.photo:
        largest = max(message.photo, key=lambda size: size.width * size.height)
        return Attachment(MediaKind.PHOTO, largest.file_id, "", "image/jpeg", largest.file_size)
    if (voice := message.voice) is not None:
        return Attachment(MediaKind.VOICE, voice.file_id, "", voice.mime_type or "audio/ogg", voice.file_size)
    if (note := message.video_note) is not None:
        return Attachment(MediaKind.VIDEO, note.file_id, "", "video/mp4", note.file_size)
    if (video := message.video or message.animation) is not None:
        mime = video.mime_type or "video/mp4"
        return Attachment(MediaKind.VIDEO, video.file_id, video.file_name or "", mime, video.file_size)
    if (audio := message.audio) is not None:
        mime = audio.mime_type or "audio/mpeg"
        return Attachment(MediaKind.AUDIO, audio.file_id, audio.file_name or "", mime, audio.file_size)
    if (file := message.document) is not None:
        return Attachment(MediaKind.DOCUMENT, file.file_id, file.file_name or "", file.mime_type or "", file.file_size)
    return None


def _is_content(message: Message) -> bool:
    """Whether somebody sent something, rather than Telegram saying that something happened in the chat."""
    return message.content_type in {"poll", "dice", "game", "story", "video_chat_started", "paid_media", "checklist"}


def _edited(message: Message, me: Me) -> Arrival | None:
    """A correction: a message of its own, marked; an edit that changes no words (a live location) is none."""
    arrival = _message(message, me)
    if not isinstance(arrival, Incoming) or arrival.aside or not message.edit_date:
        return None
    return replace(
        arrival,
        provider_id=f"{arrival.provider_id}:{message.edit_date}",
        payload=None,
        attachments=(),
        metadata={**arrival.metadata, "edited": True},
        corrects=arrival.provider_id,
    )


# ── groups ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _in_group(message: Message, me: Me) -> Incoming | None:
    return replace(_base(message), aside="group", metadata={"group": True}) if _is_meant(message, me) else None


def _is_meant(message: Message, me: Me) -> bool:
    if message.chat.type not in ("group", "supergroup"):
        return False
    answered = message.reply_to_message
    if answered is not None and answered.from_user is not None and answered.from_user.id == me.id:
        return True
    words = message.text or message.caption or ""
    marks = [*(message.entities or ()), *(message.caption_entities or ())]
    return any(_names(mark, words, me) for mark in marks)


def _names(mark: MessageEntity, words: str, me: Me) -> bool:
    said = mark.extract_from(words).casefold()
    mine = f"@{me.username}".casefold()
    if mark.type == "bot_command":
        return said.endswith(mine) or ("@" not in said and said.lstrip("/") in (*COMMANDS, "language"))
    return (mark.type == "mention" and said == mine) or (
        mark.type == "text_mention" and mark.user is not None and mark.user.id == me.id
    )


# ── buttons and membership ───────────────────────────────────────────────────────────────────────────────────────────


def _press(query: CallbackQuery) -> Press | None:
    found = PRESSED.fullmatch(query.data or "")
    if found is None or query.message is None or query.message.chat.type != "private":
        return None
    chat = str(query.message.chat.id)
    return Press(TELEGRAM, chat, int(found[1]), int(found[2]), _language(query.from_user.language_code))


def _membership(change: ChatMemberUpdated) -> Reached:
    return Reached(TELEGRAM, str(change.chat.id), change.new_chat_member.status not in ("kicked", "left"))


def _language(code: Any) -> Language | None:
    """Telegram's IETF tag as one of ours; whoever speaks neither is met in English."""
    if not code:
        return None
    return Language.ZH if str(code).casefold().startswith("zh") else Language.EN
