"""What an action finds when a flow asks for it: the transaction, the centre, the conversation, the moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from bot.services.centre import Centre
from bot.services.conversation.conversations import Held


@dataclass(frozen=True, slots=True)
class Scene:
    """`slots` are what the flow has filled so far; `emotion` is the anger of the message being answered, `reply_to` its
    id."""

    session: Session
    centre: Centre
    held: Held
    now: datetime
    slots: Mapping[str, Any]
    emotion: int = 0
    reply_to: int | None = None


Perform = Callable[[Scene, Mapping[str, Any]], Mapping[str, Any]]
"""An action: takes its arguments (bot/core/actions.py), gives back slots."""
