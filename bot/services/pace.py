"""A channel's real rate, kept over all the workers that share it (DESIGN §5).

With Redis the workers count together; without it each takes its share by the number of living workers. Machine time.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import TypeVar

from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import MemoryStorage, RedisStorage, Storage
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter

from bot.core.policy import Policies
from bot.core.words import ChannelName

T = TypeVar("T")
UNBOUNDED = 1000.0  # per second, for a channel whose policy names no rate


class Pace:
    """`workers` is how many processes share the rate when no Redis counts for them. One address is always the matter
    of one worker (its lane's), so its own rate is not split."""

    def __init__(self, redis_url: str = "") -> None:
        self._shared = bool(redis_url)
        self._limiter = MovingWindowRateLimiter(_storage(redis_url))
        self._rates: dict[ChannelName, float] = {}
        self._addresses: dict[ChannelName, float] = {}
        self.workers = 1

    def follow(self, policies: Policies) -> None:
        """Takes the rates from the current policies."""
        self._rates = {name: rate.per_second for name, rate in policies.rates.items()}
        self._addresses = {name: rate.per_address for name, rate in policies.rates.items() if rate.per_address}

    async def room(self, channel: ChannelName) -> int:
        """How many more could go out now."""
        item = self._item(channel)
        stats = await self._ask(self._limiter.get_window_stats, item, "channel", channel.value)
        return int(stats.remaining)

    async def turn(self, channel: ChannelName, address: str = "") -> None:
        """Waits until one more may go out on this channel, to this address, and takes that place."""
        own = self._addresses.get(channel)
        if own is not None and address:
            await self._wait(_item(own), channel.value, hashlib.blake2s(address.encode()).hexdigest())
        await self._wait(self._item(channel), "channel", channel.value)

    async def _wait(self, item: RateLimitItem, *of: str) -> None:
        while not await self._ask(self._limiter.hit, item, *of):
            await asyncio.sleep(item.get_expiry() / item.amount / 4)

    def _item(self, channel: ChannelName) -> RateLimitItem:
        rate = self._rates.get(channel, UNBOUNDED) / (1 if self._shared else self.workers)
        return _item(rate)

    async def _ask(self, question: Callable[..., T], *args: object) -> T:
        """Redis is asked off the event loop; memory answers at once."""
        return await asyncio.to_thread(question, *args) if self._shared else question(*args)


class PerAddress:
    """A rate each address keeps for itself, such as one REST sender's (policy `rates.<channel>.per_address`)."""

    def __init__(self, channel: ChannelName, redis_url: str = "") -> None:
        self._channel = channel
        self._shared = bool(redis_url)
        self._limiter = FixedWindowRateLimiter(_storage(redis_url))

    async def allows(self, address: str, policies: Policies) -> bool:
        """Whether one more may pass now; it is counted."""
        rate = policies.rates.get(self._channel)
        if rate is None or rate.per_address is None:
            return True
        item = _item(rate.per_address)
        if self._shared:
            return await asyncio.to_thread(self._limiter.hit, item, self._channel.value, address)
        return self._limiter.hit(item, self._channel.value, address)


def _item(rate: float) -> RateLimitItem:
    """So many a second, or a minute where it is less than one a second."""
    return RateLimitItemPerSecond(int(rate)) if rate >= 1 else RateLimitItemPerMinute(max(1, int(rate * 60)))


def _storage(redis_url: str) -> Storage:
    return RedisStorage(redis_url) if redis_url else MemoryStorage()
