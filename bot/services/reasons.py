"""Why a person is wanted, where it is a code; most often it is the topic in words, and shows as it is."""

from __future__ import annotations

from collections.abc import Mapping

from bot.services.i18n import N_

REASONS: Mapping[str, str] = {
    "asked": N_("客户要求人工"),
    "ask_human": N_("客户要求人工"),
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
    "threat": N_("客户威胁"),
    "callback_missed": N_("回访一直未接通"),
}
