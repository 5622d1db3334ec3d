"""What a customer sends besides words: chosen, pasted or dropped, seen before it goes, taken once, seen at the desk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import NewPage
from tests.browser.giving import PNG, drag, drop, paste
from tests.browser.test_desk import LOST, ask, heard, presence, take, write
from tests.browser.test_every_page import problems

SignIn = Callable[..., Page]
GREETED = ".said.bot"
SENT = ".said.customer:not(.unsent)"
ANSWERS_ARE_LOST = """() => {
  const listen = XMLHttpRequest.prototype.addEventListener;
  const heard = { load: "never", error: "load" };
  XMLHttpRequest.prototype.addEventListener = function (type, told) { listen.call(this, heard[type] ?? type, told); };
}"""


def open_chat(new_page: NewPage, **how: object) -> Page:
    chat = new_page("/chat", **how)
    expect(chat.locator(GREETED).first).to_be_visible()
    return chat


def written(folder: Path, **files: bytes) -> list[Path]:
    """Files of these names: `漏水_png` is 漏水.png."""
    paths = [folder / ".".join(name.rsplit("_", 1)) for name in files]
    for path, content in zip(paths, files.values(), strict=True):
        path.write_bytes(content)
    return paths


def tray(chat: Page) -> Locator:
    return chat.locator("#picked li")


def asked_for_a_photo(new_page: NewPage, sign_in: SignIn) -> tuple[Page, Page]:
    """An agent at the desk and the customer they talk with."""
    agent = sign_in("客服专员", width=1440, expects=LOST)
    presence(agent, "away")
    chat = open_chat(new_page, width=390, expects=LOST)
    ask(chat, after=agent, waiting=1)
    take(agent, of=1)
    write(agent, "请拍张照片给我看看")
    heard(chat, "请拍张照片给我看看")
    return agent, chat


def test_picked_pasted_dropped_removed_and_seen_at_the_desk(new_page: NewPage, sign_in: SignIn, tmp_path: Path) -> None:
    agent, chat = asked_for_a_photo(new_page, sign_in)

    photo = chat.screenshot()
    chat.locator("#files").set_input_files(written(tmp_path, 漏水_png=photo, 合同_pdf=b"%PDF-1.7", 游戏_exe=b"MZ"))
    expect(chat.locator("#problem")).to_contain_text("游戏.exe")
    expect(chat.locator("#words")).to_be_focused()
    paste(chat, PNG, "截图.png", "image/png")
    drag(chat.locator("#lines"), PNG, "阀门.png", "image/png")
    expect(chat.locator(".chat.dropping")).to_be_visible()
    drop(chat.locator("#lines"), PNG, "阀门.png", "image/png")
    expect(chat.locator(".chat.dropping")).to_have_count(0)
    expect(tray(chat)).to_have_count(4)
    expect(tray(chat).locator("img")).to_have_count(3)
    chat.get_by_role("button", name="不发这个文件 截图.png").click()
    expect(tray(chat)).to_have_count(3)
    expect(tray(chat).last.locator("button")).to_be_focused()  # the next one, not the beginning of the page
    write(chat, "就是这个阀门")

    expect(tray(chat)).to_have_count(0)
    expect(chat.locator("#problem")).to_be_hidden()
    expect(chat.locator(SENT).locator(".file img")).to_have_count(2)
    expect(chat.locator(SENT, has_text="就是这个阀门").locator(".file img")).to_have_count(1)
    theirs = agent.locator(".line.customer")
    expect(theirs.locator(".file img")).to_have_count(2)
    expect(theirs.locator(".file a", has_text="合同.pdf")).to_have_count(1)
    expect(theirs.filter(has_text="就是这个阀门").locator(".file img")).to_have_count(1)
    for picture in theirs.locator(".file img").all():
        expect(picture).to_have_js_property("complete", True)
    expect(theirs.last).to_be_in_viewport(ratio=1)  # pictures that took their room pushed nothing out of sight

    # after a reload the page shows what it sent, large when it is pressed, and goes on where it stood
    chat.reload()
    expect(chat.locator(SENT).locator(".file img")).to_have_count(2)
    chat.locator(SENT).locator(".file img").first.click()
    expect(chat.locator("#picture img")).to_have_js_property("naturalWidth", 390)
    with chat.expect_download() as saved:
        chat.locator("#picture a").click()
    assert saved.value.suggested_filename == "漏水.png"
    chat.keyboard.press("Escape")
    expect(chat.locator("#picture")).to_be_hidden()


def test_what_was_lost_on_its_way_is_sent_again_and_taken_once(new_page: NewPage, tmp_path: Path) -> None:
    chat = open_chat(new_page, expects=LOST)
    said = chat.locator(SENT).count()
    (photo,) = written(tmp_path, 漏水_png=PNG)

    # nothing got through: it stays, and goes when the person says so
    chat.route("**/chat/files", lambda route: route.abort())
    chat.locator("#files").set_input_files(photo)
    write(chat, "厨房的阀门在漏水")
    failed = chat.locator(".said.unsent", has_text="厨房的阀门在漏水")
    expect(failed.get_by_role("alert")).to_contain_text("没有发出去")
    expect(failed.locator(".file img")).to_have_count(1)
    chat.unroute_all()
    failed.get_by_role("button", name="重新发送").click()
    expect(chat.locator(".said.unsent")).to_have_count(0)
    expect(chat.locator(SENT)).to_have_count(said + 1)

    # it got through and the answer was lost: the line comes by the stream and takes the place of what waits
    chat.evaluate(ANSWERS_ARE_LOST)
    chat.locator("#files").set_input_files(photo)
    chat.locator("#form button.primary").click()
    expect(chat.locator(SENT)).to_have_count(said + 2)
    expect(chat.locator(".said.unsent")).to_have_count(0)
    chat.reload()
    expect(chat.locator(SENT)).to_have_count(said + 2)


def test_a_file_that_is_not_what_it_says_is_refused_and_its_words_go_without_it(
    new_page: NewPage, tmp_path: Path
) -> None:
    chat = open_chat(new_page, language="en-US", expects=LOST)
    chat.locator("#files").set_input_files(written(tmp_path, photo_png=b"MZ this is no picture"))
    write(chat, "My radiator is cold")
    expect(chat.get_by_role("alert").filter(has_text="can't take this kind of file")).to_be_visible()
    expect(chat.locator(SENT, has_text="My radiator is cold")).to_have_count(1)
    expect(chat.locator(".said.unsent")).to_have_count(1)


def test_by_keyboard_alone(new_page: NewPage, tmp_path: Path) -> None:
    chat = open_chat(new_page)
    chat.locator("#words").focus()
    with chat.expect_file_chooser() as asked:
        chat.keyboard.press("Shift+Tab")
        expect(chat.get_by_role("button", name="图片或文件")).to_be_focused()
        chat.keyboard.press("Enter")
    asked.value.set_files(written(tmp_path, 甲_png=PNG, 乙_png=PNG))
    expect(chat.locator("#words")).to_be_focused()
    for left in (1, 0):
        tray(chat).first.locator("button").focus()
        chat.keyboard.press("Enter")
        expect(tray(chat)).to_have_count(left)
    expect(chat.locator("#words")).to_be_focused()


@pytest.mark.parametrize(
    ("width", "scheme", "language"), [(360, "light", "zh-CN"), (360, "dark", "en-US"), (1280, "dark", "zh-CN")]
)
def test_it_can_be_seen(new_page: NewPage, tmp_path: Path, width: int, scheme: str, language: str) -> None:
    chat = open_chat(new_page, width=width, scheme=scheme, language=language, expects=LOST)
    long = "一份名字很长很长很长很长很长很长很长很长的合同_pdf"
    chat.locator("#files").set_input_files(written(tmp_path, 甲_png=PNG, 乙_exe=b"MZ", **{long: b"%PDF-1.7"}))
    expect(tray(chat)).to_have_count(2)
    expect(chat.locator("#problem")).to_be_visible()
    assert problems(chat) == []
    chat.locator("#words").press("Enter")
    expect(chat.locator(SENT).locator(".file")).to_have_count(2)
    assert problems(chat) == []
    chat.locator(SENT).locator(".file img").click()
    expect(chat.locator("#picture")).to_be_visible()
    assert problems(chat) == []


def test_an_iphone_s_own_picture_is_a_card_on_both_sides(new_page: NewPage, sign_in: SignIn, tmp_path: Path) -> None:
    agent, chat = asked_for_a_photo(new_page, sign_in)
    heic = (24).to_bytes(4) + b"ftypheic\0\0\0\0mif1heic" + b"picture" * 20
    (photo,) = written(tmp_path, IMG_1_HEIC=heic)
    chat.locator("#files").set_input_files(photo)
    expect(tray(chat)).to_contain_text("IMG_1.HEIC")
    expect(tray(chat).locator("img")).to_have_count(0)
    write(chat, "")
    expect(chat.locator(f"{SENT} a.file[download]")).to_contain_text("IMG_1.HEIC")
    expect(agent.locator(".line.customer .file a[download]")).to_have_text("IMG_1.HEIC")
    agent.locator("[data-picked]").set_input_files(photo)
    write(agent, "收到，回您一份")
    expect(chat.locator(".said.agent a.file[download]")).to_contain_text("IMG_1.HEIC")
    assert chat.locator(".file img").count() + agent.locator(".line .file img").count() == 0


def test_what_is_too_much_for_a_network_is_kept_and_said_again(new_page: NewPage) -> None:
    chat = open_chat(new_page, width=390, expects=LOST)
    refused: list[str | None] = []

    def door(route: Route) -> None:
        if len(refused) == 2:
            route.continue_()
            return
        refused.append(route.request.post_data)
        route.fulfill(status=429, json={"error": "您所在的网络现在发来的消息太多", "code": "network_busy"})

    chat.route("**/chat/messages*", door)
    write(chat, "阀门一直滴水")
    expect(chat.locator(".said.unsent .trouble")).to_contain_text("您所在的网络现在发来的消息太多")
    expect(chat.locator(SENT, has_text="阀门一直滴水")).to_have_count(1)  # nobody pressed anything
    expect(chat.locator(".trouble")).to_have_count(0)
    assert refused[0] == refused[1]
