"""What an announcement says to one person, and its line in their conversation.

The text is the approved one; how to acknowledge comes from the scripts' own flow (`broadcast_reply`, emergency pack).
It is begun in the conversation the announcement reached, so that a "1", a button or a digit is understood there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core import flow
from bot.core.flow import Book, State
from bot.core.words import Author, BroadcastKind, ChannelName, ConversationState, Language, Purpose, Say
from bot.services.centre import Centre
from bot.services.conversations import Held, add_lines, hold_at, save
from store.tables import Broadcast, Message

FLOW = "broadcast_reply"
LINE = "broadcast:"  # how the keys of announcements' lines begin
DRILL = {Language.ZH: "【演练】", Language.EN: "[DRILL] "}


def asks(broadcast: Broadcast) -> bool:
    """Whether people are asked to acknowledge: a notice is; an update and an all-clear only want to arrive."""
    return broadcast.kind is BroadcastKind.NOTICE


def key_of(broadcast: Broadcast) -> str:
    """The name of an announcement's line in a transcript."""
    return f"{LINE}{broadcast.id}"


def words_for(centre: Centre, broadcast: Broadcast, language: Language, channel: ChannelName) -> Say:
    """The announcement as it is sent on this channel: the text, and for a notice how to acknowledge it."""
    body = DRILL[language] * broadcast.drill + (broadcast.text_zh if language is Language.ZH else broadcast.text_en)
    if not asks(broadcast) or FLOW not in centre.library.current.book.flows:
        return Say(body, key=key_of(broadcast))
    context = _context(centre, broadcast, language, channel)
    ask = flow.begin(centre.library.current.book, State(), FLOW, context, broadcast.created_at).says
    return Say("\n".join((body, *(say.text for say in ask))), ask[-1].buttons if ask else (), key_of(broadcast))


def put_line(
    session: Session,
    centre: Centre,
    broadcast: Broadcast,
    *,
    contact_id: int,
    address_id: int,
    channel: ChannelName,
    language: Language,
    say: Say,
    now: datetime,
) -> tuple[int, int]:
    """Adds the announcement to the open conversation at an address, or opens one; gives conversation and message.

    While people hold the conversation the line is added all the same, and nothing else changes.
    """
    held = hold_at(session, centre.library.current.book.version, contact_id, address_id, channel, language, now)
    rows = add_lines(session, held, Author.BOT, [say], now)
    held.change(broadcast_id=broadcast.id)
    if held.state is ConversationState.BOT and asks(broadcast):
        _begin(session, centre, broadcast, held, now)
    save(session, held)
    message_id = session.scalars(
        select(Message.id).where(Message.conversation_id == held.id, Message.seq == rows[-1]["seq"])
    ).one()
    return held.id, message_id


def _begin(session: Session, centre: Centre, broadcast: Broadcast, held: Held, now: datetime) -> None:
    """The conversation waits for the answer; what was going on there comes back afterwards."""
    book: Book = centre.library.book(session, held.book)
    if FLOW not in book.flows:
        return
    context = {**held.flow.get("context", {}), **_context(centre, broadcast, held.language, held.channel)}
    step = flow.begin(book, State.from_json(held.flow.get("state", {})), FLOW, context, now)
    held.flow = {
        **held.flow,
        "state": step.state.to_json(),
        "expecting": sorted(step.expecting),
        "question": step.question,
    }


def _context(centre: Centre, broadcast: Broadcast, language: Language, channel: ChannelName) -> Mapping[str, Any]:
    company = centre.library.current.policies.company
    return {
        "channel": channel.value,
        "language": language.value,
        "company": company.name.of(language),
        "bot_name": company.bot.of(language),
        "purpose": Purpose.EMERGENCY.value,
        "broadcast": broadcast.id,
    }
