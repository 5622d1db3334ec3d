"""The wrap-up codes (小结) one of which an agent must choose before a conversation or a case ends (PEERS, console)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.services.i18n import N_

RETURNED = "returned"

WRAP_UPS: Mapping[str, str] = {
    "solved": N_("已当场解决"),
    "case_follows": N_("已建工单，后续跟进"),
    "callback_follows": N_("已约回电"),
    "passed_on": N_("已转其他部门"),
    "complaint_calmed": N_("投诉已安抚，待处理"),
    "customer_gone": N_("客户未再回复"),
    "nuisance": N_("骚扰或无效会话"),
    "other": N_("其他"),
}

SILENT = "silent"
ENDINGS: Mapping[str, str] = {**WRAP_UPS, SILENT: N_("无声电话")}
"""How a conversation ended, also where nobody of the staff held it (REQ-E24)."""


def heard_nothing(flow: Mapping[str, Any]) -> bool:
    """Whether the bot asked in vain and not a word was ever said; `flow` is the conversation's column."""
    said = flow.get("state", {})
    return bool(said.get("silences")) and not said.get("turns")


CASE_WRAP_UPS: Mapping[str, str] = {
    "confirmed": N_("客户确认已解决"),
    "told": N_("已告知结果，客户未表示异议"),
    "agreed": N_("与客户协商一致"),
    RETURNED: N_("失物已归还"),
    "withdrawn": N_("客户撤回"),
    "not_ours": N_("不属于我方，已说明去处"),
    "unreachable": N_("多次联系不上客户"),
    "nuisance": N_("骚扰或无效"),
}
"""How a case ended; the follow-up call finds out whether it did (REQ-E07)."""
