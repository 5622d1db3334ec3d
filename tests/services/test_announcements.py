"""Before and around the launch: whom it is for, who may approve it, the night, corrections, what becomes of answers."""

from __future__ import annotations

import io
from datetime import timedelta

import openpyxl
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.policy import Bilingual
from bot.core.words import BroadcastState, ChannelName, DeliveryState, Outcome, Purpose
from bot.services import contacts
from bot.services.announcements import announcements, approvals, audience, audience_lists, broadcasts, previews
from bot.services.announcements.audience import audience_of, members
from bot.services.announcements.broadcasts import BroadcastRefusedError
from bot.services.centre import Centre
from bot.services.delivery import outbox
from bot.services.delivery.pace import Pace
from store.tables import AuditEntry, Broadcast, Case, Contact, Delivery, Incident, IncidentEntry, Staff
from tests.fakes.announcing import Outage, Rejected
from tests.fakes.clock import ManualClock

ZHAO, SUN, LI = "赵春生", "孙立夏", "李长河"
NIGHT = timedelta(hours=13)  # after ten in the morning


@pytest.fixture
def outage(centre: Centre) -> Outage:
    return Outage(centre)


def named(outage: Outage, chosen: dict[str, object]) -> set[str]:
    def look(session: Session) -> set[str]:
        ids = session.scalars(members(session, chosen, outage.now)).all()
        return set(session.scalars(select(Contact.name).where(Contact.id.in_(ids))))

    return outage.write(look)


# ── whom ──


def test_units_lists_and_exceptions_join(outage: Outage) -> None:
    sun, li = outage.contact(SUN), outage.contact(LI)
    outage.write(lambda s: contacts.learn(s, sun, {"unit": "3-2-501"}, now=outage.now, why="test"))
    outage.write(lambda s: contacts.learn(s, li, {"unit": "3-21-101"}, now=outage.now, why="test"))
    building = named(outage, audience_of(["3"], []))

    assert SUN in named(outage, audience_of([], [], units=["3-2"]))
    assert LI not in named(outage, audience_of([], [], units=["3-2"]))
    assert named(outage, audience_of([], [], contacts=[outage.contact(ZHAO)])) == {ZHAO}
    without = audience_of(["3"], [], without=[audience_of([], [], contacts=[outage.contact(ZHAO)])])
    assert named(outage, without) == building - {ZHAO}
    assert named(outage, audience_of([], [])) == set()


def test_everybody_is_every_customer_and_not_the_staff_who_linked_a_chat(outage: Outage) -> None:
    def link(session: Session) -> None:
        met = contacts.meet(
            session, ChannelName.TELEGRAM, "4711", language=outage.centre.settings.language, zone="UTC", now=outage.now
        )
        session.get_one(Contact, met.contact_id).name = "主管本人"
        session.scalars(select(Staff).where(Staff.username == "supervisor")).one().telegram_id = met.address_id

    outage.write(link)
    everybody = named(outage, audience_of([], [], everybody=True))
    assert ZHAO in everybody
    assert "主管本人" not in everybody


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_list_of_numbers_is_an_audience(outage: Outage, kind: str) -> None:
    rows = [["姓名", "电话"], ["赵", outage.phone(ZHAO)], ["新", "138 0000 9999"], ["无", "—"], ["又", "13800009999"]]
    if kind == "csv":
        data = "\n".join(",".join(row) for row in rows).encode("gb18030")
    else:
        book, file = openpyxl.Workbook(), io.BytesIO()
        for row in rows:
            book.active.append(row)
        book.save(file)
        data = file.getvalue()
    found = audience_lists.read_list(data)
    assert (len(found.numbers), found.without) == (2, (4,))

    notice, author = outage.draft(outage.incident(), buildings=("99",)), outage.staff("ops")
    add = lambda s: audience_lists.add_list(  # noqa: E731
        s, outage.centre, notice, found.numbers, revision=1, staff_id=author, now=outage.now
    )
    assert outage.write(add) == 2
    with pytest.raises(BroadcastRefusedError, match="changed_meanwhile"):
        outage.write(add)
    assert (
        len(outage.write(lambda s: s.scalars(members(s, s.get_one(Broadcast, notice).audience, outage.now)).all())) == 2
    )


