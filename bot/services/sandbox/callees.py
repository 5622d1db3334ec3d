"""People who answer the sandbox's phones by themselves: who answers, who is busy, silent, away, or a machine.

Used by rehearsals that run faster than anybody could answer, and by tests. The same seed gives the same people.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from bot.core import twiml
from bot.core.telephone import CallState
from bot.core.twiml import Gather
from bot.services.centre import Centre
from bot.services.sandbox import sandbox, sandbox_rows
from bot.settings import Settings
from store.tables import SandboxCall

log = structlog.get_logger()
AT_ONCE = 100  # calls moved on by one look
PATIENCE = 30  # steps of a call after which anybody has had enough of it


class Manner(StrEnum):
    """What becomes of a call."""

    ANSWERS = "answers"
    SILENT = "silent"  # picks up and says nothing
    BUSY = "busy"
    AWAY = "away"  # lets it ring
    MACHINE = "machine"


@dataclass(frozen=True, slots=True)
class Callees:
    """`mix` weighs the manners; `keys` are pressed in this order, one a question, else a choice is made by the seed."""

    mix: Mapping[Manner, int] = field(
        default_factory=lambda: {
            Manner.ANSWERS: 70,
            Manner.AWAY: 12,
            Manner.BUSY: 8,
            Manner.MACHINE: 6,
            Manner.SILENT: 4,
        }
    )
    keys: tuple[str, ...] = ()
    seed: int = 1

    def manner(self, phone: str, nth: int) -> Manner:
        """How the `nth` call to a phone is taken, counted from 0."""
        at = self._draw("manner", phone, nth) % sum(self.mix.values())
        for manner, weight in self.mix.items():
            at -= weight
            if at < 0:
                return manner
        raise AssertionError("unreachable")

    def key(self, phone: str, nth: int, question: int) -> str:
        """What is pressed at a call's question number `question`, counted from 0."""
        if self.keys:
            return self.keys[question % len(self.keys)]
        return "123"[self._draw("key", phone, nth, question) % 3]

    def _draw(self, *of: object) -> int:
        named = ":".join(map(str, (self.seed, *of)))
        return int.from_bytes(hashlib.blake2s(named.encode(), digest_size=8).digest())


def wanted(settings: Settings) -> bool:
    """Whether callees answer by themselves: in a rehearsal too fast for anybody to pick up."""
    return settings.rehearsal is not None and settings.rehearsal.speed != 1.0


@dataclass(frozen=True, slots=True)
class _Call:
    id: int
    phone: str
    state: CallState
    step: int
    answered: int
    asks: bool
    nth: int


async def play(centre: Centre, callees: Callees) -> int:
    """Moves every call that is up one step on; gives how many."""
    calls = await centre.db.read(_up)
    # Together, so that what they write is committed together; one that fails is tried again at the next look.
    moved = await asyncio.gather(*(_move(centre, callees, call) for call in calls), return_exceptions=True)
    for call, problem in zip(calls, moved, strict=True):
        if isinstance(problem, Exception):
            log.error("callees.failed", call=call.id, exc_info=problem)
    return len(calls)


async def _move(centre: Centre, callees: Callees, call: _Call) -> None:
    manner = callees.manner(call.phone, call.nth)
    if call.state is CallState.IN_PROGRESS and call.step > PATIENCE:
        await sandbox.hang_up(centre, call.id)
    elif call.state is CallState.IN_PROGRESS:
        answers = manner is Manner.ANSWERS and call.asks
        digits = callees.key(call.phone, call.nth, call.answered) if answers else ""
        await sandbox.go_on(centre, call.id, call.step, digits=digits)
    elif manner is Manner.AWAY:
        await sandbox.ring_out(centre, call.id)
    elif manner is Manner.BUSY:
        await sandbox.hang_up(centre, call.id)
    else:
        await sandbox.pick_up(centre, call.id, "machine_start" if manner is Manner.MACHINE else "human")


_earlier = aliased(SandboxCall)
_UP = (
    select(
        SandboxCall,
        select(func.count())
        .select_from(_earlier)
        .where(_earlier.phone_blind == SandboxCall.phone_blind, _earlier.id < SandboxCall.id)
        .scalar_subquery(),
    )
    .where(sandbox_rows.UP, SandboxCall.direction == "out")
    .order_by(SandboxCall.id)
    .limit(AT_ONCE)
)
"""Calls that are up, and how many this phone has had before."""


def _up(session: Session) -> list[_Call]:
    rows = session.execute(_UP)
    return [
        _Call(
            call.id,
            call.phone_blind,
            call.state,
            call.sequence,
            sum(line["who"] == "you" for line in call.script.get("lines", ())),
            _asks(call),
            nth,
        )
        for call, nth in rows
    ]


def _asks(call: SandboxCall) -> bool:
    """Whether something was said that wants an answer; on hold nothing is."""
    if "passage" not in call.script:
        return False
    passage = twiml.from_json(call.script["passage"])
    return isinstance(passage.then, Gather) and bool(passage.heard)
