"""Who asks a provider for its updates, and how that goes. All in machine time.

A provider hands its updates to one asker at a time (Telegram answers a second one with 409), so the asker holds a lease
in the database; the others stand back and take over when it runs out or its holder has died.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from bot.core.words import ChannelName
from bot.services import workers
from store.tables import Poll

LEASE = timedelta(seconds=60)  # outlives one long poll
QUIET = timedelta(minutes=3)  # without a good answer for so long, something is wrong


@dataclass(frozen=True, slots=True)
class Health:
    """How asking goes. `ok` False: `error` says why."""

    mode: str
    worker: str
    since: datetime
    heard_at: datetime | None
    error: str | None
    error_at: datetime | None
    ok: bool


def lease(
    session: Session,
    channel: ChannelName,
    worker: str,
    machine: datetime,
    *,
    url: str | None = None,
    alone: bool = False,
) -> bool:
    """Takes or renews the asking; False while another living worker has it. With `url` the provider brings them there,
    and every worker may say so; one that is `alone` on its database succeeds whoever was there before."""
    row = session.get(Poll, channel, with_for_update=True)
    if row is None:
        session.add(Poll(channel=channel, worker=worker, until=machine + LEASE, since=machine, url=url))
        session.flush()
        return True
    others = row.worker != worker and row.until > machine and row.worker in workers.alive(session, machine)
    if others and url is None and not alone:
        return False
    if row.worker != worker or row.url != url:
        row.worker, row.since, row.url = worker, machine, url
    row.until = machine + LEASE
    return True


def heard(session: Session, channel: ChannelName, machine: datetime) -> None:
    """The provider answered well; an earlier error stays legible with its time."""
    row = session.get(Poll, channel)
    if row is not None:
        row.heard_at = machine


def failed(session: Session, channel: ChannelName, error: str, machine: datetime) -> None:
    """The provider refused or did not answer; `error` holds no secret."""
    row = session.get(Poll, channel)
    if row is not None:
        row.error, row.error_at = error[:300], machine


def leave(session: Session, channel: ChannelName, worker: str, machine: datetime) -> None:
    """A worker that stops in good order lets another one ask at once."""
    row = session.get(Poll, channel, with_for_update=True)
    if row is not None and row.worker == worker and row.url is None:
        row.until = machine


def health(session: Session, channel: ChannelName, machine: datetime) -> Health | None:
    """None where nobody has asked yet."""
    row = session.get(Poll, channel)
    if row is None:
        return None
    troubled = row.error_at is not None and (row.heard_at is None or row.error_at > row.heard_at)
    silent = row.url is None and machine - (row.heard_at or row.since) > QUIET
    return Health(
        "webhook" if row.url else "polling",
        row.worker,
        row.since,
        row.heard_at,
        row.error,
        row.error_at,
        ok=not troubled and not silent,
    )
