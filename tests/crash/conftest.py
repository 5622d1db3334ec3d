"""A `hotline` that a test kills at a moment of its choice; `house` starts again on what it left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot.settings import Settings
from tests.conftest import ROOT, SECRET
from tests.fakes.house import House
from tests.fakes.process import Dies, Hotline
from tests.fakes.twilio import Twilio, account

FAST = "rates:\n  sms: {per_second: 400}\n  voice: {per_second: 100}\n  telegram: {per_second: 400, per_address: 400}\n"
Start = Callable[..., Hotline]


@pytest.fixture
def hotline(database_url: str, tmp_path: Path, models: Path) -> Iterator[Start]:
    """Makes a Hotline on the test's database, with the shipped scripts, the demo's figures and lines that are fast."""
    folder, scripts = tmp_path / "program", tmp_path / "scripts"
    folder.mkdir()
    scripts.mkdir()
    (folder / "models").symlink_to(models)
    demo = (ROOT / "scripts" / "demo" / "policies.yml").read_text("utf-8")
    (scripts / "policies.yml").write_text(f"{demo}\n{FAST}", "utf-8")
    made: list[Hotline] = []

    def make(**environment: str) -> Hotline:
        given = {"database_url": database_url, "secret": SECRET, "scripts": str(scripts), **environment}
        made.append(Hotline(folder, **given))
        return made[-1]

    yield make
    for each in made:
        each.kill()


@pytest.fixture
def program(hotline: Start, twilio: Twilio) -> Hotline:
    """One with an account at our Twilio, which reaches it at its own address."""
    made = hotline()
    made.knows(**account(twilio, made.address))
    return made


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """The house has the program's account and its folder."""
    if "twilio" not in request.fixturenames:
        return settings
    program: Hotline = request.getfixturevalue("program")
    given = settings.model_dump() | {
        "data_dir": tmp_path / "program",
        **account(request.getfixturevalue("twilio"), program.address),
    }
    return Settings(_env_file=None, **given)  # type: ignore[call-arg]


async def outlives(house: House, program: Hotline, dies: Dies) -> None:
    """The program starts at the house's time and dies at that moment of its own; the house goes on from there."""
    await asyncio.to_thread(program.serve, at=house.clock.now(), dies=dies)
    await asyncio.to_thread(program.died)
    house.clock.set(program.now())
    await house.recover()
