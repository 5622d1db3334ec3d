"""kill -9 around a file that a visitor of the web chat sends: sent again, as pages do, it is one line and one file."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import Author
from bot.services.centre import Centre
from bot.services.conversation import media
from store.tables import Attachment, Message
from tests.crash.conftest import Start
from tests.fakes.people import Customer
from tests.fakes.process import Dies

PNG = b"\x89PNG\r\n\x1a\n" + b"picture" * 200_000


@pytest.mark.parametrize(
    "dies",
    [
        Dies("bot.services.conversation.media:put"),
        Dies("bot.services.conversation.media:put", done=True),  # on the disk, and no row knows it
        Dies("bot.services.conversation.inbox:_receive", done=True),  # not committed
        Dies("bot.services.conversation.inbox:_remember"),  # committed, and the page never hears of it
    ],
    ids=["proved", "written", "stored", "answered"],
)
async def test_a_photo_arrives_once(hotline: Start, centre: Centre, tmp_path: Path, dies: Dies) -> None:
    program = hotline()
    await asyncio.to_thread(program.serve, at=centre.clock.now(), dies=dies)
    customer = Customer(program.address)
    await customer.comes()
    with pytest.raises(httpx.TransportError):
        await customer.sends(PNG, "漏水.png", client_id="photo")
    await asyncio.to_thread(program.died)

    await asyncio.to_thread(program.serve)
    for _ in range(2):
        await customer.sends(PNG, "漏水.png", client_id="photo")
    (photo,) = [line for line in await customer.lines() if line["files"]]
    assert (await customer.opens(photo["files"][0]["url"])).content == PNG
    await customer.leaves()
    await asyncio.to_thread(program.kill)
    centre.db.read_now(look)
    assert len([each for each in (tmp_path / "program" / media.FOLDER).rglob("*") if each.is_file()]) == 1


def look(session: Session) -> None:
    file = session.scalars(select(Attachment)).one()
    theirs = session.scalars(select(Message).where(Message.author == Author.CUSTOMER)).one()
    assert file.message_id == theirs.id
    answers = session.scalars(select(Message.id).where(Message.reply_to == theirs.id)).all()
    assert len(answers) == 1
