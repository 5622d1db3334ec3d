"""A system-fault drill in a real browser on a clock that hurries, so that the steps of five and ten minutes fall due
while people work: what they do in time, what the program does by itself, what recovery makes moot (REQ-F11,
F14, F54, F55).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.drilling import (
    SOON,
    SignIn,
    acknowledges,
    approves,
    begins,
    confirms,
    does,
    downloaded,
    in_sheets,
    in_word,
    is_done,
    notes,
    opened,
    problems,
    step,
)
from tests.browser.program import Program


@pytest.fixture(scope="module")
def program(browser: Browser, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    assert browser.is_connected()
    program = Program(tmp_path_factory.mktemp("hurried") / "data", prepared, speed=20)
    program.start()
    yield program
    program.stop()


def test_a_system_fault_drill(sign_in: SignIn, program: Program) -> None:
    leader, supervisor, manager, ops = (sign_in(role) for role in ("值班组长", "客服主管", "中心经理", "系统运维"))
    incident = begins(leader, program, "INC-11")
    confirms(leader, incident)

    # five minutes: the supervisor is told and says so; ten: the program tells the managers by itself
    supervisor.goto(incident)
    acknowledges(supervisor, "组长报主管")
    is_done(supervisor, "组长报主管")
    ops.goto(incident)
    does(ops, "开始检修", "重启应用服务器")
    is_done(leader, "十分钟未恢复")
    expect(step(leader, "十分钟未恢复")).to_contain_text("顾平")
    expect(step(leader, "十分钟未恢复")).to_contain_text("系统")
    for words in ("记下故障时间和现象", "改用参考资料答复", "启用手工记录单"):
        does(leader, words)
    wall = ops
    wall.goto(program.address + "/console/incidents/wall")
    expect(wall.locator(".wall-incident")).to_contain_text("应用或网络故障")
    assert problems(wall) == []

    # customers would be told: drafted, approved, launched, and nobody hears of it
    leader.get_by_role("link", name="起草公告").click()
    expect(leader.get_by_label("中文内容")).to_have_value(re.compile("系统故障，业务查询暂时受影响"))
    size = int(leader.locator("#preview .figure b").inner_text())
    leader.get_by_role("button", name="保存草稿").click()
    leader.wait_for_url(re.compile(r"/console/broadcasts/\d+"))
    approves(supervisor, leader.url.split("?")[0], size)

    # back: what was for while it lasted is dropped, what follows recovery begins
    supervisor.goto(incident)
    form = opened(supervisor, "recover")
    form.locator("#text-recover").fill("服务器恢复")
    form.locator("button").click()
    expect(step(supervisor, "考虑其他措施")).to_have_class(re.compile("is-dropped"))
    leader.goto(incident)
    leader.get_by_role("button", name=re.compile("发解除通知")).click()
    leader.wait_for_url(re.compile(r"/console/broadcasts/\d+"))
    approves(supervisor, leader.url.split("?")[0], size)
    leader.goto(incident)
    for words in ("逐一电话告知", "填组长日志", "导入手工记录"):
        does(leader, words)

    # the record, the review, the end
    manager.goto(incident)
    for kind, words in (("course", "应用服务器内存耗尽"), ("cause", "日志未轮转"), ("measure", "加监控")):
        notes(manager, kind, words)
    expect(manager.locator(".gaps li")).to_have_text(["还没有复盘"])
    form = opened(manager, "review")
    form.locator("#text-review").fill("手工单够用")
    form.locator("button").click()
    expect(manager.locator("[data-section=gaps] .gaps")).to_have_count(0)
    form = opened(manager, "close")
    form.locator("#text-close").fill("合格")
    form.locator("button").click()
    expect(manager.locator("[data-section=state]")).to_contain_text("已关闭", timeout=SOON)
    expect(manager.locator("[data-section=gaps] .figure")).to_contain_text("按时")
    assert problems(manager) == []
    for said in (in_word(downloaded(manager, "事件报告（Word）")), in_sheets(downloaded(manager, "事件报告（表格）"))):
        for words in ("【演练】", "日志未轮转", "合格", "重启应用服务器", "十分钟未恢复", "顾平"):
            assert words in said
