"""A telephone line that takes calls and text messages and rings nobody: the test says what becomes of each."""

from __future__ import annotations

from bot.core.words import Can, ChannelName, DeliveryState, Outgoing, Report, Sent
from bot.services.centre import Centre
from bot.services.delivery import dispatch
from bot.services.delivery.pace import Pace


class Line:
    """The channel of one name; `taken` is what was handed to it, in order."""

    def __init__(self, name: ChannelName) -> None:
        self._name = name
        self.taken: list[Outgoing] = []

    @property
    def name(self) -> ChannelName:
        return self._name

    @property
    def can(self) -> Can:
        return Can(voice=self._name is ChannelName.VOICE, buttons=False, per_second=1000)

    async def send(self, out: Outgoing) -> Sent:
        self.taken.append(out)
        return Sent(f"provider-{out.delivery_id}")


async def drain(centre: Centre) -> None:
    """Sends whatever is due."""
    pace = Pace()
    pace.follow(centre.library.current.policies)
    while await dispatch.drain(centre, pace, None):
        pass


async def report(
    centre: Centre,
    out: Outgoing,
    state: DeliveryState,
    *,
    error: str | None = None,
    answered_by: str | None = None,
    sequence: int = 0,
) -> None:
    """The provider says what became of a call."""
    await dispatch.report(
        centre,
        Report(out.channel, f"provider-{out.delivery_id}", out.delivery_id, state, sequence, error, answered_by),
    )
