"""Calls whose end the carrier told while nobody listened, as when the program was down: it is asked about them.

What it says is taken as its report would have been (switchboard.py), so that an attempt is settled, a telephone is free
and a conversation off the line minutes later, not when the call's limit is over. Only a carrier that can be asked is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from bot.core.telephone import ENDED, CallReport, Follows
from bot.core.words import ChannelName, Rejected, TryLater, Unsure
from bot.services.calls.lines import CALLS_UP
from bot.services.calls.speech import OF_CALL, OFF_THE_LINE, ON_THE_LINE
from bot.services.calls.switchboard import Desk
from bot.services.centre import Centre
from bot.services.conversation.conversations import OPEN
from store.tables import Conversation, Delivery, Message

log = structlog.get_logger()
SILENT = timedelta(minutes=3)  # without a word on a call before the carrier is asked, each minute
ASKED_FOR = timedelta(days=1)  # as far back
PAGE = 100

Call = tuple[str, int | None]  # the carrier's name of it, our delivery where we placed it


async def look(centre: Centre) -> int:
    """Once around; gives how many calls turned out to be over."""
    channel, now = centre.channels.get(ChannelName.VOICE), centre.clock.now()
    if not isinstance(channel, Follows):
        return 0
    over = 0
    for sid, delivery_id in await centre.db.read(lambda s: [*_placed(s, now), *_came_in(s, now)]):
        try:
            state = await channel.how_far(sid)
        except (Rejected, TryLater, Unsure) as error:
            log.warning("unreported.not_asked", error=type(error).__name__)
            continue
        if state in ENDED:
            await Desk(centre).call(CallReport(sid, delivery_id, state))
            over += 1
    return over


def _placed(session: Session, now: datetime) -> Sequence[Call]:
    """Our own calls; an announcement's counts by what was heard, not by its end."""
    rows = session.execute(
        select(Delivery.provider_id, Delivery.id)
        .where(
            CALLS_UP,
            Delivery.provider_id.is_not(None),
            Delivery.recipient_id.is_(None),
            Delivery.changed_at.between(now - ASKED_FOR, now - SILENT),
        )
        .order_by(Delivery.changed_at)
        .limit(PAGE)
    )
    return [(sid, delivery_id) for sid, delivery_id in rows if sid]


def _came_in(session: Session, now: datetime) -> Sequence[Call]:
    """Customers' calls, in conversations that are still on the line."""
    line = aliased(Message)
    last = (
        select(func.max(line.id))
        .where(line.conversation_id == Conversation.id, line.key.in_((ON_THE_LINE, OFF_THE_LINE)))
        .scalar_subquery()
    )
    rows = session.scalars(
        select(Message.provider_id)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(
            OPEN,
            Conversation.channel == ChannelName.VOICE,
            Message.id == last,
            Message.provider_id.startswith(OF_CALL),
            Message.at.between(now - ASKED_FOR, now - SILENT),
        )
        .order_by(Message.id)
        .limit(PAGE)
    )
    return [(sid.removeprefix(OF_CALL), None) for sid in rows if sid]
