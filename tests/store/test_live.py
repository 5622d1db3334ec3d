"""Who is woken by what."""

from __future__ import annotations

import asyncio

from store.live import LONGEST, Ear, notices

FLOOR = frozenset({"floor"})


async def test_nobody_is_woken_by_what_they_do_not_wait_for_but_hears_of_it_with_the_next() -> None:
    ear = Ear(frozenset({"floor", "conversation:1"}))
    waiting = asyncio.create_task(ear.wait(deaf_to=FLOOR))
    await asyncio.sleep(0)
    ear.wake(("floor",))
    await asyncio.sleep(0)
    assert not waiting.done()
    ear.wake(("conversation:1",))
    assert await waiting == {"floor", "conversation:1"}


async def test_what_was_heard_in_the_meantime_is_told_at_once() -> None:
    ear = Ear(frozenset({"floor", "conversation:1"}))
    ear.wake(("floor",))
    assert await ear.wait(0.0, deaf_to=FLOOR) == FLOOR
    ear.wake(("floor",))
    assert await ear.wait() == FLOOR
    assert await ear.wait(0.0) == set()


def test_many_topics_share_a_notice_and_none_is_lost_or_too_long() -> None:
    topics = [f"conversation:{number}" for number in range(2_000)]
    said = notices("process", topics)
    assert all(len(notice.encode()) <= LONGEST for notice in said)
    assert len(said) < len(topics) / 100
    assert [topic for notice in said for topic in notice.split(" ")[1:]] == topics
    assert {notice.split(" ")[0] for notice in said} == {"process"}
