"""The first page of a new installation: who may open it, and what it leaves behind."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import httpx
import pytest
from sqlalchemy import delete, select

from bot.core.policy import MonthDay
from bot.core.words import Role
from bot.services.centre import Centre
from bot.services.library import Library
from bot.services.staffing import first_run
from bot.settings import PACKS
from store.tables import Staff, StaffRole
from tests.conftest import ROOT
from tests.fakes.house import House

FORM = {
    "username": "chen",
    "name": "陈经理",
    "password": "correct horse battery",
    "name_zh": "仁和医院",
    "name_en": "Renhe Hospital",
    "bot_zh": "小仁",
    "bot_en": "Ren",
    "summer_start": "05-10",
    "winter_start": "10-20",
}
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
async def bare(house: House) -> Centre:
    """A centre where nobody works and nothing was said about it yet."""
    centre = house.centre
    roots = [ROOT / "scripts", centre.settings.own_scripts]
    bare = dataclasses.replace(centre, library=Library(roots, frozenset(PACKS), house.clock.now))
    house.app.state.centre = bare

    await centre.db.write(lambda s: s.execute(delete(StaffRole)))
    await centre.db.write(lambda s: s.execute(delete(Staff)))
    return bare


@pytest.fixture
async def address(bare: Centre) -> str:
    token = await bare.db.read(first_run.invitation)
    return f"/setup/{token}"


def file_of(centre: Centre) -> Path:
    return centre.settings.own_scripts / "policies.yml"


async def test_it_opens_to_who_started_the_program_and_to_nobody_else(client: httpx.AsyncClient, address: str) -> None:
    assert (await client.get(address)).status_code == 200
    assert (await client.get("/setup/guessed")).status_code == 404
    assert (await client.post("/setup/guessed", data=FORM)).status_code == 404


async def test_it_makes_the_administrator_and_the_policies_which_are_live(
    bare: Centre, client: httpx.AsyncClient, address: str
) -> None:
    answer = await client.post(address, data=FORM)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/staff?said=set_up")
    assert (await client.get("/console/staff")).status_code == 200
    first = await bare.db.read(lambda s: s.scalars(select(Staff)).one())
    assert (first.username, {held.role for held in first.roles}) == ("chen", {Role.ADMINISTRATOR})
    policies = bare.library.current.policies
    assert policies.company.name.zh == "仁和医院"
    assert (policies.seasons.summer_start, policies.seasons.winter_start) == (MonthDay(5, 10), MonthDay(10, 20))
    assert "仁和医院" in (await client.get("/")).text


async def test_once_somebody_works_here_it_is_shut(client: httpx.AsyncClient, address: str) -> None:
    await client.post(address, data=FORM)
    client.cookies.clear()
    assert (await client.get(address)).status_code == 404
    assert (await client.post(address, data={**FORM, "username": "other"})).status_code == 404


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"password": "12345678"}, "太容易"),
        ({"summer_start": "13-40"}, "换季日"),
        ({"winter_start": ""}, "换季日"),
        ({"winter_start": "05-10"}, "换季日"),
        ({"name_zh": " "}, "名称"),
        ({"username": "two words"}, "用户名"),
    ],
)
async def test_what_is_wrong_is_said_and_what_was_written_stays(
    bare: Centre, client: httpx.AsyncClient, address: str, wrong: dict[str, str], said: str
) -> None:
    answer = await client.post(address, data={**FORM, **wrong})
    assert answer.status_code == 422
    assert said in answer.text
    assert "陈经理" in answer.text
    assert FORM["password"] not in answer.text
    assert await bare.db.read(lambda s: s.scalars(select(Staff)).all()) == []
    assert (await client.post(address, data=FORM)).status_code == 303


async def test_an_operators_own_file_is_left_as_it_is(bare: Centre, client: httpx.AsyncClient, address: str) -> None:
    file = file_of(bare)
    file.parent.mkdir(parents=True)
    file.write_text("# mine\nagents: {capacity: 7}\n", "utf-8")
    assert "换季日" not in (await client.get(address)).text
    assert (await client.post(address, data=FORM)).status_code == 303
    assert file.read_text("utf-8") == "# mine\nagents: {capacity: 7}\n"


async def test_without_season_dates_none_are_written(bare: Centre, client: httpx.AsyncClient, address: str) -> None:
    await client.post(address, data={**FORM, "summer_start": "", "winter_start": ""})
    assert bare.library.current.policies.seasons.summer_start is None
    assert "seasons" not in file_of(bare).read_text("utf-8")
