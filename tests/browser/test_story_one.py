"""Story 1 in a real browser: a cold radiator, a case, an agent, a rating; and what a crash or a lost line leaves."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import NewPage
from tests.browser.program import Program

SignIn = Callable[..., Page]
LOST = ("ERR_", "Failed to load resource")


def write(chat: Page, text: str) -> None:
    """The customer writes and waits for what comes back."""
    before = chat.locator(".said:not(.customer)").count()
    chat.locator("#words").fill(text)
    chat.locator("#words").press("Enter")
    expect(chat.locator(".said:not(.customer)").nth(before)).to_be_visible()
    chat.wait_for_timeout(300)  # the rest of the answer


def complain(chat: Page, lines: list[str]) -> None:
    """Tells the whole story until a person is called."""
    expect(chat.locator(".said.bot").first).to_be_visible()
    for line in lines:
        write(chat, line)


ZH = ["家里暖气片冷了两天，没人来修", "3-2-501", "13900007788", "没有"]
EN = ["My radiator has been cold for two days and nobody came", "3-2-501", "13900007799", "no"]


def test_in_chinese(new_page: NewPage, sign_in: SignIn) -> None:
    agent = sign_in("客服专员")
    holder = agent.locator(".me:not(.more) summary").inner_text().strip().splitlines()[0]
    colleague = sign_in("客服专员", width=390, expects=LOST)
    expect(agent.get_by_text("现在没有人在等。")).to_be_visible()
    chat = new_page("/chat", width=390)
    complain(chat, ZH)
    greeting = chat.locator(".said.bot .words").first.text_content() or ""
    assert "机器人" in greeting
    assert re.search(r"[A-Z]\d{8}-\d{4}", chat.locator("#lines").text_content() or "")

    # it arrives without reloading, at both desks, with a clock that ticks
    for desk in (agent, colleague):
        expect(desk.locator("#queue .talk")).to_have_count(1)
    clock = agent.locator("#queue .waiting")
    shown = clock.text_content()
    expect(clock).not_to_have_text(shown or "")
    expect(chat.locator("#status")).to_contain_text("转接人工")

    # exactly one gets it; the other, whose page is a moment behind, reads kindly who did
    colleague.route("**/console/events", lambda route: route.abort())
    colleague.reload()
    agent.keyboard.press("n")
    agent.wait_for_url("**/conversations/*")
    colleague.locator("#queue .talk button").click()
    expect(colleague.locator(".notice.warn")).to_contain_text("已经有同事接手了这个会话")
    expect(colleague.locator(".notice.warn")).to_contain_text(holder)

    expect(agent.locator(".line .badge").first).to_contain_text("%")
    expect(agent.locator(".side")).to_contain_text("3-2-501")
    expect(agent.locator(".side")).to_contain_text("+8613900007788")
    expect(chat.locator("#status")).to_contain_text("人工客服正在为您服务")

    # people talk, the bot is silent; typing shows on the other side
    words = agent.locator("#words")
    words.press_sequentially("您好，师傅")
    expect(chat.locator("#typing")).to_be_visible()
    words.fill("您好，师傅今天下午四点到")
    words.press("Enter")
    expect(chat.locator(".said.agent .words")).to_have_text("您好，师傅今天下午四点到")
    bot = chat.locator(".said.bot").count()
    chat.locator("#words").press_sequentially("好的，那我")
    expect(agent.locator("[data-typing]")).to_be_visible()
    chat.locator("#words").fill("好的，那我等着")
    chat.locator("#words").press("Enter")
    expect(agent.locator(".line.customer .words").last).to_have_text("好的，那我等着")
    agent.locator("[data-as-note]").check()
    words.fill("已电话通知师傅")
    words.press("Enter")
    expect(agent.locator(".line.note")).to_have_count(1)
    chat.wait_for_timeout(500)
    assert chat.locator(".said.bot").count() == bot
    assert "已电话通知师傅" not in (chat.locator("#lines").text_content() or "")

    # a wrap-up is wanted; then the customer rates
    agent.locator("[data-open-dialog=finish]").click()
    agent.locator("dialog[open] button.primary").click()
    expect(agent.locator("dialog[open]")).to_be_visible()
    agent.locator("select[name=wrap_up]").select_option("solved")
    agent.locator("dialog[open] button.primary").click()
    agent.wait_for_url("**/console?said=*")
    expect(chat.locator("#choices button")).to_have_count(5)
    chat.locator("#choices button").last.click()
    expect(chat.locator("#choices button")).to_have_count(0)
    chat.wait_for_timeout(500)

    # the page survives a reload with its history
    lines = chat.locator(".said .words").all_text_contents()
    chat.reload()
    expect(chat.locator(".said")).to_have_count(len([line for line in lines if "已结束，再次" not in line]))


def test_in_english(new_page: NewPage, sign_in: SignIn) -> None:
    agent = sign_in("值班组长", language="en-US")
    chat = new_page("/chat", language="en-US")
    complain(chat, EN)
    said = " ".join(chat.locator(".said.bot .words").all_text_contents())
    assert not re.search(r"[\u4e00-\u9fff]", said), said
    expect(agent.locator("#queue .talk")).to_have_count(1)
    assert not re.search(r"[\u4e00-\u9fff]", agent.locator("#queue").text_content() or "")
    agent.locator("#queue .talk button").click()
    agent.wait_for_url("**/conversations/*")
    agent.locator("#words").fill("Hello, an engineer comes at four today.")
    agent.locator("#words").press("Enter")
    expect(chat.locator(".said.agent .words")).to_have_text("Hello, an engineer comes at four today.")
    agent.locator("[data-open-dialog=finish]").click()
    agent.locator("select[name=wrap_up]").select_option("case_follows")
    agent.locator("dialog[open] button.primary").click()
    agent.wait_for_url("**/console?said=*")
    expect(chat.locator("#choices button")).to_have_count(5)


def test_a_crash_loses_and_doubles_nothing(new_page: NewPage, sign_in: SignIn, program: Program) -> None:
    agent = sign_in("客服主管", expects=LOST)
    chat = new_page("/chat", width=390, expects=LOST)
    complain(chat, ZH)
    agent.locator("#queue .talk button").first.click()
    agent.wait_for_url("**/conversations/*")
    agent.locator("#words").fill("断电之前")
    agent.locator("#words").press("Enter")
    expect(chat.locator(".said.agent")).to_have_count(1)

    program.kill()
    expect(chat.locator("#status")).to_contain_text("网络断开")
    chat.locator("#words").fill("你们还在吗")
    chat.locator("#words").press("Enter")
    expect(chat.locator(".said .trouble button")).to_be_visible()
    agent.locator("#words").fill("没发出去的草稿")
    program.start()

    # both pages find back by themselves, the unsent line goes out, the draft is still there
    expect(agent.locator(".line.customer .words").last).to_have_text("你们还在吗", timeout=30_000)
    expect(chat.locator(".said.unsent")).to_have_count(0)
    expect(agent.locator("#words")).to_have_value("没发出去的草稿")
    agent.locator("#words").press("Enter")
    expect(chat.locator(".said.agent")).to_have_count(2)
    texts = chat.locator(".said:not(.bot) .words").all_text_contents()
    assert texts == [*ZH, "断电之前", "你们还在吗", "没发出去的草稿"]
    chat.reload()
    expect(chat.locator(".said.agent")).to_have_count(2)
    assert chat.locator(".said:not(.bot) .words").all_text_contents() == texts
    assert agent.locator(".line.customer .words").all_text_contents() == [*ZH, "你们还在吗"]


def test_a_lost_connection_misses_nothing(new_page: NewPage, sign_in: SignIn) -> None:
    agent = sign_in("中心经理", expects=LOST)
    chat = new_page("/chat", expects=LOST)
    complain(chat, ZH)
    agent.locator("#queue .talk button").first.click()
    agent.wait_for_url("**/conversations/*")
    agent.wait_for_timeout(300)
    for number in range(3):
        if number == 1:
            chat.context.set_offline(True)
        agent.locator("#words").fill(f"第 {number} 句")
        agent.locator("#words").press("Enter")
        expect(agent.locator(".line.agent")).to_have_count(number + 1)
    chat.context.set_offline(False)
    expect(chat.locator(".said.agent")).to_have_count(3, timeout=30_000)
    assert chat.locator(".said.agent .words").all_text_contents() == ["第 0 句", "第 1 句", "第 2 句"]
