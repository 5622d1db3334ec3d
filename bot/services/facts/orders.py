"""The customer's own order: found, told, changed (INT-21, INT-22, INT-24).

An order is told only to somebody who may know it (REQ-G12): whoever writes or calls from the very telephone number it
was placed with, or who knows both its number and the last four digits of that telephone number. A number somebody
merely claims in a chat proves nothing. Who does not know the digits learns not even whether the order exists, and after
a few wrong tries on an order nobody may guess on that day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bot.core.facts import BEFORE_DISPATCH, ON_ITS_WAY, Outcome, Question, Row, bare, digits, localised
from bot.core.windows import local_date
from bot.core.wording import when
from bot.core.words import CaseKind, Language
from bot.services import contacts
from bot.services.casework import cases
from bot.services.casework.case_actions import open_case
from bot.services.conversation.scene import Perform, Scene
from bot.services.facts.facts import changed, known
from bot.services.i18n import N_, text
from store.db import vault_of
from store.tables import Address, Counter

ORDERS = "orders"
TAIL = 4  # digits
WRONG_TRIES = 5  # a day, for one order
STATES: Mapping[str, str] = {
    "unpaid": N_("还没付款"),
    "paid": N_("已付款，等待发货"),
    "packing": N_("正在打包"),
    "dispatched": N_("已发货"),
    "in_transit": N_("运输途中"),
    "out_for_delivery": N_("正在派送"),
    "delivered": N_("已签收"),
    "cancelled": N_("已取消"),
    "returning": N_("退货处理中"),
    "refunded": N_("已退款"),
    "received": N_("已收样"),
    "testing": N_("检测中"),
    "reported": N_("报告已出"),
}


def lookup_order(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """The order named, else the latest of the number this person writes or calls from. `order_check`: the last four
    digits are wanted first; `order_found` left out: nobody can say."""
    number, tail = _number(args), _tail(args)
    proven = _proven(scene)
    if not number:
        rows = known(scene.session, Question(ORDERS, (("phone", proven),))) if proven else None
        if rows is None:
            return {}
        mine = [row for row in rows if bare(row["phone"]) == bare(proven or "")]
        latest = max(mine, key=lambda row: row["ordered_at"], default=None)
        return {"order_found": False} if latest is None else _told(scene, latest)
    rows = _by_number(scene, number)
    if rows is None:
        return {"order_no": number}
    row = next((row for row in rows if proven and bare(row["phone"]) == bare(proven)), None)
    if row is None and not tail:
        return {"order_check": True, "order_no": number}
    row = row or _checked(scene, number, tail, rows)
    return {"order_found": False} if row is None else _told(scene, row)


def change_order(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """`change_ok` only where the operator's system took it; where none can, or nobody knows, a case for people."""
    language, number = scene.held.language, _number(args)
    row = _mine(scene, number, _tail(args))
    if row is None:
        return {"change_ok": False}
    if row["state"] not in BEFORE_DISPATCH and args.get("change") != "invoice":
        problem = N_("订单已经取消了。") if row["state"] == "cancelled" else N_("订单已经发出了。")
        return {"change_ok": False, "change_problem": text(language, problem)}
    values = (("change", str(args.get("change") or "")), ("value", str(args.get("value") or "")))
    done = changed(scene.session, ORDERS, (("order_no", row["order_no"]),), values)
    if done.outcome is Outcome.TAKEN:
        return {"change_ok": True}
    if done.outcome is Outcome.REFUSED:
        reason = done.reason.get(language.value) or done.reason.get("zh")
        return {"change_ok": False, **({"change_problem": reason} if reason else {})}
    staff = scene.centre.settings.language
    wanted = text(staff, CHANGES.get(str(args.get("change")), "")) or args.get("change")
    unsure = text(staff, UNSURE) if done.outcome is Outcome.UNSURE else ""
    subject = f"{row['order_no']} {wanted} {args.get('value') or ''} {unsure}".strip()
    opened = open_case(scene, {"kind": CaseKind.INQUIRY, "queue": ORDERS, "subject": subject})
    return {"change_ok": False, "change_case": opened["case_number"]}


