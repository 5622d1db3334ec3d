"""kill -9 while a long conversation is destroyed in pages: it goes on where it stood, and each line is counted once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from bot.core.words import Author, ChannelName, Role
from bot.services.centre import Centre
from bot.services.records import certificates
from bot.services.records.disposals import ROWS
from store.tables import Disposal, DisposalItem, DisposalState, Message, Unlocked
from tests.crash.conftest import Start
from tests.fakes.clock import ManualClock
from tests.fakes.process import Dies, Hotline
from tests.fakes.records import Talk, approve, person

LINES = ROWS * 4
PAGE = "bot.services.records.disposals:destroy_page"
STOOD_AT = (
    (Dies(PAGE, nth=2), 1),
    (Dies(PAGE, done=True, nth=2), 2),
    (Dies("bot.services.records.certificates:write", done=True), None),
)
"""Moments of one start after the other, none of them committed, and how many pages are gone by then; None: all."""


def approved(session: Session, clock: ManualClock) -> int:
    """A list with one long conversation of four years ago, approved by two people."""
    now = clock.now()
    talk = Talk(session, "lin", now - timedelta(days=4 * 365))
    said = {"conversation_id": talk.id, "channel": ChannelName.REST, "author": Author.CUSTOMER, "text": "在吗"}
    session.execute(insert(Message), [{**said, "seq": seq, "at": now} for seq in range(2, LINES + 1)])
    ended = now - timedelta(days=4 * 365)
    disposal = Disposal(number="D1", proposed_at=now)
    session.add(disposal)
    session.flush()
    session.add(
        DisposalItem(
            disposal_id=disposal.id,
            kind="transcript",
            record_id=talk.id,
            title=f"#{talk.id}",
            cls="short",
            why="own",
            since=ended,
            due=ended,
        )
    )
    session.flush()
    approve(session, now, *(person(session, f"second {role}", role) for role in (Role.ARCHIVIST, Role.MANAGER)))
    return talk.id


async def test_a_long_conversation_is_destroyed_to_its_end(hotline: Start, centre: Centre, clock: ManualClock) -> None:
    program: Hotline = hotline()
    talk_id = centre.db.write_now(lambda s: approved(s, clock))

    def stands(session: Session) -> int:
        left = select(func.count()).select_from(Message).where(Message.conversation_id == talk_id)
        gone = LINES - (session.scalar(left) or 0)
        assert session.scalars(select(DisposalItem)).one().counts.get("message", 0) == gone
        assert session.scalars(select(Unlocked)).all() == []
        return gone

    for dies, pages in STOOD_AT:
        await asyncio.to_thread(program.start, "serve", at=clock.now(), dies=dies)
        await asyncio.to_thread(program.died)
        gone = centre.db.read_now(stands)
        if pages is None:
            assert gone == LINES
        else:
            assert ROWS * (pages - 1) < gone <= ROWS * pages
    await asyncio.to_thread(program.serve, at=clock.now())
    while centre.db.read_now(lambda s: s.scalars(select(Disposal)).one().state) is not DisposalState.DONE:
        assert program.runs(), program.said()
        await asyncio.sleep(0.05)
    done = centre.db.read_now(lambda s: s.scalars(select(Disposal)).one())
    assert done.certificate is not None
    assert (done.certificate["destroyed"], done.certificate["rows"]["message"]) == (1, LINES)
    assert centre.db.read_now(lambda s: certificates.genuine(s, done))
