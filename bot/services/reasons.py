"""Why a person is wanted: a code, the id of the flow the conversation is about, or somebody's own words, as they are.

What is kept has no language, so that everybody reads it in their own.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.core.book import Book, Texts
from bot.core.words import Language
from bot.services.i18n import N_, text

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
    "voicemail": N_("留言"),
    "waited": N_("排队时约的回电"),
    "customer_first": N_("给客户回电"),
}


def said(language: Language, reason: str, book: Book) -> str:
    """The reason as somebody reads it; what is neither a code nor a flow of `book` is words, and stays."""
    if reason in REASONS:
        return text(language, REASONS[reason])
    flow = book.flows.get(reason)
    return flow.names[language] if flow is not None else reason


def texts(reason: str, book: Book) -> Texts:
    """The same for whoever reads it, whatever their language."""
    return {language: said(language, reason, book) for language in Language}
