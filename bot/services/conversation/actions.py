"""The actions flows may ask for, each performed in the turn's transaction (bot/core/actions.py lists what goes in and
comes back; scripts/README.md explains them to operators)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bot.core.actions import STOP_SCOPES
from bot.core.policy import ALWAYS, Windows
from bot.core.windows import is_open
from bot.core.words import CaseKind, CaseState, ConversationState, Language, Urgency
from bot.services import contacts, merging
from bot.services.calls import bookings, callbacks
from bot.services.casework import cases, visit_actions
from bot.services.casework.case_actions import business_time_of, open_case
from bot.services.conversation.scene import Perform, Scene
from bot.services.desk import handoff
from bot.services.facts import catalogue, orders, warranty
from bot.services.incidents import incident_answers
from bot.services.plans import followups
from store.tables import Case, Staff

MEDICAL = "medical"
STATE_TEXTS = {
    CaseState.OPEN: ("已登记，待处理", "registered, waiting to be taken up"),
    CaseState.ASSIGNED: ("处理中", "being worked on"),
    CaseState.PENDING: ("等待配件或第三方", "waiting for parts or a third party"),
    CaseState.RESOLVED: ("已处理，结果已反馈", "resolved, and you were told the result"),
    CaseState.CLOSED: ("已结案", "closed"),
}


def add_note(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Puts what the customer added onto their own case: the one named, else the latest that is open."""
    number = str(args.get("case_number") or "")
    case = cases.by_number(scene.session, number) if number else cases.open_for(scene.session, scene.held.contact_id)
    if case is not None and contacts.survivor(scene.session, case.contact_id) == scene.held.contact_id:
        cases.note(scene.session, case.id, "customer", str(args.get("text") or ""), now=scene.now)
    return {}


