"""The two languages of pages, errors and reports: gettext catalogues read from .po files, labels, dates.

Source strings are Chinese, so Chinese needs no catalogue; English lies in bot/locales/en/LC_MESSAGES, one .po file an
area, all read together at first use (no compile step). In templates write `{{ _("…") }}`, in Python mark a string with
`N_("…")` and translate it with `text`. tests/console finds what is marked and not translated.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import date, datetime, tzinfo
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from babel.dates import format_date, format_skeleton
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from bot.core import words
from bot.core.words import Language

LOCALES = Path(__file__).parents[1] / "locales"


def N_(message: str) -> str:  # noqa: N802 - gettext's name for "to be translated later"
    """Marks a source string for the catalogues and returns it as it is."""
    return message


@cache
def translations(language: Language) -> NullTranslations:
    """Everything known of a language; the source strings themselves where it is Chinese."""
    merged = NullTranslations()
    for path in sorted((LOCALES / language / "LC_MESSAGES").glob("*.po")):
        merged.add_fallback(_read(path))
    return merged


def _read(path: Path) -> Translations:
    with path.open("rb") as file:
        catalog: Catalog = read_po(file, abort_invalid=True)
    compiled = io.BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return Translations(compiled)


def text(language: Language, message: str, **values: Any) -> str:
    """A marked source string in `language`, with %(name)s filled in."""
    translated: str = translations(language).gettext(message)
    return translated % values if values else translated


LABELS: Mapping[type[StrEnum], Mapping[str, str]] = {
    words.Language: {"zh": N_("中文"), "en": N_("英文")},
    words.ChannelName: {
        "webchat": N_("网页聊天"),
        "rest": N_("接口"),
        "telegram": "Telegram",
        "sms": N_("短信"),
        "voice": N_("电话"),
        "staff": N_("内部通知"),
    },
    words.Author: {
        "customer": N_("客户"),
        "bot": N_("机器人"),
        "agent": N_("客服"),
        "system": N_("系统"),
    },
    words.ConversationState: {
        "bot": N_("机器人接待"),
        "queued": N_("排队中"),
        "agent": N_("人工接待"),
        "closed": N_("已结束"),
    },
    words.Purpose: {
        "reply": N_("答复"),
        "requested_callback": N_("客户约的回电"),
        "service_notice": N_("服务通知"),
        "follow_up": N_("回访"),
        "marketing": N_("营销"),
        "emergency": N_("应急通知"),
        "staff_alert": N_("员工提醒"),
    },
    words.Rule: {
        "window": N_("拨打时段"),
        "quiet_hours": N_("安静时段"),
        "holiday": N_("节假日"),
        "do_not_contact": N_("请勿联系"),
        "consent": N_("客户同意"),
        "frequency": N_("联系频次"),
        "drill": N_("演练"),
    },
    words.DeliveryState: {
        "queued": N_("待发送"),
        "sending": N_("发送中"),
        "accepted": N_("已受理"),
        "delivered": N_("已送达"),
        "heard": N_("已收听"),
        "read": N_("已读"),
        "failed": N_("发送失败"),
        "unknown": N_("结果未知"),
        "expired": N_("已过期"),
        "cancelled": N_("已取消"),
    },
    words.CaseKind: {
        "complaint": N_("投诉"),
        "repair": N_("报修"),
        "inquiry": N_("咨询"),
        "red_flag": N_("紧急情况"),
        "broadcast_reply": N_("通知的回复"),
        "found_item": N_("失物招领"),
        "media": N_("媒体"),
        "privacy": N_("隐私"),
    },
    words.CaseState: {
        "open": N_("待处理"),
        "assigned": N_("处理中"),
        "pending": N_("等待中"),
        "resolved": N_("已反馈"),
        "closed": N_("已关闭"),
    },
    words.RepairStage: {
        "registered": N_("已登记"),
        "judged": N_("已初判"),
        "quoted": N_("已报价"),
        "consented": N_("客户已同意"),
        "booked": N_("已预约"),
        "dispatched": N_("客户已寄出"),
        "received": N_("已收件"),
        "inspected": N_("已检测"),
        "repairing": N_("维修中"),
        "quality_check": N_("质检"),
        "settled": N_("已结算"),
        "handed_over": N_("已交付"),
        "replaced": N_("已换新"),
        "returned": N_("已寄回"),
        "evaluated": N_("已评价"),
        "cancelled": N_("已取消"),
    },
    words.VisitState: {
        "booked": N_("已约好"),
        "moved": N_("已改约"),
        "cancelled": N_("已取消"),
        "done": N_("已上门"),
        "missed": N_("未能上门"),
    },
    words.Urgency: {"ordinary": N_("普通"), "urgent": N_("紧急")},
    words.EscalationState: {
        "running": N_("升级中"),
        "acknowledged": N_("已有人接手"),
        "exhausted": N_("已通知到最高级"),
        "closed": N_("已了结"),
    },
    words.FollowUpGroup: {
        "visited_no_purchase": N_("到诊未消费"),
        "visited_purchased": N_("到诊已消费"),
        "not_visited": N_("未到诊"),
        "interrupted": N_("治疗中断"),
        "outpatient_surgery": N_("门诊手术"),
        "inpatient_surgery": N_("住院手术"),
        "after_complaint": N_("投诉后回访"),
        "requested": N_("客户预约"),
    },
    words.CallbackState: {
        "scheduled": N_("已排定"),
        "dialling": N_("拨打中"),
        "done": N_("已完成"),
        "given_up": N_("已放弃"),
        "cancelled": N_("已取消"),
    },
    words.Disposition: {
        "completed": N_("全部完成"),
        "partly_completed": N_("部分完成"),
        "no_answer": N_("无人接听"),
        "busy": N_("占线"),
        "machine": N_("语音信箱"),
        "refused": N_("拒绝"),
        "wrong_number": N_("号码不对"),
        "another_time": N_("改约时间"),
        "escalated": N_("已转人工"),
        "opted_out": N_("要求不再联系"),
        "failed": N_("呼叫失败"),
        "cancelled": N_("已取消"),
    },
    words.IncidentState: {
        "suspected": N_("疑似"),
        "confirmed": N_("已确认"),
        "contained": N_("已控制"),
        "recovered": N_("已恢复"),
        "all_clear": N_("已解除"),
        "reviewed": N_("已复盘"),
        "closed": N_("已关闭"),
    },
    words.BroadcastKind: {"notice": N_("通知"), "update": N_("进展"), "all_clear": N_("解除")},
    words.BroadcastState: {
        "draft": N_("草稿"),
        "approved": N_("已批准"),
        "running": N_("发送中"),
        "stopped": N_("已暂停"),
        "finished": N_("已结束"),
        "cancelled": N_("已取消"),
    },
    words.Outcome: {
        "pending": N_("待发送"),
        "sending": N_("发送中"),
        "accepted": N_("已受理"),
        "delivered": N_("已送达"),
        "heard": N_("已收听"),
        "acknowledged": N_("已确认收到"),
        "failed": N_("发送失败"),
        "unknown": N_("结果未知"),
        "unreachable": N_("无法联系"),
        "expired": N_("已过期"),
        "cancelled": N_("已取消"),
    },
    words.Role: {
        "agent": N_("客服专员"),
        "leader": N_("值班组长"),
        "supervisor": N_("客服主管"),
        "manager": N_("中心经理"),
        "ops": N_("系统运维"),
        "report_owner": N_("报表负责人"),
        "archivist": N_("档案管理员"),
        "administrator": N_("系统管理员"),
    },
    words.Presence: {"online": N_("在线"), "away": N_("离开"), "offline": N_("离线")},
}
"""What people call each word of the vocabulary; a test holds it complete."""


def label(language: Language, member: StrEnum) -> str:
    """What people call a member of the vocabulary; its bare value where it has no label."""
    return text(language, LABELS.get(type(member), {}).get(member.value, member.value))


def when(language: Language, at: datetime, zone: tzinfo) -> str:
    """An instant as people of `zone` write it: 11月21日 14:30; Nov 21, 14:30."""
    local = at.astimezone(zone)
    date_part = format_skeleton("MMMd", local, locale=language.value)
    return f"{date_part}{' ' if language is Language.ZH else ', '}{local:%H:%M}"


def day(language: Language, on: date) -> str:
    """A day with its year: 2026年11月21日; Nov 21, 2026."""
    return format_date(on, "medium", locale=language.value)


def month_day(language: Language, on: date) -> str:
    """A day of this year: 11月21日; Nov 21."""
    return format_skeleton("MMMd", on, locale=language.value)


def clock_time(at: datetime, zone: tzinfo) -> str:
    """The time of day in `zone`: 14:30."""
    return at.astimezone(zone).strftime("%H:%M")
