"""The running contact centre: the concrete things bot/app.py builds, as one frozen value the doors are handed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.clock import Clock
from bot.core.facts import Facts
from bot.core.words import Channel, ChannelName
from bot.services.library import Library
from bot.settings import Settings
from nlu.understanding import Understanding
from store.db import Database
from store.live import Live


@dataclass(frozen=True)
class Centre:
    """`channels` are the ways to send; a rehearsal has sandbox ones only. `worker` names this process."""

    settings: Settings
    clock: Clock
    db: Database
    library: Library
    understanding: Understanding
    facts: Facts
    channels: Mapping[ChannelName, Channel] = field(default_factory=dict)
    worker: str = "hotline"

    @property
    def live(self) -> Live:
        return self.db.live
