"""Who gets which conversation: round-robin under the cap, by queue and language, key accounts first (INT-03).

Pure decisions over what waits and who is there. Whoever waits longest within their rank is served first; among those
able to take them, whoever knew the customer, then whoever was given something longest ago.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from bot.core.words import Language, Presence


@dataclass(frozen=True, slots=True)
class Seat:
    """Somebody who may be given conversations. `here`: their console is open. Empty `queues` or `languages`: all."""

    staff_id: int
    presence: Presence
    here: bool
    holding: int
    capacity: int
    queues: frozenset[str] = frozenset()
    languages: frozenset[Language] = frozenset()
    given_at: datetime | None = None  # when something was last given to them

    @property
    def room(self) -> bool:
        return self.presence is Presence.ONLINE and self.here and self.holding < self.capacity


@dataclass(frozen=True, slots=True)
class Wish:
    """A conversation that waits. `knows` held it, or spoke with this customer, before; `passed` are those who let it
    wait until it was taken from them."""

    conversation_id: int
    queue: str
    language: Language
    priority: int
    key_account: bool
    queued_at: datetime
    knows: int | None = None
    passed: frozenset[int] = frozenset()

    @property
    def rank(self) -> tuple[bool, int, datetime, int]:
        """Smaller is served earlier."""
        return (not self.key_account, self.priority, self.queued_at, self.conversation_id)


def able(wish: Wish, seat: Seat) -> bool:
    """Whether this person may be given this conversation now."""
    return (
        seat.room
        and seat.staff_id not in wish.passed
        and (not seat.queues or wish.queue in seat.queues)
        and (not seat.languages or wish.language in seat.languages)
    )


def assign(wishes: Iterable[Wish], seats: Sequence[Seat], now: datetime) -> tuple[tuple[int, int], ...]:
    """(conversation, staff) for whatever can be given now, in the order of the queue; nobody over their capacity."""
    by_id = {seat.staff_id: seat for seat in seats}
    given = []
    for order, wish in enumerate(sorted(wishes, key=lambda each: each.rank)):
        fit = [seat for seat in by_id.values() if able(wish, seat)]
        if not fit:
            continue
        seat = min(fit, key=lambda each: _turn(wish, each))
        given.append((wish.conversation_id, seat.staff_id))
        at = now + timedelta(microseconds=order)  # among those given something now, in the order they were
        by_id[seat.staff_id] = replace(seat, holding=seat.holding + 1, given_at=at)
    return tuple(given)


def _turn(wish: Wish, seat: Seat) -> tuple[bool, bool, float, int, int]:
    given = seat.given_at
    return (
        seat.staff_id != wish.knows,
        given is not None,
        given.timestamp() if given else 0.0,
        seat.holding,
        seat.staff_id,
    )


class Silence(StrEnum):
    """What becomes of a customer whom the person holding the conversation leaves without an answer."""

    BEAR = "bear"
    WARN = "warn"  # tell the holder
    MOVE = "move"  # back into the queue, to somebody else


def silence(
    waited: timedelta,
    *,
    holder: Presence,
    warned: bool,
    warn_after: timedelta | None,
    move_after: timedelta | None,
    others: bool,
) -> Silence:
    """`waited`: since the customer's first unanswered line. `others`: somebody else could take it. Who is not online
    keeps nothing that waits; who is, is warned first, and keeps it where nobody else is there."""
    if move_after is not None and others and (holder is not Presence.ONLINE or (warned and waited >= move_after)):
        return Silence.MOVE
    if warn_after is not None and not warned and waited >= warn_after:
        return Silence.WARN
    return Silence.BEAR
