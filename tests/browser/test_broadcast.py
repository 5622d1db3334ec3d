"""Story 3 in a real browser: reported, drafted with a live preview, approved by another, watched live, cleared."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import NewPage
from tests.browser.program import Program

SignIn = Callable[..., Page]
LOOK = Path(__file__).with_name("look.js").read_text(encoding="utf-8")


def problems(page: Page) -> list[Any]:
    """What the eye would find: no label, too pale, wider than the screen."""
    page.wait_for_timeout(150)
    found: list[Any] = page.evaluate(LOOK)
    return found


def size(page: Page) -> int:
    return int(page.locator("#preview .figure b").inner_text())


def test_an_outage_from_report_to_all_clear(new_page: NewPage, sign_in: SignIn, program: Program) -> None:
    ops, supervisor = sign_in("系统运维"), sign_in("客服主管")
    board = program.address + "/console/incidents"
    supervisor.goto(board)
    ops.goto(board)
    assert problems(ops) == []
    ops.get_by_label("发生了什么").fill("三号楼供热管道爆裂")
    ops.get_by_label("影响哪些楼").fill("3")
    ops.get_by_role("button", name="上报").click()
    ops.wait_for_url("**/console/incidents/*")

    # it arrives at the other desk without reloading
    supervisor.get_by_role("link", name=re.compile("三号楼供热管道爆裂")).click()
    supervisor.locator("#step-confirm summary").click()
    supervisor.locator("#step-confirm button").click()
    expect(ops.locator("[data-section=state] .badge.bad")).to_have_text("已确认")
    assert problems(ops) == []

    # drafted from the template; the preview follows the form
    ops.get_by_role("link", name="起草公告").click()
    expect(ops.get_by_label("中文内容")).to_have_value(re.compile("供热管道爆裂"))
    assert size(ops) == 5
    ops.get_by_label("哪些楼").fill("3、5")
    expect(ops.locator("#preview .figure b")).to_have_text("7")
    ops.get_by_label("哪些楼").fill("3")
    expect(ops.locator("#preview .figure b")).to_have_text("5")
    assert problems(ops) == []
    ops.get_by_role("button", name="保存草稿").click()
    ops.wait_for_url(re.compile(r"/console/broadcasts/\d+"))
    expect(ops.get_by_text("要由另一位同事批准")).to_be_visible()
    here = ops.url.split("?")[0]

    # a second person approves; both watch it fly, and the parts of the bar sum to the audience
    supervisor.goto(here)
    assert problems(supervisor) == []
    supervisor.get_by_role("button", name="批准并发送").click()
    expect(supervisor.locator("svg.outcomes")).to_be_visible()
    ops.goto(here)
    for desk in (ops, supervisor):
        expect(desk.locator("li[data-outcome=delivered]")).to_have_attribute("data-count", "5", timeout=30_000)
        counts = [int(n) for n in desk.locator(".legend b").all_inner_texts()]
        assert sum(counts) == 5
    assert problems(supervisor) == []
    phone = new_page("/phone")
    phone.locator('input[name="number"]').fill("+8619900000103")
    phone.locator('input[name="number"]').press("Enter")
    expect(phone.get_by_text("收到请回复1").first).to_be_visible()
    phone.locator("#text").fill("1")
    phone.locator("#text-form button").click()
    expect(ops.locator("li[data-outcome=acknowledged]")).to_have_attribute("data-count", "1", timeout=30_000)

    # narrow and in English
    narrow = sign_in("值班组长", width=390, language="en-US")
    for path in (here, board, ops.url):
        narrow.goto(path)
        assert problems(narrow) == []

    # over: the all-clear, to the same people
    supervisor.goto(board)
    supervisor.get_by_role("link", name=re.compile("三号楼供热管道爆裂")).click()
    supervisor.locator("#step-recover summary").click()
    supervisor.locator("#text-recover").fill("换了一段管道")
    supervisor.locator("#step-recover button").click()
    expect(supervisor.get_by_text("还没有收到解除通知")).to_be_visible()
    assert problems(supervisor) == []
    ops.goto(supervisor.url.split("?")[0])
    ops.get_by_role("button", name=re.compile("发解除通知")).click()
    ops.wait_for_url(re.compile(r"/console/broadcasts/\d+"))
    supervisor.goto(ops.url)
    supervisor.get_by_role("button", name="批准并发送").click()
    expect(supervisor.locator("svg.outcomes")).to_be_visible()
    expect(supervisor.locator(".badge.good", has_text="已结束")).to_be_visible(timeout=30_000)
