"""Everything held of one person, for themselves: a spreadsheet to read and JSON to take elsewhere, in both languages
(REQ-G12). Colleagues' notes among themselves about a conversation are theirs and stay out; what was decided is in.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import xlsxwriter
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import Language
from bot.reports.spreadsheet import watermarked
from bot.services import contacts
from bot.services.centre import Centre
from bot.services.i18n import N_, label, text
from bot.services.records import corrections, data_subjects
from store.db import vault_of
from store.tables import (
    Address,
    Answer,
    Attachment,
    Broadcast,
    BroadcastRecipient,
    CallAttempt,
    Callback,
    Case,
    CaseNote,
    Consent,
    Contact,
    Coupon,
    Delivery,
    Event,
    Message,
    Revision,
    Visit,
)

Cell = str | int | bool | None


@dataclass(frozen=True, slots=True)
class Section:
    """One kind of record: its name, its columns and its rows; names are marked source strings."""

    name: str
    columns: tuple[tuple[str, str], ...]  # key in the JSON, marked heading
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Everything:
    sections: tuple[Section, ...]

    @property
    def rows(self) -> int:
        return sum(len(section.rows) for section in self.sections)


WHEN = ("at", N_("时间"))


def everything(session: Session, centre: Centre, contact_id: int) -> Everything:
    """All of a person, of the contacts that were merged into them too."""
    who = data_subjects.person(session, contact_id)
    read = _Reader(session, centre, who)
    return Everything(
        (
            read.identity(),
            read.addresses(),
            read.consents(),
            read.messages(),
            read.cases(),
            read.notes(),
            read.callbacks(),
            read.answers(),
            read.sent(),
            read.announcements(),
            read.visits(),
            read.events(),
            read.coupons(),
            read.corrections(),
        )
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    session: Session
    centre: Centre
    who: data_subjects.Person

    def identity(self) -> Section:
        people = self.session.scalars(select(Contact).where(Contact.id.in_(self.who.people)).order_by(Contact.id))
        columns = (
            ("name", N_("姓名")),
            ("title", N_("称呼")),
            ("language", N_("语言")),
            ("segments", N_("分组")),
            ("tags", N_("标签")),
            ("building", N_("楼号")),
            ("unit", N_("房号")),
            ("birth_year", N_("出生年份")),
            ("birthday", N_("生日")),
            ("interests", N_("兴趣")),
            ("vulnerable", N_("需要照顾")),
            ("hours", N_("希望的联系时段")),
            ("since", N_("建立")),
        )
        return self._section(
            N_("个人资料"),
            columns,
            (
                (
                    person.name,
                    person.title,
                    person.language,
                    " / ".join(person.segments),
                    " / ".join(person.tags),
                    person.building,
                    contacts.unit_of(self.session, person),
                    person.birth_year,
                    person.birthday,
                    person.interests,
                    person.vulnerable,
                    "–".join(filter(None, (person.not_before, person.not_after))),
                    person.created_at,
                )
                for person in people
            ),
        )

    def addresses(self) -> Section:
        vault = vault_of(self.session)
        rows = self.session.scalars(select(Address).where(Address.id.in_(self.who.addresses)).order_by(Address.id))
        return self._section(
            N_("联系方式"),
            (("channel", N_("渠道")), ("value", N_("号码或账号")), ("since", N_("建立"))),
            ((row.channel, vault.open(row.sealed), row.created_at) for row in rows),
        )

    def consents(self) -> Section:
        rows = self.session.scalars(
            select(Consent).where(Consent.contact_id.in_(self.who.people)).order_by(Consent.at, Consent.id)
        )
        return self._section(
            N_("同意与撤回"),
            (WHEN, ("scope", N_("范围")), ("granted", N_("同意")), ("source", N_("来源"))),
            ((row.at, row.scope, row.granted, row.source) for row in rows),
        )

    def messages(self) -> Section:
        rows = self.session.execute(
            select(Message, Attachment.name)
            .outerjoin(Attachment, Attachment.message_id == Message.id)
            .where(Message.conversation_id.in_(self.who.conversations), ~Message.private)
            .order_by(Message.id)
        )
        return self._section(
            N_("会话"),
            (WHEN, ("channel", N_("渠道")), ("author", N_("谁")), ("text", N_("内容")), ("file", N_("文件"))),
            ((row.at, row.channel, row.author, row.text, file) for row, file in rows),
        )

    def cases(self) -> Section:
        rows = self.session.scalars(select(Case).where(Case.id.in_(self.who.cases)).order_by(Case.id))
        columns = (
            ("number", N_("工单号")),
            ("kind", N_("类别")),
            ("state", N_("状态")),
            ("subject", N_("内容")),
            ("facts", N_("您告诉我们的")),
            ("feedback", N_("反馈结果")),
            ("opened_at", N_("建立")),
            ("closed_at", N_("关闭时间")),
        )
        return self._section(
            N_("工单"),
            columns,
            (
                (
                    row.number,
                    row.kind,
                    row.state,
                    row.subject,
                    "; ".join(f"{name}: {value}" for name, value in row.facts.items() if value not in (None, "")),
                    row.feedback,
                    row.opened_at,
                    row.closed_at,
                )
                for row in rows
            ),
        )

    def notes(self) -> Section:
        rows = self.session.execute(
            select(CaseNote, Case.number)
            .join(Case, Case.id == CaseNote.case_id)
            .where(CaseNote.case_id.in_(self.who.cases))
            .order_by(CaseNote.id)
        )
        return self._section(
            N_("工单经过"),
            (WHEN, ("number", N_("工单号")), ("kind", N_("类别")), ("text", N_("内容"))),
            ((row.at, number, row.kind, row.text) for row, number in rows),
        )

    def callbacks(self) -> Section:
        rows = self.session.execute(
            select(Callback, CallAttempt)
            .outerjoin(CallAttempt, CallAttempt.callback_id == Callback.id)
            .where(Callback.id.in_(self.who.callbacks))
            .order_by(Callback.id, CallAttempt.number)
        )
        columns = (
            ("group", N_("类别")),
            ("state", N_("状态")),
            ("result", N_("结果")),
            ("topic", N_("内容")),
            ("notes", N_("备注")),
            ("attempt", N_("第几次")),
            ("called_at", N_("拨打时间")),
        )
        return self._section(
            N_("回电与回访"),
            columns,
            (
                (
                    row.follow_up_group,
                    row.state,
                    row.disposition,
                    row.topic,
                    " ".join(filter(None, (row.notes, row.remarks))),
                    attempt.number if attempt is not None else None,
                    attempt.started_at if attempt is not None else None,
                )
                for row, attempt in rows
            ),
        )

    def answers(self) -> Section:
        rows = self.session.scalars(
            select(Answer).where(Answer.callback_id.in_(self.who.callbacks)).order_by(Answer.id)
        ).all()
        return self._section(
            N_("回访的回答"),
            (WHEN, ("question", N_("问题")), ("answer", N_("回答")), ("score", N_("评分"))),
            ((g.row.at, g.row.question, g.text, g.score) for g in corrections.answers(self.session, rows)),
        )

    def sent(self) -> Section:
        rows = self.session.scalars(
            select(Delivery).where(Delivery.contact_id.in_(self.who.people)).order_by(Delivery.id)
        )
        return self._section(
            N_("发给您的"),
            (WHEN, ("channel", N_("渠道")), ("purpose", N_("用途")), ("text", N_("内容")), ("state", N_("状态"))),
            ((row.created_at, row.channel, row.purpose, str(row.body.get("text", "")), row.state) for row in rows),
        )

    def announcements(self) -> Section:
        rows = self.session.execute(
            select(BroadcastRecipient, Broadcast)
            .join(Broadcast, Broadcast.id == BroadcastRecipient.broadcast_id)
            .where(BroadcastRecipient.contact_id.in_(self.who.people))
            .order_by(BroadcastRecipient.id)
        )
        return self._section(
            N_("公告"),
            (WHEN, ("text", N_("内容")), ("outcome", N_("结果"))),
            ((row.changed_at, broadcast.text_zh, row.outcome) for row, broadcast in rows),
        )

    def visits(self) -> Section:
        vault = vault_of(self.session)
        rows = self.session.scalars(select(Visit).where(Visit.contact_id.in_(self.who.people)).order_by(Visit.id))
        return self._section(
            N_("上门"),
            (("starts_at", N_("开始")), ("ends_at", N_("结束")), ("state", N_("状态")), ("where", N_("地址"))),
            (
                (row.starts_at, row.ends_at, row.state, vault.open(row.where_sealed) if row.where_sealed else "")
                for row in rows
            ),
        )

    def events(self) -> Section:
        rows = self.session.scalars(select(Event).where(Event.contact_id.in_(self.who.people)).order_by(Event.id))
        return self._section(
            N_("到访和消费"),
            (WHEN, ("kind", N_("类别")), ("source", N_("来源")), ("details", N_("内容"))),
            (
                (
                    row.happened_at,
                    row.kind,
                    row.source,
                    json.dumps(row.details, ensure_ascii=False) if row.details else "",
                )
                for row in rows
            ),
        )

    def coupons(self) -> Section:
        rows = self.session.scalars(select(Coupon).where(Coupon.contact_id.in_(self.who.people)).order_by(Coupon.id))
        return self._section(
            N_("优惠券"),
            (WHEN, ("campaign", N_("活动")), ("code", N_("券码"))),
            ((row.at, row.campaign, row.code) for row in rows),
        )

    def corrections(self) -> Section:
        rows = self.session.scalars(
            select(Revision)
            .where(Revision.subject == "contact", Revision.subject_id.in_(self.who.people))
            .order_by(Revision.id)
        )
        return self._section(
            N_("资料的更正"),
            (WHEN, ("field", N_("哪一项")), ("old", N_("原来")), ("new", N_("改为"))),
            ((row.at, row.field, _plain(row.old), _plain(row.new)) for row in rows),
        )

    def _section(self, name: str, columns: tuple[tuple[str, str], ...], rows: Iterable[tuple[Any, ...]]) -> Section:
        return Section(name, columns, tuple(tuple(self._cell(cell) for cell in row) for row in rows))

    def _cell(self, cell: Any) -> Cell:
        match cell:
            case datetime():
                return cell.astimezone(self.centre.settings.zone).isoformat(timespec="seconds")
            case date():
                return cell.isoformat()
            case StrEnum():
                zh, en = (label(language, cell) for language in (Language.ZH, Language.EN))
                return zh if zh == en else f"{zh} · {en}"
        return cell if isinstance(cell, (bool, int)) or cell is None else str(cell)


def _plain(value: Any) -> str:
    if value is None or isinstance(value, dict):  # sealed: what it is now stands among the addresses
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def both(message: str) -> str:
    """A marked source string in Chinese and English."""
    zh, en = (text(language, message) for language in (Language.ZH, Language.EN))
    return zh if zh == en else f"{zh} · {en}"


def written(found: Everything, mark: Sequence[str]) -> bytes:
    """A ZIP with person.xlsx and person.json."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("person.xlsx", _workbook(found, mark))
        packed.writestr("person.json", json.dumps(_plain_values(found, mark), ensure_ascii=False, indent=2))
    return out.getvalue()


