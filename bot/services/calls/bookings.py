"""Callbacks a customer asks for: a wished time taken or the nearest ones offered (REQ-C23, INT-05, INT-06, C.7 row 9).

A person is owed at most one requested callback at a time: asking again moves it. During a call we placed, the wish
moves that very call. Times are told in the contact's own zone and language; slots carry ISO 8601 with offset.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot.core.plan import Rings, choose
from bot.core.policy import Policies
from bot.core.windows import (
    Calendar,
    Opening,
    call_windows,
    local_date,
    local_midnight,
    offer_slots,
    reachable_hours,
    requested,
)
from bot.core.wording import when
from bot.core.words import CallbackSource, CallbackState, ChannelName, Disposition, FollowUpGroup, Language, Purpose
from bot.services import audit, contacts, days, merging
from bot.services.centre import Centre
from bot.services.conversation.scene import Perform, Scene
from bot.services.i18n import N_, text
from bot.services.refusal import RefusedError
from store.db import touch
from store.tables import Address, CallAttempt, Callback, Contact

PREFERRED = "outbound"  # the windows a time is suggested from first (REQ-B08, REQ-C28)
ASKED = "asked_time"  # flag: the time is the customer's own


class NotBookableError(RefusedError):
    """The wished time is not possible. `slots` are the nearest that are; none where nothing opens at all."""

    def __init__(self, slots: tuple[Opening, ...]) -> None:
        super().__init__("outside_window")
        self.slots = slots


def book(
    session: Session,
    centre: Centre,
    contact_id: int,
    *,
    dedupe_key: str,
    wish: datetime | None,
    topic: str,
    now: datetime,
    address_id: int | None = None,
    case_id: int | None = None,
    purpose: Purpose = Purpose.REQUESTED_CALLBACK,
    staff_id: int | None = None,
    source: CallbackSource = CallbackSource.CUSTOMER,
    owner_id: int | None = None,
    anew: bool = False,
    rings: Rings | None = None,
) -> Callback:
    """Owes the contact a call at `wish` (None: as soon as permitted); raises NotBookableError with the nearest times.

    A pending requested callback of theirs is moved instead of doubled, unless `anew`. `owner_id` is the colleague in
    whose diary it stands; `purpose` SERVICE_NOTICE is for recovery lists; `rings` None: as the plan says.
    """
    shelf = centre.library.current
    contact = session.get_one(Contact, contact_id)
    opening = _opening(wish, now, shelf.policies, days.calendar(session, centre), contact.timezone)
    known = session.scalar(select(Callback).where(Callback.dedupe_key == dedupe_key))
    if known is None and not anew:
        known = _pending(session, contact_id, owner_id)
    if known is None:
        known = Callback(
            dedupe_key=dedupe_key,
            contact_id=contact_id,
            follow_up_group=FollowUpGroup.REQUESTED,
            plan=FollowUpGroup.REQUESTED,
            purpose=purpose,
            source=source,
            policies=shelf.policies_version,
            flow_id=shelf.policies.plans[FollowUpGroup.REQUESTED].flow,
            staff_id=owner_id,
            booked_by=staff_id,
            created_at=now,
            flags=[],
            flow={},
        )
        session.add(known)
    known.address_id = address_id or known.address_id
    known.case_id = case_id or known.case_id
    known.topic = topic or known.topic or ""
    if wish is not None:
        known.flags = sorted({*known.flags, ASKED})
    if rings is not None:
        known.flags = choose(known.flags, rings)
    move(known, opening, shelf.policies, contact.timezone)
    session.flush()
    audit.record(
        session, "callback.book", "callback", known.id, now=now, staff_id=staff_id, due=opening.start.isoformat()
    )
    touch(session, "callbacks")
    return known


def move(callback: Callback, opening: Opening, policies: Policies, zone: str) -> None:
    """Puts a callback at a time that was agreed with the person; the plan's tries count from there."""
    plan = policies.plans[FollowUpGroup.REQUESTED]
    last_day = local_date(opening.start, zone) + timedelta(days=plan.tries_for_days + 1)
    callback.due_at, callback.window_end = opening.start, opening.end
    callback.not_after, callback.waits = local_midnight(last_day, zone), None
    callback.revision = (callback.revision or 0) + 1


