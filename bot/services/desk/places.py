"""Customers who wait in writing are told their place now and then, and may ask to be called instead (REQ-B05, E05).

Callers hear the same from bot/services/calls/waiting.py. Whoever asked is owed one call; their place in the queue
stays.
"""

from __future__ import annotations

from datetime import datetime

import structlog
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from bot.core.words import Author, Button, CallbackSource, ChannelName, ConversationState, Say
from bot.services import contacts, i18n
from bot.services.calls import bookings, waiting
from bot.services.centre import Centre
from bot.services.conversation.conversations import Held, add_lines, hold, save
from bot.services.delivery import outbox
from bot.services.desk import handoff
from bot.services.i18n import N_
from store.tables import Callback, Conversation

log = structlog.get_logger()
PAGE = 50
CALL_ME = "/call_me_back"
BUTTON = N_("请给我回电")
NEXT = N_("您是下一位，同事马上就来。您发来的消息我们都看得到。")
PLACE = N_("您前面还有%(ahead)s位，同事会按顺序回复您。您发来的消息我们都看得到。")
MINUTES = N_("大约还要等%(minutes)s分钟。")
OR_CALL = N_("不想等的话，我们可以打电话给您，排队位置保留。")
PROMISED = N_("好的，我们%(at)s左右给您打电话，排队位置也保留着。")
NO_CALL = N_("现在约不上回电，您的排队位置保留，同事会在这里回复您。")


def tick(session: Session, centre: Centre, now: datetime) -> int:
    """Tells each waiting customer whose turn to be told it is; nobody where no colleague is online."""
    every = centre.library.current.policies.agents.place_every
    if every is None or handoff.agents_open(session) == 0:
        return 0
    due = session.scalars(
        select(Conversation.id)
        .where(
            Conversation.state == ConversationState.QUEUED,
            Conversation.channel.not_in((ChannelName.VOICE, ChannelName.SMS)),
            Conversation.queued_at <= now - every,
            or_(Conversation.told_at.is_(None), Conversation.told_at <= now - every),
        )
        .order_by(Conversation.priority, Conversation.queued_at, Conversation.id)
        .limit(PAGE)
        .with_for_update(skip_locked=True)
    ).all()
    for conversation_id in due:
        held = hold(session, conversation_id)
        held.change(told_at=now)
        _say(session, centre, held, _place(session, held, now), now)
        save(session, held)
    return len(due)


def _place(session: Session, held: Held, now: datetime) -> Say:
    ahead = handoff.ahead(session, held.id)
    words = [i18n.text(held.language, PLACE, ahead=ahead) if ahead else i18n.text(held.language, NEXT)]
    minutes = round(handoff.waits(session, now=now).total_seconds() / 60)
    if ahead and minutes:
        words.append(i18n.text(held.language, MINUTES, minutes=minutes))
    if contacts.phone_of(session, held.contact_id) is None or _promised(session, held) is not None:
        return Say(_joined(held, words))
    words.append(i18n.text(held.language, OR_CALL))
    return Say(_joined(held, words), (Button(i18n.text(held.language, BUTTON), CALL_ME),))


def _joined(held: Held, words: list[str]) -> str:
    return ("" if held.language == "zh" else " ").join(words)


def call_back(session: Session, centre: Centre, held: Held, now: datetime, reply_to: int) -> tuple[Say, ...]:
    """Answers somebody who pressed the button while waiting: a call is owed to them, once."""
    number = contacts.phone_of(session, held.contact_id)
    promised = _promised(session, held)
    if promised is None and number is not None:
        try:
            promised = bookings.book(
                session,
                centre,
                held.contact_id,
                dedupe_key=f"{handoff.WAITED}{held.id}",
                wish=now + max(waiting.SOON, handoff.waits(session, now=now)),
                topic=i18n.text(held.language, N_("在线等待人工")),
                address_id=number.id,
                source=CallbackSource.QUEUE,
                now=now,
            )
        except bookings.NotBookableError:
            log.info("places.not_bookable", conversation=held.id)
    if promised is None:
        return _say(session, centre, held, Say(i18n.text(held.language, NO_CALL)), now, reply_to)
    at = bookings.told(promised.due_at or now, now, held.zone, held.language)
    noted = bookings.told(promised.due_at or now, now, held.zone, centre.settings.language)
    note = Say(i18n.text(centre.settings.language, waiting.NOTED, at=noted))
    add_lines(session, held, Author.SYSTEM, [note], now, private=True)
    return _say(session, centre, held, Say(i18n.text(held.language, PROMISED, at=at)), now, reply_to)


def _promised(session: Session, held: Held) -> Callback | None:
    return session.scalar(select(Callback).where(Callback.dedupe_key == f"{handoff.WAITED}{held.id}"))


def _say(
    session: Session, centre: Centre, held: Held, say: Say, now: datetime, reply_to: int | None = None
) -> tuple[Say, ...]:
    rows = add_lines(session, held, Author.BOT, [say], now, reply_to=reply_to)
    outbox.put_lines(session, centre, held, rows, now)
    return (say,)
