"""Opening a case on behalf of a flow, which several actions do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bot.core.sla import BusinessTime, business_after, business_time
from bot.core.words import CaseKind, Urgency
from bot.services.casework import cases
from bot.services.conversation.scene import Scene


def open_case(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Opens a case with every fact the flow has filled; due by the case standards in business time."""
    urgency = Urgency(args.get("urgency") or Urgency.ORDINARY)
    case = cases.open_case(
        scene.session,
        kind=CaseKind(args.get("kind") or CaseKind.INQUIRY),
        contact_id=scene.held.contact_id,
        subject=str(args.get("subject") or ""),
        zone=scene.centre.settings.zone,
        now=scene.now,
        facts=_facts(scene),
        urgency=urgency,
        queue=str(args.get("queue") or "service"),
        due_in=_due_in(scene, urgency),
        conversation_id=scene.held.id,
        callback_id=scene.held.callback_id,
        broadcast_id=scene.held.broadcast_id,
        emotion=scene.emotion,
    )
    if cases.climbs(case):
        cases.escalate(scene.session, scene.centre, case, scene.now)
    return {"case_number": case.number, "case_due": case.due_at.isoformat() if case.due_at else None}


def business_time_of(scene: Scene) -> BusinessTime:
    """The hours in which people work for this contact."""
    shelf = scene.centre.library.current
    return business_time(shelf.policies, shelf.calendar, frozenset(scene.held.segments))


def _facts(scene: Scene) -> dict[str, Any]:
    return {name: value for name, value in scene.slots.items() if value is not None}


def _due_in(scene: Scene, urgency: Urgency) -> timedelta | None:
    """Until the case standards want it resolved; None where no business hour is open within a year."""
    target = scene.centre.library.current.policies.sla.cases[urgency].resolution
    due = business_after(scene.now, target, business_time_of(scene))
    return due - scene.now if due else None
