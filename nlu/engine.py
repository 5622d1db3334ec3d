"""The one seam through which the program understands a text, whatever stands behind it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from bot.core.words import Language, Parse

OUT_OF_SCOPE = "out_of_scope"
"""The label of training examples that no intent covers; an engine answers them with the intent ""."""


class Engine(Protocol):
    """Text in, meaning out.

    `language` is what is known of the writer and decides only where the text itself does not. `enabled` names the
    intents that may win (None: all). `expecting` names the answer-only intents the open question makes possible; the
    others are no candidates. `now` (zone-aware) and `zone` resolve dates; without `now` the present is used, without
    `zone` that of `now`. `parse` never raises, whatever the text.
    """

    @property
    def name(self) -> str: ...

    def parse(
        self,
        text: str,
        *,
        language: Language | None = None,
        enabled: frozenset[str] | None = None,
        expecting: frozenset[str] = frozenset(),
        now: datetime | None = None,
        zone: ZoneInfo | None = None,
    ) -> Parse: ...


@dataclass(frozen=True, slots=True)
class Health:
    """What /readyz shows: `engine` answers now, the settings ask for `wanted`; `detail` says why they differ."""

    ok: bool
    engine: str
    wanted: str
    detail: str = ""
