"""A channel's pace: when the next unit may leave, and how many of the next places belong to conversations (DESIGN §5).

A unit is a call, a message or one SMS segment. Places are handed out evenly, one after the other, without bursts: what
nobody used is not made up for later, because a provider counts every ten seconds anew. Times are seconds of any one
clock.
"""

from __future__ import annotations

from collections.abc import Sequence

AHEAD = 1.0  # seconds for which places are handed out in advance: no row waits longer for its turn once it is claimed
LATE = 0.08  # seconds behind its place after which a unit takes a new one, rather than crowding those that follow
SHAVED = 0.99  # of the rate: units travel for a moment, and the last of one window must not arrive in the next


def places(free_at: float, now: float, units: Sequence[int], per_second: float) -> tuple[float, list[float]]:
    """Places for units that leave one after the other: when the channel is free again, and how long each waits."""
    at = max(free_at, now)
    waits = []
    for each in units:
        waits.append(at - now)
        at += each / (per_second * SHAVED)
    return at, waits


def room(free_at: float, now: float, per_second: float) -> int:
    """How many more units may be claimed now. An idle channel always takes one, however slow it is."""
    backlog = max(free_at - now, 0.0)
    return max(int((AHEAD - backlog) * per_second), 1 if backlog == 0.0 else 0)


def for_conversations(credit: float, places: int, share: float) -> tuple[int, float]:
    """How many of so many places are offered to conversations before a broadcast, and the credit that remains.

    One place a time comes to them too: the fractions add up. `spent` gives back what they leave.
    """
    owed = credit + places * share
    return int(owed), owed


def spent(owed: float, taken: int) -> float:
    """The credit after conversations took so many places; what they did not want is not saved up."""
    return min(max(owed - taken, 0.0), 1.0)
