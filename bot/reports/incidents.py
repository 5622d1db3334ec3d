"""An incident's file as a document: the whole of it with its timeline, the report to the authorities, the hall's seven
parts; as DOCX, which people go on editing and hand in, or XLSX (REQ-F45, F46, F50, F52, F55).

    documents(session, centre, incident_id, "file", language, now, numbers=True) -> Report   all in the reader's words
    written(report, Document.DOCX) -> bytes                                      no database, no clock
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

import docx
import xlsxwriter
from docx.document import Document as Docx
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml.ns import qn
from docx.shared import Pt
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.core.incident_plan import score
from bot.core.money import shown
from bot.core.redaction import without_addresses
from bot.core.words import Language, Outcome, StepState
from bot.services import i18n
from bot.services.announcements import broadcasts
from bot.services.announcements.announcement_lines import DRILL
from bot.services.centre import Centre
from bot.services.i18n import N_, label
from bot.services.incidents import customer_reports, incident_costs, incident_record, incident_steps
from bot.services.incidents.incident_costs import Cost
from bot.services.incidents.incident_types import catalogue
from bot.services.incidents.incident_words import ENTRIES, GRADES, PLANS
from bot.services.records import corrections
from bot.services.records.corrections import Was
from bot.services.refusal import NotFoundError
from store.tables import Broadcast, Incident, IncidentEntry, IncidentStep, IncidentTold, ManualRecord, Revision, Staff

LATIN, HAN = "Calibri", "SimSun"
CORRECTED = N_("%(new)s（更正，原为：%(old)s）")
KINDS = {"file": N_("事件报告"), "authorities": N_("事故快报"), "hall": N_("营业厅突发事件报告")}


class Document(StrEnum):
    """What it is written as."""

    DOCX = "docx"
    XLSX = "xlsx"


@dataclass(frozen=True, slots=True)
class Part:
    """A heading and a table under it; without `columns` each row is a name and what it says."""

    heading: str
    rows: tuple[tuple[str, ...], ...]
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """A document in one language, ready to be written. `notes` stand under the title."""

    title: str
    notes: tuple[str, ...]
    parts: tuple[Part, ...]


# ── gathering ──


def documents(
    session: Session, centre: Centre, incident_id: int, kind: str, language: Language, now: datetime, *, numbers: bool
) -> Report:
    """One of KINDS; raises NotFoundError. Telephone numbers and flats that people wrote are hidden unless `numbers`."""
    incident = session.get(Incident, incident_id)
    if incident is None or kind not in KINDS:
        raise NotFoundError
    writer = _Writer(session, centre, incident, language)
    parts = tuple(writer.whole() if kind == "file" else writer.form(kind))
    if not numbers:
        parts = tuple(map(_masked, parts))
    company = centre.library.current.policies.company.name.of(language)
    drill = DRILL[language] * incident.drill
    made = writer.say(N_("%(company)s · 生成于 %(at)s"), company=company, at=writer.at(now))
    return Report(f"{drill}{writer.say(KINDS[kind])}：{incident.title}", (made,), parts)


def _masked(part: Part) -> Part:
    return replace(part, rows=tuple(tuple(map(without_addresses, row)) for row in part.rows))


class _Writer:
    """One incident in one reader's words."""

    def __init__(self, session: Session, centre: Centre, incident: Incident, language: Language) -> None:
        self.session, self.centre, self.incident, self.language = session, centre, incident, language
        self.zone: ZoneInfo = centre.settings.zone
        self.names = {person.id: person.name for person in session.execute(select(Staff.id, Staff.name))}
        self.steps = incident_steps.steps_of(session, incident.id)
        self.were = corrections.history(session, "incident_entry", [entry.id for entry in self._entries()])
        self.forms_were = corrections.history(session, "incident", [incident.id])

    def say(self, message: str, **values: object) -> str:
        return i18n.text(self.language, message, **values)

    def at(self, moment: datetime | None) -> str:
        return moment.astimezone(self.zone).strftime("%Y-%m-%d %H:%M") if moment is not None else ""

    def who(self, staff_id: int | None) -> str:
        return self.names.get(staff_id, "") if staff_id is not None else self.say(N_("系统"))

    def _now(self, value: str, was: Sequence[Was]) -> str:
        """What is right, beside what stood there first (REQ-G02)."""
        return self.say(CORRECTED, new=value, old=was[0].old) if was else value

    # ── the short reports ──

    def form(self, kind: str) -> Iterator[Part]:
        """The parts people filled in, and what the record itself knows where they left one empty."""
        known = self._known()
        yield Part(
            self.say(KINDS[kind]),
            tuple(
                (self.say(name), self._part(kind, field) or known.get(field, ""))
                for field, name in incident_record.FORMS[kind].items()
            ),
        )

    def _known(self) -> dict[str, str]:
        about = catalogue(self.centre).types.get(self.incident.code)
        name = about.name.of(self.language) if about else self.incident.code
        where = self._place()
        started = self.at(self.incident.started_at)
        done = [self._step_words(row) for row in self.steps if row.state is StepState.DONE and row.plan != "after"]
        actions = [entry.text for entry in self._entries() if entry.kind in ("action", "contained") and entry.text]
        return {
            "profile": self.centre.library.current.policies.company.name.of(self.language),
            "scene": f"{started} {where} {self.incident.title}".strip(),
            "course": "\n".join(f"{self.at(e.at)} {self._entry_words(e)}" for e in self._entries()[:12]),
            "taken": "\n".join([*actions, *done]),
            "hall": where,
            "time": started,
            "kind": name,
            "control": "\n".join([label(self.language, self.incident.state), *actions, *done]),
        }

    # ── the whole file ──

    def whole(self) -> Iterator[Part]:
        yield self._summary()
        if self.incident.drill:
            yield self._drill()
        for kind in incident_record.FORMS:
            if self.incident.facts.get(kind):
                yield from (Part(part.heading, part.rows) for part in self._filled(kind))
        yield self._plan()
        yield self._told()
        yield self._announcements()
        yield self._wordings()
        yield self._costs()
        yield self._by_hand()
        yield self._afterwards()
        yield self._timeline()

    def _filled(self, kind: str) -> Iterator[Part]:
        fields = incident_record.FORMS[kind]
        filled = self.incident.facts[kind]
        heading = KINDS.get(kind, N_("其他记录"))
        yield Part(self.say(heading), tuple((self.say(fields[f]), self._part(kind, f)) for f in fields if f in filled))

    def _part(self, kind: str, field: str) -> str:
        """A part of a form, as it stands."""
        was = self.forms_were.get((self.incident.id, f"{kind}.{field}"), ())
        return self._now(str(self.incident.facts.get(kind, {}).get(field, "")), was)

    def _summary(self) -> Part:
        incident, say = self.incident, self.say
        about = catalogue(self.centre).types.get(incident.code)
        name = about.name.of(self.language) if about else ""
        reporters = customer_reports.count_of(self.session, incident.id)
        return Part(
            say(N_("概况")),
            (
                (say(N_("类型")), f"{incident.code} {name}"),
                (say(N_("地点")), self._place()),
                (say(N_("发现途径")), label(self.language, incident.source)),
                (say(N_("上报人")), self.who(incident.owner_id)),
                (say(N_("开始")), self.at(incident.started_at)),
                (say(N_("恢复")), self.at(incident.ended_at)),
                (say(N_("预计恢复")), self.at(incident.eta_at)),
                (say(N_("状态")), label(self.language, incident.state)),
                (say(N_("预案")), say(PLANS[incident.plan]) if incident.plan else "—"),
                (say(N_("事件级别")), say(GRADES[incident.grade]) if incident.grade else "—"),
                (say(N_("反映的客户")), str(reporters)),
            ),
        )

    def _drill(self) -> Part:
        """Time, content, participants, evaluation and the timers' results (REQ-F55)."""
        say = self.say
        found = score(incident_steps.standing(row) for row in self.steps if row.plan != incident_steps.AFTERWARDS)
        people = incident_record.participants(self.session, self.incident.id)
        evaluation = [entry.text for entry in self._entries() if entry.kind in ("reviewed", "evaluation")]
        return Part(
            say(N_("演练记录")),
            (
                (say(N_("时间")), f"{self.at(self.incident.started_at)} – {self.at(self.incident.ended_at)}"),
                (say(N_("内容")), self.incident.title),
                (say(N_("参加的人")), "、".join(people) if self.language is Language.ZH else ", ".join(people)),
                (say(N_("评价")), "\n".join(evaluation)),
                (say(N_("得分")), str(found.points)),
                (
                    say(N_("计时结果")),
                    say(
                        N_("按时 %(on)s，超时 %(late)s，没做 %(missed)s"),
                        on=found.on_time,
                        late=found.late,
                        missed=found.missed,
                    ),
                ),
            ),
        )

    def _plan(self) -> Part:
        say = self.say
        columns = (N_("预案"), N_("步骤"), N_("依据"), N_("期限"), N_("状态"), N_("完成"), N_("谁"), N_("结果"))
        return Part(
            say(N_("预案执行")),
            tuple(
                (
                    say(PLANS.get(row.plan, row.plan)),
                    row.text_zh if self.language is Language.ZH else row.text_en,
                    " ".join(row.refs),
                    self.at(row.due_at),
                    label(self.language, row.state) + (" ⚠" if _late(row) else ""),
                    self.at(row.done_at),
                    self.who(row.done_by) if row.done_at else "",
                    self._result(row),
                )
                for row in self.steps
                if row.plan != incident_steps.AFTERWARDS
            ),
            tuple(say(column) for column in columns),
        )

    def _result(self, row: IncidentStep) -> str:
        return self.say(N_("事件已恢复")) if row.result == "recovered" else row.result

    def _told(self) -> Part:
        rows = self.session.scalars(
            select(IncidentTold).where(IncidentTold.incident_id == self.incident.id).order_by(IncidentTold.id)
        )
        columns = (N_("谁"), N_("通知时间"), N_("确认收到"), N_("告知恢复"))
        return Part(
            self.say(N_("通知的人")),
            tuple(
                (self.who(r.staff_id), self.at(r.told_at), self.at(r.acknowledged_at), self.at(r.over_at)) for r in rows
            ),
            tuple(self.say(column) for column in columns),
        )

    def _announcements(self) -> Part:
        rows = self.session.scalars(
            select(Broadcast).where(Broadcast.incident_id == self.incident.id).order_by(Broadcast.id)
        )
        columns = (N_("公告"), N_("批准时间"), N_("人数"), N_("已确认收到"), N_("没联系到"), N_("内容"))
        return Part(
            self.say(N_("公告")),
            tuple(self._announcement(row) for row in rows),
            tuple(self.say(column) for column in columns),
        )

    def _announcement(self, row: Broadcast) -> tuple[str, ...]:
        counts = broadcasts.counts(self.session, row.id)
        missed = sum(counts[outcome] for outcome in (Outcome.FAILED, Outcome.UNREACHABLE, Outcome.EXPIRED))
        return (
            f"{label(self.language, row.kind)} · {label(self.language, row.state)}",
            self.at(row.approved_at),
            str(row.audience_size),
            str(counts[Outcome.ACKNOWLEDGED]),
            str(missed),
            row.text_zh if self.language is Language.ZH else row.text_en,
        )

    def _wordings(self) -> Part:
        """Every version of what was said (REQ-F33)."""
        field = "wording_zh" if self.language is Language.ZH else "wording_en"
        rows = self.session.scalars(
            select(Revision)
            .where(Revision.subject == "incident", Revision.subject_id == self.incident.id, Revision.field == field)
            .order_by(Revision.id)
        )
        columns = (N_("时间"), N_("谁"), N_("口径"))
        return Part(
            self.say(N_("统一口径")),
            tuple((self.at(row.at), self.who(row.staff_id), str(row.new)) for row in rows),
            tuple(self.say(column) for column in columns),
        )

    def _costs(self) -> Part:
        """Each with what it was for, and the sum (REQ-F53)."""
        found = incident_costs.costs_of(self.session, self.incident.id)
        rows = [
            (self.at(each.at), self._now(each.text, each.text_was), *self._money(each), self.who(each.staff_id))
            for each in found.entries
        ]
        sums = [("", self.say(N_("合计")), f"{total:,.2f}", currency, "") for currency, total in found.sums]
        columns = (N_("时间"), N_("用在哪里"), N_("金额"), N_("币种"), N_("谁"))
        return Part(self.say(N_("费用")), (*rows, *sums), tuple(self.say(column) for column in columns))

    def _money(self, cost: Cost) -> tuple[str, str]:
        """The amount and its currency; nothing where it was written in words alone."""
        if cost.amount is None:
            return "", ""
        return self._now(shown(cost.amount), cost.was), cost.currency or ""

    def _by_hand(self) -> Part:
        count = select(func.count()).select_from(ManualRecord).where(ManualRecord.incident_id == self.incident.id)
        calls = count.where(ManualRecord.callback_id.is_not(None))
        return Part(
            self.say(N_("手工记录")),
            (
                (self.say(N_("条数")), str(self.session.scalar(count) or 0)),
                (self.say(N_("安排回电")), str(self.session.scalar(calls) or 0)),
            ),
        )

    def _afterwards(self) -> Part:
        columns = (N_("改进措施"), N_("谁"), N_("期限"), N_("状态"), N_("结果"))
        rows = [row for row in self.steps if row.plan == incident_steps.AFTERWARDS]
        return Part(
            self.say(N_("复盘和改进")),
            tuple(
                (
                    row.text_zh if self.language is Language.ZH else row.text_en,
                    self.names.get(row.staff_id or 0, ""),
                    self.at(row.due_at),
                    label(self.language, row.state),
                    row.result,
                )
                for row in rows
            ),
            tuple(self.say(column) for column in columns),
        )

    def _timeline(self) -> Part:
        moments: list[tuple[datetime, str, str]] = [
            (entry.at, self._entry_words(entry), self.who(entry.staff_id)) for entry in self._entries()
        ]
        moments += [
            (row.done_at, f"{label(self.language, row.state)}：{self._step_words(row)}", self.who(row.done_by))
            for row in self.steps
            if row.done_at is not None
        ]
        columns = (N_("时间"), N_("经过"), N_("谁"))
        return Part(
            self.say(N_("经过")),
            tuple((self.at(at), what, who) for at, what, who in sorted(moments, key=lambda each: each[0])),
            tuple(self.say(column) for column in columns),
        )

    # ── words ──

    def _entries(self) -> Sequence[IncidentEntry]:
        return self.session.scalars(
            select(IncidentEntry).where(IncidentEntry.incident_id == self.incident.id).order_by(IncidentEntry.id)
        ).all()

    def _entry_words(self, entry: IncidentEntry) -> str:
        text = entry.text
        if entry.kind in ("plan", "plan_proposed") and text in PLANS:
            text = self.say(PLANS[text])
        elif entry.kind == "grade" and text in GRADES:
            text = self.say(GRADES[text])
        elif entry.kind == "form":
            text = self.say(KINDS.get(text, N_("其他记录")))
        else:
            was = self.were.get((entry.id, "text"), ())
            text = self._now(was[-1].new if was else text, was)
        name = self.say(ENTRIES.get(entry.kind, entry.kind))
        return f"{name}：{text}" if text else name

    def _step_words(self, row: IncidentStep) -> str:
        step = row.text_zh if self.language is Language.ZH else row.text_en
        result = self._result(row)
        return f"{step}（{result}）" if result else step

    def _place(self) -> str:
        names = [
            self.say(N_("%(name)s号楼"), name=name) if name.isdigit() else name for name in self.incident.buildings
        ]
        joint = "、" if self.language is Language.ZH else ", "
        return joint.join([*([self.incident.place] if self.incident.place else []), *names])


