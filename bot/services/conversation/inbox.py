"""One message in: parsed outside any transaction, then one write that stores it, runs the flow and stores the answers.

A repeated request (same channel and provider id) gets the same answers again and does nothing twice. While people hold
the conversation the bot is silent. What cannot be answered at once is kept and answered by the heartbeat (DESIGN §3).
"""

from __future__ import annotations

import unicodedata
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from sqlalchemy import bindparam, select, update
from sqlalchemy import text as sql
from sqlalchemy.orm import Session

from bot.core.words import Author, ChannelName, ConversationState, Incoming, Language, Parse, Say, as_buttons
from bot.services import contacts
from bot.services.announcements import answers as announced
from bot.services.centre import Centre
from bot.services.conversation import asides, kept, learning, media, talk
from bot.services.conversation.conversations import MAX_TEXT, Held, find_open, open_at, save, understood
from bot.services.desk import places
from bot.services.facts import facts
from nlu.features import written_in
from store.db import touch
from store.search import words_of
from store.tables import Conversation, Message

log = structlog.get_logger()
GLIMPSES = 50_000
LATELY = 40  # lines among which a message's own correction may stand before it
TRIES = 4


class TooLongError(ValueError):
    """The message is longer than MAX_TEXT characters."""


MESSENGERS = frozenset({ChannelName.TELEGRAM})  # where no page says the language; what they write in does


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a message. `answers` are the bot's lines to it, empty while people hold the conversation."""

    conversation_id: int
    state: ConversationState
    language: Language
    seq: int
    answers: tuple[Say, ...]
    repeated: bool = False


class _Reparse(Exception):  # noqa: N818 - not an error: the conversation moved on while its message was parsed
    def __init__(self, expecting: frozenset[str]) -> None:
        self.expecting = expecting


_glimpses: OrderedDict[str, frozenset[str]] = OrderedDict()
"""What each address's open question could take when last seen; a wrong guess costs one more parse, nothing else."""


def clean(text: str) -> str:
    """Text as it may be stored and shown: no control characters but line breaks and tabs, no lone surrogates.

    Raises TooLongError above MAX_TEXT characters.
    """
    if len(text) > MAX_TEXT:
        raise TooLongError(f"{len(text)} characters; at most {MAX_TEXT}")
    if text.isprintable():
        return text.strip()
    kept = (c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))
    return "".join(kept).strip()


async def receive(centre: Centre, incoming: Incoming) -> Receipt:
    """Takes one customer's message through the bot and returns after the commit.

    Raises TooLongError; anything else is stored and answered later rather than lost.
    """
    text = clean(incoming.text)
    now = centre.clock.now()
    key = centre.db.vault.blind(incoming.channel, incoming.address)
    expecting = _glimpses.get(key, frozenset())
    hand = facts.Hand(facts.cause(incoming.channel, incoming.provider_id))
    for _ in range(TRIES):
        parse = await centre.understanding.parse(
            text,
            language=incoming.language or incoming.spoken,
            enabled=centre.library.current.book.intents,
            expecting=expecting,
            now=now,
            zone=centre.settings.zone,
        )
        try:
            receipt, opens = await facts.write(
                centre,
                partial(
                    _receive,
                    centre=centre,
                    incoming=incoming,
                    text=text,
                    parse=parse,
                    expecting=expecting,
                    now=now,
                ),
                hand,
            )
        except _Reparse as moved:
            expecting = moved.expecting
            continue
        except talk.StuckError:
            log.exception("inbox.stuck", channel=incoming.channel)
            return await centre.db.write(lambda s: _keep(s, centre, incoming, text, now))
        _remember(key, opens)
        return receipt
    return await centre.db.write(lambda s: _keep(s, centre, incoming, text, now))


def _remember(key: str, expecting: frozenset[str]) -> None:
    _glimpses[key] = expecting
    _glimpses.move_to_end(key)
    if len(_glimpses) > GLIMPSES:
        _glimpses.popitem(last=False)


