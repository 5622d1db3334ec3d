"""Files with people's data: asked for with purpose and recipient, allowed by a second person, kept for a while
(REQ-A22, G09, G18).

What holds people's data, and what is written to be handed out of the house, goes this way; what somebody reads within
their role, such as an incident's file or the service report, they download where they read it, masked as they read it,
and the audit has it. What stays in the house a supervisor or manager allows and whoever asked takes; what leaves it the
manager allows and the archivist takes. Nobody allows their own. The file itself is made in the background
(bot/reports/exporting.py) and lies where bot/services/records/export_files.py puts it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from bot.core.policy import ExportRule
from bot.core.words import Language, Role
from bot.services import audit
from bot.services.casework.cases import next_number
from bot.services.centre import Centre
from bot.services.escalation import alerts
from bot.services.i18n import N_
from bot.services.permissions import Function, Grant
from bot.services.records.export_files import over
from bot.services.refusal import NotFoundError, RefusedError
from bot.services.staffing import staff as colleagues
from bot.services.staffing.staff import SignedIn
from store.tables import Broadcast, Export, ExportKind, ExportState, Incident, Staff

PAGE = "/console/privacy"
LISTED = 100
TEXT = 1000  # characters of a purpose

NAMES: Mapping[ExportKind, str] = {
    ExportKind.CONTACTS: N_("客户名单"),
    ExportKind.CASES: N_("工单明细"),
    ExportKind.FOLLOW_UPS: N_("回访明细"),
    ExportKind.RECIPIENTS: N_("公告收件人名单"),
    ExportKind.INCIDENT: N_("事件报告"),
    ExportKind.SERVICE: N_("服务报表"),
    ExportKind.PERSON: N_("客户本人资料"),
}
SENSITIVE = frozenset({"phone", "unit", "health", "staff"})
FIELDS: Mapping[ExportKind, Mapping[str, str]] = {
    ExportKind.CONTACTS: {
        "name": N_("姓名"),
        "title": N_("称呼"),
        "language": N_("语言"),
        "segments": N_("分组"),
        "tags": N_("标签"),
        "building": N_("楼号"),
        "unit": N_("房号"),
        "phone": N_("电话"),
        "stopped": N_("不愿接受"),
    },
    ExportKind.CASES: {
        "kind": N_("类别"),
        "state": N_("状态"),
        "subject": N_("内容"),
        "opened_at": N_("建立"),
        "closed_at": N_("关闭时间"),
        "agent": N_("负责人"),
        "feedback": N_("反馈结果"),
        "name": N_("姓名"),
        "phone": N_("电话"),
    },
    ExportKind.FOLLOW_UPS: {"phone": N_("电话"), "health": N_("健康问题的回答")},
    ExportKind.RECIPIENTS: {
        "name": N_("姓名"),
        "building": N_("楼号"),
        "unit": N_("房号"),
        "phone": N_("电话"),
        "outcome": N_("结果"),
        "channel": N_("确认途径"),
        "at": N_("时间"),
    },
    ExportKind.INCIDENT: {"phone": N_("文中出现的电话和房号")},
    ExportKind.SERVICE: {"staff": N_("每位员工的数据")},
}
"""What may be chosen, by kind; the minimum is nothing of SENSITIVE."""
WHOLE = frozenset({ExportKind.FOLLOW_UPS, ExportKind.INCIDENT, ExportKind.SERVICE})
"""Kinds that say something even if nothing is chosen."""
HANDED_OUT = frozenset({ExportKind.INCIDENT, ExportKind.SERVICE})
"""Kinds that everybody who may read them downloads where they read them; as an export they leave the house."""
ABOUT: Mapping[ExportKind, tuple[str, Any]] = {
    ExportKind.RECIPIENTS: ("broadcast", Broadcast),
    ExportKind.INCIDENT: ("incident", Incident),
}
"""Kinds that are about one thing, by its name in `scope`; the others, but for contacts, are about a span of days."""
ASKS: Mapping[ExportKind, Function] = {
    ExportKind.CONTACTS: Function.SUPERVISE_FLOOR,
    ExportKind.CASES: Function.SUPERVISE_FLOOR,
    ExportKind.FOLLOW_UPS: Function.SEE_REPORTS,
    ExportKind.RECIPIENTS: Function.SUPERVISE_FLOOR,
    ExportKind.INCIDENT: Function.OPEN_INCIDENT,
    ExportKind.SERVICE: Function.SEE_REPORTS,
}
WAITS = N_("%(name)s申请导出%(what)s，请审批。")
ALLOWED = N_("导出 %(number)s 已批准，文件写好后可以下载。")
NOT_ALLOWED = N_("导出 %(number)s 没有批准。")


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for. `scope` as `Export.scope` has it."""

    kind: ExportKind
    scope: Mapping[str, Any]
    fields: Sequence[str]
    purpose: str
    recipient: str
    outside: bool
    language: Language


