"""Spans of visits as customers are told them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from bot.core.visits import Offer, Slot, Why
from bot.core.windows import local_date
from bot.core.wording import when
from bot.core.words import Language
from bot.services.i18n import N_, text

NEAR = {0: N_("今天"), 1: N_("明天"), 2: N_("后天")}
WHY = {
    Why.FULL: N_("抱歉，那个时间已经约满了。"),
    Why.CLOSED: N_("抱歉，那个时间师傅不上门。"),
    Why.TOO_SOON: N_("抱歉，那个时间太近，师傅赶不过去。"),
    Why.PAST: N_("那个时间已经过去了。"),
    Why.TOO_FAR: N_("抱歉，那么远的日子还不能约。"),
}


def span_told(start: datetime, end: datetime, now: datetime, zone: str, language: Language) -> str:
    """明天7月2日（周四）14:00–16:00; tomorrow, Thu 2 Jul, 14:00–16:00. In the centre's zone, where engineers drive."""
    local = start.astimezone(ZoneInfo(zone))
    span = f"{when(local.isoformat(), language)}–{end.astimezone(ZoneInfo(zone)):%H:%M}"
    near = NEAR.get((local.date() - local_date(now, zone)).days)
    if near is None:
        return span
    return f"{text(language, near)}{'' if language is Language.ZH else ', '}{span}"


def slot_told(slot: Slot, now: datetime, zone: str, language: Language) -> str:
    return span_told(slot.start, slot.end, now, zone, language)


def offer_told(offer: Offer, now: datetime, zone: str, language: Language) -> str:
    """Why the wish cannot be kept, and what can."""
    between = f" {text(language, N_('或')).strip()} "
    times = between.join(slot_told(slot, now, zone, language) for slot in offer.slots)
    near = text(language, N_("最近可以的是 %(times)s。"), times=times)
    return f"{text(language, WHY[offer.why])}{'' if language is Language.ZH else ' '}{near}"
