"""What people send besides words: which kinds, how large, and whether a file's first bytes are what it says it is.

Only what agents need and a browser shows or saves safely is kept; everything that could run is refused. The limits are
providers' and ours: a Telegram bot may download 20 MB (Bot API, getFile), so nothing larger is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

MAX_BYTES = 20 * 1024 * 1024
MAX_NAME = 120


class MediaKind(StrEnum):
    """How the sender's application calls it."""

    PHOTO = "photo"
    VOICE = "voice"
    AUDIO = "audio"
    VIDEO = "video"
    DOCUMENT = "document"


class MediaState(StrEnum):
    """A file waits to be fetched from the provider, is kept, or could not be."""

    WAITING = "waiting"
    KEPT = "kept"
    REFUSED = "refused"  # what arrived is not what is allowed
    FAILED = "failed"  # the provider no longer has it


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file as a message announces it. `source` is the provider's own id of it; `mime` and `size` (bytes; None: not
    said) are only what the sender claims."""

    kind: MediaKind
    source: str
    name: str = ""
    mime: str = ""
    size: int | None = None


def _iso_media(head: bytes) -> bool:
    return head[4:8] == b"ftyp"


def _web_picture(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def _plain(head: bytes) -> bool:
    return b"\x00" not in head


def _begins(*signatures: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(signatures)


_OFFICE = "application/vnd.openxmlformats-officedocument."
TYPES: Mapping[str, Callable[[bytes], bool]] = {
    "image/jpeg": _begins(b"\xff\xd8\xff"),
    "image/png": _begins(b"\x89PNG\r\n\x1a\n"),
    "image/gif": _begins(b"GIF87a", b"GIF89a"),
    "image/webp": _web_picture,
    "audio/ogg": _begins(b"OggS"),
    "audio/mpeg": _begins(b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"),
    "audio/mp4": _iso_media,
    "video/mp4": _iso_media,
    "video/quicktime": _iso_media,
    "application/pdf": _begins(b"%PDF-"),
    "text/plain": _plain,
    f"{_OFFICE}wordprocessingml.document": _begins(b"PK\x03\x04"),
    f"{_OFFICE}spreadsheetml.sheet": _begins(b"PK\x03\x04"),
    f"{_OFFICE}presentationml.presentation": _begins(b"PK\x03\x04"),
}
"""The types that are kept, each with what its first bytes must look like."""

SAME = {"image/jpg": "image/jpeg", "audio/x-m4a": "audio/mp4", "audio/m4a": "audio/mp4", "audio/mp3": "audio/mpeg"}
SHOWN = frozenset(mime for mime in TYPES if mime.startswith(("image/", "audio/", "video/")))
"""What a browser shows in the page; the rest is only ever saved."""


def type_of(claimed: str) -> str:
    """The type's one name, without parameters."""
    plain = claimed.partition(";")[0].strip().casefold()
    return SAME.get(plain, plain)


def refusal(attachment: Attachment) -> str | None:
    """Why a file is not even asked for: "too_large", "wrong_type"; None where it may be fetched."""
    if type_of(attachment.mime) not in TYPES:
        return "wrong_type"
    if attachment.size is not None and attachment.size > MAX_BYTES:
        return "too_large"
    return None


def is_what_it_says(mime: str, content: bytes) -> bool:
    """Whether the first bytes are those of the type the sender named.

    >>> is_what_it_says("image/png", b"MZ\\x90")
    False
    """
    looks = TYPES.get(mime)
    return bool(content) and looks is not None and looks(content[:4096])


def safe_name(name: str) -> str:
    """A file's name without folders and without what a header or a file system trips over.

    >>> safe_name('../../a"b\\n.pdf')
    'a_b_.pdf'
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join(c if c.isprintable() and c not in '"<>|:*?' else "_" for c in last)
    return kept.strip(". ")[-MAX_NAME:]
