"""Repair orders (REQ-D26, D28, D39): registered with their case, moved on stage by stage, quoted, agreed to.

bot/core/repair.py decides; here it is written down, with what it replaced (REQ-G02) and who did it. Refusals are
RepairRefused with a code of bot/console/notices.py. `roles` None is the program itself, on the customer's word.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core import repair
from bot.core.repair import Order, RepairRefused
from bot.core.words import CaseState, Language, RepairStage, Role
from bot.services import audit
from bot.services.casework import cases
from bot.services.centre import Centre
from bot.services.i18n import N_, text
from store.db import touch
from store.tables import Case, RepairOrder, Revision

CENTS = 100
MOST = 10_000_000 * CENTS

TEXTS: Mapping[RepairStage, str] = {
    RepairStage.JUDGED: N_("工程师已初步判断"),
    RepairStage.QUOTED: N_("已报价，您同意了才动手"),
    RepairStage.CONSENTED: N_("您已同意报价，正在安排"),
    RepairStage.BOOKED: N_("已约好上门"),
    RepairStage.DISPATCHED: N_("您已寄出，等我们收件"),
    RepairStage.RECEIVED: N_("我们已经收到，等待检测"),
    RepairStage.INSPECTED: N_("已经检测，正在定方案"),
    RepairStage.REPAIRING: N_("正在维修"),
    RepairStage.QUALITY_CHECK: N_("已经修好，正在质检"),
    RepairStage.SETTLED: N_("已经修好并结算，等待交付"),
    RepairStage.HANDED_OVER: N_("已经修好交付"),
    RepairStage.REPLACED: N_("已经为您换新"),
    RepairStage.RETURNED: N_("已经给您寄回"),
    RepairStage.EVALUATED: N_("已经办结，谢谢您的评价"),
    RepairStage.CANCELLED: N_("已经取消"),
}
"""What a customer is told about a stage; one that is only registered is told by its case's state."""


@dataclass(frozen=True, slots=True)
class Quotation:
    """Amounts in hundredths of the policies' currency; the rest of the total is labour."""

    parts: int
    labour: int
    travel: int

    @property
    def total(self) -> int:
        return self.parts + self.labour + self.travel


def cents(amount: str) -> int:
    """An amount as people write it; empty is nothing. Raises RepairRefused("amount_bad")."""
    try:
        value = Decimal(amount.strip() or "0") * CENTS
    except ArithmeticError as error:
        raise RepairRefused("amount_bad") from error
    if not value.is_finite() or value != int(value) or not 0 <= value <= MOST:
        raise RepairRefused("amount_bad")
    return int(value)


def seen(order: RepairOrder) -> Order:
    """An order as the rules see it."""
    return Order(order.stage, order.charged, order.consented_at is not None)


def path_of(centre: Centre, case: Case) -> tuple[RepairStage, ...]:
    """The stages this case's queue uses."""
    return centre.library.current.policies.repairs.path(case.queue)


def advance(
    session: Session,
    centre: Centre,
    case_id: int,
    to: RepairStage,
    *,
    roles: Collection[Role] | None,
    now: datetime,
    staff_id: int | None = None,
) -> RepairOrder:
    """Moves an order on. What is reached by a record (a quotation, a yes, a visit) is refused to people here."""
    case, order = hold(session, case_id)
    if roles is not None and to in repair.RECORDED:
        raise RepairRefused("stage_recorded")
    repair.check(seen(order), to, path_of(centre, case), roles)
    if to is RepairStage.RECEIVED:
        order.received_at = now
    _step(session, order, to, now, staff_id)
    audit.record(session, "repair.stage", "case", case_id, now=now, staff_id=staff_id, to=to.value)
    return order


def decide_charge(session: Session, case_id: int, charged: bool, *, staff_id: int, now: datetime) -> None:
    """In warranty and the maker's fault it is free, otherwise charged (REQ-D28)."""
    _, order = hold(session, case_id)
    if order.stage in repair.ENDED:
        raise RepairRefused("repair_over")
    if order.charged is charged:
        return
    audit.revise(session, "case", case_id, "charged", order.charged, charged, now=now, staff_id=staff_id)
    audit.record(session, "repair.charge", "case", case_id, now=now, staff_id=staff_id, charged=charged)
    order.charged = charged
    _written(session, order, "charge.paid" if charged else "charge.free", now, staff_id)


