"""Scripts in words: what staff call the slots, actions and conditions of a flow, in their language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.console.names import value_name
from bot.core.book import Book
from bot.core.conditions import (
    And,
    Comparator,
    Compare,
    Condition,
    Contains,
    Holds,
    Literal,
    Matches,
    Name,
    Not,
    Operand,
    Or,
    Scope,
)
from bot.core.words import ChannelName, Language
from bot.services import i18n
from bot.services.i18n import N_
from bot.services.intents import intent_name

PACKS: Mapping[str, str] = {
    "service": N_("通用服务"),
    "shop": N_("网店"),
    "aftersales": N_("售后"),
    "hospital": N_("医院"),
    "property": N_("物业"),
    "heating": N_("供热"),
    "product": N_("线上产品"),
    "bank": N_("银行"),
    "laboratory": N_("检测"),
    "emergency": N_("应急"),
}

ACTIONS: Mapping[str, str] = {
    "action_open_case": N_("建立工单"),
    "action_handoff": N_("转人工"),
    "action_red_flag": N_("给医护建紧急工单"),
    "action_case_status": N_("查工单进度"),
    "action_add_note": N_("给工单加备注"),
    "action_rate": N_("记下评分"),
    "action_close": N_("结束会话"),
    "action_set_contact": N_("记下客户资料"),
    "action_stop_contact": N_("登记不再联系"),
    "action_book_callback": N_("预约回电"),
    "action_offer_slots": N_("给出两个可约的时间"),
    "action_record_answer": N_("记下回访答案"),
    "action_disposition": N_("记下通话结果"),
    "action_find_incident": N_("查当地的事件"),
    "action_notify_when_over": N_("登记恢复后通知"),
    "action_acknowledge": N_("确认收到公告"),
    "action_service_hours": N_("查服务时间"),
    "action_answer": N_("查核准的答案"),
    "action_lookup_order": N_("查订单"),
    "action_change_order": N_("改订单"),
    "action_lookup_product": N_("查商品"),
    "action_size": N_("查尺码"),
    "action_promotion": N_("查优惠"),
    "action_coupon": N_("发优惠券"),
    "action_delivery": N_("查送达时间"),
    "action_warranty": N_("查保修政策"),
    "action_book_visit": N_("预约上门"),
    "action_move_visit": N_("上门改期"),
    "action_subscribe": N_("登记愿意接收提醒"),
}

KNOWN: Mapping[str, str] = {
    # what actions find out
    "answer_text": N_("核准的答案"),
    "warranty_known": N_("保修政策已登记"),
    "warranty_allowed": N_("保修允许"),
    "warranty_fee": N_("维修费用"),
    "visit_ok": N_("上门约上了"),
    "visit_problem": N_("上门约不上的原因"),
    "callback_ok": N_("回电约上了"),
    "incident_open": N_("当地有事件"),
    "order_found": N_("订单找到了"),
    "order_dispatched": N_("订单已发货"),
    "case_found": N_("工单找到了"),
    "case_overdue": N_("工单超时"),
    "hours_text": N_("服务时间"),
    "hours_open": N_("在服务时间内"),
    "wait_minutes": N_("预计等候分钟数"),
    "free_shipping_from": N_("包邮起点"),
    "amount_missing": N_("还差的金额"),
    "promotion_text": N_("当前优惠"),
    "size_advice": N_("尺码建议"),
    "product_found": N_("商品找到了"),
    "variants_text": N_("款式"),
    "fabric_text": N_("面料"),
    "make_text": N_("做工"),
    "stock_count": N_("库存"),
    "related_product": N_("相关商品"),
    "coupon_text": N_("优惠券"),
    "change_ok": N_("订单改好了"),
    "tracking_stalled": N_("物流停滞"),
    "product_1": N_("找到的第一件商品"),
    "order_check": N_("订单核对"),
    "change_case": N_("改单的工单"),
    "warranty_wants": N_("保修还要知道的"),
    "delivery_text": N_("送达时间"),
    "promotion_known": N_("优惠查到了"),
    "card_asked": N_("已问过保修卡"),
    "visit_at": N_("上门时间"),
    "urgency": N_("紧急程度"),
    "warned": N_("已提醒过"),
    "asked_politely": N_("已礼貌问过"),
    # what is known anyway
    "channel": N_("渠道"),
    "language": N_("语言"),
    "outbound": N_("是我们打出去的"),
    "people_open": N_("有同事在线"),
    "broadcast": N_("因公告而来"),
    "name": N_("姓名"),
    "title": N_("称呼"),
    "phone": N_("电话"),
    "unit": N_("房号"),
    "segment": N_("分组"),
    "attempt": N_("第几次拨打"),
    "not_understood_limit": N_("连续没听懂的上限"),
    "misses": N_("连续没听懂的次数"),
    "silences": N_("连续没回应的次数"),
    "turns": N_("客户说了几句"),
    "intent": N_("意图"),
    "question": N_("正在问的"),
    "optional": N_("可以跳过"),
    "said": N_("客户刚说的话"),
    "request": N_("客户最初的话"),
    "topic": N_("正在办的事"),
    "anger": N_("生气程度"),
    "angry_turns": N_("连续生气的次数"),
    "threatening": N_("有威胁"),
    "worried": N_("着急"),
}
"""Slots without a label of their own, and what the engine and the services know."""

COMPARED: Mapping[Comparator, str] = {
    Comparator.EQUAL: N_("%(name)s是“%(value)s”"),
    Comparator.UNEQUAL: N_("%(name)s不是“%(value)s”"),
    Comparator.LESS: N_("%(name)s小于%(value)s"),
    Comparator.AT_MOST: N_("%(name)s不超过%(value)s"),
    Comparator.MORE: N_("%(name)s大于%(value)s"),
    Comparator.AT_LEAST: N_("%(name)s至少%(value)s"),
}


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads a book's scripts out in one language."""

    book: Book
    language: Language

    def text(self, message: str, **values: Any) -> str:
        return i18n.text(self.language, message, **values)

    def slot(self, name: str) -> str:
        """What staff call a slot; its own name where nobody named it."""
        slot = self.book.slots.get(name)
        if slot and slot.labels:
            return slot.labels.get(self.language, name)
        return self.text(KNOWN[name]) if name in KNOWN else name.replace("_", " ")

    def action(self, name: str) -> str:
        return self.text(ACTIONS[name]) if name in ACTIONS else name

    def pack(self, name: str) -> str:
        return self.text(PACKS[name]) if name in PACKS else name

    def value(self, name: str, value: Any) -> str:
        """A slot's or a context key's value as people say it."""
        match value:
            case True:
                return self.text(N_("是"))
            case False:
                return self.text(N_("否"))
            case None:
                return self.text(N_("空"))
            case int() | float():
                return f"{value:g}"
        if name == "intent":
            return intent_name(self.language, str(value))
        if name == "channel" and value in set(ChannelName):
            return i18n.label(self.language, ChannelName(value))
        return value_name(self.book, self.language, name, str(value))

    def condition(self, condition: Condition) -> str:
        """A condition as a sentence without its full stop."""
        match condition:
            case And(parts):
                return self.text(N_("，并且")).join(map(self.condition, parts))
            case Or(parts):
                return self.text(N_("，或者")).join(map(self.condition, parts))
            case Not(part):
                return self.text(N_("不成立：%(what)s"), what=self.condition(part))
            case Holds(of):
                return self._operand(of)
            case Matches(subject, pattern):
                words = pattern.pattern.replace("|", " / ")
                return self.text(N_("%(name)s里有“%(words)s”"), name=self._operand(subject), words=words)
            case Contains(Literal(tuple() as values), Name() as part):
                return self.text(
                    N_("%(name)s是其中之一：%(values)s"), name=self._operand(part), values=self._any(part, values)
                )
            case Contains(whole, part):
                return self.text(N_("%(name)s里有“%(words)s”"), name=self._operand(whole), words=self._operand(part))
            case Compare(left, by, right):
                return self._compared(left, by, right)

    def _compared(self, left: Operand, by: Comparator, right: Operand) -> str:
        name = self._operand(left)
        if isinstance(right, Literal) and (right.value is None or isinstance(right.value, bool)):
            yes = (right.value is not None and right.value) == (by is Comparator.EQUAL)
            if right.value is None:
                return self.text(N_("%(name)s已知") if yes else N_("%(name)s还不知道"), name=name)
            return self.text(N_("%(name)s：是") if yes else N_("%(name)s：否"), name=name)
        key = left.key if isinstance(left, Name) else ""
        value = self.value(key, right.value) if isinstance(right, Literal) else self._operand(right)
        return self.text(COMPARED[by], name=name, value=value)

    def _operand(self, operand: Operand) -> str:
        if isinstance(operand, Literal):
            return self.value("", operand.value)
        if operand.scope is Scope.CONTEXT and operand.key in KNOWN:
            return self.text(KNOWN[operand.key])
        return self.slot(operand.key)

    def _any(self, name: Name, values: tuple[Any, ...]) -> str:
        comma = "、" if self.language is Language.ZH else ", "
        return comma.join(self.value(name.key, value) for value in values)
