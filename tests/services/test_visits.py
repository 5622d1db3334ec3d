"""Visits as the services keep them: the last place given once, moved, cancelled, reminded once, told honestly."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import select

from bot.core.repair import DESK, RepairRefused
from bot.core.words import (
    CaseKind,
    ChannelName,
    DeliveryState,
    Language,
    Purpose,
    RepairStage,
    VisitState,
)
from bot.services import contacts
from bot.services.casework import cases, repairs, visit_notices, visits
from bot.services.casework.repairs import Quotation, cents
from bot.services.casework.visits import NoSlotError, VisitRefusedError
from bot.services.refusal import RefusedError
from store.db import Session
from store.tables import Case, CaseNote, Delivery, Escalation, Message, RepairOrder, Staff, Visit
from tests.fakes.house import House

AFTERNOON = datetime(2026, 7, 2, 6, tzinfo=UTC)  # tomorrow, 14:00 in Shanghai


def repair(house: House, number: int = 1, queue: str = "visits") -> int:
    """A repair case of somebody's own, registered."""
    now = house.clock.now()

    def work(session: Session) -> int:
        known = contacts.meet(
            session, ChannelName.SMS, f"+861990000{number:04}", language=Language.ZH, zone="Asia/Shanghai", now=now
        )
        case = cases.open_case(
            session,
            kind=CaseKind.REPAIR,
            contact_id=known.contact_id,
            subject="洗衣机",
            zone=house.centre.settings.zone,
            now=now,
            queue=queue,
        )
        return case.id

    return house.centre.db.write_now(work)


async def book(house: House, case_id: int, at: datetime = AFTERNOON) -> Visit:
    now = house.clock.now()

    def work(session: Session) -> Visit:
        contact = session.get_one(Case, case_id).contact_id
        address = contacts.phone_of(session, contact, ChannelName.SMS)
        return visits.book(
            session, house.centre, case_id, at, where="3-2-501", address_id=address.id if address else None, now=now
        )

    return await house.centre.db.write(work)


def stage(house: House, case_id: int) -> RepairStage:
    return house.centre.db.read_now(lambda s: s.get_one(RepairOrder, case_id).stage)


async def told(house: House) -> list[str]:
    """What left for customers by text."""

    def work(session: Session) -> Sequence[Delivery]:
        query = select(Delivery).where(Delivery.purpose == Purpose.SERVICE_NOTICE).order_by(Delivery.id)
        return session.scalars(query).all()

    return [str(d.body["text"]) for d in await house.centre.db.read(work) if d.state is not DeliveryState.CANCELLED]


async def test_exactly_one_of_two_gets_the_last_place(house: House) -> None:
    capacity = house.centre.library.current.policies.visits.capacity
    for number in range(capacity - 1):
        await book(house, repair(house, number))
    last = [repair(house, 100), repair(house, 101)]

    found = await asyncio.gather(*(book(house, each) for each in last), return_exceptions=True)

    assert sorted(type(each).__name__ for each in found) == ["NoSlotError", "Visit"]
    refused = next(each for each in found if isinstance(each, NoSlotError))
    assert AFTERNOON not in [slot.start for slot in refused.offer.slots]
    taken = await house.centre.db.read(lambda s: s.scalars(select(Visit.place).order_by(Visit.place)).all())
    assert list(taken) == list(range(capacity))


