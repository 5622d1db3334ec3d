"""Telegram's single decisions: what an update is, what an error means, how texts and keyboards are laid out."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiogram import Bot
from aiogram.types import Update
from hypothesis import given
from hypothesis import strategies as st

from bot.channels.telegram.channel import TelegramChannel, breadth, keyboard
from bot.channels.telegram.edge import connect
from bot.channels.telegram.polling import Office, Poller
from bot.channels.telegram.receiver import Receiver
from bot.channels.telegram.updates import Me, read
from bot.core.arrivals import Arrival, Linking, Moved, NotNow, Press, Reached, Taken
from bot.core.media import SHOWN, TYPES, Attachment, MediaKind, claimed_type, is_what_it_says, refusal, safe_name
from bot.core.splitting import cut, units
from bot.core.words import Button, ChannelName, Incoming, Language, Outgoing, Rejected, TryLater, Unsure
from tests.fakes.telegram import BOT, TOKEN, FakeTelegram, Person

ME = Me(int(str(BOT["id"])), str(BOT["username"]))
TELEGRAM = ChannelName.TELEGRAM
CHAT = {"id": 7, "type": "private", "first_name": "Li"}
LI = {"id": 7, "is_bot": False, "first_name": "Li", "language_code": "zh-hans"}


def message(**content: Any) -> dict[str, Any]:
    return {"message_id": 3, "date": 1782874800, "chat": CHAT, "from": LI, **content}


def arrival(**update: Any) -> Arrival | None:
    return read(Update.model_validate({"update_id": 1, **update}), ME)


# ── texts ──


@given(st.text(alphabet=st.sampled_from("字a😀。，. \n!"), max_size=400), st.integers(min_value=2, max_value=60))
def test_a_cut_text_fits_is_in_order_and_loses_no_word(text: str, limit: int) -> None:
    parts = cut(text, limit)
    assert all(units(part) <= limit for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "limit", "parts"),
    [
        ("短", 10, ["短"]),
        ("第一段。\n\n第二段，长一些。", 12, ["第一段。", "第二段，长一些。"]),
        ("One. Two three.", 10, ["One.", "Two three."]),
        ("一二三四五六", 4, ["一二三四", "五六"]),
        ("😀😀😀", 4, ["😀😀", "😀"]),
        ("版本3.5可以用了吗", 8, ["版本3.5可以用", "了吗"]),
    ],
)
def test_where_a_text_is_cut(text: str, limit: int, parts: list[str]) -> None:
    assert cut(text, limit) == parts


# ── keyboards ──


@pytest.mark.parametrize(
    ("titles", "rows"),
    [
        (["是", "否"], [["是", "否"]]),
        (["今天刚开始", "一两天了", "三天以上"], [["今天刚开始", "一两天了", "三天以上"]]),
        (
            ["暖气不热报修", "物业报修", "很长很长的一个选项名字"],
            [["暖气不热报修", "物业报修"], ["很长很长的一个选项名字"]],
        ),
        ([str(n) for n in range(1, 6)], [["1", "2", "3", "4", "5"]]),
        ([], None),
    ],
)
def test_titles_stand_side_by_side_while_they_fit(titles: list[str], rows: list[list[str]] | None) -> None:
    markup = keyboard(12, [Button(title, f"/{n}") for n, title in enumerate(titles)])
    assert ([[key.text for key in row] for row in markup.inline_keyboard] if markup else None) == rows


def test_a_button_carries_where_it_stands_and_nothing_else() -> None:
    markup = keyboard(2**62, [Button("选", '/inform{"address": "' + "很长" * 60 + '"}')] * 30)
    assert markup is not None
    data = [key.callback_data or "" for row in markup.inline_keyboard for key in row]
    assert data[29] == f"{2**62}:29"
    assert max(len(each.encode()) for each in data) <= 64
    assert max(len(row) for row in markup.inline_keyboard) <= 8
    assert breadth("a选") == 3


# ── updates ──


@pytest.mark.parametrize(
    ("text", "payload", "context", "aside"),
    [
        ("/start", "/greet", {}, ""),
        ("/start spring_2026", "/greet", {"campaign": "spring_2026"}, ""),
        ("/start 不是参数", "/greet", {}, ""),
        ("/human", "/ask_human", {}, ""),
        ("/Human@hotline_test_bot please", "/ask_human", {}, ""),
        ("/cancel", "/cancel", {}, ""),
        ("/stop", "/stop_contact", {}, ""),
        ("/language", None, {}, "choose_language"),
        ("/unknown", None, {}, ""),
        ("1/2", None, {}, ""),
        ("你好", None, {}, ""),
    ],
)
def test_words_and_commands(text: str, payload: str | None, context: dict[str, str], aside: str) -> None:
    heard = arrival(message=message(text=text))
    assert isinstance(heard, Incoming)
    assert (heard.payload, dict(heard.context), heard.aside, heard.text) == (payload, context, aside, text)
    assert (heard.address, heard.provider_id, heard.spoken) == ("7", "7:3", Language.ZH)


@pytest.mark.parametrize(
    ("update", "meant"),
    [
        ({"message": message(text="/start staff_ABC")}, Linking(TELEGRAM, "7", "ABC", Language.ZH)),
        ({"message": message(migrate_to_chat_id=-1007)}, Moved(TELEGRAM, "7", "-1007")),
        ({"message": message(new_chat_title="x")}, None),
        ({"message": {**message(text="hi"), "from": BOT}}, None),
        ({"edited_message": message(text="hi")}, None),
        ({"channel_post": message(text="hi")}, None),
        ({"poll_answer": {"poll_id": "1", "option_ids": [], "option_persistent_ids": []}}, None),
    ],
)
def test_other_updates(update: dict[str, Any], meant: Arrival | None) -> None:
    assert arrival(**update) == meant


@pytest.mark.parametrize(
    ("data", "meant"),
    [("12:3", Press(TELEGRAM, "7", 12, 3, Language.ZH)), ("/ask_human", None), ("12:", None), ("-1:2", None)],
)
def test_presses(data: str, meant: Press | None) -> None:
    query = {"id": "q", "from": LI, "chat_instance": "1", "data": data, "message": {**message(text="?"), "from": BOT}}
    assert arrival(callback_query=query) == meant


@pytest.mark.parametrize(("status", "reachable"), [("kicked", False), ("left", False), ("member", True)])
def test_membership(status: str, reachable: bool) -> None:
    until = {"until_date": 0} if status == "kicked" else {}
    change = {
        "chat": CHAT,
        "from": LI,
        "date": 1,
        "old_chat_member": {"user": BOT, "status": "member"},
        "new_chat_member": {"user": BOT, "status": status, **until},
    }
    assert arrival(my_chat_member=change) == Reached(TELEGRAM, "7", reachable)


@pytest.mark.parametrize(
    ("content", "meant"),
    [
        ({"text": "三号楼停水"}, False),
        ({"text": "@hotline_test_bot 在吗", "entities": [{"type": "mention", "offset": 0, "length": 17}]}, True),
        ({"text": "@another_bot 在吗", "entities": [{"type": "mention", "offset": 0, "length": 12}]}, False),
        ({"text": "/human", "entities": [{"type": "bot_command", "offset": 0, "length": 6}]}, True),
        ({"text": "/human@another_bot", "entities": [{"type": "bot_command", "offset": 0, "length": 18}]}, False),
        ({"text": "/roll", "entities": [{"type": "bot_command", "offset": 0, "length": 5}]}, False),
        ({"text": "收到", "reply_to_message": {**message(text="x"), "from": BOT}}, True),
        ({"text": "收到", "reply_to_message": message(text="x")}, False),
    ],
)
def test_who_is_meant_in_a_group(content: dict[str, Any], meant: bool) -> None:
    heard = arrival(message=message(**content, chat={"id": -5, "type": "group", "title": "群"}))
    assert (isinstance(heard, Incoming) and heard.aside == "group") == meant
    assert meant or heard is None


# ── files ──


@pytest.mark.parametrize(
    ("mime", "size", "why_not"),
    [
        ("image/jpeg", 10, None),
        ("IMAGE/JPG", None, None),
        ("text/plain; charset=utf-8", 10, None),
        ("application/pdf", 20 * 1024 * 1024 + 1, "too_large"),
        ("text/html", 10, "wrong_type"),
        ("image/svg+xml", 10, "wrong_type"),
        ("application/vnd.android.package-archive", 10, "wrong_type"),
        ("", 10, "wrong_type"),
    ],
)
def test_which_files_are_taken(mime: str, size: int | None, why_not: str | None) -> None:
    assert refusal(Attachment(MediaKind.DOCUMENT, "x", mime=mime, size=size)) == why_not


def test_a_file_is_what_its_first_bytes_say() -> None:
    assert not any(is_what_it_says(mime, b"MZ\x90\x00\x03") for mime in TYPES)
    assert not any(is_what_it_says(mime, b"") for mime in TYPES)
    assert is_what_it_says("audio/ogg", b"OggS....")


@pytest.mark.parametrize(
    ("brands", "is_one"),
    [(b"heic\0\0\0\0mif1heic", True), (b"mif1\0\0\0\0heix", True), (b"isom\0\0\0\0mp41", False), (b"", False)],
)
def test_an_iphone_s_picture_is_known_by_its_brands(brands: bytes, is_one: bool) -> None:
    head = (8 + len(brands)).to_bytes(4) + b"ftyp" + brands + b"heic of the next box"
    for mime in ("image/heic", "image/heif"):
        assert is_what_it_says(mime, head) is is_one
        assert mime not in SHOWN
    assert claimed_type("", "IMG_0001.HEIC") == "image/heic"  # as a browser on Windows has it


@given(st.text(max_size=300))
def test_a_file_name_is_only_a_name(name: str) -> None:
    safe = safe_name(name)
    assert len(safe) <= 120
    assert not set(safe) & set('/\\"\r\n\x00')
    assert safe not in {".", ".."}


# ── sending ──


@pytest.fixture
async def bot(telegram: FakeTelegram) -> Any:
    client = connect(TOKEN, telegram.url)
    client.session.timeout = 0.3
    yield client
    await client.session.close()


def out(to: Person | str, text: str = "您好") -> Outgoing:
    address = to if isinstance(to, str) else str(to.id)
    return Outgoing(5, TELEGRAM, address, text, Language.ZH)


@pytest.mark.parametrize(
    ("trouble", "answer"),
    [
        (lambda t: t.refuses("sendMessage", 429, "Too Many Requests", retry_after=9), (TryLater, 9)),
        (lambda t: t.refuses("sendMessage", 500, "Internal Server Error"), (TryLater, 5)),
        (lambda t: t.refuses("sendMessage", 401, "Unauthorized"), (TryLater, 300)),
        (lambda t: t.refuses("sendMessage", 403, "Forbidden: bot was blocked by the user"), (Rejected, True)),
        (lambda t: t.refuses("sendMessage", 400, "Bad Request: chat not found"), (Rejected, True)),
        (lambda t: t.refuses("sendMessage", 400, "Bad Request: message is too long"), (Rejected, False)),
        (lambda t: t.hangs("sendMessage"), (Unsure, None)),
        (lambda t: t.gateway_fails("sendMessage"), (Unsure, None)),
        (lambda t: t.drops("sendMessage", after_acting=False), (Unsure, None)),
        (lambda t: t.drops("sendMessage", after_acting=True), (Unsure, None)),
    ],
)
async def test_what_an_answer_means(
    telegram: FakeTelegram, li: Person, bot: Bot, trouble: Any, answer: tuple[type, Any]
) -> None:
    trouble(telegram)
    with pytest.raises(answer[0]) as met:
        await TelegramChannel(bot, Path("media")).send(out(li))
    assert getattr(met.value, "after", getattr(met.value, "unreachable", None)) == answer[1]


async def test_a_server_that_is_not_there_took_nothing(bot: Bot, telegram: FakeTelegram, li: Person) -> None:
    await telegram.stop()
    with pytest.raises(TryLater):
        await TelegramChannel(bot, Path("media")).send(out(li))


async def test_markup_is_sent_as_it_is_written(bot: Bot, telegram: FakeTelegram, li: Person) -> None:
    words = "<b>100%</b> _a_ *b* [x](y) & `c` https://t.me"
    assert (await TelegramChannel(bot, Path("media")).send(out(li, words))).provider_id == str(li.last.message_id)
    assert li.sees == [words]
    assert "parse_mode" not in dict(telegram.calls)["sendMessage"]


async def test_an_address_of_another_kind_is_refused(bot: Bot) -> None:
    with pytest.raises(Rejected):
        await TelegramChannel(bot, Path("media")).send(out("browser-1"))


# ── asking ──


def poller(bot: Bot, take: Any, leases: Any = None) -> Poller:
    async def nothing(*_: object) -> None: ...

    async def mine() -> bool:
        return True

    office = Office(lease=leases or mine, heard=nothing, failed=nothing, leave=nothing)
    return Poller(TelegramChannel(bot, Path("media")), Receiver(bot, take), office, {Language.ZH: [("start", "开始")]})


async def test_what_cannot_be_committed_now_comes_again_and_holds_up_no_other_chat(
    telegram: FakeTelegram, bot: Bot, li: Person
) -> None:
    taken: list[str] = []
    down = True

    async def take(arrival: Arrival) -> Taken:
        assert isinstance(arrival, Incoming)
        if down and arrival.text == "b":
            raise NotNow
        taken.append(arrival.text)
        return Taken()

    wu = telegram.person("Wu")
    for person, words in ((li, "a"), (li, "b"), (li, "c"), (wu, "d")):
        person.writes(words)
    asker = poller(bot, take)
    with pytest.raises(NotNow):
        await asker.once(wait=0)
    assert sorted(taken) == ["a", "d"]  # c waits behind b: a chat is taken in order
    down = False
    taken.clear()
    await asker.once(wait=0)
    assert sorted(taken) == ["b", "c", "d"]
    await asker.once(wait=0)
    assert telegram.pending == {}


async def test_a_later_asker_ends_an_earlier_one(telegram: FakeTelegram, bot: Bot) -> None:
    async def take(_: Arrival) -> Taken:
        return Taken()

    first, second = poller(bot, take), poller(bot, take)
    await first.introduce()
    await second.introduce()
    bot.session.timeout = 10
    waiting = asyncio.create_task(first.once(wait=5))
    while not telegram.polling:
        await asyncio.sleep(0.01)
    await second.once(wait=0)
    with pytest.raises(Exception, match="Conflict"):
        await waiting
