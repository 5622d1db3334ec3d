"""The telephone: calls placed through a carrier, which also makes the document of what they say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fastapi import APIRouter

from bot.channels import menu
from bot.channels.carrier import Carrier, HasMedia, HasWebhooks, Keeps, Turns
from bot.core.telephone import CallState, Next, Switchboard
from bot.core.words import Can, ChannelName, Language, Outgoing, Rejected, Report, Say, Sent


class VoiceChannel:
    """Sends by ringing; what is said is asked for once somebody picks up."""

    name = ChannelName.VOICE
    can = Can(max_text=3000, max_buttons=menu.KEYS, buttons=True, receipts=True, voice=True, per_second=1.0)

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    @property
    def carrier(self) -> str:
        return self._carrier.name

    def routes(self, switchboard: Switchboard) -> APIRouter | None:
        """The carrier's webhooks; None where it has none."""
        return self._carrier.routes(switchboard) if isinstance(self._carrier, HasWebhooks) else None

    async def send(self, out: Outgoing) -> Sent:
        return await self._carrier.place_call(out)

    async def look_up(self, out: Outgoing, since: datetime) -> Report | None:
        return await self._carrier.look_up(out, since)

    async def turn(self, call_sid: str, url: str) -> None:
        """A call that is up goes on at `url`; only a carrier that `Turns` ever needs it."""
        if isinstance(self._carrier, Turns):
            await self._carrier.turn(call_sid, url)

    async def how_far(self, call_sid: str) -> CallState | None:
        """How far the carrier says a call is; None where it keeps no record."""
        return await self._carrier.how_far(call_sid) if isinstance(self._carrier, Keeps) else None

    async def fetch(self, source: str, limit: int) -> bytes:
        """A file of the carrier's. Raises Rejected, TryLater or Unsure."""
        if not isinstance(self._carrier, HasMedia):
            raise Rejected("the carrier keeps no files")
        return await self._carrier.fetch(source, limit)

    async def close(self) -> None:
        await self._carrier.close()

    def answer(self, says: Sequence[Say], language: Language, then: Next) -> str:
        """The document of one step of a call: says, then listens, goes on or hangs up."""
        return self._carrier.render(says, language, then)
