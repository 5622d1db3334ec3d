"""The files of exports on their disk: written once they are allowed, removed once they were kept long enough
(REQ-G09, G14)."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot.services.centre import Centre
from store.db import touch
from store.tables import Export, ExportKind, ExportState

TRIES = 5
LEASE = timedelta(minutes=5)  # machine time one making may take before another worker tries


def folder(centre: Centre) -> Path:
    """Where exported files lie; several hosts on one database must share it."""
    return centre.settings.home / "exports"


def put(home: Path, content: bytes) -> str:
    """Writes a file for good under a name nobody can guess, for its owner alone; gives that name."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = secrets.token_hex(20)
    handle = os.open(home / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return name


def remove(home: Path, names: Sequence[str]) -> None:
    for name in names:
        (home / name).unlink(missing_ok=True)


def over(export: Export, now: datetime) -> bool:
    """Whether its file was kept long enough."""
    return export.expires_at is not None and export.expires_at <= now


def claim(session: Session, machine: datetime) -> Export | None:
    """The next export to be made, leased; it is tried again where the making dies."""
    export = session.scalar(
        select(Export)
        .where(Export.state == ExportState.APPROVED, Export.due_at <= machine)
        .order_by(Export.due_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if export is None:
        return None
    if export.tries >= TRIES:
        export.state, export.due_at = ExportState.FAILED, None
        return None
    export.tries += 1
    export.due_at = machine + LEASE
    session.flush()
    return export


def settle(
    session: Session, centre: Centre, export_id: int, file: str, *, rows: int, size: int, digest: str, now: datetime
) -> bool:
    """The file lies there; False where somebody else was faster, and it is the caller's to remove."""
    export = session.get_one(Export, export_id, with_for_update=True)
    if export.state is not ExportState.APPROVED:
        return False
    export.state, export.file, export.due_at = ExportState.READY, file, None
    export.rows, export.size, export.digest, export.made_at = rows, size, digest, now
    export.expires_at = now + centre.library.current.policies.privacy.exports_kept
    touch(session, "exports")
    return True


def expiring(session: Session, now: datetime, *, about: int | None = None) -> list[tuple[int, str]]:
    """Files to remove, with their export's id: what was kept long enough; before `about` (a contact) is erased, also
    everything that may hold them."""
    ready = select(Export).where(Export.state == ExportState.READY).order_by(Export.id)

    def goes(export: Export) -> bool:
        if about is None:
            return over(export, now)
        return export.kind is not ExportKind.PERSON or export.scope.get("contact") == about

    return [(export.id, export.file or "") for export in session.scalars(ready) if goes(export)]


def expire(session: Session, ids: Sequence[int]) -> None:
    """Notes that the files of these are gone."""
    session.execute(
        update(Export)
        .where(Export.id.in_(ids), Export.state == ExportState.READY)
        .values(state=ExportState.EXPIRED, file=None)
    )


async def clear(centre: Centre, *, about: int | None = None) -> int:
    """Removes the files whose time is over (see `expiring`), then notes it; gives how many."""
    found = await centre.db.read(lambda s: expiring(s, centre.clock.now(), about=about))
    if found:
        await asyncio.to_thread(remove, folder(centre), [name for _, name in found])
        await centre.db.write(lambda s: expire(s, [export_id for export_id, _ in found]))
    return len(found)
