"""How many conversations took which branch."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, event

from bot.core.book import Utter
from bot.core.words import ChannelName, Incoming, Language
from bot.services.centre import Centre
from bot.services.conversation import branches, inbox
from bot.services.conversation.branches import Traffic, by_flow, forget, traffic, week_of

FLOW = "stop_contact"
MONDAY = date(2026, 6, 29)


async def tell(centre: Centre, who: str, text: str, number: int = 1) -> None:
    await inbox.receive(centre, Incoming(ChannelName.REST, who, f"{who}-{number}", text, Language.ZH))


async def seen(centre: Centre, monday: date = MONDAY) -> Traffic:
    flow = centre.library.current.book.flows[FLOW]
    return await centre.db.read(lambda s: traffic(s, flow, monday))


async def test_conversations_are_counted_not_turns(centre: Centre) -> None:
    for number, who in enumerate(("a", "b", "a")):
        await tell(centre, who, "/stop_contact", number)
    found = await seen(centre)
    nodes = centre.library.current.book.flows[FLOW].nodes.values()
    said = next(n.id for n in nodes if isinstance(n, Utter) and n.response == "utter_stopped")
    assert found.conversations == 2
    assert found.reached[said] == 2
    assert found.taken[said, 1] == 2  # not called by us: the second way on
    assert (said, 0) not in found.taken
    by = await centre.db.read(lambda s: by_flow(s, MONDAY))
    assert by[FLOW] == by["pattern_session_start"] == 2


async def test_a_week_ends_on_sunday_night_where_the_centre_is(centre: Centre) -> None:
    await tell(centre, "a", "/stop_contact")
    assert (await seen(centre, MONDAY - timedelta(days=7))).conversations == 0
    assert (await seen(centre, MONDAY + timedelta(days=7))).conversations == 0
    sunday = datetime(2026, 7, 5, 16, 30, tzinfo=UTC)
    assert week_of(sunday, ZoneInfo("Asia/Shanghai")) == date(2026, 7, 6)
    assert week_of(sunday, UTC, ago=1) == date(2026, 6, 22)


async def test_steps_that_were_edited_count_anew(centre: Centre) -> None:
    await tell(centre, "a", "/stop_contact")
    book = centre.library.current.book
    flow = book.flows[FLOW]
    edited = type(flow)(flow.id, flow.pack, flow.names, "", flow.start, flow.nodes, shape="other")
    found = await centre.db.read(lambda s: traffic(s, edited, MONDAY))
    assert found == Traffic(0, {}, {}, earlier=1)


async def test_a_turn_costs_one_statement_more_at_most(centre: Centre) -> None:
    await tell(centre, "a", "你好")
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    await tell(centre, "a", "/stop_contact", 2)
    event.remove(Engine, "before_cursor_execute", note)
    assert sum("passage" in statement for statement in statements) == 1


async def test_old_passages_are_forgotten(centre: Centre) -> None:
    await tell(centre, "a", "/stop_contact")
    today = centre.clock.now().date()
    assert await centre.db.write(lambda s: forget(s, today)) == 0
    later = today + branches.KEPT + timedelta(days=1)
    assert await centre.db.write(lambda s: forget(s, later)) > 0
    assert (await seen(centre)).conversations == 0
