"""The Common Alerting Protocol as values: what an alert of others means for us, and when it is not taken.

Source: OASIS "Common Alerting Protocol Version 1.2" (2010). An alert is named by its sender, identifier and time; it is
taken once, not after it expired, and not when the same sender has said something later about the same matter.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """CAP's msgType, as far as it is about an event."""

    ALERT = "Alert"
    UPDATE = "Update"
    CANCEL = "Cancel"


@dataclass(frozen=True, slots=True)
class Reference:
    """An earlier message that one is about."""

    sender: str
    identifier: str
    sent: datetime


@dataclass(frozen=True, slots=True)
class Info:
    """What an alert says in one language. `expires` None: until something later is said."""

    language: str
    event: str
    headline: str
    description: str
    instruction: str
    areas: tuple[str, ...]
    urgency: str
    severity: str
    certainty: str
    expires: datetime | None = None
    category: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """One message. `exercise`: a drill or test of the sender's."""

    identifier: str
    sender: str
    sent: datetime
    kind: Kind
    exercise: bool
    references: tuple[Reference, ...]
    infos: tuple[Info, ...]

    def expired(self, now: datetime) -> bool:
        """Whether nothing it says holds any more; a cancellation holds for ever."""
        if self.kind is Kind.CANCEL or not self.infos:
            return False
        return all(info.expires is not None and info.expires <= now for info in self.infos)


class CapRefused(StrEnum):
    """Why an alert is not taken."""

    EXPIRED = "cap_expired"
    REPEATED = "cap_repeated"
    OUT_OF_ORDER = "cap_out_of_order"
    UNKNOWN_REFERENCE = "cap_unknown_reference"


def refused(alert: Alert, known: Collection[str], later: Mapping[str, datetime], now: datetime) -> CapRefused | None:
    """Why this alert is not taken; None: it is. `known` are the identifiers this sender used before, `later` when each
    matter of theirs, by the identifiers it went by, was last spoken of."""
    if alert.identifier in known:
        return CapRefused.REPEATED
    about = [each.identifier for each in alert.references if each.sender == alert.sender]
    if alert.kind is not Kind.ALERT and not set(about) & set(known):
        return CapRefused.UNKNOWN_REFERENCE
    if any(later[each] >= alert.sent for each in about if each in later):
        return CapRefused.OUT_OF_ORDER
    return CapRefused.EXPIRED if alert.expired(now) else None
