"""A heating-failure drill in a real browser, from detection to the filed report, as a centre's people play it (REQ-F54,
F55).

A drill goes the way of the real thing: steps, timers, acknowledgements, an announcement that a second person approves,
the all-clear, the record, the review; and nothing of it leaves the house.
"""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import NewPage
from tests.browser.drilling import (
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
)
from tests.browser.program import Program


def test_a_heating_failure_drill(new_page: NewPage, sign_in: SignIn, program: Program) -> None:
    leader, supervisor, manager, ops = (sign_in(role) for role in ("值班组长", "客服主管", "中心经理", "系统运维"))
    incident = begins(leader, program, "INC-29")
    confirms(leader, incident)

    # told by the program, relayed, acknowledged one by one; the crew arrives; the valve is decided on
    for desk in (supervisor, manager, ops):
        desk.goto(incident)
    acknowledges(supervisor, "供热管道爆裂，先报公司")
    acknowledges(manager, "供热管道爆裂，先报公司")
    is_done(leader, "供热管道爆裂，先报公司")  # live, without reloading
    does(leader, "记下报告时间", "10:00 张先生来电，三号楼北侧冒水")
    does(ops, "抢修人员到场")
    does(ops, "决定是否关闭分段阀门", "关三号楼分段阀")
    does(ops, "查看有无烫伤人员")
    assert problems(ops) == []

    # the announcement is drafted from the template, approved by another, and goes to nobody
    ops.get_by_role("link", name="起草公告").click()
    expect(ops.get_by_label("中文内容")).to_have_value(re.compile("供热管道爆裂，暂停供热"))
    expect(ops.get_by_label("所有人")).to_be_checked()
    size = int(ops.locator("#preview .figure b").inner_text())
    assert size > 0
    assert problems(ops) == []
    ops.get_by_role("button", name="保存草稿").click()
    ops.wait_for_url(re.compile(r"/console/broadcasts/\d+"))
    notice = ops.url.split("?")[0]
    approves(supervisor, notice, size)
    expect(supervisor.get_by_text("没有发给任何客户")).to_be_visible()
    assert problems(supervisor) == []
    phone = new_page("/phone")
    phone.locator('input[name="number"]').fill("+8619900000103")
    phone.locator('input[name="number"]').press("Enter")
    expect(phone.locator("#text-form")).to_be_visible()
    expect(phone.get_by_text("供热管道爆裂")).to_have_count(0)

    # the estimate, which owes those who were told an update
    ops.goto(incident)
    form = opened(ops, "eta")
    form.locator("#eta").fill("2026-07-01T18:30")
    form.locator("button").click()
    update = ops.get_by_role("link", name=re.compile("进展"))
    expect(ops.locator("[data-section=state]")).to_contain_text("18:30")
    ops.goto(program.address + str(update.get_attribute("href")))
    expect(ops.get_by_label("中文内容")).to_have_value(re.compile("18:30前后恢复"))
    approves(supervisor, ops.url, size)

    # graded by the figures, confirmed by a person; the grade brings its own steps
    leader.goto(incident)
    leader.locator("#figure-load_drop").fill("30")
    leader.locator("#figure-affected").fill("90")
    leader.get_by_role("button", name="按数据算一下").click()
    expect(leader.locator("#grade .notice")).to_contain_text("二级")
    leader.get_by_role("button", name="确认级别").click()
    expect(leader.locator("[data-section=state]")).to_contain_text("二级")
    does(leader, "核实并定级")
    for desk in (supervisor, manager):
        desk.goto(incident)
    for desk in (supervisor, manager, leader):
        acknowledges(desk, "二级事故，由经理指挥")
    is_done(manager, "二级事故，由经理指挥")
    does(supervisor, "通知受影响的热用户")
    does(supervisor, "持续监测趋势")
    does(manager, "向主管部门报告", "供热办王科长，10:40，电话")

    # service is back; the all-clear goes to the same people, that is to nobody
    supervisor.goto(incident)
    form = opened(supervisor, "recover")
    form.locator("#text-recover").fill("换了一段管道，压力正常")
    form.locator("button").click()
    expect(supervisor.get_by_text("还没有收到解除通知")).to_be_visible()
    ops.goto(incident)
    ops.get_by_role("button", name=re.compile("发解除通知")).click()
    ops.wait_for_url(re.compile(r"/console/broadcasts/\d+"))
    approves(supervisor, ops.url.split("?")[0], size)
    ops.goto(incident)
    does(ops, "注水排气", "各楼已升温")
    leader.goto(incident)
    does(leader, "回访报过修的住户", "演练，没有住户报修")

    # the record is completed (F.6), reviewed, evaluated (F.7), and the drill closed
    manager.goto(incident)
    for kind, words in (
        ("action", "关阀后更换管道"),
        ("cause", "焊口老化"),
        ("measure", "两年一次焊口检测"),
    ):
        notes(manager, kind, words)
    manager.locator("#form-profile summary").click()
    manager.get_by_label("受影响的客户（户或人）").fill("120 户")
    manager.get_by_label("参加演练的人").fill("抢修班全员")
    manager.locator("#form-profile button").click()
    expect(manager.locator("#form-profile .count")).to_contain_text("2 /")
    expect(manager.locator(".gaps li")).to_have_text(["还没有复盘"])
    form = opened(manager, "review")
    form.locator("#text-review").fill("分工清楚；通知业主慢了三分钟")
    form.locator("button").click()
    expect(manager.locator("[data-section=gaps] .gaps")).to_have_count(0)
    form = opened(manager, "close")
    form.locator("#text-close").fill("达到要求，下次提前准备阀门钥匙")
    form.locator("button").click()
    expect(manager.locator("[data-section=state]")).to_contain_text("已关闭")
    expect(manager.locator("[data-section=gaps] .figure b")).to_have_text("100")
    assert problems(manager) == []

    # filed: the report as people hand it in, and the drill's line in the record of drills
    for said in (in_word(downloaded(manager, "事件报告（Word）")), in_sheets(downloaded(manager, "事件报告（表格）"))):
        for words in (
            "【演练】",
            "演练：供热管道爆裂",
            "抢修班全员",
            "焊口老化",
            "达到要求，下次提前准备阀门钥匙",
            "供热办王科长",
            "沈若云",
            "关三号楼分段阀",
            "18:30前后恢复",
        ):
            assert words in said
    manager.goto(program.address + "/console/incidents/drills")
    line = manager.get_by_role("row", name=re.compile("演练：供热管道爆裂"))
    expect(line.locator(".number")).to_have_text("100")
    expect(line).to_contain_text("韩冬")
    assert problems(manager) == []