def test_a_preview_warns_where_it_would_still_go_out_when_all_is_over(outage: Outage) -> None:
    notice = outage.draft(outage.incident())

    def shown(session: Session, eta: timedelta) -> previews.Preview:
        broadcast = session.get_one(Broadcast, notice)
        session.get_one(Incident, broadcast.incident_id).eta_at = outage.now + eta
        return previews.preview(session, outage.centre, broadcast, outage.now)

    assert outage.write(lambda s: shown(s, timedelta(seconds=2))).too_late
    preview = outage.write(lambda s: shown(s, timedelta(hours=2)))
    assert not preview.too_late
    assert preview.lasts[ChannelName.SMS] == preview.finish


# ── who, and when ──


def test_a_supervisor_alone_may_approve_their_own_with_a_reason_that_is_kept(outage: Outage) -> None:
    supervisor = outage.staff("supervisor")
    notice = outage.draft(outage.incident(), author="supervisor")

    def approve(session: Session, why: str) -> None:
        revision = session.get_one(Broadcast, notice).revision
        approvals.approve(
            session, outage.centre, notice, revision=revision, staff_id=supervisor, now=outage.now, override=why
        )

    with pytest.raises(BroadcastRefusedError, match="approver_is_author"):
        outage.write(lambda s: approve(s, "  "))
    outage.write(lambda s: approve(s, "管道正在喷汽，没有第二位同事"))
    broadcast = outage.broadcast(notice)
    assert (broadcast.state, broadcast.override_reason) == (BroadcastState.APPROVED, "管道正在喷汽，没有第二位同事")
    audited = outage.write(
        lambda s: s.scalars(select(AuditEntry).where(AuditEntry.action == "broadcast.override")).one()
    )
    assert (audited.staff_id, audited.note) == (supervisor, broadcast.override_reason)
    noted = select(IncidentEntry.text).where(IncidentEntry.kind == "override")
    assert outage.write(lambda s: s.scalars(noted).all()) == [broadcast.override_reason]


def test_nobody_else_overrides_the_second_person(outage: Outage) -> None:
    notice, leader = outage.draft(outage.incident(), author="leader"), outage.staff("leader")
    with pytest.raises(BroadcastRefusedError, match="approver_is_author"):
        outage.write(
            lambda s: approvals.approve(
                s, outage.centre, notice, revision=1, staff_id=leader, now=outage.now, override="急"
            )
        )


def test_at_night_only_the_gravest_incident_or_a_reason_lets_it_go(outage: Outage, clock: ManualClock) -> None:
    clock.advance(NIGHT)
    supervisor = outage.staff("supervisor")
    notice = outage.draft(outage.incident())
    outage.approve(notice)
    with pytest.raises(BroadcastRefusedError, match="night"):
        outage.send(notice)
    ops = outage.staff("ops")
    with pytest.raises(BroadcastRefusedError, match="night"):
        outage.write(
            lambda s: approvals.send(s, outage.centre, notice, staff_id=ops, now=outage.now, override="不能等")
        )
    assert outage.write(
        lambda s: approvals.send(s, outage.centre, notice, staff_id=supervisor, now=outage.now, override="不能等")
    )
    assert outage.broadcast(notice).override_reason == "不能等"

    grave = outage.draft(outage.incident())
    outage.write(lambda s: setattr(s.get_one(Incident, s.get_one(Broadcast, grave).incident_id), "grade", "I"))
    outage.approve(grave)
    assert outage.send(grave)


# ── in flight ──


async def test_a_correction_tells_those_who_were_told_and_replaces_it_for_the_others(
    outage: Outage, clock: ManualClock
) -> None:
    outage.sms.answers[outage.phone(LI)] = Rejected("no such number")
    outage.voice.answers[outage.phone(LI)] = Rejected("no such number")
    notice = outage.launched()
    await outage.settle()
    author = outage.staff("ops")
    right = Bilingual("今晚十点前恢复。", "Back by 10 p.m.")
    amend = lambda s: announcements.amend(s, notice, staff_id=author, now=outage.now, text=right).id  # noqa: E731
    draft = outage.write(amend)
    assert outage.write(amend) == draft  # asked twice, one draft
    outage.sms.answers.clear()
    outage.approve(draft)
    before = len(outage.sms.sent)
    assert outage.send(draft)
    assert not outage.send(draft)
    await outage.settle()

    said = {out.address: out.text for out in outage.sms.sent[before:]}
    assert len(said) == 5
    assert said[outage.phone(SUN)].startswith("【更正】")
    assert said[outage.phone(LI)].startswith("今晚十点前恢复。")
    assert outage.broadcast(notice).state is BroadcastState.CANCELLED
    clock.advance(timedelta(minutes=2))
    assert await outage.writes(SUN, "收到")
    assert outage.outcome(draft, SUN) is Outcome.ACKNOWLEDGED


