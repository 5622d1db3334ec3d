"""What flows ask about visits: action_book_visit, action_move_visit, and what a repair's state is told as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from bot.core.visits import Offer, Slot
from bot.core.words import CaseKind, CaseState, RepairStage
from bot.services import audit
from bot.services.calls.bookings import wished
from bot.services.casework import repairs, visits
from bot.services.casework.case_actions import open_case
from bot.services.casework.visit_times import offer_told, slot_told
from bot.services.casework.visits import NoSlotError, VisitRefusedError
from bot.services.conversation.scene import Perform, Scene
from bot.services.i18n import N_, text
from store.tables import Case, RepairOrder, Visit

QUEUE = "visits"
REFUSED: Mapping[str, Any] = {"visit_ok": False, "visit_at": None, "visit_problem": None, "preferred_time": None}


def book_visit(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Agrees a visit for the customer's repair case, opening one where none waits for a visit. Without a problem and
    without a visit, people must find a time; `case_number` is then the case that is there already, if any."""
    session, centre, held = scene.session, scene.centre, scene.held
    wish = wished(args, centre.settings.timezone)
    case = visits.case_awaiting(session, centre, held.contact_id)
    known = {"case_number": case.number if case else None}
    try:
        slot = visits.slot_for(session, centre, wish, scene.now)
        already = visits.next_of(session, held.contact_id, scene.now)
        if case is None and already is not None and already.starts_at == slot.start:  # asked twice: it is theirs
            return _agreed(scene, already)
        with session.begin_nested():
            case_id = case.id if case else _open_case(scene, args)
            visit = visits.book(
                session, centre, case_id, wish, where=str(args.get("unit") or held.unit or "") or None,
                address_id=held.address_id, now=scene.now,
            )  # fmt: skip
    except NoSlotError as none:
        return {**known, **_problem(scene, none.offer)}
    except VisitRefusedError:
        return {**REFUSED, **known}
    return _agreed(scene, visit)


def _open_case(scene: Scene, args: Mapping[str, Any]) -> int:
    subject = str(args.get("product") or text(scene.held.language, N_("上门")))
    number = open_case(scene, {"kind": CaseKind.REPAIR, "queue": QUEUE, "subject": subject})["case_number"]
    return scene.session.scalars(select(Case.id).where(Case.number == number)).one()


def move_visit(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Moves, confirms or cancels the customer's own visit, the nearest that is still to come."""
    session, centre = scene.session, scene.centre
    visit = visits.next_of(session, scene.held.contact_id, scene.now)
    if visit is None:
        return {"visit_found": False, **REFUSED}
    match args.get("change"):
        case "cancel":
            visits.cancel(session, centre, visit.id, now=scene.now)
        case "confirm":
            visit.confirmed_at = scene.now
            audit.record(session, "visit.confirm", "visit", visit.id, now=scene.now)
        case _:
            try:
                visit = visits.move(session, centre, visit.id, wished(args, centre.settings.timezone), now=scene.now)
            except NoSlotError as none:
                return {"visit_found": True, **_problem(scene, none.offer)}
            except VisitRefusedError:
                return {"visit_found": False, **REFUSED}
    return {"visit_found": True, **_agreed(scene, visit)}


def _agreed(scene: Scene, visit: Visit) -> Mapping[str, Any]:
    case = scene.session.get_one(Case, visit.case_id)
    return {
        "visit_ok": True,
        "visit_at": _told(scene, Slot(visit.starts_at, visit.ends_at)),
        "visit_problem": None,
        "case_number": case.number,
    }


def _problem(scene: Scene, offer: Offer) -> Mapping[str, Any]:
    """Why not then, with what is free as choices. Nothing free at all is nothing to choose from: people's work."""
    if not offer.slots:
        return REFUSED
    zone = ZoneInfo(scene.centre.settings.timezone)
    found: dict[str, Any] = {**REFUSED, "visit_problem": offer_told(offer, scene.now, zone.key, scene.held.language)}
    for n, slot in enumerate(offer.slots, 1):
        found[f"slot_{n}"] = _told(scene, slot)
        found[f"slot_{n}_at"] = slot.start.astimezone(zone).isoformat()
    return found


def _told(scene: Scene, slot: Slot) -> str:
    return slot_told(slot, scene.now, scene.centre.settings.timezone, scene.held.language)


def progress(scene: Scene, case: Case) -> dict[str, Any]:
    """How far a repair is and when somebody comes, for action_case_status; nothing for other cases. What waits for a
    third party, or is over, is told by the case's own state."""
    order = scene.session.get(RepairOrder, case.id)
    if order is None:
        return {}
    visit = visits.open_visit(scene.session, case.id)
    under_way = case.state in (CaseState.OPEN, CaseState.ASSIGNED) and order.stage is not RepairStage.REGISTERED
    return {
        **({"case_state_text": repairs.stage_text(order, scene.held.language)} if under_way else {}),
        "visit_at": _told(scene, Slot(visit.starts_at, visit.ends_at)) if visit else None,
    }


ACTIONS: Mapping[str, Perform] = {"action_book_visit": book_visit, "action_move_visit": move_visit}
