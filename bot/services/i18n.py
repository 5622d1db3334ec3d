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
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from babel.dates import format_date, format_skeleton
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from bot.core import words
from bot.core.plan import Rings, Trigger
from bot.core.roster import ShiftKind, SwapState
from bot.core.solar_terms import SolarTerm
from bot.core.words import Language
from store.privacy import ExportState, RequestState
from store.staff import NumberKind

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
    ExportState: {
        "asked": N_("等待审批"),
        "approved": N_("正在生成"),
        "ready": N_("可以下载"),
        "refused": N_("未批准"),
        "failed": N_("没能生成"),
        "expired": N_("已到期删除"),
    },
    RequestState: {
        "open": N_("待核对身份"),
        "checked": N_("待审批"),
        "running": N_("办理中"),
        "done": N_("已办完"),
        "refused": N_("未予办理"),
    },
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
        "one_call": N_("一次一通电话"),
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
        "after_repair": N_("维修后回访"),
        "order": N_("订单关怀"),
        "upkeep": N_("保养提醒"),
        "care": N_("日常关怀"),
        "requested": N_("客户预约"),
    },
    words.CallbackSource: {
        "customer": N_("客户要求"),
        "queue": N_("排队改回电"),
        "plan": N_("回访计划"),
        "complaint": N_("投诉办结"),
        "recovery": N_("故障恢复名单"),
        "diary": N_("同事预约"),
        "api": N_("其他系统"),
    },
    Rings: {
        "bot": N_("机器人打"),
        "customer_first": N_("打通就转人工"),
        "agent_first": N_("先响坐席"),
    },
    SolarTerm: {
        "lesser_cold": N_("小寒"),
        "greater_cold": N_("大寒"),
        "start_of_spring": N_("立春"),
        "rain_water": N_("雨水"),
        "awakening_of_insects": N_("惊蛰"),
        "spring_equinox": N_("春分"),
        "clear_and_bright": N_("清明"),
        "grain_rain": N_("谷雨"),
        "start_of_summer": N_("立夏"),
        "grain_buds": N_("小满"),
        "grain_in_ear": N_("芒种"),
        "summer_solstice": N_("夏至"),
        "lesser_heat": N_("小暑"),
        "greater_heat": N_("大暑"),
        "start_of_autumn": N_("立秋"),
        "end_of_heat": N_("处暑"),
        "white_dew": N_("白露"),
        "autumn_equinox": N_("秋分"),
        "cold_dew": N_("寒露"),
        "frost_descent": N_("霜降"),
        "start_of_winter": N_("立冬"),
        "lesser_snow": N_("小雪"),
        "greater_snow": N_("大雪"),
        "winter_solstice": N_("冬至"),
    },
    Trigger: {
        "visited_no_purchase": N_("到诊未消费"),
        "visited_purchased": N_("到诊已消费"),
        "not_visited": N_("未到诊"),
        "interrupted": N_("治疗中断"),
        "outpatient_surgery": N_("门诊手术"),
        "inpatient_surgery": N_("住院手术"),
        "complaint_closed": N_("投诉办结"),
        "repair_finished": N_("维修完成"),
        "order_unpaid": N_("订单未付款"),
        "order_dispatched": N_("订单已发货"),
        "order_received": N_("订单已签收"),
        "product_bought": N_("购买了产品"),
        "birthday": N_("生日"),
        "solar_term": N_("节气"),
        "wish": N_("客户要求回电"),
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
        "unreachable": N_("关机或无信号"),
        "invalid_number": N_("空号"),
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
    words.IncidentSource: {
        "staff": N_("员工上报"),
        "monitor": N_("系统监测"),
        "customers": N_("客户反映"),
        "api": N_("外部系统"),
    },
    words.StepKind: {
        "do": N_("办理"),
        "tell": N_("到点通知"),
        "relay": N_("逐人通报"),
        "arrive": N_("到场"),
        "decide": N_("决定"),
        "report": N_("上报"),
    },
    words.StepState: {
        "waiting": N_("未开始"),
        "open": N_("待办"),
        "done": N_("已完成"),
        "dropped": N_("不再需要"),
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
    ShiftKind: {"duty": N_("当班"), "on_call": N_("应急值班"), "stand_by": N_("备班"), "leave": N_("休假")},
    NumberKind: {"mobile": N_("手机"), "office": N_("办公电话")},
    SwapState: {
        "asked": N_("等对方答复"),
        "accepted": N_("等主管批准"),
        "approved": N_("已批准"),
        "declined": N_("对方不同意"),
        "refused": N_("未获批准"),
        "withdrawn": N_("已撤回"),
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
    date_part = month_day(language, local.date())
    return f"{date_part}{' ' if language is Language.ZH else ', '}{local:%H:%M}"


def day(language: Language, on: date) -> str:
    """A day with its year: 2026年11月21日; Nov 21, 2026."""
    return format_date(on, "medium", locale=language.value)


@lru_cache(maxsize=2_000)  # a live page names the same few days in each of its rows
def month_day(language: Language, on: date) -> str:
    """A day of this year: 11月21日; Nov 21."""
    return format_skeleton("MMMd", on, locale=language.value)


def weekday(language: Language, on: date) -> str:
    """A day of the week with its date: 周三 7月1日; Wed, Jul 1."""
    named = format_date(on, "EEE", locale=language.value)
    return f"{named}{' ' if language is Language.ZH else ', '}{month_day(language, on)}"


def clock_time(at: datetime, zone: tzinfo) -> str:
    """The time of day in `zone`: 14:30."""
    return at.astimezone(zone).strftime("%H:%M")
