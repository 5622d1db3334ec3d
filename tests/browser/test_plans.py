"""Follow-up plans in a browser: who is put in stands on the colleagues' open pages at once (REQ-C02)."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.program import Program

PLANS = "/console/callbacks/plans"


def test_somebody_put_into_a_plan_appears_on_open_pages(sign_in: Callable[..., Page], program: Program) -> None:
    page = sign_in("客服主管")
    everybody, all_plans = page.context.new_page(), page.context.new_page()
    everybody.goto(f"{program.address}{PLANS}/outpatient_surgery")
    all_plans.goto(program.address + PLANS)
    rows = everybody.locator("[data-section=people] tbody tr")
    figures = all_plans.locator(".card", has=all_plans.locator("#plan-outpatient_surgery"))
    before, counted = rows.count(), figures.inner_text()

    page.goto(f"{program.address}{PLANS}/outpatient_surgery")
    page.locator("#enrol summary").click()
    page.locator("#enrol [name=phone]").fill("13800001234")
    page.locator("#enrol [name=name]").fill("赵新人")
    page.locator("#enrol button").click()

    expect(rows.filter(has_text="赵新人").first).to_be_visible()
    assert rows.count() > before
    expect(figures).not_to_have_text(counted, use_inner_text=True)
