"""What was not understood is kept, grouped, given an intent by a person, and learned by the next training."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from bot.core.words import ChannelName, Incoming, Language
from bot.services.centre import Centre
from bot.services.conversation import inbox, learning
from bot.services.refusal import NotFoundError
from nlu import examples
from store.tables import Staff


async def writes(centre: Centre, text: str, number: int) -> None:
    await inbox.receive(centre, Incoming(ChannelName.REST, f"p{number}", f"m{number}", text, language=Language.ZH))


async def teacher(centre: Centre) -> int:
    return await centre.db.read(lambda s: s.scalars(select(Staff.id).where(Staff.username == "supervisor")).one())


async def test_only_what_was_not_understood_waits(centre: Centre) -> None:
    await writes(centre, "你好", 1)
    await writes(centre, "呜噜呜噜咕叽咕叽哐哐", 2)
    await writes(centre, "呜噜呜噜咕叽咕叽哐", 3)

    groups = await centre.db.read(learning.waiting)

    assert [[m.text for m in g.messages] for g in groups] == [["呜噜呜噜咕叽咕叽哐", "呜噜呜噜咕叽咕叽哐哐"]]


async def test_a_decision_becomes_an_example_once(centre: Centre, tmp_path: Path) -> None:
    for number in (1, 2):
        await writes(centre, "呜噜呜噜 [咕叽] 咕叽哐哐", number)
    staff, now = await teacher(centre), centre.clock.now()
    ids = [m.id for g in await centre.db.read(learning.waiting) for m in g.messages]

    first = await centre.db.write(lambda s: learning.decide(s, ids, "no_heating", staff_id=staff, now=now))
    again = await centre.db.write(lambda s: learning.decide(s, ids, "greet", staff_id=staff, now=now))
    path = learning.write_examples(tmp_path, await centre.db.read(learning.learned))

    assert (first, again) == (2, 0)
    assert [(e.intent, " ".join(e.text.split())) for e in examples.read(path)] == [
        ("no_heating", "呜噜呜噜 咕叽 咕叽哐哐")
    ]
    assert await centre.db.read(learning.count) == 0


async def test_what_is_no_example_is_not_learned(centre: Centre) -> None:
    await writes(centre, "呜噜呜噜咕叽咕叽哐哐", 1)
    staff, now = await teacher(centre), centre.clock.now()
    ids = [m.id for g in await centre.db.read(learning.waiting) for m in g.messages]
    await centre.db.write(lambda s: learning.decide(s, ids, learning.NO_EXAMPLE, staff_id=staff, now=now))

    assert await centre.db.read(learning.learned) == {}
    assert await centre.db.read(learning.count) == 0


async def test_an_unknown_intent_is_refused(centre: Centre) -> None:
    staff, now = await teacher(centre), centre.clock.now()
    with pytest.raises(NotFoundError):
        await centre.db.write(lambda s: learning.decide(s, [1], "no_such_intent", staff_id=staff, now=now))
