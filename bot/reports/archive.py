"""What is in an archived file, as its reader sees it: the same parts a report has (REQ-G07)."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import Language
from bot.reports.incidents import CORRECTED, Part, Report, documents
from bot.services import i18n
from bot.services.centre import Centre
from bot.services.desk.wrap_up import CASE_WRAP_UPS
from bot.services.i18n import N_
from bot.services.plans import followups
from bot.services.records import corrections
from store.tables import Answer, Archivable, ArchiveFile, CallAttempt, Callback, Case, CaseNote, Contact, Staff


def contents(session: Session, centre: Centre, file: ArchiveFile, language: Language, now: datetime) -> Report:
    """The record behind a file, read only; answers about somebody's health stay out of it (REQ-G18)."""
    match file.subject:
        case Archivable.INCIDENT:
            return documents(session, centre, file.subject_id, "file", language, now, numbers=True)
        case Archivable.CASE:
            return _case(session, centre, session.get_one(Case, file.subject_id), language)
        case Archivable.CALLBACK:
            return _callback(session, centre, session.get_one(Callback, file.subject_id), language)


def _case(session: Session, centre: Centre, case: Case, language: Language) -> Report:
    say, at = partial(i18n.text, language), partial(_at, centre)
    general = (
        (say(N_("客户")), _who(session, case.contact_id)),
        (say(N_("事由")), case.subject),
        (say(N_("建立")), at(case.opened_at)),
        (say(N_("办结")), at(case.closed_at)),
        (say(N_("反馈结果")), case.feedback),
        *((name, str(value)) for name, value in case.facts.items() if value and isinstance(value, str | int)),
    )
    told = (
        select(CaseNote, Staff.name).outerjoin(Staff, Staff.id == CaseNote.staff_id).where(CaseNote.case_id == case.id)
    )
    notes = tuple(
        (at(note.at), name or say(N_("系统")), say(CASE_WRAP_UPS.get(note.text, note.text)) if note.text else "")
        for note, name in session.execute(told.order_by(CaseNote.id))
    )
    columns = (say(N_("时间")), say(N_("谁")), say(N_("内容")))
    return Report(case.number, (), (Part(say(N_("工单")), general), Part(say(N_("经过")), notes, columns)))


def _callback(session: Session, centre: Centre, callback: Callback, language: Language) -> Report:
    say, at = partial(i18n.text, language), partial(_at, centre)
    general = (
        (say(N_("客户")), _who(session, callback.contact_id)),
        (say(N_("结果")), i18n.label(language, callback.disposition) if callback.disposition else "—"),
        (say(N_("办结")), at(callback.closed_at)),
        (say(N_("备注")), callback.remarks),
    )
    tries = select(CallAttempt).where(CallAttempt.callback_id == callback.id).order_by(CallAttempt.number)
    attempts = tuple((str(each.number), at(each.started_at), at(each.ended_at)) for each in session.scalars(tries))
    said = select(Answer).where(Answer.callback_id == callback.id).order_by(Answer.id)
    slots = centre.library.current.book.slots
    answers = tuple(
        (
            slots[given.row.question].labels.get(language, given.row.question)
            if given.row.question in slots
            else given.row.question,
            i18n.text(language, CORRECTED, new=given.text, old=given.was[0].old) if given.was else given.text,
        )
        for given in corrections.answers(session, session.scalars(said).all())
        if not followups.is_health(given.row.question)
    )
    return Report(
        f"#{callback.id}",
        (),
        (
            Part(say(N_("回访")), general),
            Part(say(N_("拨打")), attempts, (say(N_("第几次")), say(N_("开始")), say(N_("结束")))),
            Part(say(N_("关于服务的回答")), answers),
        ),
    )


def _who(session: Session, contact_id: int) -> str:
    contact = session.get_one(Contact, contact_id)
    return " ".join(filter(None, (contact.name, contact.title))) or f"#{contact.id}"


def _at(centre: Centre, moment: datetime | None) -> str:
    return f"{moment.astimezone(centre.settings.zone):%Y-%m-%d %H:%M}" if moment is not None else "—"
