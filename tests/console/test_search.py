"""Search finds what was said just now, shows each what they may see, and no number in full."""

from __future__ import annotations

import pytest

from bot.core.words import Author, ChannelName, Incoming, Role, Say
from bot.services import search
from bot.services.conversation import inbox
from bot.services.conversation.conversations import add_lines, hold, save
from store.tables import Contact, Conversation
from tests.fakes.desk import Desk
from tests.fakes.house import House

PHONE = "+8613900007788"


async def write(house: House, who: str, text: str, number: str) -> int:
    receipt = await inbox.receive(house.centre, Incoming(ChannelName.REST, who, number, text))
    return receipt.conversation_id


def found(house: House, query: str, *where: object) -> list[str]:
    return house.centre.db.read_now(
        lambda s: [said.text for said in search.messages(s, query, *where, limit=20)]  # type: ignore[arg-type]
    )


async def test_a_line_is_found_at_once_and_after_the_index_has_it(house: House) -> None:
    await write(house, "a", "请问怎么退款？订单A-1024", "1")
    await write(house, "b", "把货退回来，款还没到", "2")
    assert found(house, "退款") == ["请问怎么退款？订单A-1024"]
    await house.settle()
    assert found(house, "退款") == ["请问怎么退款？订单A-1024"]
    assert found(house, "款") == ["把货退回来，款还没到", "请问怎么退款？订单A-1024"]
    assert found(house, "1024 退款") == found(house, "a-1024") == ["请问怎么退款？订单A-1024"]
    assert found(house, "') OR 1") == found(house, "%") == found(house, "") == []


async def test_what_agents_write_is_found_and_what_the_bot_says_is_not(house: House) -> None:
    conversation_id = await write(house, "a", "你好", "1")

    def say(session, author, text, private):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        held = hold(session, conversation_id)
        add_lines(session, held, author, [Say(text)], house.clock.now(), private=private)
        save(session, held)

    for author, text, private in (
        (Author.AGENT, "老客户，琥珀色那台", True),
        (Author.AGENT, "琥珀色的有货", False),
        (Author.BOT, "琥珀色", False),
    ):
        house.centre.db.write_now(lambda s, a=author, t=text, p=private: say(s, a, t, p))  # type: ignore[misc]
    await house.settle()
    assert found(house, "琥珀") == ["琥珀色的有货", "老客户，琥珀色那台"]
    assert found(house, "琥珀", Conversation.id != conversation_id) == []


async def test_a_page_of_everything(house: House) -> None:
    await write(house, "a", "<b>暖气</b>漏水了", "1")
    supervisor = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    page = await supervisor.see("/console/search?q=漏水")
    assert "<mark>漏水</mark>" in page
    assert "<b>暖气" not in page
    assert "<mark>" not in await supervisor.see("/console/search/few?q=zzzz")
    assert (await house.client.get("/console/contacts?q=漏水")).headers["location"].startswith("/console/search?q=")


async def test_an_agent_finds_only_what_they_may_open(house: House) -> None:
    conversation_id = await write(house, "a", "暖气漏水了", "1")
    agent = await Desk.of(house.centre, house.client, Role.AGENT)
    assert "<mark>" not in await agent.see("/console/search?q=漏水")
    await write(house, "a", "转人工", "2")
    await write(house, "a", "投诉", "3")
    house.centre.db.write_now(lambda s: setattr(s.get_one(Conversation, conversation_id), "state", "queued"))
    assert f"/console/conversations/{conversation_id}#line-" in await agent.see("/console/search?q=漏水")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_whole_number_finds_its_person_and_is_not_shown(house: House) -> None:
    from_phone = Incoming(ChannelName.SMS, PHONE, "1", "你好")
    receipt = await inbox.receive(house.centre, from_phone)

    def name(session):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        contact = session.get_one(Contact, session.get_one(Conversation, receipt.conversation_id).contact_id)
        contact.name = "郑晓霜"

    house.centre.db.write_now(name)
    agent = await Desk.of(house.centre, house.client, Role.AGENT)
    for query in ("晓霜", "郑"):
        page = await agent.see(f"/console/search?q={query}")
        assert "郑晓霜" in page
        assert PHONE not in page
    administrator = await Desk.of(house.centre, house.client, Role.ADMINISTRATOR)
    await administrator.see("/console/search?q=晓霜", status=403)
