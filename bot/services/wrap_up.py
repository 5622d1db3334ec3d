"""The wrap-up codes (小结) one of which an agent must choose before a conversation ends (PEERS, console)."""

from __future__ import annotations

from collections.abc import Mapping

from bot.services.i18n import N_

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
