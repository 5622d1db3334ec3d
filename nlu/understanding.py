"""The one asynchronous seam the program uses: the engine the settings ask for, and the embedded one behind it.

A Rasa server that is dead, slow or half-trained is left alone after its first failure: the embedded engine answers, the
fact is logged once and shown in `health()`, and a probe in the background goes back to the server once it answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import structlog

from bot.core.words import Language, Parse
from nlu import embedded
from nlu.engine import Health
from nlu.server import PATIENCE, RasaServer, Unavailable

FIRST_PROBE = 1.0
LONGEST_PAUSE = 30.0
"""Seconds between probes of a failed server: from the first, doubling up to the longest."""

PROBE = "你好 hello"
PROBE_PATIENCE = 2.0

log = structlog.get_logger(__name__)


class Understanding:
    """The first arguments are those of `nlu.embedded.load`; with `wanted` "rasa" the server at `rasa_url` is asked
    and may take `patience` seconds.

    Loading may train, which takes seconds; do it before serving. Raises what `nlu.embedded.load` raises.
    """

    def __init__(
        self,
        data_dir: Path,
        cache_dir: Path,
        extra: Sequence[Path] = (),
        wanted: Literal["embedded", "rasa"] = "embedded",
        rasa_url: str = "http://127.0.0.1:5005",
        encoder: str | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._place = embedded.Place(data_dir, cache_dir, tuple(extra), encoder)
        self._embedded = embedded.load(data_dir, cache_dir, extra, encoder)
        self._path = self._place.model
        trained = self._embedded.model
        known = frozenset(trained.intents)
        self._server = RasaServer(rasa_url, known, trained.answer_only, patience) if wanted == "rasa" else None
        self._trouble = ""
        self._recovery: asyncio.Task[None] | None = None

    async def parse(
        self,
        text: str,
        *,
        language: Language | None = None,
        enabled: frozenset[str] | None = None,
        expecting: frozenset[str] = frozenset(),
        now: datetime | None = None,
        zone: ZoneInfo | None = None,
    ) -> Parse:
        """As `nlu.engine.Engine.parse`; `engine` of the Parse names who answered. Never raises on any text."""
        if self._server and not self._trouble:
            try:
                return await self._server.parse_async(
                    text, language=language, enabled=enabled, expecting=expecting, now=now, zone=zone
                )
            except Unavailable as error:
                self._fail(str(error))
        return self._embedded.parse(text, language=language, enabled=enabled, expecting=expecting, now=now, zone=zone)

    def health(self) -> Health:
        """For /readyz. `ok` is false while another engine than the wanted one answers; `detail` says why."""
        wanted = self._server.name if self._server else self._embedded.name
        return Health(
            ok=not self._trouble,
            engine=self._embedded.name if self._trouble else wanted,
            wanted=wanted,
            detail=self._trouble,
        )

    def reload(self) -> bool:
        """Takes over the model of the present example files once it has been trained; True when a new one is live.

        Costs a millisecond when nothing changed; never trains. Call it now and then, and after training.
        """
        path = self._place.model
        if path == self._path or not path.is_file():
            return False
        place = self._place
        self._embedded, self._path = embedded.load(place.data_dir, place.cache_dir, place.extra, place.encoder), path
        if self._server:
            self._server.intents = frozenset(self._embedded.model.intents)
            self._server.answer_only = self._embedded.model.answer_only
        return True

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The engine's life inside a program: a server is tried at once, so that health is true from the start."""
        if self._server:
            await self._try(self._server)
        try:
            yield
        finally:
            await self._close()

    async def _close(self) -> None:
        if self._recovery:
            self._recovery.cancel()
            await asyncio.gather(self._recovery, return_exceptions=True)
        if self._server:
            await self._server.close()

    def _fail(self, trouble: str) -> None:
        if not self._trouble:
            log.warning("understanding.fell_back", to="embedded", trouble=trouble)
            self._recovery = asyncio.create_task(self._recover())
        self._trouble = trouble

    async def _recover(self) -> None:
        pause = FIRST_PROBE
        while self._server:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            if await self._try(self._server):
                log.info("understanding.recovered", engine=self._server.name)
                self._trouble = ""
                return

    async def _try(self, server: RasaServer) -> bool:
        """Whether the server answers, and answers in time once it is warm."""
        try:
            await server.parse_async(PROBE, patience=PROBE_PATIENCE)
            await server.parse_async(PROBE)
        except Unavailable as error:
            self._fail(str(error))
            return False
        return True
