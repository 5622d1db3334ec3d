"""The holding line: a customer whom nobody has answered for `chat.hold_after` hears that they were heard (REQ-B05).

Once for each wait, whoever holds the conversation; its words are the scripts' own (`pattern_holding`).
"""

from __future__ import annotations

from datetime import datetime

from prometheus_client import Counter
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from bot.core import flow
from bot.core.flow import State
from bot.core.words import Author, ChannelName, ConversationState, Say
from bot.services.centre import Centre
from bot.services.conversation import talk
from bot.services.conversation.conversations import Held, add_lines, hold, save
from bot.services.delivery import outbox
from bot.services.desk import handoff
from store.tables import Conversation, Message

FLOW = "pattern_holding"
KEY = "utter_holding"  # how the keys of its wordings begin
PAGE = 10  # told in one transaction: their customers may be writing at this moment, and wait for it

LATE = Counter("hotline_late_answers_total", "Customers who waited longer than chat.hold_after for a person (REQ-B05)")


def tick(session: Session, centre: Centre, now: datetime) -> int:
    """Says the holding line where it is due; how many were said. Where the scripts have no words, nothing is done."""
    told = exists().where(
        Message.conversation_id == Conversation.id,
        Message.key.startswith(KEY),
        Message.at >= Conversation.unanswered_since,
    )
    due = session.scalars(
        select(Conversation.id)
        .where(
            Conversation.unanswered_since <= now - centre.library.current.policies.chat.hold_after,
            Conversation.state.in_((ConversationState.QUEUED, ConversationState.AGENT)),
            Conversation.channel != ChannelName.VOICE,
            ~told,
        )
        .limit(PAGE)
        .with_for_update(skip_locked=True)
    ).all()
    if not due:
        return 0
    said, people_open = 0, handoff.agents_open(session) > 0
    for conversation_id in due:
        held = hold(session, conversation_id)
        if not (says := _words(centre, held, people_open, now)):
            continue
        outbox.put_lines(session, centre, held, add_lines(session, held, Author.BOT, says, now), now)
        save(session, held)
        LATE.inc()
        said += 1
    return said


def _words(centre: Centre, held: Held, people_open: bool, now: datetime) -> tuple[Say, ...]:
    """The current scripts' words; the conversation's own state is not touched."""
    context = {**talk.context_of(centre, held), "people_open": people_open}
    return flow.begin(centre.library.current.book, State(), FLOW, context, now).says
