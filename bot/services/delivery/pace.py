"""A channel's real rate, kept over all the workers that share it (DESIGN §5). Machine time.

With Redis the workers take their places from one clock; without it, or while it does not answer, each takes its share
by the number of living workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import structlog
from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import MemoryStorage, RedisStorage, Storage
from limits.strategies import FixedWindowRateLimiter
from redis import Redis, RedisError

from bot.core import pacing
from bot.core.policy import Policies, Rate
from bot.core.words import ChannelName

log = structlog.get_logger()
UNBOUNDED = 1000.0  # per second, for a channel whose policy names no rate
FORGET_ABOVE = 10_000  # addresses whose last turn is remembered

RESERVE = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local free = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
redis.call('SET', KEYS[1], string.format('%.6f', free + tonumber(ARGV[1])), 'EX', 3600)
return string.format('%.6f', free - now)
"""
"""Hands out the next so many seconds of a channel; gives how long until they begin."""


class Pace:
    """`workers` is how many processes share the rate when no Redis counts for them. One address is always the matter
    of one worker (its lane's), so its own rate is not split."""

    def __init__(self, redis_url: str = "") -> None:
        self._redis: Any = (
            Redis.from_url(redis_url, socket_timeout=1.0, socket_connect_timeout=1.0) if redis_url else None
        )
        self._rates: dict[ChannelName, Rate] = {}
        self._free_at: dict[ChannelName, float] = {}
        self._own: dict[str, float] = {}
        self._credit: dict[ChannelName, float] = {}
        self.workers = 1

    def follow(self, policies: Policies) -> None:
        """Takes the rates from the current policies."""
        self._rates = dict(policies.rates)

    async def room(self, channel: ChannelName) -> int:
        """How many more units may be claimed now."""
        return pacing.room(self._free_at.get(channel, 0.0), time.monotonic(), self._share(channel))

    async def turns(self, channel: ChannelName, units: Sequence[int], halt: asyncio.Event) -> AsyncIterator[int]:
        """The numbers of these units (a delivery's each), each as its place on the channel comes; none after `halt`.

        Who comes too late for a place takes a new one, together with the others that did; where a slow machine lets
        everybody come too late, more is let pass each time, so that it goes on."""
        waiting, patience = list(range(len(units))), pacing.LATE
        while waiting:
            missed = []
            for number, place in zip(waiting, await self._places(channel, [units[n] for n in waiting]), strict=True):
                if (wait := place - time.monotonic()) > 0:
                    await self.pause(wait, halt)
                if halt.is_set():
                    return
                if time.monotonic() - place > patience:
                    missed.append(number)
                else:
                    yield number
            patience = patience * 2 if len(missed) == len(waiting) else pacing.LATE
            waiting = missed

    async def pause(self, seconds: float, halt: asyncio.Event) -> None:
        """So long, unless `halt` is set before."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(halt.wait(), seconds)

    def own_wait(self, channel: ChannelName, address: str) -> float:
        """Seconds until one address may be sent to again, by its own rate; it is taken to be sent to then."""
        rate = self._rates.get(channel)
        if rate is None or rate.per_address is None:
            return 0.0
        now = time.monotonic()
        if len(self._own) > FORGET_ABOVE:
            self._own = {key: free for key, free in self._own.items() if free > now}
        key = f"{channel.value}:{hashlib.blake2s(address.encode(), digest_size=16).hexdigest()}"
        self._own[key], (wait,) = pacing.places(self._own.get(key, 0.0), now, [1], rate.per_address)
        return wait

    async def _places(self, channel: ChannelName, units: Sequence[int]) -> list[float]:
        """The moments (of the monotonic clock) at which units that leave one after the other may leave."""
        begin = await self._begin(channel, sum(units))
        now = time.monotonic()
        rate = self._share(channel) if begin is None else self._rate(channel)
        free_at = self._free_at.get(channel, 0.0) if begin is None else now + begin
        self._free_at[channel], waits = pacing.places(free_at, now, units, rate)
        return [now + wait for wait in waits]

    def for_conversations(self, channel: ChannelName, places: int) -> int:
        """How many of these places conversations are offered before a broadcast (policy `chat_share`)."""
        rate = self._rates.get(channel)
        offered, owed = pacing.for_conversations(
            self._credit.get(channel, 0.0), places, rate.chat_share if rate else 0.0
        )
        self._credit[channel] = owed
        return offered

    def taken_by_conversations(self, channel: ChannelName, taken: int) -> None:
        """What came of the offer."""
        self._credit[channel] = pacing.spent(self._credit.get(channel, 0.0), taken)

    async def _begin(self, channel: ChannelName, units: int) -> float | None:
        """Seconds until the channel is free for us, by the clock all workers share; None: there is none now."""
        if self._redis is None:
            return None
        seconds = units / (self._rate(channel) * pacing.SHAVED)
        key = f"hotline:pace:{channel.value}"
        try:
            return float(await asyncio.to_thread(self._redis.eval, RESERVE, 1, key, f"{seconds:.6f}"))
        except RedisError as error:
            log.warning("pace.redis", error=type(error).__name__)
            return None

    def _rate(self, channel: ChannelName) -> float:
        rate = self._rates.get(channel)
        return rate.per_second if rate is not None else UNBOUNDED

    def _share(self, channel: ChannelName) -> float:
        return self._rate(channel) / (1 if self._redis is not None else self.workers)


class Bound:
    """A rate that each keeps for themselves, of one kind of thing; where there is Redis, over all processes."""

    def __init__(self, kind: str, redis_url: str = "") -> None:
        self._kind = kind
        self._shared = bool(redis_url)
        self._limiter = FixedWindowRateLimiter(_storage(redis_url))

    async def allows(self, whose: str, rate: float | None) -> bool:
        """Whether one more of theirs may pass now, of so many a second (None: any number); it is counted."""
        if rate is None:
            return True
        if self._shared:
            return await asyncio.to_thread(self._limiter.hit, _item(rate), self._kind, whose)
        return self._limiter.hit(_item(rate), self._kind, whose)


class PerAddress:
    """A rate each address keeps for itself, such as one REST sender's (policy `rates.<channel>.per_address`)."""

    def __init__(self, channel: ChannelName, redis_url: str = "") -> None:
        self._channel = channel
        self._bound = Bound(channel.value, redis_url)

    async def allows(self, address: str, policies: Policies) -> bool:
        """Whether one more may pass now; it is counted."""
        rate = policies.rates.get(self._channel)
        return await self._bound.allows(address, rate.per_address if rate else None)


def _item(rate: float) -> RateLimitItem:
    """So many a second, or a minute where it is less than one a second."""
    return RateLimitItemPerSecond(int(rate)) if rate >= 1 else RateLimitItemPerMinute(max(1, int(rate * 60)))


def _storage(redis_url: str) -> Storage:
    return RedisStorage(redis_url) if redis_url else MemoryStorage()
