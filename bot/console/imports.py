"""Lists at the console: brought, columns confirmed beside what would become of the rows, loaded live (REQ-C02)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form, HTTPException, Path, Query, Request
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.datastructures import UploadFile
from starlette.responses import HTMLResponse, Response

from bot.console.door import (
    attachment,
    centre_of,
    change,
    fragment,
    language_of,
    refuse,
    render,
    require,
    see_other,
    write,
)
from bot.console.live import live
from bot.core.words import Language
from bot.reports.faulty_rows import faulty_rows
from bot.services import audit
from bot.services.permissions import Function, Grant
from bot.services.plans import import_jobs, imports
from bot.services.plans.import_jobs import ImportRefusedError
from bot.services.plans.imports import UnreadableError
from bot.services.plans.visit_lists import COLUMNS, MAX_BYTES, REQUIRED, Problem, table
from bot.services.staffing.staff import SignedIn
from store.tables import ImportJob, ImportState, Staff

router = APIRouter(prefix="/console/callbacks/import", include_in_schema=False)

Manages = Annotated[SignedIn, Depends(require(Function.MANAGE_CALLBACKS, Grant.YES))]
JobId = Annotated[int, Path(ge=1, le=2**53)]
Columns = Annotated[list[str] | None, Form(max_length=300)]
HERE = "/console/callbacks/import"
SHOWN_PROBLEMS = 100


@router.get("")
async def import_page(
    request: Request, staff: Manages, run: Annotated[int | None, Query(ge=1, le=2**53)] = None
) -> Response:
    return await _lists(request, staff, run=run)


async def _lists(
    request: Request, staff: SignedIn, *, run: int | None = None, unreadable: str = "", status: int = 200
) -> Response:
    """Where a file is brought, with what was imported lately."""
    centre, language = centre_of(request), language_of(request)
    runs = await centre.db.read(imports.runs)
    chosen = next((each for each in runs if each.id == run), None)
    told = [imports.explain(p, language) for p in imports.problems_of(chosen)[:SHOWN_PROBLEMS]] if chosen else []
    columns = [(imports.column_name(name, language), _aliases(names, language)) for name, names in COLUMNS.items()]
    return render(
        request,
        "console/callbacks/import.html",
        status,
        runs=runs,
        jobs=await centre.db.read(lambda s: _open_jobs(s, staff)),
        job_of=await centre.db.read(lambda s: _jobs_of(s, [each.id for each in runs])),
        run=chosen,
        problems=told,
        columns=columns,
        unreadable=unreadable,
    )


def _open_jobs(session: Session, staff: SignedIn) -> list[tuple[ImportJob, str]]:
    """Lists that are loading, and the viewer's own drafts, with who brought them."""
    own = (ImportJob.state == ImportState.DRAFT) & (ImportJob.staff_id == staff.staff_id)
    rows = session.execute(
        select(ImportJob, Staff.name)
        .join(Staff, Staff.id == ImportJob.staff_id)
        .where((ImportJob.state == ImportState.RUNNING) | own)
        .order_by(ImportJob.id.desc())
        .limit(20)
    )
    return [(job, name) for job, name in rows]


def _jobs_of(session: Session, runs: Sequence[int]) -> dict[int, int]:
    """Which job made which run."""
    query = select(ImportJob.run_id, ImportJob.id).where(ImportJob.run_id.in_(runs))
    return {run: job for run, job in session.execute(query) if run is not None}


def _aliases(names: Sequence[str], language: Language) -> str:
    """A few names a column may have, in the reader's language."""
    english = language is Language.EN
    return (", " if english else "、").join([name for name in names if name.isascii() is english][:3])


@router.post("")
async def bring(request: Request, staff: Manages) -> Response:
    """Reads a file and leads to its columns."""
    centre = centre_of(request)
    now = centre.clock.now()
    filename, data = await _file(request)
    try:
        found = await asyncio.to_thread(table, data)
    except UnreadableError as error:
        said = imports.explain_file(error, language_of(request))
        return await _lists(request, staff, unreadable=said, status=422)
    job_id = await centre.db.write(lambda s: import_jobs.draft(s, filename, found, staff_id=staff.staff_id, now=now).id)
    return see_other(_page(job_id))


async def _file(request: Request) -> tuple[str, bytes]:
    """The uploaded list; an empty one where nothing was chosen. What is too big is cut just above the limit."""
    found = (await request.form()).get("file")
    if not isinstance(found, UploadFile):
        return "", b""
    try:
        return found.filename or "", await found.read(MAX_BYTES + 1)
    finally:
        await found.close()


# ── one list ──


@router.get("/{job_id}")
async def show(request: Request, job_id: JobId, staff: Manages) -> Response:
    """A draft's columns, for whoever brought it alone; else how far it is, or what became of it."""
    return render(request, "console/callbacks/import_job.html", **await _seen(request, job_id, staff))


