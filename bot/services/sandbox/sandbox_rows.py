"""A call on the sandbox's exchange as a row: found, locked, moved a step on, ended and reported."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from bot.core.telephone import CallState
from bot.services.calls import call_ends
from bot.services.centre import Centre
from store.db import touch
from store.tables import SandboxCall
from store.vault import Vault

UP = text("sandbox_call.state IN ('ringing', 'in-progress')")  # literal, so that the partial index serves
LINES = 200  # of a call that are kept


def phone(vault: Vault, number: str) -> str:
    """A phone's name in rows and topics: "phone:<this>"."""
    return vault.blind("phone", number)


def sid(call_id: int) -> str:
    """A call's id as the voice door is told it (CallSid)."""
    return f"sandbox-{call_id}"


def in_call(session: Session, blind: str) -> bool:
    return session.scalar(select(SandboxCall.id).where(UP, SandboxCall.phone_blind == blind).limit(1)) is not None


def lock(session: Session, call_id: int) -> SandboxCall | None:
    return session.get(SandboxCall, call_id, with_for_update=True, populate_existing=True)


def step(session: Session, call: SandboxCall, machine: datetime) -> int:
    """The call has moved on; gives the number of its present step."""
    call.sequence += 1
    call.changed_at = machine
    touch(session, f"phone:{call.phone_blind}")
    return call.sequence


def finish(session: Session, centre: Centre, call: SandboxCall, state: CallState) -> None:
    """Ends a call and reports it, in the one transaction."""
    call.state = state
    step(session, call, centre.clock.machine())
    call_ends.ended(
        session, centre, call_sid=sid(call.id), delivery_id=call.delivery_id, state=state, sequence=call.sequence
    )
