"""What a messenger brings besides a customer's words: pressed buttons, blocked chats, chats that moved, staff's links.

The channel verifies and reads the provider's update into one of these; the service
(bot/services/conversation/messenger.py) commits it; only then is the update acknowledged.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from bot.core.words import Channel, ChannelName, Incoming, Language


@dataclass(frozen=True, slots=True)
class Press:
    """Button number `choice` of the keyboard that went out with `delivery_id` was pressed at `address`.

    Only where the button stood travels, never what it says: a forged press cannot name a payload of its own.
    """

    channel: ChannelName
    address: str
    delivery_id: int
    choice: int
    spoken: Language | None = None


@dataclass(frozen=True, slots=True)
class Reached:
    """The person blocked us, or lets us in again."""

    channel: ChannelName
    address: str
    reachable: bool


@dataclass(frozen=True, slots=True)
class Moved:
    """A chat has a new address; the old one is gone for good."""

    channel: ChannelName
    address: str
    to: str


@dataclass(frozen=True, slots=True)
class Linking:
    """Somebody brings a code that ties this chat to a member of staff."""

    channel: ChannelName
    address: str
    code: str
    spoken: Language | None = None


Arrival = Incoming | Press | Reached | Moved | Linking


@dataclass(frozen=True, slots=True)
class Taken:
    """What the channel may show at once, beside what the outbox sends. `chosen` is the pressed button's title; `note` a
    short word to whoever pressed; `answering`: the bot is about to answer."""

    chosen: str = ""
    answering: bool = False
    note: str = ""


class NotNow(Exception):  # noqa: N818 - not an error of the update: it must be brought again
    """Nothing could be committed; the update must not be acknowledged."""


Take = Callable[[Arrival], Awaitable[Taken]]
"""Commits an arrival; the same one again changes nothing. Raises NotNow."""


class Receives(Protocol):
    """What a provider's raw updates are handed to."""

    async def receive(self, raw: Mapping[str, Any]) -> None:
        """Returns once the update may be acknowledged; raises NotNow."""
        ...


@runtime_checkable
class Fetches(Channel, Protocol):
    """A channel whose files must be fetched from the provider."""

    async def fetch(self, source: str, limit: int) -> bytes:
        """The file of that id, at most `limit` bytes. Raises Rejected (gone or larger), TryLater or Unsure."""
        ...


@runtime_checkable
class Named(Channel, Protocol):
    """A channel with a public name people can open; "" until the provider has told it."""

    @property
    def account(self) -> str: ...