def _late(row: IncidentStep) -> bool:
    return row.due_at is not None and row.done_at is not None and row.done_at > row.due_at


# ── writing ──


def written(report: Report, form: Document) -> bytes:
    """The document's bytes."""
    return _docx(report) if form is Document.DOCX else _xlsx(report)


def _docx(report: Report) -> bytes:
    document = docx.Document()
    for name in ("Normal", "Title", "Heading 1"):
        style = document.styles[name]
        style.font.name = LATIN
        fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
        fonts.set(qn("w:eastAsia"), HAN)
        for theme in ("w:asciiTheme", "w:hAnsiTheme", "w:eastAsiaTheme"):
            fonts.attrib.pop(qn(theme), None)
    document.styles["Normal"].font.size = Pt(10.5)
    document.core_properties.title = report.title
    document.core_properties.author = ""
    document.add_heading(report.title, 0).alignment = WD_ALIGN_PARAGRAPH.LEFT
    for line in report.notes:
        document.add_paragraph(line)
    for part in report.parts:
        if part.rows:
            document.add_heading(part.heading, 1)
            _table(document, part)
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def _table(document: Docx, part: Part) -> None:
    width = len(part.columns) or 2
    table = document.add_table(rows=0, cols=width)
    table.style = "Table Grid"
    for number, row in enumerate(([part.columns] if part.columns else []) + list(part.rows)):
        cells = table.add_row().cells
        for place, text in enumerate(row):
            paragraph = cells[place].paragraphs[0]
            run = paragraph.add_run(_printable(text))
            run.font.size = Pt(9)
            run.bold = (number == 0 and bool(part.columns)) or (not part.columns and place == 0)


