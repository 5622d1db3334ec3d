"""One message in, its answers out: repeated, hostile, while people hold the conversation."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import func, select

from bot.core.words import ChannelName, ConversationState, Incoming, Language
from bot.services.centre import Centre
from bot.services.conversation import inbox
from store.tables import Contact, Conversation, Message


def message(text: str, *, sender: str = "lin", number: str = "1") -> Incoming:
    return Incoming(ChannelName.REST, sender, f"{sender}-{number}", text, language=Language.ZH)


async def count(centre: Centre, table: type) -> int:
    return await centre.db.read(lambda s: s.scalar(select(func.count()).select_from(table)) or 0)


async def test_the_first_answer_says_who_speaks_and_that_it_is_a_bot(centre: Centre) -> None:
    receipt = await inbox.receive(centre, message("在吗"))

    said = " ".join(answer.text for answer in receipt.answers)
    assert "机器人" in said
    assert receipt.state is ConversationState.BOT


async def test_a_repeated_request_gets_the_same_answer_and_does_nothing_twice(centre: Centre) -> None:
    first = await inbox.receive(centre, message("家里暖气不热"))
    before = await count(centre, Message)
    again = await inbox.receive(centre, message("家里暖气不热"))

    assert again.repeated
    assert [a.text for a in again.answers] == [a.text for a in first.answers]
    assert [a.buttons for a in again.answers] == [a.buttons for a in first.answers]
    assert await count(centre, Message) == before


async def test_the_same_request_twice_at_once_is_answered_once(centre: Centre) -> None:
    receipts = await asyncio.gather(
        *(inbox.receive(centre, message("家里暖气不热")) for _ in range(4)), return_exceptions=True
    )

    kept = [r for r in receipts if isinstance(r, inbox.Receipt)]
    assert len({tuple(a.text for a in r.answers) for r in kept}) == 1
    inbound = await centre.db.read(
        lambda s: s.scalar(select(func.count()).select_from(Message).where(Message.author == "customer"))
    )
    assert inbound == 1
    assert await count(centre, Conversation) == 1


async def test_many_first_messages_of_one_sender_open_one_conversation(centre: Centre) -> None:
    people = await count(centre, Contact)
    await asyncio.gather(*(inbox.receive(centre, message("你好", number=str(n))) for n in range(5)))

    assert await count(centre, Conversation) == 1
    assert await count(centre, Contact) == people + 1
    sequence = await centre.db.read(lambda s: s.scalars(select(Message.seq).order_by(Message.seq)).all())
    assert sequence == list(range(1, len(sequence) + 1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "😀😀😀",
        "\x00\x07boo\x1b[31m",
        "<script>alert(1)</script>",
        "a\ud800b",
        "{{7*7}} %s {0}",
        "啊" * 4000,
    ],
    ids=["empty", "blank", "emoji", "control", "markup", "surrogate", "formats", "long"],
)
async def test_hostile_text_gets_a_kind_reply(centre: Centre, text: str) -> None:
    receipt = await inbox.receive(centre, message(text))

    assert receipt.answers
    stored = await centre.db.read(lambda s: s.scalars(select(Message.text).where(Message.author == "customer")).one())
    assert "\x00" not in stored
    assert "\x1b" not in stored


async def test_a_text_that_is_too_long_is_refused_where_it_enters(centre: Centre) -> None:
    with pytest.raises(inbox.TooLongError, match="at most 4000"):
        await inbox.receive(centre, message("x" * 4001))

    assert await count(centre, Conversation) == 0


async def test_an_answer_after_the_conversation_closed_opens_a_new_one_but_a_repeat_does_not(centre: Centre) -> None:
    first = await inbox.receive(centre, message("你好"))
    await centre.db.write(lambda s: _close(s, first.conversation_id))

    again = await inbox.receive(centre, message("你好"))
    assert again.repeated
    assert await count(centre, Conversation) == 1

    new = await inbox.receive(centre, message("你好", number="2"))
    assert new.conversation_id != first.conversation_id


def _close(session: object, conversation_id: int) -> None:
    conversation = session.get_one(Conversation, conversation_id)  # type: ignore[attr-defined]
    conversation.state = ConversationState.CLOSED
