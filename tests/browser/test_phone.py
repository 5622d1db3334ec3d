"""The sandbox phone in a real browser: it rings, takes keys and words, and goes on after a reload and a crash."""

from __future__ import annotations

import os
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.program import Program

NewPage = Callable[..., Page]
NUMBER = "+8619900000109"


def pick_up(page: Page, number: str) -> None:
    page.locator('input[name="number"]').fill(number)
    page.locator('input[name="number"]').press("Enter")
    expect(page.locator(".handset-head")).to_contain_text(number)


def dial(page: Page) -> None:
    """Calls the house, and waits until this call is on the phone: what an earlier one heard stands there before."""
    page.locator("#dial").click()
    expect(page.locator("#hang-up")).to_be_visible()


def ask_for_a_call(program: Program, number: str) -> None:
    """Somebody wishes to be called, as soon as may be."""
    with httpx.Client(
        base_url=f"{program.address}/api/v1", headers={"Authorization": f"Bearer {program.api_token}"}
    ) as api:
        contact = api.post("/contacts/lookup", json={"phone": number}).json()
        wish = {"contact_id": contact["id"], "topic": "发票", "external_id": number}
        answer = api.post("/callbacks", json=wish)
    assert answer.status_code == 201, answer.text


def test_a_call_rings_and_is_answered_with_keys(program: Program, new_page: NewPage) -> None:
    page = new_page("/phone")
    pick_up(page, NUMBER)
    ask_for_a_call(program, NUMBER)
    expect(page.locator("#state")).to_contain_text("来电")
    expect(page.locator("#phone")).to_have_class("card handset ringing")
    expect(page.locator('#people [aria-current="true"] .badge')).to_be_visible()
    page.locator("#answer").click()
    expect(page.locator("#lines li.them").first).to_be_visible()
    page.locator('[data-key="0"]').click()
    expect(page.locator("#lines li.you")).to_have_text("0")
    expect(page.locator("#lines")).to_contain_text("人工")
    page.locator("#hang-up").click()
    expect(page.locator("#state")).to_have_text("通话已结束")


def test_a_call_is_declined(program: Program, new_page: NewPage) -> None:
    page = new_page("/phone")
    pick_up(page, "+8619900000106")
    ask_for_a_call(program, "+8619900000106")
    page.locator("#decline").click()
    expect(page.locator("#state")).to_have_text("已拒接")


def test_a_call_survives_a_reload_and_a_crash(program: Program, new_page: NewPage) -> None:
    page = new_page("/phone", expects=("ERR_", "Failed to load"))
    pick_up(page, "+8619900000101")
    dial(page)
    expect(page.locator("#lines")).to_contain_text("机器人")
    page.locator("#words").fill("暖气两天不热了，也没人来")
    page.locator("#speak button.primary").click()
    expect(page.locator("#lines li.you")).to_have_text("暖气两天不热了，也没人来")
    expect(page.locator("#lines li.you ~ li").first).to_be_visible()  # the answer has come, so all lines are there
    page.reload()
    expect(page.locator("#state")).to_have_text("通话中")
    expect(page.locator("#lines li.you")).to_have_text("暖气两天不热了，也没人来")
    before = page.locator("#lines li").count()
    page.goto("about:blank")  # a phone left open would go on by itself the moment the house is back
    program.kill()
    program.start()
    page.goto(f"{program.address}/phone?number=%2B8619900000101")
    expect(page.locator("#lines li")).to_have_count(before)
    page.locator('[data-key="2"]').click()
    expect(page.locator("#lines li.you").last).to_have_text("2")
    expect(page.locator("#lines li")).not_to_have_count(before + 1)
    page.locator("#hang-up").click()
    expect(page.locator("#state")).to_have_text("通话已结束")


@pytest.mark.parametrize(("width", "language", "said"), [(1280, "zh-CN", "机器人"), (390, "en-US", "automated")])
def test_texts_and_calls_in_both_languages_and_widths(new_page: NewPage, width: int, language: str, said: str) -> None:
    page = new_page("/phone", width=width, language=language)
    pick_up(page, "+8619900000110" if language == "en-US" else "+8619900000102")
    dial(page)
    expect(page.locator("#lines")).to_contain_text(said)
    page.locator("#hang-up").click()
    page.locator("#text").fill("<img src=x onerror=alert(1)>")
    page.locator("#text-form button").click()
    expect(page.locator("#texts li.in")).to_contain_text("<img src=x")
    expect(page.locator("#texts li.out").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_a_message_is_left_after_the_beep(new_page: NewPage) -> None:
    """In English, where nobody is there to come."""
    phone = new_page("/phone", language="en-US")
    pick_up(phone, "+8619900000110")
    dial(phone)
    expect(phone.locator("#lines li.them").first).to_be_visible()
    phone.locator('[data-key="0"]').click()
    expect(phone.locator("#lines")).to_contain_text("leave a message", timeout=20_000)
    phone.locator('[data-key="2"]').click()
    expect(phone.locator("#lines")).to_contain_text("recorded", timeout=20_000)
    phone.locator("#skip").click()
    expect(phone.locator("#ear-words")).to_contain_text("Beep", timeout=20_000)
    phone.locator("#words").fill("My invoice is wrong, please call me back")
    if os.environ.get("HOTLINE_TEST_SHOTS"):
        phone.screenshot(path=os.environ["HOTLINE_TEST_SHOTS"] + "/voicemail-en.png", full_page=True)
    phone.locator("#words").press("Enter")
    expect(phone.locator("#lines")).to_contain_text("We have your message")
