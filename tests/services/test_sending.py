"""Between the claim of a row and its turn: a lease that would end, a stop that is pressed, a program that ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from bot.core.words import ChannelName, DeliveryState, Outcome, Outgoing, Sent
from bot.services import heartbeat
from bot.services.announcements import broadcasts
from bot.services.centre import Centre
from bot.services.delivery import dispatch, sending
from bot.services.delivery.outbox import LEASE
from bot.services.delivery.pace import Pace
from tests.fakes.announcing import Outage
from tests.fakes.clock import ManualClock

EVERYBODY = 5


class Queue(Pace):
    """A channel whose turns come only after `meanwhile` has happened, which is before turn number `after`."""

    def __init__(self, meanwhile: Callable[[], None], after: int = 0) -> None:
        super().__init__()
        self._meanwhile, self._after = meanwhile, after

    async def turns(self, channel: ChannelName, units: Sequence[int], halt: asyncio.Event) -> AsyncIterator[int]:
        had = 0
        async for number in super().turns(channel, units, halt):
            if had == self._after:
                await asyncio.sleep(0)  # whose turn has come, leaves
                self._meanwhile()
            if halt.is_set():
                return
            had += 1
            yield number


@pytest.fixture
def outage(centre: Centre) -> Outage:
    return Outage(centre)


async def test_what_waited_longer_than_its_lease_allows_is_not_sent_but_queued_again(
    outage: Outage, clock: ManualClock
) -> None:
    notice = outage.launched()
    outage.tick()
    await dispatch.drain(outage.centre, Queue(lambda: clock.skip(LEASE), after=2), None)
    assert len(outage.sms.sent) == 2
    states = [each.state for each in outage.deliveries(notice)]
    assert states.count(DeliveryState.ACCEPTED) == 2
    assert states.count(DeliveryState.QUEUED) == 3
    await outage.settle()
    assert len(outage.sms.sent) == len({out.delivery_id for out in outage.sms.sent}) == EVERYBODY


async def test_a_row_somebody_else_sent_meanwhile_is_not_sent_by_the_one_who_was_late(
    outage: Outage, clock: ManualClock
) -> None:
    """A worker that stood still for longer than its lease: the row was swept, asked after and sent again."""
    notice = outage.launched()
    outage.tick()
    swept = asyncio.Event()

    class Still(Pace):
        async def turns(self, channel: ChannelName, units: Sequence[int], halt: asyncio.Event) -> AsyncIterator[int]:
            await swept.wait()
            async for number in super().turns(channel, units, halt):
                yield number

    late = asyncio.create_task(dispatch.drain(outage.centre, Still(), None))
    while not any(each.state is DeliveryState.SENDING for each in outage.deliveries(notice)):
        await asyncio.sleep(0.01)
    clock.skip(LEASE * 2)
    await dispatch.sweep(outage.centre)
    clock.advance(dispatch.ASK_AFTER * 2)
    await dispatch.sweep(outage.centre)
    await outage.drain()
    assert len(outage.sms.sent) == EVERYBODY
    swept.set()
    await late
    assert len(outage.sms.sent) == EVERYBODY


async def test_a_stop_is_heard_by_what_still_waits_for_its_turn(
    outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "STALE", 0.0)
    notice = outage.launched()
    outage.tick()
    manager = outage.staff("manager")

    def press() -> None:
        outage.write(lambda s: broadcasts.stop(s, notice, staff_id=manager, now=outage.now))

    await dispatch.drain(outage.centre, Queue(press, after=1), None)
    assert outage.counts(notice)[Outcome.ACCEPTED] == 1
    await outage.drain()
    assert len(outage.sms.sent) == 1

    outage.write(lambda s: broadcasts.resume(s, notice, staff_id=manager, now=outage.now))
    await outage.settle()
    assert len(outage.sms.sent) == len({out.delivery_id for out in outage.sms.sent}) == EVERYBODY


async def test_a_batch_that_is_halted_waits_for_what_is_in_the_air_and_leaves_the_rest(
    outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    notice = outage.launched()
    outage.tick()
    halt, provider = asyncio.Event(), outage.sms
    answered, take = asyncio.Event(), provider.send

    async def slowly(out: Outgoing) -> Sent:
        await answered.wait()
        return await take(out)

    monkeypatch.setattr(provider, "send", slowly)
    going = asyncio.create_task(dispatch.drain(outage.centre, Queue(halt.set, after=2), None, halt))
    await halt.wait()
    answered.set()
    await going
    assert [each.state for each in outage.deliveries(notice)].count(DeliveryState.ACCEPTED) == 2
    assert len(provider.sent) == 2
    assert await dispatch.drain(outage.centre, Pace(), None, halt) == 0
    await outage.settle()
    assert len(provider.sent) == len({out.delivery_id for out in provider.sent}) == EVERYBODY


@pytest.mark.parametrize("answers", [True, False])
async def test_a_program_that_ends_waits_for_answers_but_not_for_ever(
    outage: Outage, monkeypatch: pytest.MonkeyPatch, *, answers: bool
) -> None:
    monkeypatch.setattr(heartbeat, "STOP_WITHIN", 60.0 if answers else 0.05)
    notice = outage.launched()
    outage.tick()
    left, answered, take = list[int](), asyncio.Event(), outage.sms.send
    begun = asyncio.Event()

    async def slowly(out: Outgoing) -> Sent:
        left.append(out.delivery_id)
        begun.set()
        await answered.wait()
        return await take(out)

    monkeypatch.setattr(outage.sms, "send", slowly)
    beat = heartbeat.Heartbeat(outage.centre)
    await beat.start()
    going = asyncio.create_task(beat.beat())
    await begun.wait()
    stopping = asyncio.create_task(beat.stop())
    if answers:
        await asyncio.sleep(0)
        answered.set()
    await stopping
    states = {each.id: each.state for each in outage.deliveries(notice)}
    gone = DeliveryState.ACCEPTED if answers else DeliveryState.SENDING
    assert {states[each] for each in left} == {gone}
    assert DeliveryState.UNKNOWN not in states.values()
    await asyncio.gather(going, return_exceptions=True)
