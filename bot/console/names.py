"""What the console calls what scripts name by a code: reasons, facts, audited actions. Unknown codes show bare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.core.book import Book
from bot.core.words import IncidentState, Language, Purpose, RepairStage, mask
from bot.services import i18n
from bot.services.i18n import N_

REASONS: Mapping[str, str] = {
    "asked": N_("客户要求人工"),
    "stuck": N_("机器人无法继续"),
    "complaint": N_("投诉"),
    "repair": N_("报修"),
    "inquiry": N_("咨询"),
    "red_flag": N_("回访发现异常"),
    "broadcast_reply": N_("回复了通知"),
    "media": N_("媒体来访"),
    "privacy": N_("隐私"),
    "found_item": N_("失物招领"),
    "visit": N_("上门一再改期"),
}
"""Why a person is wanted, where it is a code; most often it is the topic in words, and shows as it is."""

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
    "escalation": N_("升级"),
    "next_step": N_("后续事项"),
    "import_run": N_("导入"),
    "visit": N_("上门"),
}

ACTIONS: Mapping[str, str] = {
    "examples.decide": N_("给例句定意图"),
    "staff.create": N_("添加员工"),
    "staff.make_chat_code": N_("取得 Telegram 连接码"),
    "staff.link_chat": N_("连接 Telegram"),
    "staff.unlink_chat": N_("断开 Telegram"),
    "escalation.acknowledge": N_("接手升级"),
    "staff.set_password": N_("更改密码"),
    "staff.set_roles": N_("更改角色"),
    "staff.set_active": N_("启用或停用员工"),
    "staff.make_link": N_("生成登录链接"),
    "staff.sign_in": N_("登录"),
    "staff.sign_out": N_("退出"),
    "staff.presence": N_("切换在线状态"),
    "case.assign": N_("指派工单"),
    "case.note": N_("工单备注"),
    "case.feedback": N_("记录反馈"),
    "case.close": N_("关闭工单"),
    "case.reopen": N_("重新打开工单"),
    "conversation.claim": N_("接手会话"),
    "conversation.take_over": N_("接管会话"),
    "conversation.transfer": N_("转交会话"),
    "conversation.release": N_("放回队列"),
    "conversation.hand_back": N_("交还机器人"),
    "conversation.close": N_("结束会话"),
    "contact.seen": N_("查看完整联系方式"),
    "contact.merge": N_("合并客户"),
    "contact.part": N_("撤销合并客户"),
    "contact.not_same": N_("认定为不同客户"),
    "case.open": N_("建立工单"),
    "contact.consent": N_("记录客户意愿"),
    "contact.learn": N_("更正客户资料"),
    "callback.book": N_("预约回电"),
    "callback.end": N_("结束回电"),
    "callback.cancel": N_("取消回电"),
    "callback.postpone": N_("改期回电"),
    "callback.call_now": N_("立即拨打"),
    "callback.reorder": N_("调整回电次序"),
    "callback.annotate": N_("填写回访备注"),
    "callback.seen": N_("查看回访记录"),
    "callback.stop": N_("停止回访"),
    "next_step.add": N_("安排后续事项"),
    "next_step.finish": N_("完成后续事项"),
    "escalation.notify": N_("通知升级负责人"),
    "escalation.exhausted": N_("升级已到最高级"),
    "broadcast.draft": N_("起草公告"),
    "broadcast.edit": N_("修改公告"),
    "broadcast.approve": N_("批准公告"),
    "broadcast.launch": N_("发送公告"),
    "broadcast.stop": N_("暂停公告"),
    "broadcast.resume": N_("继续公告"),
    "broadcast.cancel": N_("取消公告"),
    "broadcast.finish": N_("公告发送完毕"),
    **{f"incident.{state}": name for state, name in i18n.LABELS[IncidentState].items()},
    "visits.import": N_("导入到诊名单"),
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
}

NOTES: Mapping[str, str] = {
    "opened": N_("建立"),
    "assigned": N_("指派"),
    "note": N_("备注"),
    "feedback": N_("向客户反馈"),
    "closed": N_("关闭"),
    "reopened": N_("重新打开"),
    "customer": N_("客户补充"),
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
}
"""What happened on a case."""

HIDDEN = "****"
SENSITIVE = frozenset({"phone", "unit", "address", "property_unit"})


def facts_of(book: Book, language: Language, slots: Mapping[str, Any], *, full: bool) -> list[tuple[str, str | bool]]:
    """What the customer told, by the names staff know: slots without a label only steer a flow and are left out.

    Numbers and places are masked unless the viewer may see them in `full` (REQ-G14).
    """
    told = []
    for name, value in slots.items():
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
