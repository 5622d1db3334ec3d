"""What people call kinds of records, their periods, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping

from bot.core.policy import RecordKind, RetentionClass
from bot.core.retention import HoldSubject, Why
from bot.services.i18n import N_
from bot.services.records.loans import LoanState
from store.tables import Archivable, DisposalState, FileState, ItemState

KINDS: Mapping[RecordKind, str] = {
    RecordKind.INCIDENT: N_("事件（含公告）"),
    RecordKind.REVIEW: N_("事件总结"),
    RecordKind.DRILL: N_("演练"),
    RecordKind.COMPLAINT: N_("投诉"),
    RecordKind.CASE: N_("其他工单"),
    RecordKind.FOLLOW_UP: N_("回访"),
    RecordKind.SATISFACTION: N_("满意度"),
    RecordKind.TRANSCRIPT: N_("对话内容"),
    RecordKind.RECORDING: N_("录音"),
    RecordKind.BY_HAND: N_("手工记录"),
    RecordKind.REPORTED: N_("客户反映的情况（没有立为事件）"),
    RecordKind.EVENT: N_("到访、购买等业务记录"),
    RecordKind.HAND_OVER: N_("交接记录"),
    RecordKind.SHIFT: N_("排班和换班"),
    RecordKind.SEAT_LEAVE: N_("离席申请"),
    RecordKind.SURGE: N_("话务高峰"),
    RecordKind.PROPOSAL: N_("启动建议"),
    RecordKind.ALERT: N_("给员工的提醒"),
    RecordKind.IMPORT: N_("导入的名单"),
    RecordKind.LOOK: N_("查看客户号码的登记"),
    RecordKind.EXPORT: N_("导出登记"),
}
CLASSES: Mapping[RetentionClass, str] = {
    RetentionClass.PERMANENT: N_("永久"),
    RetentionClass.LONG: N_("长期"),
    RetentionClass.SHORT: N_("短期"),
}
WHY: Mapping[Why, str] = {
    Why.OWN: N_("本类保存期满"),
    Why.LINKED: N_("随相关工单或事件，期满"),
    Why.HELD: N_("已封存"),
    Why.GOES_ON: N_("尚未办结"),
    Why.PERMANENT: N_("永久保存"),
    Why.UNSET: N_("保存期未设置"),
}
KEPT: Mapping[str, str] = {
    **{why.value: name for why, name in WHY.items()},
    Why.OWN.value: N_("现在还没到期"),
    Why.LINKED.value: N_("随相关工单或事件，现在还没到期"),
    "gone": N_("已随相关记录销毁"),
}
"""Why a record on an approved list stayed."""

PART_GONE = N_("%(why)s；此前已销毁一部分")
"""A large one that was held half-way."""

STATES: Mapping[ItemState, str] = {
    ItemState.WAITING: N_("待销毁"),
    ItemState.DESTROYED: N_("已销毁"),
    ItemState.KEPT: N_("未销毁"),
}
LISTS: Mapping[DisposalState, str] = {
    DisposalState.PROPOSED: N_("待审批"),
    DisposalState.APPROVED: N_("正在销毁"),
    DisposalState.DONE: N_("已销毁"),
    DisposalState.DECLINED: N_("已退回"),
}
SUBJECTS: Mapping[HoldSubject, str] = {
    HoldSubject.CONTACT: N_("客户"),
    HoldSubject.CASE: N_("工单"),
    HoldSubject.INCIDENT: N_("事件"),
    HoldSubject.CONVERSATION: N_("会话"),
    HoldSubject.RECORDING: N_("录音"),
}
ARCHIVABLE: Mapping[Archivable, str] = {
    Archivable.CASE: N_("工单"),
    Archivable.INCIDENT: N_("事件"),
    Archivable.CALLBACK: N_("回访"),
}
FILES: Mapping[FileState, str] = {
    FileState.GATHERED: N_("待检查"),
    FileState.ARCHIVED: N_("已归档"),
    FileState.SENT_BACK: N_("已退回"),
    FileState.DESTROYED: N_("已销毁"),
}
LOANS: Mapping[LoanState, str] = {
    LoanState.ASKED: N_("待批准"),
    LoanState.GRANTED: N_("已批准，待登记"),
    LoanState.REFUSED: N_("未批准"),
    LoanState.OUT: N_("借阅中"),
    LoanState.RETURNED: N_("已归还"),
    LoanState.EXPIRED: N_("已到期"),
}
