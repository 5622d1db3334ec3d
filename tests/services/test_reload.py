"""A script edited while people talk: live for whoever comes next, refused where it is broken."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import httpx
import pytest
import structlog

from bot.app import create_app
from bot.core.words import ChannelName, Incoming, Language
from bot.services.centre import Centre
from bot.services.conversation import inbox
from bot.services.library import Library
from bot.services.reload import Follower, reload
from bot.settings import PACKS
from tests.conftest import ROOT

OLD, NEW = "原来的话。", "新的话。"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """An operator's folder with words of its own for one response."""
    (tmp_path / "own" / "service").mkdir(parents=True)
    return say(tmp_path / "own", OLD)


def say(own: Path, words: str) -> Path:
    file = own / "service" / "responses.yml"
    file.write_text(
        f'responses:\n  utter_stopped:\n    - text: {words}\n      translation: {{en: "Words."}}\n', "utf-8"
    )
    os.utime(file, ns=(file.stat().st_mtime_ns + 10**9,) * 2)  # file systems may count in seconds
    return own


@pytest.fixture
def edited(centre: Centre, own: Path) -> Centre:
    """The centre with that folder over the shipped one."""
    library = Library([ROOT / "scripts", ROOT / "scripts" / "demo", own], frozenset(PACKS), centre.clock.now)
    centre.db.write_now(lambda session: library.keep(session, centre.clock.now()))
    return dataclasses.replace(centre, library=library)


async def tell(centre: Centre, who: str, text: str, number: int) -> str:
    receipt = await inbox.receive(centre, Incoming(ChannelName.REST, who, f"{who}-{number}", text, Language.ZH))
    return " ".join(said.text for said in receipt.answers)


async def test_an_edit_is_live_for_new_conversations_and_running_ones_keep_their_words(
    edited: Centre, own: Path
) -> None:
    await tell(edited, "early", "你好", 1)
    before = edited.library.current.book.version
    say(own, NEW)
    follower = Follower()
    assert [await follower.look(edited) for _ in range(3)] == [0, 1, 0]
    assert edited.library.current.book.version != before
    assert OLD in await tell(edited, "early", "/stop_contact", 2)
    assert NEW in await tell(edited, "late", "/stop_contact", 1)


async def test_a_pin_is_found_by_a_process_that_never_read_the_file(edited: Centre, own: Path) -> None:
    await tell(edited, "early", "你好", 1)
    say(own, NEW)
    await reload(edited)
    fresh = Library([ROOT / "scripts", ROOT / "scripts" / "demo", own], frozenset(PACKS), edited.clock.now)
    assert OLD in await tell(dataclasses.replace(edited, library=fresh), "early", "/stop_contact", 2)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_broken_edit_is_refused_and_said_with_file_and_line(edited: Centre, own: Path) -> None:
    before = edited.library.current.book.version
    say(own, "{nobody}")
    follower = Follower()
    with structlog.testing.capture_logs() as logs:
        assert [await follower.look(edited) for _ in range(4)] == [0, 0, 0, 0]
    assert [entry["event"] for entry in logs] == ["scripts.refused"]
    assert edited.library.current.book.version == before
    assert any(f"{own / 'service' / 'responses.yml'}:" in each for each in edited.library.refused)
    app = create_app(edited, heartbeat=False)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hotline.test") as client:
        ready = (await client.get("/readyz")).json()
    assert ready["status"] == "degraded"
    assert any("responses.yml" in each for each in ready["degraded"])
    say(own, NEW)
    assert [await follower.look(edited) for _ in range(2)] == [0, 1]
    assert edited.library.refused == ()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_broken_policies_are_refused_too(edited: Centre, own: Path) -> None:
    (own / "policies.yml").write_text("sla: 7\n", "utf-8")
    assert not await reload(edited)
    assert any("policies.yml:1" in each for each in edited.library.refused)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_edited_table_of_facts_is_live_though_no_script_changed(edited: Centre, own: Path) -> None:
    file = own / "facts" / "couriers.csv"
    file.parent.mkdir()
    file.write_text(
        "city_zh,city_en,courier_zh,courier_en,days_from,days_to\n*,elsewhere,自家车队,Own vans,3,4\n", "utf-8"
    )
    before = edited.library.current
    follower = Follower()
    assert [await follower.look(edited) for _ in range(3)] == [0, 1, 0]
    assert edited.library.current.book.version == before.book.version
    assert [row["courier_en"] for row in edited.library.current.facts["couriers"]] == ["Own vans"]