@router.get("/{job_id}/events")
async def events(request: Request, job_id: JobId, staff: Manages) -> Response:
    await _seen(request, job_id, staff)

    async def draw(reader: SignedIn) -> Mapping[str, str]:
        seen = await _seen(request, job_id, reader)
        return {"import": fragment(request, "console/callbacks/import_progress.html", **seen)}

    return live(request, (import_jobs.TOPIC,), draw)


async def _seen(request: Request, job_id: int, staff: SignedIn) -> dict[str, Any]:
    centre, language = centre_of(request), language_of(request)
    now = centre.clock.now()

    def read(session: Session) -> dict[str, Any] | None:
        job = session.get(ImportJob, job_id)
        own = job is not None and job.staff_id == staff.staff_id
        if job is None or (job.state is ImportState.DRAFT and not own):
            return None
        draft = job.state is ImportState.DRAFT
        seen = import_jobs.preview(session, centre, job, now) if draft else None
        over = job.ended_at is not None
        refused = seen.refused if seen else _problems(session, job) if over else ()
        return {
            "job": job,
            "own": own,
            "by": session.get_one(Staff, job.staff_id).name,
            "seen": seen,
            "problems": [imports.explain(problem, language) for problem in refused[:SHOWN_PROBLEMS]],
            "faulty": over and own and next(import_jobs.faults(session, job), None) is not None,
        }

    found = await centre.db.read(read)
    if found is None:
        raise HTTPException(404)
    fields = {name: imports.column_name(name, language) for name in COLUMNS}
    return {**found, "fields": fields, "required": REQUIRED, "right": imports.RIGHT}


def _problems(session: Session, job: ImportJob) -> list[Problem]:
    """What was wrong with the rows of a list that is over."""
    found: list[Problem] = []
    for line, _, told in import_jobs.faults(session, job):
        found += [Problem(line, field, code) for field, code in told]
        if len(found) >= SHOWN_PROBLEMS:
            break
    return found


@router.post("/{job_id}/columns")
async def columns(request: Request, job_id: JobId, staff: Manages, column: Columns = None) -> Response:
    """What each column is, in the file's order; the page's script gets the preview alone."""
    try:
        await write(request, lambda s, _: import_jobs.map_columns(s, job_id, column or (), staff_id=staff.staff_id))
    except ImportRefusedError as error:
        return refuse(request, _page(job_id), error.code, status=422)
    if "fragment" not in request.headers.get("accept", ""):
        return see_other(_page(job_id))
    seen = await _seen(request, job_id, staff)
    return HTMLResponse(fragment(request, "console/callbacks/import_preview.html", **seen))


@router.post("/{job_id}/start")
async def start(request: Request, job_id: JobId, staff: Manages, column: Columns = None) -> Response:
    """Loads it, with its columns as they stand on the page."""

    def work(session: Session, now: datetime) -> None:
        import_jobs.map_columns(session, job_id, column or (), staff_id=staff.staff_id)
        import_jobs.start(session, job_id, staff_id=staff.staff_id, now=now)

    return await change(request, _page(job_id), work, None, status=422)


@router.post("/{job_id}/cancel")
async def cancel(request: Request, job_id: JobId, staff: Manages) -> Response:
    """Whoever brought it, or manages the queue, stops it."""
    return await change(
        request,
        _page(job_id),
        lambda s, now: import_jobs.cancel(s, job_id, staff_id=staff.staff_id, now=now),
        "import_cancelled",
        back=HERE,
        status=422,
    )


@router.get("/{job_id}/faults.{kind}")
async def faults(request: Request, job_id: JobId, kind: Literal["xlsx", "csv"], staff: Manages) -> Response:
    """The rows that did not load, to mend; for whoever brought them, and noted."""
    centre, language = centre_of(request), language_of(request)
    now = centre.clock.now()

    def read(session: Session) -> bytes | None:
        job = session.get(ImportJob, job_id)
        if job is None or job.staff_id != staff.staff_id or job.ended_at is None:
            return None
        audit.record(session, "import.faults", "import", job.id, now=now, staff_id=staff.staff_id)
        return faulty_rows(job.header, _reasons(session, job, language), kind, language)

    content = await centre.db.write(read)
    if content is None:
        raise HTTPException(404)
    return attachment(content, f"faulty-rows-{job_id}.{kind}")


def _reasons(session: Session, job: ImportJob, language: Language) -> Iterator[tuple[list[str], str]]:
    names = {name: job.header[at] for at, name in enumerate(job.columns) if name}
    for _, cells, told in import_jobs.faults(session, job):
        yield cells, imports.explain_row(told, names, language)


def _page(job_id: int) -> str:
    return f"{HERE}/{job_id}"
