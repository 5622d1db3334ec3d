"""What plans write: an order's one reminder, care for those who agreed, a pause; and that nothing more is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.plan import Trigger
from bot.core.words import (
    CallbackState,
    CaseKind,
    CaseState,
    ChannelName,
    DeliveryState,
    FollowUpGroup,
    Language,
    RepairStage,
    Role,
)
from bot.services import contacts
from bot.services.casework import cases
from bot.services.library import Library
from bot.services.plans import followups, happenings, pauses
from bot.services.plans.planning import Occurrence
from bot.services.reload import reload
from bot.settings import PACKS
from store.tables import (
    Callback,
    Case,
    Contact,
    Delivery,
    Event,
    PlannedMessage,
    PlannedState,
    RepairOrder,
    Staff,
    StaffRole,
)
from tests.conftest import ROOT
from tests.fakes.clock import ManualClock
from tests.fakes.handset import Handset
from tests.fakes.house import House

NUMBER = "+8613900010001"
HEADER = "order_no,phone,state,ordered_at,address,courier_zh,courier_en,tracking_no,trace_zh,trace_en,trace_at\n"
TOKEN = {"Authorization": "Bearer a token for tests"}


def shanghai(day: int, hour: int, minute: int = 0, month: int = 7) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC) - timedelta(hours=8)


@pytest.fixture(scope="module")
def orders_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop's own table of orders, laid over the shipped scripts; without a row."""
    path = tmp_path_factory.mktemp("shop") / "facts" / "orders.csv"
    path.parent.mkdir()
    path.write_text(HEADER, "utf-8")
    return path


@pytest.fixture(scope="module")
def shipped(orders_file: Path) -> tuple[Library, list[ManualClock]]:
    """The shipped scripts with the demo's figures and this shop's facts."""
    clocks = [ManualClock(shanghai(1, 10))]
    roots = [ROOT / "scripts", ROOT / "scripts" / "demo", orders_file.parents[1]]
    return Library(roots, frozenset(PACKS), lambda: clocks[-1].now()), clocks


class Orders:
    """The shop's order as its table has it: `stands` saves the file and the program reads it."""

    def __init__(self, house: House, path: Path) -> None:
        self._house, self._path = house, path

    async def stands(self, state: str, ordered: str, traced: str = "") -> None:
        row = f"DD7,{NUMBER},{state},{ordered},,顺丰速运,SF Express,SF77,,,{traced}"
        self._path.write_text(f"{HEADER}{row}\n", "utf-8")
        assert await reload(self._house.centre), self._house.centre.library.refused


@pytest.fixture
async def orders(house: House, orders_file: Path) -> AsyncIterator[Orders]:
    yield Orders(house, orders_file)
    orders_file.write_text(HEADER, "utf-8")
    await reload(house.centre)


async def pass_time(house: House, to: datetime) -> None:
    house.clock.set(to)
    await happenings.look(house.centre)
    await house.settle()
    queued = select(Delivery.id).where(Delivery.state == DeliveryState.QUEUED, Delivery.not_before <= to).limit(1)
    while await house.centre.db.read(lambda s: s.scalar(queued)) is not None:  # at the carrier's one a second
        await asyncio.sleep(0.2)
        await house.settle()


def messages(house: House) -> list[tuple[str, PlannedState, str | None]]:
    query = select(PlannedMessage.plan, PlannedMessage.state, PlannedMessage.why).order_by(PlannedMessage.id)
    return house.centre.db.read_now(lambda s: list(s.execute(query).tuples()))


async def test_an_unpaid_order_is_reminded_of_once_and_answered(house: House, orders: Orders) -> None:
    await orders.stands("unpaid", "2026-07-01 11:00")
    phone = await Handset.of(house, NUMBER)
    await pass_time(house, shanghai(1, 11, 10))
    assert await phone.texts() == []
    await pass_time(house, shanghai(1, 11, 31))
    ((_, said),) = await phone.texts()
    assert "DD7" in said
    assert "机器人" in said
    for hour in (12, 15, 20):  # looked at again and again: the same order is the same event
        await pass_time(house, shanghai(1, hour))
    await pass_time(house, shanghai(2, 12))
    assert len(await phone.texts()) == 1
    assert messages(house) == [("order_unpaid", PlannedState.SAID, None)]


