"""The whole program in the test's own process: its pages by HTTP, its heartbeat by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import httpx
from fastapi import FastAPI

from bot.services.centre import Centre
from bot.services.delivery import dispatch
from bot.services.delivery.dispatch import ASK_AFTER
from bot.services.delivery.outbox import LEASE
from bot.services.heartbeat import Heartbeat
from tests.fakes.clock import ManualClock


@dataclass(frozen=True)
class House:
    """`client` speaks to `app`; nothing that waits for its time happens until `advance` or `settle`."""

    centre: Centre
    clock: ManualClock
    app: FastAPI
    client: httpx.AsyncClient

    @property
    def heartbeat(self) -> Heartbeat:
        beat = self.app.state.heartbeat
        assert isinstance(beat, Heartbeat)
        return beat

    async def settle(self) -> None:
        """Does everything that is due now."""
        await self.heartbeat.settle()

    async def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Lets domain time pass in one step, then does everything that has become due."""
        self.clock.advance(timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds))
        await self.settle()

    async def recover(self) -> None:
        """Starts on what a process left that died: its leases run out, and what it did is asked about."""
        self.clock.skip(LEASE * 2)
        await dispatch.sweep(self.centre)
        self.clock.advance(ASK_AFTER * 2)
        await dispatch.sweep(self.centre)
        await self.settle()
