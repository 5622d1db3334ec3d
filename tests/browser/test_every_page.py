"""Every page: no complaint, nothing unlabelled, nothing too pale, nothing wider than the screen; light and dark."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import NewPage
from tests.browser.giving import PNG
from tests.browser.program import Program

OPEN = ("/", "/chat", "/sign-in", "/no-such-page")
ROOMS = (
    "/console",
    "/console/cases",
    "/console/cases/new",
    "/console/hand-overs",
    "/console/roster",
    "/console/roster/print",
    "/console/visits",
    "/console/search?q=x",
    "/console/search?q=暖气",
    "/console/callbacks",
    "/console/callbacks/calendar?month=2026-10",
    "/console/callbacks/plans",
    "/console/callbacks/plans/outpatient_surgery",
    "/console/callbacks/import",
    "/console/callbacks/new?contact=1",
    "/console/audit",
    "/console/me",
)
MISSING = ("404",)

LOOK = Path(__file__).with_name("look.js").read_text(encoding="utf-8")


def problems(page: Page) -> list[Any]:
    page.wait_for_timeout(150)
    found: list[Any] = page.evaluate(LOOK)
    return found


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["zh-CN", "en-US"])
def test_open_pages(new_page: NewPage, program: Program, language: str, scheme: str, width: int) -> None:
    page = new_page("/", width=width, language=language, scheme=scheme, expects=MISSING)
    found = {}
    for path in OPEN:
        page.goto(program.address + path)
        if path == "/chat":
            expect(page.locator(".said").first).to_be_visible()
        found[path] = problems(page)
    assert found == {path: [] for path in OPEN}


def test_the_console(new_page: NewPage, sign_in: Callable[..., Page], program: Program) -> None:
    chat = new_page("/chat")
    expect(chat.locator(".said.bot").first).to_be_visible()
    for line in ("家里暖气片冷了两天，没人来修", "3-2-501", "没有", "转人工"):
        before = chat.locator(".said:not(.customer)").count()
        chat.locator("#words").fill(line)
        chat.locator("#words").press("Enter")
        expect(chat.locator(".said:not(.customer)").nth(before)).to_be_visible()
        chat.wait_for_timeout(300)
    supervisor = sign_in("客服主管")
    supervisor.locator("#queue .talk-link").first.click()
    supervisor.wait_for_url("**/conversations/*")
    supervisor.locator("#claim").click()
    expect(supervisor.locator("#words")).to_be_visible()
    rooms = [*ROOMS, supervisor.url.removeprefix(program.address)]
    supervisor.goto(f"{program.address}/console/cases")
    case = supervisor.locator("table.list a").first
    if case.count():
        rooms.append(case.get_attribute("href") or "")
    found = {}
    for scheme in ("light", "dark"):
        supervisor.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        for width in (360, 1280):
            supervisor.set_viewport_size({"width": width, "height": 800})
            for room in rooms:
                supervisor.goto(program.address + room)
                found[f"{room} {scheme} {width}"] = problems(supervisor)
    assert {where: what for where, what in found.items() if what} == {}


def test_the_staff_list(sign_in: Callable[..., Page], program: Program) -> None:
    admin = sign_in("系统管理员")
    for width in (360, 1280):
        admin.set_viewport_size({"width": width, "height": 800})
        admin.goto(f"{program.address}/console/staff")
        assert problems(admin) == []
    admin.locator("input[name=username]").fill("Xiao")
    admin.locator("form[action='/console/staff'] input[name=name]").fill("小谢")
    admin.locator("form[action='/console/staff'] input[value=agent]").check()
    admin.locator("form[action='/console/staff'] button").click()
    expect(admin.locator(".notice")).to_contain_text("已添加员工")
    admin.locator(".person", has_text="xiao").get_by_role("button", name="生成登录链接").click()
    assert "/sign-in/link/" in (admin.locator("pre").text_content() or "")


def test_markup_from_a_customer_is_only_text(new_page: NewPage, sign_in: Callable[..., Page]) -> None:
    hostile = "<img src=x onerror=\"document.title='owned'\"><b>粗</b> 转人工"
    chat = new_page("/chat", width=390)
    expect(chat.locator(".said.bot").first).to_be_visible()
    chat.locator("#words").fill(hostile)
    chat.locator("#words").press("Enter")
    expect(chat.locator(".said.customer .words")).to_have_text(hostile)
    agent = sign_in("客服专员")
    expect(agent.locator(".floor")).to_be_visible()
    assert "owned" not in (chat.title() + agent.title())
    assert agent.locator(".floor img, .floor b b").count() == 0


@pytest.fixture
def shop(program: Program) -> Iterator[str]:
    """Somebody else's site, with our one line in it."""
    page = (
        f'<!doctype html><html lang="zh"><title>店</title><h1>小店</h1><script src="{program.address}/widget.js" async>'
    )

    class Shop(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/" else 204)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            if self.path == "/":
                self.wfile.write(f"{page}</script></html>".encode())

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        serving.join()


def test_the_widget_stands_on_anybodys_page(new_page: NewPage, shop: str) -> None:
    page = new_page(shop)
    page.get_by_role("button", name="在线客服").click()
    frame = page.frame_locator("iframe")
    expect(frame.locator(".said.bot").first).to_be_visible()
    frame.get_by_label("输入消息").fill("转人工")
    frame.get_by_label("输入消息").press("Enter")
    expect(frame.locator(".said.bot").nth(1)).to_be_visible()
    frame.locator("#files").set_input_files({"name": "漏水.png", "mimeType": "image/png", "buffer": PNG})
    frame.locator("#form button.primary").click()
    frame.locator(".said.customer:not(.unsent) .file img").click()
    expect(frame.locator("#picture img")).to_have_js_property("naturalWidth", 1)
    frame.locator("#picture button").click()
    page.get_by_role("button", name="关闭").click()
    expect(page.locator("iframe")).to_be_hidden()
