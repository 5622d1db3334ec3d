"""A question's choices where there are no buttons: numbered in a text message, spoken as keys on the telephone."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.core.words import Button, Language

TOLD = re.compile(r"(按|回复|打)\s*[1１]|[1１]\s*(到|至|[-–~])\s*\d|[1１]分|(?i:press|reply|from)\s+1|\b1\s+to\s+\d")
"""The words name the keys themselves: a list would only repeat them."""

KEYS = 9


def numbered(text: str, buttons: Sequence[Button]) -> str:
    """The text with its choices below it, one a line.

    >>> numbered("要哪一种？", [Button("取消", "/cancel"), Button("继续", "/go_on")])
    '要哪一种？\\n1. 取消\\n2. 继续'
    """
    if not buttons or TOLD.search(text):
        return text
    return "\n".join((text, *(f"{n}. {button.title}" for n, button in enumerate(buttons, 1))))


def spoken(text: str, buttons: Sequence[Button], language: Language) -> str:
    """What is said after the text: which key means what; nothing where the text says so itself or keys run out.

    >>> spoken("Shall we?", [Button("Yes", "/affirm"), Button("No", "/deny")], Language.EN)
    'Press 1 for Yes, 2 for No.'
    """
    if not buttons or len(buttons) > KEYS or TOLD.search(text):
        return ""
    if language is Language.ZH:
        return "，".join(f"{button.title}请按{n}" for n, button in enumerate(buttons, 1)) + "。"
    return "Press " + ", ".join(f"{n} for {button.title}" for n, button in enumerate(buttons, 1)) + "."
