"""What stands against a call, asked before it is planned and again as it is dialled; each refusal says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot.core.permission import Why
from bot.core.words import CallbackState, ChannelName, DeliveryState, Disposition, FollowUpGroup, Purpose
from bot.services import contacts, days
from bot.services.calls import bookings, dialling
from bot.services.centre import Centre
from bot.services.delivery import outbox
from bot.services.library import Library
from bot.services.plans import pauses
from bot.settings import PACKS
from store.tables import Address, AuditEntry, Callback, Contact, Delivery
from tests.conftest import ROOT
from tests.fakes.clock import ManualClock
from tests.fakes.line import drain
from tests.services.test_callbacks import PHONE, House, shanghai

OPENS = shanghai(1, 14, 30)


@pytest.fixture
def house(centre: Centre, clock: ManualClock) -> House:
    return House(centre, clock)


def person(session: Session) -> Contact:
    return session.scalars(select(Contact).where(Contact.name == "王秀英")).one()


def talking(session: Session, house: House, *, state: DeliveryState, ago: timedelta, error: str | None = None) -> None:
    """Another call of ours to the same person, by their other number."""
    contact = person(session)
    at = house.clock.now() - ago
    _, voice = contacts.add_phone(session, contact.id, "+8613900010077", at)
    voice.rank = 9
    delivery_id = outbox.put(
        session,
        dedupe_key=f"other:{state}:{ago}",
        purpose=Purpose.SERVICE_NOTICE,
        channel=ChannelName.VOICE,
        address_id=voice.id,
        contact_id=contact.id,
        text="",
        language=contact.language,
        now=at,
    )
    values = {"state": state, "error": error, "changed_at": at}
    session.execute(update(Delivery).where(Delivery.id == delivery_id).values(**values))


def paused(session: Session, house: House) -> None:
    pauses.pause(session, FollowUpGroup.VISITED_NO_PURCHASE, "等通知", staff_id=house.staff_id, now=house.clock.now())


def blocked(session: Session, house: House) -> None:
    days.block(session, date(2026, 7, 1), "系统检修", staff_id=house.staff_id, now=house.clock.now())


def on_the_phone(session: Session, house: House) -> None:
    talking(session, house, state=DeliveryState.DELIVERED, ago=timedelta(minutes=1))


def rung_often(session: Session, house: House) -> None:
    for minutes in (1, 2, 4):
        talking(session, house, state=DeliveryState.FAILED, ago=timedelta(minutes=minutes), error="no_answer")


def evenings_only(session: Session, _house: House) -> None:
    person(session).not_before = "18:00"


STANDS: list[tuple[Callable[[Session, House], None], str, datetime]] = [
    (paused, pauses.PAUSED, OPENS + timedelta(hours=1)),
    (blocked, Why.BLOCKED_DAY, shanghai(2, 14, 30)),
    (on_the_phone, Why.ON_THE_PHONE, shanghai(1, 14, 32)),
    (rung_often, Why.TOO_OFTEN, shanghai(1, 14, 31)),
    (evenings_only, Why.OUTSIDE_WINDOW, shanghai(1, 19)),
]


@pytest.mark.parametrize(("stands", "why", "until"), STANDS, ids=[row[0].__name__ for row in STANDS])
async def test_before_the_call_is_planned(
    house: House, stands: Callable[[Session, House], None], why: str, until: datetime
) -> None:
    callback_id = house.visit()
    house.clock.set(OPENS)
    house.centre.db.write_now(lambda s: stands(s, house))
    await house.at(OPENS)
    held = house.callback(callback_id)
    assert house.voice.taken == []
    assert (held.state, held.due_at) == (CallbackState.SCHEDULED, until)
    assert held.waits in (why, "window")  # a day or an hour that is closed may be known before the gate is asked


@pytest.mark.parametrize(("stands", "why", "until"), STANDS, ids=[row[0].__name__ for row in STANDS])
async def test_and_again_as_it_is_dialled(
    house: House, stands: Callable[[Session, House], None], why: str, until: datetime
) -> None:
    callback_id = house.visit()
    house.clock.set(OPENS)
    house.centre.db.write_now(lambda s: dialling.tick(s, house.centre, OPENS))
    assert house.callback(callback_id).state is CallbackState.DIALLING
    house.centre.db.write_now(lambda s: stands(s, house))
    await drain(house.centre)
    assert house.voice.taken == []
    if why in (Why.ON_THE_PHONE, Why.TOO_OFTEN):  # it is worth keeping in the outbox: the window is open still
        query = select(Delivery.not_before).where(Delivery.callback_id == callback_id)
        assert house.centre.db.read_now(lambda s: s.scalars(query).one()) == until
    await house.at(until)
    if why == pauses.PAUSED:
        assert house.voice.taken == []
        house.centre.db.write_now(
            lambda s: pauses.resume(s, FollowUpGroup.VISITED_NO_PURCHASE, staff_id=house.staff_id, now=until)
        )
        await house.at(until)
    if why == Why.ON_THE_PHONE:
        closed = update(Delivery).where(Delivery.dedupe_key.like("other:%")).values(state=DeliveryState.HEARD)
        house.centre.db.write_now(lambda s: s.execute(closed))
        await house.at(until + timedelta(minutes=2))
    assert [call.address for call in house.voice.taken] == [PHONE]


@pytest.mark.parametrize(("scope", "granted"), [("all", False), ("calls", False), ("callbacks", False)])
async def test_who_wants_no_calls_is_not_called(house: House, scope: str, granted: bool) -> None:
    callback_id = house.visit()
    house.centre.db.write_now(lambda s: contacts.consent(s, person(s).id, scope, granted, "test", house.clock.now()))
    await house.at(OPENS)
    ended = house.callback(callback_id)
    assert (ended.state, ended.disposition) == (CallbackState.DONE, Disposition.OPTED_OUT)
    assert house.voice.taken == []


async def test_pausing_and_going_on_are_audited_and_happen_once(house: House) -> None:
    group, now = FollowUpGroup.VISITED_NO_PURCHASE, house.clock.now()

    def twice(session: Session) -> list[bool]:
        return [
            pauses.pause(session, group, "等通知", staff_id=house.staff_id, now=now),
            pauses.pause(session, group, "", staff_id=house.staff_id, now=now),
            pauses.resume(session, group, staff_id=house.staff_id, now=now),
            pauses.resume(session, group, staff_id=house.staff_id, now=now),
        ]

    assert house.centre.db.write_now(twice) == [True, False, True, False]
    query = select(AuditEntry.action, AuditEntry.note).where(AuditEntry.subject == "plan").order_by(AuditEntry.id)
    assert house.centre.db.read_now(lambda s: s.execute(query).tuples().all()) == [
        ("plan.pause", "等通知"),
        ("plan.resume", ""),
    ]


async def test_a_wish_on_a_blocked_day_is_answered_with_the_next(house: House) -> None:
    house.centre.db.write_now(lambda s: blocked(s, house))
    house.visit()

    def wish(session: Session) -> Callback:
        return bookings.book(
            session,
            house.centre,
            person(session).id,
            dedupe_key="w",
            wish=shanghai(1, 15),
            topic="",
            now=house.clock.now(),
        )

    with pytest.raises(bookings.NotBookableError) as refused:
        house.centre.db.write_now(wish)
    assert [slot.start for slot in refused.value.slots] == [shanghai(2, 8), shanghai(2, 10)]


# ── the carrier's lines ──


@pytest.fixture(scope="module")
def two_lines(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """The shipped scripts, the demo's figures, and a carrier with two lines."""
    own = tmp_path_factory.mktemp("scripts")
    (own / "policies.yml").write_text("calls: {at_once: 2}\nrates:\n  voice: {per_second: 100}\n", "utf-8")
    return Library([ROOT / "scripts", ROOT / "scripts" / "demo", own], frozenset(PACKS), lambda: OPENS)


