"""Fixed answers to what the bot cannot read: a picture, a place, somebody else's card. The open question stays open."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import Author, Button, Language, Say
from bot.services.centre import Centre
from bot.services.conversation import talk
from bot.services.conversation.conversations import Held, add_lines
from bot.services.delivery import outbox
from bot.services.i18n import N_, text
from store.tables import Message

ASIDES: Mapping[str, str] = {
    "media": N_("收到您发来的文件了，同事会看到。我自己看不了图片、也听不了语音，麻烦您再用文字说一下。"),
    "media_too_large": N_("这个文件太大了，我们收不下（最大 20 MB）。麻烦您压缩一下，或者用文字说明。"),
    "media_wrong_type": N_("这种文件我们收不了，抱歉。照片、语音、视频、PDF 和常用办公文档都可以。"),
    "location": N_("收到您的位置了，同事会看到。如果方便，请再用文字写一下楼号和房号。"),
    "sticker": N_("收到😊 有什么要办的，用文字告诉我就行。"),
    "unreadable": N_("抱歉，这种消息我看不了，麻烦您用文字告诉我。"),
    "card": N_("为了保护他人隐私，我们只收您自己的号码。您也可以直接把号码打出来。"),
    "language": N_("好的，接下来我用中文和您说。"),
    "choose_language": N_("请选择语言。Please choose your language."),
    "group": N_("您好，我是客服机器人。群里大家都看得到，个人的事请点我的头像私聊我，我马上为您办。"),
}
ALWAYS = frozenset({"media_too_large", "media_wrong_type", "language", "choose_language", "group"})
"""Said also while people hold the conversation: only the machine can know."""

NO_GREETING = frozenset({"group", "choose_language"})
CORRECTED = "corrected"  # nothing is said: the message was edited, and its correction is what is answered
AGAIN = timedelta(minutes=1)
KEY = "aside_"  # begins the key of such an answer
LANGUAGES = (Button("中文", "/language zh"), Button("English", "/language en"))


def chosen_language(payload: str) -> Language | None:
    """What a button of LANGUAGES chose."""
    name = payload.removeprefix("/language ")
    return Language(name) if payload.startswith("/language ") and name in set(Language) else None


def is_aside(key: str, understood: Mapping[str, Any] | None) -> bool:
    """Whether a line is one of these answers, or what they answer."""
    return key.startswith(KEY) or "aside" in (understood or {})


def say(
    session: Session, centre: Centre, held: Held, aside: str, now: datetime, *, reply_to: int | None
) -> tuple[Say, ...]:
    """Answers with the fixed words of that name; a new conversation is greeted first. `held` is not yet saved."""
    if aside == CORRECTED or (aside == "media" and _just_said(session, held.id, aside, now)):
        return ()  # an album is several messages, and answered once
    opening = () if held.flow or aside in NO_GREETING else talk.greet(session, centre, held, now)
    buttons = LANGUAGES if aside == "choose_language" else ()
    answer = Say(text(held.language, ASIDES[aside]), buttons, KEY + aside)
    rows = add_lines(session, held, Author.BOT, [answer], now, reply_to=reply_to)
    outbox.put_lines(session, centre, held, rows, now)
    return (*opening, answer)


def _just_said(session: Session, conversation_id: int, aside: str, now: datetime) -> bool:
    """Whether this was the bot's last word, a moment ago."""
    last = session.execute(
        select(Message.key, Message.at)
        .where(Message.conversation_id == conversation_id, Message.author == Author.BOT)
        .order_by(Message.seq.desc())
        .limit(1)
    ).one_or_none()
    return last is not None and last.key == KEY + aside and now - last.at < AGAIN
