"""An announcement in flight: everybody once, the silent climb, an answer ends it, stop, resume, cancel, follow-ups."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from bot.core.policy import Bilingual
from bot.core.words import (
    BroadcastKind,
    BroadcastState,
    ChannelName,
    ConversationState,
    DeliveryState,
    IncidentState,
    Outcome,
    Presence,
)
from bot.services.announcements import announcements, approvals, broadcasts, flights, previews
from bot.services.announcements.broadcasts import BroadcastRefusedError
from bot.services.centre import Centre
from bot.services.escalation import alerts
from bot.services.incidents import incidents
from store.tables import Broadcast, BroadcastRecipient, Case, Contact, Conversation, Delivery, Message, Staff
from tests.fakes.announcing import Outage, Rejected
from tests.fakes.clock import ManualClock

ZHAO, QIAN, SUN, LI, ALEX = "赵春生", "钱雪梅", "孙立夏", "李长河", "Alex Morgan"
EVERYBODY = (ZHAO, QIAN, SUN, LI, ALEX)


@pytest.fixture
def outage(centre: Centre) -> Outage:
    return Outage(centre)


async def test_everybody_gets_it_once_in_their_language_people_in_need_first(outage: Outage) -> None:
    notice = outage.launched()
    await outage.settle()

    assert [out.language for out in outage.sms.sent].count("en") == 1
    assert sorted(out.address for out in outage.sms.sent) == sorted(outage.phone(name) for name in EVERYBODY)
    assert outage.sms.sent[0].address == outage.phone(ZHAO)
    assert "三号楼供热管道爆裂" in outage.sms.sent[0].text
    assert "回复1" in outage.sms.sent[0].text
    assert outage.counts(notice) == {Outcome.ACCEPTED: 5}


async def test_a_launch_pressed_twice_happens_once(outage: Outage) -> None:
    notice = outage.draft(outage.incident())
    outage.approve(notice)
    assert outage.send(notice) is True
    assert outage.send(notice, by="manager") is False
    await outage.settle()
    assert outage.send(notice) is False
    await outage.settle()

    assert len(outage.deliveries(notice)) == 5


async def test_a_crash_between_two_pages_loses_and_doubles_nothing(outage: Outage) -> None:
    notice = outage.launched()

    def crash(session):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        assert flights.fan_out(session, outage.centre, notice, outage.now, page=2) == 2
        raise ConnectionResetError

    outage.write(lambda s: flights.fan_out(s, outage.centre, notice, outage.now, page=2))
    with pytest.raises(ConnectionResetError):
        outage.write(crash)
    assert outage.counts(notice) == {Outcome.PENDING: 5}
    assert len(outage.deliveries(notice)) == 2
    outage.tick()

    keys = [delivery.dedupe_key for delivery in outage.deliveries(notice)]
    assert len(keys) == len(set(keys)) == 5


def test_each_page_wakes_whoever_found_the_broadcast_locked(outage: Outage) -> None:
    notice = outage.launched()

    def page(session: Session) -> bool:
        flights.fan_out(session, outage.centre, notice, outage.now, page=2)
        return flights.TOPIC in session.info["topics"]  # what the commit wakes

    assert [outage.write(page) for _ in range(3)] == [True, True, False]


async def test_the_author_cannot_approve_and_the_database_would_refuse_it_too(outage: Outage) -> None:
    notice = outage.draft(outage.incident(), author="supervisor")
    with pytest.raises(BroadcastRefusedError, match="approver_is_author"):
        outage.approve(notice, by="supervisor")
    supervisor = outage.staff("supervisor")

    def by_force(session):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        session.get_one(Broadcast, notice).approver_id = supervisor

    with pytest.raises(IntegrityError):
        outage.write(by_force)
    outage.approve(notice, by="manager")


async def test_a_leader_stands_in_only_while_no_supervisor_is_there(outage: Outage) -> None:
    notice = outage.draft(outage.incident())
    supervisor = outage.staff("supervisor")
    outage.write(lambda s: setattr(s.get_one(Staff, supervisor), "presence", Presence.ONLINE))
    with pytest.raises(BroadcastRefusedError, match="supervisor_present"):
        outage.approve(notice, by="leader")
    with pytest.raises(BroadcastRefusedError, match="not_allowed"):
        outage.approve(notice, by="agent")
    outage.write(lambda s: setattr(s.get_one(Staff, supervisor), "presence", Presence.OFFLINE))
    outage.approve(notice, by="leader")

    assert outage.broadcast(notice).approver_id == outage.staff("leader")


async def test_what_was_approved_is_what_was_seen(outage: Outage) -> None:
    notice = outage.draft(outage.incident())
    seen = outage.broadcast(notice).revision
    author, approver = outage.staff("ops"), outage.staff("supervisor")
    outage.write(
        lambda s: announcements.edit(
            s, notice, revision=seen, staff_id=author, now=outage.now, text=Bilingual("改过了。", "Changed.")
        )
    )
    with pytest.raises(BroadcastRefusedError, match="changed_meanwhile"):
        outage.write(
            lambda s: approvals.approve(s, outage.centre, notice, revision=seen, staff_id=approver, now=outage.now)
        )


async def test_the_audience_is_frozen_when_it_is_approved(outage: Outage) -> None:
    notice = outage.draft(outage.incident())
    outage.approve(notice)
    outage.write(lambda s: setattr(s.get_one(Contact, outage_contact(s, SUN)), "building", "9"))
    outage.send(notice)
    await outage.settle()

    assert outage.broadcast(notice).audience_size == 5
    assert outage.outcome(notice, SUN) is Outcome.ACCEPTED


def outage_contact(session, name: str) -> int:  # type: ignore[no-untyped-def]  # noqa: ANN001
    contact_id: int = session.scalars(select(Contact.id).where(Contact.name == name)).one()
    return contact_id


async def test_the_silent_climb_to_the_telephone_once_their_time_has_come(outage: Outage, clock: ManualClock) -> None:
    notice = outage.launched()
    await outage.settle()
    clock.advance(timedelta(minutes=14))
    await outage.settle()
    assert not outage.voice.sent

    clock.advance(timedelta(minutes=1))
    await outage.settle()
    assert len(outage.voice.sent) == 5
    assert all(len(outage.deliveries(notice, name)) == 2 for name in EVERYBODY)
    assert outage.counts(notice) == {Outcome.ACCEPTED: 5}


async def test_waiting_begins_when_a_message_leaves_not_when_it_is_queued(outage: Outage, clock: ManualClock) -> None:
    notice = outage.launched()
    outage.tick()
    clock.advance(timedelta(hours=2))
    outage.tick()

    assert {d.channel for d in outage.deliveries(notice)} == {ChannelName.SMS}
    assert outage.counts(notice) == {Outcome.PENDING: 5}


async def test_an_acknowledgement_ends_it_on_every_channel(outage: Outage, clock: ManualClock) -> None:
    notice = outage.launched()
    await outage.settle()
    clock.advance(timedelta(minutes=15))
    outage.tick()
    queued = [d for d in outage.deliveries(notice, SUN) if d.state is DeliveryState.QUEUED]
    assert [d.channel for d in queued] == [ChannelName.VOICE]

    assert [outage.acknowledges(SUN) for _ in range(2)] == [1, 0]
    await outage.settle()

    assert outage.outcome(notice, SUN) is Outcome.ACKNOWLEDGED
    assert [d.state for d in outage.deliveries(notice, SUN)] == [DeliveryState.ACCEPTED, DeliveryState.CANCELLED]
    assert outage.phone(SUN) not in [out.address for out in outage.voice.sent]
    assert len(outage.voice.sent) == 4


async def test_a_failed_number_is_followed_by_the_next_channel_at_once(outage: Outage) -> None:
    outage.sms.answers[outage.phone(SUN)] = Rejected("invalid number")
    notice = outage.launched()
    await outage.settle()

    assert [out.address for out in outage.voice.sent] == [outage.phone(SUN)]
    assert [d.state for d in outage.deliveries(notice, SUN)] == [DeliveryState.FAILED, DeliveryState.ACCEPTED]


async def test_whom_nobody_reaches_is_handed_to_staff(outage: Outage, clock: ManualClock) -> None:
    outage.sms.answers[outage.phone(ZHAO)] = Rejected("invalid number")
    outage.voice.answers[outage.phone(ZHAO)] = Rejected("invalid number")
    outage.write(lambda s: s.add(_without_address(outage)))
    notice = outage.launched()
    for _ in range(3):
        await outage.settle()
        clock.advance(timedelta(minutes=16))
    await outage.settle()

    assert outage.outcome(notice, ZHAO) is Outcome.UNREACHABLE
    assert outage.counts(notice) == {Outcome.ACCEPTED: 4, Outcome.UNREACHABLE: 2}
    assert outage.broadcast(notice).state is BroadcastState.FINISHED
    supervisor = outage.staff("supervisor")
    told = outage.write(lambda s: [alert.body["text"] for alert in alerts.unread(s, supervisor)])
    assert any("2 人没有联系到" in text for text in told)


def _without_address(outage: Outage) -> Contact:
    return Contact(name="无号码", timezone="Asia/Shanghai", building="3", created_at=outage.now)


async def test_a_late_word_still_counts_after_the_end(outage: Outage, clock: ManualClock) -> None:
    notice = outage.launched()
    for _ in range(3):
        await outage.settle()
        clock.advance(timedelta(minutes=16))
    await outage.settle()
    assert outage.broadcast(notice).state is BroadcastState.FINISHED

    outage.report(outage.deliveries(notice, SUN)[0].id, DeliveryState.DELIVERED)
    assert outage.outcome(notice, SUN) is Outcome.DELIVERED
    outage.report(outage.deliveries(notice, SUN)[1].id, DeliveryState.HEARD)
    assert outage.counts(notice) == {Outcome.ACCEPTED: 4, Outcome.HEARD: 1}


async def test_on_our_own_page_it_stands_there_at_once_and_is_delivered_when_shown(outage: Outage) -> None:
    outage.give_webchat(SUN)
    notice = outage.launched()
    await outage.settle()
    (delivery,) = outage.deliveries(notice, SUN)
    assert (delivery.channel, delivery.state) == (ChannelName.WEBCHAT, DeliveryState.ACCEPTED)
    assert outage.phone(SUN) not in [out.address for out in outage.sms.sent]

    def line(session):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        message = session.get_one(Message, delivery.message_id)
        conversation = session.get_one(Conversation, delivery.conversation_id)
        return message, conversation

    message, conversation = outage.write(line)
    assert "三号楼供热管道爆裂" in message.text
    assert message.buttons[0]["title"] == "收到"
    assert conversation.broadcast_id == notice

    outage.write(lambda s: flights.shown(s, conversation.id, message.seq - 1, outage.now))
    assert outage.outcome(notice, SUN) is Outcome.ACCEPTED
    outage.write(lambda s: flights.shown(s, conversation.id, message.seq, outage.now))
    assert outage.outcome(notice, SUN) is Outcome.DELIVERED


async def test_stopped_it_holds_everything_and_resumed_it_goes_on(outage: Outage, clock: ManualClock) -> None:
    notice = outage.launched()
    outage.write(lambda s: flights.fan_out(s, outage.centre, notice, outage.now, page=2))
    supervisor = outage.staff("supervisor")
    outage.write(lambda s: broadcasts.stop(s, notice, staff_id=supervisor, now=outage.now))
    clock.advance(timedelta(hours=1))
    await outage.settle()
    assert not outage.sms.sent
    assert outage.counts(notice) == {Outcome.PENDING: 5}

    outage.write(lambda s: broadcasts.resume(s, notice, staff_id=supervisor, now=outage.now))
    await outage.settle()
    assert len(outage.sms.sent) == 5
    assert outage.counts(notice) == {Outcome.ACCEPTED: 5}


async def test_stopped_while_waiting_the_silent_climb_after_resuming(outage: Outage, clock: ManualClock) -> None:
    notice = outage.launched()
    await outage.settle()
    supervisor = outage.staff("supervisor")
    outage.write(lambda s: broadcasts.stop(s, notice, staff_id=supervisor, now=outage.now))
    outage.report(outage.deliveries(notice, SUN)[0].id, DeliveryState.FAILED, "no such number")
    clock.advance(timedelta(minutes=30))
    await outage.settle()
    assert not outage.voice.sent
    assert outage.outcome(notice, SUN) is Outcome.FAILED

    outage.write(lambda s: broadcasts.resume(s, notice, staff_id=supervisor, now=outage.now))
    await outage.settle()
    assert len(outage.voice.sent) == 5


async def test_stopped_for_good_it_expires_by_itself(outage: Outage, clock: ManualClock) -> None:
    notice = outage.launched()
    outage.write(lambda s: flights.fan_out(s, outage.centre, notice, outage.now, page=2))
    supervisor = outage.staff("supervisor")
    outage.write(lambda s: broadcasts.stop(s, notice, staff_id=supervisor, now=outage.now))
    clock.advance(timedelta(hours=25))
    await outage.settle()

    assert not outage.sms.sent
    assert outage.counts(notice) == {Outcome.EXPIRED: 5}
    assert outage.broadcast(notice).state is BroadcastState.FINISHED


async def test_cancelled_nothing_more_leaves_and_what_left_is_counted_honestly(outage: Outage) -> None:
    notice = outage.launched()
    outage.write(lambda s: flights.fan_out(s, outage.centre, notice, outage.now, page=2))
    await outage.drain()
    outage.write(lambda s: flights.fan_out(s, outage.centre, notice, outage.now, page=2))
    supervisor = outage.staff("supervisor")
    outage.write(lambda s: broadcasts.cancel(s, notice, staff_id=supervisor, why="写错了", now=outage.now))
    await outage.settle()

    assert len(outage.sms.sent) == 2
    assert outage.counts(notice) == {Outcome.ACCEPTED: 2, Outcome.CANCELLED: 3}
    with pytest.raises(BroadcastRefusedError, match="already_over"):
        outage.write(lambda s: broadcasts.cancel(s, notice, staff_id=supervisor, why="", now=outage.now))


async def test_a_drill_counts_everybody_and_reaches_nobody(outage: Outage) -> None:
    notice = outage.launched(drill=True)
    await outage.settle()

    assert not outage.sms.sent
    assert not outage.deliveries(notice)
    assert outage.counts(notice) == {Outcome.CANCELLED: 5}
    assert outage.broadcast(notice).state is BroadcastState.FINISHED
    supervisor = outage.staff("supervisor")
    told = outage.write(lambda s: [alert.body["text"] for alert in alerts.unread(s, supervisor)])
    assert any("演练" in text for text in told)


async def test_the_all_clear_goes_to_the_same_people_by_what_worked(outage: Outage, clock: ManualClock) -> None:
    notice = outage.launched()
    await outage.settle()
    clock.advance(timedelta(minutes=15))
    await outage.settle()
    outage.report(outage.deliveries(notice, SUN)[1].id, DeliveryState.HEARD)
    outage.write(lambda s: setattr(s.get_one(Contact, outage_contact(s, LI)), "building", "9"))
    incident = outage.the_incident(notice).id
    author, approver = outage.staff("ops"), outage.staff("supervisor")

    def all_clear(session):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return announcements.follow(
            session, outage.centre, notice, BroadcastKind.ALL_CLEAR, staff_id=author, now=outage.now
        ).id

    with pytest.raises(BroadcastRefusedError, match="not_recovered"):
        outage.write(all_clear)
    outage.write(lambda s: incidents.recover(s, outage.centre, incident, staff_id=approver, text="", now=outage.now))
    over = outage.write(all_clear)
    assert outage.write(all_clear) == over
    outage.approve(over)
    sms, voice = len(outage.sms.sent), len(outage.voice.sent)
    outage.send(over)
    await outage.settle()

    assert outage.broadcast(notice).state is BroadcastState.CANCELLED  # superseded
    assert outage.counts(over) == {Outcome.ACCEPTED: 5}
    assert [out.address for out in outage.voice.sent[voice:]] == [outage.phone(SUN)]
    assert len(outage.sms.sent) == sms + 4
    assert "回复1" not in outage.sms.sent[-1].text
    assert outage.broadcast(over).state is BroadcastState.FINISHED
    assert outage.the_incident(notice).state is IncidentState.ALL_CLEAR
    clock.advance(timedelta(hours=1))
    await outage.settle()
    assert len(outage.sms.sent) + len(outage.voice.sent) == sms + voice + 5  # nobody is rung up for an all-clear


async def test_an_answer_by_text_message_acknowledges_and_anything_else_becomes_a_case(outage: Outage) -> None:
    notice = outage.launched()
    await outage.settle()
    assert "确认" in (await outage.writes(SUN, "1"))[0]
    assert outage.outcome(notice, SUN) is Outcome.ACKNOWLEDGED

    assert await outage.writes(LI, "收到了，但是我家有病人在吸氧")
    cases = outage.write(lambda s: list(s.scalars(select(Case).where(Case.broadcast_id == notice))))
    assert [case.contact_id for case in cases] == [outage.contact(LI)]


async def test_one_answer_is_for_every_announcement_that_is_there(outage: Outage, clock: ManualClock) -> None:
    pipe, boiler = outage.launched(), outage.launched()
    await outage.settle()
    clock.advance(timedelta(minutes=2))
    assert "2条通知" in (await outage.writes(SUN, "1"))[0]
    assert [outage.outcome(each, SUN) for each in (pipe, boiler)] == [Outcome.ACKNOWLEDGED] * 2
    clock.advance(timedelta(minutes=15))
    await outage.settle()

    assert outage.phone(SUN) not in [out.address for out in outage.voice.sent]
    assert outage.counts(pipe) == outage.counts(boiler) == {Outcome.ACCEPTED: 4, Outcome.ACKNOWLEDGED: 1}


async def test_an_answer_does_not_claim_what_may_not_have_arrived(outage: Outage, clock: ManualClock) -> None:
    pipe = outage.launched()
    await outage.settle()
    outage.report(outage.deliveries(pipe, SUN)[0].id, DeliveryState.DELIVERED)
    clock.advance(timedelta(minutes=2))
    boiler = outage.launched()
    await outage.settle()
    said = await outage.writes(SUN, "收到")  # before the receipt of the second

    assert "还有1条" in said[0]
    assert (outage.outcome(pipe, SUN), outage.outcome(boiler, SUN)) == (Outcome.ACKNOWLEDGED, Outcome.ACCEPTED)
    outage.report(outage.deliveries(boiler, SUN)[0].id, DeliveryState.DELIVERED)
    clock.advance(timedelta(seconds=5))
    assert "谢谢" in (await outage.writes(SUN, "1"))[0]
    assert outage.outcome(boiler, SUN) is Outcome.ACKNOWLEDGED


async def test_an_answer_is_not_for_what_is_sent_after_it(outage: Outage, clock: ManualClock) -> None:
    pipe = outage.launched()
    await outage.settle()
    await outage.writes(SUN, "1")
    boiler = outage.launched()
    await outage.settle()
    assert (outage.outcome(pipe, SUN), outage.outcome(boiler, SUN)) == (Outcome.ACKNOWLEDGED, Outcome.ACCEPTED)
    clock.advance(timedelta(minutes=2))
    await outage.writes(SUN, "1", nth=2)
    assert outage.outcome(boiler, SUN) is Outcome.ACKNOWLEDGED


async def test_a_word_that_waited_at_the_messenger_is_as_old_as_it_says(outage: Outage, clock: ManualClock) -> None:
    pipe = outage.launched()
    await outage.settle()
    clock.advance(timedelta(minutes=2))
    sent = int(outage.now.timestamp())
    clock.advance(timedelta(minutes=30))  # we were away
    boiler = outage.launched()
    await outage.drain()
    outage.tick()
    await outage.drain()
    await outage.writes(SUN, "1", sent=sent)

    assert (outage.outcome(pipe, SUN), outage.outcome(boiler, SUN)) == (Outcome.ACKNOWLEDGED, Outcome.ACCEPTED)


def buttons_of(outage: Outage, notice: int, name: str) -> list[dict[str, str]]:
    buttons: list[dict[str, str]] = outage.deliveries(notice, name)[0].body["buttons"]
    return buttons


async def test_an_older_button_acknowledges_its_own(outage: Outage, clock: ManualClock) -> None:
    pipe, boiler = outage.launched(), outage.launched()
    await outage.settle()
    clock.advance(timedelta(minutes=2))
    await outage.writes(SUN, "没暖气，冷死了")  # something else is being asked by now
    (older,) = buttons_of(outage, pipe, SUN)
    (newer,) = buttons_of(outage, boiler, SUN)
    assert older["payload"] != newer["payload"]
    before = outage.outcome(boiler, SUN)
    said = await outage.writes(SUN, older["title"], payload=older["payload"])

    assert any("确认" in line for line in said)
    assert outage.outcome(pipe, SUN) is Outcome.ACKNOWLEDGED
    assert outage.outcome(boiler, SUN) is before
    await outage.writes(SUN, newer["title"], payload=newer["payload"], nth=2)
    assert outage.outcome(boiler, SUN) is Outcome.ACKNOWLEDGED


async def test_a_button_counts_while_a_person_holds_the_conversation(outage: Outage) -> None:
    notice = outage.launched()
    await outage.settle()
    await outage.writes(SUN, "转人工")
    (button,) = buttons_of(outage, notice, SUN)
    holding = outage.deliveries(notice, SUN)[0].conversation_id
    assert outage.write(lambda s: s.get_one(Conversation, holding).state) is not ConversationState.BOT
    assert outage.outcome(notice, SUN) is not Outcome.ACKNOWLEDGED

    assert not await outage.writes(SUN, button["title"], payload=button["payload"])
    assert outage.outcome(notice, SUN) is Outcome.ACKNOWLEDGED


async def test_somebody_elses_button_acknowledges_nothing(outage: Outage) -> None:
    notice = outage.launched()
    outage.write(lambda s: flights.fan_out(s, outage.centre, notice, outage.now, page=1))
    await outage.drain()
    sent = next(name for name in EVERYBODY if outage.deliveries(notice, name))
    other = next(name for name in EVERYBODY if name != sent)
    (button,) = buttons_of(outage, notice, sent)
    await outage.writes(other, button["title"], payload=button["payload"])

    assert Outcome.ACKNOWLEDGED not in outage.counts(notice)


async def test_whoever_wrote_back_about_anything_is_not_rung_up(outage: Outage, clock: ManualClock) -> None:
    notice = outage.launched()
    await outage.settle()
    await outage.writes(LI, "没暖气，冷死了")
    clock.advance(timedelta(minutes=15))
    await outage.settle()

    assert outage.outcome(notice, LI) is Outcome.HEARD
    assert len(outage.voice.sent) == 4
    assert outage.phone(LI) not in [out.address for out in outage.voice.sent]


async def test_a_preview_counts_people_segments_money_and_time(outage: Outage) -> None:
    outage.give_webchat(SUN)
    outage.write(lambda s: s.add(_without_address(outage)))
    notice = outage.draft(outage.incident())
    shown = outage.write(lambda s: previews.preview(s, outage.centre, s.get_one(Broadcast, notice), outage.now))

    assert (shown.size, shown.vulnerable, shown.no_address) == (6, 1, 1)
    assert {channel: count for channel, count in shown.first.items() if count} == {
        ChannelName.WEBCHAT: 1,
        ChannelName.SMS: 4,
    }
    assert shown.units[ChannelName.SMS] == 3 * shown.segments["zh"] + shown.segments["en"]
    assert shown.finish == timedelta(seconds=shown.units[ChannelName.SMS])
    assert not shown.held
    assert outage.write(lambda s: s.scalar(select(func.count()).select_from(BroadcastRecipient))) == 0
    assert outage.write(lambda s: s.scalar(select(func.count()).where(Delivery.recipient_id.is_not(None)))) == 0
