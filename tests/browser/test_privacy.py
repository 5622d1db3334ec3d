"""People's data in a real browser: an export that a second person allows, and one person's erasure by two others."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, expect

from tests.browser.program import Program

SignIn = Callable[..., Page]
LOOK = Path(__file__).with_name("look.js").read_text(encoding="utf-8")
MADE = 60_000  # milliseconds a file or an erasure may take on a busy machine


def problems(page: Page) -> list[Any]:
    """What the eye would find: no label, too pale, wider than the screen."""
    found: list[Any] = page.evaluate(LOOK)
    return found


def test_an_export_and_an_erasure_each_by_others_word(sign_in: SignIn, program: Program) -> None:
    supervisor, manager = sign_in("客服主管"), sign_in("中心经理", language="en-US", scheme="dark")

    # a list leaves once somebody else has allowed it
    leader = sign_in("值班组长")
    leader.goto(f"{program.address}/console/privacy")
    assert problems(leader) == []
    leader.get_by_label("姓名").check()
    leader.get_by_label("电话", exact=True).check()
    leader.get_by_label("用途").fill("核对名单")
    leader.get_by_label("交给谁").fill("王主任")
    leader.get_by_role("button", name="提交申请").click()
    leader.wait_for_url("**/console/privacy/exports/*")
    expect(leader.locator("#state")).to_have_text("等待审批")
    expect(leader.get_by_role("button", name="批准导出")).to_have_count(0)
    here = leader.url.split("?")[0]
    manager.goto(here)
    assert problems(manager) == []
    manager.get_by_role("button", name="Approve the export").click()
    manager.wait_for_url("**said=saved")
    leader.goto(here)
    expect(leader.locator("#state")).to_have_text("可以下载", timeout=MADE)
    assert problems(leader) == []
    with leader.expect_download() as taken:
        leader.get_by_role("link", name="下载", exact=True).click()
    assert taken.value.suggested_filename.endswith(".xlsx")

    # a person, known by a number; a mistake in the name is corrected and stays legible
    made = httpx.post(
        f"{program.address}/api/v1/contacts",
        headers={"Authorization": f"Bearer {program.api_token}"},
        json={"phone": "+8613900006677", "name": "欧阳雪连", "title": "女士"},
    )
    person = f"{program.address}/console/contacts/{made.json()['id']}"
    leader.goto(person)
    leader.locator("details.correct summary").click()
    leader.get_by_label("改为").fill("欧阳雪莲")
    leader.locator("details.correct").get_by_label("为什么").fill("本人更正")
    leader.get_by_role("button", name="更正", exact=True).click()
    expect(leader.locator("s.was")).to_have_text("欧阳雪连")
    expect(leader.locator("h1")).to_have_text("欧阳雪莲")
    assert problems(leader) == []

    # their erasure: taken by an agent, allowed by two others
    agent = sign_in("客服专员", width=390)
    agent.goto(person)
    agent.get_by_role("button", name=re.compile("删除本人资料")).click()
    agent.wait_for_url("**/console/privacy/requests/*")
    assert problems(agent) == []
    agent.get_by_label("怎样核对的").select_option("called_back")
    agent.get_by_role("button", name="身份已核对").click()
    expect(agent.locator("#state")).to_have_text("待审批")
    expect(agent.get_by_role("button", name="批准请求")).to_have_count(0)
    here = agent.url.split("?")[0]
    supervisor.goto(here)
    assert problems(supervisor) == []
    supervisor.get_by_role("button", name="批准请求").click()
    expect(supervisor.get_by_text("要两位主管或经理先后批准")).to_be_visible()
    manager.goto(here)
    assert problems(manager) == []
    manager.get_by_role("button", name="Approve and erase, for good").click()
    expect(manager.locator("#state")).to_have_text("Done", timeout=MADE)
    expect(manager.locator("#certificate")).to_contain_text("SHA-256")
    assert problems(manager) == []

    agent.goto(person)
    expect(agent.get_by_text("按本人要求删除")).to_be_visible()
    for asked in ("欧阳雪", "13900006677"):
        agent.goto(f"{program.address}/console/search?q={asked}")
        expect(agent.locator("main")).to_contain_text("没有找到")
