"""The follow-up report: its rows, its figures, who sees what, and that nothing in it is ever a formula."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import openpyxl
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.plan import Trigger
from bot.core.words import CallbackState, ChannelName, Disposition, Language
from bot.reports.figures import Figure, by_day, measures
from bot.reports.follow_ups import FollowUps, follow_ups
from bot.reports.rows import Rights
from bot.reports.spreadsheet import Wording, as_csv, workbook
from bot.services import contacts
from bot.services.centre import Centre
from bot.services.conversation.conversations import open_conversation
from bot.services.plans import followups
from bot.services.plans.planning import Occurrence
from store.tables import Answer, CallAttempt, Callback, NextStep, Staff
from tests.fakes.clock import ManualClock

NUMBER = "+8613900010001"
ALL = Rights(health=True, numbers=True)
NONE = Rights(health=False, numbers=False)
EVIL = '=HYPERLINK("http://example.invalid","看这里")'


def shanghai(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 7, day, hour, minute, tzinfo=UTC) - timedelta(hours=8)


@pytest.fixture
def told(centre: Centre, clock: ManualClock) -> Centre:
    """Three patients: one answered everything, one was never reached, one is still to be called."""

    def work(session: Session) -> None:
        for n, (name, disposition, score) in enumerate(
            ((EVIL, Disposition.COMPLETED, 4), ("李强", Disposition.NO_ANSWER, None), ("赵敏", None, None)), start=1
        ):
            what = Occurrence(
                "visits",
                f"V{n}",
                Trigger.VISITED_NO_PURCHASE,
                f"+861390001000{n}",
                name,
                clock.now(),
                title="患者",
                details={"department": "口腔科"},
            )
            recorded = followups.record(session, centre, what, clock.now())
            if disposition is None:
                continue
            _called(session, session.get_one(Callback, recorded.callback_id), disposition, score)

    centre.db.write_now(work)
    return centre


def _called(session: Session, callback: Callback, disposition: Disposition, score: int | None) -> None:
    address = contacts.phone_of(session, callback.contact_id, ChannelName.VOICE)
    assert address is not None
    attempt = CallAttempt(
        callback_id=callback.id,
        number=1,
        address_id=address.id,
        window="14:30–16:30",
        rang=True,
        disposition=disposition,
        started_at=shanghai(1, 14, 30),
        ended_at=shanghai(1, 14, 33),
    )
    session.add(attempt)
    if score is not None:
        held = open_conversation(
            session, callback.contact_id, address.id, ChannelName.VOICE, Language.ZH, "", shanghai(1, 14, 30)
        )
        attempt.conversation_id = held.id
        for question, answer, points in (
            ("score_service", "2", 2),
            ("score_service", str(score), score),  # said otherwise afterwards: the latest counts
            ("discomfort", "有点疼", None),
            ("suggestion", "-2+3 比较好", None),
        ):
            session.add(
                Answer(callback_id=callback.id, question=question, answer=answer, score=points, at=shanghai(1, 14, 31))
            )
        person = session.scalars(select(Staff).limit(1)).first()
        assert person is not None
        session.add(
            NextStep(
                callback_id=callback.id,
                owner_id=person.id,
                what="回电致谢",
                due_on=shanghai(3, 12).date(),
                created_by=person.id,
                created_at=shanghai(1, 15),
            )
        )
    callback.state = CallbackState.DONE if disposition is Disposition.COMPLETED else CallbackState.GIVEN_UP
    callback.disposition, callback.closed_at, callback.due_at = disposition, shanghai(1, 14, 33), None
    callback.remarks = "=1+1"


def read(centre: Centre, rights: Rights, day: int = 1, plan: str | None = None) -> FollowUps:
    """The report of one day of July."""
    return centre.db.read_now(
        lambda s: follow_ups(
            s, since=shanghai(day, 0), until=shanghai(day + 1, 0), rights=rights, zone=centre.settings.zone, plan=plan
        )
    )


def words(centre: Centre, language: Language = Language.ZH) -> Wording:
    return Wording(language, centre.settings.zone, centre.library.current.book)


def test_a_row_a_callback_with_what_a_reader_needs(told: Centre) -> None:
    report = read(told, ALL)
    assert [row.customer for row in report.rows] == [EVIL, "李强", "赵敏"]
    first = report.rows[0]
    assert (first.number, first.reason, first.window, first.attempt) == ("+8613900010001", "口腔科", "14:30–16:30", 1)
    assert first.answers == {"score_service": "4", "discomfort": "有点疼", "suggestion": "-2+3 比较好"}
    assert (first.result, first.on_time, first.connected) == (Disposition.COMPLETED, True, True)
    assert [step.what for step in first.steps] == ["回电致谢"]
    assert report.rows[2].attempt == 0


def test_health_answers_and_numbers_are_hidden_from_those_who_may_not_see_them(told: Centre) -> None:
    first = read(told, NONE).rows[0]
    assert first.answers["discomfort"] is None
    assert first.answers["score_service"] == "4"
    assert first.number == "****0001"
    for data in (workbook(read(told, NONE), words(told)), as_csv(read(told, NONE), words(told))):
        assert "有点疼".encode() not in data
        assert b"13900010001" not in data


def test_the_figures(told: Centre) -> None:
    figures = read(told, NONE).figures
    assert figures.total == 3
    assert dict(figures.by_result) == {Disposition.COMPLETED: 1, Disposition.NO_ANSWER: 1, None: 1}
    assert {figure.value: (found.part, found.whole) for figure, found in figures.measures.items()} == {
        "coverage": (2, 3),
        "connected": (1, 2),
        "completed": (1, 1),
        "handed_on": (0, 1),
        "on_time": (2, 2),
        "satisfaction": (4, 1),
    }
    assert figures.scores == {"score_service": (4.0, 1)}


def test_a_plan_and_a_day_have_their_own_figures(told: Centre) -> None:
    report = read(told, NONE, plan="visited_no_purchase")
    assert report.figures.total == 3
    assert read(told, NONE, plan="requested").rows == ()
    days = by_day(report.rows)
    assert sum(len(rows) for rows in days.values()) == 3
    first = measures(days[shanghai(1, 12).date()])
    assert (first[Figure.CONNECTED].part, first[Figure.CONNECTED].whole) == (1, 2)


def test_a_score_about_health_is_no_satisfaction(told: Centre) -> None:
    callback_id = read(told, ALL).rows[0].callback_id
    told.db.write_now(
        lambda s: s.add(Answer(callback_id=callback_id, question="pain", answer="9", score=9, at=shanghai(1, 14, 32)))
    )
    report = read(told, ALL)
    assert report.rows[0].scores == {"score_service": 4}
    assert "pain" not in report.figures.scores


def test_a_row_tells_how_it_was_called_and_where_what_was_said_is_kept(told: Centre) -> None:
    first, _, third = read(told, ALL).rows
    assert first.channel is ChannelName.VOICE
    assert first.recording.startswith("/console/conversations/")
    assert (third.channel, third.recording) == (None, "")


def test_another_day_has_none_of_them(told: Centre) -> None:
    empty = read(told, ALL, day=5)
    assert empty.rows == ()
    assert empty.figures.measures[Figure.COVERAGE].share is None
    assert openpyxl.load_workbook(io.BytesIO(workbook(empty, words(told))))["回访明细"].max_row == 1


@pytest.mark.parametrize("language", list(Language))
def test_nothing_a_customer_said_is_a_formula(told: Centre, language: Language, tmp_path: Path) -> None:
    report, wording = read(told, ALL), words(told, language)
    path = tmp_path / "report.xlsx"
    path.write_bytes(workbook(report, wording))
    for sheet in openpyxl.load_workbook(path).worksheets:
        for row in sheet.iter_rows():
            for cell in row:
                assert cell.data_type != "f", cell.coordinate
                assert cell.hyperlink is None
    rows = list(csv.reader(io.StringIO(as_csv(report, wording).decode("utf-8-sig"))))
    assert len(rows) == 4
    assert f"'{EVIL}" in rows[1]
    assert "'-2+3 比较好" in rows[1]
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]


def test_the_summary_speaks_the_readers_language(told: Centre) -> None:
    for language, sheet, rate in ((Language.ZH, "汇总", "接通率"), (Language.EN, "Summary", "Connect rate")):
        book = openpyxl.load_workbook(io.BytesIO(workbook(read(told, ALL), words(told, language))))
        cells = {row[0].value: row[1].value for row in book[sheet].iter_rows(max_col=2)}
        assert cells[rate] == 0.5
