"""The two clocks (DESIGN §2): domain time, which a rehearsal moves, and machine time, which nothing moves."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Domain time is the machine's time. All instants are zone-aware UTC."""

    def now(self) -> datetime:
        """Domain time: windows, due times, what people see."""
        return self.machine()

    def machine(self) -> datetime:
        """Machine time: leases, time-outs, sessions, pacing."""
        return datetime.now(UTC)

    @property
    def hurries(self) -> bool:
        """Whether nobody waits for this clock: it wants `idle` called, and beat after beat."""
        return False

    def idle(self, next_due: datetime | None) -> bool:
        """Nothing is due now; `next_due` is the next instant at which something is. Whether time has moved there."""
        del next_due
        return False

    @property
    def patience(self) -> float:
        """Seconds of machine time the heartbeat may sleep between two looks."""
        return 1.0


class RehearsalClock(Clock):
    """Domain time ticks on from `at`, `speed` times as fast as the machine's; None jumps when idle."""

    def __init__(self, at: datetime, speed: float | None) -> None:
        self._at = at.astimezone(UTC)
        self._began = time.monotonic()
        self._speed = speed

    def now(self) -> datetime:
        return self._at + timedelta(seconds=(time.monotonic() - self._began) * (self._speed or 1.0))

    @property
    def hurries(self) -> bool:
        return self._speed is None

    def idle(self, next_due: datetime | None) -> bool:
        now = self.now()
        if not self.hurries or next_due is None or next_due <= now:
            return False
        self._at += next_due - now
        return True

    @property
    def patience(self) -> float:
        return 1.0 if self._speed == 1.0 else 0.2
