"""Why a callback waits, in words a person can read: the gate's refusals and the decisions to wait (DESIGN §4)."""

from __future__ import annotations

from collections.abc import Mapping

from bot.core.calls import PLAN_NO_NUMBER, PLAN_REFUSED, WaitReason
from bot.core.permission import Why
from bot.services.i18n import N_
from bot.services.plans.pauses import PAUSED
from bot.services.plans.preparation import NAME_MISSING, PURPOSE_MISSING

TRIED_OUT = "tried_out"
NOBODY_FREE = "nobody_free"  # an agent is rung first, and none is there

WAITS: Mapping[str, str] = {
    WaitReason.NOT_DUE: N_("还没到约定的时间"),
    WaitReason.UNDER_WAY: N_("正在拨打"),
    WaitReason.SPACING: N_("离上次拨打还不够久"),
    WaitReason.WINDOW: N_("现在不在允许拨打的时段"),
    WaitReason.SEASONS_UNSET: N_("还没有设置换季日期，不能按季节安排"),
    WaitReason.ENDED: N_("已经结束"),
    PAUSED: N_("这个回访计划已暂停"),
    NAME_MISSING: N_("缺客户姓名，暂不拨打"),
    PURPOSE_MISSING: N_("缺拨打事由，暂不拨打"),
    NOBODY_FREE: N_("现在没有空闲的客服"),
    TRIED_OUT: N_("已经打满次数，或没有能打的号码"),
    PLAN_REFUSED: N_("客户在这个计划的另一次联系中谢绝了"),
    PLAN_NO_NUMBER: N_("这个计划的另一次联系发现号码不对"),
    Why.DRILL: N_("演练只联系测试号码"),
    Why.OPTED_OUT: N_("客户要求不再联系"),
    Why.NO_CONSENT: N_("客户没有同意接收推广"),
    Why.CONSENT_WITHDRAWN: N_("客户撤回了同意"),
    Why.HOLIDAY: N_("节假日不拨打"),
    Why.OUTSIDE_WINDOW: N_("现在不在允许拨打的时段"),
    Why.BLOCKED_DAY: N_("这一天停止外呼"),
    Why.NIGHT: N_("夜间不打扰客户"),
    Why.TOO_OFTEN: N_("最近打得太多，要隔一段时间"),
    Why.ON_THE_PHONE: N_("正在用另一个电话和这位客户通话"),
}
"""By the code in `Callback.waits`; codes of both kinds that read alike are the same reason."""

MESSAGE_WHY: Mapping[str, str] = {
    "with_people": N_("客服正在和客户说话，等说完"),
    "too_late": N_("过了时候，不再发"),
    "settled": N_("事情已经办好，不用再提"),
    "said_lately": N_("同样的话刚说过"),
    "no_address": N_("没有能送到的地址"),
    "taken_out": N_("已移出计划"),
}
"""What else a plan's message waits for, or why it was never said (bot/services/plans/planned_messages.py)."""
