"""What a call says next: the lines its caller has not heard yet, and what comes then (used by
bot/services/calls/voice.py).

A call's place is its `turn`, the number of the last line spoken, so the same question always finds the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.telephone import HangUp, Listen, Next, Speaks, door
from bot.core.words import Author, ChannelName, ConversationState, Language, Say, as_buttons
from bot.services import i18n
from bot.services.calls import waiting
from bot.services.centre import Centre
from bot.services.desk import handoff
from bot.services.i18n import N_
from store.tables import Conversation, Message

ON_THE_LINE, OFF_THE_LINE = "on_the_line", "off_the_line"  # keys of the lines that say so
OF_CALL = "call:"  # begins the provider id of the line that says a customer called; the carrier's name of it follows
KEYS: Mapping[str, Mapping[Language, str]] = {
    "0": {Language.ZH: "转人工", Language.EN: "I want to speak to a person"},
    "*": {Language.ZH: "请再说一遍", Language.EN: "Please say that again"},
}
"""Keys that mean the same at every moment of a call."""

BY_KEY = frozenset(words for meant in KEYS.values() for words in meant.values())
HELD = (ConversationState.QUEUED, ConversationState.AGENT)
HOLD = 3  # seconds between two looks for what people have written
PATIENCE = 7  # looks without a word, after which the caller hears that we are still there
WAITS = 60  # looks in the queue, after which we promise to call back
STILL_THERE = N_("正在为您转接人工客服，请稍候。想留言请按2。")


@dataclass(frozen=True, slots=True)
class Spoken:
    """What to say now and what comes then."""

    says: tuple[Say, ...]
    language: Language
    then: Next


def render(centre: Centre, spoken: Spoken) -> str:
    channel = centre.channels[ChannelName.VOICE]
    assert isinstance(channel, Speaks)
    return channel.answer(spoken.says, spoken.language, spoken.then)


def from_here(
    session: Session,
    centre: Centre,
    conversation_id: int,
    turn: int,
    *,
    answering: int = 0,
    announcement_id: int | None = None,
    waited: int = 0,
) -> Spoken:
    """What the caller has not heard yet, and what comes then; `answering` 1: their own words come first."""
    row = session.execute(
        select(Conversation.state, Conversation.language, Conversation.seq, Conversation.address_id).where(
            Conversation.id == conversation_id
        )
    ).one()
    says, told, moved_on = _said_since(session, conversation_id, turn, answering)
    reached = told if moved_on else row.seq
    if row.state is ConversationState.CLOSED and not moved_on:
        return Spoken(says, row.language, HangUp())
    if row.state in HELD:
        waited = 0 if says else waited
        if row.state is ConversationState.QUEUED and _wants_a_word(session, waited):
            says = (Say(_patience(session, conversation_id, row.address_id, row.language)),)
        here = {"conversation": conversation_id, "turn": reached}
        return Spoken(says, row.language, Listen(door(**here), door(**here, silent=waited), HOLD))
    return Spoken(says, row.language, listen(centre, conversation_id, reached, announcement_id))


def _said_since(session: Session, conversation_id: int, turn: int, answering: int) -> tuple[tuple[Say, ...], int, bool]:
    """The lines of the bot and of people after `turn`, up to the caller's next words but `answering`; the number of the
    last of them; whether the caller has spoken since."""
    says: list[Say] = []
    told = turn
    lines = session.execute(
        select(Message.author, Message.seq, Message.text, Message.buttons, Message.key)
        .where(Message.conversation_id == conversation_id, Message.seq > turn, Message.private.is_(False))
        .order_by(Message.seq)
    )
    for line in lines:
        if line.author is Author.CUSTOMER:
            if not answering:
                return tuple(says), told, True
            answering -= 1
        elif line.author in (Author.BOT, Author.AGENT):
            says.append(Say(line.text, as_buttons(line.buttons or ()), line.key))
        told = line.seq
    return tuple(says), told, False


def listen(centre: Centre, conversation_id: int, turn: int, announcement_id: int | None = None) -> Listen:
    here = {"conversation": conversation_id, "turn": turn, "announcement": announcement_id}
    seconds = round(centre.library.current.policies.calls.listen.total_seconds())
    return Listen(door(**here), door(**here, silent=0), max(1, seconds))


def _wants_a_word(session: Session, waited: int) -> bool:
    """Now and then; at once where nobody is there to come."""
    return bool(waited) and (waited % PATIENCE == 0 or (waited == 1 and handoff.agents_open(session) == 0))


def _patience(session: Session, conversation_id: int, address_id: int, language: Language) -> str:
    """Their place, and what they may do instead of waiting."""
    if not waiting.may_be_called(session, address_id):
        return i18n.text(language, STILL_THERE)
    if handoff.agents_open(session) == 0:
        return i18n.text(language, waiting.NOBODY)
    ahead = handoff.ahead(session, conversation_id)
    place = i18n.text(language, waiting.PLACE, ahead=ahead) if ahead else i18n.text(language, waiting.NEXT)
    return f"{place} {i18n.text(language, waiting.OFFER)}"
