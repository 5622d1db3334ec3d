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
    "incident_reported": N_("事件已上报，已提醒相关同事。"),
    "incident_closed": N_("事件已关闭。"),
    "eta_changed": N_("预计时间已更新。"),
    "drafted": N_("草稿已保存，请另一位同事批准。"),
    "approved": N_("已批准，内容和名单已锁定。"),
    "launched": N_("已开始发送。"),
    "stopped": N_("已暂停，没发出的都停在原处。"),
    "resumed": N_("已继续发送。"),
    "broadcast_cancelled": N_("已取消。"),
    "taught": N_("已作为例句保存，运行 hotline train 后生效。"),
    "scripts_new": N_("已采用改过的文件，从下一个会话开始生效。"),
    "scripts_same": N_("文件没有变化，用的就是现在的话术。"),
    "signed_out": N_("您已退出登录。"),
}

REFUSED: Mapping[str, str] = {
    "scripts_broken": N_("文件有错，没有采用，请看下面的说明。"),
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
    "not_allowed": N_("这不在您的权限之内。"),
    "title_empty": N_("请写下发生了什么。"),
    "wrong_state": N_("事件已经不在这一步了，请看看最新状态。"),
    "all_clear_missing": N_("请先发出解除通知，或说明为什么不发。"),
    "evaluation_missing": N_("请写下评价。"),
    "reason_missing": N_("请写下理由。"),
    "already_confirmed": N_("事件已经确认或已对外发过公告，不能按误报关闭。"),
    "incident_over": N_("事件已经结束。"),
    "text_missing": N_("中文和英文都要写。"),
    "audience_missing": N_("请选择发给谁。"),
    "channels_missing": N_("请至少选择一种本中心能用的联系方式。"),
    "purpose_wrong": N_("公告只能是应急通知或服务通知。"),
    "nobody": N_("名单里没有人，请检查发给谁。"),
    "approver_is_author": N_("这份公告是您写的，要由另一位同事批准。"),
    "supervisor_present": N_("客服主管在岗，请由主管批准；主管联系不上时您才能代批。"),
    "not_a_draft": N_("它已经不是草稿了。"),
    "changed_meanwhile": N_("您打开之后内容被改过，请看过最新内容再决定。"),
    "not_approved": N_("还没有批准，不能发送。"),
    "not_running": N_("它现在不在发送。"),
    "not_stopped": N_("它没有暂停。"),
    "already_over": N_("它已经结束了。"),
    "not_sent_yet": N_("原公告还没有发出。"),
    "not_recovered": N_("事件还没有恢复，不能发解除通知。"),
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
