"""The sandbox carrier: calls ring and texts arrive on the phone page, without an account anywhere (DESIGN §8).

What rings and what arrived are rows, so they survive a restart; the app hands in the three functions that keep them
(bot/services/sandbox/sandbox.py). Once answered, a call plays the very TwiML a carrier would get (bot/core/twiml.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.channels import twiml
from bot.channels.numbers import place_of
from bot.core.media import Enclosure
from bot.core.mms import fits, reaches
from bot.core.telephone import Next
from bot.core.words import Language, Outgoing, Report, Say, Sent


@dataclass(frozen=True, slots=True)
class SandboxCarrier:
    """`ring`, `text` and `known` keep rows; `ring` raises Rejected("busy") where that phone is in a call. Files
    go to every number of the regions that `mms` names: ours is one of theirs."""

    ring: Callable[[Outgoing], Awaitable[Sent]]
    text: Callable[[Outgoing], Awaitable[Sent]]
    known: Callable[[Outgoing], Awaitable[Report]]
    mms: Callable[[], Collection[str]] = tuple
    name: str = "sandbox"

    async def place_call(self, out: Outgoing) -> Sent:
        return await self.ring(out)

    async def send_sms(self, out: Outgoing) -> Sent:
        return await self.text(out)

    def carries(self, address: str, file: Enclosure) -> bool:
        place = place_of(address)
        return place is not None and fits(file.mime, file.size) and reaches(place, place, self.mms())

    async def look_up(self, out: Outgoing, since: datetime) -> Report:  # noqa: ARG002 - a row is found whenever it was made
        return await self.known(out)

    def render(self, says: Sequence[Say], language: Language, then: Next) -> str:
        return twiml.render(says, language, then)

    async def close(self) -> None:
        """Nothing is open."""