def quote(
    session: Session,
    centre: Centre,
    case_id: int,
    what: Quotation,
    *,
    roles: Collection[Role],
    staff_id: int,
    now: datetime,
) -> None:
    """Writes a quotation; an earlier one is replaced, and with it the consent to it."""
    case, order = hold(session, case_id)
    again = order.stage is RepairStage.QUOTED
    if not again:
        repair.check(seen(order), RepairStage.QUOTED, path_of(centre, case), roles)
    limit = centre.library.current.policies.repairs.approval_limit
    if limit is not None and what.total > limit * CENTS and Role.MANAGER not in roles:
        raise RepairRefused("quotation_above_limit")
    if what.total == 0:
        raise RepairRefused("amount_bad")
    for field, new in (("total", what.total), ("parts", what.parts), ("travel", what.travel)):
        old = getattr(order, field)
        if old != new:
            audit.revise(session, "case", case_id, field, old, new, now=now, staff_id=staff_id, why="quotation")
        setattr(order, field, new)
    if order.consented_at is not None:
        audit.revise(session, "case", case_id, "consented_at", order.consented_at, None, now=now, staff_id=staff_id)
    order.charged, order.quoted_at, order.quoted_by = True, now, staff_id
    order.consented_at, order.consent_how = None, ""
    audit.record(session, "repair.quote", "case", case_id, now=now, staff_id=staff_id, total=what.total)
    if again:
        _written(session, order, "stage.quoted", now, staff_id)
    else:
        _step(session, order, RepairStage.QUOTED, now, staff_id)


def consent(
    session: Session, centre: Centre, case_id: int, how: str, *, roles: Collection[Role], staff_id: int, now: datetime
) -> None:
    """The customer agreed to the quotation; `how` says by what: a call, a chat, a signature (REQ-D28)."""
    case, order = hold(session, case_id)
    if order.quoted_at is None:
        raise RepairRefused("quotation_missing")
    if not how.strip():
        raise RepairRefused("consent_how_missing")
    repair.check(seen(order), RepairStage.CONSENTED, path_of(centre, case), roles)
    order.consented_at, order.consent_how = now, how.strip()[:200]
    audit.record(session, "repair.consent", "case", case_id, now=now, staff_id=staff_id, how=order.consent_how)
    _step(session, order, RepairStage.CONSENTED, now, staff_id, order.consent_how)


def track(
    session: Session, case_id: int, *, to_us: str | None = None, back: str | None = None, staff_id: int, now: datetime
) -> None:
    """The tracking numbers of the parcels (REQ-D39)."""
    _, order = hold(session, case_id)
    for field, new in (("tracking_in", to_us), ("tracking_out", back)):
        old = getattr(order, field)
        if new is None or new.strip() == old:
            continue
        audit.revise(session, "case", case_id, field, old, new.strip(), now=now, staff_id=staff_id)
        setattr(order, field, new.strip()[:60])
        _written(session, order, field, now, staff_id, new.strip()[:60])
    audit.record(session, "repair.track", "case", case_id, now=now, staff_id=staff_id)


def unbook(session: Session, case_id: int, now: datetime, staff_id: int | None) -> None:
    """No visit is booked any more: the order stands where it stood before."""
    _, order = hold(session, case_id)
    if order.stage is not RepairStage.BOOKED:
        return
    before = session.scalar(
        select(Revision.old)
        .where(
            Revision.subject == "case",
            Revision.subject_id == case_id,
            Revision.field == "stage",
            Revision.why == RepairStage.BOOKED.value,
        )
        .order_by(Revision.id.desc())
        .limit(1)
    )
    _step(session, order, RepairStage(before or RepairStage.REGISTERED), now, staff_id)


def hold(session: Session, case_id: int) -> tuple[Case, RepairOrder]:
    """A repair case and its order, locked."""
    order = session.get_one(RepairOrder, case_id, with_for_update=True, populate_existing=True)
    case = session.get_one(Case, case_id)
    if case.state is CaseState.CLOSED:
        raise RepairRefused("case_closed")
    return case, order


def stage_text(order: RepairOrder, language: Language) -> str:
    """What the customer is told about how far it is."""
    return text(language, TEXTS[order.stage])


def _step(
    session: Session, order: RepairOrder, to: RepairStage, now: datetime, staff_id: int | None, note: str = ""
) -> None:
    audit.revise(session, "case", order.case_id, "stage", order.stage, to, now=now, staff_id=staff_id, why=to.value)
    order.stage = to
    _written(session, order, f"stage.{to}", now, staff_id, note)


def _written(
    session: Session, order: RepairOrder, kind: str, now: datetime, staff_id: int | None, note: str = ""
) -> None:
    order.revision += 1
    order.changed_at = now
    cases.note(session, order.case_id, kind, note, now=now, staff_id=staff_id)
    session.flush()
    touch(session, "visits")
