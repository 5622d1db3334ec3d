"""action_warranty: the warranty table read for this customer and told in their language (D.3, REQ-D38)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from bot.core.policy import Warranty
from bot.core.warranty import (
    Claim,
    Granted,
    Item,
    Paper,
    Reason,
    Refused,
    Unset,
    Verdict,
    Wish,
    card_matters,
    charged,
    decide,
    depreciation,
)
from bot.core.windows import local_date
from bot.core.words import Language
from bot.services.conversation.scene import Perform, Scene
from bot.services.i18n import N_, text

WISHES: Mapping[Wish, str] = {Wish.REFUND: N_("退货"), Wish.EXCHANGE: N_("换货"), Wish.REPAIR: N_("免费维修")}
PAPERS: Mapping[Paper, str] = {
    Paper.TEST_REPORT: N_("品牌指定检测点当天出的检测报告"),
    Paper.MAKER_REPORT: N_("厂家的检测报告"),
    Paper.CARD: N_("保修卡"),
    Paper.INVOICE: N_("发票"),
    Paper.BOX: N_("完整的包装盒"),
}
REASONS: Mapping[Reason, str] = {
    Reason.USER_CAUSED: N_("摔过、进过水或自己拆过的，不在三包范围内，可以报价维修。"),
    Reason.DAMAGED: N_("外壳、屏幕有损伤的不能换货。"),
    Reason.TOO_LATE: N_("买了%(days)s天，已经过了可以%(wish)s的期限。"),
    Reason.EXCLUDED: N_("这个部件不在三包范围内。"),
    Reason.GIFT: N_("赠品不退不换，也不保修。"),
}


def warranty(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """Reads the table for the customer's wish. `warranty_wants` names what is still to be asked: `date` (it cannot be),
    `card` or `price`. `warranty_known` false: a limit is not set, and a person decides."""
    limits = scene.centre.library.current.policies.warranty
    language, wish = scene.held.language, Wish(args.get("wish") or Wish.REPAIR)
    days = _days(scene, args.get("purchase_date"))
    if days is None:
        return {"warranty_known": False}
    if days < 0:
        return {"warranty_known": False, "warranty_wants": "date"}
    claim = _claim(args, days)
    if args.get("user_caused") is None:  # only the fee was asked about
        return {"warranty_known": False, **_fee(claim, limits, language)}
    if card_matters(claim) and not args.get("card_asked"):
        return {"warranty_known": False, "warranty_wants": "card"}
    verdict = decide(claim, limits)
    ruling = verdict[wish]
    if isinstance(ruling, Unset):
        return {"warranty_known": False}
    fee: Mapping[str, Any] = {}
    if wish is Wish.REFUND and isinstance(ruling, Granted):
        fee = _fee(claim, limits, language)
        if not fee and claim.price is None and charged(claim, limits) is True:
            return {"warranty_known": False, "warranty_wants": "price"}
        if not fee:
            return {"warranty_known": False}
    granted = isinstance(ruling, Granted)
    told = {
        "warranty_known": True,
        "warranty_allowed": granted,
        "warranty_text": _told(wish, verdict, claim, limits, language, fee.get("warranty_fee_text", "")),
        "warranty_papers": _papers(ruling.papers, language) if isinstance(ruling, Granted) else None,
        "warranty_fee": fee.get("warranty_fee"),
        "warranty_fee_text": fee.get("warranty_fee_text"),
    }
    return {name: value for name, value in told.items() if value is not None}


def _days(scene: Scene, purchased: Any) -> int | None:
    """Whole days from the purchase to today, both by the customer's calendar."""
    try:
        on = datetime.fromisoformat(str(purchased)).date()
    except ValueError:
        return None
    return (local_date(scene.now, scene.held.zone or scene.centre.settings.timezone) - on).days


def _claim(args: Mapping[str, Any], days: int) -> Claim:
    intact, price = args.get("appearance_ok"), args.get("unit_price")
    return Claim(
        days,
        item=Item(args.get("warranty_item") or Item.DEVICE),
        user_caused=bool(args.get("user_caused")),
        damaged=None if intact is None else not intact,
        repairs=int(args.get("repair_count") or 0),
        repair_days=int(args.get("repair_days") or 0),
        price=None if price is None else Decimal(str(price)),
        card_months=args.get("card_months"),
    )


# ── in words ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _told(wish: Wish, verdict: Verdict, claim: Claim, limits: Warranty, language: Language, fee: str) -> str:
    """What the table says of the wish, with what else the customer may choose."""
    ruling = verdict[wish]
    named = text(language, WISHES[wish])
    others = [text(language, WISHES[each]) for each in Wish if each is not wish and isinstance(verdict[each], Granted)]
    if isinstance(ruling, Refused):
        told = text(language, REASONS[ruling.reason])
        if ruling.reason is Reason.TOO_LATE:
            told = text(language, REASONS[ruling.reason], days=claim.days, wish=named)
        if others:
            told = _joined(language, told, text(language, N_("现在还可以%(choices)s。"), choices=_or(others, language)))
        return told
    told = text(language, N_("买了%(days)s天，可以%(wish)s。"), days=claim.days, wish=named)
    if wish is Wish.EXCHANGE and limits.replacement_days is not None:
        soon = text(language, N_("检测确认后，收到您的机器起%(days)s天内寄出新的。"), days=limits.replacement_days)
        told = _joined(language, told, soon)
    told = _joined(language, told, fee)
    if others:
        told = _joined(language, told, text(language, N_("也可以%(choices)s。"), choices=_or(others, language)))
    if claim.damaged is None and isinstance(verdict[Wish.EXCHANGE], Granted):
        told = _joined(language, told, text(language, N_("换货要求外壳和屏幕完好。")))
    return told


def _papers(papers: tuple[Paper, ...], language: Language) -> str:
    between, end = ("、", "。") if language is Language.ZH else (", ", ".")
    return between.join(text(language, PAPERS[paper]) for paper in papers) + end


def _fee(claim: Claim, limits: Warranty, language: Language) -> Mapping[str, Any]:
    """The fee and how it comes about; nothing where a limit is not set, or the price is wanted and not known."""
    if charged(claim, limits) is False:
        told = text(language, N_("买了不超过%(limit)s天，退货不收折旧费。"), limit=limits.depreciation_after_days)
        return {"warranty_fee": 0.0, "warranty_fee_text": told}
    fee = depreciation(claim, limits) if claim.price is not None else Unset("price")
    if isinstance(fee, Unset) or isinstance(charged(claim, limits), Unset):
        return {}
    told = text(
        language,
        N_("折旧费%(amount)s元：单价%(price)s元 × 每天%(rate)s‰ ×（购买至今%(days)s天 − 在修%(repair)s天）。"),
        amount=_plain(fee.amount),
        price=_plain(fee.price),
        rate=_plain(fee.per_mille),
        days=fee.days,
        repair=fee.repair_days,
    )
    return {"warranty_fee": float(fee.amount), "warranty_fee_text": told}


def _plain(number: Decimal) -> str:
    shown = f"{number:.2f}"
    return shown.rstrip("0").rstrip(".")


def _or(names: list[str], language: Language) -> str:
    return text(language, N_("或")).join(names)


def _joined(language: Language, *sentences: str) -> str:
    return (" " if language is Language.EN else "").join(filter(None, sentences))


ACTIONS: Mapping[str, Perform] = {"action_warranty": warranty}
