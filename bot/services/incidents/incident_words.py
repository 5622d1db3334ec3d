"""What people call the entries, plans, grades and gaps of an incident, on pages and in reports."""

from __future__ import annotations

from collections.abc import Mapping

from bot.core.grades import Because, Grade, Open, Reach
from bot.core.incident_plan import Gap
from bot.services.i18n import N_

REACHES: Mapping[str, str] = {
    Reach.NOBODY: N_("没有超出"),
    Reach.TEAM: N_("超出班组能力"),
    Reach.COMPANY: N_("超出公司能力"),
}
ENTRIES: Mapping[str, str] = {
    "reported": N_("上报"),
    "customers": N_("客户集中反映"),
    "plan_proposed": N_("建议启动预案"),
    "all_clear_sent": N_("已发解除通知"),
    "form": N_("填写记录"),
    "by_hand": N_("导入手工记录"),
    "unreached": N_("没能通知到的客户"),
    "course": N_("经过"),
    "suspected": N_("疑似"),
    "confirmed": N_("已确认"),
    "plan": N_("启动预案"),
    "grade": N_("事件级别"),
    "contained": N_("已控制"),
    "recovered": N_("已恢复"),
    "all_clear": N_("已解除"),
    "all_clear_waived": N_("不发解除通知"),
    "reviewed": N_("已复盘"),
    "evaluation": N_("总体评价"),
    "closed": N_("已关闭"),
    "eta": N_("预计恢复时间"),
    "wording": N_("统一口径"),
    "announced": N_("已发公告"),
    "action": N_("处置"),
    "cause": N_("原因"),
    "measure": N_("改进措施"),
    "cost": N_("费用"),
    "told": N_("已通知"),
    "override": N_("破例"),
    "note": N_("备注"),
}
PLANS: Mapping[str, str] = {
    "own": N_("本类事件"),
    "general": N_("一般预案"),
    "major": N_("重大预案"),
    "grade_I": N_("一级响应"),
    "grade_II": N_("二级响应"),
}
GRADES: Mapping[str, str] = {
    Grade.I: N_("一级"),
    Grade.II: N_("二级"),
    Grade.MINOR: N_("一般事故"),
    Grade.MEDIUM: N_("较大事故"),
    Grade.MAJOR: N_("重大事故"),
}
BECAUSE: Mapping[str, str] = {
    Because.LOAD: N_("降负荷幅度和影响时长"),
    Because.BOILER_STOPPED: N_("设备损坏造成停炉"),
    Because.MAIN_THREATENED: N_("严重威胁主设备"),
    Because.SHORTAGE_STOPS: N_("缺燃料或缺水将迫使主设备停运"),
    Because.SHORTAGE_LIMITS: N_("缺燃料或缺水限制供热超过 60 分钟"),
    Because.HAZARD: N_("自然灾害影响全公司"),
    Because.OBSTACLE: N_("其他事故预计达到的障碍等级"),
    Because.BEYOND: N_("超出自身处置能力"),
    Because.LOSS: N_("经济损失"),
    Because.CASUALTIES: N_("人员伤亡"),
    Because.OUTAGE: N_("停供时长"),
}
QUESTIONS: Mapping[str, str] = {
    Open.LOAD_TIME_UNKNOWN: N_("知道降了多少，还不知道影响多久"),
    Open.DROP_UNKNOWN: N_("知道影响多久，还不知道降了多少"),
    Open.SHORTAGE_TIME_UNKNOWN: N_("缺燃料或缺水，还不知道限制多久"),
    Open.OBSTACLE_UNKNOWN: N_("有人受伤，还不知道属于几类障碍"),
    Open.LOSS_UNKNOWN: N_("还不知道损失"),
    Open.OUTAGE_UNKNOWN: N_("还不知道停供多久"),
    Open.CASUALTIES_UNKNOWN: N_("还不清楚有无伤亡"),
    Open.INJURED_BETWEEN: N_("2 到 5 人受伤，规定里没有写"),
    Open.SERIOUSLY_INJURED: N_("有人重伤，较大事故只写了轻伤"),
    Open.OUTAGE_BEYOND: N_("停供超过 72 小时，超出规定的上限"),
}
GAPS: Mapping[str, str] = {
    Gap.ALL_CLEAR: N_("解除通知还没有发，也没有说明不发的理由"),
    Gap.STEPS: N_("还有步骤没有完成，也没有注明不需要"),
    Gap.CAUSE: N_("还没有写原因"),
    Gap.MEASURES: N_("还没有写改进措施"),
    Gap.COURSE: N_("还没有写处置经过"),
    Gap.REVIEW: N_("还没有复盘"),
    Gap.EVALUATION: N_("还没有总体评价"),
    Gap.GRADE: N_("事件级别还没有人确认"),
    Gap.AUTHORITIES: N_("一小时上报还没有完成"),
    Gap.HALL_FORM: N_("上报领导小组的七项还没有填全"),
    Gap.PARTICIPANTS: N_("还没有参加演练的人"),
}
