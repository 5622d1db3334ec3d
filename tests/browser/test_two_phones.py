"""Two phones in two windows: a caller, and an agent's telephone that rings, is told who it is, and is connected."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.program import Program

NewPage = Callable[..., Page]
AGENT = "+8613900008001"
SHOTS = os.environ.get("HOTLINE_TEST_SHOTS")


def shot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


def pick_up(page: Page, number: str) -> None:
    page.locator('input[name="number"]').fill(number)
    page.locator('input[name="number"]').press("Enter")
    expect(page.locator(".handset-head")).to_contain_text(number)


def skip_to_ear(page: Page) -> None:
    """Hears everything out at once."""
    while page.locator("#skip").is_visible():
        page.locator("#skip").click()
        page.wait_for_timeout(50)


def test_an_agents_telephone_is_connected(program: Program, new_page: NewPage, sign_in: NewPage) -> None:
    console = sign_in("客服专员")
    console.goto(f"{program.address}/console/me")
    console.locator("#phone input[name=number]").fill(AGENT)
    console.locator("#phone button.primary").click()
    expect(console.locator("#phone")).to_contain_text("****8001")
    shot(console, "me-zh")
    console.goto(f"{program.address}/console")
    console.locator(".me:not(.more) summary").click()
    console.locator('button[name="presence"][value="online"]').first.click()

    agent, caller = new_page("/phone"), new_page("/phone", width=390)
    pick_up(agent, AGENT)
    expect(agent.locator("#agents")).to_be_visible()
    pick_up(caller, "+8619900000103")
    caller.locator("#dial").click()
    expect(caller.locator("#lines li.them").first).to_be_visible()
    skip_to_ear(caller)
    expect(caller.locator("#ear-words")).to_contain_text("请说话或按键")
    caller.locator('[data-key="0"]').click()
    for _ in range(20):
        skip_to_ear(caller)
        if agent.locator("#answer").is_visible():
            break
        caller.wait_for_timeout(500)
    shot(caller, "caller-waits-narrow")
    shot(agent, "agent-rings")
    agent.locator("#answer").click()
    expect(agent.locator("#lines li.them").first).to_be_visible()  # a key before the first word is for nobody
    skip_to_ear(agent)
    expect(agent.locator("#ear-words")).to_contain_text("请说话或按键")
    shot(agent, "whisper")
    agent.locator('[data-key="1"]').click()
    expect(agent.locator("#ear-words")).to_contain_text("已接通")
    agent.locator("#words").fill("您好，我是小满")
    agent.locator("#words").press("Enter")
    expect(caller.locator("#lines li.peer")).to_contain_text("您好，我是小满")
    shot(caller, "connected-narrow")
    shot(agent, "connected")
    agent.locator("#hang-up").click()
    expect(caller.locator("#lines")).to_contain_text("感谢您的来电")