def subscribe(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """The customer wants to be reminded; their yes is kept with its time (REQ-G19)."""
    scope = str(args.get("scope") or "marketing")
    contacts.consent(scene.session, scene.held.contact_id, scope, True, f"conversation {scene.held.id}", scene.now)
    return {}


def red_flag(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """An answer that wants a person at once (REQ-C14): an urgent case for the medical queue."""
    return open_case(
        scene, {"kind": CaseKind.RED_FLAG, "urgency": Urgency.URGENT, "queue": MEDICAL, "subject": args.get("subject")}
    )


def hand_off(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """The conversation goes to people, with everything said and filled so far."""
    place = handoff.to_people(
        scene.session,
        scene.centre,
        scene.held,
        reason=str(args.get("reason") or "asked"),
        urgency=Urgency(args.get("urgency") or Urgency.ORDINARY),
        queue=str(args.get("queue") or "service"),
        now=scene.now,
    )
    wait = handoff.waits(scene.session, now=scene.now)
    return {
        "queue_position": place,
        "wait_minutes": max(1, round(wait / timedelta(minutes=1))) if wait else None,
    }


def case_status(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """The state of the customer's own case: the one they name, else their latest; never somebody else's (REQ-G12)."""
    number = str(args.get("case_number") or "")
    case = cases.by_number(scene.session, number) if number else cases.open_for(scene.session, scene.held.contact_id)
    if case is None or contacts.survivor(scene.session, case.contact_id) != scene.held.contact_id:
        return {"case_found": False}
    return {"case_found": True, **_status(scene, case)}


def _status(scene: Scene, case: Case) -> dict[str, Any]:
    owner = scene.session.get(Staff, case.staff_id) if case.staff_id else None
    zh, en = STATE_TEXTS[case.state]
    overdue = case.due_at is not None and case.due_at < scene.now and case.state is not CaseState.CLOSED
    return {
        "case_number": case.number,
        "case_state_text": zh if scene.held.language is Language.ZH else en,
        "case_owner": owner.name if owner else None,
        "case_due": _local(scene, case) if case.due_at else None,
        "case_overdue": overdue,
        **visit_actions.progress(scene, case),
    }


def _local(scene: Scene, case: Case) -> str:
    assert case.due_at is not None
    local = case.due_at.astimezone(ZoneInfo(scene.held.zone or scene.centre.settings.timezone))
    return f"{local:%m-%d %H:%M}"


def rate(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """The customer's rating of this conversation, 1 to 5 (REQ-C38)."""
    score = args.get("score")
    if score is not None:
        scene.held.change(rating=max(1, min(5, int(score))))
    if args.get("comment"):
        scene.held.change(rating_comment=str(args["comment"]))
    return {}


def close(scene: Scene, _args: Mapping[str, Any]) -> Mapping[str, Any]:
    """The conversation is over."""
    scene.held.state = ConversationState.CLOSED
    scene.held.change(closed_at=scene.now, silence_at=None)
    return {}


def set_contact(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Keeps what the customer told about themselves; a number somebody else has stays theirs."""
    session, held = scene.session, scene.held
    facts = {key: str(args[key]) for key in ("name", "title", "unit") if args.get(key)}
    contacts.learn(session, held.contact_id, facts, now=scene.now, why="told in conversation")
    held.name, held.title = facts.get("name", held.name), facts.get("title", held.title)
    held.unit = facts.get("unit", held.unit)
    if args.get("phone"):
        merging.give_phone(session, held, str(args["phone"]), scene.now)
        held.phone = contacts.phone_number(str(args["phone"]))
    return {}


def stop_contact(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """No further contact of this scope ("all" by default), from this moment on (INT-07). Raises ValueError."""
    scope = str(args.get("scope") or contacts.EVERYTHING)
    if scope not in STOP_SCOPES:
        raise ValueError(f"action_stop_contact knows no scope {scope}")
    contacts.consent(scene.session, scene.held.contact_id, scope, False, f"conversation {scene.held.id}", scene.now)
    callbacks.stop(scene.session, scene.held.contact_id, scene.now)
    return {}


def service_hours(scene: Scene, _args: Mapping[str, Any]) -> Mapping[str, Any]:
    """When people answer, from the policies, for this contact's segments (REQ-B09)."""
    time = business_time_of(scene)
    opens = is_open(scene.now, (time.hours,), time.calendar, time.zone)
    return {"hours_text": _hours(time.hours, scene.held.language), "hours_open": opens}


DAYS = ("一二三四五六日", ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"))


def _hours(hours: Windows, language: Language) -> str:
    """Opening hours as people write them: "周一至周五 08:30–17:30" or "Mon–Fri 08:30–17:30"."""
    chinese = language is Language.ZH
    spans = ("、" if chinese else ", ").join(f"{w.start:%H:%M}–{w.end:%H:%M}" for w in hours.all_year)
    if hours == ALWAYS:
        return "全天24小时" if chinese else "24 hours, every day"
    first, last = min(hours.weekdays), max(hours.weekdays)
    whole = hours.weekdays == frozenset(range(first, last + 1))
    names = [f"周{DAYS[0][d - 1]}" if chinese else DAYS[1][d - 1] for d in sorted(hours.weekdays)]
    joined = f"{names[0]}{'至' if chinese else '–'}{names[-1]}" if whole and len(names) > 1 else "、".join(names)
    return f"{joined} {spans}"


ACTIONS: Mapping[str, Perform] = {
    "action_open_case": open_case,
    "action_red_flag": red_flag,
    "action_handoff": hand_off,
    "action_case_status": case_status,
    "action_rate": rate,
    "action_close": close,
    "action_set_contact": set_contact,
    "action_stop_contact": stop_contact,
    "action_service_hours": service_hours,
    "action_add_note": add_note,
    "action_subscribe": subscribe,
    **bookings.ACTIONS,
    **catalogue.ACTIONS,
    **followups.ACTIONS,
    **incident_answers.ACTIONS,
    **orders.ACTIONS,
    **visit_actions.ACTIONS,
    **warranty.ACTIONS,
}
