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
TOO_LARGE = "too_large"
PROOF = 4096  # bytes a file is known by


class MediaKind(StrEnum):
    """How the sender's application calls it."""

    PHOTO = "photo"
    VOICE = "voice"
    AUDIO = "audio"
    VIDEO = "video"
    DOCUMENT = "document"


MARKS: Mapping[MediaKind, str] = {
    MediaKind.PHOTO: "[图片]",
    MediaKind.VOICE: "[语音]",
    MediaKind.AUDIO: "[音频]",
    MediaKind.VIDEO: "[视频]",
    MediaKind.DOCUMENT: "[文件]",
}
"""What stands in a transcript where a file has no words, so that lists and searches show it."""


class MediaState(StrEnum):
    """A file waits to be fetched from the provider, is kept, or could not be."""

    WAITING = "waiting"
    KEPT = "kept"
    REFUSED = "refused"  # what arrived is not what is allowed
    FAILED = "failed"  # the provider no longer has it, or did not give it in all our tries


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file as a message announces it. `source` is the provider's own id of it; `mime` and `size` (bytes; None: not
    said) are only what the sender claims. `file` is the random name it is kept by where it is in the house already,
    proved; "" where it must be fetched."""

    kind: MediaKind
    source: str
    name: str = ""
    mime: str = ""
    size: int | None = None
    file: str = ""


@dataclass(frozen=True, slots=True)
class Enclosure:
    """A file of ours that goes out with a delivery: `file` is the random name it is kept by, `mime` is proved, `link`
    opens it for whoever has that, for a while."""

    kind: MediaKind
    name: str
    mime: str
    file: str
    size: int = 0  # bytes
    link: str = ""

    @property
    def called(self) -> str:
        """A name to save it by."""
        return self.name or self.kind + next((ending for ending, mime in ENDINGS.items() if mime == self.mime), "")


def mark(kind: MediaKind, name: str = "") -> str:
    """The words that stand for a file.

    >>> mark(MediaKind.DOCUMENT, "报价.pdf")
    '[文件] 报价.pdf'
    """
    return f"{MARKS[kind]} {name}".rstrip()


HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})


def _iso_media(head: bytes) -> bool:
    return head[4:8] == b"ftyp"


def _heif(head: bytes) -> bool:
    """ISO/IEC 23008-12: one of its brands is named in the file's first box, which tells its own length."""
    brands = (head[at : at + 4] for at in range(8, min(int.from_bytes(head[:4]), len(head)), 4))
    return _iso_media(head) and not HEIF_BRANDS.isdisjoint(brands)


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
    "image/heic": _heif,
    "image/heif": _heif,
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

ENDINGS: Mapping[str, str] = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".ogg": "audio/ogg",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".pdf": "application/pdf",
    ".txt": "text/plain",
    ".docx": f"{_OFFICE}wordprocessingml.document",
    ".xlsx": f"{_OFFICE}spreadsheetml.sheet",
    ".pptx": f"{_OFFICE}presentationml.presentation",
}
"""How names of these types end, the usual ending first."""

SAME = {"image/jpg": "image/jpeg", "audio/x-m4a": "audio/mp4", "audio/m4a": "audio/mp4", "audio/mp3": "audio/mpeg"}
SAVED = frozenset({"image/heic", "image/heif"})  # an iPhone's own pictures, which most browsers cannot show
SHOWN = frozenset(mime for mime in TYPES if mime.startswith(("image/", "audio/", "video/"))) - SAVED
"""What a browser shows in the page; the rest is only ever saved."""


def type_of(claimed: str) -> str:
    """The type's one name, without parameters."""
    plain = claimed.partition(";")[0].strip().casefold()
    return SAME.get(plain, plain)


def kind_of(mime: str) -> MediaKind:
    """How a type is called.

    >>> kind_of("image/png"), kind_of("text/plain")
    (<MediaKind.PHOTO: 'photo'>, <MediaKind.DOCUMENT: 'document'>)
    """
    kinds = {"image": MediaKind.PHOTO, "audio": MediaKind.AUDIO, "video": MediaKind.VIDEO}
    return kinds.get(mime.partition("/")[0], MediaKind.DOCUMENT)


def claimed_type(mime: str, name: str) -> str:
    """The type a browser says a file has, or where it does not know (it knows few office formats), what its name ends
    with says.

    >>> claimed_type("application/octet-stream", "报价.pdf")
    'application/pdf'
    """
    told = type_of(mime)
    dot, ending = safe_name(name).casefold().rpartition(".")[1:]
    return told if told in TYPES else ENDINGS.get(dot + ending, told)


def refusal(attachment: Attachment) -> str | None:
    """Why a file is not even asked for: "too_large", "wrong_type"; None where it may be fetched."""
    if type_of(attachment.mime) not in TYPES:
        return "wrong_type"
    if attachment.size is not None and attachment.size > MAX_BYTES:
        return TOO_LARGE
    return None


def is_what_it_says(mime: str, content: bytes) -> bool:
    """Whether the first bytes are those of the type the sender named.

    >>> is_what_it_says("image/png", b"MZ\\x90")
    False
    """
    looks = TYPES.get(mime)
    return bool(content) and looks is not None and looks(content[:PROOF])


def kept_at(file: str) -> str:
    """Where a kept file lies in the folder of all of them.

    >>> kept_at("a1b2c3")
    'a1/a1b2c3'
    """
    return f"{file[:2]}/{file}"


def safe_name(name: str) -> str:
    """A file's name without folders and without what a header or a file system trips over.

    >>> safe_name('../../a"b\\n.pdf')
    'a_b_.pdf'
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join(c if c.isprintable() and c not in '"<>|:*?' else "_" for c in last)
    return kept.strip(". ")[-MAX_NAME:]
