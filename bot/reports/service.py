"""The service report (REQ-H10): how fast customers were answered, what the bot settled, ratings, what was late.

Counted are the conversations somebody wrote in during the period; calls are the follow-up report's. Nuisances are left
out of everybody's figures (REQ-H12), and so are cases declared void (REQ-G04). Everything here is plain values; the
console draws them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, Select, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from bot.core.policy import Sla
from bot.core.standards import Line, Typing, Wait, percentile, waits
from bot.core.words import Author, CaseKind, ChannelName, EscalationState
from bot.reports.figures import Measure
from bot.services.conversation import holding
from bot.services.i18n import N_
from bot.services.records import voids
from store.tables import Archivable, Case, Conversation, Escalation, Message, Staff

NUISANCE = "nuisance"
SKEW = timedelta(hours=1)  # rows are numbered in the order of their time, but for those that commit late
CHUNK = 500
TOP_RATING = 5


class Standard(StrEnum):
    """What is measured, in reading order."""

    GREETED_SOON = "greeted_soon"
    GREETED = "greeted"
    ANSWERED = "answered"
    PICKED_UP = "picked_up"
    CONTAINED = "contained"
    RATING = "rating"
    CASES_ON_TIME = "cases_on_time"
    ALERTS_TAKEN = "alerts_taken"


KINDS: Mapping[Standard, tuple[str, str]] = {
    Standard.GREETED_SOON: (
        N_("首次回应达目标"),
        N_("客户第一句话后，在目标时间内得到回应的会话 ÷ 有客户说话的会话（REQ-B02）"),
    ),
    Standard.GREETED: (
        N_("首次回应不超时"),
        N_("客户第一句话后，在限时内得到回应的会话 ÷ 有客户说话的会话（REQ-B01）"),
    ),
    Standard.ANSWERED: (
        N_("每问必答不超时"),
        N_("在限时内得到回答的等待 ÷ 客户的全部等待；“请稍候”不算回答（REQ-B05）"),
    ),
    Standard.PICKED_UP: (N_("转人工接起率"), N_("有同事接起的会话 ÷ 排过队的会话")),
    Standard.CONTAINED: (N_("机器人解决率"), N_("没有排队找人工的会话 ÷ 有客户说话的会话")),
    Standard.RATING: (N_("客户评分"), N_("客户评分之和 ÷ 评分个数（满分 5 分）")),
    Standard.CASES_ON_TIME: (N_("工单按时办结"), N_("不晚于期限办结的工单 ÷ 期内办结且有期限的工单")),
    Standard.ALERTS_TAKEN: (N_("升级有人接手"), N_("有人接手的升级 ÷ 期内开始的升级；撤销的不算")),
}
"""Each figure's name, and how it is computed in words."""


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation as the report sees it: its waits in the period, and what became of it."""

    id: int
    opened_at: datetime
    queued: bool
    taken_by: int | None  # whoever wrote last
    rating: int | None
    reason: str | None
    waits: tuple[Wait, ...]


@dataclass(frozen=True, slots=True)
class Person:
    """One of the staff: conversations spoken in, the waits they ended within the limit, the ratings of those talks, and
    how fast they typed (REQ-B04)."""

    staff_id: int
    name: str
    talks: int
    answered: Measure
    median: timedelta | None
    rating: Measure
    typing: Typing


@dataclass(frozen=True, slots=True)
class Service:
    """A report over since ≤ t < until. `outside` names the conversations, or cases, that missed a standard, latest
    first; `hours` are arrivals and hand-offs by the hour of the centre's day."""

    since: datetime
    until: datetime
    talks: int
    measures: Mapping[Standard, Measure]
    outside: Mapping[Standard, tuple[int, ...]]
    median_bot: timedelta | None
    median_person: timedelta | None
    slow_person: timedelta | None  # nine of ten waits for a person were shorter
    typing: Typing
    people: tuple[Person, ...]
    hours: tuple[tuple[int, int, int], ...]
    reasons: tuple[tuple[str, int], ...]
    complaints: tuple[tuple[str, int], ...]


@dataclass(slots=True)
class Tally:
    """A figure being counted; what misses it is kept."""

    part: int = 0
    whole: int = 0
    outside: list[int] = field(default_factory=list)

    def count(self, kept: bool | None, row_id: int) -> None:
        """`kept` None: it is not known yet, and not counted."""
        if kept is None:
            return
        self.whole += 1
        self.part += kept
        if not kept and (not self.outside or self.outside[-1] != row_id):
            self.outside.append(row_id)


