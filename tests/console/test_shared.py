"""What many pages show alike is asked for once."""

from __future__ import annotations

import asyncio

import pytest

from bot.console.shared import Shared


class Asked:
    """Counts how often it is asked, and answers when told."""

    def __init__(self) -> None:
        self.times = 0
        self.answer = asyncio.Event()

    async def __call__(self) -> int:
        self.times += 1
        await self.answer.wait()
        return self.times


async def test_who_asks_at_the_same_time_shares_one_answer() -> None:
    shared, asked = Shared(), Asked()
    both = [asyncio.create_task(shared.get("floor", asked)) for _ in range(2)]
    await asyncio.sleep(0)
    asked.answer.set()
    first, second = await asyncio.gather(*both)
    assert first == second
    assert first[1] == asked.times == 1


async def test_an_answer_is_given_again_while_it_is_fresh() -> None:
    shared, asked = Shared(), Asked()
    asked.answer.set()
    assert await shared.get("floor", asked, fresh=3600) == await shared.get("floor", asked, fresh=3600)
    assert (await shared.get("floor", asked, fresh=0))[1] == 2
    assert (await shared.get("queue", asked, fresh=3600))[1] == 3


async def test_a_failure_is_everybody_s_and_kept_for_nobody() -> None:
    shared, asked = Shared(), Asked()
    asked.answer.set()

    async def fails() -> int:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await shared.get("floor", fails, fresh=3600)
    assert (await shared.get("floor", asked, fresh=3600))[1] == 1


def test_a_drawing_lasts_as_long_as_what_it_shows() -> None:
    shared, drawn = Shared(), iter(("first", "second"))
    assert [shared.once("queue", at, lambda: next(drawn)) for at in (1.0, 1.0, 2.0)] == ["first", "first", "second"]