def kinds_for(staff: SignedIn) -> tuple[ExportKind, ...]:
    """What this person may ask for."""
    if not staff.may(Function.EXPORT_DATA, Grant.YES):
        return ()
    return tuple(kind for kind, function in ASKS.items() if staff.may(function))


def ask(session: Session, centre: Centre, wish: Wish, *, staff: SignedIn, now: datetime) -> Export:
    """Asks for an export; where the policy lets it through it is allowed at once. Raises RefusedError."""
    if wish.kind not in kinds_for(staff):
        raise RefusedError("not_allowed")
    if not wish.purpose.strip() or not wish.recipient.strip():
        raise RefusedError("export_purpose_missing")
    chosen = [name for name in FIELDS[wish.kind] if name in wish.fields]
    if "health" in chosen and not staff.may(Function.SEE_HEALTH):
        raise RefusedError("export_health")
    if not chosen and wish.kind not in WHOLE:
        raise RefusedError("export_fields_missing")
    if wish.kind in ABOUT and about_of(session, wish.kind, wish.scope) is None:
        raise RefusedError("export_about_missing")
    wish = replace(wish, outside=wish.outside or wish.kind in HANDED_OUT)
    export = _new(session, wish, chosen, staff.staff_id, now)
    rule = centre.library.current.policies.privacy.exports.get(wish.kind, ExportRule.APPROVE)
    if rule is ExportRule.DIRECT and not wish.outside:
        export.state, export.due_at = ExportState.APPROVED, centre.clock.machine()
        return export
    role = (Role.MANAGER,) if wish.outside else (Role.SUPERVISOR, Role.MANAGER)
    alerts.tell(
        session,
        [each for each in colleagues.holding(session, *role) if each.id != staff.staff_id],
        WAITS,
        cause=f"export:{export.id}",
        link=f"{PAGE}/exports/{export.id}",
        now=now,
        name=staff.name,
        what=NAMES[wish.kind],
    )
    return export


def about_of(session: Session, kind: ExportKind, scope: Mapping[str, Any]) -> Broadcast | Incident | None:
    """The one thing an export is about; None where it is about none, or that is gone."""
    if kind not in ABOUT:
        return None
    name, table = ABOUT[kind]
    found: Broadcast | Incident | None = session.get(table, int(scope.get(name) or 0))
    return found


def choices(session: Session, kind: ExportKind) -> Sequence[tuple[int, str]]:
    """The latest things an export of this kind may be about: id and title."""
    if kind not in ABOUT:
        return ()
    of = select(Incident.id, Incident.title)
    if kind is ExportKind.RECIPIENTS:
        told = select(Broadcast.id, Incident.title).join(Incident, Incident.id == Broadcast.incident_id)
        of = told.where(Broadcast.audience_size > 0)
    return session.execute(of.order_by(ABOUT[kind][1].id.desc()).limit(LISTED)).tuples().all()


def _new(session: Session, wish: Wish, fields: Sequence[str], staff_id: int, now: datetime) -> Export:
    year = now.year
    export = Export(
        number=f"E{year}-{next_number(session, f'export:{year}'):04d}",
        kind=wish.kind,
        scope=dict(wish.scope),
        fields=list(fields),
        language=wish.language,
        purpose=wish.purpose.strip()[:TEXT],
        recipient=wish.recipient.strip()[:120],
        outside=wish.outside,
        asked_by=staff_id,
        asked_at=now,
    )
    session.add(export)
    session.flush()
    audit.record(
        session,
        "export.ask",
        "export",
        export.id,
        now=now,
        staff_id=staff_id,
        number=export.number,
        kind=wish.kind.value,
        fields=list(fields),
        outside=wish.outside,
    )
    return export


