"""The demo centre's last days, so that a first look finds reports, cases and calls to look at (scripts/demo/week.yml).

Everything is written as the services would have left it, dated before `now`; nothing here is sent to anybody. Only what
still lies ahead, such as next week's follow-up calls, is the program's own work from then on.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot.core.plan import Trigger
from bot.core.words import (
    Author,
    CallbackState,
    CaseKind,
    ChannelName,
    ConversationState,
    Disposition,
    Language,
    Say,
)
from bot.services import contacts
from bot.services.casework import cases
from bot.services.centre import Centre
from bot.services.conversation import conversations
from bot.services.plans import followups
from bot.services.plans.planning import Occurrence
from store.tables import Address, Answer, CallAttempt, Callback, Conversation, Event, Staff

WEEK = Path(__file__).parents[2] / "scripts" / "demo" / "week.yml"
SOURCE = "demo"
BETWEEN_TRIES = timedelta(minutes=50)
TALKED = timedelta(minutes=2, seconds=40)
RANG_OUT = timedelta(seconds=35)
ASKED_AFTER = timedelta(minutes=1)  # a closed complaint's return call is planned so soon
OPENING = "您好，我是云栖综合服务中心的机器人小云，想就您这次到院做个简短回访，现在方便吗？"
UNANSWERED = frozenset({Disposition.NO_ANSWER, Disposition.WRONG_NUMBER})


def load(session: Session, centre: Centre, now: datetime) -> None:
    """Adds the days before `now`; wants the demo's people, and an otherwise fresh database."""
    week: dict[str, list[dict[str, Any]]] = yaml.load(WEEK.read_bytes(), Loader=yaml.CSafeLoader)
    staff = {person.username: person.id for person in session.scalars(select(Staff))}
    zone = ZoneInfo(centre.settings.timezone)
    for number, row in enumerate(week["follow_ups"]):
        _follow_up(session, centre, f"week-{number}", row, _moment(row, now, zone), now)
    for row in week["cases"]:
        _case(session, centre, row, staff[row["agent"]], _moment(row, now, zone), now)
    for row in week["chats"]:
        _chat(session, centre, row, staff.get(row.get("agent", "")), _moment(row, now, zone))


def _moment(row: Mapping[str, Any], now: datetime, zone: ZoneInfo) -> datetime:
    """When it was, by the centre's clock."""
    day = now.astimezone(zone).date() - timedelta(days=row["days_ago"])
    return datetime.combine(day, time.fromisoformat(row["at"]), zone)


def _follow_up(
    session: Session, centre: Centre, external_id: str, row: Mapping[str, Any], at: datetime, now: datetime
) -> None:
    known = followups.record(
        session,
        centre,
        Occurrence(
            source=SOURCE,
            external_id=external_id,
            kind=Trigger(row["kind"]),
            phone=row["phone"],
            name=row["name"],
            title=row["title"],
            happened_at=at,
            details={key: row[key] for key in ("department", "treatment") if key in row},
        ),
        at + timedelta(hours=1),
    )
    if known.callback_id is not None and "result" in row:
        _called(session, session.get_one(Callback, known.callback_id), row, now)


def _called(session: Session, callback: Callback, row: Mapping[str, Any], now: datetime) -> None:
    """The call was made when it was due, as often as it took; one that is due only now is left to the program."""
    result, tries = Disposition(row["result"]), row.get("tries", 1)
    first = callback.due_at
    if first is None or first + tries * BETWEEN_TRIES > now:
        return
    address_id = session.scalars(
        select(Address.id)
        .where(Address.contact_id == callback.contact_id, Address.channel == ChannelName.VOICE)
        .order_by(Address.id)
        .limit(1)
    ).one()
    for number in range(1, tries + 1):
        began, last = first + (number - 1) * BETWEEN_TRIES, number == tries
        answered = last and result is not Disposition.NO_ANSWER
        session.add(
            CallAttempt(
                callback_id=callback.id,
                number=number,
                address_id=address_id,
                conversation_id=_spoken(session, callback, address_id, row, began) if answered else None,
                rang=True,
                answered_by="human" if answered else None,
                disposition=result if last else Disposition.NO_ANSWER,
                started_at=began,
                ended_at=began + (TALKED if answered else RANG_OUT),
            )
        )
    ended = first + (tries - 1) * BETWEEN_TRIES + TALKED
    for question, answer in row.get("answers", {}).items():
        score = answer if isinstance(answer, int) else None
        session.add(Answer(callback_id=callback.id, question=question, answer=str(answer), score=score, at=ended))
        if score is not None and score <= followups.LOW_SCORE:
            callback.flags = sorted({*callback.flags, followups.LOW})
    callback.state = CallbackState.GIVEN_UP if result in UNANSWERED else CallbackState.DONE
    callback.disposition, callback.closed_at, callback.due_at = result, ended, None