def _plain_values(found: Everything, mark: Sequence[str]) -> dict[str, Any]:
    return {
        "about": list(mark),
        "sections": [
            {
                "name": {language.value: text(language, section.name) for language in Language},
                "rows": [dict(zip((key for key, _ in section.columns), row, strict=True)) for row in section.rows],
            }
            for section in found.sections
        ],
    }


def _workbook(found: Everything, mark: Sequence[str]) -> bytes:
    file = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(file, options) as book:
        bold = book.add_format({"bold": True, "bg_color": "#DCEFEC", "border": 1, "text_wrap": True})
        wrap = book.add_format({"text_wrap": True, "valign": "top"})
        for section in found.sections:
            sheet = book.add_worksheet(both(section.name)[:31])
            sheet.set_column(0, len(section.columns) - 1, 24)
            for at, (_, head) in enumerate(section.columns):
                sheet.write_string(0, at, both(head), bold)
            for line, row in enumerate(section.rows, start=1):
                for at, cell in enumerate(row):
                    shown = {True: "✓", False: "✗"}[cell] if isinstance(cell, bool) else cell
                    sheet.write_string(line, at, "" if shown is None else str(shown), wrap)
            sheet.freeze_panes(1, 0)
        watermarked(book, mark)
    return file.getvalue()
