"""Giving conversations to people by itself, and taking back what nobody answers (INT-03, REQ-B05, E13).

A conversation nobody has taken for `agents.assign_after` goes to whoever is able (bot/core/assignment.py decides);
until then anybody may take it. Whoever holds one and leaves the customer without an answer is warned, then it goes to
somebody else; whoever is not online keeps nothing that waits. Calls are left to who picks them up.

That a console is open is machine time (`Staff.seen_at`): nothing moves it, and a browser that died goes offline by it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session

from bot.core.assignment import Seat, Silence, Wish, able, assign, silence
from bot.core.policy import Agents
from bot.core.words import Author, ChannelName, ConversationState, Language, Presence, Role, Say
from bot.services import audit, i18n
from bot.services.centre import Centre
from bot.services.conversation.conversations import add_lines, hold, save
from bot.services.desk import escalations, spokesperson
from bot.services.desk.handoff import KEY_ACCOUNT
from bot.services.escalation import ladders
from bot.services.i18n import N_
from bot.services.staffing import staff as staff_service
from store.db import touch
from store.tables import Contact, Conversation, Staff, StaffRole

PAGE = 100
HEARD = timedelta(seconds=10)  # how often it is written down at most
HERE = timedelta(seconds=60)  # of machine time since an open console was heard of last
GONE = timedelta(seconds=120)  # after which its owner is offline
WARNED = N_("客户在等回复，请尽快回一句；再不回复会转给别的同事。")
MOVED = N_("%(name)s没有及时回复，会话转给别的同事。")
LEFT = N_("%(name)s不在线，会话转给别的同事。")


def tick(session: Session, centre: Centre, now: datetime) -> int:
    """One round: who has gone, what is left without an answer, what waits for nobody in particular."""
    machine = centre.clock.machine()
    changed = _sweep(session, now, machine)
    seats = _seats(session, machine)
    if silent := _silent(session, centre, seats, now):
        seats = _seats(session, machine)
    return changed + silent + _give(session, centre, seats, now)


def seen(session: Session, staff_id: int, *, now: datetime, machine: datetime) -> None:
    """Somebody's console is open; one that had gone offline by itself is back."""
    known = session.execute(select(Staff.seen_at, Staff.presence).where(Staff.id == staff_id)).one()
    if known.seen_at is None or machine - known.seen_at > HEARD:
        session.execute(update(Staff).where(Staff.id == staff_id).values(seen_at=machine))
    if known.presence is Presence.OFFLINE:
        staff_service.set_presence(session, staff_id, Presence.ONLINE, now=now)


def _sweep(session: Session, now: datetime, machine: datetime) -> int:
    gone = session.scalars(
        select(Staff).where(Staff.presence != Presence.OFFLINE, Staff.seen_at < machine - GONE)
    ).all()
    for person in gone:
        person.seen_at = None
        staff_service.set_presence(session, person.id, Presence.OFFLINE, now=now)
    return len(gone)


def _seats(session: Session, machine: datetime) -> list[Seat]:
    """The agents: leaders and supervisors take what they choose, nothing is given to them."""
    holding = (
        select(Conversation.staff_id, func.count().label("held"))
        .where(Conversation.state == ConversationState.AGENT)
        .group_by(Conversation.staff_id)
        .subquery()
    )
    rows = session.execute(
        select(
            Staff.id,
            Staff.presence,
            Staff.seen_at,
            func.coalesce(holding.c.held, 0).label("held"),
            Staff.capacity,
            Staff.queues,
            Staff.languages,
            Staff.given_at,
        )
        .join(StaffRole, StaffRole.staff_id == Staff.id)
        .outerjoin(holding, holding.c.staff_id == Staff.id)
        .where(Staff.active, StaffRole.role == Role.AGENT)
    )
    return [
        Seat(
            row.id,
            row.presence,
            row.seen_at is not None and row.seen_at > machine - HERE,
            row.held,
            row.capacity,
            frozenset(row.queues),
            frozenset(Language(each) for each in row.languages),
            row.given_at,
        )
        for row in rows
    ]


def _wish(conversation: Conversation, segments: Iterable[str], knows: int | None = None) -> Wish:
    return Wish(
        conversation.id,
        conversation.queue or "service",
        conversation.language,
        conversation.priority,
        KEY_ACCOUNT in segments,
        conversation.queued_at or conversation.opened_at,
        knows,
        frozenset(conversation.passed),
    )


# ── giving ──


