"""What stands behind voice and SMS: a carrier. No single one serves everywhere (DESIGN §8).

Another carrier is another file that fills `Carrier`, and a line in the app; one with webhooks also `HasWebhooks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from fastapi import APIRouter

from bot.core.telephone import Next, Switchboard
from bot.core.words import Language, Outgoing, Report, Say, Sent


class Carrier(Protocol):
    """`place_call`, `send_sms` and `look_up` may raise Rejected, TryLater or Unsure, as a Channel's `send` does."""

    @property
    def name(self) -> str: ...

    async def place_call(self, out: Outgoing) -> Sent:
        """Rings `out.address` (E.164). Once answered, the carrier asks the voice door what to say."""
        ...

    async def send_sms(self, out: Outgoing) -> Sent:
        """Sends `out.text` to `out.address` (E.164) as an SMS."""
        ...

    async def look_up(self, out: Outgoing, since: datetime) -> Report | None:
        """What became of a call or text placed since then (machine time); None where that cannot be told."""
        ...

    def render(self, says: Sequence[Say], language: Language, then: Next) -> str:
        """The document of one step of a call, as this carrier plays it."""
        ...

    async def close(self) -> None:
        """Gives up its connections."""
        ...


@runtime_checkable
class HasWebhooks(Carrier, Protocol):
    """A carrier that reports over HTTP. Its doors check who knocks; nobody else does."""

    def routes(self, switchboard: Switchboard) -> APIRouter: ...
