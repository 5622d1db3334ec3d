"""What a page says after a change, or why it refused: codes of the services, as people read them.

A redirect carries only the code (`?said=`), so that no text of a stranger's making appears on a page.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.services.i18n import N_

DONE: Mapping[str, str] = {
    "saved": N_("已保存。"),
    "assigned": N_("已指派。"),
    "noted": N_("备注已添加。"),
    "feedback_given": N_("反馈已记录。"),
    "case_closed_now": N_("工单已关闭。"),
    "case_opened": N_("工单已建立。"),
    "wrapped_up": N_("会话已结束，辛苦了。"),
    "handed_back": N_("会话已交还机器人。"),
    "transferred": N_("会话已转交。"),
    "released": N_("会话已放回队列。"),
    "staff_created": N_("已添加员工。"),
    "password_set": N_("密码已更新，该员工需要重新登录。"),
    "signed_out": N_("您已退出登录。"),
}

REFUSED: Mapping[str, str] = {
    "sign_in_wrong": N_("用户名或密码不对，请再试一次。"),
    "sign_in_too_many": N_("尝试次数过多，请过十五分钟再试，或请管理员发一个登录链接。"),
    "link_used": N_("这个登录链接已经用过或已过期，请管理员再发一个。"),
    "page_expired": N_("页面打开太久了，请再试一次。"),
    "password_weak": N_("密码至少需要八个字符。"),
    "username_taken": N_("这个用户名已经有人用了。"),
    "username_bad": N_("用户名不能为空、不能有空格，最长六十个字符。"),
    "name_bad": N_("请填写姓名，最长六十个字符。"),
    "roles_missing": N_("请至少选择一个角色。"),
    "last_administrator": N_("至少要保留一位系统管理员。"),
    "case_closed": N_("工单已经关闭，不能再修改。"),
    "feedback_empty": N_("请写下向客户反馈的内容。"),
    "feedback_missing": N_("关闭之前，请先记录向客户反馈的结果。"),
    "not_yours": N_("这个会话现在不在您手上。"),
    "already_claimed": N_("已经有同事接手了这个会话。"),
    "text_empty": N_("请先写点内容。"),
    "text_long": N_("内容太长了，请分几次发送。"),
    "wrap_up_missing": N_("结束之前，请选择一个小结。"),
    "conversation_closed": N_("这个会话已经结束。"),
    "not_found": N_("没有找到。"),
    "callback_changed": N_("同事刚改过这个回电，请看过最新内容再改。"),
    "callback_ended": N_("这个回电已经结束。"),
    "callback_dialling": N_("正在拨打，请等这次通话结束。"),
    "callback_opted_out": N_("客户要求不再联系，不能再打。"),
    "outside_window": N_("那个时间不能打电话，请选允许的时段。"),
    "owner_unknown": N_("请选择一位在职的同事。"),
    "time_bad": N_("看不懂这个时间，请重新填写。"),
}

FAILED = N_("没能完成，请再试一次。")
