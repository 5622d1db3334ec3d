"""A channel's rate and each address's own, as the outbox keeps them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from bot.core.words import ChannelName
from bot.services.centre import Centre
from bot.services.pace import Pace


async def test_one_chat_waits_for_its_second_while_another_goes_on(centre: Centre) -> None:
    policies = centre.library.current.policies
    rate = replace(policies.rates[ChannelName.TELEGRAM], per_second=30, per_address=1)
    pace = Pace()
    pace.follow(replace(policies, rates={**policies.rates, ChannelName.TELEGRAM: rate}))
    await pace.turn(ChannelName.TELEGRAM, "7")
    again = asyncio.create_task(pace.turn(ChannelName.TELEGRAM, "7"))
    await asyncio.sleep(0)
    await pace.turn(ChannelName.TELEGRAM, "8")
    await pace.turn(ChannelName.TELEGRAM)
    assert not again.done()
    await again