async def test_an_order_paid_meanwhile_is_not_reminded_of(house: House, orders: Orders) -> None:
    await orders.stands("unpaid", "2026-07-01 11:00")
    phone = await Handset.of(house, NUMBER)
    await pass_time(house, shanghai(1, 11, 10))
    await orders.stands("paid", "2026-07-01 11:00")
    await pass_time(house, shanghai(1, 11, 40))
    assert await phone.texts() == []
    assert messages(house) == [("order_unpaid", PlannedState.CANCELLED, "settled")]


async def test_dispatch_and_receipt_are_told_by_day_and_once(house: House, orders: Orders) -> None:
    await orders.stands("dispatched", "2026-07-01 22:00", "2026-07-01 22:00")
    phone = await Handset.of(house, NUMBER)
    await pass_time(house, shanghai(1, 22, 5))
    assert await phone.texts() == []  # not at night
    await pass_time(house, shanghai(2, 9))
    await orders.stands("in_transit", "2026-07-01 22:00", "2026-07-01 22:00")
    await pass_time(house, shanghai(2, 10))
    ((_, said),) = await phone.texts()
    assert all(part in said for part in ("DD7", "7月1日", "顺丰速运", "SF77"))
    await orders.stands("delivered", "2026-07-01 22:00", "2026-07-03 10:00")
    await pass_time(house, shanghai(3, 10, 30))
    await pass_time(house, shanghai(3, 12, 30))
    await pass_time(house, shanghai(4, 12))
    assert len(await phone.texts()) == 2
    assert "签收" in (await phone.texts())[1][1]


async def test_an_event_told_twice_over_the_api_is_one_message(house: House) -> None:
    phone = await Handset.of(house, NUMBER)
    told = {
        "external_id": "o1", "kind": "order_dispatched", "phone": NUMBER, "name": "王秀英", "order_no": "DD9",
        "happened_at": "2026-07-01T09:30:00+08:00",
    }  # fmt: skip
    first = await house.client.post("/api/v1/events", json=told, headers=TOKEN)
    again = await house.client.post("/api/v1/events", json=told, headers=TOKEN)
    assert (first.status_code, again.status_code) == (201, 200)
    await house.settle()
    await house.advance(hours=2)
    assert [text for _, text in await phone.texts() if "DD9" in text] == [(await phone.texts())[0][1]]


def person(house: House, *, birthday: str, consent: bool) -> int:
    def make(session: Session) -> int:
        now = house.clock.now()
        known = contacts.meet(session, ChannelName.VOICE, NUMBER, language=Language.ZH, zone="Asia/Shanghai", now=now)
        contacts.add_phone(session, known.contact_id, NUMBER, now)
        contacts.learn(
            session, known.contact_id, {"name": "王秀英", "title": "王女士", "birthday": birthday}, now=now, why="test"
        )
        if consent:
            contacts.consent(session, known.contact_id, "marketing", True, "test", now)
        return known.contact_id

    return house.centre.db.write_now(make)


@pytest.mark.parametrize("consent", [True, False])
async def test_a_birthday_is_wished_once_inside_the_window_to_who_agreed(house: House, consent: bool) -> None:
    person(house, birthday="07-02", consent=consent)
    phone = await Handset.of(house, NUMBER)
    await pass_time(house, shanghai(2, 9))
    assert await phone.texts() == []
    for hour in (14, 15, 19):
        await pass_time(house, shanghai(2, hour, 31))
    await pass_time(house, shanghai(3, 15))
    texts = [text for _, text in await phone.texts()]
    assert len(texts) == int(consent)
    assert all("生日" in text and "回复 T" in text for text in texts)


