"""The queues work waits in, as people call them; scripts name them by their codes (REQ-A15, A17, A18).

A conversation is handed to one of `HANDED`; these are what agents are skilled in.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.services.i18n import N_

QUEUES: Mapping[str, str] = {
    "service": N_("综合客服"),
    "complaints": N_("投诉"),
    "advisers": N_("顾问"),
    "aftersales_manager": N_("售后经理"),
    "appointments": N_("预约"),
    "charges": N_("收费处"),
    "contracts": N_("合同"),
    "emergency": N_("应急"),
    "enterprises": N_("企业服务"),
    "follow_up": N_("回访"),
    "front_desk": N_("前台"),
    "general_manager": N_("总经理"),
    "heating": N_("供热值班"),
    "key_accounts": N_("重点客户"),
    "leader": N_("值班组长"),
    "logistics": N_("物流"),
    "mail_in": N_("寄修"),
    "maintenance": N_("物业维修"),
    "mediation": N_("纠纷调解"),
    "medical": N_("医护"),
    "operations": N_("系统运维"),
    "payments": N_("支付"),
    "privacy": N_("个人信息"),
    "product": N_("产品"),
    "quality_lead": N_("质量负责人"),
    "quotations": N_("报价"),
    "repairs": N_("维修"),
    "returns": N_("退换货"),
    "sales_supervisor": N_("销售主管"),
    "spokesperson": N_("发言人"),
    "suggestions": N_("建议"),
    "technical": N_("技术支持"),
    "technical_lead": N_("技术负责人"),
    "visits": N_("上门"),
}
HANDED: Mapping[str, str] = {
    code: QUEUES[code] for code in ("service", "complaints", "repairs", "technical", "key_accounts")
}
