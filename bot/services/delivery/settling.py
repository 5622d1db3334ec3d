"""What the provider answered, written down: many answers in one transaction (DESIGN §3, §4).

A database that is away for a moment is waited for; where it stays away, the rows' leases tell.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence

import structlog
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from bot.core import delivery as machine
from bot.core.words import Rejected, Sent, TryLater, Unsure
from bot.services.centre import Centre
from bot.services.delivery.deliveries import Changed, row_of, write_down
from bot.services.delivery.outbox import BATCH, Claimed
from store.many import among
from store.tables import Address, Delivery

log = structlog.get_logger()
SETTLE_AGAIN = (0.2, 0.5, 1.0, 2.0, *(4.0,) * 15)
"""Seconds between tries while the database is away: a minute. The answer is worth waiting for even after the lease has
ended; without it the provider has to be asked."""
COMPANY = 0.1  # seconds an answer waits for others to be written down with it, while others are to come
Answer = Sent | Rejected | TryLater | Unsure
Settled = tuple[Claimed, Answer]


class Settling:
    """Writes answers down together: those that come while a transaction is under way go into the next one."""

    def __init__(self, centre: Centre) -> None:
        self._centre = centre
        self._expected = 0
        self._enough = asyncio.Event()  # there is nothing more to wait for
        self._waiting: list[tuple[Settled, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    def expect(self, answers: int) -> None:
        """So many more will come: the last of them waits for nobody."""
        self._expected += answers

    async def settle(self, claimed: Claimed, answer: Answer) -> None:
        """Returns once it is written down, or lost with the database: then the lease tells."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(((claimed, answer), done))
        self._expected -= 1
        if self._expected <= 0 or len(self._waiting) >= BATCH:
            self._enough.set()
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await done

    async def _write(self) -> None:
        while self._waiting:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._enough.wait(), COMPANY)
            if self._expected > 0:
                self._enough.clear()
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            try:
                await self._written([settled for settled, _ in batch])
            except Exception as error:
                log.exception("dispatch.settle_together", rows=len(batch))
                for settled, _ in () if _away(error) else batch:  # one that cannot be written holds up no others
                    await self._alone(settled)
            for _, done in batch:
                if not done.done():
                    done.set_result(None)
        self._writing = None

    async def _alone(self, settled: Settled) -> None:
        try:
            await self._written([settled])
        except Exception:
            log.exception("dispatch.settle", delivery=settled[0].out.delivery_id)

    async def _written(self, batch: Sequence[Settled]) -> None:
        for pause in (*SETTLE_AGAIN, None):
            try:
                await self._centre.db.write(lambda s: _settle(s, self._centre, batch), bulk=True)
            except DBAPIError as error:
                if pause is None or not _away(error):
                    raise
                await asyncio.sleep(pause)
            else:
                return


def _away(error: Exception) -> bool:
    """Whether it is the database that could not be reached, as while it starts again."""
    return isinstance(error, DBAPIError) and (error.connection_invalidated or isinstance(error, OperationalError))


def _settle(session: Session, centre: Centre, batch: Sequence[Settled]) -> None:
    now = centre.clock.now()
    answers: Mapping[int, Settled] = {claimed.out.delivery_id: (claimed, answer) for claimed, answer in batch}
    locked = session.scalars(
        select(Delivery).where(among(Delivery.id, answers)).order_by(Delivery.id).with_for_update()
    ).all()
    changes: list[Changed] = []
    for delivery in locked:
        claimed, answer = answers[delivery.id]
        row = row_of(delivery)
        if isinstance(answer, Sent):
            change = machine.sent(row, claimed.attempt, answer)
        elif isinstance(answer, Rejected):
            change = machine.rejected(row, claimed.attempt, answer.reason)
            if answer.unreachable:
                session.get_one(Address, delivery.address_id).reachable = False
        elif isinstance(answer, TryLater):
            change = machine.try_later(row, claimed.attempt, answer.after, now)
        else:
            change = machine.unsure(row, claimed.attempt)
        if change is not None:
            changes.append(Changed(delivery, change))
    write_down(session, centre, changes)
