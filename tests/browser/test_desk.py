"""The desk at work: three customers, two agents and a supervisor at once, mostly by keyboard. Every step waits for what
it needs to see, never for a time."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import NewPage
from tests.browser.giving import PNG
from tests.browser.program import Program

SignIn = Callable[..., Page]
LOST = ("ERR_", "Failed to load resource")
LONG = 60_000  # milliseconds: what the program does by itself within half a minute, on a busy machine
ON_ITS_WAY = re.compile("正在为您转接人工")


def ask(chat: Page, *, after: Page, waiting: int) -> None:
    """Calls a person, and waits until the floor on `after` shows so many."""
    expect(chat.locator(".said.bot").first).to_be_visible()
    write(chat, "转人工")
    expect(chat.locator("#status")).to_have_text(ON_ITS_WAY)
    expect(after.locator("#queue .talk")).to_have_count(waiting)


def write(page: Page, words: str) -> None:
    """One line, and the field is empty again: it was taken."""
    page.locator("#words").fill(words)
    page.locator("#words").press("Enter")
    expect(page.locator("#words")).to_have_value("")


def heard(chat: Page, words: str) -> None:
    expect(chat.locator(".said.agent .words", has_text=words)).to_have_count(1)


def presence(page: Page, which: str) -> None:
    page.locator(".me:not(.more) summary").click()
    page.locator(f".me button[value={which}]").click()
    expect(page.locator(f".me .dot.{which}")).to_be_visible()


def name(page: Page) -> str:
    return page.locator(".me:not(.more) summary").inner_text().strip().splitlines()[0]


def take(agent: Page, *, of: int) -> str:
    """Takes who has waited longest, by keyboard, once the floor shows `of` waiting; gives the conversation's page."""
    expect(agent.locator("#queue .talk")).to_have_count(of)  # else "n" is for one a colleague has by now
    agent.keyboard.press("n")
    agent.wait_for_url("**/conversations/*")
    expect(agent.locator("#words")).to_be_focused()
    return agent.url


def at_work(page: Page) -> None:
    """The conversation's page is there with its field to write in, and its script has run: it puts the caret there."""
    expect(page.locator("form[data-note-action] #words")).to_be_focused()


