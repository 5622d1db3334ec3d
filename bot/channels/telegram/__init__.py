"""Telegram, by its Bot API: `channel` sends, `updates` reads what comes, `receiver` commits it before anything is
acknowledged, `polling` asks for it. aiogram stays in here.

What puts the house together takes its parts from here: each is loaded when it is first named, for aiogram takes a
third of the time a start takes, and only who connects Telegram needs to wait for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bot.channels.telegram.channel import TelegramChannel
    from bot.channels.telegram.edge import connect
    from bot.channels.telegram.polling import Office, Poller, Webhook
    from bot.channels.telegram.receiver import Receiver

__all__ = ["Office", "Poller", "Receiver", "TelegramChannel", "Webhook", "connect"]
_WHERE = {
    "TelegramChannel": "channel",
    "connect": "edge",
    "Office": "polling",
    "Poller": "polling",
    "Webhook": "polling",
    "Receiver": "receiver",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(name)
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
