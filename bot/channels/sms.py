"""Text messages through a carrier: choices numbered, what comes back is the customer's words (inbox)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bot.channels.carrier import Carrier, HasMedia, SendsFiles
from bot.channels.menu import numbered
from bot.core.broadcast import sms_segments
from bot.core.media import Enclosure
from bot.core.words import Can, ChannelName, Outgoing, Rejected, Report, Sent


class SmsChannel:
    """One delivery is one message; the carrier splits it into segments (bot/core/broadcast.py counts them)."""

    name = ChannelName.SMS
    can = Can(max_text=1600, buttons=False, receipts=True, per_second=1.0)

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    async def send(self, out: Outgoing) -> Sent:
        return await self._carrier.send_sms(self._as_sent(out))

    async def look_up(self, out: Outgoing, since: datetime) -> Report | None:
        return await self._carrier.look_up(self._as_sent(out), since)

    async def fetch(self, source: str, limit: int) -> bytes:
        """A file of the carrier's. Raises Rejected, TryLater or Unsure."""
        if not isinstance(self._carrier, HasMedia):
            raise Rejected("the carrier keeps no files")
        return await self._carrier.fetch(source, limit)

    def encloses(self, address: str, file: Enclosure) -> bool:
        """Whether a message to this number may bring the file itself."""
        return isinstance(self._carrier, SendsFiles) and self._carrier.carries(address, file)

    def units(self, out: Outgoing) -> int:
        """Segments, which is what a carrier paces and bills."""
        return sms_segments(self._as_sent(out).text)

    async def close(self) -> None:
        await self._carrier.close()

    def _as_sent(self, out: Outgoing) -> Outgoing:
        return replace(out, text=numbered(out.text, out.buttons)[: self.can.max_text], buttons=())
