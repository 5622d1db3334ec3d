"""What the erasure of a person would do, told beforehand: what goes, what stays and why, and what stands against it
(REQ-G12, G14)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from bot.core.retention import HoldSubject
from bot.core.words import (
    BroadcastState,
    CallbackState,
    CaseKind,
    CaseState,
    ConversationState,
)
from bot.services.i18n import N_
from bot.services.records.data_subjects import Person, files, person, revised, sent_to, withdrew
from bot.services.records.holds import held
from store.tables import (
    Broadcast,
    BroadcastRecipient,
    Callback,
    Case,
    Conversation,
    Coupon,
    Delivery,
    Event,
    LegalHold,
    Message,
    Revision,
)

RUNS = (BroadcastState.APPROVED, BroadcastState.RUNNING, BroadcastState.STOPPED)

WHY_NOT = {
    "hold": N_("有法律保全，解除之前什么都不能删除"),
    "conversation": N_("会话还没有结束"),
    "case": N_("工单还没有办结"),
    "call": N_("正在给客户打电话"),
    "broadcast": N_("发给客户的公告还没有结束"),
}
GOES = {
    "contacts": N_("姓名、称呼、生日、房号、分组等个人资料（含已合并的）"),
    "addresses": N_("电话和其他联系方式，连同查找用的索引"),
    "messages": N_("会话内容、已填的信息和评语"),
    "files": N_("客户发来的文件和录音，从磁盘上删除"),
    "cases": N_("工单的内容、经过、反馈和地址"),
    "callbacks": N_("回访的回答、备注，和还没打的回电"),
    "deliveries": N_("发出的短信、消息和提醒的内容"),
    "records": N_("到访、手工记录、优惠券等其他记录的内容"),
    "revisions": N_("更正前后的旧值"),
}
STAYS = {
    "figures": N_("工单号、时间、状态、评分等不含个人信息的数据，用于统计和核查"),
    "long": N_("投诉和事件类工单按保存期限留存，只留编号、时间和结果"),
    "do_not_contact": N_("“不再联系”的号码只留加密索引，以后再导入也不会联系"),
    "audit": N_("审计记录（谁在什么时候做了什么），里面没有客户的姓名和号码"),
    "backups": N_("备份要到轮换时才会消失"),
}


@dataclass(frozen=True, slots=True)
class Prospect:
    """What an erasure would do now: `against` forbids it (code, and the id of the row), `goes` and `stays` are
    counted by code."""

    against: tuple[tuple[str, int], ...]
    goes: tuple[tuple[str, int], ...]
    stays: tuple[tuple[str, int | None], ...]


def prospect(session: Session, contact_id: int) -> Prospect:
    """What goes, what must stay, and what stands against it."""
    who = person(session, contact_id)

    def count(table: Any, *where: ColumnElement[bool]) -> int:
        return session.scalar(select(func.count()).select_from(table).where(*where)) or 0

    texts = Message.conversation_id.in_(who.conversations)
    goes = (
        ("contacts", len(who.people)),
        ("addresses", len(who.addresses)),
        ("messages", count(Message, texts)),
        ("files", len(files(session, who))),
        ("cases", len(who.cases)),
        ("callbacks", len(who.callbacks)),
        ("deliveries", count(Delivery, sent_to(who))),
        ("records", count(Event, Event.contact_id.in_(who.people)) + count(Coupon, Coupon.contact_id.in_(who.people))),
        ("revisions", count(Revision, revised(session, who))),
    )
    long = count(Case, Case.id.in_(who.cases), Case.kind.in_((CaseKind.COMPLAINT, CaseKind.RED_FLAG)))
    withdrawn = withdrew(session, who.people[0])
    stays: tuple[tuple[str, int | None], ...] = (
        ("figures", None),
        ("long", long),
        ("do_not_contact", len(who.addresses) if withdrawn else 0),
        ("audit", None),
        ("backups", None),
    )
    return Prospect(
        tuple(against(session, who)),
        tuple((code, n) for code, n in goes if n),
        tuple((code, n) for code, n in stays if n is None or n),
    )


def against(session: Session, who: Person) -> Iterable[tuple[str, int]]:
    """What forbids the erasure now, by code and id."""
    yield from (("hold", hold.id) for hold in holds(session, who))
    talks = (Conversation.id.in_(who.conversations), Conversation.state != ConversationState.CLOSED)
    works = (Case.id.in_(who.cases), Case.state != CaseState.CLOSED, Case.kind != CaseKind.PRIVACY)
    calls = (Callback.id.in_(who.callbacks), Callback.state == CallbackState.DIALLING)
    announced = (
        select(Broadcast.id)
        .join(BroadcastRecipient, BroadcastRecipient.broadcast_id == Broadcast.id)
        .where(BroadcastRecipient.contact_id.in_(who.people), Broadcast.state.in_(RUNS))
    )
    for code, query in (
        ("conversation", select(Conversation.id).where(*talks)),
        ("case", select(Case.id).where(*works)),
        ("call", select(Callback.id).where(*calls)),
        ("broadcast", announced),
    ):
        yield from ((code, each) for each in session.scalars(query.order_by("id")))


def holds(session: Session, who: Person) -> tuple[LegalHold, ...]:
    return held(session, HoldSubject.CONTACT, who.people[0])