def _hold(session: Session, centre: Centre, incoming: Incoming, parsed: Language | None, now: datetime) -> Held | None:
    """The conversation this message belongs to, opened where there is none; None where a message that was already
    answered comes again after its conversation closed."""
    held = find_open(session, incoming.channel, incoming.address)
    if held is not None:
        return held
    if is_known(session, incoming.channel, incoming.provider_id):
        return None
    return open_at(
        session,
        incoming.channel,
        incoming.address,
        language=_first_language(incoming, parsed) or centre.settings.language,
        zone=centre.settings.timezone,
        book=centre.library.current.book.version,
        now=now,
    )


def _first_language(incoming: Incoming, parsed: Language | None) -> Language | None:
    """What they chose, else what they write in, else what their application speaks; a command is in no language."""
    wordless = incoming.payload is not None or incoming.aside
    return incoming.language or (incoming.spoken if wordless else parsed) or incoming.spoken or parsed


_KNOWN = select(Message.id).where(
    Message.channel == bindparam("channel"), Message.provider_id == bindparam("provider_id")
)


def is_known(session: Session, channel: ChannelName, provider_id: str) -> bool:
    """Whether this message was stored before."""
    return session.scalar(_KNOWN, {"channel": channel, "provider_id": provider_id}) is not None


def _receive(
    session: Session,
    *,
    centre: Centre,
    incoming: Incoming,
    text: str,
    parse: Parse,
    expecting: frozenset[str],
    now: datetime,
) -> tuple[Receipt, frozenset[str]]:
    held = _hold(session, centre, incoming, parse.language, now)
    if held is not None and _was_corrected(session, held, incoming):
        incoming = replace(incoming, aside=asides.CORRECTED)
    waits = held is not None and _waits(centre, held, incoming)
    machine = centre.clock.machine()
    message_id = _store(session, held, incoming, text, None if waits else parse, now, machine) if held else None
    if held is None or message_id is None:
        return _again(session, incoming), frozenset()
    held.language = incoming.language or _written(held, incoming, text) or held.language
    if held.channel in MESSENGERS and incoming.language:
        contacts.learn(session, held.contact_id, {"language": incoming.language}, now=now, why="chosen in conversation")
    answers: tuple[Say, ...] = ()
    _supersede(session, incoming)
    if waits:
        held.change(unanswered_since=now, silence_at=None)
    elif incoming.aside and (held.state is ConversationState.BOT or incoming.aside in asides.ALWAYS):
        answers = asides.say(session, centre, held, incoming.aside, now, reply_to=message_id)
    elif held.state is ConversationState.BOT:
        now_expecting = talk.expecting(held.flow)
        if now_expecting != expecting:
            raise _Reparse(now_expecting)
        answers = talk.turn(
            session, centre, held, text, parse, incoming.payload, now, reply_to=message_id, extra=incoming.context
        )
        learning.keep_missed(session, held, message_id, text, parse, now)
        held.changes.setdefault("unanswered_since", None)  # unless it has just been handed over: people are waited for
    else:
        if incoming.payload == places.CALL_ME and held.state is ConversationState.QUEUED:
            answers = places.call_back(session, centre, held, now, message_id)
        announced.pressed(session, centre, held, message_id, now)
        held.change(unanswered_since=held.unanswered_since or now)
        touch(session, "floor")
    save(session, held)
    return Receipt(held.id, held.state, held.language, held.seq, answers), talk.expecting(held.flow)


def _waits(centre: Centre, held: Held, incoming: Incoming) -> bool:
    """Whether the answer waits for what the customer may write next (bot/services/conversation/kept.py); a choice does
    not."""
    words = incoming.payload is None and not incoming.aside
    return words and held.state is ConversationState.BOT and kept.joins(centre, incoming.channel)


def _supersede(session: Session, incoming: Incoming) -> None:
    """A message corrected before it was answered needs no answer of its own any more."""
    if incoming.corrects:
        session.execute(
            update(Message)
            .where(
                Message.channel == incoming.channel,
                Message.provider_id == incoming.corrects,
                Message.understood.is_(None),
            )
            .values(understood={"aside": asides.CORRECTED})
        )


