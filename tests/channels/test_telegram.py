"""Whole stories over Telegram: people write, press, send files, block; the server refuses, drops, repeats (issue 4)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.core.media import MediaState
from bot.core.words import Author, CaseKind, ConversationState, DeliveryState, Language, Role
from bot.services import contacts
from bot.services.desk import agent_lines, escalations
from store.tables import Address, Attachment, Case, Contact, Conversation, Delivery, Escalation, Message, Staff
from tests.channels.conftest import Post
from tests.fakes.desk import Desk
from tests.fakes.telegram import FakeTelegram, Person

PNG = b"\x89PNG\r\n\x1a\n" + b"picture" * 20
DOCX = b"PK\x03\x04" + b"office" * 20
JPEG = b"\xff\xd8\xff\xe0" + bytes(200)
SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def lines(post: Post, author: Author = Author.CUSTOMER) -> list[Message]:
    return [line for line in await post.all(Message) if line.author is author]


async def test_a_complaint_becomes_a_case_an_agent_answers_and_is_rated(post: Post, li: Person) -> None:
    li.writes("/start")
    await post.comes()
    assert "机器人" in li.sees[0]
    li.writes("暖气凉了两天了，报修了也没人来")
    await post.comes()
    li.writes("3号楼2单元501")
    await post.comes()
    for _ in range(4):
        if "电话" in li.sees[-1]:
            break
        li.writes("没有")
        await post.comes()
    li.shares_contact("8613800001234")
    await post.comes()

    (case,) = await post.all(Case)
    assert case.kind in (CaseKind.REPAIR, CaseKind.COMPLAINT)
    assert (case.facts["unit"], case.facts["phone"]) == ("3-2-501", "+8613800001234")
    assert case.number in " ".join(li.sees)

    desk = await Desk.of(post.house.centre, post.house.client, Role.AGENT)
    here = f"/console/conversations/{case.conversation_id}"
    await desk.see("/console")
    await desk.do(f"{here}/claim")
    await desk.do(f"{here}/say", text="您好，师傅今天下午四点到")
    await post.comes()
    assert li.sees[-1] == "您好，师傅今天下午四点到"

    said = len(li.sees)
    li.writes("好的，等着")
    await post.comes()
    assert len(li.sees) == said  # the bot is silent
    await desk.do(f"{here}/close", wrap_up="case_follows")
    await post.comes()
    li.writes("5")
    await post.comes()
    conversation = (await post.all(Conversation))[-1]
    assert conversation.rating == 5


@SQLITE
async def test_a_deep_link_s_campaign_is_kept_and_the_application_s_language_comes_first(
    post: Post, telegram: FakeTelegram
) -> None:
    ann = telegram.person("Ann", "en")
    ann.writes("/start spring_2026")
    await post.comes()
    assert "bot" in ann.sees[0]
    (line,) = await lines(post)
    assert line.details == {"message": 1, "sent": 1782874800, "campaign": "spring_2026"}
    (conversation,) = await post.all(Conversation)
    assert (conversation.language, conversation.flow["context"]["campaign"]) == (Language.EN, "spring_2026")
    assert {command["command"] for command in telegram.commands["en"]} == {
        "start",
        "human",
        "cancel",
        "language",
        "stop",
    }
    assert telegram.commands[""] == telegram.commands["zh"]

    ann.writes("我家的暖气不热了")
    await post.comes()
    assert (await post.all(Conversation))[0].language is Language.ZH
    ann.writes("/language")
    await post.comes()
    ann.presses("English")
    await post.comes()
    assert "English" in ann.sees[-1]
    assert (await post.all(Conversation))[0].language is Language.EN
    assert (await post.all(Contact))[-1].language is Language.EN


async def test_an_update_counts_once_however_often_and_in_whatever_order_it_comes(
    post: Post, telegram: FakeTelegram, li: Person
) -> None:
    first, second = li.writes("你好"), li.writes("家里暖气不热")
    kept = [telegram.pending[number] for number in (first, second)]
    telegram.pending = dict(reversed(telegram.pending.items()))
    await post.comes()
    said = list(li.sees)
    for update in (*reversed(kept), *kept):
        telegram.again(update)
        await post.comes()
    assert li.sees == said
    assert [line.text for line in await lines(post)] == ["你好", "家里暖气不热"]


async def test_an_update_is_confirmed_only_after_its_commit(post: Post, telegram: FakeTelegram, li: Person) -> None:
    number = li.writes("家里暖气不热")
    await post.poller.once(wait=0)
    assert number in telegram.pending  # committed, and not yet confirmed: a crash here brings it again
    assert len(await lines(post)) == 1
    await post.poller.once(wait=0)
    assert number not in telegram.pending


@SQLITE
async def test_what_cannot_be_read_holds_up_nobody(post: Post, telegram: FakeTelegram, li: Person) -> None:
    telegram.update(message={"message_id": "no number", "chat": 7})
    telegram.update(message={"message_id": 3, "date": 1, "chat": {"id": 5, "type": "private"}})
    li.writes("你好")
    await post.comes()
    await post.comes()
    assert len(li.sees) > 0
    assert telegram.pending == {}


@SQLITE
async def test_a_pressed_keyboard_goes_and_is_used_once(post: Post, telegram: FakeTelegram, li: Person) -> None:
    li.writes("/start")
    await post.comes()
    board = li.last
    first, other = board.titles[:2]
    data = [button["callback_data"] for row in board.buttons for button in row]
    li.presses(first)
    await post.comes()
    assert board.buttons == []
    assert board.text.endswith(f"✔ {first}")
    said = list(li.sees)

    li.presses_data(data[1], board)  # the other one, pressed before the keyboard was seen to go
    await post.comes()
    assert li.sees == said
    assert telegram.notes[-1] == "这个问题已经答过了。"
    assert telegram.open_queries == set()
    assert [line.text for line in await lines(post)] == ["/start", first]
    stranger = telegram.person("Wu")
    stranger.messages.append(board)
    stranger.presses_data(data[1], board)  # a keyboard of somebody else's chat
    await post.comes()
    assert stranger.sees == [board.text]
    assert other not in [line.text for line in await lines(post)]


@SQLITE
async def test_a_correction_is_answered_as_one(post: Post, li: Person) -> None:
    li.writes("家里暖气不热")
    await post.comes()
    li.writes("3号楼2单元501")
    await post.comes()
    before = len(li.sees)
    li.edits("3号楼2单元502")
    await post.comes()
    edited = (await lines(post))[-1]
    assert (edited.text, edited.details["edited"]) == ("3号楼2单元502", True)
    assert len(li.sees) > before


async def test_a_message_corrected_before_its_answer_is_answered_once(
    post: Post, telegram: FakeTelegram, li: Person
) -> None:
    li.writes("家里暖气不热")
    await post.comes()
    said = len(li.sees)
    li.writes("3号楼2单元501")
    li.edits("3号楼2单元502")
    await post.comes()
    slots = (await post.all(Conversation))[0].flow["state"]["slots"]
    assert slots["unit"] == "3-2-502"
    assert len(li.sees) == said + 1

    telegram.pending.clear()
    await post.poller.once(wait=0)
    original = telegram.pending[li.writes("一两天吧")]
    edit = telegram.pending[li.edits("三天以上")]
    telegram.pending.clear()
    for update in (edit, original):  # the wrong way round
        telegram.again(update)
        await post.comes()
    assert len(li.sees) == said + 2
    assert [line.text for line in await lines(post)][-2:] == ["三天以上", "一两天吧"]


@SQLITE
async def test_a_message_longer_than_a_line_is_kept_whole(post: Post, li: Person) -> None:
    words = "楼道的灯坏了，" * 580
    li.writes(words)
    await post.comes()
    assert "".join(line.text for line in await lines(post)) == words


@SQLITE
async def test_an_album_is_answered_once(post: Post, li: Person) -> None:
    li.writes("你好")
    await post.comes()
    said = len(li.sees)
    for _ in range(3):
        li.sends_photo(JPEG)
    await post.comes()
    assert len(li.sees) == said + 1
    assert len(await post.all(Attachment)) == 3


@SQLITE
async def test_a_reply_keeps_what_it_answers(post: Post, li: Person) -> None:
    li.writes("家里暖气不热")
    await post.comes()
    question = li.last
    li.replies(question, "3号楼2单元501")
    await post.comes()
    assert (await lines(post))[-1].details["quoted"] == question.text


async def test_a_photo_is_kept_and_shown_to_staff_alone(post: Post, telegram: FakeTelegram, li: Person) -> None:
    li.writes("家里暖气不热")
    await post.comes()
    asked = (await post.all(Conversation))[0].flow["question"]
    li.sends_photo(JPEG)
    await post.comes()
    assert "看不了图片" in li.sees[-1]
    assert (await post.all(Conversation))[0].flow["question"] == asked  # the open question stays open
    telegram.gateway_fails("file")
    assert await post.fetch() == 1
    post.house.clock.skip(timedelta(seconds=30))
    assert await post.fetch() == 1
    (photo,) = await post.all(Attachment)
    assert (photo.state, photo.size) == (MediaState.KEPT, len(JPEG))

    home = post.house.centre.settings.home / "media"
    (path,) = [each for each in home.rglob("*") if each.is_file()]
    assert path.name not in {"large.jpg", "small.jpg"}
    assert path.stat().st_mode & 0o777 == 0o600

    conversation = (await post.all(Conversation))[0].id
    at = f"/console/conversations/{conversation}/files/{photo.id}"
    client = post.house.client
    assert (await client.get(at)).status_code == 401
    desk = await Desk.of(post.house.centre, client, Role.SUPERVISOR)
    assert at in await desk.see(f"/console/conversations/{conversation}")
    got = await client.get(at)
    assert got.content == JPEG
    assert got.headers["content-type"] == "image/jpeg"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-disposition"].startswith("inline")
    agent = await Desk.of(post.house.centre, client, Role.AGENT)  # whose conversation it is not
    await agent.see(at, status=403)
    await agent.see(f"/console/conversations/{conversation + 1}/files/{photo.id}", status=403)


@SQLITE
async def test_files_that_are_too_large_or_could_run_are_refused_kindly(post: Post, li: Person) -> None:
    li.sends_document(b"MZ", "setup.exe", "application/x-msdownload")
    await post.comes()
    assert "收不了" in li.sees[-1]
    li.sends_document(b"%PDF-", "plan.pdf", "application/pdf", size=30 * 1024 * 1024)
    await post.comes()
    assert "20 MB" in li.sees[-1]
    assert await post.all(Attachment) == []
    li.sends_document(b"MZ this is no picture", "../../a.png", "image/png")
    await post.comes()
    await post.fetch()
    (file,) = await post.all(Attachment)
    assert (file.state, file.file, file.name) == (MediaState.REFUSED, None, "a.png")


@SQLITE
async def test_what_else_people_send(post: Post, li: Person) -> None:
    li.sends_location(39.9042, 116.4074)
    await post.comes()
    assert "位置" in li.sees[-1]
    li.sends_sticker("👍")
    await post.comes()
    li.shares_contact("8613900000000", own=False)
    await post.comes()
    assert "隐私" in li.sees[-1]
    li.sends_voice(b"OggS" + bytes(50))
    await post.comes()
    texts = [line.text for line in await lines(post)]
    assert texts == ["[位置] 39.90420, 116.40740", "[贴纸] 👍", "[名片]", "[语音]"]
    assert not any("13900000000" in text for text in texts)
    assert (await lines(post))[0].details == {
        "message": 1,
        "sent": 1782874800,
        "latitude": 39.9042,
        "longitude": 116.4074,
    }


@SQLITE
async def test_a_photo_with_words_is_answered_as_words(post: Post, li: Person) -> None:
    li.sends_photo(PNG, "暖气片漏水了")
    await post.comes()
    (line,) = await lines(post)
    assert line.text == "暖气片漏水了"
    assert line.understood["intent"]
    assert len(await post.all(Attachment)) == 1


@SQLITE
async def test_commands(post: Post, li: Person) -> None:
    li.writes("家里暖气不热")
    await post.comes()
    li.writes("/cancel")
    await post.comes()
    assert (await post.all(Conversation))[0].flow["question"] is None
    li.writes("/stop")
    await post.comes()
    person = (await post.all(Conversation))[0].contact_id
    from_db = await post.house.centre.db.read(lambda s: dict(_consents(s, person)))
    assert from_db == {"all": False}
    li.writes("/human")
    await post.comes()
    assert (await post.all(Conversation))[-1].state is ConversationState.QUEUED


def _consents(session, contact_id):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    return [(scope, granted) for scope, (granted, _) in contacts.consents(session, contact_id).items()]


@SQLITE
async def test_in_a_group_the_bot_speaks_only_when_meant_and_says_nothing_personal(
    post: Post, telegram: FakeTelegram, li: Person
) -> None:
    group = telegram.group(li)
    group.writes("三号楼暖气不热")
    await post.comes()
    assert group.sees == []
    assert await lines(post) == []
    words = "@hotline_test_bot 我的工单到哪了"
    group.writes(words, entities=[{"type": "mention", "offset": 0, "length": 17}])
    await post.comes()
    assert len(group.sees) == 1
    assert "私聊" in group.sees[0]
    telegram.migrated[group.id] = -100777
    telegram.chats[-100777] = []
    group.replies(group.last, "工单呢")
    await post.comes()
    assert len(telegram.sent(-100777)) == 1  # followed to where the group has moved


async def test_a_server_that_is_flooded_is_obeyed(post: Post, telegram: FakeTelegram, li: Person) -> None:
    telegram.refuses("sendMessage", 429, "Too Many Requests: retry after 7", retry_after=7)
    li.writes("你好")
    await post.comes()
    assert li.sees == []
    await post.house.advance(seconds=5)
    assert li.sees == []
    await post.house.advance(seconds=3)
    assert len(li.sees) > 0


async def test_who_blocks_the_bot_is_unreachable_until_they_come_back(
    post: Post, telegram: FakeTelegram, li: Person
) -> None:
    li.writes("你好")
    await post.comes()
    telegram.blocked.add(li.id)
    conversation = (await post.all(Conversation))[0]
    desk = await Desk.of(post.house.centre, post.house.client, Role.SUPERVISOR)
    here = f"/console/conversations/{conversation.id}"
    await desk.see(here)
    await desk.do(f"{here}/take-over")
    await desk.do(f"{here}/say", text="您好，还在吗")
    await post.comes()
    assert (await post.all(Delivery))[-1].state is DeliveryState.FAILED
    assert not await reachable(post, conversation)
    li.unblocks()
    await post.comes()
    assert await reachable(post, conversation)
    li.blocks()
    await post.comes()
    assert not await reachable(post, conversation)


async def reachable(post: Post, conversation: Conversation) -> bool:
    return await post.house.centre.db.read(lambda s: s.get_one(Address, conversation.address_id).reachable)


async def test_a_lost_answer_is_sent_again_at_most_once(post: Post, telegram: FakeTelegram, li: Person) -> None:
    telegram.drops("sendMessage", after_acting=True, times=10)
    li.writes("你好")
    await post.comes()
    first = len(li.sees)
    assert first > 0
    assert DeliveryState.UNKNOWN in {delivery.state for delivery in await post.all(Delivery)}
    for _ in range(6):
        await post.sweep(seconds=20)
    texts = telegram.sent(li.id)
    assert all(texts.count(text) <= 2 for text in texts)
    assert any(texts.count(text) == 2 for text in texts)


@SQLITE
@pytest.mark.parametrize(
    ("trouble", "state"),
    [("gateway", DeliveryState.UNKNOWN), ("fault", DeliveryState.QUEUED), ("bad", DeliveryState.FAILED)],
)
async def test_other_faults_of_the_server(
    post: Post, telegram: FakeTelegram, li: Person, trouble: str, state: DeliveryState
) -> None:
    if trouble == "gateway":
        telegram.gateway_fails("sendMessage")
    elif trouble == "fault":
        telegram.refuses("sendMessage", 500, "Internal Server Error")
    else:
        telegram.refuses("sendMessage", 400, "Bad Request: chat not found")
    li.writes("你好")
    await post.comes()
    assert (await post.all(Delivery))[0].state is state


@SQLITE
async def test_a_long_answer_goes_out_in_parts_and_in_order(post: Post, telegram: FakeTelegram, li: Person) -> None:
    li.writes("你好")
    await post.comes()
    conversation = (await post.all(Conversation))[0]
    agent = await post.house.centre.db.read(lambda s: s.scalars(select(Staff.id).limit(1)).one())
    words = "".join(f"第{n}句😀<b>&，" for n in range(380))  # one sentence, so that only Telegram's limit parts it
    await post.house.centre.db.write(lambda s: escalations.take_over(s, conversation.id, agent, post.house.clock.now()))
    await post.house.centre.db.write(
        lambda s: agent_lines.say(s, post.house.centre, conversation.id, agent, words, post.house.clock.now())
    )
    already = len(li.sees)
    telegram.refuses("sendMessage", 500, "Internal Server Error")
    await post.comes()
    for _ in range(4):
        await post.house.advance(seconds=6)
    parts = li.sees[already:]
    assert len(parts) == 2
    assert "".join(parts) == words


async def taken(post: Post, at: str) -> Desk:
    """A supervisor who has taken the conversation."""
    desk = await Desk.of(post.house.centre, post.house.client, Role.SUPERVISOR)
    await desk.see(at)
    await desk.do(f"{at}/take-over")
    return desk


async def test_an_agent_s_files_and_quotes_reach_the_chat_as_such(post: Post, li: Person) -> None:
    li.writes("家里暖气不热")
    await post.comes()
    asked, answered = li.messages[0], li.last
    conversation = (await post.all(Conversation))[0].id
    at = f"/console/conversations/{conversation}"
    desk = await taken(post, at)
    theirs = next(line for line in await post.all(Message) if line.author == "customer")
    await desk.do(f"{at}/files", files={"file": ("报价.png", PNG, "image/png")}, client="a-1", quotes=theirs.seq)
    await desk.do(f"{at}/files", files={"file": ("说明.docx", DOCX, "application/octet-stream")}, client="a-2")
    await desk.do(f"{at}/files", files={"file": ("说明.docx", DOCX, "application/octet-stream")}, client="a-2")
    ours = next(line for line in await post.all(Message) if line.author == "bot")
    await desk.do(f"{at}/say", text="按这个来", client="a-3", quotes=ours.seq)
    await desk.do(f"{at}/say", text="按这个来", client="a-3", quotes=ours.seq)
    for _ in range(4):
        await post.house.advance(seconds=3)
    photo, document, words = [shown for shown in li.messages if not shown.mine][-3:]
    assert (photo.file, photo.answers) == (("photo", "报价.png", PNG), asked.message_id)
    assert document.file == ("document", "说明.docx", DOCX)
    first = next(shown for shown in li.messages if not shown.mine)
    assert (words.text, words.answers) == ("按这个来", first.message_id)
    assert answered.message_id >= first.message_id
    home = post.house.centre.settings.home / "media"
    assert len([each for each in home.rglob("*") if each.is_file()]) == 2  # the one sent again was not kept again
    page = await desk.see(at)
    assert page.count("✓</span> 已发出") == 3
    assert theirs.text in page.split('class="quoted"')[1]


@SQLITE
async def test_a_picture_that_is_none_to_telegram_goes_out_as_a_document(
    post: Post, telegram: FakeTelegram, li: Person
) -> None:
    li.writes("家里暖气不热")
    await post.comes()
    at = f"/console/conversations/{(await post.all(Conversation))[0].id}"
    desk = await taken(post, at)
    telegram.refuses("sendPhoto", 400, "Bad Request: PHOTO_INVALID_DIMENSIONS")
    await desk.do(f"{at}/files", files={"file": ("long.png", PNG, "image/png")})
    await post.house.advance(seconds=3)
    assert li.last.file == ("document", "long.png", PNG)


@SQLITE
async def test_a_line_that_failed_is_sent_again_only_when_asked(post: Post, telegram: FakeTelegram, li: Person) -> None:
    li.writes("家里暖气不热")
    await post.comes()
    at = f"/console/conversations/{(await post.all(Conversation))[0].id}"
    desk = await taken(post, at)
    telegram.refuses("sendMessage", 400, "Bad Request: message is not allowed")
    await desk.do(f"{at}/say", text="您好")
    await post.house.advance(seconds=3)
    seq = (await post.all(Message))[-1].seq
    assert "没有送到" in await desk.see(at)
    await post.house.advance(minutes=5)
    assert "您好" not in li.sees
    await desk.do(f"{at}/lines/{seq}/again")
    await post.house.advance(seconds=3)
    assert li.sees.count("您好") == 1
    assert "没有送到" not in await desk.see(at)
    assert "said=not_lost" in await desk.do(f"{at}/lines/{seq}/again")


@SQLITE
async def test_what_an_agent_may_not_send_is_refused_kindly(post: Post, li: Person) -> None:
    li.writes("家里暖气不热")
    await post.comes()
    at = f"/console/conversations/{(await post.all(Conversation))[0].id}"
    desk = await taken(post, at)
    for name, content, mime in (
        ("setup.exe", b"MZ", "application/x-msdownload"),
        ("picture.png", b"MZ\x90", "image/png"),
        ("page.svg", b"<svg/>", "image/svg+xml"),
    ):
        assert "said=file_wrong_type" in await desk.do(f"{at}/files", files={"file": (name, content, mime)})
    assert "said=file_missing" in await desk.do(f"{at}/files", files={"other": ("a.txt", b"a", "text/plain")})
    assert await post.all(Attachment) == []


@SQLITE
async def test_the_same_number_on_two_channels_is_two_people(post: Post, li: Person) -> None:
    li.writes("家里暖气不热")
    await post.comes()
    before = len(await post.all(Contact))
    await post.house.client.post(
        "/webhooks/rest/webhook", json={"sender": "wang", "message": "家里暖气不热，3号楼2单元501，电话13800001234"}
    )
    li.writes("3号楼2单元501，电话13800001234")
    await post.comes()
    people = await post.all(Contact)
    assert len(people) == before + 1
    assert all(person.merged_into_id is None for person in people)
    assert len({conversation.contact_id for conversation in await post.all(Conversation)}) == 2


@SQLITE
@pytest.mark.parametrize("mode", ["webhook"])
async def test_brought_updates_need_the_secret_and_are_answered_after_the_commit(
    post: Post, telegram: FakeTelegram, li: Person
) -> None:
    await post.poller.once(wait=0)
    assert telegram.webhook is not None
    assert telegram.webhook["url"].endswith("/telegram/webhook")
    update = telegram.pending[li.writes("家里暖气不热")]
    client, path = post.house.client, "/telegram/webhook"
    for headers in ({}, {"X-Telegram-Bot-Api-Secret-Token": "wrong"}):
        assert (await client.post(path, json=update, headers=headers)).status_code == 401
    assert await lines(post) == []
    right = {"X-Telegram-Bot-Api-Secret-Token": telegram.webhook["secret_token"]}
    for _ in range(2):
        assert (await client.post(path, json=update, headers=right)).status_code == 200
    assert len(await lines(post)) == 1
    assert (await client.post(path, content=b"[", headers=right)).status_code == 400
    await post.house.advance(seconds=3)
    assert len(li.sees) > 0


@SQLITE
async def test_there_is_no_webhook_door_while_polling(post: Post, telegram: FakeTelegram) -> None:
    await post.poller.once(wait=0)
    assert telegram.webhook is None
    assert (await post.house.client.post("/telegram/webhook", json={})).status_code == 404


async def test_staff_link_their_chat_and_claim_by_a_button(post: Post, telegram: FakeTelegram, li: Person) -> None:
    phones = {}
    for name in ("leader", "supervisor"):
        phones[name] = telegram.person(name)
        desk = await Desk.of(post.house.centre, post.house.client, Role(name))
        await desk.see("/console/me")
        page = await desk.do("/console/me/telegram", status=200)
        code = page.partition("/start staff_")[2].partition("<")[0]
        phones[name].writes(f"/start staff_{code}")
        await post.comes()
        assert "已连接" in phones[name].sees[-1]
        assert "已连接" in await desk.see("/console/me")
        if name == "leader":
            thief = telegram.person("thief")
            thief.writes(f"/start staff_{code}")
            await post.comes()
            assert "过期" in thief.sees[-1]

    li.writes("/human")
    await post.comes()
    await post.house.advance(minutes=5)
    await post.house.advance(hours=4)
    answers = ["认领", "收到", "转给别人"]
    alerts = {name: [m for m in phone.messages if m.titles == answers][-1] for name, phone in phones.items()}

    phones["leader"].presses("认领")
    await post.comes()
    await post.house.settle()
    (escalation,) = await post.all(Escalation)
    (leader,) = [person for person in await post.all(Staff) if person.username == "leader"]
    conversation = (await post.all(Conversation))[-1]
    assert (escalation.acknowledged_by, conversation.staff_id) == (leader.id, leader.id)
    assert all(leader.name in alert.text and alert.buttons == [] for alert in alerts.values())

    telegram.notes.clear()
    data = next(
        button["callback_data"]
        for method, call in telegram.calls
        if method == "sendMessage" and call["chat_id"] == phones["supervisor"].id and "reply_markup" in call
        for row in call["reply_markup"]["inline_keyboard"]
        for button in row
    )
    phones["supervisor"].presses_data(data, alerts["supervisor"])
    await post.comes()
    assert telegram.notes == [f"已由{leader.name}接手。"]
    assert (await post.all(Escalation))[0].acknowledged_by == leader.id

    desk = await Desk.of(post.house.centre, post.house.client, Role.LEADER)
    await desk.see("/console/me")
    await desk.do("/console/me/telegram/unlink")
    assert "连接 Telegram" in await desk.see("/console/me")


async def test_two_processes_take_turns(post: Post, telegram: FakeTelegram) -> None:
    await post.poller.once(wait=0)
    telegram.refuses("getUpdates", 409, "Conflict: terminated by other getUpdates request")
    with pytest.raises(Exception, match="Conflict"):
        await post.poller.once(wait=0)


@SQLITE
async def test_readyz_tells_how_asking_goes(post: Post) -> None:
    assert (await post.house.client.get("/readyz")).json()["telegram"] == {"ok": None, "mode": "polling"}
    await post.poller._office.lease()
    await post.comes()
    told = (await post.house.client.get("/readyz")).json()["telegram"]
    assert told["ok"] is True
    assert told["heard_at"]
    await post.poller._office.failed("409: another process asks with the same token")
    told = (await post.house.client.get("/readyz")).json()
    assert "409" in told["telegram"]["error"]
    assert any("telegram" in each for each in told["degraded"])
