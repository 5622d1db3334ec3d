"""An escalation that should have fired and did not is found, fired once, and reported."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from bot.core.words import EscalationState, Urgency
from bot.services import watch
from bot.services.escalation import alerts
from store.tables import AuditEntry, Conversation, Escalation
from tests.fakes.house import House
from tests.services.test_escalations import staff_id, waiting

FAR = timedelta(days=365)


async def told(house: House, username: str) -> list[str]:
    person = await staff_id(house.centre, username)
    return [row.body["text"] for row in await house.centre.db.read(lambda s: alerts.unread(s, person))]


async def made_up(house: House) -> int:
    return len(
        await house.centre.db.read(
            lambda s: s.scalars(select(AuditEntry.id).where(AuditEntry.action == "escalation.made_up")).all()
        )
    )


@pytest.mark.parametrize("lost", [None, FAR])
async def test_a_lost_due_time_is_made_up_for_once_and_reported(house: House, lost: timedelta | None) -> None:
    await waiting(house.centre)
    await house.settle()
    due: datetime | None = None if lost is None else house.clock.now() + lost
    await house.centre.db.write(lambda s: s.execute(update(Escalation).values(due_at=due)))

    await house.advance(minutes=6)
    assert await told(house, "supervisor") == []  # the beat does not see it
    assert await watch.sweep(house.centre) == 1
    escalations = [words for words in await told(house, "supervisor") if "有客户在等人工" in words]
    assert len(escalations) == 1
    assert any("补发" in words for words in await told(house, "ops"))

    assert await watch.sweep(house.centre) == 0
    await house.settle()
    assert len([words for words in await told(house, "supervisor") if "有客户在等人工" in words]) == 1
    await house.advance(minutes=4)
    assert len(await told(house, "manager")) == 1  # the ladder goes on as if nothing had happened
    assert await made_up(house) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_keeps_to_its_time_is_left_alone(house: House) -> None:
    await waiting(house.centre)
    await house.settle()
    await house.advance(minutes=3)
    assert await watch.sweep(house.centre) == 0
    assert await made_up(house) == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_customer_for_whom_nobody_was_ever_asked_is_found(house: House) -> None:
    conversation = await waiting(house.centre, Urgency.ORDINARY)
    await house.settle()
    await house.centre.db.write(lambda s: s.execute(update(Escalation).values(state=EscalationState.CLOSED)))
    await house.advance(minutes=6)
    assert await watch.sweep(house.centre) == 1
    await house.settle()
    up = await house.centre.db.read(
        lambda s: s.scalars(select(Escalation).where(Escalation.state == EscalationState.RUNNING)).all()
    )
    assert [each.conversation_id for each in up] == [conversation]
    assert len(await told(house, "leader")) == 2
    assert await watch.sweep(house.centre) == 0
    assert (await house.centre.db.read(lambda s: s.get_one(Conversation, conversation))).reason == "ask_human"