async def test_one_visit_a_case(house: House) -> None:
    case_id = repair(house)
    found = await asyncio.gather(*(book(house, case_id) for _ in range(2)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in found) == ["Visit", "VisitRefusedError"]
    assert stage(house, case_id) is RepairStage.BOOKED


async def test_a_moved_visit_frees_its_place_and_keeps_its_row(house: House) -> None:
    case_id = repair(house)
    first = await book(house, case_id)
    now = house.clock.now()
    later = AFTERNOON + timedelta(days=1)
    second = await house.centre.db.write(lambda s: visits.move(s, house.centre, first.id, later, now=now))
    rows = await house.centre.db.read(lambda s: s.scalars(select(Visit).order_by(Visit.id)).all())
    assert [(v.starts_at, v.state) for v in rows] == [(AFTERNOON, VisitState.MOVED), (later, VisitState.BOOKED)]
    assert second.place == 0
    with pytest.raises(VisitRefusedError, match="visit_over"):
        await house.centre.db.write(lambda s: visits.move(s, house.centre, first.id, later, now=now))


async def test_a_cancelled_visit_leaves_the_order_where_it_was(house: House) -> None:
    case_id = repair(house)
    now, staff = house.clock.now(), staff_id(house)
    await house.centre.db.write(
        lambda s: repairs.advance(s, house.centre, case_id, RepairStage.JUDGED, roles=DESK, now=now, staff_id=staff)
    )
    visit = await book(house, case_id)
    await house.centre.db.write(lambda s: visits.cancel(s, house.centre, visit.id, now=now))
    assert stage(house, case_id) is RepairStage.JUDGED


async def test_reminded_once_and_nothing_after_cancelling(house: House) -> None:
    case_id = repair(house)
    visit = await book(house, case_id)
    await house.advance(hours=3, minutes=59)
    assert await told(house) == []
    await house.advance(minutes=1)
    await house.advance(minutes=1)
    await house.settle()
    (text,) = await told(house)
    assert "提醒您：明天7月2日（周四）14:00–16:00" in text

    now = house.clock.now()
    await house.centre.db.write(lambda s: visits.cancel(s, house.centre, visit.id, now=now))
    await house.advance(days=2)
    assert len(await told(house)) == 1


async def test_a_reminder_waits_for_the_morning(house: House) -> None:
    """The night is quiet (REQ-C28): due at 06:00, told at 08:00."""
    case_id = repair(house)
    visit = await book(house, case_id, AFTERNOON + timedelta(days=1))
    night = datetime(2026, 7, 1, 22, tzinfo=UTC)

    def later(session: Session) -> None:
        session.get_one(Visit, visit.id).notice_at = night

    await house.centre.db.write(later)
    house.clock.advance(night - house.clock.now())
    await house.settle()
    assert await told(house) == []
    await house.advance(hours=2)
    assert len(await told(house)) == 1


async def test_a_visit_cancelled_while_its_reminder_is_still_queued_is_not_reminded(house: House) -> None:
    case_id = repair(house)
    visit = await book(house, case_id)
    house.clock.advance(timedelta(hours=4))
    now = house.clock.now()

    def remind_and_cancel(session: Session) -> None:
        assert visit_notices.tick(session, house.centre, now) == 1
        visits.cancel(session, house.centre, visit.id, now=now)

    await house.centre.db.write(remind_and_cancel)
    await house.settle()
    assert await told(house) == []


def staff_id(house: House) -> int:
    return house.centre.db.read_now(lambda s: s.scalars(select(Staff.id).where(Staff.username == "leader")).one())


async def test_a_missed_visit_apologises_and_asks_for_another_time(house: House) -> None:
    case_id = repair(house)
    visit = await book(house, case_id)
    staff = staff_id(house)
    now = house.clock.now()
    with pytest.raises(VisitRefusedError, match="visit_not_begun"):
        await house.centre.db.write(lambda s: visits.missed(s, house.centre, visit.id, staff_id=staff, now=now))
    await house.advance(days=1, hours=7)
    before = len(await told(house))
    now = house.clock.now()
    await house.centre.db.write(lambda s: visits.missed(s, house.centre, visit.id, staff_id=staff, now=now))
    await house.settle()
    after = (await told(house))[before:]
    assert "实在对不起" in " ".join(after)
    assert "什么时间" in " ".join(after)
    assert stage(house, case_id) is RepairStage.REGISTERED


async def test_our_own_change_is_told_and_the_second_calls_a_leader(house: House) -> None:
    case_id = repair(house)
    visit = await book(house, case_id, AFTERNOON + timedelta(days=2))
    staff = staff_id(house)
    for days in (3, 4):
        now, wish = house.clock.now(), AFTERNOON + timedelta(days=days)
        at = visit.id
        visit = await house.centre.db.write(
            lambda s, at=at, wish=wish, now=now: visits.move(s, house.centre, at, wish, now=now, staff_id=staff)
        )
        await house.settle()
    assert [("上门时间改为" in text) for text in await told(house)] == [True, True]
    running = await house.centre.db.read(lambda s: s.scalars(select(Escalation.case_id)).all())
    assert list(running) == [case_id]
    await house.advance(days=4, hours=4)  # the reminder follows all the same
    assert "提醒您" in (await told(house))[-1]


async def test_after_a_call_the_reminder_is_a_text(house: House) -> None:
    case_id = repair(house)
    now = house.clock.now()

    def work(session: Session) -> None:
        contact = session.get_one(Case, case_id).contact_id
        _, voice = contacts.add_phone(session, contact, "+8619900000001", now)
        visits.book(session, house.centre, case_id, AFTERNOON, where=None, address_id=voice.id, now=now)

    await house.centre.db.write(work)
    await house.advance(hours=4)
    sent = await house.centre.db.read(lambda s: s.scalars(select(Delivery.channel)).all())
    assert ChannelName.SMS in sent


async def test_whom_we_cannot_tell_is_left_to_people(house: House) -> None:
    case_id = repair(house)
    now = house.clock.now()

    def work(session: Session) -> None:
        address = contacts.phone_of(session, session.get_one(Case, case_id).contact_id, ChannelName.SMS)
        assert address is not None
        address.reachable = False
        visits.book(session, house.centre, case_id, AFTERNOON, where=None, address_id=None, now=now)

    await house.centre.db.write(work)
    await house.advance(hours=4)
    notes = await house.centre.db.read(lambda s: s.scalars(select(CaseNote.kind)).all())
    assert "visit.untold" in notes


# ── REQ-D28 ──


async def test_charged_work_waits_for_the_customers_yes(house: House) -> None:
    case_id, staff = repair(house), staff_id(house)
    centre, db, now = house.centre, house.centre.db, house.clock.now()

    async def go(to: RepairStage) -> None:
        await db.write(lambda s: repairs.advance(s, centre, case_id, to, roles=DESK, now=now, staff_id=staff))

    await go(RepairStage.JUDGED)
    with pytest.raises(RepairRefused, match="charge_undecided"):
        await go(RepairStage.REPAIRING)
    await db.write(
        lambda s: repairs.quote(s, centre, case_id, Quotation(12000, 5000, 3000), roles=DESK, staff_id=staff, now=now)
    )
    with pytest.raises(RepairRefused, match="stage_recorded"):
        await go(RepairStage.CONSENTED)
    with pytest.raises(RepairRefused, match="stage_not_next"):
        await go(RepairStage.REPAIRING)
    await db.write(lambda s: repairs.consent(s, centre, case_id, "电话", roles=DESK, staff_id=staff, now=now))
    await go(RepairStage.REPAIRING)
    order = await db.read(lambda s: s.get_one(RepairOrder, case_id))
    assert (order.charged, order.total, order.consent_how) == (True, 20000, "电话")

    await db.write(
        lambda s: repairs.quote(s, centre, case_id, Quotation(20000, 0, 0), roles=DESK, staff_id=staff, now=now)
    )
    order = await db.read(lambda s: s.get_one(RepairOrder, case_id))
    assert order.consented_at is None


async def test_a_case_with_a_visit_to_come_is_not_closed(house: House) -> None:
    case_id, staff, now = repair(house), staff_id(house), house.clock.now()
    await book(house, case_id)
    await house.centre.db.write(lambda s: cases.give_feedback(s, case_id, "好了", staff_id=staff, now=now))
    with pytest.raises(RefusedError, match="visit_booked"):
        await house.centre.db.write(lambda s: cases.close(s, case_id, staff_id=staff, wrap_up="confirmed", now=now))


@pytest.mark.parametrize(("written", "amount"), [("", 0), ("120", 12000), (" 99.5 ", 9950), ("0.01", 1)])
def test_amounts(written: str, amount: int) -> None:
    assert cents(written) == amount


@pytest.mark.parametrize("written", ["-1", "1.001", "x", "nan", "inf", "1e30"])
def test_amounts_that_are_none(written: str) -> None:
    with pytest.raises(RepairRefused, match="amount_bad"):
        cents(written)


# ── as a customer asks for it ──


async def say(house: House, sender: str, text: str, language: str = "zh") -> str:
    answer: httpx.Response = await house.client.post(
        "/webhooks/rest/webhook", json={"sender": sender, "message": text, "metadata": {"language": language}}
    )
    assert answer.status_code == 200
    return "\n".join(line["text"] for line in answer.json())


async def test_a_full_afternoon_is_said_and_two_times_offered(house: House) -> None:
    for number in range(house.centre.library.current.policies.visits.capacity):
        await book(house, repair(house, number))
    said = ""
    for line in ("/book_visit", "空调", "3-2-501", "13800001234", "明天下午"):
        said = await say(house, "guest", line)
    assert re.search("约满.*最近可以的是 明天7月2日（周四）10:00–12:00 或 明天7月2日（周四）16:00–18:00", said)
    assert "约好了：明天7月2日（周四）16:00–18:00" in await say(house, "guest", "2")


async def test_somebody_without_a_visit_hears_so(house: House) -> None:
    said = await say(house, "nobody", "/reschedule_visit", "en")
    said = await say(house, "nobody", "Friday at 10", "en")
    assert "can't find a visit" in said


async def test_the_line_stands_in_the_transcript_once(house: House) -> None:
    for line in ("/book_visit", "空调", "3-2-501", "13800001234", "明天下午"):
        await say(house, "guest", line)
    await house.advance(hours=4)
    await house.settle()
    lines = await house.centre.db.read(
        lambda s: s.scalars(select(Message.text).where(Message.key == "utter_visit_notice")).all()
    )
    assert len(lines) == 1
    assert "好的" in await say(house, "guest", "1")
