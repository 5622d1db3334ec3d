"""One sandbox phone connected with another: what `<Dial>` does, between two rows of the exchange.

The dialled phone's call is a row of its own, the leg; its script names the call that dialled it. Once both are
connected what one says stands in both their transcripts. Either may hang up; the call that dialled then goes on alone.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from bot.core import twiml
from bot.core.telephone import ENDED, CallState
from bot.core.twiml import Dial, Fetch, Passage, Talk, Then
from bot.core.words import ChannelName, DeliveryState, Report
from bot.services.calls import agent_first, call_ends
from bot.services.centre import Centre
from bot.services.delivery import dispatch
from bot.services.sandbox.sandbox_rows import LINES, finish, in_call, lock, phone, sid, step
from store.db import touch, vault_of
from store.tables import SandboxCall

GoesOn = tuple[int, int] | None
"""The call, with its step, that is to be played on now."""


def is_leg(call: SandboxCall) -> bool:
    return "leg" in call.script


def place(session: Session, centre: Centre, call_id: int, at: int, dial: Dial) -> GoesOn:
    """Rings the other phone; where that is in a call already, the one that dialled goes on."""
    call, machine = lock(session, call_id), centre.clock.machine()
    if call is None or call.state is not CallState.IN_PROGRESS or call.sequence != at:
        return None
    delivery_id = int(dict(parse_qsl(urlsplit(dial.report or "").query)).get("delivery", 0)) or None
    leg = _ring(session, centre, call, dial, delivery_id)
    if leg is None:
        call_ends.ended(session, centre, call_sid=sid(0), delivery_id=delivery_id, state=CallState.BUSY)
        _hears(call, Fetch(dial.url, {"DialCallStatus": CallState.BUSY.value}))
    else:
        _hears(call, Talk(leg.id, ringing=True))
        call.script = {**call.script, "dial": dial.url}
    step(session, call, machine)
    return (call.id, call.sequence) if leg is None else None


def _ring(
    session: Session, centre: Centre, call: SandboxCall, dial: Dial, delivery_id: int | None
) -> SandboxCall | None:
    blind = phone(vault_of(session), dial.number)
    if in_call(session, blind):
        return None
    leg = SandboxCall(
        delivery_id=delivery_id,
        phone_blind=blind,
        direction="out",
        state=CallState.RINGING,
        script={"leg": {"parent": call.id, "whisper": dial.whisper}},
        started_at=centre.clock.now(),
        changed_at=centre.clock.machine(),
    )
    try:
        with session.begin_nested():
            session.add(leg)
    except IntegrityError:  # somebody else rang there at this very moment
        return None
    touch(session, f"phone:{blind}")
    return leg


def _hears(call: SandboxCall, then: Then) -> None:
    call.script = {**call.script, "passage": twiml.to_json(Passage((), then, 0))}


def picked_up(session: Session, centre: Centre, leg: SandboxCall, machine: datetime) -> int | None:
    """The dialled phone is answered: the whisper first, where there is one; gives the step to play from."""
    whisper = leg.script["leg"]["whisper"]
    if whisper is None:
        connect(session, centre, leg)
        return None
    _hears(leg, Fetch(whisper))
    return step(session, leg, machine)


def connect(session: Session, centre: Centre, leg: SandboxCall) -> None:
    """From now on the two hear each other."""
    machine = centre.clock.machine()
    parent = _pair(session, leg.script["leg"]["parent"], leg.id).get(leg.script["leg"]["parent"])
    if parent is None or parent.state is not CallState.IN_PROGRESS:
        finish(session, centre, leg, CallState.COMPLETED)
        return
    for one, other in ((parent, leg), (leg, parent)):
        _hears(one, Talk(other.id))
        step(session, one, machine)
    if leg.delivery_id is not None:
        word = Report(ChannelName.VOICE, sid(leg.id), leg.delivery_id, DeliveryState.DELIVERED)
        dispatch.report_now(session, centre, word)
        agent_first.connected(session, centre, leg.delivery_id, centre.clock.now())


def _pair(session: Session, *ids: int) -> dict[int, SandboxCall]:
    """Both calls, locked in one order whoever asks."""
    query = select(SandboxCall).where(SandboxCall.id.in_(ids)).order_by(SandboxCall.id).with_for_update()
    return {call.id: call for call in session.scalars(query.execution_options(populate_existing=True))}


def say(session: Session, call_id: int, words: str, machine: datetime) -> None:
    """One of the two says something, which the other hears."""
    call = session.get(SandboxCall, call_id)
    peer_id = _peer(call) if call is not None else None
    if peer_id is None or not words:
        return
    both = _pair(session, call_id, peer_id)
    for each in both.values():
        if each.state is CallState.IN_PROGRESS:
            line = {"who": "you" if each.id == call_id else "peer", "text": words}
            each.script = {**each.script, "lines": [*each.script.get("lines", ()), line][-LINES:]}
            step(session, each, machine)


def _peer(call: SandboxCall) -> int | None:
    """Whom this call is connected with."""
    if "passage" not in call.script:
        return None
    then = twiml.from_json(call.script["passage"]).then
    return then.peer if isinstance(then, Talk) else None


def over(session: Session, centre: Centre, call: SandboxCall, state: CallState) -> GoesOn:
    """A call has ended: a leg's parent goes on, a parent's leg ends with it."""
    if is_leg(call):
        parent = lock(session, call.script["leg"]["parent"])
        if parent is None or parent.state is not CallState.IN_PROGRESS or _peer(parent) != call.id:
            return None
        talked = _peer(call) is not None
        missed = CallState.NO_ANSWER if state is CallState.COMPLETED else state
        status = CallState.COMPLETED if talked else missed
        _hears(parent, Fetch(parent.script["dial"], {"DialCallStatus": status.value}))
        return parent.id, step(session, parent, centre.clock.machine())
    peer_id = _peer(call)
    leg = lock(session, peer_id) if peer_id is not None else None
    if leg is not None and leg.state not in ENDED:
        finish(session, centre, leg, CallState.CANCELED if leg.state is CallState.RINGING else CallState.COMPLETED)
    return None
