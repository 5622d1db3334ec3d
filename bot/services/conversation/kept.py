"""Messages stored without an answer. On push channels each waits a moment for the next (`chat.join_within`), so that
two quick ones get one coherent answer; on any channel, those that could not be answered when they came. The heartbeat
answers them; people take over where the scripts still cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Row, select, update
from sqlalchemy.orm import Session

from bot.core.words import Author, ChannelName, ConversationState, Language, Parse
from bot.services.centre import Centre
from bot.services.conversation import learning, talk
from bot.services.conversation.conversations import MAX_TEXT, hold, save, understood
from bot.services.facts import facts
from store.tables import Conversation, Message

KEEP_AFTER = timedelta(seconds=5)  # a message that could not be answered is tried again after so long
PAGE = 50


def joins(centre: Centre, channel: ChannelName) -> bool:
    """Whether messages here wait for the next: they are pushed and read, not asked for by a request or spoken."""
    there = centre.channels.get(channel)
    return there is not None and there.can.push and not there.can.voice


def due(session: Session, centre: Centre, now: datetime) -> list[int]:
    """The conversations whose kept messages have waited long enough."""
    join_within = centre.library.current.policies.chat.join_within
    joining = [name for name in centre.channels if joins(centre, name)]
    waits = Conversation.unanswered_since
    return list(
        session.scalars(
            select(Conversation.id)
            .where(
                waits.is_not(None),
                (waits <= now - KEEP_AFTER) | ((waits <= now - join_within) & Conversation.channel.in_(joining)),
                Conversation.state == ConversationState.BOT,
            )
            .limit(PAGE)
        )
    )


@dataclass(frozen=True, slots=True)
class _Batch:
    """Messages that get one answer. `cause` names the first of them, as `bot.services.facts.Hand` wants it."""

    ids: tuple[int, ...]
    text: str
    language: Language
    expecting: frozenset[str]
    cause: str


class _Moved(Exception):  # noqa: N818 - not an error: another worker answered, or the conversation went on, meanwhile
    pass


async def answer(centre: Centre, conversation_id: int) -> None:
    """Answers what is kept in a conversation, one batch after the other."""
    now = centre.clock.now()
    together = centre.library.current.policies.chat.join_within
    for _ in range(PAGE):
        batch = await centre.db.read(lambda s: _first(s, conversation_id, together))
        if batch is None:
            return
        parse = await centre.understanding.parse(
            batch.text,
            language=batch.language,
            enabled=centre.library.current.book.intents,
            expecting=batch.expecting,
            now=now,
            zone=centre.settings.zone,
        )
        try:
            await facts.write(
                centre,
                partial(_answer, centre=centre, conversation_id=conversation_id, batch=batch, parse=parse, now=now),
                facts.Hand(batch.cause),
            )
        except _Moved:
            continue


def _waiting(
    session: Session, conversation_id: int
) -> Sequence[Row[tuple[int, str, datetime, ChannelName, str | None]]]:
    return session.execute(
        select(Message.id, Message.text, Message.at, Message.channel, Message.provider_id)
        .where(
            Message.conversation_id == conversation_id,
            Message.author == Author.CUSTOMER,
            Message.understood.is_(None),
        )
        .order_by(Message.seq)
    ).all()


def _first(session: Session, conversation_id: int, together: timedelta) -> _Batch | None:
    """The oldest kept message and those that came quickly after it."""
    held = session.get_one(Conversation, conversation_id)
    rows = _waiting(session, conversation_id)
    if not rows or held.state is not ConversationState.BOT or held.unanswered_since is None:
        return None
    batch = [rows[0]]
    for row in rows[1:]:
        size = sum(len(each.text) + 1 for each in batch)
        if row.at - batch[-1].at > together or size + len(row.text) > MAX_TEXT:
            break
        batch.append(row)
    text = "\n".join(row.text for row in batch)
    cause = facts.cause(rows[0].channel, rows[0].provider_id)
    return _Batch(tuple(row.id for row in batch), text, held.language, talk.expecting(held.flow), cause)


def _answer(
    session: Session, *, centre: Centre, conversation_id: int, batch: _Batch, parse: Parse, now: datetime
) -> None:
    held = hold(session, conversation_id)
    if held.state is not ConversationState.BOT:
        return
    rows = _waiting(session, conversation_id)
    if tuple(row.id for row in rows[: len(batch.ids)]) != batch.ids or talk.expecting(held.flow) != batch.expecting:
        raise _Moved
    session.execute(update(Message).where(Message.id.in_(batch.ids)).values(understood=understood(parse)))
    talk.turn_or_person(session, centre, held, batch.text, parse, now, reply_to=batch.ids[-1])
    if held.state is ConversationState.BOT:
        learning.keep_missed(session, held, batch.ids[-1], batch.text, parse, now)
        rest = rows[len(batch.ids) :]
        held.change(unanswered_since=rest[0].at if rest else None)
    save(session, held)
