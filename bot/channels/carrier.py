"""What stands behind voice and SMS: a carrier. No single one serves everywhere (DESIGN §8).

Another carrier is another file that fills `Carrier`, and a line in the app that builds it (`_channels`); nothing else
names one. `render` makes its document of what the services want said (`Next`, bot/core/telephone.py); one that plays
TwiML takes bot/channels/twiml.py for it. What it asks and reports comes in through `Switchboard`: it maps its own
addresses and words to those there. Optional abilities are protocols of their own: `HasWebhooks` (it reports over HTTP),
`HasMedia` (it keeps pictures and recordings for us), `SendsFiles` (its texts carry files), `Turns` (it can change a
call that is up), `Keeps` (it can be asked how far a call is).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from fastapi import APIRouter

from bot.core.media import Enclosure
from bot.core.telephone import CallState, Next, Switchboard
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
class Turns(Carrier, Protocol):
    """A carrier that finds out who answered while the call is up already, and can be told to play something else."""

    async def turn(self, call_sid: str, url: str) -> None:
        """As `Speaks` (bot/core/telephone.py). Raises TryLater or Unsure."""
        ...


@runtime_checkable
class Keeps(Carrier, Protocol):
    """A carrier that keeps a record of each call, also of those that came in."""

    async def how_far(self, call_sid: str) -> CallState:
        """As `Follows` (bot/core/telephone.py)."""
        ...


@runtime_checkable
class HasMedia(Carrier, Protocol):
    """A carrier that keeps files for us: pictures sent with a text, recordings of calls."""

    async def fetch(self, source: str, limit: int) -> bytes:
        """As `Fetches` (bot/core/arrivals.py)."""
        ...


@runtime_checkable
class SendsFiles(Carrier, Protocol):
    """A carrier whose texts carry files to some numbers (MMS): `send_sms` takes what `carries` said yes to."""

    def carries(self, address: str, file: Enclosure) -> bool: ...


@runtime_checkable
class HasWebhooks(Carrier, Protocol):
    """A carrier that reports over HTTP. Its doors check who knocks; nobody else does."""

    def routes(self, switchboard: Switchboard) -> APIRouter: ...
