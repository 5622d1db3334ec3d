"""Whether a text message may carry a file itself, or brings a link to it.

Carriers forward files between numbers of one numbering plan in a few countries: the United States and Canada among each
other, Australia within itself (Twilio, "Accepted content types for media", "MMS"). A picture may have 5 MB, and is made
to fit; anything else is passed on as it is, which telephone companies do up to 600 kB.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

PICTURES = frozenset({"image/jpeg", "image/png", "image/gif"})
AS_THEY_ARE = frozenset({"audio/mp4", "audio/mpeg", "audio/ogg", "video/mp4", "video/quicktime", "application/pdf"})
MAX_PICTURE = 5_000_000  # bytes of all files of a message
MAX_AS_IT_IS = 600_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a number belongs: its calling code, such as 1, and its region by ISO 3166, such as CA."""

    code: int
    region: str


def fits(mime: str, size: int) -> bool:
    """Whether a file of `size` bytes may go along.

    >>> fits("image/jpeg", 4_000_000), fits("application/pdf", 4_000_000), fits("image/webp", 1)
    (True, False, False)
    """
    most = MAX_PICTURE if mime in PICTURES else MAX_AS_IT_IS if mime in AS_THEY_ARE else 0
    return 0 < size <= most


def reaches(ours: Place, theirs: Place, regions: Collection[str]) -> bool:
    """Whether files get from one number to the other.

    >>> us, canada, jamaica = Place(1, "US"), Place(1, "CA"), Place(1, "JM")
    >>> reaches(us, canada, ("US", "CA")), reaches(us, jamaica, ("US", "CA"))
    (True, False)
    """
    return ours.code == theirs.code and {ours.region, theirs.region} <= set(regions)