def _printable(text: str) -> str:
    """Without the control characters no XML can hold."""
    return "".join(c for c in text if c >= " " or c in "\n\t")


def _xlsx(report: Report) -> bytes:
    file = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = xlsxwriter.Workbook(file, options)
    try:
        head = book.add_format({"bold": True, "bg_color": "#DCEFEC", "border": 1, "text_wrap": True, "valign": "top"})
        cell = book.add_format({"text_wrap": True, "valign": "top", "border": 1})
        title = book.add_format({"bold": True, "font_size": 14})
        for number, part in enumerate(report.parts):
            sheet = book.add_worksheet(_sheet_name(part.heading, number))
            sheet.write_string(0, 0, report.title, title)
            for place, text in enumerate(part.columns):
                sheet.write_string(2, place, text, head)
            first = 3 if part.columns else 2
            for offset, row in enumerate(part.rows):
                for place, text in enumerate(row):
                    style = head if not part.columns and place == 0 else cell
                    sheet.write_string(first + offset, place, _printable(text)[:32000], style)
            for place, width in enumerate(_widths(part)):
                sheet.set_column(place, place, width)
            if part.columns:
                sheet.freeze_panes(3, 0)
    finally:
        book.close()
    return file.getvalue()


def _sheet_name(heading: str, number: int) -> str:
    return f"{number + 1} {''.join(c for c in heading if c not in '[]:*?/')}"[:31]


def _widths(part: Part) -> Iterable[int]:
    """Columns wide enough for what stands in them, a Han character counting two; none wider than people read."""
    rows = [*([part.columns] if part.columns else []), *part.rows]
    for place in range(len(part.columns) or 2):
        lengths = [sum(2 if ord(c) > 0x2E80 else 1 for c in row[place]) for row in rows if place < len(row)]
        yield min(60, max(10, max(lengths, default=0) + 2))
