"""Sealing the audit: a chain over its entries, so that nobody edits, removes or slips one in unseen (REQ-G02, G03).

Each seal holds the ids and keyed digests of a batch of entries and is itself chained to the one before; no personal
data is in it, and without the installation's secret neither an entry's digest nor a seal can be made. An entry is only
sealed once it was there a whole round ago, since a lower id may be committed a moment later than a higher one. The
newest seal's digest is logged each time: kept elsewhere, it shows that no whole end of the chain was cut off.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.services.centre import Centre
from store.db import vault_of
from store.tables import AuditEntry, AuditSeal
from store.vault import Vault

log = structlog.get_logger()
BATCH = 500  # entries of one seal
EVERY = 300.0  # seconds between rounds


class Break(StrEnum):
    """What is wrong with the first broken row."""

    CHANGED = "changed"
    REMOVED = "removed"
    ADDED = "added"  # slipped in among entries that were sealed already
    SEAL = "seal"  # a seal was changed, removed or forged
    HEAD = "head"  # the chain does not hold the seal that was noted elsewhere


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found. `head` is the newest seal's digest, `waiting` the entries not sealed yet. `broken` with the
    id of the first broken entry, or of the seal where it is the seal itself; None where all is as it was written."""

    sealed: int
    waiting: int
    head: str
    broken: tuple[Break, int] | None


class Sealer:
    """Seals what was there at its last round."""

    def __init__(self) -> None:
        self._seen = 0

    async def round(self, centre: Centre) -> int:
        """Gives how many entries were sealed."""
        up_to, machine = self._seen, centre.clock.machine()
        self._seen = await centre.db.read(_latest)
        sealed = 0
        while up_to and (batch := await centre.db.write(lambda s: seal(s, up_to, machine))):
            sealed += batch
        return sealed


def seal(session: Session, up_to: int, machine: datetime) -> int:
    """Seals the next batch of entries up to this id; gives how many there were."""
    last = _newest(session)
    entries = session.scalars(
        select(AuditEntry)
        .where(AuditEntry.id > (last.last_id if last is not None else 0), AuditEntry.id <= up_to)
        .order_by(AuditEntry.id)
        .limit(BATCH)
    ).all()
    if not entries:
        return 0
    vault = vault_of(session)
    previous = last.digest if last is not None else ""
    rows: list[list[int | str]] = [[entry.id, digest_of(vault, entry)] for entry in entries]
    digest = _chained(vault, previous, rows)
    session.add(AuditSeal(last_id=entries[-1].id, rows=rows, previous=previous, digest=digest, sealed_at=machine))
    session.flush()
    log.info("audit.sealed", up_to=entries[-1].id, head=digest)
    return len(entries)


def verify(session: Session, head: str = "") -> Verdict:
    """Goes through every seal and entry; `head` is a digest noted elsewhere that the chain must hold."""
    vault, previous, after, count, noted = vault_of(session), "", 0, 0, not head
    for seal_id in session.scalars(select(AuditSeal.id).order_by(AuditSeal.id)).all():
        each = session.get_one(AuditSeal, seal_id)  # one at a time: a chain may be long
        if each.previous != previous or each.digest != _chained(vault, previous, each.rows):
            return Verdict(count, _waiting(session, after), previous, (Break.SEAL, each.id))
        if broken := _broken(session, vault, each, after):
            return Verdict(count, _waiting(session, each.last_id), each.digest, broken)
        previous, after, count = each.digest, each.last_id, count + len(each.rows)
        noted = noted or each.digest == head
    broken_head = None if noted else (Break.HEAD, after)
    return Verdict(count, _waiting(session, after), previous, broken_head)


def _broken(session: Session, vault: Vault, each: AuditSeal, after: int) -> tuple[Break, int] | None:
    """The first entry of a seal that is not as it was sealed."""
    found = session.scalars(
        select(AuditEntry).where(AuditEntry.id > after, AuditEntry.id <= each.last_id).order_by(AuditEntry.id)
    )
    there = {entry.id: digest_of(vault, entry) for entry in found}
    sealed = {int(entry_id): digest for entry_id, digest in each.rows}
    for entry_id in sorted(there.keys() | sealed.keys()):
        if entry_id not in there:
            return Break.REMOVED, entry_id
        if entry_id not in sealed:
            return Break.ADDED, entry_id
        if there[entry_id] != sealed[entry_id]:
            return Break.CHANGED, entry_id
    return None


def digest_of(vault: Vault, entry: AuditEntry) -> str:
    """The keyed digest of everything an entry says."""
    told = {
        "id": entry.id,
        "staff": entry.staff_id,
        "action": entry.action,
        "subject": entry.subject,
        "subject_id": entry.subject_id,
        "details": entry.details,
        "note": entry.note,
        "at": entry.at.astimezone(UTC).isoformat(),
    }
    return vault.blind("audit entry", json.dumps(told, sort_keys=True, ensure_ascii=False, separators=(",", ":")))


def _chained(vault: Vault, previous: str, rows: Sequence[Sequence[int | str]]) -> str:
    return vault.blind("audit seal", json.dumps([previous, rows], separators=(",", ":")))


def _newest(session: Session) -> AuditSeal | None:
    return session.scalar(select(AuditSeal).order_by(AuditSeal.id.desc()).limit(1))


def _latest(session: Session) -> int:
    return session.scalar(select(func.max(AuditEntry.id))) or 0


def _waiting(session: Session, after: int) -> int:
    return session.scalar(select(func.count()).select_from(AuditEntry).where(AuditEntry.id > after)) or 0
