"""Importing a list of visits: good rows load page by page, bad ones are told by line, a second time adds nothing.

Each page of rows is one transaction, and an event is known by its source and number (or by what its row says), so a
process that dies half-way and starts again neither loses nor doubles a row. An ImportRun is kept at the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import Language
from bot.services import audit
from bot.services.centre import Centre
from bot.services.i18n import N_, text
from bot.services.plans import list_pages
from bot.services.plans.planning import Occurrence, Owed
from bot.services.plans.visit_lists import COLUMNS, SOURCE, Problem, Row, UnreadableError, occurrence, read
from store.db import vault_of
from store.tables import Event, ImportRun

__all__ = ["Imported", "UnreadableError", "explain", "explain_file", "import_file", "read"]

PAGE = 500  # rows in one transaction
SHOWN = 5  # rows a preview shows
KEPT_PROBLEMS = 1000  # of one file; the first are enough to mend it


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file's rows. `refused` rows did not load; `unplanned` rows did, but their call waits for
    something that is named."""

    loaded: int = 0
    known: int = 0
    refused: tuple[Problem, ...] = ()
    unplanned: tuple[Problem, ...] = ()
    run_id: int | None = None

    def __add__(self, other: Imported) -> Imported:
        return Imported(
            self.loaded + other.loaded,
            self.known + other.known,
            self.refused + other.refused,
            self.unplanned + other.unplanned,
        )

    @property
    def refused_lines(self) -> int:
        return len({problem.line for problem in self.refused})


def import_file(centre: Centre, filename: str, data: bytes, *, now: datetime, staff_id: int | None = None) -> Imported:
    """Imports a whole file, for the command line. Raises UnreadableError before anything is loaded."""
    total, owed = Imported(), Owed()
    for rows in _pages(read(data)):
        total += centre.db.write_now(partial(load_page, centre=centre, rows=rows, now=now, owed=owed))
    return centre.db.write_now(lambda s: finish(s, filename, total, staff_id=staff_id, now=now))


def ids_known(session: Session, ids: Sequence[str]) -> set[str]:
    """Which of these events are known already."""
    query = select(Event.external_id).where(Event.source == SOURCE, Event.external_id.in_(ids))
    return set(session.scalars(query)) if ids else set()


def _pages(rows: Sequence[Row]) -> Iterator[list[Row]]:
    return (list(rows[at : at + PAGE]) for at in range(0, len(rows), PAGE))


def load_page(
    session: Session, centre: Centre, rows: Sequence[Row], now: datetime, owed: Owed | None = None
) -> Imported:
    """One page of rows, in this one transaction. `owed` is shared by the pages of one import."""
    refused: list[Problem] = []
    unplanned: list[Problem] = []
    good: list[tuple[int, Occurrence]] = []
    for row in rows:
        what = occurrence(row, zone=centre.settings.timezone, now=now)
        if isinstance(what, Occurrence):
            good.append((row.line, named(session, what)))
        else:
            refused += what
    there = ids_known(session, [what.external_id for _, what in good])
    new: dict[str, tuple[int, Occurrence]] = {}
    for line, what in good:
        if what.external_id not in there:
            new.setdefault(what.external_id, (line, what))
    reasons = list_pages.record_all(
        session, centre, [what for _, what in new.values()], now, {} if owed is None else owed
    )
    for (line, _), reason in zip(new.values(), reasons, strict=True):
        if reason:
            unplanned.append(Problem(line, "", reason))
    loaded, known = len(new), len(good) - len(new)
    return Imported(loaded, known, tuple(refused), tuple(unplanned))


def named(session: Session, what: Occurrence) -> Occurrence:
    """An event without a number of its own is named by a keyed hash of what it says: the same row is known again."""
    if what.external_id:
        return what
    told = [what.kind, what.phone, what.name, what.happened_at.isoformat(), sorted(what.details.items())]
    digest = vault_of(session).blind("event", json.dumps(told, ensure_ascii=False))
    return replace(what, external_id=f"row:{digest}")


def finish(session: Session, filename: str, total: Imported, *, staff_id: int | None, now: datetime) -> Imported:
    """Keeps the run for the record."""
    problems = [(p, False) for p in total.refused] + [(p, True) for p in total.unplanned]
    run = ImportRun(
        filename=filename[-200:],
        staff_id=staff_id,
        loaded=total.loaded,
        known=total.known,
        refused=[
            {"line": p.line, "field": p.field, "code": p.code, "loaded": loaded}
            for p, loaded in problems[:KEPT_PROBLEMS]
        ],
        at=now,
    )
    session.add(run)
    session.flush()
    audit.record(
        session,
        "visits.import",
        "import_run",
        run.id,
        now=now,
        staff_id=staff_id,
        loaded=total.loaded,
        known=total.known,
        refused=total.refused_lines,
    )
    return replace(total, run_id=run.id)