def _was_corrected(session: Session, held: Held, incoming: Incoming) -> bool:
    """Whether a message comes after its own correction, as updates may."""
    if held.channel not in MESSENGERS:
        return False
    lately = select(Message.details).where(
        Message.conversation_id == held.id, Message.seq > held.seq - LATELY, Message.details.is_not(None)
    )
    return any(details.get("corrects") == incoming.provider_id for details in session.scalars(lately) if details)


def _written(held: Held, incoming: Incoming, text: str) -> Language | None:
    """The language somebody has gone over to, where their words leave no doubt."""
    if held.channel not in MESSENGERS or incoming.payload is not None or incoming.aside:
        return None
    return written_in(text)


_message = Message.__table__
_STORE = sql(
    """
    INSERT INTO message
        (conversation_id, seq, channel, author, text, key, private, provider_id, understood, details, at, words)
    VALUES
        (:conversation_id, :seq, :channel, 'customer', :text, '', :private, :provider_id, :understood, :details, :at,
         :words)
    ON CONFLICT DO NOTHING RETURNING id
    """
).bindparams(
    *(
        bindparam(name, type_=_message.c[name].type)
        for name in (
            "conversation_id",
            "seq",
            "channel",
            "text",
            "private",
            "provider_id",
            "understood",
            "details",
            "at",
            "words",
        )
    )
)
"""Written out, because SQLAlchemy compiles its own ON CONFLICT anew at every call."""


def _store(
    session: Session,
    held: Held,
    incoming: Incoming,
    text: str,
    parse: Parse | None,
    now: datetime,
    machine: datetime,
) -> int | None:
    """Inserts the inbound row with its files; None where the provider sent it before."""
    connection = session.connection()
    message_id = connection.execute(
        _STORE,
        {
            "conversation_id": held.id,
            "seq": held.seq + 1,
            "channel": incoming.channel,
            "text": text,
            "private": False,
            "provider_id": incoming.provider_id,
            "understood": _known(parse, incoming),
            "details": dict(incoming.metadata) or None,
            "at": now,
            "words": words_of(connection, Author.CUSTOMER, text),
        },
    ).scalar_one_or_none()
    if message_id is not None:
        held.seq += 1
        media.keep(session, incoming.channel, message_id, incoming.attachments, machine)
    return message_id


def _known(parse: Parse | None, incoming: Incoming) -> dict[str, Any] | None:
    """What staff see of a line; an aside is nothing to be understood."""
    if incoming.aside:
        return {"aside": incoming.aside}
    return understood(parse, incoming.payload) if parse else None


_ANSWERS = select(Message.text, Message.buttons, Message.key).where(
    Message.conversation_id == bindparam("conversation_id"), Message.reply_to == bindparam("message_id")
)


def _again(session: Session, incoming: Incoming) -> Receipt:
    original = session.execute(
        select(Message.id, Message.conversation_id, Message.seq, Conversation.state, Conversation.language)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .where(Message.channel == incoming.channel, Message.provider_id == incoming.provider_id)
    ).one()
    rows = session.execute(
        _ANSWERS.order_by(Message.seq), {"conversation_id": original.conversation_id, "message_id": original.id}
    )
    answers = tuple(Say(r.text, as_buttons(r.buttons or ()), r.key) for r in rows)
    return Receipt(original.conversation_id, original.state, original.language, original.seq, answers, repeated=True)


def _keep(session: Session, centre: Centre, incoming: Incoming, text: str, now: datetime) -> Receipt:
    """Stores the inbound row alone; the heartbeat answers it."""
    held = _hold(session, centre, incoming, None, now)
    if held is None or _store(session, held, incoming, text, None, now, centre.clock.machine()) is None:
        return _again(session, incoming)
    held.change(unanswered_since=now)
    save(session, held)
    return Receipt(held.id, held.state, held.language, held.seq, ())


async def keep(centre: Centre, incoming: Incoming) -> Receipt:
    """Stores a message without answering it: the heartbeat does, or a person. Raises TooLongError."""
    text, now = clean(incoming.text), centre.clock.now()
    return await centre.db.write(lambda s: _keep(s, centre, incoming, text, now))