async def test_a_season_is_greeted_on_its_day_and_never_after_stop(house: House) -> None:
    contact_id = person(house, birthday="", consent=True)
    phone = await Handset.of(house, NUMBER)
    await pass_time(house, shanghai(7, 15, month=8))  # 立秋
    assert ["立秋" in text for _, text in await phone.texts()] == [True]
    house.centre.db.write_now(lambda s: contacts.consent(s, contact_id, "all", False, "test", house.clock.now()))
    await pass_time(house, shanghai(7, 15, month=11))  # 立冬
    assert len(await phone.texts()) == 1
    assert messages(house)[-1] == ("season", PlannedState.CANCELLED, "opted_out")


async def test_a_paused_plan_says_nothing_until_it_goes_on(house: House, orders: Orders) -> None:
    await orders.stands("unpaid", "2026-07-01 11:00")
    phone = await Handset.of(house, NUMBER)
    staff_id = house.centre.db.read_now(
        lambda s: s.scalars(select(Staff.id).join(StaffRole).where(StaffRole.role == Role.SUPERVISOR)).first()
    )
    assert staff_id is not None
    now = house.clock.now()
    house.centre.db.write_now(lambda s: pauses.pause(s, "order_unpaid", "", staff_id=staff_id, now=now))
    await pass_time(house, shanghai(1, 11, 31))
    assert await phone.texts() == []
    house.centre.db.write_now(lambda s: pauses.resume(s, "order_unpaid", staff_id=staff_id, now=house.clock.now()))
    await pass_time(house, shanghai(1, 11, 32))
    assert len(await phone.texts()) == 1


async def test_upkeep_comes_again_each_so_many_days(house: House) -> None:
    phone = await Handset.of(house, NUMBER)
    what = Occurrence(
        "shop", "p1", Trigger.PRODUCT_BOUGHT, NUMBER, "王秀英", house.clock.now(), details={"product": "净水器"}
    )
    house.centre.db.write_now(lambda s: followups.record(s, house.centre, what, house.clock.now()))
    start = house.clock.now()
    await pass_time(house, start + timedelta(days=179))
    assert await phone.texts() == []
    for days in (180, 181):
        await pass_time(house, start + timedelta(days=days))
    assert ["净水器" in text for _, text in await phone.texts()] == [True]
    await pass_time(house, start + timedelta(days=361))
    assert len(await phone.texts()) == 2


async def test_a_finished_repair_is_asked_about_and_opened_again(house: House) -> None:
    centre = house.centre

    def repaired(session: Session) -> int:
        now = house.clock.now()
        known = contacts.meet(session, ChannelName.VOICE, NUMBER, language=Language.ZH, zone="Asia/Shanghai", now=now)
        contacts.learn(session, known.contact_id, {"name": "赵强"}, now=now, why="told")  # no name, no call
        case = cases.open_case(
            session, kind=CaseKind.REPAIR, contact_id=known.contact_id, subject="净水器漏水",
            zone=centre.settings.zone, now=now,
        )  # fmt: skip
        session.get_one(RepairOrder, case.id).stage = RepairStage.HANDED_OVER
        staff_id = session.scalars(select(Staff.id).limit(1)).one()
        cases.give_feedback(session, case.id, "已修好", staff_id=staff_id, now=now)
        cases.close(session, case.id, staff_id=None, now=now)
        return case.id

    case_id = centre.db.write_now(repaired)
    await pass_time(house, house.clock.now())
    await pass_time(house, house.clock.now())
    owed = centre.db.read_now(lambda s: s.scalars(select(Callback)).all())
    assert [(c.follow_up_group, c.due_at) for c in owed] == [(FollowUpGroup.AFTER_REPAIR, shanghai(4, 9))]
    phone = await Handset.of(house, NUMBER)
    await pass_time(house, shanghai(4, 9))
    await phone.answer()
    await phone.listen()
    await phone.say("方便")
    await phone.listen()
    await phone.say("还没有解决")
    await phone.listen()
    case = centre.db.read_now(lambda s: s.get_one(Case, case_id))
    assert (case.state, case.level) == (CaseState.OPEN, 1)
    assert len(centre.db.read_now(lambda s: s.scalars(select(Event)).all())) == 1
    assert centre.db.read_now(lambda s: s.scalars(select(Callback.state)).one()) is not CallbackState.SCHEDULED
    assert centre.db.read_now(lambda s: s.get_one(Contact, case.contact_id)) is not None
