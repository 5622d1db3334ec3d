"""A house connected to a Bot API server of our own, and a person with the application in their hand."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from pydantic import AnyHttpUrl, SecretStr
from sqlalchemy import select

from bot.services.conversation import media
from bot.services.delivery import dispatch
from bot.settings import PACKS, Settings
from tests.conftest import ROOT, SECRET, WEDNESDAY
from tests.fakes.clock import ManualClock
from tests.fakes.house import House
from tests.fakes.telegram import TOKEN, FakeTelegram, Person
from tests.fakes.twilio import Twilio, account

if TYPE_CHECKING:
    from bot.channels.telegram.polling import Poller
    from bot.services.centre import Centre
    from bot.services.library import Library

WithAccount = Callable[[str], Settings]
BRISK = "rates:\n  telegram: {per_second: 500, per_address: 500}\n  sms: {per_second: 500}\n"


@pytest.fixture
def with_account(database_url: str, tmp_path: Path, twilio: Twilio) -> WithAccount:
    """As shipped, with an account at Twilio, which reaches it at the public address given."""

    def made(public_url: str) -> Settings:
        return Settings(
            _env_file=None,  # type: ignore[call-arg]
            data_dir=tmp_path / "data",
            database_url=database_url,
            secret=SECRET,
            **account(twilio, public_url),
        )

    return made


@dataclass
class Post:
    """The running house and Telegram: `comes` fetches what waits there and does everything due."""

    house: House
    telegram: FakeTelegram

    @property
    def poller(self) -> Poller:
        poller: Poller = self.house.app.state.telegram
        return poller

    async def comes(self) -> int:
        """Asks once, waits for no further message to come quickly, then does what is due; gives how many came."""
        came = await self.poller.once(wait=0)
        await self.house.advance(seconds=3)
        return came

    async def fetch(self) -> int:
        """Fetches the files that wait."""
        return await media.fetch_due(self.house.centre)

    async def sweep(self, seconds: float) -> None:
        """So much later, what nobody knows about is looked at."""
        self.house.clock.advance(timedelta(seconds=seconds))
        await dispatch.sweep(self.house.centre)
        await self.house.settle()

    async def all(self, table: type) -> list:  # type: ignore[type-arg]
        """Every row of a table, in order."""
        return await self.house.centre.db.read(lambda s: list(s.scalars(select(table).order_by(table.id))))


@pytest.fixture(scope="session")
def brisk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Library, list[ManualClock]]:
    """The shipped scripts, with providers that take what they are given as fast as it comes."""
    own: Path = tmp_path_factory.mktemp("scripts")
    (own / "policies.yml").write_text(BRISK, "utf-8")
    clocks = [ManualClock(WEDNESDAY)]
    library = importlib.import_module("bot.services.library").Library(
        [ROOT / "scripts", ROOT / "scripts" / "demo", own], frozenset(PACKS), lambda: clocks[-1].now()
    )
    return library, clocks


@pytest.fixture
async def telegram() -> AsyncIterator[FakeTelegram]:
    server = FakeTelegram()
    await server.start()
    yield server
    await server.stop()
    assert server.problems == []


@pytest.fixture
def li(telegram: FakeTelegram) -> Person:
    return telegram.person("Li", "zh-hans")


@pytest.fixture
def mode() -> str:
    """How updates come; `@pytest.mark.parametrize("mode", ["webhook"])` has them brought."""
    return "polling"


@pytest.fixture
async def post(
    telegram: FakeTelegram,
    centre: Centre,
    clock: ManualClock,
    brisk: tuple[Library, list[ManualClock]],
    mode: str,
) -> AsyncIterator[Post]:
    """The house with Telegram connected."""
    library, clocks = brisk
    clocks[:] = [clock]
    connected = centre.settings.model_copy(
        update={
            "telegram_token": SecretStr(TOKEN),
            "telegram_api": AnyHttpUrl(telegram.url),
            "telegram_mode": mode,
            "public_url": AnyHttpUrl("http://127.0.0.1:1"),
        }
    )
    app_module = importlib.import_module("bot.app")
    centre.db.write_now(lambda session: library.keep(session, clock.now()))
    centre = replace(
        centre,
        settings=connected,
        library=library,
        channels=app_module._channels(connected, centre.db, clock, library),
    )
    app = app_module.create_app(centre, heartbeat=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hotline.test") as client,
    ):
        yield Post(House(centre, clock, app, client), telegram)
