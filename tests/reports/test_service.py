"""The service report: what each figure counts, what it leads to, what stays out."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.core.standards import Typing
from bot.core.words import Author, CaseKind, CaseState, ChannelName, ConversationState, EscalationState, Language, Role
from bot.reports import service_sheet
from bot.reports.figures import Measure
from bot.reports.service import Service, Standard, first_id, service
from bot.services import contacts
from bot.services.centre import Centre
from store.tables import Case, Conversation, Escalation, Message, Staff, StaffRole
from tests.fakes.desk import Desk
from tests.fakes.house import House

ZONE = ZoneInfo("Asia/Shanghai")
C, B, A, S = Author.CUSTOMER, Author.BOT, Author.AGENT, Author.SYSTEM


class Day:
    """A day of conversations, written straight into the database."""

    def __init__(self, session: Session, now: datetime) -> None:
        self._session = session
        self.now = now
        self.agent = session.scalars(select(Staff).join(StaffRole).where(StaffRole.role == Role.AGENT)).first()
        self._people = 0

    def talk(self, *said: tuple[float, Author] | tuple[float, Author, str], begins: timedelta, **facts: Any) -> int:
        """A conversation; each line is seconds after its beginning, author and perhaps its key."""
        self._people += 1
        known = contacts.meet(
            self._session,
            ChannelName.WEBCHAT,
            f"w{self._people}",
            language=Language.ZH,
            zone="Asia/Shanghai",
            now=self.now,
        )
        start = self.now + begins
        row = Conversation(
            contact_id=known.contact_id,
            address_id=known.address_id,
            channel=facts.pop("channel", ChannelName.WEBCHAT),
            state=ConversationState.CLOSED,
            language=Language.ZH,
            opened_at=start,
            **facts,
        )
        self._session.add(row)
        self._session.flush()
        for seq, (seconds, author, *key) in enumerate(said, 1):
            self._session.add(
                Message(
                    conversation_id=row.id,
                    seq=seq,
                    channel=row.channel,
                    author=author,
                    staff_id=self.agent.id if author is A and self.agent else None,
                    text="…",
                    key=key[0] if key else "",
                    at=start + timedelta(seconds=seconds),
                )
            )
        self._session.flush()
        return row.id


async def look(centre: Centre, now: datetime, *, hours: float = 24) -> Service:
    return await centre.db.read(
        lambda s: service(
            s,
            since=now - timedelta(hours=hours),
            until=now + timedelta(hours=1),
            sla=centre.library.current.policies.sla,
            zone=ZONE,
            now=now,
        )
    )


async def test_each_figure_counts_what_it_says(centre: Centre) -> None:
    now = centre.clock.now()

    def write(session: Session) -> tuple[int, int, int]:
        day = Day(session, now)
        hour = timedelta(hours=-1)
        day.talk((0, B), (1, C), (4, B), (30, C), (33, B), begins=3 * hour, rating=5)
        slow = day.talk(
            (0, C),
            (12, B),
            (20, C),
            (30, B, "utter_holding"),
            (100, A),
            begins=2 * hour,
            queued_at=now,
            reason="asked",
            rating=2,
        )
        lost = day.talk((0, C), (60, C), begins=hour, queued_at=now, reason="asked")
        day.talk((0, C), (500, B), begins=hour, wrap_up="nuisance")
        day.talk((0, C), (500, B), begins=hour, channel=ChannelName.VOICE)
        day.talk((0, C), (500, B), begins=48 * hour)
        return slow, lost, day.agent.id if day.agent else 0

    slow, lost, agent = await centre.db.write(write)
    found = await look(centre, now)
    assert found.talks == 3
    assert found.measures[Standard.GREETED_SOON] == Measure(1, 3)
    assert found.measures[Standard.GREETED] == Measure(2, 3)
    assert found.measures[Standard.ANSWERED] == Measure(3, 5)
    assert found.measures[Standard.CONTAINED] == Measure(1, 3)
    assert found.measures[Standard.PICKED_UP] == Measure(1, 2)
    assert found.measures[Standard.RATING] == Measure(7, 2)
    assert found.outside[Standard.ANSWERED] == (lost, slow)
    assert found.outside[Standard.RATING] == (slow,)
    assert found.reasons == (("asked", 2),)
    assert (found.median_bot, found.median_person) == (timedelta(seconds=3), timedelta(seconds=80))
    [person] = found.people
    assert (person.staff_id, person.talks, person.answered, person.rating) == (agent, 1, Measure(0, 1), Measure(2, 1))
    begun = {hour: (many, handed) for hour, many, handed in found.hours if many}
    local = now.astimezone(ZONE).hour
    assert begun == {local - 3: (1, 0), local - 2: (1, 1), local - 1: (1, 1)}


async def test_typing_by_hand_is_measured_by_person(centre: Centre) -> None:
    """REQ-B04."""
    now = centre.clock.now()

    def write(session: Session) -> None:
        day = Day(session, now)
        talk = day.talk((0, C), (30, A), (40, C), (70, A), (80, A), begins=-timedelta(hours=1))
        ours = session.scalars(
            select(Message).where(Message.conversation_id == talk, Message.author == A).order_by(Message.seq)
        ).all()
        ours[0].details = {"typed": {"characters": 30, "seconds": 20.0}}
        ours[1].details = {"typed": {"characters": 10, "seconds": 28.0}, "quotes": 1}
        ours[2].details = {"client": "a"}  # pasted

    await centre.db.write(write)
    found = await look(centre, now)
    [person] = found.people
    assert (person.typing, person.typing.speed) == (Typing(40, 48.0), 50.0)
    assert found.typing == person.typing


async def test_a_conversation_that_began_earlier_has_no_first_reply_here(centre: Centre) -> None:
    now = centre.clock.now()
    await centre.db.write(lambda s: Day(s, now).talk((0, C), (1, B), (7200, C), (7205, B), begins=timedelta(hours=-3)))
    found = await look(centre, now, hours=2)
    assert (found.measures[Standard.GREETED].whole, found.measures[Standard.ANSWERED]) == (0, Measure(1, 1))


async def test_cases_and_escalations_in_time(centre: Centre) -> None:
    now = centre.clock.now()

    def write(session: Session) -> int:
        known = contacts.meet(session, ChannelName.REST, "x", language=Language.ZH, zone="Asia/Shanghai", now=now)
        late = 0
        for number, took in enumerate((1, 5)):
            case = Case(
                number=f"C{number}",
                kind=CaseKind.COMPLAINT,
                state=CaseState.CLOSED,
                queue="complaints",
                contact_id=known.contact_id,
                subject="…",
                feedback_at=now,
                opened_at=now - timedelta(hours=6),
                due_at=now - timedelta(hours=4),
                closed_at=now - timedelta(hours=6 - took),
            )
            session.add(case)
            session.flush()
            late = case.id
        for state in (EscalationState.ACKNOWLEDGED, EscalationState.EXHAUSTED, EscalationState.CLOSED):
            session.add(
                Escalation(
                    case_id=late, policy={}, state=state, reason="complaint", started_at=now - timedelta(hours=1)
                )
            )
        return late

    late = await centre.db.write(write)
    found = await look(centre, now)
    assert found.measures[Standard.CASES_ON_TIME] == Measure(1, 2)
    assert found.outside[Standard.CASES_ON_TIME] == (late,)
    assert found.measures[Standard.ALERTS_TAKEN] == Measure(1, 2)
    assert found.complaints == (("complaints", 2),)


@pytest.mark.parametrize("ago", [100, 13, 7, 1, 0, -5])
async def test_the_first_row_of_a_moment_is_found_along_the_key(centre: Centre, ago: int) -> None:
    now = centre.clock.now()

    def work(session: Session) -> tuple[int, int | None]:
        day = Day(session, now)
        for minutes in range(12, 0, -2):
            day.talk((0, C), (1, B), begins=-timedelta(minutes=minutes))
        moment = now - timedelta(minutes=ago)
        expected = session.scalar(select(func.min(Message.id)).where(Message.at >= moment))
        return first_id(session, Message.id, Message.at, moment), expected

    found, expected = await centre.db.write(work)
    after_all = await centre.db.read(lambda s: (s.scalar(select(func.max(Message.id))) or 0) + 1)
    assert found == (expected if expected is not None else after_all)


async def test_nothing_happened(centre: Centre) -> None:
    found = await look(centre, centre.clock.now())
    assert found.talks == 0
    assert all(measure.share is None for measure in found.measures.values())


async def test_the_page_and_the_spreadsheet_say_the_same(house: House) -> None:
    now = house.clock.now()
    slow = await house.centre.db.write(
        lambda s: Day(s, now).talk((0, C), (45, A), begins=timedelta(hours=-1), queued_at=now, reason="asked")
    )
    desk = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    page = (await desk.client.get("/console/reports/service", params={"of": "answered"})).text
    assert "0.0%" in page
    assert f"/console/conversations/{slow}" in page
    answer = await desk.client.get("/console/reports/service/service.xlsx")
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    rows = {row[0]: row[1:4] for row in book.worksheets[0].iter_rows(min_row=2, values_only=True)}
    assert rows["每问必答不超时"] == (0, 0, 1)
    assert book.worksheets[3]["A2"].value == "客户要求人工"


async def test_agents_do_not_read_it(house: House) -> None:
    desk = await Desk.of(house.centre, house.client, Role.AGENT)
    assert (await desk.client.get("/console/reports/service")).status_code == 403


async def test_a_name_that_looks_like_a_formula_stays_text(centre: Centre) -> None:
    now = centre.clock.now()

    def write(session: Session) -> None:
        day = Day(session, now)
        assert day.agent is not None
        day.agent.name = "=1+1"
        day.talk((0, C), (5, A), begins=timedelta(hours=-1))

    await centre.db.write(write)
    report = service_sheet.written(await look(centre, now), Language.EN, ZONE, centre.library.current.book)
    book = openpyxl.load_workbook(io.BytesIO(report))
    assert (book.worksheets[1]["A2"].value, book.worksheets[1]["A2"].data_type) == ("=1+1", "s")
