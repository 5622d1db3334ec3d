"""What the bot made of a conversation's last message, in one line, for whoever tries scripts out (`talk --explain`)."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.flow import State
from bot.core.words import Author
from store.tables import Conversation, Message


def explain(session: Session, conversation_id: int) -> str:
    """Intent and confidence, entities, open flow, slots; texts are shown whole, so this is for rehearsals."""
    conversation = session.get_one(Conversation, conversation_id)
    understood = session.scalar(
        select(Message.understood)
        .where(Message.conversation_id == conversation_id, Message.author == Author.CUSTOMER)
        .order_by(Message.seq.desc())
        .limit(1)
    )
    state = State.from_json(conversation.flow.get("state", {}))
    parts = [conversation.state.value]
    if understood:
        parts.append(f"{understood['intent'] or '–'} {understood['confidence']:.2f}")
        parts += [f"{entity['kind']}={entity['value']}" for entity in understood["entities"]]
    if state.stack:
        parts.append(f"flow={state.stack[-1].flow}")
    if question := conversation.flow.get("question"):
        parts.append(f"asks={question}")
    slots = [f"{name}={value}" for name, value in sorted(state.slots.items()) if value is not None]
    return " · ".join([*parts, " ".join(slots)] if slots else parts)