def for_person(
    session: Session,
    centre: Centre,
    contact_id: int,
    *,
    asked_by: int,
    approved_by: int,
    language: Language,
    now: datetime,
) -> Export:
    """A copy of everything held of one person, allowed already as their request was."""
    scope = {"contact": contact_id}
    purpose, recipient = "access request", "data subject"
    wish = Wish(ExportKind.PERSON, scope, (), purpose, recipient, outside=False, language=language)
    export = _new(session, wish, (), asked_by, now)
    export.state, export.due_at = ExportState.APPROVED, centre.clock.machine()
    export.decided_by, export.decided_at = approved_by, now
    return export


def why_not(export: Export, staff: SignedIn) -> str | None:
    """Why this person cannot decide it, as a code; None: they can."""
    if export.state is not ExportState.ASKED:
        return "export_decided"
    if export.asked_by == staff.staff_id:
        return "export_own"
    may = staff.may(Function.RELEASE_DATA, Grant.APPROVE) if export.outside else staff.may(Function.GUARD_PRIVACY)
    if "health" in export.fields and not staff.may(Function.SEE_HEALTH):
        may = False
    return None if may else "not_allowed"


def decide(
    session: Session, centre: Centre, export_id: int, *, yes: bool, why: str, staff: SignedIn, now: datetime
) -> Export:
    """A second person allows an export, or does not and says why. Raises RefusedError."""
    export = session.get_one(Export, export_id, with_for_update=True)
    if (code := why_not(export, staff)) is not None:
        raise RefusedError(code)
    if not yes and not why.strip():
        raise RefusedError("reason_missing")
    export.decided_by, export.decided_at, export.decision = staff.staff_id, now, why.strip()[:TEXT]
    export.state = ExportState.APPROVED if yes else ExportState.REFUSED
    export.due_at = centre.clock.machine() if yes else None
    audit.record(
        session, "export.decide", "export", export.id, now=now, staff_id=staff.staff_id, number=export.number, yes=yes
    )
    takers = [session.get_one(Staff, export.asked_by)]
    if yes and export.outside:
        takers += [each for each in colleagues.holding(session, Role.ARCHIVIST) if each not in takers]
    alerts.tell(
        session,
        takers,
        ALLOWED if yes else NOT_ALLOWED,
        cause=f"export:{export.id}:decided",
        link=f"{PAGE}/exports/{export.id}",
        now=now,
        number=export.number,
    )
    return export


def may_see(export: Export, staff: SignedIn) -> bool:
    """Their own, and all for whoever decides about them or takes them outside."""
    return export.asked_by == staff.staff_id or staff.may(Function.GUARD_PRIVACY) or staff.may(Function.RELEASE_DATA)


def may_take(export: Export, staff: SignedIn) -> bool:
    """Whether this person may have the file: whoever asked for it; what leaves the house, the archivist (REQ-A22)."""
    if export.outside:
        return staff.may(Function.RELEASE_DATA, Grant.EXECUTE)
    return export.asked_by == staff.staff_id


def take(session: Session, export_id: int, *, staff_id: int | None, now: datetime) -> str:
    """Notes that the file was handed out; gives its name on disk. `staff_id` None: the person themselves. Raises
    NotFoundError where it is not there (any more)."""
    export = session.get_one(Export, export_id, with_for_update=True)
    if export.state is not ExportState.READY or export.file is None or over(export, now):
        raise NotFoundError
    export.downloads += 1
    audit.record(session, "export.take", "export", export.id, now=now, staff_id=staff_id, number=export.number)
    return export.file


@dataclass(frozen=True, slots=True)
class Listed:
    """An export with the names of who asked and who decided."""

    export: Export
    asker: str
    decider: str | None


def listed(session: Session, staff: SignedIn, *, export_id: int | None = None) -> tuple[Listed, ...]:
    """Those this person may see, the latest first."""
    asker, decider = aliased(Staff), aliased(Staff)
    query = (
        select(Export, asker.name, decider.name)
        .join(asker, asker.id == Export.asked_by)
        .outerjoin(decider, decider.id == Export.decided_by)
        .order_by(Export.id.desc())
        .limit(LISTED)
    )
    if export_id is not None:
        query = query.where(Export.id == export_id)
    elif not (staff.may(Function.GUARD_PRIVACY) or staff.may(Function.RELEASE_DATA)):
        query = query.where(Export.asked_by == staff.staff_id)
    found = [Listed(*row) for row in session.execute(query)]
    return tuple(each for each in found if may_see(each.export, staff))
