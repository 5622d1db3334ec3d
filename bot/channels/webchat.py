"""Our own pages: the transcript itself is what the customer reads, so there is nothing to push (DESIGN §1)."""

from __future__ import annotations

from bot.core.words import Can, ChannelName, Outgoing, Rejected, Sent


class PageChannel:
    """Web chat or REST. Their rows are inserted already accepted; nothing is ever handed to `send`."""

    can = Can(push=False, receipts=True, per_second=200.0)

    def __init__(self, name: ChannelName) -> None:
        self.name = name

    async def send(self, out: Outgoing) -> Sent:
        """Raises Rejected: a page reads its lines, they are not sent to it."""
        raise Rejected(f"{out.channel} is read on its page")
