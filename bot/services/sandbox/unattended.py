"""Calls of the sandbox that nobody sees to: they ring out, and whoever left the page has hung up."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from bot.core.telephone import CallState
from bot.services.centre import Centre
from bot.services.sandbox import callees, sandbox
from bot.services.sandbox.sandbox_rows import UP
from store.tables import SandboxCall

GONE_AFTER = timedelta(minutes=3)  # a call nobody took a step of has been left: its page was closed
PAGE = 100


def tick(session: Session, centre: Centre, _now: datetime) -> int:
    """Ends calls that rang long enough, and calls whose page is gone; gives how many. Callees who answer by themselves
    say when it has rung enough: however many are called at once, each does what they do."""
    machine, rings = centre.clock.machine(), centre.library.current.policies.calls.ring
    long = SandboxCall.changed_at <= machine - GONE_AFTER
    if not callees.wanted(centre.settings):
        rung = and_(SandboxCall.state == CallState.RINGING, SandboxCall.changed_at <= machine - rings)
        long = or_(rung, long)
    left = session.scalars(select(SandboxCall).where(UP, long).limit(PAGE).with_for_update(skip_locked=True)).all()
    for call in left:
        ringing = call.state is CallState.RINGING
        sandbox.end(session, centre, call, CallState.NO_ANSWER if ringing else CallState.COMPLETED)
    return len(left)
