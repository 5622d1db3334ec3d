"""A flow's diagram in a real browser: wide as a picture beside its steps, narrow as the steps alone."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.program import Program
from tests.browser.test_every_page import problems

FLOW = "/console/scripts/requested_callback"


def test_a_diagram_wide_and_narrow(sign_in: Callable[..., Page], program: Program) -> None:
    page = sign_in("客服主管")
    page.goto(program.address + "/console/scripts")
    page.locator(f"a[href='{FLOW}']").click()
    expect(page.locator(".chart svg")).to_be_visible()
    page.locator(".chart a[href='#step-1']").click()
    first = page.locator("#step-1:target")
    expect(first.locator("[lang='zh-CN']").first).to_be_visible()
    expect(first.locator("[lang='en']").first).to_be_visible()
    page.locator(".steps a[href^='/console/scripts/']").first.click()
    page.wait_for_url("**/console/scripts/call_back_later")
    found = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        for width in (360, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            for room in ("/console/scripts", FLOW, "/console/scripts/no_heating?lang=en", "/console/merges"):
                page.goto(program.address + room)
                found[f"{room} {scheme} {width}"] = problems(page)
                if "/scripts/" in room:
                    expect(page.locator(".steps")).to_be_visible()
                    expect(page.locator(".chart svg")).to_be_visible(visible=width > 1000)
    assert {where: what for where, what in found.items() if what} == {}
