"""Lists in the background: mapped by hand, page by page, gone on with after a crash, faulty rows given back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.core.words import Language
from bot.reports.faulty_rows import faulty_rows
from bot.services.centre import Centre
from bot.services.plans import import_jobs, imports
from bot.services.plans.import_jobs import ImportRefusedError
from bot.services.plans.visit_lists import table
from store.tables import Callback, Contact, Delivery, Event, ImportJob, ImportPage, ImportRun, ImportState, Staff
from tests.fakes.clock import ManualClock

HEADER = "编号,谁,手机,来的时间,事件,价钱"
COLUMNS = ("external_id", "name", "phone", "visited_at", "kind", "")
GOOD = "V1,王秀英,13900010001,2026-07-01 09:30,到诊未消费,100"


def row(n: int) -> str:
    return f"V{n},病人{n},139{n:08},2026-07-01 09:{n % 60:02},到诊未消费,100"


def staff(centre: Centre) -> int:
    return centre.db.read_now(lambda s: s.scalars(select(Staff.id).order_by(Staff.id).limit(1)).one())


def brought(centre: Centre, lines: Sequence[str], header: str = HEADER) -> ImportJob:
    data = "\n".join([header, *lines]).encode()
    now, person = centre.clock.now(), staff(centre)
    return centre.db.write_now(lambda s: import_jobs.draft(s, "名单.csv", table(data), staff_id=person, now=now))


def begin(centre: Centre, job: ImportJob, columns: Sequence[str] = COLUMNS) -> None:
    def work(session: Session) -> None:
        import_jobs.map_columns(session, job.id, columns, staff_id=job.staff_id)
        import_jobs.start(session, job.id, staff_id=job.staff_id, now=centre.clock.now())

    centre.db.write_now(work)


def load(centre: Centre) -> int:
    """Pages until none is left; how many."""
    pages = 0
    while centre.db.write_now(lambda s: import_jobs.tick(s, centre, centre.clock.now())):
        pages += 1
    return pages


def stored(centre: Centre, job: ImportJob) -> ImportJob:
    return centre.db.read_now(lambda s: s.get_one(ImportJob, job.id))


def count(centre: Centre, kind: type) -> int:
    return centre.db.read_now(lambda s: s.scalar(select(func.count()).select_from(kind)) or 0)


def test_columns_are_guessed_corrected_and_kept_for_the_next_file(centre: Centre) -> None:
    first = brought(centre, [GOOD])
    assert first.columns == ["external_id", "", "phone", "", "kind", ""]
    with pytest.raises(ImportRefusedError) as lacking:
        begin(centre, first, first.columns)
    assert (lacking.value.code, lacking.value.fields) == ("columns_missing", ("name", "visited_at"))
    with pytest.raises(ImportRefusedError) as twice:
        begin(centre, first, ("name", "name", "phone", "visited_at", "kind", "no_such_field"))
    assert twice.value.code == "column_twice"
    begin(centre, first)
    assert brought(centre, [GOOD]).columns == list(COLUMNS)
    assert brought(centre, [GOOD], "编号,谁,手机,来的时间,事件,价格").columns == first.columns


def test_a_draft_says_what_its_rows_would_do_and_does_nothing(centre: Centre) -> None:
    begin(centre, brought(centre, [GOOD]))
    load(centre)
    job = brought(centre, [GOOD, row(2), row(2), "V3,,139,昨天,到诊未消费,1"])
    seen = centre.db.read_now(
        lambda s: import_jobs.preview(s, centre, s.get_one(ImportJob, job.id), centre.clock.now())
    )
    assert (seen.checked, seen.fresh, seen.known, seen.twice, seen.refused_lines) == (4, 1, 1, 1, 1)
    assert [what.name for what in seen.first] == ["王秀英", "病人2", "病人2"]
    assert seen.samples[5] == ("100", "1")
    assert count(centre, Event) == 1
    with pytest.raises(ImportRefusedError):  # another's draft
        centre.db.write_now(lambda s: import_jobs.map_columns(s, job.id, COLUMNS, staff_id=job.staff_id + 1))


def test_a_list_loads_page_by_page_and_a_repeated_row_adds_nothing(centre: Centre) -> None:
    job = brought(centre, [*(row(n) for n in range(1, 1101)), row(7)])
    begin(centre, job)
    assert load(centre) == 3
    done = stored(centre, job)
    assert (done.state, done.loaded, done.known, done.refused) == (ImportState.DONE, 1100, 1, 0)
    assert (count(centre, Event), count(centre, Callback), count(centre, ImportPage)) == (1100, 1100, 0)
    run = centre.db.read_now(lambda s: s.get_one(ImportRun, done.run_id))
    assert (run.loaded, run.known, run.staff_id) == (1100, 1, job.staff_id)
    alert = select(Delivery.body).where(Delivery.dedupe_key == f"alert:import:{job.id}:{job.staff_id}")
    assert "新增 1100，已有 1" in centre.db.read_now(lambda s: s.scalars(alert).one())["text"]


def test_who_dies_in_the_middle_of_a_page_leaves_it_to_the_next(centre: Centre) -> None:
    job = brought(centre, [row(n) for n in range(1, 1201)])
    begin(centre, job)
    centre.db.write_now(lambda s: import_jobs.tick(s, centre, centre.clock.now()))

    def dies(session: Session) -> None:
        assert import_jobs.tick(session, centre, centre.clock.now()) == 1
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        centre.db.write_now(dies)
    assert (stored(centre, job).cursor, count(centre, Event)) == (1, 500)
    other = replace(centre, worker="another")
    assert load(other) == 2
    assert (stored(centre, job).loaded, stored(centre, job).known, count(centre, Event)) == (1200, 0, 1200)

    def again(session: Session) -> None:  # a page that comes twice all the same
        held = session.get_one(ImportJob, job.id)
        rows = [import_jobs.row_of(n, row(n).split(","), held.columns) for n in range(1, 501)]
        assert imports.load_page(session, centre, rows, centre.clock.now()).loaded == 0

    centre.db.write_now(again)


def test_faulty_rows_come_back_as_they_were_with_what_would_be_right(centre: Centre, clock: ManualClock) -> None:
    bad = ["V8,李强,12,前天,到诊未消费,=1+1", "V9,,13900010009,2026-07-01 09:30,看病,5"]
    job = brought(centre, [GOOD, *bad])
    begin(centre, job)
    load(centre)
    done = stored(centre, job)
    assert (done.loaded, done.refused) == (1, 2)
    told = centre.db.read_now(lambda s: list(import_jobs.faults(s, s.get_one(ImportJob, job.id))))
    assert [(line, cells) for line, cells, _ in told] == [(3, bad[0].split(",")), (4, bad[1].split(","))]
    names = {"phone": "手机", "visited_at": "来的时间"}
    reason = imports.explain_row(told[0][2], names, Language.ZH)
    assert reason.startswith("手机: 不是能拨打的电话号码")
    for kind in ("xlsx", "csv"):
        file = faulty_rows(job.header, [(cells, reason) for _, cells, _ in told], kind, Language.ZH)
        again = table(file)
        assert again.header == tuple(job.header)  # the reason is no column of theirs
        assert [cells for _, cells in again.lines] == [each.split(",") for each in bad]
    clock.advance(timedelta(days=8))
    load(centre)
    assert count(centre, ImportPage) == 0
    assert stored(centre, job).refused == 2


def test_a_list_is_stopped_and_what_has_loaded_stays(centre: Centre, clock: ManualClock) -> None:
    job = brought(centre, [row(n) for n in range(1, 1101)])
    begin(centre, job)
    centre.db.write_now(lambda s: import_jobs.tick(s, centre, clock.now()))
    person = job.staff_id
    centre.db.write_now(lambda s: import_jobs.cancel(s, job.id, staff_id=person, now=clock.now()))
    assert load(centre) == 0
    done = stored(centre, job)
    assert (done.state, done.loaded, count(centre, Event), count(centre, ImportPage)) == ("cancelled", 500, 500, 0)
    with pytest.raises(ImportRefusedError):
        centre.db.write_now(lambda s: import_jobs.cancel(s, job.id, staff_id=person, now=clock.now()))
    forgotten = brought(centre, [GOOD])
    clock.advance(timedelta(days=2))
    load(centre)
    assert centre.db.read_now(lambda s: s.get(ImportJob, forgotten.id)) is None


def test_rows_lie_sealed(centre: Centre) -> None:
    job = brought(centre, [GOOD])
    sealed = centre.db.read_now(lambda s: s.scalars(select(ImportPage.sealed).where(ImportPage.job_id == job.id)).one())
    assert b"13900010001" not in sealed
    assert count(centre, Contact) > 0
