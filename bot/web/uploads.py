"""A file in a browser's form: read no further than it may be long, onto the disk and not into memory, and proved to be
what it says it is before it is kept (bot/core/media.py says what it may be)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from bot.core.media import MAX_BYTES, PROOF, Attachment, claimed_type, is_what_it_says, kind_of, refusal, safe_name
from bot.services.conversation import media
from bot.services.refusal import RefusedError

MAX_BODY = MAX_BYTES + 64 * 1024  # bytes of a form that holds a file
MAX_FIELDS = 8  # beside the file
ROOM = 512 * 1024 * 1024  # bytes of the disk no file may take: the database lies there too


class UploadRefusedError(RefusedError):
    """The file is not taken: "file_too_large", "file_wrong_type", "file_missing" or "file_no_room"."""

    @property
    def status(self) -> int:
        return {"file_too_large": 413, "file_wrong_type": 415, "file_missing": 422, "file_no_room": 507}[self.code]


@dataclass(frozen=True, slots=True)
class Upload:
    """A form's file, proved, and what else the form says. It is gone with the request unless it is kept."""

    file: Attachment
    fields: Mapping[str, str]
    content: BinaryIO

    async def keep(self, folder: Path, name: str = "") -> Attachment:
        """Writes it to disk for good, before any row refers to it, by this `name` or a random one. Raises
        UploadRefusedError("file_no_room")."""
        if not await asyncio.to_thread(_has_room, folder):
            raise UploadRefusedError("file_no_room")
        return replace(self.file, file=await asyncio.to_thread(media.put, folder, self.content, name))


@asynccontextmanager
async def upload(request: Request) -> AsyncIterator[Upload]:
    """The form's {file} as it comes in. Raises UploadRefusedError."""
    told = request.headers.get("content-length", "")  # the server reads no more than this, whoever lies
    if not told.isdecimal() or int(told) > MAX_BODY:
        raise UploadRefusedError("file_too_large")
    try:
        form = await request.form(max_files=1, max_fields=MAX_FIELDS)
    except HTTPException as unreadable:
        raise UploadRefusedError("file_missing") from unreadable
    try:
        given = form.get("file")
        if not isinstance(given, UploadFile):
            raise UploadRefusedError("file_missing")
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        yield Upload(await _proved(given), fields, given.file)
    finally:
        await form.close()


async def _proved(given: UploadFile) -> Attachment:
    name = safe_name(given.filename or "")
    mime = claimed_type(given.content_type or "", name)
    file = Attachment(kind_of(mime), "", name, mime, given.size)
    head = await given.read(PROOF)
    await given.seek(0)
    if (why_not := refusal(file)) or not is_what_it_says(mime, head):
        raise UploadRefusedError(f"file_{why_not or 'wrong_type'}")
    return file


def _has_room(folder: Path) -> bool:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return shutil.disk_usage(folder).free > ROOM
