"""An alert reaches people wherever they are, is taken once by whatever channel, handed on, and called back."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from bot.core.words import (
    CaseKind,
    CaseState,
    ChannelName,
    DeliveryState,
    EscalationState,
    Incoming,
    Language,
    Presence,
    Urgency,
)
from bot.services import contacts, watch
from bot.services.calls import voice
from bot.services.casework import cases
from bot.services.conversation import texts
from bot.services.escalation import alerts, ladders, roster
from bot.services.staffing import staff as people
from store.tables import AuditEntry, Case, Delivery, Escalation, NumberKind, Staff
from tests.fakes.house import House

LEADER, SUPERVISOR = "+8613800009001", "+8613800009002"
SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def staff_id(house: House, username: str) -> int:
    return await house.centre.db.read(lambda s: s.scalars(select(Staff.id).where(Staff.username == username)).one())


async def case_of(house: House, kind: CaseKind = CaseKind.COMPLAINT, urgency: Urgency = Urgency.URGENT) -> int:
    """A case that climbs, with telephones for the leader and the supervisor."""
    centre, now = house.centre, house.clock.now()
    leader, supervisor = await staff_id(house, "leader"), await staff_id(house, "supervisor")

    def work(s):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        for person, number in ((leader, LEADER), (supervisor, SUPERVISOR)):
            roster.set_number(
                s, person, NumberKind.MOBILE, number, zone="Asia/Shanghai", now=now, by_staff_id=supervisor
            )
        known = contacts.meet(s, ChannelName.REST, "lin", language=Language.ZH, zone="Asia/Shanghai", now=now)
        case = cases.open_case(
            s,
            kind=kind,
            contact_id=known.contact_id,
            subject="暖气不热",
            zone=centre.settings.zone,
            urgency=urgency,
            now=now,
        )
        cases.escalate(s, centre, case, now)
        return case.id

    return await centre.db.write(work)


async def sent(house: House, channel: ChannelName, state: DeliveryState | None = None) -> list[Delivery]:
    def read(s):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        query = select(Delivery).where(Delivery.channel == channel).order_by(Delivery.id)
        return list(s.scalars(query if state is None else query.where(Delivery.state == state)))

    return await house.centre.db.read(read)


async def escalation(house: House) -> Escalation:
    return await house.centre.db.read(lambda s: s.scalars(select(Escalation)).one())


def text(words: str, number: str, sid: str = "SM1") -> Incoming:
    return Incoming(ChannelName.SMS, number, sid, words)


async def test_an_urgent_case_reaches_the_telephones_and_a_1_by_text_takes_it(house: House) -> None:
    case_id = await case_of(house)
    leader = await staff_id(house, "leader")
    await house.settle()
    (told,) = await sent(house, ChannelName.SMS)
    assert told.state is DeliveryState.DELIVERED or told.state is DeliveryState.ACCEPTED
    assert "回复1接手" in told.body["text"]
    assert await sent(house, ChannelName.VOICE) == []

    for _ in range(2):  # the carrier tells it twice
        await texts.receive(house.centre, text("1", LEADER))
    case = await house.centre.db.read(lambda s: s.get_one(Case, case_id))
    assert (case.staff_id, case.state, case.level) == (leader, CaseState.ASSIGNED, 1)
    taken = await escalation(house)
    assert (taken.state, taken.acknowledged_by) == (EscalationState.ACKNOWLEDGED, leader)

    await house.advance(hours=3)
    texts_sent = [row.body["text"] for row in await sent(house, ChannelName.SMS)]
    assert texts_sent == [told.body["text"], "好的，由您负责了。"]
    assert await sent(house, ChannelName.VOICE) == []
    noted = await house.centre.db.read(
        lambda s: s.scalars(select(AuditEntry.details).where(AuditEntry.action == "escalation.acknowledge")).all()
    )
    assert [entry["how"] for entry in noted] == ["sms"]


@SQLITE
async def test_a_late_answer_hears_who_has_it(house: House) -> None:
    await case_of(house)
    await house.advance(minutes=5)
    await texts.receive(house.centre, text("1", LEADER, "SM1"))
    await texts.receive(house.centre, text("1", SUPERVISOR, "SM2"))
    await house.settle()
    leader = await house.centre.db.read(lambda s: s.scalars(select(Staff.name).where(Staff.username == "leader")).one())
    assert (await sent(house, ChannelName.SMS))[-1].body["text"] == f"已由{leader}接手。"


@SQLITE
async def test_words_of_staff_who_were_asked_nothing_are_a_message_like_any_other(house: House) -> None:
    await case_of(house)
    await texts.receive(house.centre, text("1", "+8613800009999"))
    await house.settle()
    assert (await escalation(house)).state is EscalationState.RUNNING


async def test_a_key_on_the_telephone_takes_it_and_a_wrong_one_is_asked_again(house: House) -> None:
    await case_of(house)
    await house.advance(minutes=5)
    (call,) = await sent(house, ChannelName.VOICE)
    said = await voice.ask(house.centre, f"/twilio/voice?delivery={call.id}", {"AnsweredBy": "human"})
    assert "按1接手" in said
    again = await voice.ask(house.centre, f"/twilio/voice?alert={call.id}&asked=0", {"Digits": "7"})
    assert "按1接手" in again
    assert "asked=1" in again
    quiet = await voice.ask(house.centre, f"/twilio/voice?alert={call.id}&asked=2", {})
    assert "<Hangup" in quiet or "<Gather" not in quiet
    assert (await escalation(house)).state is EscalationState.RUNNING
    taken = await voice.ask(house.centre, f"/twilio/voice?alert={call.id}&asked=0", {"Digits": "1"})
    assert "由您负责" in taken
    supervisor = await staff_id(house, "supervisor")
    assert (await escalation(house)).acknowledged_by == supervisor
    once_more = await voice.ask(house.centre, f"/twilio/voice?alert={call.id}&asked=0", {"Digits": "1"})
    assert "由您负责" in once_more


@SQLITE
async def test_an_answering_machine_hears_the_alert_and_takes_nothing(house: House) -> None:
    await case_of(house)
    await house.advance(minutes=5)
    (call,) = await sent(house, ChannelName.VOICE)
    said = await voice.ask(house.centre, f"/twilio/voice?delivery={call.id}", {"AnsweredBy": "machine_end_beep"})
    assert "<Gather" not in said
    assert (await escalation(house)).state is EscalationState.RUNNING


async def test_handed_on_by_everybody_below_the_next_rung_is_told_at_once(house: House) -> None:
    await case_of(house, urgency=Urgency.ORDINARY)
    await house.settle()
    leader, supervisor = await staff_id(house, "leader"), await staff_id(house, "supervisor")
    row = await escalation(house)
    now = house.clock.now()
    assert await house.centre.db.write(lambda s: ladders.hand_on(s, ladders.the(row.id), leader, now, why="不在现场"))
    await house.settle()
    assert len(await house.centre.db.read(lambda s: alerts.unread(s, supervisor))) == 1
    case = await house.centre.db.read(lambda s: s.scalars(select(Case)).one())
    assert case.level == 2
    assert (await escalation(house)).declined == [leader]


@SQLITE
async def test_what_was_taken_and_given_back_climbs_on(house: House) -> None:
    await case_of(house)
    leader = await staff_id(house, "leader")
    await house.settle()
    row = await escalation(house)
    now = house.clock.now()
    await house.centre.db.write(lambda s: ladders.acknowledge(s, ladders.the(row.id), leader, now))
    await house.advance(minutes=20)
    assert await sent(house, ChannelName.VOICE) == []
    later = house.clock.now()
    assert await house.centre.db.write(lambda s: ladders.hand_on(s, ladders.the(row.id), leader, later))
    assert not await house.centre.db.write(lambda s: ladders.acknowledge(s, ladders.of_incident(row.id), leader, later))
    await house.settle()
    assert len(await sent(house, ChannelName.VOICE)) == 1
    assert (await escalation(house)).acknowledged_at is None


@SQLITE
async def test_an_alert_that_has_not_left_is_cancelled_when_it_is_taken(house: House) -> None:
    await case_of(house)
    leader = await staff_id(house, "leader")
    now = house.clock.now()
    await house.centre.db.write(lambda s: ladders.tick(s, house.centre, now))  # told, but nothing sent yet
    row = await escalation(house)
    await house.centre.db.write(lambda s: ladders.acknowledge(s, ladders.the(row.id), leader, now))
    await house.settle()
    assert [each.state for each in await sent(house, ChannelName.SMS)] == [DeliveryState.CANCELLED]


@SQLITE
async def test_a_ladder_repeats_until_it_is_taken(house: House) -> None:
    await case_of(house)
    manager = await staff_id(house, "manager")
    await house.centre.db.write(lambda s: people.set_presence(s, manager, Presence.ONLINE, now=house.clock.now()))
    for _ in range(16):
        await house.advance(minutes=15)
    assert (await escalation(house)).state is EscalationState.RUNNING
    assert (await escalation(house)).notified > 12


@SQLITE
async def test_an_alert_put_off_by_the_carrier_is_not_wanted_once_somebody_has_it(house: House) -> None:
    await case_of(house)
    leader, now = await staff_id(house, "leader"), house.clock.now()
    await house.centre.db.write(lambda s: ladders.tick(s, house.centre, now))
    row = await escalation(house)
    await house.centre.db.write(lambda s: ladders.acknowledge(s, ladders.the(row.id), leader, now))
    await house.centre.db.write(  # as a provider that could not say what became of it leaves it
        lambda s: s.execute(
            update(Delivery).where(Delivery.channel == ChannelName.SMS).values(state=DeliveryState.QUEUED)
        )
    )
    await house.settle()
    assert [each.state for each in await sent(house, ChannelName.SMS)] == [DeliveryState.CANCELLED]


@pytest.mark.parametrize("pin", [{"policies": "gone", "ladder": "vip"}, {"policies": "", "ladder": "vip"}])
async def test_a_ladder_that_no_policy_names_is_climbed_as_its_urgency_s_and_said_once(
    house: House, pin: dict[str, str]
) -> None:
    await case_of(house)
    await house.centre.db.write(lambda s: s.execute(update(Escalation).values(policy=pin)))
    await house.advance(minutes=6)
    await watch.sweep(house.centre)
    await watch.sweep(house.centre)
    row = await escalation(house)
    assert (row.policy["ladder"], row.policy["instead_of"], row.notified) == ("urgent", "vip", 2)
    ready = (await house.client.get("/readyz")).json()
    assert "no ladder is called vip: 1 climb their urgency's" in ready["degraded"]
    ops = await staff_id(house, "ops")
    told = await house.centre.db.read(lambda s: [each.body["text"] for each in alerts.unread(s, ops)])
    assert [words for words in told if "vip" in words] == [
        "策略里没有叫“vip”的升级阶梯，先按紧急程度的阶梯升级，请检查 policies.yml"
    ]


@SQLITE
async def test_starting_a_ladder_that_no_policy_names_is_no_error(house: House) -> None:
    case, now = await case_of(house), house.clock.now()
    await house.centre.db.write(lambda s: ladders.end(s, ladders.of_case(case), now))

    def start(s):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return ladders.start(
            s, house.centre, reason="visit", urgency=Urgency.ORDINARY, case_id=case, now=now, name="vip"
        ).policy

    assert await house.centre.db.write(start) == {
        "policies": house.centre.library.current.policies_version,
        "ladder": "ordinary",
        "instead_of": "vip",
    }
