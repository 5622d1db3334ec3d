"""A channel's rate and each address's own, as the outbox keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from bot.core.words import ChannelName
from bot.services.centre import Centre
from bot.services.delivery.pace import Pace


def test_one_chat_waits_for_its_second_while_another_goes_on(centre: Centre) -> None:
    policies = centre.library.current.policies
    rate = replace(policies.rates[ChannelName.TELEGRAM], per_second=30, per_address=1)
    pace = Pace()
    pace.follow(replace(policies, rates={**policies.rates, ChannelName.TELEGRAM: rate}))
    assert pace.own_wait(ChannelName.TELEGRAM, "7") == 0
    assert pace.own_wait(ChannelName.TELEGRAM, "7") > 0
    assert pace.own_wait(ChannelName.TELEGRAM, "8") == 0


class Slow(Pace):
    """A machine so slow that the first `lagging` places handed out have gone by before anybody wakes up."""

    def __init__(self, lagging: int) -> None:
        super().__init__()
        self.lagging, self.asked = lagging, list[int]()

    async def _places(self, channel: ChannelName, units: Sequence[int]) -> list[float]:
        self.asked.append(len(units))
        late = 60.0 if len(self.asked) <= self.lagging else 0.0
        return [place - late for place in await super()._places(channel, units)]


@pytest.mark.parametrize("lagging", [0, 1, 3, 1000])
async def test_a_slow_machine_takes_new_places_and_goes_on(lagging: int) -> None:
    pace = Slow(lagging)
    assert sorted([n async for n in pace.turns(ChannelName.SMS, [1] * 5, asyncio.Event())]) == list(range(5))
    assert pace.asked[0] == 5
    assert len(pace.asked) <= min(lagging + 1, 12)  # together, not one by one; and not for ever


async def test_nothing_has_its_turn_after_a_halt() -> None:
    halt, had = asyncio.Event(), []
    async for number in Pace().turns(ChannelName.SMS, [1, 100_000], halt):
        had.append(number)
        halt.set()
    assert had == [0]
