"""What people do at the console while an incident is played through."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docx
import openpyxl
from playwright.sync_api import Locator, Page, expect

from tests.browser.program import Program

SignIn = Callable[..., Page]
LOOK = Path(__file__).with_name("look.js").read_text(encoding="utf-8")
SOON = 60_000  # milliseconds: for what the heartbeat does on a busy machine


def problems(page: Page) -> list[Any]:
    """What the eye would find: no label, too pale, wider than the screen."""
    page.wait_for_timeout(150)
    found: list[Any] = page.evaluate(LOOK)
    return found


def step(page: Page, words: str) -> Locator:
    return page.locator("li.plan-step").filter(has_text=words)


def is_done(page: Page, words: str) -> None:
    expect(step(page, words)).to_have_class(re.compile("is-done"), timeout=SOON)


def opened(page: Page, name: str) -> Locator:
    """A form behind its button, opened."""
    found = page.locator(f"#step-{name}")
    found.locator("summary").click()
    return found


def does(page: Page, words: str, result: str = "") -> None:
    """Ticks a step off at the incident's page."""
    form = step(page, words).locator("details[id^=done-]")
    form.locator("summary").click()
    form.locator("textarea").fill(result)
    form.locator("button").click()
    is_done(page, words)


def acknowledges(page: Page, words: str) -> None:
    """Somebody who was told says so."""
    step(page, words).get_by_role("button", name="收到").click(timeout=SOON)
    expect(step(page, words).get_by_role("button", name="收到")).to_have_count(0)


def notes(page: Page, kind: str, words: str) -> None:
    page.get_by_label("类别").select_option(kind)
    page.get_by_label("内容", exact=True).fill(words)
    page.get_by_role("button", name="记下").click()
    expect(page.locator("[data-section=timeline]")).to_contain_text(words)


def approves(page: Page, draft: str, size: int) -> None:
    """A second person lets a draft go; as it is a drill, it goes to nobody."""
    page.goto(draft)
    expect(page.locator("#preview")).to_contain_text("不会发给任何客户")
    assert problems(page) == []
    page.get_by_role("button", name="批准并发送").click()
    expect(page.locator(".badge.good", has_text="已结束")).to_be_visible(timeout=SOON)
    expect(page.locator(".legend li")).to_have_count(1)
    expect(page.locator("li[data-outcome=cancelled]")).to_have_attribute("data-count", str(size))


def begins(page: Page, program: Program, kind: str) -> str:
    """Starts a drill at its page; gives the incident's address."""
    page.goto(program.address + "/console/incidents/drills")
    assert problems(page) == []
    page.get_by_role("row", name=re.compile(kind)).get_by_role("button", name="开始演练").click()
    page.wait_for_url(re.compile(r"/console/incidents/\d+"))
    expect(page.locator("[data-section=state] .badge.info")).to_have_text("演练")
    return page.url.split("?")[0]


def confirms(page: Page, incident: str) -> None:
    page.goto(incident)
    opened(page, "confirm").locator("button").click()
    expect(page.locator("[data-section=state] .badge.bad")).to_have_text("已确认")


def downloaded(page: Page, words: str) -> bytes:
    with page.expect_download() as waiting:
        page.get_by_role("link", name=words).click()
    return waiting.value.path().read_bytes()


def in_word(data: bytes) -> str:
    document = docx.Document(io.BytesIO(data))
    cells = (cell.text for table in document.tables for row in table.rows for cell in row.cells)
    return "\n".join([*(paragraph.text for paragraph in document.paragraphs), *cells])


def in_sheets(data: bytes) -> str:
    book = openpyxl.load_workbook(io.BytesIO(data))
    return "\n".join(str(cell.value) for sheet in book for row in sheet.iter_rows() for cell in row if cell.value)
