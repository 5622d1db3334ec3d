"""An attempt to reach somebody by telephone: its row, its place in the outbox, and the conversation it becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from bot.core.policy import Policies
from bot.core.windows import Calendar, call_windows, local_date, spans
from bot.core.words import ChannelName, DeliveryState
from bot.services.calls import callbacks
from bot.services.calls.call_ends import end_of_line
from bot.services.centre import Centre
from bot.services.conversation.conversations import Held, open_conversation
from bot.services.delivery import outbox
from store.tables import CallAttempt, Callback, Contact


def write_down(
    session: Session,
    centre: Centre,
    callback: Callback,
    address_id: int,
    windows: Sequence[str],
    metadata: Mapping[str, object],
    now: datetime,
    *,
    text: str = "",
    expires_at: datetime | None = None,
    rung_by_agent: bool = False,
) -> CallAttempt:
    """The next attempt, with its delivery. `windows` are those the gate asks about again at the moment of dialling,
    `text` what an answering machine hears; `rung_by_agent`: an agent's own call rings it, nothing is left to send."""
    number = len(callbacks.attempts_of(session, callback)) + 1
    contact = session.get_one(Contact, callback.contact_id)
    attempt = CallAttempt(
        callback_id=callback.id,
        number=number,
        address_id=address_id,
        window=_window(callbacks.policies_of(session, centre, callback), callback, contact.timezone, now),
        started_at=now,
    )
    session.add(attempt)
    attempt.delivery_id = outbox.put(
        session,
        dedupe_key=f"callback:{callback.id}:{number}",
        purpose=callback.purpose,
        channel=ChannelName.VOICE,
        address_id=address_id,
        contact_id=contact.id,
        text=text,
        language=contact.language,
        metadata={"windows": list(windows), **metadata},
        now=now,
        expires_at=expires_at,
        state=DeliveryState.ACCEPTED if rung_by_agent else DeliveryState.QUEUED,
        attempt=int(rung_by_agent),
        callback_id=callback.id,
    )
    return attempt


def _window(policies: Policies, callback: Callback, zone: str, now: datetime) -> str:
    """The window a call is placed in, as the person called sees it on the clock: 14:30–16:30."""
    windows = call_windows(callbacks.plan_of(callback), policies)
    found = spans(local_date(now, zone), windows, Calendar(), zone, seasons=policies.seasons)
    local = ZoneInfo(zone)
    return next(
        (
            f"{start.astimezone(local):%H:%M}–{end.astimezone(local):%H:%M}"
            for start, end in found
            if start <= now < end
        ),
        "",
    )


def begin_conversation(
    session: Session, centre: Centre, attempt: CallAttempt, contact: Contact, now: datetime, **columns: Any
) -> Held:
    """Somebody answered: the conversation on this line begins, and an earlier one that was left open there is over.
    `columns` are those of a conversation that does not begin with the bot."""
    end_of_line(session, attempt.address_id, now)
    held = open_conversation(
        session,
        contact.id,
        attempt.address_id,
        ChannelName.VOICE,
        contact.language,
        centre.library.current.book.version,
        now,
        callback_id=attempt.callback_id,
        **columns,
    )
    attempt.conversation_id = held.id
    return held