@pytest.mark.parametrize("words", ["1", "收到", "知道了", "OK"])
async def test_words_acknowledge_too(outage: Outage, words: str) -> None:
    notice = outage.launched()
    await outage.settle()
    await outage.writes(SUN, words)
    assert outage.outcome(notice, SUN) is Outcome.ACKNOWLEDGED
    assert outage.write(lambda s: s.scalars(select(Case).where(Case.broadcast_id == notice)).all()) == []


async def test_replies_are_grouped_by_what_was_meant(outage: Outage) -> None:
    notice = outage.launched()
    await outage.settle()
    await outage.writes(LI, "我家有老人需要帮助")
    await outage.writes(SUN, "请问你们几楼的阀门关了？水还能用吗")
    found = outage.write(lambda s: broadcasts.replies(s, [notice]))
    total = outage.write(lambda s: len(s.scalars(select(Case).where(Case.broadcast_id == notice)).all()))
    assert total >= 1
    assert sum(each.cases for each in found) == total
    assert all(each.open == each.cases and each.latest for each in found)


async def test_somebody_in_need_whom_nothing_reached_is_a_task_for_a_person(outage: Outage, clock: ManualClock) -> None:
    outage.sms.answers[outage.phone(ZHAO)] = Rejected("invalid number")
    outage.voice.answers[outage.phone(ZHAO)] = Rejected("invalid number")
    zhao = outage.contact(ZHAO)
    outage.write(lambda s: setattr(s.get_one(Contact, zhao), "vulnerable", True))
    notice = outage.launched()
    for _ in range(4):
        await outage.settle()
        clock.advance(timedelta(minutes=16))
    await outage.settle()

    assert outage.outcome(notice, ZHAO) is Outcome.UNREACHABLE
    tasks = outage.write(lambda s: s.scalars(select(Case).where(Case.broadcast_id == notice)).all())
    assert [(each.contact_id, each.queue) for each in tasks] == [(outage.contact(ZHAO), "emergency")]
    assert outage.write(lambda s: broadcasts.replies(s, [notice]))[0].matter == "unreached"


async def test_chat_is_answered_while_a_broadcast_goes_out(outage: Outage) -> None:
    """With one place a second for text messages, a reply has its turn long before the broadcast is over."""
    notice, sun = outage.launched(), outage.contact(SUN)
    outage.tick()

    def reply(session: Session) -> None:
        address = contacts.phone_of(session, sun, ChannelName.SMS)
        assert address is not None
        outbox.put(
            session,
            dedupe_key="reply",
            purpose=Purpose.REPLY,
            channel=ChannelName.SMS,
            address_id=address.id,
            contact_id=address.contact_id,
            text="您好",
            language=outage.centre.settings.language,
            now=outage.now,
        )

    outage.write(reply)
    pace = Pace()
    pace.follow(outage.centre.library.current.policies)
    credit = []
    for _ in range(10):
        credit.append(pace.for_conversations(ChannelName.SMS, 1))
        pace.taken_by_conversations(ChannelName.SMS, credit[-1])
    assert sum(credit) in (1, 2)  # of ten places, a fifth
    due = outage.write(
        lambda s: [
            each.purpose
            for each in outbox.due(s, channel=ChannelName.SMS, slots=None, now=outage.now, limit=1, conversations=True)
        ]
    )
    assert due == [Purpose.REPLY]
    waiting = select(Delivery.id).where(Delivery.state == DeliveryState.QUEUED, Delivery.recipient_id.is_not(None))
    assert len(outage.write(lambda s: s.scalars(waiting).all())) == 5
    assert outage.counts(notice) == {Outcome.PENDING: 5}


def test_an_audience_is_kept_as_a_plain_value() -> None:
    assert audience.audience_of([" 3 ", ""], ["vip"]) == {"buildings": ["3"], "segments": ["vip"]}
    assert audience.audience_of([], []) == {}
    assert audience.audience_of([], [], everybody=True, without=[{"buildings": ["9"]}]) == {
        "everybody": True,
        "without": [{"buildings": ["9"]}],
    }
