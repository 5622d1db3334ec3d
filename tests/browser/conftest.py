"""A real browser before the real program. Skipped where there is no chromium, but never in CI."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.program import Program, prepare
from tests.conftest import CI

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 15_000  # milliseconds
expect.set_options(timeout=PATIENCE)

NewPage = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser a file of tests: Playwright's loop must be gone before a test with a loop of its own comes along."""
    if not CHROMIUM.is_file():
        if CI:
            pytest.fail(f"{CHROMIUM} is missing")
        pytest.skip(f"{CHROMIUM} is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def prepared(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a program started once, for all processes of this run."""
    run = tmp_path_factory.getbasetemp()
    return prepare((run.parent if "PYTEST_XDIST_WORKER" in os.environ else run) / "prepared", models)


@pytest.fixture(scope="module")
def program(browser: Browser, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """One program a file of tests."""
    assert browser.is_connected()
    program = Program(tmp_path_factory.mktemp("program") / "data", prepared)
    program.start()
    yield program
    program.stop()


@pytest.fixture
def new_page(browser: Browser, program: Program) -> Iterator[NewPage]:
    """Opens a page in a browser profile of its own: new_page("/chat", width=390, language="zh-CN", scheme="light").

    Whatever a page's console complains of, and every script error, fails the test; `expects` names complaints that are
    part of the story.
    """
    program.start()  # again, where a test before this one left it dead
    contexts: list[BrowserContext] = []
    complaints: list[str] = []
    expected: list[str] = []

    def open_page(
        path: str, width: int = 1280, language: str = "zh-CN", scheme: str = "light", expects: tuple[str, ...] = ()
    ) -> Page:
        expected.extend(expects)
        context = browser.new_context(
            viewport={"width": width, "height": 844 if width < 600 else 800},
            locale=language,
            color_scheme="dark" if scheme == "dark" else "light",
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path if path.startswith("http") else program.address + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [said for said in complaints if not any(part in said for part in expected)] == []


@pytest.fixture
def sign_in(new_page: NewPage, program: Program) -> Callable[..., Page]:
    """Opens the console for a role: sign_in("客服专员", width=1280, language="zh-CN")."""

    def come_in(role: str, **how: object) -> Page:
        page = new_page(program.link(role), **how)
        page.locator("main button").click()
        page.wait_for_url("**/console**")
        return page

    return come_in