def test_three_customers_two_agents_and_a_supervisor(
    new_page: NewPage, sign_in: SignIn, program: Program, tmp_path: Path
) -> None:
    supervisor = sign_in("客服主管", width=1440, expects=LOST)
    supervisor.goto(f"{program.address}/console/canned")
    supervisor.locator("input[name=shortcut]").first.fill("稍等")
    supervisor.locator("textarea[name=zh]").first.fill("您好，我是{agent}，请稍等。")
    supervisor.locator("textarea[name=en]").first.fill("Hello, this is {agent}. One moment, please.")
    supervisor.locator("main button.primary").first.click()
    expect(supervisor.locator("main")).to_contain_text("/稍等")
    presence(supervisor, "away")

    agents = [sign_in("客服专员", width=1440, expects=LOST) for _ in range(2)]
    for agent in agents:  # away: nothing is given to them by itself, they take what they choose
        presence(agent, "away")
    chats = [new_page("/chat", width=390, expects=LOST) for _ in range(3)]
    for number, chat in enumerate(chats, 1):  # one after the other, so that it is known who has waited longest
        ask(chat, after=agents[0], waiting=number)
    expect(agents[0]).to_have_title("(3) 接待 · Hotline")
    places = [take(agent, of=3 - number) for number, agent in enumerate(agents)]
    first, second = agents
    expect(first.locator("#talks-queue .count")).to_have_text("1")  # the list beside the conversation shows the rest

    # a canned reply by "/", which the customer reads
    words = first.locator("#words")
    words.press_sequentially("/稍")
    expect(first.locator("#offers li")).to_have_count(1)
    words.press("Enter")
    expect(words).to_have_value(f"您好，我是{name(first)}，请稍等。")
    words.press("Enter")
    heard(chats[0], f"您好，我是{name(first)}，请稍等。")
    expect(first.locator(".line.agent .standing.read")).to_have_count(1)

    # a quote and a picture reach the customer as such
    write(chats[0], "阳台的地板泡水了")
    theirs = first.locator(".line.customer", has_text="阳台的地板泡水了")
    theirs.hover()
    theirs.locator("[data-quote]").click()
    expect(first.locator("[data-quoted]")).to_have_text("阳台的地板泡水了")
    picture = tmp_path / "处理方法.png"
    picture.write_bytes(PNG)
    first.locator("[data-picked]").set_input_files(picture)
    expect(first.locator("[data-enclosures] li")).to_have_count(1)
    write(first, "请按图上这样关阀门")
    heard(chats[0], "请按图上这样关阀门")
    expect(chats[0].locator(".said.agent blockquote")).to_contain_text("阳台的地板泡水了")
    expect(chats[0].locator(".said.agent .file img")).to_have_count(1)
    expect(first.locator("[data-enclosures] li")).to_have_count(0)

    # a private note stays private, and is found by any two of its characters, from anywhere
    first.locator("[data-as-note]").check()
    write(first, "琥珀色水渍，像是旧伤")
    expect(first.locator(".line.note .words", has_text="琥珀色水渍，像是旧伤")).to_have_count(1)
    first.locator("[data-as-note]").uncheck()
    first.keyboard.press("Control+k")
    first.locator("#palette input").fill("水渍")
    expect(first.locator(".palette-found mark")).to_have_text("水渍")
    first.keyboard.press("Escape")
    expect(first.locator("#palette")).not_to_be_visible()

    # handed to a colleague, with what they need to know
    first.locator("[data-open-dialog=transfer]").click()
    first.locator("#transfer select[name=to]").select_option(label=name(second))
    first.locator("#transfer textarea").fill("要懂地板的")
    first.locator("#transfer button.primary").click()
    first.wait_for_url("**/console?said=*")
    expect(second.locator(f".talk-link[href='{places[0].removeprefix(program.address)}']")).to_be_visible()
    second.goto(places[0])
    at_work(second)
    expect(second.locator(".line.note", has_text="要懂地板的")).to_have_count(1)

    # the supervisor is called in and writes along; whispers in the other conversation without being heard there
    second.locator("[data-open-dialog=call-in]").click()
    second.locator("#call-in select[name=to]").select_option(label=name(supervisor))
    second.locator("#call-in button.primary").click()
    second.wait_for_url("**/conversations/*said=*")
    supervisor.goto(places[0])
    at_work(supervisor)
    write(supervisor, "我是主管，这件事我来跟")
    heard(chats[0], "我是主管，这件事我来跟")
    second.goto(places[1])
    at_work(second)
    supervisor.goto(places[1])
    supervisor.locator("#whisper summary").click()
    supervisor.locator("#note").fill("先安抚，再报价")
    supervisor.locator("#note").press("Enter")
    expect(second.locator(".line.note .words", has_text="先安抚，再报价")).to_have_count(1)
    write(second, "我马上帮您查")
    heard(chats[1], "我马上帮您查")
    expect(chats[1].locator("#lines")).not_to_contain_text("先安抚")

    # given back to the bot, which answers again
    second.locator("button[formaction$='/hand-back']").click()
    second.wait_for_url("**/console?said=*")
    expect(chats[1].locator("#status")).not_to_have_text("人工客服正在为您服务。")
    answers = chats[1].locator(".said.bot").count()
    write(chats[1], "你好")
    expect(chats[1].locator(".said.bot").nth(answers)).to_be_visible()

    # who is away keeps nothing that waits: it goes to the colleague who is there, as does whoever still stands in line
    write(chats[0], "还在吗")
    presence(first, "online")
    expect(first.locator("#mine .talk")).to_have_count(2, timeout=LONG)
    first.goto(places[0])
    at_work(first)
    write(first, "我在的")
    heard(chats[0], "我在的")

    # ended with what came of it; the bot asks for a rating
    words = first.locator("#words")
    words.press("Escape")
    first.keyboard.press("e")
    first.locator("#finish select[name=wrap_up]").select_option("solved")
    first.locator("#finish button.primary").click()
    first.wait_for_url("**/console?said=*")
    expect(chats[0].locator("#choices button")).to_have_count(5)
