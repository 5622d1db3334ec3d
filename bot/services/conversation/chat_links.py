"""A link that takes somebody's text conversation into the web chat: signed, short-lived, for the first who opens it.

It is sent by text to whoever goes on from a call. Opening the page changes nothing; the page itself asks to `join`, so
that a messenger that looks at links does not use one up. The conversation moves with all its lines to a new visitor of
the web chat who is the same contact; whoever holds it goes on writing there.
"""

from __future__ import annotations

import re
import secrets
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from bot.core.words import Author, ChannelName, ConversationState, Say
from bot.services import contacts, i18n
from bot.services.centre import Centre
from bot.services.conversation.conversations import add_lines, hold, save
from bot.services.i18n import N_
from bot.services.refusal import NotFoundError, RefusedError
from bot.services.staffing.sign_in import same_token
from store.db import touch, vault_of

LIFE = timedelta(hours=2)  # of machine time
LENGTH = 24  # characters of the signature: 144 bits
SHAPE = re.compile(r"(?P<named>(?P<id>[0-9]{1,18})\.(?P<expires>[0-9]{1,12}))\.(?P<signature>[A-Za-z0-9_-]{24})")
JOINED = N_("客户打开短信里的链接，转到网页继续")


class LinkRefusedError(RefusedError):
    """The link cannot be used: "over" (too old, or the conversation ended), "taken" (opened elsewhere) or "unknown"."""


def make(session: Session, centre: Centre, conversation_id: int) -> str:
    """The address of the page."""
    expires = int((centre.clock.machine() + LIFE).timestamp())
    named = f"{conversation_id}.{expires}"
    return f"{centre.settings.address}/chat?go={named}.{_signature(session, named)}"


def join(session: Session, centre: Centre, go: str, visitor: str, now: datetime) -> str:
    """Takes the conversation to the web chat; gives the visitor's token there, `visitor` where it is theirs already.
    Raises LinkRefusedError."""
    try:
        held = hold(session, _opened(session, go, centre.clock.machine()))
    except NotFoundError as error:
        raise LinkRefusedError("over") from error
    if held.channel is ChannelName.WEBCHAT:
        mine = contacts.find_address(session, ChannelName.WEBCHAT, visitor)
        if mine is None or mine.id != held.address_id:
            raise LinkRefusedError("taken")
        return visitor
    if held.state is ConversationState.CLOSED:
        raise LinkRefusedError("over")
    token = secrets.token_urlsafe(32)
    address = contacts.add_address(session, held.contact_id, ChannelName.WEBCHAT, token, now)
    session.flush()
    held.channel, held.address_id = ChannelName.WEBCHAT, address.id
    held.change(channel=held.channel, address_id=held.address_id)
    note = i18n.text(centre.settings.language, JOINED)
    add_lines(session, held, Author.SYSTEM, [Say(note)], now, private=True)
    save(session, held)
    touch(session, f"conversation:{held.id}", "floor")
    return token


def _opened(session: Session, go: str, machine: datetime) -> int:
    """The conversation a link names."""
    found = SHAPE.fullmatch(go)
    if found is None or not same_token(found["signature"], _signature(session, found["named"])):
        raise LinkRefusedError("unknown")
    if machine.timestamp() >= int(found["expires"]):
        raise LinkRefusedError("over")
    return int(found["id"])


def _signature(session: Session, named: str) -> str:
    return vault_of(session).blind("chat link", named)[:LENGTH]
