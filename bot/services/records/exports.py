"""Files with people's data: asked for with purpose and recipient, allowed by a second person, kept for a while
(REQ-A22, G09, G18).

What stays in the house a supervisor or manager allows and whoever asked takes; what leaves it the manager allows and
the archivist takes. Nobody allows their own. The file itself is made in the background (bot/reports/exporting.py).
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session, aliased

from bot.core.policy import ExportRule
from bot.core.words import Language, Role
from bot.services import audit
from bot.services.casework.cases import next_number
from bot.services.centre import Centre
from bot.services.escalation import alerts
from bot.services.i18n import N_
from bot.services.permissions import Function, Grant
from bot.services.refusal import NotFoundError, RefusedError
from bot.services.staffing import staff as colleagues
from bot.services.staffing.staff import SignedIn
from store.db import touch
from store.tables import Export, ExportKind, ExportState, Staff

PAGE = "/console/privacy"
LISTED = 100
TRIES = 5
LEASE = timedelta(minutes=5)  # machine time one making may take before another worker tries
TEXT = 1000  # characters of a purpose

NAMES: Mapping[ExportKind, str] = {
    ExportKind.CONTACTS: N_("客户名单"),
    ExportKind.CASES: N_("工单明细"),
    ExportKind.FOLLOW_UPS: N_("回访明细"),
    ExportKind.PERSON: N_("客户本人资料"),
}
SENSITIVE = frozenset({"phone", "unit", "health"})
FIELDS: Mapping[ExportKind, Mapping[str, str]] = {
    ExportKind.CONTACTS: {
        "name": N_("姓名"),
        "title": N_("称呼"),
        "language": N_("语言"),
        "segments": N_("分组"),
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
}
"""What may be chosen, by kind; the minimum is nothing of SENSITIVE."""
ASKS: Mapping[ExportKind, Function] = {
    ExportKind.CONTACTS: Function.SUPERVISE_FLOOR,
    ExportKind.CASES: Function.SUPERVISE_FLOOR,
    ExportKind.FOLLOW_UPS: Function.SEE_REPORTS,
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
    if not chosen and wish.kind is not ExportKind.FOLLOW_UPS:
        raise RefusedError("export_fields_missing")
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
    if export.state is not ExportState.READY or export.file is None or _over(export, now):
        raise NotFoundError
    export.downloads += 1
    audit.record(session, "export.take", "export", export.id, now=now, staff_id=staff_id, number=export.number)
    return export.file


def _over(export: Export, now: datetime) -> bool:
    return export.expires_at is not None and export.expires_at <= now


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


# ── the files ──


def folder(centre: Centre) -> Path:
    """Where exported files lie; several hosts on one database must share it."""
    return centre.settings.home / "exports"


def put(home: Path, content: bytes) -> str:
    """Writes a file for good under a name nobody can guess, for its owner alone; gives that name."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = secrets.token_hex(20)
    handle = os.open(home / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return name


def remove(home: Path, names: Sequence[str]) -> None:
    for name in names:
        (home / name).unlink(missing_ok=True)


def claim(session: Session, machine: datetime) -> Export | None:
    """The next export to be made, leased; it is tried again where the making dies."""
    export = session.scalar(
        select(Export)
        .where(Export.state == ExportState.APPROVED, Export.due_at <= machine)
        .order_by(Export.due_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if export is None:
        return None
    if export.tries >= TRIES:
        export.state, export.due_at = ExportState.FAILED, None
        return None
    export.tries += 1
    export.due_at = machine + LEASE
    session.flush()
    return export


def settle(
    session: Session, centre: Centre, export_id: int, file: str, *, rows: int, size: int, digest: str, now: datetime
) -> bool:
    """The file lies there; False where somebody else was faster, and it is the caller's to remove."""
    export = session.get_one(Export, export_id, with_for_update=True)
    if export.state is not ExportState.APPROVED:
        return False
    export.state, export.file, export.due_at = ExportState.READY, file, None
    export.rows, export.size, export.digest, export.made_at = rows, size, digest, now
    export.expires_at = now + centre.library.current.policies.privacy.exports_kept
    touch(session, "exports")
    return True


def expiring(session: Session, now: datetime, *, about: int | None = None) -> list[tuple[int, str]]:
    """Files to remove, with their export's id: what was kept long enough; before `about` (a contact) is erased, also
    everything that may hold them."""
    ready = select(Export).where(Export.state == ExportState.READY).order_by(Export.id)

    def goes(export: Export) -> bool:
        if about is None:
            return _over(export, now)
        return export.kind is not ExportKind.PERSON or export.scope.get("contact") == about

    return [(export.id, export.file or "") for export in session.scalars(ready) if goes(export)]


def expire(session: Session, ids: Sequence[int]) -> None:
    """Notes that the files of these are gone."""
    session.execute(
        update(Export)
        .where(Export.id.in_(ids), Export.state == ExportState.READY)
        .values(state=ExportState.EXPIRED, file=None)
    )


async def clear(centre: Centre, *, about: int | None = None) -> int:
    """Removes the files whose time is over (see `expiring`), then notes it; gives how many."""
    found = await centre.db.read(lambda s: expiring(s, centre.clock.now(), about=about))
    if found:
        await asyncio.to_thread(remove, folder(centre), [name for _, name in found])
        await centre.db.write(lambda s: expire(s, [export_id for export_id, _ in found]))
    return len(found)