def _give(session: Session, centre: Centre, seats: list[Seat], now: datetime) -> int:
    after = centre.library.current.policies.agents.assign_after
    if after is None or not any(seat.room for seat in seats):
        return 0
    rows = session.execute(
        select(Conversation, Contact.segments)
        .join(Contact, Contact.id == Conversation.contact_id)
        .where(
            Conversation.state == ConversationState.QUEUED,
            Conversation.queued_at <= now - after,
            Conversation.channel != ChannelName.VOICE,
            ~spokesperson.theirs(),
        )
        .order_by(Conversation.priority, Conversation.queued_at)
        .limit(PAGE)
    ).all()
    wishes = [_wish(c, segments or (), _knows(session, c)) for c, segments in rows]
    given = 0
    for conversation_id, staff_id in assign(wishes, seats, now):
        if escalations.claim(session, conversation_id, staff_id, now, given=True):
            session.get_one(Staff, staff_id).given_at = now
            given += 1
    return given


def _knows(session: Session, waiting: Conversation) -> int | None:
    """Who spoke with this customer last."""
    if waiting.last_staff_id is not None:
        return waiting.last_staff_id
    earlier = (
        select(Conversation.last_staff_id)
        .where(Conversation.contact_id == waiting.contact_id, Conversation.last_staff_id.is_not(None))
        .order_by(Conversation.id.desc())
        .limit(1)
    )
    return session.scalar(earlier)


# ── taking back ──


def _silent(session: Session, centre: Centre, seats: list[Seat], now: datetime) -> int:
    agents = centre.library.current.policies.agents
    rows = session.execute(
        select(Conversation, Contact.segments, Staff)
        .join(Contact, Contact.id == Conversation.contact_id)
        .join(Staff, Staff.id == Conversation.staff_id)
        .where(
            Conversation.state == ConversationState.AGENT,
            Conversation.unanswered_since.is_not(None),
            Conversation.channel != ChannelName.VOICE,
            ~spokesperson.theirs(),
            _in_question(agents, now),
        )
        .order_by(Conversation.unanswered_since)
        .limit(PAGE)
    ).all()
    changed = 0
    for waiting, segments, holder in rows:
        since = max(waiting.unanswered_since or now, waiting.claimed_at or now)
        wish = _wish(waiting, segments or ())
        others = [seat for seat in seats if seat.staff_id != holder.id and able(wish, seat)]
        match silence(
            now - since,
            holder=holder.presence,
            warned=waiting.warned_at is not None and waiting.warned_at >= since,
            warn_after=agents.warn_after,
            move_after=agents.move_after,
            others=bool(others),
        ):
            case Silence.WARN:
                waiting.warned_at = now
                session.flush()
                _note(session, waiting.id, i18n.text(holder.language, WARNED), now)
            case Silence.MOVE:
                _move(session, centre, waiting, holder, now)
            case Silence.BEAR:
                continue
        changed += 1
    return changed


def _in_question(agents: Agents, now: datetime) -> ColumnElement[bool]:
    """Of what waits for its holder, that which `silence` may warn of or move: the rest is not read each second."""
    since = Conversation.unanswered_since
    due = [Staff.presence != Presence.ONLINE]
    if agents.warn_after is not None:
        warned = Conversation.warned_at
        unwarned = or_(warned.is_(None), warned < since, warned < Conversation.claimed_at)
        due.append(and_(unwarned, since <= now - agents.warn_after))
    if agents.move_after is not None:
        due.append(since <= now - agents.move_after)
    return or_(*due)


def _move(session: Session, centre: Centre, waiting: Conversation, holder: Staff, now: datetime) -> None:
    """Back into the queue at its old place, not to this person again."""
    why = MOVED if holder.presence is Presence.ONLINE else LEFT
    waiting.passed = sorted({*waiting.passed, holder.id})
    session.flush()
    held = hold(session, waiting.id)
    held.state, held.staff_id = ConversationState.QUEUED, None
    words = i18n.text(centre.settings.language, why, name=holder.name)
    add_lines(session, held, Author.SYSTEM, [Say(words)], now, private=True)
    save(session, held)
    ladders.hand_on(session, ladders.of_conversation(held.id), holder.id, now, why="silent")
    audit.record(session, "conversation.move_on", "conversation", held.id, now=now, holder=holder.id)
    touch(session, "floor")


def _note(session: Session, conversation_id: int, words: str, now: datetime) -> None:
    held = hold(session, conversation_id)
    add_lines(session, held, Author.SYSTEM, [Say(words)], now, private=True)
    save(session, held)
