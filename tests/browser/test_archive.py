"""A list of what is due on its way to its certificate, and an archived case on loan, at the console."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing

from playwright.sync_api import Page, expect

from tests.browser.conftest import NewPage
from tests.browser.program import Program
from tests.browser.test_every_page import problems

SAID = "我想问问四年前的事"
SOON = 60_000  # milliseconds: what is approved is destroyed at one of the next rounds


def grow_old(program: Program) -> int:
    """The one conversation there is ended years ago; its id."""
    with closing(sqlite3.connect(program.database, timeout=30)) as database, database:
        (found,) = database.execute("SELECT conversation_id FROM message WHERE text = ?", (SAID,)).fetchone()
        database.execute(
            "UPDATE conversation SET state = 'closed', staff_id = NULL, closed_at = '2022-07-01 02:00:00.000000'"
            " WHERE id = ?",
            (found,),
        )
    return int(found)


def said(page: Page, words: str) -> None:
    expect(page.locator(".notice").filter(has_text=words).first).to_be_visible()


def test_what_is_due_goes_by_two_approvals_and_what_is_archived_is_lent(
    new_page: NewPage, sign_in: Callable[..., Page], program: Program
) -> None:
    chat = new_page("/chat")
    expect(chat.locator(".said").first).to_be_visible()
    chat.locator("textarea").fill(SAID)
    chat.locator("textarea").press("Enter")
    expect(chat.locator(".said").filter(has_text=SAID)).to_be_visible()
    expect(chat.locator(".said")).not_to_have_count(2)
    chat.close()
    talk = grow_old(program)

    archivist = sign_in("档案管理员")
    archivist.goto(f"{program.address}/console/archive")
    archivist.get_by_role("button", name="现在清点").click()
    said(archivist, "清点完毕，到期的已列入清单")
    archivist.locator("a.number").first.click()
    expect(archivist.locator("td", has_text=re.compile(rf"^#{talk}$"))).to_be_visible()
    said(archivist, "请由另外两位同事批准")
    at = archivist.url.split("?")[0]

    supervisor = sign_in("客服主管")
    supervisor.goto(at)
    supervisor.get_by_role("button", name="我看过清单，批准销毁").click()
    said(supervisor, "还需要另一位")

    manager = sign_in("中心经理")
    manager.goto(at)
    manager.get_by_role("button", name="我看过清单，批准销毁").click()
    download = manager.get_by_role("link", name="下载证书（DOCX）")
    expect(download).to_be_visible(timeout=SOON)
    said(manager, "证书与清单完好")
    with manager.expect_download() as saved:
        download.click()
    assert re.fullmatch(r"D2026-\d{4}\.docx", saved.value.suggested_filename)
    with closing(sqlite3.connect(program.database, timeout=30)) as database:
        assert database.execute("SELECT count(*) FROM message WHERE conversation_id = ?", (talk,)).fetchone() == (0,)
    assert problems(manager) == []
    assert problems(supervisor) == []
    archived_held_and_lent(sign_in, program, archivist, manager)


def archived_held_and_lent(sign_in: Callable[..., Page], program: Program, archivist: Page, manager: Page) -> None:
    """A closed complaint is gathered, checked, lent to an agent, and held."""
    leader = sign_in("值班组长")
    leader.goto(f"{program.address}/console/cases/new")
    leader.locator("select[name=kind]").select_option("complaint")
    for name, value in (("subject", "热水器漏水"), ("phone", "13800138000"), ("name", "林女士")):
        leader.locator(f"main [name={name}]").fill(value)
    leader.locator("main form").filter(has=leader.locator("[name=subject]")).locator("button").last.click()
    leader.wait_for_url(re.compile(r"/console/cases/\d+"))
    leader.locator("form[action$='/feedback'] textarea").fill("已上门修好")
    leader.locator("form[action$='/feedback'] button").click()
    said(leader, "反馈已记录")
    leader.locator("form[action$='/close'] select").select_option("confirmed")
    leader.locator("form[action$='/close'] button").click()
    said(leader, "工单已关闭")
    case = leader.url.split("?")[0]

    register = f"{program.address}/console/archive/files"
    archivist.goto(register)
    archivist.locator("select[name=record]").select_option(f"case:{case.rpartition('/')[2]}")
    archivist.get_by_role("button", name="归档登记").click()
    said(archivist, "已登记")

    leader.goto(case)
    leader.locator("#records a.number").click()
    leader.get_by_role("button", name="齐全清晰，归档锁定").click()
    said(leader, "已归档并锁定")
    file = leader.url.split("?")[0]
    leader.goto(case)
    expect(leader.locator("form[action$='/reopen']")).to_have_count(0)

    agent = sign_in("客服专员")
    agent.goto(file)
    expect(agent.locator("[data-lent]")).to_have_count(0)
    agent.locator("form[action$='/loans'] textarea").fill("复核")
    agent.locator("form[action$='/loans'] button").click()
    said(agent, "借阅申请已提交")

    manager.goto(register)
    manager.get_by_role("button", name="批准", exact=True).click()
    said(manager, "请档案管理员登记借出")
    archivist.goto(register)
    archivist.get_by_role("button", name="登记借出").click()
    said(archivist, "已登记借出")
    agent.goto(file)
    expect(agent.locator("[data-lent]")).to_contain_text("热水器漏水")
    expect(agent.locator(".watermark span").first).to_contain_text("借阅")

    manager.goto(case)
    manager.locator("#records summary").first.click()
    manager.locator("#records textarea[name=reason]").fill("法院来函")
    manager.locator("#records form[action='/console/archive/holds'] button").click()
    said(manager, "已封存")
    manager.goto(f"{program.address}/console/archive/holds")
    expect(manager.locator("section.card").first).to_contain_text("法院来函")
    found = {}
    for scheme in ("light", "dark"):
        manager.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        for width in (360, 1280):
            manager.set_viewport_size({"width": width, "height": 800})
            for room in ("", "/files", "/holds", "?lang=en"):
                manager.goto(f"{program.address}/console/archive{room}")
                found[f"{room} {scheme} {width}"] = problems(manager)
            manager.goto(file)
            found[f"file {scheme} {width}"] = problems(manager)
    assert {where: what for where, what in found.items() if what} == {}
