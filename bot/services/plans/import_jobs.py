"""A list on its way in: a draft whose columns somebody confirms, then rows in the background, a page in a transaction.

A page is loaded, its faults kept and the cursor moved in one transaction, so a process that dies goes on where it was;
and an event is known by its number or by what its row says (imports.py), so a page that came twice would add nothing.
Rows lie sealed and for a while only: they hold people's numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import structlog
from sqlalchemy import delete, insert, or_, select
from sqlalchemy.orm import Session

from bot.services import audit
from bot.services.centre import Centre
from bot.services.escalation import alerts
from bot.services.i18n import N_
from bot.services.plans import imports
from bot.services.plans.imports import Imported
from bot.services.plans.planning import Occurrence, Owed
from bot.services.plans.visit_lists import COLUMNS, Problem, Row, Table, missing, occurrence, proposed, row_of
from bot.services.refusal import RefusedError
from store.db import count_grown, touch, vault_of
from store.tables import Address, Callback, Contact, Event, ImportJob, ImportPage, ImportState, Staff

log = structlog.get_logger()
TOPIC = "imports"
PAGE = imports.PAGE
GROWING = (Contact, Address, Event, Callback)  # by a row or more for each of a list's
CHECKED = 2000  # rows a preview reads; the others are looked at while they load
PLANNED_FOR = timedelta(minutes=5)  # pages within it are planned as of the same moment
DRAFT_FOR = timedelta(days=1)  # a file nobody confirmed
FAULTS_FOR = timedelta(days=7)  # faulty rows can be fetched so long
FAILED = "failed"  # a row that could not be loaded, for no reason it could mend
FINISHED = N_("名单“%(file)s”导入完毕：新增 %(loaded)s，已有 %(known)s，有问题 %(refused)s。")

Line = tuple[int, list[str]]  # its number in the file, its cells
Fault = tuple[int, list[str], list[list[str]]]  # the same, and its problems as [field, code]


class ImportRefusedError(RefusedError):
    """What was asked of a list is not possible; `fields` are the columns it is about."""

    def __init__(self, code: str, fields: Sequence[str] = ()) -> None:
        super().__init__(code)
        self.fields = tuple(fields)


# ── the draft ──


def draft(session: Session, filename: str, table: Table, *, staff_id: int, now: datetime) -> ImportJob:
    """Keeps a file until somebody says what its columns are; proposes what the last file with this header was."""
    key = hashlib.sha256(json.dumps(table.header, ensure_ascii=False).encode()).hexdigest()
    before = session.scalar(
        select(ImportJob.columns)
        .where(ImportJob.header_key == key, ImportJob.state != ImportState.DRAFT)
        .order_by(ImportJob.id.desc())
        .limit(1)
    )
    job = ImportJob(
        filename=filename[-200:],
        staff_id=staff_id,
        header=list(table.header),
        header_key=key,
        columns=before or proposed(table.header),
        lines=len(table.lines),
        unplanned={},
        created_at=now,
    )
    session.add(job)
    session.flush()
    pages = [table.lines[at : at + PAGE] for at in range(0, len(table.lines), PAGE)]
    if pages:
        session.execute(
            insert(ImportPage),
            [
                {"job_id": job.id, "number": number, "sealed": _sealed(session, rows)}
                for number, rows in enumerate(pages)
            ],
        )
    return job


@dataclass(frozen=True, slots=True)
class Preview:
    """What the first `checked` rows would do: load, be known already, stand in the file `twice`, or be refused; the
    first ones as they will be read; for each column what stands in it."""

    checked: int
    fresh: int
    known: int
    twice: int
    refused: tuple[Problem, ...]
    first: tuple[Occurrence, ...]
    samples: tuple[tuple[str, ...], ...]

    @property
    def refused_lines(self) -> int:
        return len({problem.line for problem in self.refused})


def preview(session: Session, centre: Centre, job: ImportJob, now: datetime) -> Preview:
    """Reads the beginning of a draft as its columns are mapped; nothing is written."""
    lines: list[Line] = []
    for number in range(-(-CHECKED // PAGE)):
        lines += _waiting(session, job.id, number)
    refused: list[Problem] = []
    good: list[Occurrence] = []
    for line, cells in lines:
        what = occurrence(row_of(line, cells, job.columns), zone=centre.settings.timezone, now=now)
        if isinstance(what, Occurrence):
            good.append(imports.named(session, what))
        else:
            refused += what
    ids = [what.external_id for what in good]
    known = set[str]()
    for at in range(0, len(ids), PAGE):
        known |= imports.ids_known(session, ids[at : at + PAGE])
    once = set(ids)
    samples = tuple(
        tuple(list(dict.fromkeys(cells[at] for _, cells in lines[:50] if at < len(cells) and cells[at]))[:2])
        for at in range(len(job.header))
    )
    fresh, twice = len(once - known), len(ids) - len(once)
    return Preview(len(lines), fresh, len(once & known), twice, tuple(refused), tuple(good[: imports.SHOWN]), samples)


def map_columns(session: Session, job_id: int, columns: Sequence[str], *, staff_id: int) -> ImportJob:
    """Says what each column of a draft is; a field stands for one column alone."""
    job = _own_draft(session, job_id, staff_id)
    given = [name if name in COLUMNS else "" for name in columns][: len(job.header)]
    doubled = [name for name, times in Counter(filter(None, given)).items() if times > 1]
    if doubled:
        raise ImportRefusedError("column_twice", doubled)
    job.columns = given + [""] * (len(job.header) - len(given))
    return job


def start(session: Session, job_id: int, *, staff_id: int, now: datetime) -> ImportJob:
    """Lets a draft load in the background."""
    job = _own_draft(session, job_id, staff_id)
    if lacking := missing(job.columns):
        raise ImportRefusedError("columns_missing", lacking)
    job.state, job.planned_at = ImportState.RUNNING, now
    touch(session, TOPIC)
    return job


def cancel(session: Session, job_id: int, *, staff_id: int, now: datetime) -> ImportJob:
    """Loads no more of a list; what has loaded stays."""
    job = _held(session, job_id)
    if job.state not in (ImportState.DRAFT, ImportState.RUNNING):
        raise ImportRefusedError("import_over")
    begun = job.state is ImportState.RUNNING
    session.execute(delete(ImportPage).where(ImportPage.job_id == job.id, ImportPage.number >= job.cursor))
    if begun:
        _finish(session, job, ImportState.CANCELLED, now)
        audit.record(session, "import.cancel", "import", job.id, now=now, staff_id=staff_id)
    else:
        job.state, job.ended_at = ImportState.CANCELLED, now
    touch(session, TOPIC)
    return job


def _own_draft(session: Session, job_id: int, staff_id: int) -> ImportJob:
    job = _held(session, job_id)
    if job.staff_id != staff_id:
        raise ImportRefusedError("not_found")
    if job.state is not ImportState.DRAFT:
        raise ImportRefusedError("import_started")
    return job


def _held(session: Session, job_id: int) -> ImportJob:
    job = session.get(ImportJob, job_id, with_for_update=True, populate_existing=True)
    if job is None:
        raise ImportRefusedError("not_found")
    return job


# ── loading ──


def tick(session: Session, centre: Centre, now: datetime) -> int:
    """Loads the next page of the oldest list that is loading; without one, forgets rows that were kept long enough."""
    job = session.scalars(
        select(ImportJob)
        .where(ImportJob.state == ImportState.RUNNING)
        .order_by(ImportJob.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if job is None:
        return _forget(session, now)
    lines = _waiting(session, job.id, job.cursor)
    if lines:
        _take(session, centre, job, lines, now)
    job.cursor += 1
    count_grown(session, *GROWING)
    if job.cursor * PAGE >= job.lines:
        _finish(session, job, ImportState.DONE, now)
    touch(session, TOPIC)
    return 1


def _take(session: Session, centre: Centre, job: ImportJob, lines: Sequence[Line], now: datetime) -> None:
    if job.planned_at is None or not job.planned_at <= now < job.planned_at + PLANNED_FOR:
        job.planned_at = now
    rows = [row_of(line, cells, job.columns) for line, cells in lines]
    done = _load(session, centre, rows, job)
    problems: dict[int, list[list[str]]] = {}
    for problem in done.refused:
        problems.setdefault(problem.line, []).append([problem.field, problem.code])
    faults = [(line, cells, problems[line]) for line, cells in lines if line in problems]
    job.loaded += done.loaded
    job.known += done.known
    job.refused += len(faults)
    job.unplanned = dict(Counter(job.unplanned) + Counter(problem.code for problem in done.unplanned))
    page = session.scalars(select(ImportPage).where(ImportPage.job_id == job.id, ImportPage.number == job.cursor)).one()
    if faults or done.unplanned:
        page.sealed = _sealed(session, {"faults": faults, "unplanned": [[p.line, p.code] for p in done.unplanned]})
    else:
        session.delete(page)


def _load(session: Session, centre: Centre, rows: Sequence[Row], job: ImportJob) -> Imported:
    """A page at once; where something in it fails, row by row, so that one row does not hold up the others."""
    at = job.planned_at
    assert at is not None
    owed = _owed(job.id, at, centre.library.current.policies_version)
    try:
        with session.begin_nested():
            return imports.load_page(session, centre, rows, at, owed)
    except Exception:
        log.exception("import_jobs.page_failed", job=job.id, page=job.cursor)
    total = Imported()
    for row in rows:
        try:
            with session.begin_nested():
                total += imports.load_page(session, centre, [row], at, owed)
        except Exception:
            log.exception("import_jobs.row_failed", job=job.id, line=row.line)
            total += Imported(refused=(Problem(row.line, "", FAILED),))
    return total


@lru_cache(maxsize=4)
def _owed(_job_id: int, _at: datetime, _version: str) -> Owed:
    """What the pages of one list share while they are planned as of one moment, with the same policies."""
    return {}


def _finish(session: Session, job: ImportJob, state: ImportState, now: datetime) -> None:
    """Keeps the run for the record and tells whoever brought the list."""
    refused: list[Problem] = []
    unplanned: list[Problem] = []
    for fault in faults(session, job):
        refused += [Problem(fault[0], field, code) for field, code in fault[2]]
    for line, code in _noted(session, job, "unplanned"):
        unplanned.append(Problem(line, "", code))
    total = Imported(job.loaded, job.known, tuple(refused), tuple(unplanned))
    run = imports.finish(session, job.filename, total, staff_id=job.staff_id, now=now)
    job.state, job.ended_at, job.run_id = state, now, run.run_id
    alerts.tell(
        session,
        [session.get_one(Staff, job.staff_id)],
        FINISHED,
        cause=f"import:{job.id}",
        link=f"/console/callbacks/import/{job.id}",
        now=now,
        file=job.filename,
        loaded=job.loaded,
        known=job.known,
        refused=job.refused,
    )


def faults(session: Session, job: ImportJob) -> Iterator[Fault]:
    """The rows that did not load, as the file had them, each with its problems; none once they are forgotten."""
    yield from _noted(session, job, "faults")


def _noted(session: Session, job: ImportJob, what: str) -> Iterator[Any]:
    numbers = session.scalars(
        select(ImportPage.number)
        .where(ImportPage.job_id == job.id, ImportPage.number < job.cursor)
        .order_by(ImportPage.number)
    ).all()
    for number in numbers:
        yield from _opened(session, job.id, number).get(what, ())


def _forget(session: Session, now: datetime) -> int:
    """Drafts nobody confirmed go as a whole, faulty rows once they were kept long enough."""
    old = session.scalars(
        select(ImportJob)
        .where(
            or_(
                (ImportJob.state == ImportState.DRAFT) & (ImportJob.created_at < now - DRAFT_FOR),
                ImportJob.state.in_((ImportState.DONE, ImportState.CANCELLED))
                & (ImportJob.ended_at < now - FAULTS_FOR)
                & select(ImportPage.id).where(ImportPage.job_id == ImportJob.id).exists(),
            )
        )
        .order_by(ImportJob.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).all()
    for job in old:
        session.execute(delete(ImportPage).where(ImportPage.job_id == job.id))
        if job.state is ImportState.DRAFT:
            session.delete(job)
    return len(old)


# ── rows at rest ──


def _sealed(session: Session, content: Any) -> bytes:
    return vault_of(session).seal(json.dumps(content, ensure_ascii=False))


def _opened(session: Session, job_id: int, number: int) -> Any:
    sealed = session.scalar(select(ImportPage.sealed).where(ImportPage.job_id == job_id, ImportPage.number == number))
    return json.loads(vault_of(session).open(sealed)) if sealed is not None else []


def _waiting(session: Session, job_id: int, number: int) -> list[Line]:
    return [(line, cells) for line, cells in _opened(session, job_id, number)]
