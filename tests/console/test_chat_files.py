"""Files a visitor sends in the chat: what is taken, how much of it, whose it is, and that it is taken once."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from sqlalchemy import select

from bot.core.media import MAX_BYTES, MediaKind, MediaState
from bot.core.words import ChannelName, ConversationState, Role
from bot.services.conversation import inbox, media, webchat
from bot.services.conversation.webchat import ChatLine
from bot.web.chat import COOKIE
from bot.web.uploads import MAX_BODY
from store.tables import Attachment, Message
from tests.fakes.desk import Desk
from tests.fakes.house import House
from tests.fakes.people import OURS

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
HEIC = (24).to_bytes(4) + b"ftypheic\0\0\0\0mif1heic" + b"picture" * 20
PNG = b"\x89PNG\r\n\x1a\n" + b"picture" * 20


@pytest.fixture
async def visitor(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """Somebody who has opened the chat page, and was greeted."""
    await client.get("/chat")
    await client.post("/chat/open", headers=OURS)
    return client


def of(client: httpx.AsyncClient) -> str:
    return client.cookies[COOKIE]


def lines_of(house: House, token: str) -> list[ChatLine]:
    def read(session):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return webchat.lines(session, webchat.present(session, token).address_id or 0)

    lines: list[ChatLine] = house.centre.db.read_now(read)
    return lines


def attachments(house: House) -> list[Attachment]:
    return list(house.centre.db.read_now(lambda s: s.scalars(select(Attachment).order_by(Attachment.id)).all()))


def on_disk(house: House) -> list[Path]:
    return [path for path in media.folder(house.centre).rglob("*") if path.is_file()]


async def send(
    client: httpx.AsyncClient,
    content: bytes = PNG,
    name: str = "图.png",
    mime: str | None = "image/png",
    *,
    text: str = "",
    client_id: str = "a1",
) -> httpx.Response:
    file = (name, content, mime) if mime else (name, content)
    return await client.post(
        "/chat/files", data={"client_id": client_id, "text": text}, files={"file": file}, headers=OURS
    )


async def test_a_picture_is_kept_and_is_its_visitors_own(house: House, visitor: httpx.AsyncClient) -> None:
    assert (await send(visitor, name="../../样 图.png")).json() == {"state": ConversationState.BOT, "repeated": False}
    (kept,), (path,) = attachments(house), on_disk(house)
    assert (kept.state, kept.kind, kept.channel) == (MediaState.KEPT, MediaKind.PHOTO, ChannelName.WEBCHAT)
    assert (kept.name, kept.size, kept.file) == ("样 图.png", len(PNG), path.name)
    assert path.stat().st_mode & 0o777 == 0o600
    line = next(line for line in lines_of(house, of(visitor)) if line.files)
    got = await visitor.get(line.files[0].url)
    assert (got.content, got.headers["content-type"]) == (PNG, "image/png")
    assert got.headers["cross-origin-resource-policy"] == "same-origin"
    assert "sandbox" in got.headers["content-security-policy"]

    for cookie in (None, "x" * 43, "../../etc/passwd"):
        visitor.cookies.clear()
        if cookie:
            visitor.cookies.set(COOKIE, cookie)
        assert (await visitor.get(line.files[0].url)).status_code == 404
    visitor.cookies.clear()
    await visitor.get("/chat")
    await send(visitor, b"GIF89a" + PNG, "别人的.gif", "image/gif")  # somebody else, with a file of their own
    assert (await visitor.get(line.files[0].url)).status_code == 404


@SQLITE
async def test_an_iphone_s_own_picture_is_a_file_to_be_saved(house: House, visitor: httpx.AsyncClient) -> None:
    assert (await send(visitor, HEIC, "IMG_0001.HEIC", None)).status_code == 200
    assert (await send(visitor, PNG, "IMG_0002.HEIC", "image/heic", client_id="b1")).status_code == 415
    (kept,) = attachments(house)
    assert (kept.mime, kept.kind, kept.state) == ("image/heic", MediaKind.PHOTO, MediaState.KEPT)
    line = next(line for line in lines_of(house, of(visitor)) if line.files)
    got = await visitor.get(line.files[0].url)
    assert (got.content, got.headers["content-disposition"]) == (HEIC, 'attachment; filename="IMG_0001.HEIC"')
    conversation = house.centre.db.read_now(lambda s: s.scalars(select(Message.conversation_id)).first())
    supervisor = await Desk.of(house.centre, visitor, Role.SUPERVISOR)
    page = await supervisor.see(f"/console/conversations/{conversation}")
    assert f'files/{kept.id}" download>IMG_0001.HEIC' in page
    assert f'<img src="/console/conversations/{conversation}/files/{kept.id}"' not in page


async def test_a_file_sent_twice_is_one_line_and_one_file(house: House, visitor: httpx.AsyncClient) -> None:
    answers = [await send(visitor) for _ in range(3)]
    assert [answer.json()["repeated"] for answer in answers] == [False, True, True]
    assert [line.client for line in lines_of(house, of(visitor)) if line.files] == ["a1"]
    assert len(attachments(house)) == len(on_disk(house)) == 1


@pytest.mark.parametrize("committed", [True, False])
async def test_what_broke_around_the_commit_lies_there_once(
    house: House, visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, *, committed: bool
) -> None:
    receive = inbox.receive

    async def breaks(*given: object) -> None:
        if committed:
            await receive(*given)  # type: ignore[arg-type]
        raise ConnectionError

    monkeypatch.setattr(inbox, "receive", breaks)
    with pytest.raises(ConnectionError):
        await send(visitor)
    monkeypatch.undo()
    assert (await send(visitor)).json()["repeated"] is committed
    assert (await send(visitor, PNG + b"something else")).json()["repeated"] is True
    (kept,), (path,) = attachments(house), on_disk(house)
    assert (path.name, path.read_bytes()) == (kept.file, PNG)


@SQLITE
async def test_words_beside_a_file_are_answered_as_words(house: House, visitor: httpx.AsyncClient) -> None:
    await send(visitor, text="暖气片漏水了")
    (line,) = [line for line in lines_of(house, of(visitor)) if line.files]
    assert (line.text, line.aside, len(line.files)) == ("暖气片漏水了", False, 1)
    told = select(Message.understood).where(Message.provider_id.is_not(None))
    understood = house.centre.db.read_now(lambda s: s.scalars(told).one())
    assert understood
    assert understood["intent"]


@SQLITE
async def test_several_pictures_are_answered_once(house: House, visitor: httpx.AsyncClient) -> None:
    greeted = len(lines_of(house, of(visitor)))
    for number in range(3):
        await send(visitor, client_id=f"a{number}")
    lines = lines_of(house, of(visitor))[greeted:]
    assert [len(line.files) for line in lines] == [1, 0, 1, 1]
    assert all(line.aside for line in lines)


@SQLITE
async def test_a_visitor_who_was_never_greeted_is(house: House, client: httpx.AsyncClient) -> None:
    await client.get("/chat", params={"lang": "en"})
    assert (await send(client)).status_code == 200
    photo, *answers = lines_of(house, of(client))
    assert photo.files
    assert len(answers) > 1
    assert "I cannot" in answers[-1].text or "can't" in answers[-1].text


@SQLITE
@pytest.mark.parametrize(
    ("content", "name", "mime"),
    [
        (b"MZ\x90 a program", "照片.png", "image/png"),
        (PNG, "图.jpg", "image/jpeg"),
        (b"<svg onload='x()'/>", "a.svg", "image/svg+xml"),
        (b"<script>", "a.html", "text/html"),
        (b"PK\x03\x04", "a.zip", "application/zip"),
        (b"MZ", "setup.exe", None),
        (b"text \x00 binary", "a.txt", "text/plain"),
        (b"", "空.png", "image/png"),
    ],
)
async def test_what_could_run_or_is_not_what_it_says_is_refused(
    house: House, visitor: httpx.AsyncClient, content: bytes, name: str, mime: str | None
) -> None:
    answer = await send(visitor, content, name, mime)
    assert (answer.status_code, answer.json()["code"]) == (415, "file_wrong_type")
    assert "收不了" in answer.json()["error"]
    assert (attachments(house), on_disk(house)) == ([], [])


@SQLITE
async def test_what_is_too_large_is_refused_before_it_is_read(house: House, visitor: httpx.AsyncClient) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield bytes(65536)

    head = {**OURS, "content-type": "multipart/form-data; boundary=x"}
    for length in ({"content-length": str(MAX_BODY + 1)}, {"transfer-encoding": "chunked"}, {"content-length": "many"}):
        answer = await visitor.post("/chat/files", content=endless(), headers={**head, **length})
        assert (answer.status_code, answer.json()["code"]) == (413, "file_too_large")
    assert read <= 3  # the client's own look ahead
    answer = await send(visitor, PNG + bytes(MAX_BYTES))  # the form may be so long, the file may not
    assert (answer.status_code, answer.json()["code"]) == (413, "file_too_large")
    assert "20 MB" in answer.json()["error"]
    assert (await send(visitor, PNG + bytes(MAX_BYTES - len(PNG)))).status_code == 200
    assert [kept.size for kept in attachments(house)] == [MAX_BYTES]


@SQLITE
@pytest.mark.parametrize(
    ("form", "files", "code"),
    [
        ({"client_id": "a"}, None, "file_missing"),
        ({"client_id": "a", "file": "no file"}, None, "file_missing"),
        ({"client_id": "a"}, [("file", ("a.png", PNG)), ("file", ("b.png", PNG))], "file_missing"),
        ({str(number): "x" for number in range(9)}, {"file": ("a.png", PNG)}, "file_missing"),
        ({}, {"file": ("a.png", PNG)}, "malformed"),
        ({"client_id": "a b"}, {"file": ("a.png", PNG)}, "malformed"),
        ({"client_id": "a", "text": "长" * 4001}, {"file": ("a.png", PNG)}, "too_long"),
    ],
)
async def test_what_is_no_form_with_a_file_is_refused(
    house: House, visitor: httpx.AsyncClient, form: dict[str, str], files: object, code: str
) -> None:
    answer = await visitor.post("/chat/files", data=form, files=files, headers=OURS)  # type: ignore[arg-type]
    assert answer.json()["code"] == code
    assert answer.json()["error"]
    assert (attachments(house), on_disk(house)) == ([], [])


@SQLITE
async def test_bytes_that_are_no_form_are_refused(visitor: httpx.AsyncClient) -> None:
    for kind in ("multipart/form-data; boundary=x", "multipart/form-data", "application/json", "text/plain"):
        answer = await visitor.post("/chat/files", content=b"--y\r\nwhat", headers={**OURS, "content-type": kind})
        assert answer.json()["code"] == "file_missing"


@SQLITE
async def test_only_our_own_page_can_send(house: House, visitor: httpx.AsyncClient) -> None:
    files = {"file": ("a.png", PNG)}
    assert (await visitor.post("/chat/files", data={"client_id": "a"}, files=files)).status_code == 403
    visitor.cookies.clear()
    assert (await send(visitor)).status_code == 403
    assert on_disk(house) == []


@SQLITE
async def test_files_count_as_lines_for_the_visitors_rate(house: House, visitor: httpx.AsyncClient) -> None:
    async def never(*_: object) -> bool:
        return False

    house.app.state.chat_limiter = SimpleNamespace(allows=never)
    answer = await send(visitor)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_fast")
    assert on_disk(house) == []


@SQLITE
async def test_a_disk_that_is_nearly_full_takes_no_file(
    house: House, visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1024))
    answer = await send(visitor)
    assert (answer.status_code, answer.json()["code"]) == (507, "file_no_room")
    assert (attachments(house), on_disk(house)) == ([], [])
    monkeypatch.undo()
    assert (await send(visitor)).json()["repeated"] is False
