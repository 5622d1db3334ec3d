"""A recording that the carrier does not give as it should: tried again where that helps, seen by staff, in nobody's
way."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bot.core.media import MAX_BYTES, MediaState
from bot.core.words import Role
from bot.services.conversation import media
from bot.services.heartbeat import Heartbeat
from bot.settings import Settings
from store.tables import Attachment, Message
from tests.channels.conftest import WithAccount
from tests.fakes.desk import Desk
from tests.fakes.house import House
from tests.fakes.twilio import Twilio

PUBLIC = "http://hotline.test"
VOICE = f"{PUBLIC}/twilio/voice"
CALLER, OTHER = "+8619900000101", "+8619900000102"
WORDS = "三号楼暖气不热"
SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def settings(with_account: WithAccount) -> Settings:
    return with_account(PUBLIC)


async def spoken(house: House, twilio: Twilio, number: str = CALLER, sid: str = "CA" + "f" * 32) -> None:
    """Somebody leaves a message."""
    twilio.client = house.client
    await twilio.call_in(number, VOICE, "0", "2", WORDS, sid=sid)
    assert twilio.refused == []


async def files(house: House) -> list[Attachment]:
    return await house.centre.db.read(lambda s: list(s.scalars(select(Attachment).order_by(Attachment.id))))


async def fetched(house: House) -> Attachment:
    """Tries until nothing is left to try; the file then."""
    for _ in range(media.TRIES * 2):
        await media.fetch_due(house.centre)
        (file,) = await files(house)
        if file.state is not MediaState.WAITING:
            break
        house.clock.skip(timedelta(minutes=10))
    return file


async def shown(house: House, file: Attachment) -> str:
    """The line with the file, as a colleague sees it."""
    desk = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    line = await house.centre.db.read(lambda s: s.get_one(Message, file.message_id))
    page = await desk.see(f"/console/conversations/{line.conversation_id}")
    return page.partition(line.text)[2].partition("</li>")[0]


@pytest.mark.parametrize(
    ("spoilt", "state", "asked", "says"),
    [
        (["404"] * 99, MediaState.FAILED, media.TRIES, "这个文件取不到了"),
        (["410"], MediaState.FAILED, 1, "这个文件取不到了"),
        (["500", "503", "429"], MediaState.KEPT, 4, "<audio"),
        (["401", "401"], MediaState.KEPT, 3, "<audio"),
        (["short", "short"], MediaState.KEPT, 3, "<audio"),
        (["slow"], MediaState.KEPT, 2, "<audio"),
        (["slow"] * 99, MediaState.FAILED, media.TRIES, "这个文件取不到了"),
    ],
    ids=["never-there", "gone", "in-trouble", "our-token", "cut-off", "slow", "always-slow"],
)
async def test_what_cannot_be_fetched_now_is_tried_again_and_not_for_ever(
    house: House,
    twilio: Twilio,
    monkeypatch: pytest.MonkeyPatch,
    spoilt: list[str],
    state: MediaState,
    asked: int,
    says: str,
) -> None:
    monkeypatch.setattr(media, "WITHIN", 0.3)
    await spoken(house, twilio)
    twilio.spoilt = list(spoilt)
    file = await fetched(house)
    assert (file.state, len(twilio.asked_for)) == (state, asked)
    assert says in await shown(house, file)
    path = media.path_of(house.centre, file)
    assert (path.read_bytes() if path else None) == (f"ID3{WORDS}".encode() if state is MediaState.KEPT else None)
    assert await media.fetch_due(house.centre) == 0


@SQLITE
@pytest.mark.parametrize("content", [b"<html>not a recording</html>", b"", b"ID3" + bytes(MAX_BYTES)])
async def test_what_is_no_recording_or_too_large_is_not_kept_and_not_asked_for_again(
    house: House, twilio: Twilio, content: bytes
) -> None:
    await spoken(house, twilio)
    twilio.files = dict.fromkeys(twilio.files, content)
    file = await fetched(house)
    assert (file.state, len(twilio.asked_for)) == (MediaState.REFUSED, 1)
    assert "这个文件没有收下" in await shown(house, file)
    assert [each for each in media.folder(house.centre).rglob("*") if each.is_file()] == []


@SQLITE
async def test_a_disk_that_is_full_for_a_while_loses_nothing(
    house: House, twilio: Twilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    await spoken(house, twilio)

    def full(*_: Any) -> str:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(media, "put", full)
        for _ in range(2):
            await media.fetch_due(house.centre)
            house.clock.skip(timedelta(minutes=1))
    (file,) = await files(house)
    assert (file.state, file.tries) == (MediaState.WAITING, 2)
    assert "正在再试" in await shown(house, file)
    assert (await fetched(house)).state is MediaState.KEPT


@SQLITE
async def test_who_was_erased_while_their_file_came_leaves_none(
    house: House, twilio: Twilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    await spoken(house, twilio)
    put = media.put

    def erased(*given: Any) -> str:
        name = put(*given)
        house.centre.db.write_now(lambda s: s.get_one(Attachment, 1).__setattr__("state", MediaState.FAILED))
        return name

    monkeypatch.setattr(media, "put", erased)
    await media.fetch_due(house.centre)
    assert (await files(house))[0].file is None
    assert [each for each in media.folder(house.centre).rglob("*") if each.is_file()] == []


@SQLITE
async def test_a_slow_file_holds_up_no_other(house: House, twilio: Twilio) -> None:
    twilio.spoilt = ["slow"]
    await spoken(house, twilio)
    beat = Heartbeat(house.centre)
    await beat.start()
    try:
        while not twilio.asked_for:
            await asyncio.sleep(0.01)
        await spoken(house, twilio, OTHER, "CA" + "e" * 32)
        async with asyncio.timeout(30):
            while (await files(house))[-1].state is not MediaState.KEPT:
                await asyncio.sleep(0.02)
        assert [each.state for each in await files(house)] == [MediaState.WAITING, MediaState.KEPT]
    finally:
        await beat.stop()
