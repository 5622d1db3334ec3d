"""What stands behind voice and SMS: a carrier. No single one serves everywhere (DESIGN §8)."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from bot.core.words import Outgoing, Report, Sent


class Carrier(Protocol):
    """Each may raise Rejected, TryLater or Unsure, as a Channel's `send` does."""

    @property
    def name(self) -> str: ...

    async def place_call(self, out: Outgoing) -> Sent:
        """Rings `out.address` (E.164). Once answered, the carrier asks the voice door what to say."""
        ...

    async def send_text(self, out: Outgoing) -> Sent:
        """Sends `out.text` to `out.address` (E.164) as an SMS."""
        ...

    async def find(self, out: Outgoing, since: datetime) -> Report | None:
        """What became of a call or text placed since then (machine time); None where that cannot be told."""
        ...
