"""The demo centre's last days: there is something to look at, and nothing of it is sent to anybody."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from bot.core.words import CallbackState, CaseState, ConversationState
from bot.services import demo_week
from bot.services.centre import Centre
from store.tables import Callback, Case, Conversation, Delivery, Message
from tests.fakes.house import House


@pytest.mark.parametrize("hours", [0, 9, 24 * 90], ids=["morning", "evening", "another season"])
async def test_the_past_is_over_and_says_nothing(centre: Centre, hours: int) -> None:
    now = centre.clock.now() + timedelta(hours=hours)
    await centre.db.write(lambda s: demo_week.load(s, centre, now))

    counts = await centre.db.read(
        lambda s: (
            dict(s.execute(select(Conversation.state, func.count()).group_by(Conversation.state)).tuples().all()),
            s.scalar(select(func.count()).select_from(Callback).where(Callback.state == CallbackState.DONE)),
            s.scalar(select(func.count()).select_from(Callback).where(Callback.due_at < now - timedelta(days=1))),
            s.scalar(select(func.count()).select_from(Case).where(Case.state == CaseState.CLOSED)),
            s.scalar(select(func.count()).select_from(Message).where(Message.at > now)),
            s.scalar(select(func.count()).select_from(Delivery)),
        )
    )
    states, done, overdue, closed, ahead, sent = counts
    assert set(states) == {ConversationState.CLOSED}
    assert done >= 10
    assert (overdue, closed, ahead, sent) == (0, 3, 0, 0)


async def test_a_morning_with_the_demo_behind_it_is_quiet(house: House) -> None:
    await house.centre.db.write(lambda s: demo_week.load(s, house.centre, house.clock.now()))
    await house.advance(minutes=30)
    sent = await house.centre.db.read(lambda s: s.scalars(select(Delivery.purpose)).all())
    assert sent == []
