"""The certificate of a disposal as a document in the reader's language: DOCX to sign and file, XLSX with the whole list
(REQ-G08)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy.orm import Session

from bot.core.policy import RecordKind, RetentionClass
from bot.core.words import Language
from bot.reports.incidents import Part, Report
from bot.services import i18n
from bot.services.centre import Centre
from bot.services.i18n import N_
from bot.services.records import certificates
from bot.services.records.record_words import CLASSES, KEPT, KINDS, PART_GONE, STATES
from store.tables import Disposal, ItemState

DATE = "%Y-%m-%d %H:%M"
NOTE = N_("所列记录已按下列批准从数据库和存储中销毁。备份中的副本随备份轮换一并消失。本证书的指纹已写入审计。")


def certificate(session: Session, centre: Centre, disposal: Disposal, language: Language, *, whole: bool) -> Report:
    """A finished disposal's certificate; `whole`: with every record on the list."""
    written = disposal.certificate
    assert written is not None
    zone = centre.settings.zone

    def say(message: str, **values: object) -> str:
        return i18n.text(language, message, **values)

    def at(moment: str) -> str:
        return f"{datetime.fromisoformat(moment).astimezone(zone):{DATE}}"

    company = centre.library.current.policies.company.name.of(language)
    proposed = written["proposed"]
    general = (
        (say(N_("编号")), written["number"]),
        (say(N_("单位")), company),
        (say(N_("提出")), f"{at(proposed['at'])} {proposed['by'] or say(N_('系统每日清点'))}"),
        *(
            (
                say(N_("中心经理批准")) if each["decides"] else say(N_("审阅")),
                " ".join(filter(None, (at(each["at"]), each["by"], each["note"]))),
            )
            for each in written["approved"]
        ),
        (say(N_("销毁完毕")), at(written["done_at"])),
        (say(N_("销毁记录数")), str(written["destroyed"])),
        (say(N_("未销毁")), str(written["kept"])),
        *(((say(N_("其中已销毁一部分")), str(begun)),) if (begun := written.get("begun")) else ()),
        (say(N_("清单指纹")), written["list"]),
        (say(N_("结果指纹")), written["outcome"]),
        (say(N_("证书指纹")), disposal.sealed),
    )
    kinds = tuple(
        (
            say(KINDS[RecordKind(kind)]),
            say(CLASSES[RetentionClass(found["cls"])]),
            str(found["count"]),
            at(found["from"]),
            at(found["until"]),
        )
        for kind, found in written["kinds"].items()
    )
    kept = tuple(
        (say(KINDS[RecordKind(kind)]), say(KEPT[why]), str(count))
        for kind, reasons in written["kept_why"].items()
        for why, count in reasons.items()
    )
    parts = [
        Part(say(N_("销毁证书")), general),
        Part(
            say(N_("销毁了什么")),
            kinds,
            tuple(map(say, (N_("记录"), N_("保存期"), N_("件数"), N_("最早结束于"), N_("最晚结束于")))),
        ),
        Part(say(N_("未销毁的")), kept, tuple(map(say, (N_("记录"), N_("原因"), N_("件数"))))),
    ]
    if whole:
        columns = (N_("记录"), N_("编号"), N_("保存期"), N_("结束于"), N_("到期"), N_("结果"))
        parts.append(
            Part(say(N_("清单")), tuple(_lines(session, centre, disposal, language)), tuple(map(say, columns)))
        )
    return Report(say(N_("销毁证书 %(number)s"), number=written["number"]), (say(NOTE),), tuple(parts))


def _lines(session: Session, centre: Centre, disposal: Disposal, language: Language) -> Iterator[tuple[str, ...]]:
    zone = centre.settings.zone

    def say(message: str, **values: object) -> str:
        return i18n.text(language, message, **values)

    for item in certificates.items(session, disposal.id):
        outcome = say(KEPT[item.kept_why] if item.state is ItemState.KEPT else STATES[item.state])
        if item.state is ItemState.KEPT and item.counts:
            outcome = say(PART_GONE, why=outcome)
        yield (
            say(KINDS[item.kind]),
            item.title,
            say(CLASSES[item.cls]),
            f"{item.since.astimezone(zone):{DATE}}",
            f"{item.due.astimezone(zone):{DATE}}",
            outcome,
        )
