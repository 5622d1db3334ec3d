"""Lists of visits: any usual encoding, bad rows by line, a second time nothing, half an import finished."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import openpyxl
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.core.words import CallbackState, FollowUpGroup, Language
from bot.services import contacts
from bot.services.centre import Centre
from bot.services.plans import imports, planning
from bot.services.plans.visit_lists import UnreadableError, moment, read
from store.tables import Callback, Contact, Event, ImportRun
from tests.fakes.clock import ManualClock

CHINESE = """外部编号,姓名,称呼,电话,到诊时间,事件,科室,备注
V1,王秀英,王女士,13900010001,2026-07-01 09:30,到诊未消费,口腔科,
V2,李强,李先生,13900010002,2026/7/1 09:00,到诊消费,骨科,带旧片
"""
ENGLISH = """external_id;name;title;phone;visited_at;kind;language;timezone
E1;Ann Lee;Ms Lee;+8613900010003;2026-07-01T09:30:00+08:00;visited_no_purchase;en;Asia/Shanghai
"""


def load(centre: Centre, content: str | bytes, clock: ManualClock) -> imports.Imported:
    data = content.encode() if isinstance(content, str) else content
    return imports.import_file(centre, "visits.csv", data, now=clock.now())


def count(centre: Centre, table: type) -> int:
    return centre.db.read_now(lambda s: s.scalar(select(func.count()).select_from(table)) or 0)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_a_list_is_read_in_the_encoding_it_was_saved_in(encoding: str) -> None:
    rows = read(CHINESE.encode(encoding))
    assert [row.cells["name"] for row in rows] == ["王秀英", "李强"]
    assert [row.line for row in rows] == [2, 3]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_list_is_read_whatever_separates_its_columns(delimiter: str) -> None:
    rows = read(CHINESE.replace(",", delimiter).encode())
    assert rows[1].cells["department"] == "骨科"


def test_a_spreadsheet_is_a_list_too() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["姓名", "电话", "到诊时间", "事件"])
    sheet.append(["王秀英", 13900010001, datetime(2026, 7, 1, 9, 30), "到诊未消费"])  # noqa: DTZ001 - Excel has no zones
    file = io.BytesIO()
    book.save(file)
    (row,) = read(file.getvalue())
    assert row.cells == {
        "name": "王秀英",
        "phone": "13900010001",
        "visited_at": "2026-07-01 09:30:00",
        "kind": "到诊未消费",
    }


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        ("姓名,电话\n王,139\n".encode(), "columns_missing"),
        (b"\x00\x01\x02\x03" * 40, "not_a_list"),
        (b"PK\x03\x04 not really", "not_a_list"),
        (b"\xff\xfe\x00", "encoding"),
    ],
)
def test_a_file_that_is_no_list_is_refused_as_a_whole(data: bytes, code: str) -> None:
    with pytest.raises(UnreadableError) as refused:
        read(data)
    assert refused.value.code == code
    for language in Language:
        assert imports.explain_file(refused.value, language)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-07-01 10:00", datetime(2026, 7, 1, 2, 0, tzinfo=UTC)),
        ("2026/7/1 10:05:06", datetime(2026, 7, 1, 2, 5, 6, tzinfo=UTC)),
        ("2026年7月1日 10:00", datetime(2026, 7, 1, 2, 0, tzinfo=UTC)),
        ("2026年7月1日10时30分", datetime(2026, 7, 1, 2, 30, tzinfo=UTC)),
        ("2026.7.1", datetime(2026, 6, 30, 16, 0, tzinfo=UTC)),
        ("2026-07-01T10:00:00Z", datetime(2026, 7, 1, 10, 0, tzinfo=UTC)),
        ("2026-07-01 10:00:00+09:00", datetime(2026, 7, 1, 1, 0, tzinfo=UTC)),
        ("2026-13-01 10:00", None),
        ("2026-02-30", None),
        ("昨天", None),
        ("", None),
    ],
)
def test_times_are_read_as_lists_write_them(text: str, at: datetime | None) -> None:
    assert moment(text, "Asia/Shanghai") == at


def test_good_rows_load_and_their_calls_are_planned(centre: Centre, clock: ManualClock) -> None:
    done = load(centre, CHINESE + "\n" + "", clock)
    assert (done.loaded, done.known, done.refused, done.unplanned) == (2, 0, (), ())
    planned = centre.db.read_now(lambda s: {c.follow_up_group: c.due_at for c in s.scalars(select(Callback))})
    assert planned == {
        FollowUpGroup.VISITED_NO_PURCHASE: datetime(2026, 7, 1, 6, 30, tzinfo=UTC),  # 14:30 the same day
        FollowUpGroup.VISITED_PURCHASED: datetime(2026, 7, 1, 11, 0, tzinfo=UTC),  # 19:00 the same evening
    }


def test_english_lists_say_language_and_zone(centre: Centre, clock: ManualClock) -> None:
    load(centre, ENGLISH, clock)
    contact = centre.db.read_now(lambda s: s.scalars(select(Contact).where(Contact.name == "Ann Lee")).one())
    assert (contact.language, contact.title, contact.timezone) == (Language.EN, "Ms Lee", "Asia/Shanghai")


def test_bad_rows_are_told_by_line_and_the_others_load(centre: Centre, clock: ManualClock) -> None:
    content = (
        "姓名,电话,到诊时间,事件\n"
        "王秀英,13900010001,2026-07-01 09:30,到诊未消费\n"
        ",13900010002,2026-07-01 09:30,到诊未消费\n"
        "李强,12,前天,看病\n"
        "赵敏,13900010004,2026-08-01 09:30,到诊消费\n"
    )
    done = load(centre, content, clock)
    assert done.loaded == 1
    assert [(p.line, p.field, p.code) for p in done.refused] == [
        (3, "name", "missing"),
        (4, "kind", "kind"),
        (4, "phone", "phone"),
        (4, "visited_at", "time"),
        (5, "visited_at", "in_the_future"),
    ]
    told = imports.explain(done.refused[2], Language.ZH)
    assert "第 4 行" in told
    assert "电话" in told
    assert "12" not in told.replace("13800001234", "")  # a stranger's number is not repeated
    assert "line 4" in imports.explain(done.refused[2], Language.EN).lower()
    run = centre.db.read_now(lambda s: s.get_one(ImportRun, done.run_id))
    assert (run.loaded, run.known, len(run.refused)) == (1, 0, 5)
    assert imports.problems_of(run) == list(done.refused)


@pytest.mark.parametrize("content", [CHINESE, CHINESE.replace("V1", "").replace("V2", "")])
def test_the_same_file_again_adds_nothing(centre: Centre, clock: ManualClock, content: str) -> None:
    load(centre, content, clock)
    people = count(centre, Contact)
    again = load(centre, content, clock)
    assert (again.loaded, again.known) == (0, 2)
    assert (count(centre, Event), count(centre, Callback), count(centre, Contact)) == (2, 2, people)


def test_an_import_that_died_half_way_is_finished_by_importing_again(centre: Centre, clock: ManualClock) -> None:
    lines = [f"N{n},病人{n},139000{n:05d},2026-07-01 09:30,到诊未消费" for n in range(500)]
    data = ("外部编号,姓名,电话,到诊时间,事件\n" + "\n".join(lines)).encode()
    rows = read(data)
    centre.db.write_now(lambda s: imports.load_page(s, centre, rows[:200], clock.now()))  # then the process is gone
    done = imports.import_file(centre, "visits.csv", data, now=clock.now())
    assert (done.loaded, done.known) == (300, 200)
    assert (count(centre, Event), count(centre, Callback)) == (500, 500)


def test_a_number_shared_by_a_family_never_renames_its_owner(centre: Centre, clock: ManualClock) -> None:
    content = (
        "姓名,电话,到诊时间,事件\n"
        "王秀英,13900010001,2026-07-01 09:30,到诊未消费\n"
        "王小宝,13900010001,2026-07-01 09:40,到诊未消费\n"
    )
    done = load(centre, content, clock)
    assert done.loaded == 2
    names = centre.db.read_now(lambda s: sorted(e.details["name"] for e in s.scalars(select(Event))))
    assert names == ["王小宝", "王秀英"]
    assert centre.db.read_now(lambda s: s.scalars(select(Contact.name).where(Contact.name.like("王秀英%"))).all()) == [
        "王秀英"
    ]


def test_history_too_old_to_be_asked_about_is_kept_without_a_call(centre: Centre, clock: ManualClock) -> None:
    content = "姓名,电话,到诊时间,事件\n王秀英,13900010001,2025-07-01 09:30,到诊未消费\n"
    done = load(centre, content, clock)
    assert done.loaded == 1
    assert [p.code for p in done.unplanned] == ["too_old"]
    assert count(centre, Callback) == 0


def test_callbacks_start_scheduled(centre: Centre, clock: ManualClock) -> None:
    load(centre, CHINESE, clock)
    states = centre.db.read_now(lambda s: set(s.scalars(select(Callback.state))))
    assert states == {CallbackState.SCHEDULED}


def test_rows_added_together_are_as_rows_added_one_by_one(centre: Centre, clock: ManualClock) -> None:
    """New people, one who is known and wants no calls, and a row that stands there twice, in one page."""
    load(centre, "外部编号,姓名,电话,到诊时间,事件\nV0,李强,13900010002,2026-07-01 08:30,到诊未消费\n", clock)

    def stop(session: Session) -> None:
        known = session.scalars(select(Contact.id).where(Contact.name == "李强").order_by(Contact.id.desc())).first()
        assert known is not None
        contacts.consent(session, known, "all", False, "test", clock.now())

    centre.db.write_now(stop)
    lines = [
        "外部编号,姓名,电话,到诊时间,事件",
        "V1,王秀英,13900010001,2026-07-01 09:30,门诊手术",
        "V2,李强,13900010002,2026-07-01 09:30,到诊未消费",
        "V3,赵敏,13900010003,2026-07-01 09:30,未到诊",
        "V3,赵敏,13900010003,2026-07-01 09:30,未到诊",
    ]
    done = load(centre, "\n".join(lines), clock)
    assert (done.loaded, done.known) == (3, 1)
    assert [(p.line, p.code) for p in done.unplanned] == [(3, "opted_out")]
    query = (
        select(Event.external_id, Callback.plan, Callback.step, Callback.due_at)
        .join(Callback, Callback.event_id == Event.id)
        .where(Event.external_id.in_(("V1", "V3")))
        .order_by(Event.external_id, Callback.step)
    )
    owed = [
        ("V1", "outpatient_surgery", 0, datetime(2026, 7, 2, 6, 30, tzinfo=UTC)),
        ("V1", "outpatient_surgery", 1, datetime(2026, 7, 8, 6, 30, tzinfo=UTC)),
        ("V3", "not_visited", 0, datetime(2026, 7, 4, 6, 30, tzinfo=UTC)),
    ]
    assert centre.db.read_now(lambda s: s.execute(query).tuples().all()) == owed

    def again(session: Session) -> None:
        for event in session.scalars(select(Event)).all():
            planning.plan_event(session, centre, event, clock.now())

    centre.db.write_now(again)  # nothing is added: the keys are those of the usual way
    assert centre.db.read_now(lambda s: s.execute(query).tuples().all()) == owed
