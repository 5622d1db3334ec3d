"""One conversation with what its screen shows beside the lines."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Text, bindparam, cast, exists, func, literal, or_, select
from sqlalchemy.orm import Session, aliased

from bot.console.queries.cases import CaseRow, case_rows
from bot.console.queries.people import Card, card, own_contact
from bot.console.queries.timeline import Moment, timeline
from bot.core.words import (
    ChannelName,
    ConversationState,
    Language,
)
from bot.services import contacts
from bot.services.casework.cases import OPEN_STATES
from bot.services.desk import spokesperson
from bot.services.incidents.incident_answers import known, wording_of
from bot.services.permissions import Function
from bot.services.staffing.staff import SignedIn
from store.tables import (
    Case,
    Conversation,
    Message,
    Staff,
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A conversation with what its screen shows beside the lines. `facts` are the slots the flow has filled."""

    id: int
    state: ConversationState
    channel: ChannelName
    language: Language
    reason: str | None
    queued_at: datetime | None
    unanswered_since: datetime | None
    opened_at: datetime
    closed_at: datetime | None
    staff_id: int | None
    agent: str | None
    joined: tuple[int, ...]
    wrap_up: str | None
    wrap_up_note: str
    rating: int | None
    rating_comment: str
    facts: Mapping[str, Any]
    card: Card
    cases: tuple[CaseRow, ...]
    timeline: tuple[Moment, ...]
    callback_id: int | None
    agreed: tuple[tuple[int, str], ...]  # what everybody says about open incidents, in the customer's language


def exchange(session: Session, conversation_id: int, viewer: SignedIn, now: datetime) -> Exchange | None:
    row = session.execute(
        select(Conversation, Staff.name)
        .outerjoin(Staff, Staff.id == Conversation.staff_id)
        .where(Conversation.id == conversation_id)
    ).one_or_none()
    if row is None:
        return None
    c, agent = row
    people = contacts.same_person(session, c.contact_id)
    slots = (c.flow or {}).get("state", {}).get("slots", {})
    return Exchange(
        c.id,
        c.state,
        c.channel,
        c.language,
        c.reason,
        c.queued_at,
        c.unanswered_since,
        c.opened_at,
        c.closed_at,
        c.staff_id,
        agent,
        tuple(c.joined),
        c.wrap_up,
        c.wrap_up_note,
        c.rating,
        c.rating_comment,
        {name: value for name, value in slots.items() if value not in (None, "") and not name.startswith("_")},
        card(session, people[0], viewer, now, own=c.staff_id == viewer.staff_id),
        case_rows(session, viewer, Case.contact_id.in_(people), limit=10),
        timeline(session, people),
        c.callback_id,
        tuple((each.id, wording_of(each, c.language)) for each in known(session)),
    )


def visible(session: Session, conversation_id: int, viewer: SignedIn) -> bool:
    """Whether `viewer` may open this conversation: what waits, what they hold or held, and all for who supervises."""
    found = session.execute(_WHOSE, {"conversation_id": conversation_id}).one_or_none()
    if found is None or not may_meet(viewer, media=found.media, holder=found.staff_id, joined=found.joined):
        return False
    if viewer.may(Function.SUPERVISE_FLOOR) or found.state is ConversationState.QUEUED:
        return True
    if found.staff_id == viewer.staff_id:
        return True
    seen = select(Conversation.id).where(Conversation.id == conversation_id, *visible_to(viewer))
    return session.scalar(seen) is not None or own_contact(session, found.contact_id, viewer.staff_id)


_WHOSE = select(
    Conversation.contact_id,
    Conversation.state,
    Conversation.staff_id,
    Conversation.joined,
    spokesperson.theirs().label("media"),
).where(Conversation.id == bindparam("conversation_id"))
_said, _other, _case = aliased(Message), aliased(Conversation), aliased(Case)


def visible_to(viewer: SignedIn) -> tuple[ColumnElement[bool], ...]:
    """The same as a condition of Conversation, but for what was said under a contact that became another."""
    if viewer.may(Function.SUPERVISE_FLOOR):
        return but_the_media_s(viewer)
    me = viewer.staff_id
    works = (_case.contact_id == Conversation.contact_id, _case.staff_id == me, _case.state.in_(OPEN_STATES))
    return (
        *but_the_media_s(viewer),
        or_(
            Conversation.state == ConversationState.QUEUED,
            Conversation.staff_id == me,
            joined_by(me),
            exists().where(_said.conversation_id == Conversation.id, _said.staff_id == me),
            exists().where(_other.contact_id == Conversation.contact_id, _other.staff_id == me),
            exists().where(*works),
        ),
    )


def but_the_media_s(viewer: SignedIn) -> tuple[ColumnElement[bool], ...]:
    """What the media ask is seen by the spokesperson, and by whom they have asked to see to it (REQ-E15)."""
    if viewer.may(Function.PERMIT_MEDIA):
        return ()
    me = viewer.staff_id
    return (or_(~spokesperson.theirs(), func.coalesce(Conversation.staff_id, 0) == me, joined_by(me)),)


def may_meet(viewer: SignedIn, *, media: bool, holder: int | None, joined: Collection[int]) -> bool:
    """`but_the_media_s` of a conversation that is known already."""
    return not media or viewer.may(Function.PERMIT_MEDIA) or viewer.staff_id == holder or viewer.staff_id in joined


def joined_by(staff_id: int) -> ColumnElement[bool]:
    """Whether somebody sits in: `joined` is a short JSON list, compared as text, the same on both databases."""
    told = literal(",").concat(func.replace(func.replace(cast(Conversation.joined, Text), " ", ""), "[", ","))
    return func.replace(told, "]", ",").contains(f",{staff_id},", autoescape=True)


def names_of_staff(session: Session, staff_ids: Collection[int] | None = None) -> dict[int, str]:
    """By id; None: everybody's."""
    query = select(Staff.id, Staff.name)
    if staff_ids is not None:
        query = query.where(Staff.id.in_(staff_ids))
    return {} if staff_ids == set() else {row.id: row.name for row in session.execute(query)}