CHANGES: Mapping[str, str] = {"address": N_("改收货地址"), "invoice": N_("开发票"), "cancel": N_("取消订单")}
UNSURE = N_("（系统没有回应，可能已经改了，请先核对）")


# ── who may know ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _proven(scene: Scene) -> str | None:
    """The telephone number this conversation itself comes from, where it does."""
    if scene.held.channel not in contacts.PHONE_CHANNELS:
        return None
    address = scene.session.get(Address, scene.held.address_id)
    number = vault_of(scene.session).open(address.sealed) if address else ""
    return number if number.startswith("+") else None


def _mine(scene: Scene, number: str, tail: str) -> Row | None:
    """The order of this number, if this person may know it."""
    rows = _by_number(scene, number) if number else None
    proven = _proven(scene)
    mine = next((row for row in rows or () if proven and bare(row["phone"]) == bare(proven)), None)
    return mine or (_checked(scene, number, tail, rows or ()) if tail else None)


def _checked(scene: Scene, number: str, tail: str, rows: tuple[Row, ...]) -> Row | None:
    """The order whose telephone number ends in these digits; wrong tries are counted."""
    day = local_date(scene.now, scene.centre.settings.timezone)
    name = f"order:{hashlib.sha256(number.encode()).hexdigest()[:16]}:{day}"
    tries = scene.session.get(Counter, name, populate_existing=True)
    if tries is not None and tries.value >= WRONG_TRIES:
        return None
    found = next((row for row in rows if len(tail) == TAIL and bare(row["phone"]).endswith(tail)), None)
    if found is None:
        cases.next_number(scene.session, name)
    return found


def _by_number(scene: Scene, number: str) -> tuple[Row, ...] | None:
    """The orders with this number, else with this tracking number."""
    rows = known(scene.session, Question(ORDERS, (("order_no", number),)))
    return known(scene.session, Question(ORDERS, (("tracking_no", number),))) if rows == () else rows


def _number(args: Mapping[str, Any]) -> str:
    return str(args.get("order_no") or "").strip().lstrip("#").upper()


def _tail(args: Mapping[str, Any]) -> str:
    return digits(str(args.get("phone_tail") or ""))[-TAIL:]


# ── what is told ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _told(scene: Scene, row: Row) -> Mapping[str, Any]:
    state: str = row["state"]
    told = {
        "order_found": True,
        "order_no": row["order_no"],
        "order_state_text": text(scene.held.language, STATES[state]),
        "order_dispatched": state not in BEFORE_DISPATCH | {"cancelled"},
        "order_address": row.get("address"),
        "tracking_text": _tracking(scene, row) if state in ON_ITS_WAY | {"delivered"} else None,
        "tracking_stalled": _stalled(scene, row),
    }
    return {name: value for name, value in told.items() if value is not None}


def _tracking(scene: Scene, row: Row) -> str | None:
    language = scene.held.language
    courier, number, trace = (
        localised(row, "courier", language),
        row.get("tracking_no"),
        localised(row, "trace", language),
    )
    parts = []
    if courier and number:
        parts.append(text(language, N_("%(courier)s承运，运单号%(number)s。"), courier=courier, number=number))
    if trace and (moved := row.get("trace_at")) is not None:
        at = when(moved.astimezone(scene.centre.settings.zone).isoformat(), language)
        parts.append(text(language, N_("最新动态（%(at)s）：%(trace)s。"), at=at, trace=trace))
    elif trace:
        parts.append(text(language, N_("最新动态：%(trace)s。"), trace=trace))
    return (" " if language is Language.EN else "").join(parts) or None


def _stalled(scene: Scene, row: Row) -> bool:
    """Whether a parcel on its way has not moved for as long as the policy allows."""
    patience: timedelta = scene.centre.library.current.policies.facts.stalled_after
    moved = row.get("trace_at")
    return moved is not None and row["state"] in ON_ITS_WAY and bool(scene.now - moved > patience)


ACTIONS: Mapping[str, Perform] = {"action_lookup_order": lookup_order, "action_change_order": change_order}