def service(session: Session, *, since: datetime, until: datetime, sla: Sla, zone: ZoneInfo, now: datetime) -> Service:
    """The report, read in one transaction; `until` may lie ahead of `now`."""
    until = min(until, now)
    talks = [talk for talk in _talks(session, since, until) if talk.waits]
    tallies: defaultdict[Standard, Tally] = defaultdict(Tally)
    for talk in talks:
        _count_talk(tallies, talk, sla, until)
    _count_cases(session, tallies[Standard.CASES_ON_TIME], since, until)
    _count_alerts(session, tallies[Standard.ALERTS_TAKEN], since, until)
    ended = [wait for talk in talks for wait in talk.waits if wait.took is not None]
    typed = _typing(session, since, until)
    by_person = [took for wait in ended if wait.author is Author.AGENT and (took := wait.took)]
    return Service(
        since,
        until,
        len(talks),
        {each: Measure(tallies[each].part, tallies[each].whole) for each in Standard},
        {each: tuple(sorted(filter(None, tallies[each].outside), reverse=True)) for each in Standard},
        percentile((took for wait in ended if wait.author is Author.BOT and (took := wait.took) is not None), 0.5),
        percentile(by_person, 0.5),
        percentile(by_person, 0.9),
        sum(typed.values(), Typing()),
        _people(session, talks, typed, sla, until),
        _hours(talks, since, zone),
        tuple(Counter(talk.reason or "" for talk in talks if talk.queued).most_common()),
        _complaints(session, since, until),
    )


def _count_talk(tallies: Mapping[Standard, Tally], talk: Talk, sla: Sla, until: datetime) -> None:
    for wait in talk.waits:
        tallies[Standard.ANSWERED].count(wait.within(sla.answer_limit, until), talk.id)
        if wait.first:
            tallies[Standard.GREETED_SOON].count(wait.within(sla.first_reply_target, until), talk.id)
            tallies[Standard.GREETED].count(wait.within(sla.first_reply_limit, until), talk.id)
    tallies[Standard.CONTAINED].count(not talk.queued, talk.id)
    if talk.queued:
        tallies[Standard.PICKED_UP].count(talk.taken_by is not None, talk.id)
    if talk.rating is not None:
        rated = tallies[Standard.RATING]
        rated.whole += 1
        rated.part += talk.rating
        if talk.rating <= TOP_RATING // 2:
            rated.outside.append(talk.id)


# ── conversations ──


def _talks(session: Session, since: datetime, until: datetime) -> Iterator[Talk]:
    """The conversations of the period, nuisances left out."""
    lines = session.execute(_lines(session, since, until))
    for rows in _chunks(groupby(lines, key=lambda row: row.conversation_id)):
        known = {
            talk.id: talk
            for talk in session.execute(
                select(
                    Conversation.id,
                    Conversation.opened_at,
                    Conversation.queued_at,
                    Conversation.reason,
                    Conversation.rating,
                    Conversation.wrap_up,
                ).where(Conversation.id.in_(rows))
            )
        }
        for conversation_id, said in rows.items():
            talk = known[conversation_id]
            if talk.wrap_up != NUISANCE:
                yield _talk(talk, said, since)


def _talk(
    talk: Row[Any],
    said: Sequence[Row[Any]],
    since: datetime,
) -> Talk:
    """One conversation of its lines in the period."""
    lines = [
        Line(
            row.at,
            row.author,
            row.staff_id,
            answers=row.author is not Author.SYSTEM and not row.key.startswith(holding.KEY),
        )
        for row in said
    ]
    spoke = [line.staff_id for line in lines if line.author is Author.AGENT]
    return Talk(
        talk.id,
        talk.opened_at,
        talk.queued_at is not None,
        spoke[-1] if spoke else None,
        talk.rating,
        talk.reason,
        tuple(waits(lines, from_start=talk.opened_at >= since)),
    )


def _lines(session: Session, since: datetime, until: datetime) -> Select[tuple[int, datetime, Author, int | None, str]]:
    first = first_id(session, Message.id, Message.at, since - SKEW)
    last = first_id(session, Message.id, Message.at, until + SKEW)
    return (
        select(Message.conversation_id, Message.at, Message.author, Message.staff_id, Message.key)
        .where(
            Message.id.between(first, last),
            Message.at >= since,
            Message.at < until,
            Message.channel != ChannelName.VOICE,
            ~Message.private,
        )
        .order_by(Message.conversation_id, Message.seq)
    )


def first_id(
    session: Session, row_id: InstrumentedAttribute[int], at: InstrumentedAttribute[datetime], moment: datetime
) -> int:
    """About the first row from `moment` on, found along the primary key: rows are numbered as time goes by, and an
    index on the time of every message would be paid for with each of them."""
    low, high = session.execute(select(func.min(row_id), func.max(row_id))).one()
    if low is None:
        return 0
    high += 1
    while low < high:
        middle = (low + high) // 2
        found = session.execute(select(row_id, at).where(row_id >= middle).order_by(row_id).limit(1)).one()
        if found[1] < moment:
            low = found[0] + 1
        else:
            high = middle
    return int(low)


