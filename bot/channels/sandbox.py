"""The sandbox carrier: calls ring and texts arrive on the phone page, without an account anywhere (DESIGN §8).

What rings and what arrived are rows, so they survive a restart; the app hands in the three functions that keep them
(bot/services/sandbox/sandbox.py). Once answered, a call plays the very TwiML a carrier would get (bot/core/twiml.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.channels import twiml
from bot.core.telephone import Next
from bot.core.words import Language, Outgoing, Report, Say, Sent


@dataclass(frozen=True, slots=True)
class SandboxCarrier:
    """`ring`, `text` and `known` keep rows; `ring` raises Rejected("busy") where that phone is in a call."""

    ring: Callable[[Outgoing], Awaitable[Sent]]
    text: Callable[[Outgoing], Awaitable[Sent]]
    known: Callable[[Outgoing], Awaitable[Report]]
    name: str = "sandbox"

    async def place_call(self, out: Outgoing) -> Sent:
        return await self.ring(out)

    async def send_sms(self, out: Outgoing) -> Sent:
        return await self.text(out)

    async def look_up(self, out: Outgoing, since: datetime) -> Report:  # noqa: ARG002 - a row is found whenever it was made
        return await self.known(out)

    def render(self, says: Sequence[Say], language: Language, then: Next) -> str:
        return twiml.render(says, language, then)

    async def close(self) -> None:
        """Nothing is open."""