def runs(session: Session, limit: int = 20) -> list[ImportRun]:
    """The latest imports."""
    return list(session.scalars(select(ImportRun).order_by(ImportRun.id.desc()).limit(limit)))


def problems_of(run: ImportRun) -> list[Problem]:
    """What a kept run said about its lines."""
    return [Problem(int(p["line"]), str(p["field"]), str(p["code"])) for p in run.refused]


# ── what would be right, in the reader's language ──

RIGHT: Mapping[str, str] = {
    "failed": N_("没能导入，请核对这一行后再试"),
    "missing": N_("不能为空"),
    "too_long": N_("太长了"),
    "phone": N_("不是能拨打的电话号码，例如 13800001234 或 +8613800001234"),
    "time": N_("看不懂这个时间，例如 2026-07-01 10:00"),
    "in_the_future": N_("到诊时间在将来，请核对"),
    "kind": N_(
        "不认识这类事件，可以写：到诊未消费、到诊消费、未到诊、中断、门诊手术、住院手术、"
        "订单未付款、已发货、已签收、购买"
    ),
    "language": N_("语言请写 zh 或 en"),
    "tag_long": N_("标签太长，每个最多 24 个字"),
    "tags_many": N_("标签太多，最多 20 个"),
    "birthday": N_("看不懂这个生日，例如 1960-05-20 或 05-20"),
    "timezone": N_("时区请写 IANA 名称，例如 Asia/Shanghai"),
    "seasons_unset": N_("已导入，但换季日期还没有设置，设置后会自动安排回访"),
    "delay_unset": N_("已导入，但这类回访在第几天进行还没有设置，设置后会自动安排"),
    "no_window": N_("已导入，但现在的时段设置里没有能拨打的时间，改好后会自动安排"),
    "flow_missing": N_("已导入，但这类回访的话术还没有，添加后会自动安排"),
    "no_plan": N_("已导入，但还没有这类事件的回访计划，添加后会自动安排"),
    "too_old": N_("已导入，但时间过去太久，不再安排回访"),
    "after_end": N_("已导入，但计划的期限内没有能拨打的时间，不再安排回访"),
    "opted_out": N_("已导入，但客户要求不再联系，不安排回访"),
    "consent_withdrawn": N_("已导入，但客户不同意电话回访，不安排回访"),
}
UNREADABLE: Mapping[str, str] = {
    "too_big": N_("文件太大了，最多 20 MB，请分成几个文件。"),
    "too_many_rows": N_("行数太多了，一次最多十万行，请分成几个文件。"),
    "empty": N_("文件是空的：第一行应当是列名，下面每行一位客户。"),
    "columns_missing": N_("第一行缺少这些列：%(columns)s。"),
    "encoding": N_("看不懂文件的编码，请另存为 UTF-8 的 CSV，或直接上传 XLSX。"),
    "not_a_list": N_("这不是 CSV 或 XLSX 表格，或者文件损坏了。"),
}


def explain(problem: Problem, language: Language) -> str:
    """A line's problem as people read it: line, column, what would be right."""
    said = text(language, RIGHT.get(problem.code, problem.code))
    if not problem.field:
        return text(language, N_("第 %(line)d 行：%(said)s"), line=problem.line, said=said)
    column = column_name(problem.field, language)
    return text(language, N_("第 %(line)d 行“%(column)s”：%(said)s"), line=problem.line, column=column, said=said)


def explain_row(problems: Sequence[Sequence[str]], names: Mapping[str, str], language: Language) -> str:
    """A row's problems, as [field, code], in one line; `names` are what its own file calls the fields."""
    told = []
    for field, code in problems:
        said = text(language, RIGHT.get(code, code))
        column = names.get(field) or (column_name(field, language) if field else "")
        told.append(f"{column}: {said}" if column else said)
    return ("；" if language is Language.ZH else "; ").join(told)


def explain_file(error: UnreadableError, language: Language) -> str:
    """Why a whole file cannot be used, as people read it."""
    values: dict[str, Any] = {}
    if error.fields:
        comma = "、" if language is Language.ZH else ", "
        values["columns"] = comma.join(column_name(name, language) for name in error.fields)
    return text(language, UNREADABLE[error.code], **values)


def column_name(name: str, language: Language) -> str:
    """What a column is called in a list of this language."""
    return COLUMNS[name][0] if language is Language.ZH else name