async def test_no_more_calls_are_up_than_the_carrier_has_lines(house: House, two_lines: Library) -> None:
    house.centre = replace(house.centre, library=two_lines)
    house.centre.db.write_now(lambda s: two_lines.keep(s, house.clock.now()))
    for n in range(4):
        house.visit(number=f"V{n}")
        house.centre.db.write_now(lambda s, n=n: _somebody_else(s, n))
    await house.at(OPENS)
    assert len(house.voice.taken) == 2
    await drain(house.centre)
    assert len(house.voice.taken) == 2
    await house.ends(error="busy")
    await drain(house.centre)
    assert len(house.voice.taken) == 3


def _somebody_else(session: Session, n: int) -> None:
    """Gives the last callback a person of its own, so that four people are due."""
    callback = session.scalars(select(Callback).order_by(Callback.id.desc()).limit(1)).one()
    known = contacts.meet(
        session,
        ChannelName.VOICE,
        f"+861390002{n:04}",
        language=person(session).language,
        zone="Asia/Shanghai",
        now=callback.created_at,
    )
    callback.contact_id = known.contact_id
    assert session.get_one(Address, known.address_id).contact_id == known.contact_id


# ── the order ──


@pytest.mark.parametrize("limit", [1, 3, 5, 9])
def test_what_is_claimed_first(house: House, limit: int) -> None:
    first = house.visit()

    def several(session: Session) -> list[int]:
        base = session.get_one(Callback, first)
        session.delete(base)
        made = []
        for n, (priority, minute) in enumerate([(0, 20), (0, 10), (-3, 25), (5, 1), (0, 10), (-3, 40)]):
            callback = Callback(
                dedupe_key=f"order:{n}",
                contact_id=base.contact_id,
                follow_up_group=base.follow_up_group,
                plan=base.plan,
                purpose=base.purpose,
                policies=base.policies,
                flow_id=base.flow_id,
                due_at=shanghai(1, 14, minute),
                priority=priority,
                created_at=house.clock.now(),
            )
            session.add(callback)
            session.flush()
            made.append(callback.id)
        return made

    made = house.centre.db.write_now(several)
    found = house.centre.db.write_now(lambda s: dialling.due(s, OPENS, limit))
    assert found == [made[n] for n in (2, 1, 4, 0, 3)][:limit]
