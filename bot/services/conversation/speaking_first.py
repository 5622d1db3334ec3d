"""The bot speaks first: a script's opening words, said in the conversation at an address; the answer goes on there.

Where the bot holds that conversation it waits for the answer, and what was going on comes back afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core import flow
from bot.core.flow import State
from bot.core.words import Author, ConversationState, DeliveryState, Language, Purpose
from bot.services import contacts
from bot.services.centre import Centre
from bot.services.conversation import talk
from bot.services.conversation.conversations import Held, add_lines, hold_at, save
from bot.services.delivery import outbox
from store.tables import Address, Contact, Conversation


def hold_where(session: Session, centre: Centre, contact_id: int, address: Address, now: datetime) -> Held:
    """The conversation at an address we speak to first, opened where there is none."""
    contact = session.get_one(Contact, contacts.survivor(session, contact_id))
    return hold_at(
        session,
        centre.library.current.book.version,
        contact.id,
        address.id,
        address.channel,
        language_at(session, address, contact),
        now,
    )


def language_at(session: Session, address: Address, contact: Contact) -> Language:
    """The language last spoken at that address, else the contact's."""
    spoken = session.scalar(
        select(Conversation.language)
        .where(Conversation.address_id == address.id)
        .order_by(Conversation.id.desc())
        .limit(1)
    )
    return spoken or contact.language


def speak(
    session: Session,
    centre: Centre,
    held: Held,
    flow_id: str,
    told: Mapping[str, Any],
    now: datetime,
    *,
    purpose: Purpose,
    dedupe_key: str,
    expires_at: datetime | None = None,
    windows: Sequence[str] = (),
) -> None:
    """Begins a flow with the slots in `told`, queues its words, and saves the conversation. `windows` are the names the
    gate holds the words to when they go out, beside what their purpose keeps to."""
    book = centre.library.current.book
    pinned = centre.library.book(session, held.book)
    ours = held.state is ConversationState.BOT and flow_id in pinned.flows
    before = State.from_json(held.flow.get("state", {})) if ours else State()
    context = {**held.flow.get("context", {}), **talk.context_of(centre, held)}
    step = flow.begin(pinned if ours else book, replace(before, slots={**before.slots, **told}), flow_id, context, now)
    if ours:
        held.flow = {
            **held.flow,
            "state": step.state.to_json(),
            "expecting": sorted(step.expecting),
            "question": step.question,
        }
        held.change(silence_at=None)  # nobody is asked after a moment whether they are still there
    lines = talk.in_pieces(step.says, centre.library.current.policies, held.channel)
    rows = add_lines(session, held, Author.BOT, lines, now)
    outbox.put_lines(session, centre, held, rows, now, purpose=purpose, expires_at=expires_at, windows=windows)
    if held.channel in outbox.OWN_PAGES:  # there the line stands in the transcript already; the delivery says so
        outbox.put(
            session,
            dedupe_key=dedupe_key,
            purpose=purpose,
            channel=held.channel,
            address_id=held.address_id,
            contact_id=held.contact_id,
            text="\n".join(say.text for say in lines),
            language=held.language,
            now=now,
            state=DeliveryState.ACCEPTED,
            conversation_id=held.id,
        )
    save(session, held)
