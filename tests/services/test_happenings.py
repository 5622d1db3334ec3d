"""Orders are read as they move: all that are not history once, then what has moved since, however many they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bot.core.facts import Change, Changed, Health, Outcome, Question, Row, Span, TooManyError, matches, moved_at
from bot.services.centre import Centre
from bot.services.plans.happenings import LATELY, TOLD_LATE, WHOLE_EVERY, Lookout
from store.tables import Event
from tests.fakes.clock import ManualClock

AT_ONCE = 3  # orders of one answer


@dataclass
class Shop:
    """A shop that answers few orders at once. `asked` are the spans it was asked for."""

    orders: list[Row] = field(default_factory=list)
    asked: list[Span] = field(default_factory=list)
    there: bool = True

    def takes(self, number: str, at: datetime, state: str = "unpaid", **besides: Any) -> None:
        row = {"order_no": number, "phone": "13900010001", "state": state, "ordered_at": at, **besides}
        self.orders = [each for each in self.orders if each["order_no"] != number] + [row]

    async def rows(self, question: Question) -> tuple[Row, ...] | None:
        return tuple(row for row in self.orders if question.table == "orders" and matches(row, question.key))

    async def moved(self, question: Question, span: Span) -> tuple[Row, ...] | None:
        if question.key == (("state", "unpaid"),):
            self.asked.append(span)
        if not self.there:
            return None
        found = [row for row in await self.rows(question) or () if moved_at(row) in span]
        if len(found) > AT_ONCE:
            raise TooManyError
        return tuple(found)

    async def change(self, change: Change) -> Changed:
        del change
        return Changed(Outcome.CANNOT)

    def health(self) -> Health:
        return Health("shop", ok=self.there)

    async def close(self) -> None:
        return None


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def centre_with_shop(centre: Centre, shop: Shop) -> Centre:
    return replace(centre, facts=shop)


def told(centre: Centre) -> Sequence[str]:
    query = select(Event.external_id).where(Event.source == "orders").order_by(Event.external_id)
    return centre.db.read_now(lambda s: s.scalars(query).all())


async def test_more_orders_than_one_answer_holds_are_all_told(centre_with_shop: Centre, shop: Shop) -> None:
    now = centre_with_shop.clock.now()
    for n in range(20):
        shop.takes(f"A{n:02}", now - timedelta(minutes=7 * n))
    shop.takes("OLD", now - LATELY)
    assert await Lookout().look(centre_with_shop) == 20
    assert told(centre_with_shop) == [f"A{n:02}:order_unpaid" for n in range(20)]


async def test_orders_of_one_moment_more_than_an_answer_holds_do_not_hide_the_others(
    centre_with_shop: Centre, shop: Shop
) -> None:
    now = centre_with_shop.clock.now()
    for n in range(AT_ONCE + 1):
        shop.takes(f"A{n}", now - timedelta(hours=1))
    shop.takes("B", now - timedelta(hours=5))
    await Lookout().look(centre_with_shop)
    assert told(centre_with_shop) == ["B:order_unpaid"]


async def test_only_what_has_moved_is_read_again_and_all_of_it_now_and_then(
    centre_with_shop: Centre, shop: Shop, clock: ManualClock
) -> None:
    lookout, first = Lookout(), clock.now()
    await lookout.look(centre_with_shop)
    clock.advance(timedelta(minutes=1))
    await lookout.look(centre_with_shop)
    clock.set(first + WHOLE_EVERY)
    await lookout.look(centre_with_shop)
    assert [span.start for span in shop.asked] == [
        first - LATELY,
        first - TOLD_LATE,
        first + WHOLE_EVERY - LATELY,
    ]


async def test_what_a_silent_shop_did_not_tell_is_asked_for_when_it_speaks_again(
    centre_with_shop: Centre, shop: Shop, clock: ManualClock
) -> None:
    lookout = Lookout()
    await lookout.look(centre_with_shop)
    shop.there = False
    shop.takes("A1", clock.now())
    for _ in range(50):
        clock.advance(timedelta(minutes=1))
        await lookout.look(centre_with_shop)
    shop.there = True
    clock.advance(timedelta(minutes=1))
    assert await lookout.look(centre_with_shop) == 1


async def test_an_order_moves_on_by_its_trace(centre_with_shop: Centre, shop: Shop, clock: ManualClock) -> None:
    lookout = Lookout()
    ordered = clock.now().astimezone(UTC) - timedelta(days=5)
    shop.takes("A1", ordered, "paid")
    assert await lookout.look(centre_with_shop) == 0
    clock.advance(timedelta(minutes=5))
    shop.takes("A1", ordered, "dispatched", trace_at=clock.now())
    assert await lookout.look(centre_with_shop) == 1
    assert told(centre_with_shop) == ["A1:order_dispatched"]
    clock.advance(timedelta(minutes=1))
    assert await lookout.look(centre_with_shop) == 0
