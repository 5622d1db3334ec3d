"""What the console calls what scripts name by a code: reasons, facts, audited actions. Unknown codes show bare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.core.book import Book
from bot.core.media import SHOWN as SHOWN
from bot.core.redaction import without_addresses
from bot.core.words import IncidentState, Language, Purpose, RepairStage, mask
from bot.services import i18n, reasons
from bot.services.centre import Centre
from bot.services.i18n import N_
from bot.services.incidents.incident_types import catalogue
from bot.services.queues import QUEUES as QUEUES
from bot.services.records.corrections import FIELDS as CORRECTABLE  # noqa: F401 - templates name it
from bot.services.records.privacy_requests import NAMES as DATA_REQUESTS  # noqa: F401 - templates name it
from bot.services.records.unmasking import REASONS as UNMASK_REASONS  # noqa: F401 - templates name it

SCOPES: Mapping[str, str] = {
    "all": N_("任何联系"),
    "recording": N_("录音"),
    "calls": N_("电话回访和推广"),
    "sms": N_("短信回访和推广"),
    "callbacks": N_("回访"),
    **i18n.LABELS[Purpose],
}
"""What a customer no longer wants."""

MERGE_REASONS: Mapping[str, str] = {
    "same_phone": N_("两人留了同一个电话"),
    "by_hand": N_("同事认为是同一人"),
}

EVENTS: Mapping[str, str] = {
    "visit": N_("到访"),
    "purchase": N_("消费"),
    "surgery": N_("手术"),
    "booking": N_("预约"),
}

SUBJECTS: Mapping[str, str] = {
    "canned": N_("常用回复"),
    "examples": N_("训练例句"),
    "staff": N_("员工"),
    "case": N_("工单"),
    "conversation": N_("会话"),
    "contact": N_("客户"),
    "callback": N_("回电"),
    "broadcast": N_("公告"),
    "incident": N_("事件"),
    "import": N_("导入"),
    "delivery": N_("投递"),
    "hand_over": N_("交接班"),
    "shift": N_("班次"),
    "swap": N_("换班"),
    "proposal": N_("预案建议"),
    "surge": N_("话务支援"),
    "escalation": N_("升级"),
    "next_step": N_("后续事项"),
    "import_run": N_("导入"),
    "plan": N_("回访计划"),
    "planned_message": N_("计划里的消息"),
    "event": N_("客户事项"),
    "blocked_day": N_("停呼日"),
    "visit": N_("上门"),
    "report": N_("报表"),
    "export": N_("导出"),
    "privacy_request": N_("本人资料请求"),
    "hold": N_("封存"),
    "disposal": N_("销毁清单"),
    "archive": N_("档案"),
    "loan": N_("借阅"),
    "announcement_template": N_("公告模板"),
    "saved_audience": N_("存好的名单条件"),
}

ACTIONS: Mapping[str, str] = {
    "callback.edit": N_("修改回电"),
    "incident.call_back": N_("安排恢复回电"),
    "planned_message.said": N_("发出计划里的消息"),
    "planned_message.called": N_("改打电话代替消息"),
    "planned_message.cancelled": N_("不再发计划里的消息"),
    "plan.assign": N_("指派回访计划"),
    "plan.skip": N_("跳过一次回访"),
    "plan.take_out": N_("移出回访计划"),
    "plan.enrol": N_("加入回访计划"),
    "plan.pause": N_("暂停回访计划"),
    "plan.resume": N_("恢复回访计划"),
    "day.block": N_("设为停呼日"),
    "day.unblock": N_("取消停呼日"),
    "examples.decide": N_("给例句定意图"),
    "staff.number_verified": N_("核对员工电话"),
    "case.urgent": N_("升为紧急工单"),
    "case.pend": N_("工单等客户"),
    "case.go_on": N_("工单继续处理"),
    "case.link": N_("关联工单"),
    "case.task": N_("分派部门任务"),
    "case.task_done": N_("完成部门任务"),
    "case.escalate": N_("请上级介入工单"),
    "case.item_counted": N_("清点失物"),
    "case.item_confirmed": N_("复核失物"),
    "case.item_returned": N_("归还失物"),
    "hand_over.give": N_("交班"),
    "hand_over.confirm": N_("接班"),
    "conversation.abuse": N_("处理不文明来电"),
    "shift.add": N_("排班"),
    "shift.cancel": N_("撤班"),
    "swap.ask": N_("申请换班"),
    "swap.move": N_("处理换班"),
    "proposal.made": N_("建议启动预案"),
    "proposal.decide": N_("决定预案建议"),
    "surge.start": N_("启动话务支援"),
    "surge.end": N_("撤回话务支援"),
    "template.keep": N_("改公告模板"),
    "template.retire": N_("停用公告模板"),
    "audience.keep": N_("保存名单条件"),
    "audience.drop": N_("删除名单条件"),
    "escalation.made_up": N_("补发升级提醒"),
    "staff.number": N_("登记员工电话"),
    "staff.create": N_("添加员工"),
    "staff.make_chat_code": N_("取得 Telegram 连接码"),
    "staff.link_chat": N_("连接 Telegram"),
    "staff.unlink_chat": N_("断开 Telegram"),
    "escalation.hand_on": N_("转给别人"),
    "escalation.acknowledge": N_("接手升级"),
    "staff.set_password": N_("更改密码"),
    "staff.set_roles": N_("更改角色"),
    "staff.set_active": N_("启用或停用员工"),
    "staff.make_link": N_("生成登录链接"),
    "staff.sign_in": N_("登录"),
    "staff.sign_out": N_("退出"),
    "staff.end_session": N_("让一台设备退出"),
    "staff.unlock": N_("解除登录锁定"),
    "staff.set_second_factor": N_("开启两步验证"),
    "staff.remove_second_factor": N_("关闭两步验证"),
    "staff.use_recovery_code": N_("用恢复码登录"),
    "staff.presence": N_("切换在线状态"),
    "case.assign": N_("指派工单"),
    "case.note": N_("工单备注"),
    "case.feedback": N_("记录反馈"),
    "case.close": N_("关闭工单"),
    "case.reopen": N_("重新打开工单"),
    "conversation.claim": N_("接手会话"),
    "conversation.assign": N_("系统分配会话"),
    "staff.set_skills": N_("修改技能"),
    "canned.keep": N_("保存常用回复"),
    "canned.drop": N_("删除常用回复"),
    "conversation.join": N_("加入会话"),
    "conversation.leave": N_("退出会话"),
    "conversation.call_in": N_("请同事一起接待"),
    "conversation.move_on": N_("久未回复，转给别人"),
    "conversation.take_over": N_("接管会话"),
    "conversation.transfer": N_("转交会话"),
    "conversation.release": N_("放回队列"),
    "conversation.hand_back": N_("交还机器人"),
    "conversation.close": N_("结束会话"),
    "contact.seen": N_("查看完整联系方式"),
    "correction.propose": N_("提出更正"),
    "correction.make": N_("更正记录"),
    "correction.refuse": N_("不同意更正"),
    "export.ask": N_("申请导出"),
    "export.decide": N_("审批导出"),
    "export.take": N_("下载导出的文件"),
    "privacy.open": N_("登记本人资料请求"),
    "privacy.identity": N_("核对请求人的身份"),
    "privacy.approve": N_("批准本人资料请求"),
    "privacy.refuse": N_("不予办理本人资料请求"),
    "privacy.link": N_("生成本人下载链接"),
    "privacy.done": N_("办完本人资料请求"),
    "contact.unmask": N_("写明理由后显示联系方式"),
    "contact.merge": N_("合并客户"),
    "contact.part": N_("撤销合并客户"),
    "contact.not_same": N_("认定为不同客户"),
    "case.open": N_("建立工单"),
    "contact.consent": N_("记录客户意愿"),
    "contact.learn": N_("更正客户资料"),
    "contact.tag": N_("加标签"),
    "contact.untag": N_("去掉标签"),
    "callback.book": N_("预约回电"),
    "callback.end": N_("结束回电"),
    "callback.cancel": N_("取消回电"),
    "callback.postpone": N_("改期回电"),
    "callback.call_now": N_("立即拨打"),
    "callback.reorder": N_("调整回电次序"),
    "callback.annotate": N_("填写回访备注"),
    "callback.prepare": N_("填写拨打前的准备"),
    "callback.seen": N_("查看回访记录"),
    "callback.stop": N_("停止回访"),
    "next_step.add": N_("安排后续事项"),
    "next_step.finish": N_("完成后续事项"),
    "next_step.change": N_("更改后续事项"),
    "next_step.chase": N_("催办后续事项"),
    "report.follow_ups": N_("导出回访报表"),
    "report.daily": N_("写好每日报表"),
    "report.download": N_("下载每日报表"),
    "escalation.notify": N_("通知升级负责人"),
    "escalation.exhausted": N_("升级已到最高级"),
    "broadcast.draft": N_("起草公告"),
    "broadcast.edit": N_("修改公告"),
    "broadcast.approve": N_("批准公告"),
    "broadcast.launch": N_("发送公告"),
    "broadcast.override": N_("不等第二人，自己批准公告"),
    "broadcast.at_night": N_("夜间发送公告"),
    "broadcast.stop": N_("暂停公告"),
    "broadcast.resume": N_("继续公告"),
    "broadcast.cancel": N_("取消公告"),
    "broadcast.finish": N_("公告发送完毕"),
    "incident.plan": N_("启动预案"),
    "incident.grade": N_("确认事件级别"),
    "incident.document": N_("生成事件文档"),
    "step.done": N_("办好步骤"),
    "step.dropped": N_("注明步骤不需要"),
    "manual.import": N_("导入手工记录"),
    "seat.ask": N_("申请签出"),
    "seat.decide": N_("答复签出申请"),
    **{f"incident.{state}": name for state, name in i18n.LABELS[IncidentState].items()},
    "visits.import": N_("导入到诊名单"),
    "import.cancel": N_("取消导入名单"),
    "import.faults": N_("取走有问题的行"),
    "gate.override": N_("应急放行"),
    "repair.stage": N_("推进维修"),
    "repair.charge": N_("决定是否收费"),
    "repair.quote": N_("报价"),
    "repair.consent": N_("记录客户同意"),
    "repair.track": N_("登记运单号"),
    "visit.book": N_("预约上门"),
    "visit.move": N_("改约上门"),
    "visit.cancel": N_("取消上门"),
    "visit.confirm": N_("客户确认上门"),
    "visit.done": N_("完成上门"),
    "visit.missed": N_("标记未能上门"),
    "visit.assign": N_("指派师傅"),
    "visit.tell": N_("告知客户上门安排"),
    "visit.untold": N_("未能告知客户"),
    "visit.seen": N_("查看当天上门地址"),
    "hold.place": N_("封存"),
    "hold.lift": N_("解除封存"),
    "disposal.propose": N_("列出到期档案"),
    "disposal.approve": N_("批准销毁清单"),
    "disposal.decline": N_("退回销毁清单"),
    "archive.gather": N_("归档登记"),
    "archive.check": N_("检查归档"),
    "archive.goes_on": N_("退出归档（重新办理）"),
    "archive.ask": N_("申请增改档案"),
    "archive.decide": N_("决定增改档案"),
    "loan.ask": N_("申请借阅"),
    "loan.decide": N_("决定借阅"),
    "loan.register": N_("登记借出"),
    "loan.return": N_("归还档案"),
    "loan.read": N_("查阅档案"),
    "void.declare": N_("作废记录"),
    "void.lift": N_("恢复记录"),
    "disposal.certify": N_("销毁完毕，出具证书"),
}

NOTES: Mapping[str, str] = {
    "opened": N_("建立"),
    "assigned": N_("指派"),
    "note": N_("备注"),
    "feedback": N_("向客户反馈"),
    "closed": N_("关闭"),
    "reopened": N_("重新打开"),
    "customer": N_("客户补充"),
    "urgent": N_("升为紧急"),
    "pending": N_("等客户"),
    "going_on": N_("继续处理"),
    "escalated": N_("请上级介入"),
    "task": N_("部门任务"),
    "task_done": N_("任务完成"),
    "item_counted": N_("清点失物"),
    "item_confirmed": N_("第二人复核"),
    "item_returned": N_("归还失物"),
    "handed_over": N_("交班"),
    "charge.free": N_("不收费"),
    "charge.paid": N_("要收费"),
    "tracking_in": N_("寄来的运单号"),
    "tracking_out": N_("寄回的运单号"),
    "visit.untold": N_("系统通知不到客户，请打电话"),
    **{f"stage.{stage}": name for stage, name in i18n.LABELS[RepairStage].items()},
    "visit.booked": N_("预约上门"),
    "visit.moved": N_("改约上门"),
    "visit.cancelled": N_("上门已取消"),
    "visit.done": N_("完成上门"),
    "visit.missed": N_("未能上门"),
    "added": N_("归档后补充"),
}
"""What happened on a case."""


def why(centre: Centre, language: Language, reason: str) -> str:
    """Why a person is wanted, of a conversation or a ladder; an incident's ladder names the kind of incident."""
    kind = catalogue(centre).types.get(reason)
    return kind.name.of(language) if kind else reasons.said(language, reason, centre.library.current.book)