def _opening(wish: datetime | None, now: datetime, policies: Policies, calendar: Calendar, zone: str) -> Opening:
    found = requested(wish or now, now, policies, calendar, zone)
    if isinstance(found, Opening):
        return found
    if wish is None and found.slots:
        return found.slots[0]
    raise NotBookableError(found.slots)


def _pending(session: Session, contact_id: int, owner_id: int | None) -> Callback | None:
    """What stands in a colleague's diary is theirs: another's promise does not move it."""
    return session.scalar(
        select(Callback)
        .where(
            Callback.contact_id == contact_id,
            Callback.follow_up_group == FollowUpGroup.REQUESTED,
            Callback.purpose == Purpose.REQUESTED_CALLBACK,
            Callback.staff_id == owner_id,
            Callback.state == CallbackState.SCHEDULED,
        )
        .order_by(Callback.id)
        .limit(1)
        .with_for_update()
    )


def slots_to_offer(
    session: Session,
    centre: Centre,
    plan_id: str,
    zone: str,
    now: datetime,
    *,
    near: datetime | None = None,
    n: int = 2,
) -> tuple[Opening, ...]:
    """Times to suggest: a follow-up's own windows, else the hours people like to be called in; else any permitted."""
    policies, calendar = centre.library.current.policies, days.calendar(session, centre)
    plan_id = plan_id if plan_id in policies.plans else FollowUpGroup.REQUESTED
    if plan_id == FollowUpGroup.REQUESTED and PREFERRED in policies.hours.windows:
        preferred = (*policies.hours.named((PREFERRED,)), *reachable_hours(ChannelName.VOICE, policies))
    else:
        preferred = call_windows(plan_id, policies)
    found = offer_slots(now, preferred, calendar, zone, seasons=policies.seasons, near=near, n=n)
    if found:
        return found
    any_time = call_windows(FollowUpGroup.REQUESTED, policies)
    return offer_slots(now, any_time, calendar.without_holidays(), zone, seasons=policies.seasons, near=near, n=n)


# ── what flows ask for ──


def book_callback(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """action_book_callback: gives callback_ok with callback_at, else callback_problem with what is possible."""
    session, held, language = scene.session, scene.held, scene.held.language
    try:
        wish, address_id = wished(args, held.zone), _number(scene, args)
    except contacts.BadPhoneError:
        return _problem(text(language, N_("这个号码好像不对，请再告诉我一次能打通的电话号码。")))
    if address_id is None:
        return _problem(text(language, N_("请先留一个能打通的电话号码。")))
    try:
        under_way = session.get(Callback, held.callback_id) if held.callback_id is not None else None
        if under_way is not None:
            at: datetime | None = _move_this_call(scene, under_way, wish)
        else:
            at = book(
                session,
                scene.centre,
                held.contact_id,
                dedupe_key=f"wish:{held.id}:{held.seq}",
                wish=wish,
                topic=str(args.get("topic") or ""),
                address_id=address_id,
                now=scene.now,
            ).due_at
    except NotBookableError as refused:
        return _problem(_nearest(refused.slots, scene))
    assert at is not None
    return {"callback_ok": True, "callback_at": told(at, scene.now, held.zone, language), "callback_problem": None}


def offer(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """action_offer_slots: two permitted times as text and as ISO 8601; fewer, as null, where fewer open."""
    held = scene.held
    plan_id: str = FollowUpGroup.REQUESTED
    if held.callback_id is not None:
        plan_id = scene.session.get_one(Callback, held.callback_id).plan
    wish = wished(args, held.zone)
    found = slots_to_offer(scene.session, scene.centre, plan_id, held.zone, scene.now, near=wish)
    result: dict[str, Any] = {}
    for n in (1, 2):
        at = found[n - 1].start if len(found) >= n else None
        result[f"slot_{n}"] = told(at, scene.now, held.zone, held.language) if at else None
        result[f"slot_{n}_at"] = at.astimezone(ZoneInfo(held.zone)).isoformat() if at else None
    return result


def _move_this_call(scene: Scene, callback: Callback, wish: datetime | None) -> datetime:
    """The person we are calling names another time: the same callback goes on then, as one they asked for."""
    shelf = scene.centre.library.current
    calendar = days.calendar(scene.session, scene.centre)
    opening = _opening(wish or scene.now + timedelta(hours=1), scene.now, shelf.policies, calendar, scene.held.zone)
    callback.purpose = Purpose.REQUESTED_CALLBACK
    callback.flags = sorted({*callback.flags, ASKED})
    move(callback, opening, shelf.policies, scene.held.zone)
    scene.session.execute(
        update(CallAttempt)
        .where(CallAttempt.callback_id == callback.id, CallAttempt.ended_at.is_(None))
        .values(disposition=Disposition.ANOTHER_TIME)
    )
    touch(scene.session, "callbacks")
    return opening.start


def wished(args: Mapping[str, Any], zone: str) -> datetime | None:
    """The moment a customer named, zone-aware; None where they named none."""
    wish = args.get("preferred_time")
    if not wish:
        return None
    try:
        at = datetime.fromisoformat(str(wish))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))


