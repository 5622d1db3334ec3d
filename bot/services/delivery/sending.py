"""Hands claimed rows to their channel, each at its place on it (DESIGN §3, §5).

Between its claim and its place a row waits. It leaves only while its lease outlives the answer: afterwards others may
have sent it. And only while its cause still wants it, which is asked again after a pause: so what goes out once
somebody has pressed stop is what is in the air, and `STALE` seconds of the channel's rate. What does not leave goes
back into the queue, where the next claim says what becomes of it.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence

import structlog
from sqlalchemy.orm import Session

from bot.core.words import Channel, ChannelName, Counts, Outgoing, Rejected, TryLater, Unsure
from bot.services.centre import Centre
from bot.services.delivery.outbox import Claimed
from bot.services.delivery.pace import Pace
from bot.services.delivery.settling import Answer, Settling

log = structlog.get_logger()
SEND_WITHIN = 45.0  # seconds one send may take; the lease outlives it
STALE = 0.25  # seconds for which it is believed that a row is still wanted
BACK = TryLater(0.0, "not sent")

Wanted = Callable[[Session, Sequence[int]], Collection[int]]
"""Which of these deliveries, claimed by us, their cause still wants."""


class Sender:
    """One claimed batch. `wanted` is asked in a transaction of its own; once `halt` is set nothing more leaves."""

    def __init__(self, centre: Centre, pace: Pace, wanted: Wanted, halt: asyncio.Event) -> None:
        self._centre, self._pace, self._wanted, self._halt = centre, pace, wanted, halt
        self._settling = Settling(centre)
        self._asked_at = time.monotonic()

    async def send_all(self, name: ChannelName, claimed: Sequence[Claimed]) -> None:
        """Returns once every row has its answer written down, or lost it with the database."""
        self._settling.expect(len(claimed))
        groups: defaultdict[float, list[Claimed]] = defaultdict(list)
        for each in claimed:
            groups[self._pace.own_wait(name, each.out.address)].append(each)
        await asyncio.gather(*(self._after(wait, name, rows) for wait, rows in groups.items()))

    async def _after(self, wait: float, name: ChannelName, rows: Sequence[Claimed]) -> None:
        if wait > 0:
            await self._pace.pause(wait, self._halt)
        channel, waiting = self._centre.channels[name], dict(enumerate(rows))
        sizes = [channel.units(each.out) for each in rows] if isinstance(channel, Counts) else [1] * len(rows)
        unwanted = frozenset[int]()
        async with asyncio.TaskGroup() as air:
            async for number in self._pace.turns(name, sizes, self._halt):
                if time.monotonic() - self._asked_at > STALE:
                    unwanted |= await self._no_longer_wanted(waiting.values())
                each = waiting.pop(number)
                air.create_task(self._one(channel, each, wanted=each.out.delivery_id not in unwanted))
            for each in waiting.values():
                air.create_task(self._settling.settle(each, BACK))

    async def _no_longer_wanted(self, rows: Iterable[Claimed]) -> frozenset[int]:
        ids = [each.out.delivery_id for each in rows]
        try:
            wanted = await self._centre.db.read(lambda s: self._wanted(s, ids))
        except Exception as error:  # noqa: BLE001 - a database that is away stops nothing that was wanted a moment ago
            log.warning("sending.not_asked", error=type(error).__name__)
            return frozenset()
        self._asked_at = time.monotonic()
        return frozenset(ids) - frozenset(wanted)

    async def _one(self, channel: Channel, claimed: Claimed, *, wanted: bool) -> None:
        late = self._centre.clock.machine() > claimed.until
        answer: Answer = BACK if late or not wanted else await ask_channel(channel, claimed.out)
        await self._settling.settle(claimed, answer)


async def ask_channel(channel: Channel, out: Outgoing) -> Answer:
    """What the provider answers; Unsure where that is not known in time."""
    try:
        async with asyncio.timeout(SEND_WITHIN):
            return await channel.send(out)
    except (Rejected, TryLater, Unsure) as answer:
        return answer
    except TimeoutError:
        return Unsure("no answer in time")
    except Exception as error:
        # A channel's own fault: what left the house is not known, and one row must not stop the others.
        log.exception("dispatch.channel_failed", channel=out.channel, delivery=out.delivery_id)
        return Unsure(type(error).__name__)