HIDDEN = "****"
SENSITIVE = frozenset({"phone", "unit", "address", "property_unit"})


BY_HAND: Mapping[str, str] = {
    "about": N_("对象（订单、人员、设备、地点）"),
    "words": N_("客户原话"),
    "loss": N_("损失"),
    "evidence": N_("证据"),
    "wish": N_("客户诉求"),
}
"""What staff note on a case opened by hand (REQ-E02)."""


def facts_of(book: Book, language: Language, slots: Mapping[str, Any], *, full: bool) -> list[tuple[str, str | bool]]:
    """What the customer told, by the names staff know: slots without a label only steer a flow and are left out.

    Numbers and places are masked unless the viewer may see them in `full` (REQ-G14).
    """
    told: list[tuple[str, str | bool]] = []
    for name, value in slots.items():
        if name in BY_HAND and value:
            told.append((i18n.text(language, BY_HAND[name]), without_addresses(str(value)) if not full else str(value)))
            continue
        slot = book.slots.get(name)
        if slot is None or not slot.labels or value in (None, ""):
            continue
        shown = value if isinstance(value, bool) else value_name(book, language, name, str(value))
        if not full and name in SENSITIVE and isinstance(shown, str):
            shown = mask(shown) if name == "phone" else HIDDEN
        told.append((slot.labels.get(language, name), shown))
    return told


def value_name(book: Book, language: Language, slot: str, value: str) -> str:
    """A value as the button that sets it is called; itself where no button does."""
    for variants in book.responses.values():
        for variant in variants:
            for choice in variant.choices:
                if choice.payload == f"/SetSlots({slot}={value})":
                    return choice.titles.get(language, value)
    return value
