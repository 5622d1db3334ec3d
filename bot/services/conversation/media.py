"""Files customers and agents send: noted with their message, kept outside the web root (REQ-G14).

A file lies under HOTLINE_DATA_DIR/media by a random name, readable by the owner. The console hands it out; a link
that nobody can guess does so to the customer an agent sent it to, for as long as LINK says; the chat page hands its
visitor what they sent there. What customers send by a provider is fetched after the commit: what cannot be fetched now
is tried again, further and further apart and not for ever; what is not what it claims to be is not kept. One that is
fetched again, as after a crash, lies there once.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from collections.abc import Sequence
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot.core.arrivals import Fetches
from bot.core.media import MAX_BYTES, TOO_LARGE, MediaState, is_what_it_says, kept_at, safe_name, type_of
from bot.core.media import Attachment as Announced
from bot.core.words import Author, ChannelName, Rejected, TryLater, Unsure
from bot.services.centre import Centre
from store.db import touch, vault_of
from store.tables import Attachment, Conversation, Message
from store.vault import Vault

log = structlog.get_logger()
TOPIC = "media"
FOLDER = "media"  # under HOTLINE_DATA_DIR
TRIES = 10
LEASE = timedelta(minutes=2)  # machine time one fetch may take before another worker tries
WITHIN = 60.0  # seconds
DOOR = "/files"
LINK = timedelta(days=30)  # domain time a customer's link opens its file


def keep(
    session: Session, channel: ChannelName, message_id: int, announced: Sequence[Announced], machine: datetime
) -> list[Attachment]:
    """Notes the files of a message; `fetch_due` gets those that are not here yet once the message is committed."""
    rows = [
        Attachment(
            message_id=message_id,
            channel=channel,
            kind=each.kind,
            state=MediaState.KEPT if each.file else MediaState.WAITING,
            name=safe_name(each.name),
            mime=type_of(each.mime),
            size=each.size,
            source=each.source,
            file=each.file or None,
            due_at=machine,
        )
        for each in announced
    ]
    if rows:
        session.add_all(rows)
        session.flush()
    if any(row.state is MediaState.WAITING for row in rows):
        touch(session, TOPIC)
    return rows


async def fetch_due(centre: Centre) -> int:
    """Fetches what waits, one file at a time; gives how many were looked at."""
    fetched = 0
    while (claimed := await centre.db.write(lambda s: _claim(s, centre.clock.machine()))) is not None:
        await _fetch(centre, *claimed)
        fetched += 1
    return fetched


def _claim(session: Session, machine: datetime) -> tuple[int, ChannelName, str, str, int] | None:
    """The next file to fetch: what was never tried before what was. One whose every try ended with its process is
    given up."""
    due = select(Attachment).where(Attachment.state == MediaState.WAITING, Attachment.due_at <= machine)
    due = due.order_by(Attachment.tries, Attachment.due_at).limit(1).with_for_update(skip_locked=True)
    while (row := session.scalar(due)) is not None and row.tries >= TRIES:
        _settle(session, row.id, MediaState.FAILED, None, None)
    if row is None:
        return None
    row.tries += 1
    row.due_at = machine + LEASE
    return row.id, row.channel, row.source, row.mime, row.tries


async def _fetch(centre: Centre, attachment_id: int, channel: ChannelName, source: str, mime: str, tries: int) -> None:
    provider = centre.channels.get(channel)
    state, file, size = MediaState.FAILED, None, None
    if isinstance(provider, Fetches):
        try:
            content = await asyncio.wait_for(provider.fetch(source, MAX_BYTES), WITHIN)
            state, size = MediaState.REFUSED, len(content)
            if is_what_it_says(mime, content):
                name = centre.db.vault.blind(FOLDER, str(attachment_id))
                file = await asyncio.to_thread(put, folder(centre), BytesIO(content), name)
                state = MediaState.KEPT
        except Rejected as no:
            log.warning("media.rejected", attachment=attachment_id, reason=no.reason)
            state = MediaState.REFUSED if no.reason == TOO_LARGE else MediaState.FAILED
        except (TryLater, Unsure, OSError) as trouble:  # also a time-out, and a disk that is full
            log.warning("media.not_fetched", attachment=attachment_id, tries=tries, error=type(trouble).__name__)
            if tries < TRIES:
                wait = max(timedelta(seconds=getattr(trouble, "after", 0)), timedelta(seconds=2**tries))
                later = centre.clock.machine() + wait
                await centre.db.write(lambda s: _again(s, attachment_id, later))
                return
            state = MediaState.FAILED
    if not await centre.db.write(lambda s: _settle(s, attachment_id, state, file, size)) and file is not None:
        await remove(centre, file)


def _again(session: Session, attachment_id: int, at: datetime) -> None:
    session.execute(update(Attachment).where(Attachment.id == attachment_id).values(due_at=at))


def _settle(session: Session, attachment_id: int, state: MediaState, file: str | None, size: int | None) -> bool:
    """Whether the row has this file now; somebody may have erased it meanwhile."""
    row = session.get_one(Attachment, attachment_id, with_for_update=True, populate_existing=True)
    if row.state is not MediaState.WAITING:
        return row.file == file
    row.state, row.file = state, file
    row.size = size if size is not None else row.size
    conversation_id = session.scalar(select(Message.conversation_id).where(Message.id == row.message_id))
    touch(session, f"attachment:{attachment_id}", f"conversation:{conversation_id}")
    session.flush()
    return True


def folder(centre: Centre) -> Path:
    """Where files lie; several hosts on one database must share it."""
    return centre.settings.home / FOLDER


def put(home: Path, content: BinaryIO, name: str = "") -> str:
    """Writes a file to disk for good, whole or not at all, under a name nobody can guess; gives that name. What was
    begun under the same name by a process that died goes."""
    name = name or secrets.token_hex(20)
    path = home / kept_at(name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for begun in path.parent.glob(f"{name}.*"):
        begun.unlink(missing_ok=True)
    part = path.with_name(f"{name}.{secrets.token_hex(4)}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        shutil.copyfileobj(content, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    return name


async def remove(centre: Centre, name: str) -> None:
    """Takes a file from the disk; one that is not there is gone already."""
    await asyncio.to_thread((folder(centre) / kept_at(name)).unlink, missing_ok=True)


def path_of(centre: Centre, attachment: Attachment) -> Path | None:
    """Where a kept file lies; None where it is not kept, or not on this host."""
    if attachment.file is None:
        return None
    path = folder(centre) / kept_at(attachment.file)
    return path if path.is_file() else None


def of_conversation(session: Session, conversation_id: int, attachment_id: int) -> Attachment | None:
    """A file of this conversation."""
    return session.scalar(
        select(Attachment)
        .join(Message, Message.id == Attachment.message_id)
        .where(Attachment.id == attachment_id, Message.conversation_id == conversation_id)
    )


def of_address(session: Session, address_id: int, attachment_id: int) -> Attachment | None:
    """A kept file that came from this address."""
    return session.scalar(
        select(Attachment)
        .join(Message, Message.id == Attachment.message_id)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(
            Attachment.id == attachment_id,
            Attachment.state == MediaState.KEPT,
            Message.author == Author.CUSTOMER,
            Conversation.address_id == address_id,
        )
    )


def link(centre: Centre, attachment: Attachment) -> str:
    """Where the customer finds a file of an agent's."""
    return f"{centre.settings.address}{path_to(centre.db.vault, attachment)}"


def path_to(vault: Vault, attachment: Attachment) -> str:
    """The same without our address, for pages of ours."""
    return f"{DOOR}/{attachment.id}/{_token(vault, attachment)}"


def _token(vault: Vault, attachment: Attachment) -> str:
    """132 bits of it: a text message counts letters."""
    return vault.blind(DOOR, attachment.file or "")[:22]


def by_link(session: Session, attachment_id: int, token: str, now: datetime) -> Attachment | None:
    """The file a link opens, if it does: an agent's alone, and not for ever."""
    row = session.execute(
        select(Attachment, Message.at)
        .join(Message, Message.id == Attachment.message_id)
        .where(Attachment.id == attachment_id, Attachment.state == MediaState.KEPT, Message.author == Author.AGENT)
    ).one_or_none()
    if row is None or row.at + LINK < now:
        return None
    attachment: Attachment = row.Attachment
    right = _token(vault_of(session), attachment)
    return attachment if secrets.compare_digest(right.encode(), token[:22].encode()) else None