def _number(scene: Scene, args: Mapping[str, Any]) -> int | None:
    """The voice address to ring: the number just given, else the one we know. A number whose owner wants no calls is
    not rung on somebody else's word."""
    session, contact_id = scene.session, scene.held.contact_id
    if not args.get("phone"):
        known = contacts.phone_of(session, contact_id)
        return known.id if known else None
    _, voice = merging.give_phone(session, scene.held, str(args["phone"]), scene.now)
    if voice.contact_id is not None and voice.contact_id != contact_id:
        owner = contacts.consents(session, contacts.survivor(session, voice.contact_id))
        if not owner.get(contacts.EVERYTHING, (True, None))[0]:
            raise contacts.BadPhoneError("the number's owner asked for no calls")
    return voice.id


def _problem(said: str) -> Mapping[str, Any]:
    return {"callback_ok": False, "callback_at": None, "callback_problem": said, "preferred_time": None}


def _nearest(slots: tuple[Opening, ...], scene: Scene) -> str:
    language, zone = scene.held.language, scene.held.zone
    if not slots:
        return text(language, N_("抱歉，这段时间我们都没法给您打电话。"))
    between = text(language, N_("或"))
    times = f" {between} ".join(told(slot.start, scene.now, zone, language) for slot in slots)
    return text(language, N_("抱歉，那个时间我们不能打电话，最近可以的时间是 %(times)s。"), times=times)


def told(at: datetime, now: datetime, zone: str, language: Language) -> str:
    """A time as people say it: 明天 14:30, tomorrow 14:30; further off with its date."""
    local = at.astimezone(ZoneInfo(zone))
    days = (local.date() - local_date(now, zone)).days
    near = {0: N_("今天"), 1: N_("明天"), 2: N_("后天")}.get(days)
    return f"{text(language, near)} {local:%H:%M}" if near else when(local.isoformat(), language)


ACTIONS: Mapping[str, Perform] = {"action_book_callback": book_callback, "action_offer_slots": offer}


def numbers_of(session: Session, callback: Callback) -> tuple[int, ...]:
    """The voice addresses a callback may ring, the one asked for first."""
    found = session.scalars(
        select(Address.id)
        .where(Address.contact_id == callback.contact_id, Address.channel == ChannelName.VOICE, Address.reachable)
        .order_by(Address.rank, Address.id)
    ).all()
    if callback.address_id is None:
        return tuple(found)
    return (callback.address_id, *(number for number in found if number != callback.address_id))
