"""Whatever comes, in whatever order: recipients by outcome sum to the audience, and what is proven stays proven."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.core.words import BroadcastKind, BroadcastState, DeliveryState, Outcome
from bot.services.announcements import announcements, broadcasts, flights
from bot.services.announcements.broadcasts import BroadcastRefusedError
from bot.services.centre import Centre
from store.tables import BroadcastRecipient
from tests.fakes.announcing import Outage, Rejected, Unsure
from tests.fakes.clock import ManualClock

NAMES = ("赵春生", "钱雪梅", "孙立夏", "李长河", "Alex Morgan")
REPORTS = (DeliveryState.ACCEPTED, DeliveryState.DELIVERED, DeliveryState.HEARD, DeliveryState.FAILED)
STEPS = 80


@pytest.mark.parametrize("seed", range(6))
async def test_any_course_of_events_keeps_the_sum_and_the_proof(centre: Centre, clock: ManualClock, seed: int) -> None:
    chance = random.Random(seed)
    outage = Outage(centre)
    if seed % 2:
        outage.give_webchat("孙立夏")
    for name in chance.sample(NAMES, 2):
        outage.sms.answers[outage.phone(name)] = chance.choice([Rejected("no such number"), Unsure("lost")])
    notice = outage.launched()
    acknowledged: set[int] = set()
    for _ in range(STEPS):
        await _something_happens(chance, outage, clock, notice, acknowledged)
        outage.counts(notice)  # holds the sum
        rows = _outcomes(outage, notice)
        assert {contact for contact, outcome in rows if outcome is Outcome.ACKNOWLEDGED} == acknowledged
        _proof_agrees(outage, notice)

    if outage.broadcast(notice).state is BroadcastState.STOPPED:
        supervisor = outage.staff("supervisor")
        outage.write(lambda s: broadcasts.resume(s, notice, staff_id=supervisor, now=outage.now))
    for _ in range(4):
        await outage.settle()
        clock.advance(timedelta(hours=13))
    await outage.settle()
    assert outage.broadcast(notice).state in (BroadcastState.FINISHED, BroadcastState.CANCELLED)
    assert not set(outage.counts(notice)) & {Outcome.PENDING, Outcome.SENDING}


async def _something_happens(
    chance: random.Random, outage: Outage, clock: ManualClock, notice: int, acknowledged: set[int]
) -> None:
    event = chance.choices(
        ("tick", "page", "drain", "report", "pass", "acknowledge", "stop", "resume", "cancel"),
        weights=(8, 4, 8, 20, 6, 3, 2, 4, 0.3),
    )[0]
    who = outage.staff("supervisor")
    match event:
        case "tick":
            outage.write(lambda s: flights.tick(s, outage.centre, outage.now))
        case "page":
            outage.write(lambda s: flights.fan_out(s, outage.centre, notice, outage.now, page=1))
        case "drain":
            await outage.drain()
        case "pass":
            clock.advance(timedelta(minutes=chance.choice((1, 5, 15, 40))))
        case "report":
            if deliveries := outage.deliveries(notice):
                outage.report(chance.choice(deliveries).id, chance.choice(REPORTS))
        case "acknowledge":
            name = chance.choice(NAMES)
            if outage.acknowledges(name):
                acknowledged.add(outage.contact(name))
        case "stop" | "resume" | "cancel":
            try:
                if event == "stop":
                    outage.write(lambda s: broadcasts.stop(s, notice, staff_id=who, now=outage.now))
                elif event == "resume":
                    outage.write(lambda s: broadcasts.resume(s, notice, staff_id=who, now=outage.now))
                else:
                    outage.write(lambda s: broadcasts.cancel(s, notice, staff_id=who, why="", now=outage.now))
            except BroadcastRefusedError:
                pass


def _outcomes(outage: Outage, notice: int) -> list[tuple[int, Outcome]]:
    rows = select(BroadcastRecipient.contact_id, BroadcastRecipient.outcome)
    return [tuple(r) for r in outage.write(lambda s: s.execute(rows.where(BroadcastRecipient.broadcast_id == notice)))]


def _proof_agrees(outage: Outage, notice: int) -> None:
    """Nobody is called reached without a delivery that proves it, nor unreached with one."""
    proven = {
        DeliveryState.HEARD: Outcome.HEARD,
        DeliveryState.READ: Outcome.HEARD,
        DeliveryState.DELIVERED: Outcome.DELIVERED,
        DeliveryState.ACCEPTED: Outcome.ACCEPTED,
    }
    deliveries = outage.deliveries(notice)
    for contact, outcome in _outcomes(outage, notice):
        states = {d.state for d in deliveries if d.contact_id == contact}
        best = next((proven[state] for state in proven if state in states), None)
        if outcome is Outcome.ACKNOWLEDGED:
            assert not states & {DeliveryState.QUEUED}, "an acknowledged person has nothing queued"
        elif best is not None:
            assert outcome is best
        else:
            assert outcome not in proven.values()


@pytest.mark.parametrize("seed", range(4))
async def test_corrections_and_updates_keep_every_sum(centre: Centre, clock: ManualClock, seed: int) -> None:
    """Whatever is said after a notice, at whatever moment: each one's recipients sum to its audience."""
    chance = random.Random(100 + seed)
    outage = Outage(centre)
    outage.sms.answers[outage.phone(chance.choice(NAMES))] = chance.choice([Rejected("no such number"), Unsure("lost")])
    notice = outage.launched()
    family, acknowledged = [notice], set[int]()
    for _ in range(STEPS):
        if len(family) < 5 and chance.random() < 0.1:
            family.append(_says_more(chance, outage, notice))
        await _something_happens(chance, outage, clock, chance.choice(family), acknowledged)
        for each in family:
            outage.counts(each)  # holds the sum
    last = family[-1]
    if outage.broadcast(last).state is BroadcastState.STOPPED:
        supervisor = outage.staff("supervisor")
        outage.write(lambda s: broadcasts.resume(s, last, staff_id=supervisor, now=outage.now))
    for _ in range(4):
        await outage.settle()
        clock.advance(timedelta(hours=13))
    await outage.settle()
    for each in family:
        assert not set(outage.counts(each)) & {Outcome.PENDING, Outcome.SENDING}
        assert outage.broadcast(each).state in (BroadcastState.FINISHED, BroadcastState.CANCELLED)


def _says_more(chance: random.Random, outage: Outage, notice: int) -> int:
    """A correction or an update of the notice, let go at once."""
    author, now = outage.staff("ops"), outage.now
    if chance.random() < 0.5:
        draft = outage.write(lambda s: announcements.amend(s, notice, staff_id=author, now=now).id)
    else:
        what = BroadcastKind.UPDATE
        draft = outage.write(
            lambda s: announcements.follow(s, outage.centre, notice, what, staff_id=author, now=now).id
        )
    outage.approve(draft)
    assert outage.send(draft, override="停暖等不到天亮")
    return draft
