"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bot.clock import Clock


class ManualClock(Clock):
    """Domain time is what the test says. Machine time goes on by itself, and `skip` lets more of it pass."""

    def __init__(self, at: datetime) -> None:
        self._at = at.astimezone(UTC)
        self._skipped = timedelta()

    def now(self) -> datetime:
        return self._at

    def machine(self) -> datetime:
        return super().machine() + self._skipped

    def set(self, at: datetime) -> None:
        """Domain time is now `at` (zone-aware)."""
        if at.tzinfo is None:
            raise ValueError("a clock shows zone-aware instants")
        self._at = at.astimezone(UTC)

    def advance(self, by: timedelta) -> None:
        """Lets domain time pass."""
        self._at += by

    def skip(self, by: timedelta) -> None:
        """Lets machine time pass, so that a lease or a sign-in session runs out."""
        self._skipped += by