def _chunks(
    groups: Iterable[tuple[int, Iterable[Row[Any]]]],
) -> Iterator[dict[int, list[Row[Any]]]]:
    held: dict[int, list[Row[Any]]] = {}
    for key, rows in groups:
        held[key] = list(rows)
        if len(held) == CHUNK:
            yield held
            held = {}
    if held:
        yield held


# ── people, hours, cases, alerts ──


def _typing(session: Session, since: datetime, until: datetime) -> dict[int, Typing]:
    """What everybody typed by hand; what was pasted or taken from the canned replies is not measured."""
    lines = session.execute(
        select(Message.staff_id, Message.details).where(
            Message.id.between(
                first_id(session, Message.id, Message.at, since - SKEW),
                first_id(session, Message.id, Message.at, until + SKEW),
            ),
            Message.at >= since,
            Message.at < until,
            Message.author == Author.AGENT,
            Message.staff_id.is_not(None),
            Message.details.is_not(None),
        )
    )
    found: defaultdict[int, Typing] = defaultdict(Typing)
    for staff_id, details in lines:
        if typed := details.get("typed"):
            found[staff_id] += Typing(typed["characters"], typed["seconds"])
    return found


def _people(
    session: Session, talks: Sequence[Talk], typed: Mapping[int, Typing], sla: Sla, until: datetime
) -> tuple[Person, ...]:
    """Everybody who answered somebody, busiest first."""
    answered: defaultdict[int, list[Wait]] = defaultdict(list)
    spoken: defaultdict[int, set[int]] = defaultdict(set)
    rated: defaultdict[int, list[int]] = defaultdict(list)
    for talk in talks:
        for wait in talk.waits:
            if wait.author is Author.AGENT and wait.staff_id is not None:
                answered[wait.staff_id].append(wait)
                spoken[wait.staff_id].add(talk.id)
        if talk.taken_by is not None and talk.rating is not None:
            rated[talk.taken_by].append(talk.rating)
    names = {row.id: row.name for row in session.execute(select(Staff.id, Staff.name).where(Staff.id.in_(spoken)))}
    found = [
        Person(
            staff_id,
            names[staff_id],
            len(spoken[staff_id]),
            Measure(sum(wait.within(sla.answer_limit, until) is True for wait in mine), len(mine)),
            percentile((took for wait in mine if (took := wait.took) is not None), 0.5),
            Measure(sum(rated[staff_id]), len(rated[staff_id])),
            typed.get(staff_id, Typing()),
        )
        for staff_id, mine in answered.items()
    ]
    return tuple(sorted(found, key=lambda person: (-person.talks, person.name)))


def _hours(talks: Iterable[Talk], since: datetime, zone: ZoneInfo) -> tuple[tuple[int, int, int], ...]:
    """(hour, conversations begun, of these handed to people), the whole day through."""
    begun, handed = Counter[int](), Counter[int]()
    for talk in talks:
        if talk.opened_at >= since:
            hour = talk.opened_at.astimezone(zone).hour
            begun[hour] += 1
            handed[hour] += talk.queued
    return tuple((hour, begun[hour], handed[hour]) for hour in range(24))


def _count_cases(session: Session, tally: Tally, since: datetime, until: datetime) -> None:
    ended = select(Case.id, Case.closed_at, Case.due_at).where(
        Case.closed_at >= since,
        Case.closed_at < until,
        Case.due_at.is_not(None),
        voids.counts(Archivable.CASE, Case.id),
    )
    for case in session.execute(ended.order_by(Case.id)):
        tally.count(case.closed_at <= case.due_at, case.id)


def _count_alerts(session: Session, tally: Tally, since: datetime, until: datetime) -> None:
    begun = select(Escalation.id, Escalation.state, Escalation.case_id).where(
        Escalation.id >= first_id(session, Escalation.id, Escalation.started_at, since - SKEW),
        Escalation.started_at >= since,
        Escalation.started_at < until,
    )
    for alert in session.execute(begun.order_by(Escalation.id)):
        if alert.state in (EscalationState.ACKNOWLEDGED, EscalationState.EXHAUSTED):
            tally.count(alert.state is EscalationState.ACKNOWLEDGED, alert.case_id or 0)  # 0: it is no case's


def _complaints(session: Session, since: datetime, until: datetime) -> tuple[tuple[str, int], ...]:
    """Complaints of the period by the queue they went to, most first."""
    found = select(Case.queue, func.count()).where(
        Case.kind == CaseKind.COMPLAINT,
        Case.id >= first_id(session, Case.id, Case.opened_at, since - SKEW),
        Case.opened_at >= since,
        Case.opened_at < until,
        voids.counts(Archivable.CASE, Case.id),
    )
    return tuple(
        (queue, count) for queue, count in session.execute(found.group_by(Case.queue).order_by(func.count().desc()))
    )
