"""The agent first, then the customer: an agent is rung for a callback that is due, told about it, and put through.

The customer is dialled by the agent's own call, through the same gate, and only once its row and its attempt are
written down; the carrier's reports on that row decide what is next, as for every callback.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.calls import Dial as Ring
from bot.core.permission import Allowed
from bot.core.plan import Rings, chosen
from bot.core.telephone import BadCallError, Dial, HangUp, door
from bot.core.words import (
    Author,
    CallbackState,
    ChannelName,
    ConversationState,
    DeliveryState,
    Language,
    Report,
    Say,
)
from bot.services import contacts, days, gate, i18n
from bot.services.calls import attempts, callbacks
from bot.services.calls.agent_phones import ring
from bot.services.calls.speech import ON_THE_LINE, Spoken
from bot.services.centre import Centre
from bot.services.conversation.conversations import add_line, save
from bot.services.delivery import dispatch
from bot.services.i18n import N_
from store.db import touch, vault_of
from store.tables import Address, CallAttempt, Callback, Contact, Delivery, Staff

AGENT_FIRST = Rings.AGENT_FIRST.value  # the reason of the conversation that comes of it
STALE = timedelta(minutes=2)  # an agent not rung by then is not rung for it
OUTCOMES: Mapping[str, tuple[DeliveryState, str | None]] = {
    "completed": (DeliveryState.HEARD, None),
    "answered": (DeliveryState.HEARD, None),
    "busy": (DeliveryState.FAILED, "busy"),
    "no-answer": (DeliveryState.FAILED, "no_answer"),
    "canceled": (DeliveryState.FAILED, "canceled"),
    "failed": (DeliveryState.FAILED, "failed"),
}
"""What a leg's end (DialCallStatus) makes of its row."""

NOT_NOW = N_("现在不能拨给这位客户，系统会按规定另行安排。再见。")
TOOK = N_("%(who)s用电话接听")
UNREACHED = N_("没有接通，系统会按规定再试。再见。")
REACHED = N_("通话结束。请在工作台填写小结。")


def rings_of(centre: Centre, callback: Callback) -> Rings:
    """Whom a callback rings, and who speaks: as a colleague chose for it, else as its plan says."""
    plan = centre.library.current.policies.plans.get(callbacks.plan_of(callback))
    return chosen(callback.flags) or (plan.rings if plan is not None else Rings.BOT)


def ring_for(session: Session, callback: Callback, now: datetime) -> bool:
    """Rings an agent for a callback that is due and may be made, first whoever has it in their diary; False where
    nobody is free."""
    legs, metadata = f"{AGENT_FIRST}:{callback.id}:", {"callback": callback.id, "machine": "hang_up"}
    if ring(session, legs, metadata, now, first=callback.staff_id, expires_at=now + STALE) is None:
        return False
    callback.state, callback.due_at = CallbackState.DIALLING, now + callbacks.LOST_AFTER
    return True


def call_customer(
    session: Session, centre: Centre, leg: Delivery, callback: Callback, person: Staff, now: datetime
) -> Spoken:
    """The agent is ready: the gate is asked once more, and the customer's leg is written down before it is dialled."""
    language = Language(leg.body["language"])
    attempt = callbacks.under_way(session, callback)
    if attempt is None:
        attempt = _attempt(session, centre, callback, person, now)
    if attempt is None or attempt.delivery_id is None:
        return Spoken((Say(i18n.text(language, NOT_NOW)),), language, HangUp())
    number = vault_of(session).open(session.get_one(Address, attempt.address_id).sealed)
    ring = round(centre.library.current.policies.calls.ring.total_seconds())
    over = door(whisper=leg.id, over=attempt.delivery_id)
    return Spoken((), language, Dial(number, over, None, attempt.delivery_id, ring))


def _attempt(session: Session, centre: Centre, callback: Callback, person: Staff, now: datetime) -> CallAttempt | None:
    """The attempt and its row; None where the gate refuses, or the callback is nobody's to make any more."""
    if callback.state is not CallbackState.DIALLING:
        return None
    callback.state = CallbackState.SCHEDULED
    callback.contact_id = contacts.survivor(session, callback.contact_id)
    step = callbacks.next_step(session, centre, callback, now, now)
    shelf = centre.library.current
    windows = callbacks.windows_of(session, centre, callback)
    answer = gate.ask(
        session,
        purpose=callback.purpose,
        channel=ChannelName.VOICE,
        contact_id=callback.contact_id,
        policies=shelf.policies,
        calendar=days.calendar(session, centre),
        now=now,
        windows=windows,
    )
    if not isinstance(answer, Allowed) or not isinstance(step, Ring):
        callback.due_at = now  # the heartbeat asks again, and writes down why not
        return None
    attempt = attempts.write_down(
        session, centre, callback, step.number, windows, {"staff": person.id}, now, rung_by_agent=True
    )
    callback.state, callback.due_at = CallbackState.DIALLING, now + gate.CALL_LIMIT
    session.flush()
    touch(session, "callbacks")
    return attempt


def connected(session: Session, centre: Centre, delivery_id: int, now: datetime) -> None:
    """A customer an agent called has answered: their conversation begins, in that agent's hands."""
    delivery = session.get(Delivery, delivery_id)
    staff_id = delivery.body["metadata"].get("staff") if delivery is not None else None
    attempt = session.scalar(select(CallAttempt).where(CallAttempt.delivery_id == delivery_id).with_for_update())
    if attempt is None or staff_id is None or attempt.conversation_id is not None or attempt.ended_at is not None:
        return
    contact = session.get_one(Contact, session.get_one(Callback, attempt.callback_id).contact_id)
    held = attempts.begin_conversation(
        session,
        centre,
        attempt,
        contact,
        now,
        state=ConversationState.AGENT,
        staff_id=staff_id,
        queued_at=now,
        claimed_at=now,
        reason=AGENT_FIRST,
    )
    attempt.rang = True
    who = session.get_one(Staff, staff_id).name
    add_line(session, held, Author.SYSTEM, ours(centre, TOOK, who=who), now, key=ON_THE_LINE)
    save(session, held)
    touch(session, "floor", f"staff:{staff_id}")


def customer_over(session: Session, *, centre: Centre, leg: int, form: Mapping[str, str], now: datetime) -> Spoken:
    """The agent hears how it ended; the row settles what is next."""
    delivery = session.get(Delivery, leg)
    if delivery is None or delivery.callback_id is None:
        raise BadCallError("no such leg")
    status = form.get("DialCallStatus", "")
    reached = OUTCOMES.get(status, (None, None))[0] is DeliveryState.HEARD
    if reached:
        connected(session, centre, leg, now)
    settle(session, centre, leg, status)
    staff = session.get(Staff, delivery.body["metadata"].get("staff", 0))
    language = Language(staff.language) if staff is not None else centre.settings.language
    return Spoken((Say(i18n.text(language, REACHED if reached else UNREACHED)),), language, HangUp())


def settle(session: Session, centre: Centre, delivery_id: int, status: str) -> None:
    """What the end of a dialled leg says of its row, where the carrier's own report has not come yet."""
    state, error = OUTCOMES.get(status, (DeliveryState.FAILED, "failed"))
    dispatch.report_now(session, centre, Report(ChannelName.VOICE, None, delivery_id, state, error=error))


def ours(centre: Centre, words: str, **values: str) -> str:
    return i18n.text(centre.settings.language, words, **values)
