"""The field an agent writes in: files dropped on it, lines that failed, and half a word of Chinese while the page moves
on. Each conversation is a customer's of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import PATIENCE, NewPage
from tests.browser.giving import PNG, drag, drop
from tests.browser.program import Program
from tests.browser.test_desk import LOST, ask, at_work, heard, name, presence, take, write

SignIn = Callable[..., Page]
Colleague = Callable[..., Page]
NUMBER = "+8619900000105"


@pytest.fixture(scope="module")
def sessions() -> dict[str, list[Any]]:
    """The cookies of who has signed in: a link opens once."""
    return {}


@pytest.fixture
def colleague(new_page: NewPage, sign_in: SignIn, program: Program, sessions: dict[str, list[Any]]) -> Colleague:
    """Somebody with a role at the console, away: they take what they choose. The same `nth` is the same person."""

    def come_in(role: str, nth: int = 1) -> Page:
        who = f"{role} {nth}"
        if who in sessions:
            page = new_page("/sign-in", width=1440, expects=LOST)
            page.context.add_cookies(sessions[who])
            page.goto(f"{program.address}/console")
            return page
        page = sign_in(role, width=1440, expects=LOST)
        presence(page, "away")
        sessions[who] = page.context.cookies()
        return page

    return come_in


@pytest.fixture
def agent(colleague: Colleague) -> Page:
    return colleague("客服专员")


def with_customer(agent: Page, chat: Page) -> None:
    """The two write to each other; who is away keeps nobody who waits for an answer."""
    ask(chat, after=agent, waiting=1)
    take(agent, of=1)
    write(agent, "您好")
    heard(chat, "您好")


def until(page: Page, holds: Callable[[], bool]) -> None:
    """Lets the page go on until it does."""
    for _ in range(PATIENCE // 20):
        if holds():
            return
        page.wait_for_timeout(20)
    raise AssertionError("it never came")


def test_a_file_is_dropped_anywhere_on_the_conversation(new_page: NewPage, agent: Page) -> None:
    chat = new_page("/chat", width=390)
    with_customer(agent, chat)
    drag(agent.locator("#lines"), PNG, "阀门.png", "image/png")
    expect(agent.locator(".talkroom.dropping")).to_be_visible()
    drop(agent.locator("#lines"), PNG, "阀门.png", "image/png")
    expect(agent.locator(".talkroom.dropping")).to_have_count(0)
    drop(agent.locator("#words"), b"%PDF-1.7", "说明.pdf", "application/pdf")
    waits = agent.locator("[data-enclosures] li")
    expect(waits).to_have_count(2)
    agent.get_by_role("button", name="不发这个文件 说明.pdf").click()
    expect(waits).to_have_count(1)
    expect(agent.locator("#words")).to_be_focused()
    write(agent, "请看这个阀门")
    expect(waits).to_have_count(0)
    expect(chat.locator(".said.agent .file img")).to_have_js_property("naturalWidth", 1)
    expect(chat.locator(".said.agent .file")).to_have_count(1)


def test_what_could_not_be_sent_stays_and_is_one_line_when_it_is_sent_again(new_page: NewPage, agent: Page) -> None:
    chat = new_page("/chat", width=390)
    with_customer(agent, chat)
    agent.route("**/say", lambda route: route.abort())
    agent.locator("#words").fill("师傅四点到")
    agent.locator("#words").press("Enter")
    expect(agent.locator(".composer .problem")).to_have_text("没能发出去，请再试一次。")
    expect(agent.locator("#words")).to_have_value("师傅四点到")
    agent.unroute_all()

    def loses_the_answer(route: Route) -> None:
        route.fetch()
        route.abort()

    agent.route("**/say", loses_the_answer)  # it got through, and the page does not know
    agent.locator("#words").press("Enter")
    heard(chat, "师傅四点到")
    expect(agent.locator(".composer .problem")).to_be_visible()
    agent.unroute_all()
    agent.locator("#words").press("Enter")
    expect(agent.locator("#words")).to_have_value("")
    write(agent, "还有别的事吗")
    heard(chat, "还有别的事吗")
    heard(chat, "师傅四点到")


def test_a_line_that_did_not_arrive_is_sent_once_more(new_page: NewPage, agent: Page, program: Program) -> None:
    phone = new_page("/phone")
    phone.locator("input[name=number]").fill(NUMBER)
    phone.locator("input[name=number]").press("Enter")
    phone.locator("#text").fill("转人工")
    phone.locator("#text-form button").click()
    take(agent, of=1)
    write(agent, "师傅明天上午到")
    arrived = phone.locator("#texts li", has_text="师傅明天上午到")
    expect(arrived).to_have_count(1)
    line = agent.locator(".line.agent", has_text="师傅明天上午到")
    expect(line.locator(".standing.delivered")).to_be_visible()

    with closing(sqlite3.connect(program.database, timeout=30)) as database, database:  # as if the carrier had said so
        (found,) = database.execute("SELECT id FROM message WHERE text = '师傅明天上午到'").fetchone()
        lost = "UPDATE delivery SET state = 'failed', error = '30003' WHERE message_id = ?"
        assert database.execute(lost, (found,)).rowcount == 1
    agent.reload()
    at_work(agent)
    expect(line.locator(".standing.failed")).to_contain_text("没有送到")
    line.get_by_role("button", name="再发一次").click()
    expect(arrived).to_have_count(2)
    expect(line.locator(".standing.delivered")).to_be_visible()
    expect(line.get_by_role("button", name="再发一次")).to_have_count(0)
    expect(line).to_have_count(1)  # one line, however often it went out


def test_half_a_word_of_chinese_survives_the_section_being_drawn_anew(
    new_page: NewPage, agent: Page, colleague: Colleague
) -> None:
    other, supervisor = colleague("客服专员", 2), colleague("客服主管")
    chat = new_page("/chat", width=390)
    with_customer(agent, chat)
    supervisor.goto(agent.url)
    supervisor.locator("form[action$='/join'] button").click()
    at_work(supervisor)
    actions = supervisor.locator("[data-section=actions]")
    expect(actions).to_contain_text(f"{name(agent)} 正在接待")

    words = supervisor.locator("#words")
    words.press_sequentially("请")
    keyboard = supervisor.context.new_cdp_session(supervisor)
    drawn: list[str] = []  # what the page was given to draw
    keyboard.on("Network.eventSourceMessageReceived", lambda told: drawn.append(told["data"]))
    keyboard.send("Network.enable")
    keyboard.send("Input.imeSetComposition", {"text": "shao'deng", "selectionStart": 9, "selectionEnd": 9})
    expect(words).to_have_value("请shao'deng")
    agent.locator("[data-open-dialog=transfer]").click()
    agent.locator("#transfer select[name=to]").select_option(label=name(other))
    agent.locator("#transfer button.primary").click()
    agent.wait_for_url("**/console?said=*")
    until(supervisor, lambda: any(f"{name(other)} 正在接待" in each for each in drawn))
    keyboard.send("Input.imeSetComposition", {"text": "稍等", "selectionStart": 2, "selectionEnd": 2})
    expect(words).to_have_value("请稍等")
    expect(actions).to_contain_text(f"{name(agent)} 正在接待")  # not drawn anew yet: it would end the composition
    keyboard.send("Input.insertText", {"text": "稍等"})
    expect(actions).to_contain_text(f"{name(other)} 正在接待")
    expect(words).to_have_value("请稍等")
    expect(words).to_be_focused()
    words.press("Enter")
    heard(chat, "请稍等")
    expect(words).to_have_value("")