def _spoken(session: Session, callback: Callback, address_id: int, row: Mapping[str, Any], began: datetime) -> int:
    """What was said on the telephone, question by question."""
    held = conversations.open_conversation(
        session, callback.contact_id, address_id, ChannelName.VOICE, Language.ZH, "", began, callback_id=callback.id
    )
    conversations.add_lines(session, held, Author.BOT, [Say(OPENING)], began)
    answers = [Say(str(answer)) for answer in row.get("answers", {}).values()]
    conversations.add_lines(session, held, Author.CUSTOMER, answers, began + TALKED)
    _end(session, held, began + TALKED)
    return held.id


def _end(session: Session, held: conversations.Held, at: datetime, **columns: Any) -> None:
    conversations.save(session, held)
    over = {"state": ConversationState.CLOSED, "closed_at": at, **columns}
    session.execute(update(Conversation).where(Conversation.id == held.id).values(over))


def _case(session: Session, centre: Centre, row: Mapping[str, Any], staff_id: int, at: datetime, now: datetime) -> None:
    """A case as its agent left it; whoever had complained was asked afterwards, and answered."""
    zone = ZoneInfo(centre.settings.timezone)
    known = contacts.meet(
        session, ChannelName.VOICE, row["phone"], language=centre.settings.language, zone=zone.key, now=at
    )
    case = cases.open_case(
        session,
        kind=CaseKind(row["kind"]),
        contact_id=known.contact_id,
        subject=row["subject"],
        zone=zone,
        now=at,
        due_in=timedelta(hours=row["due_hours"]),
    )
    cases.assign(session, case.id, staff_id, by_staff_id=staff_id, now=at + timedelta(minutes=4))
    if "closed_after" not in row:
        return
    closed = at + timedelta(hours=row["closed_after"])
    cases.give_feedback(session, case.id, row["feedback"], staff_id=staff_id, now=closed)
    cases.close(session, case.id, staff_id=staff_id, wrap_up=row["wrap_up"], now=closed)
    if "asked" in row:
        session.flush()
        followups.tick(session, centre, closed + ASKED_AFTER)
        event = select(Event.id).where(Event.external_id == f"{case.number}-0").scalar_subquery()
        for callback in session.scalars(select(Callback).where(Callback.event_id == event)):
            _called(session, callback, {"result": Disposition.COMPLETED, "answers": row["asked"]}, now)


def _chat(session: Session, centre: Centre, row: Mapping[str, Any], staff_id: int | None, at: datetime) -> None:
    language = Language(row.get("language", Language.ZH))
    known = contacts.meet(
        session, ChannelName.WEBCHAT, row["visitor"], language=language, zone=centre.settings.timezone, now=at
    )
    contacts.learn(session, known.contact_id, {"name": row["name"]}, now=at, why=SOURCE)
    book = centre.library.current.book.version
    held = conversations.open_conversation(
        session, known.contact_id, known.address_id, ChannelName.WEBCHAT, language, book, at
    )
    when = at
    for seconds, who, words in row["lines"]:
        when, author = at + timedelta(seconds=seconds), Author(who)
        writer = staff_id if author is Author.AGENT else None
        conversations.add_lines(session, held, author, [Say(words)], when, staff_id=writer)
    claimed = next((at + timedelta(seconds=s) for s, who, _ in row["lines"] if who == Author.AGENT), None)
    _end(
        session,
        held,
        when + timedelta(minutes=1),
        queued_at=claimed and claimed - timedelta(seconds=row["waited"]),
        claimed_at=claimed,
        last_staff_id=staff_id,
        reason=claimed and row.get("reason", "asked"),
        wrap_up=row.get("wrap_up"),
        rating=row.get("rating"),
    )
