"""An agent who leaves a customer without an answer, on a clock that hurries: warned, then somebody else gets the
conversation and is told by a tone and a notification; the supervisor sees who has it (REQ-B05, INT-03)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import NewPage
from tests.browser.program import Program
from tests.browser.test_desk import LONG, LOST, at_work, heard, name, presence, write

SignIn = Callable[..., Page]
TELLS = """
window.told = [];
window.rung = 0;
window.Notification = class extends EventTarget {
  static permission = "granted";
  static requestPermission = async () => "granted";
  constructor(title, { body }) { super(); window.told.push(body); }
  close() {}
};
const AudioOut = window.AudioContext;
window.AudioContext = class extends AudioOut {
  createOscillator() { window.rung += 1; return super.createOscillator(); }
};
Object.defineProperty(document, "hidden", { get: () => true });
"""


@pytest.fixture(scope="module")
def program(browser: Browser, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    assert browser.is_connected()
    program = Program(tmp_path_factory.mktemp("silent") / "data", prepared, speed=10)
    program.start()
    yield program
    program.stop()


def wants_to_be_told(page: Page) -> None:
    """By a tone and by a notification, as one does who looks at another window."""
    page.context.add_init_script(TELLS)
    page.reload()
    page.locator(".me:not(.more) summary").click()
    for kind in ("sound", "notice"):
        page.locator(f"[data-alert={kind}]").check()
    page.reload()


def test_who_stays_silent_is_warned_and_then_somebody_else_gets_it(new_page: NewPage, sign_in: SignIn) -> None:
    supervisor = sign_in("客服主管", width=1440, expects=LOST)
    presence(supervisor, "away")
    first, second = (sign_in("客服专员", width=1440, expects=LOST) for _ in range(2))
    presence(second, "away")
    wants_to_be_told(second)
    chat = new_page("/chat", width=390, expects=LOST)
    expect(chat.locator(".said.bot").first).to_be_visible()
    write(chat, "转人工")
    expect(first.locator("#mine .talk")).to_have_count(1, timeout=LONG)  # nobody took it: it is given to who is there
    first.locator("#mine .talk-link").click()
    at_work(first)
    conversation = first.url
    write(first, "您好，请讲")
    heard(chat, "您好，请讲")
    write(chat, "阀门漏水了")

    warning = first.locator(".line.note .words", has_text="客户在等回复，请尽快回一句")
    expect(warning).to_have_count(1, timeout=LONG)
    expect(chat.locator("#lines")).not_to_contain_text("请尽快回一句")

    presence(second, "online")
    expect(second.locator("#mine .talk")).to_have_count(1, timeout=LONG)
    expect(second.locator("#mine .talk-words")).to_contain_text("阀门漏水了")
    assert second.evaluate("window.told.at(-1)") == "阀门漏水了"
    assert second.evaluate("window.rung") > 0
    expect(supervisor.locator("#others .talk")).to_contain_text(name(second))

    # whoever was silent sees why, and can no longer write there
    expect(first.locator(".line.note .words", has_text=f"{name(first)}没有及时回复，会话转给别的同事。")).to_have_count(
        1
    )
    expect(first.locator(".talk-actions")).to_contain_text(f"{name(second)} 正在接待。")
    expect(first.locator("[data-files-to]")).to_have_count(0)

    second.goto(conversation)
    at_work(second)
    write(second, "我来帮您看")
    heard(chat, "我来帮您看")
    expect(chat.locator("#lines")).not_to_contain_text("没有及时回复")
