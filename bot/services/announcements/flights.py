"""A broadcast in flight, as the outbox and the heartbeat meet it: fanned out in pages, its people's outcomes following
their deliveries, climbed by the silent, finished (DESIGN §3, ONE BROADCAST).

The outbox asks `wanted` before rows go out, tells that they are being `sending`, and lets those that `moved` be
followed; the heartbeat calls `tick`. What people do to a broadcast is broadcasts.py's; one person's way is
recipients.py's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, exists, select, update
from sqlalchemy.orm import Session, aliased

from bot.core.broadcast import BEST_FIRST_OUTCOMES, outcome_of
from bot.core.words import Author, BroadcastState, CaseKind, ChannelName, DeliveryState, Outcome, Role, Urgency
from bot.services.announcements.announcement_lines import LINE, Line, put_lines
from bot.services.announcements.broadcasts import IN_FLIGHT, changed, counts, lock, resume
from bot.services.announcements.recipients import RECIPIENTS, Flight, Recipient, advance, locked, tried_of
from bot.services.casework import cases
from bot.services.centre import Centre
from bot.services.contacts import survivor
from bot.services.delivery.outbox import OWN_PAGES
from bot.services.escalation import alerts
from bot.services.i18n import N_, text
from store.db import count_grown, touch
from store.many import among
from store.tables import Broadcast, BroadcastRecipient, Contact, Conversation, Delivery, Message, Staff, StaffRole

PAGE = 1000  # recipients fanned out in one transaction
SQLITE_PAGE = 100  # there whoever writes meanwhile waits for a page
CLIMB = 100
GROWING = (BroadcastRecipient, Delivery, Conversation, Message)  # by as many rows as a broadcast has people
TOPIC = "launched"  # wakes the fan-out
LESS_THAN_SENDING = BEST_FIRST_OUTCOMES[BEST_FIRST_OUTCOMES.index(Outcome.SENDING) + 1 :]
LEFT_US = frozenset({DeliveryState.ACCEPTED, DeliveryState.DELIVERED, DeliveryState.READ, DeliveryState.UNKNOWN})
COMMAND = (Role.LEADER, Role.SUPERVISOR)  # who calls the people nobody reached
UNREACHED_BY = (Outcome.UNREACHABLE, Outcome.FAILED, Outcome.EXPIRED, Outcome.UNKNOWN)
CALL_THEM = N_("需要照顾的客户没有收到通知，请打电话或上门告知：%(title)s")
UNREACHED = N_("通知“%(title)s”有 %(count)s 人没有联系到，请安排人工联系")


# ── by the outbox ──


def wanted(session: Session, deliveries: Sequence[Delivery]) -> set[int]:
    """Which of these rows may still go out: the broadcast is not over, and the person has not acknowledged it."""
    recipients = {delivery.recipient_id for delivery in deliveries if delivery.recipient_id is not None}
    if not recipients:
        return set()
    open_ones = set(
        session.scalars(
            select(BroadcastRecipient.id)
            .join(Broadcast, Broadcast.id == BroadcastRecipient.broadcast_id)
            .where(
                among(BroadcastRecipient.id, recipients),
                Broadcast.state.in_(IN_FLIGHT),
                BroadcastRecipient.outcome != Outcome.ACKNOWLEDGED,
            )
        )
    )
    return {delivery.id for delivery in deliveries if delivery.recipient_id in open_ones}


def stopped(session: Session, delivery_ids: Sequence[int]) -> set[int]:
    """Which of these rows belong to a broadcast that is held: what has not left yet stays."""
    query = (
        select(Delivery.id)
        .join(BroadcastRecipient, BroadcastRecipient.id == Delivery.recipient_id)
        .join(Broadcast, Broadcast.id == BroadcastRecipient.broadcast_id)
        .where(among(Delivery.id, delivery_ids), Broadcast.state == BroadcastState.STOPPED)
    )
    return set(session.scalars(query))


@dataclass(frozen=True, slots=True)
class Moved:
    """Deliveries of one broadcast that have left the state of being sent, or never came to it; their recipients are
    locked, by id."""

    flight: Flight
    deliveries: Sequence[Delivery]
    recipients: Mapping[int, Recipient]


def moved(session: Session, centre: Centre, deliveries: Sequence[Delivery]) -> list[Moved]:
    """Broadcasts' deliveries that change, by their broadcast."""
    rest = [each for each in deliveries if each.state is not DeliveryState.SENDING]
    if not rest:
        return []
    theirs = among(BroadcastRecipient.id, {each.recipient_id or 0 for each in rest})
    recipients = {each.id: each for each in locked(session, RECIPIENTS.where(theirs).order_by(BroadcastRecipient.id))}
    found = []
    for broadcast_id in sorted({each.broadcast_id for each in recipients.values()}):
        broadcast = session.get_one(Broadcast, broadcast_id)
        whose = {key: each for key, each in recipients.items() if each.broadcast_id == broadcast_id}
        flight = Flight.of(session, centre, broadcast, {each.contact_id for each in whose.values()})
        found.append(Moved(flight, [each for each in rest if each.recipient_id in whose], whose))
    return found


def kept(session: Session, those: Moved, now: datetime) -> Iterator[tuple[Delivery, dict[str, Any]]]:
    """What is to be written of these deliveries beside their change: while the broadcast is stopped they wait, and what
    went out stands in the conversation at that address, which now waits for the answer. A call has its own
    conversation, once it is answered."""
    broadcast = those.flight.broadcast
    if broadcast.state is BroadcastState.STOPPED and broadcast.expires_at:
        for delivery in those.deliveries:
            if delivery.state is DeliveryState.QUEUED:
                yield delivery, {"not_before": broadcast.expires_at}
    by_address = {
        each.address_id: each
        for each in those.deliveries
        if each.state in LEFT_US and each.message_id is None and each.channel is not ChannelName.VOICE
    }
    lines = []
    for delivery in by_address.values():
        recipient = those.recipients[delivery.recipient_id or 0]
        person = those.flight.people[recipient.contact_id]
        lines.append(Line(person.contact_id, delivery.address_id, delivery.channel, person.language, recipient.told))
    lines_at = put_lines(session, those.flight.centre, broadcast, lines, those.flight.says, now)
    for address_id, (conversation_id, message_id) in lines_at.items():
        yield by_address[address_id], {"conversation_id": conversation_id, "message_id": message_id}


def follow(session: Session, those: Moved, now: datetime) -> None:
    """The deliveries are written: their recipients' outcomes follow, and a failed one is followed by the next channel
    at once."""
    advance(session, those.flight, list(those.recipients.values()), now)


def sending(session: Session, recipient_ids: Collection[int], now: datetime) -> None:
    """What is on its way is more than what is not, and than what failed: the next step waits for what becomes of it."""
    broadcasts = session.scalars(
        update(BroadcastRecipient)
        .where(among(BroadcastRecipient.id, recipient_ids), BroadcastRecipient.outcome.in_(LESS_THAN_SENDING))
        .values(outcome=Outcome.SENDING, changed_at=now)
        .returning(BroadcastRecipient.broadcast_id)
        .execution_options(synchronize_session=False)
    )
    touch(session, *{f"broadcast:{broadcast_id}" for broadcast_id in broadcasts})


def unshown(session: Session, conversation_id: int, seq: int) -> bool:
    """Whether `shown` would change anything."""
    return session.scalar(_unshown(conversation_id, seq).limit(1)) is not None


def _unshown(conversation_id: int, seq: int) -> Select[tuple[Delivery]]:
    return (
        select(Delivery)
        .join(Message, Message.id == Delivery.message_id)
        .where(
            Message.conversation_id == conversation_id,
            Message.key.startswith(LINE),
            Message.seq <= seq,
            Delivery.recipient_id.is_not(None),
            Delivery.channel.in_(OWN_PAGES),
            Delivery.state == DeliveryState.ACCEPTED,
        )
    )


def shown(session: Session, conversation_id: int, seq: int, now: datetime) -> None:
    """Our own page shows the conversation up to line `seq`: announcements up to there have been delivered."""
    for delivery in session.scalars(_unshown(conversation_id, seq).with_for_update(of=Delivery)).all():
        delivery.state, delivery.changed_at = DeliveryState.DELIVERED, now
        session.flush()
        recipient = session.get_one(
            BroadcastRecipient, delivery.recipient_id or 0, with_for_update=True, populate_existing=True
        )
        states = [each.state for each in tried_of(session, [recipient.id])[recipient.id]]
        recipient.outcome = outcome_of(states, acknowledged=recipient.outcome is Outcome.ACKNOWLEDGED, reachable=True)
        recipient.changed_at = now
        touch(session, f"broadcast:{recipient.broadcast_id}")


# ── by the heartbeat ──


def tick(session: Session, centre: Centre, now: datetime) -> int:
    """A page of what is due: fan out, climb, finish; gives how much there was."""
    return (
        _expire(session, now)
        + fan_out_next(session, centre, now)
        + climb(session, centre, now)
        + _finish(session, centre, now)
    )


def next_due(session: Session, now: datetime) -> datetime | None:
    """When the next silent recipient is looked at again."""
    return session.scalar(
        select(BroadcastRecipient.due_at)
        .join(Broadcast, Broadcast.id == BroadcastRecipient.broadcast_id)
        .where(BroadcastRecipient.due_at > now, Broadcast.state == BroadcastState.RUNNING)
        .order_by(BroadcastRecipient.due_at)
        .limit(1)
    )


def fan_out_next(session: Session, centre: Centre, now: datetime) -> int:
    """The next page of the first broadcast that nobody else is fanning out."""
    broadcast_id = session.scalar(
        select(Broadcast.id)
        .where(Broadcast.state == BroadcastState.RUNNING, Broadcast.fanned_out.is_(False))
        .order_by(Broadcast.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    page = SQLITE_PAGE if centre.db.is_sqlite else PAGE
    return fan_out(session, centre, broadcast_id, now, page) if broadcast_id is not None else 0


def fan_out(session: Session, centre: Centre, broadcast_id: int, now: datetime, page: int = PAGE) -> int:
    """Makes the next page's first deliveries and moves the cursor in the same transaction: a crash loses and doubles
    nothing. Gives how many recipients it took."""
    broadcast = lock(session, broadcast_id)
    if broadcast.state is not BroadcastState.RUNNING or broadcast.fanned_out:
        return 0
    ahead = RECIPIENTS.where(BroadcastRecipient.broadcast_id == broadcast_id, BroadcastRecipient.id > broadcast.cursor)
    recipients = locked(session, ahead.order_by(BroadcastRecipient.id).limit(page))
    flight = Flight.of(session, centre, broadcast, {each.contact_id for each in recipients})
    advance(session, flight, recipients, now)
    count_grown(session, *GROWING)
    if recipients:
        broadcast.cursor = recipients[-1].id
    broadcast.fanned_out = len(recipients) < page
    if not broadcast.fanned_out:
        touch(session, TOPIC)  # whoever found it locked has gone back to waiting
    touch(session, f"broadcast:{broadcast_id}")
    return len(recipients)


def climb(session: Session, centre: Centre, now: datetime, limit: int = CLIMB) -> int:
    """Takes the silent whose time has come to their next channel, or to the end of the ladder."""
    query = (
        RECIPIENTS.join(Broadcast, Broadcast.id == BroadcastRecipient.broadcast_id)
        .where(BroadcastRecipient.due_at <= now, Broadcast.state == BroadcastState.RUNNING)
        .order_by(BroadcastRecipient.due_at)
        .limit(limit)
    )
    due = locked(session, query, skip=True)
    if not due:
        return 0
    _note_answers(session, [recipient.id for recipient in due], now)
    for broadcast_id in sorted({recipient.broadcast_id for recipient in due}):
        broadcast = session.get_one(Broadcast, broadcast_id)
        mine = [each for each in due if each.broadcast_id == broadcast_id]
        advance(session, Flight.of(session, centre, broadcast, {each.contact_id for each in mine}), mine, now)
    return len(due)


def _note_answers(session: Session, recipient_ids: Sequence[int], now: datetime) -> None:
    """Who wrote anything after the announcement has read it, whatever they wrote about and whoever answered them."""
    line, answer = aliased(Message), aliased(Message)
    read = session.scalars(
        select(Delivery)
        .join(line, line.id == Delivery.message_id)
        .where(
            Delivery.recipient_id.in_(recipient_ids),
            Delivery.state.in_(LEFT_US - {DeliveryState.READ}),
            exists().where(
                answer.conversation_id == line.conversation_id,
                answer.seq > line.seq,
                answer.author == Author.CUSTOMER,
            ),
        )
    )
    for delivery in read:
        delivery.state, delivery.changed_at = DeliveryState.READ, now


def _expire(session: Session, now: datetime) -> int:
    """A stopped broadcast past its time ends: nothing more can go out, and everybody open is written off honestly."""
    late = session.scalars(
        select(Broadcast.id).where(Broadcast.state == BroadcastState.STOPPED, Broadcast.expires_at <= now).limit(1)
    ).all()
    for broadcast_id in late:
        resume(session, broadcast_id, staff_id=None, now=now)
    return len(late)


def _finish(session: Session, centre: Centre, now: datetime) -> int:
    mine = BroadcastRecipient.broadcast_id == Broadcast.id
    done = session.scalars(
        select(Broadcast)
        .where(
            Broadcast.state == BroadcastState.RUNNING,
            Broadcast.fanned_out,
            ~exists().where(mine, BroadcastRecipient.due_at.is_not(None)),
        )
        .with_for_update(skip_locked=True, of=Broadcast)
    ).all()
    for broadcast in done:
        broadcast.state, broadcast.finished_at = BroadcastState.FINISHED, now
        changed(session, broadcast, "broadcast.finish", None, now)
        _hand_to_people(session, centre, broadcast, now)
    return len(done)


def _cases_for_the_vulnerable(session: Session, centre: Centre, broadcast: Broadcast, now: datetime) -> None:
    """Somebody in special need whom nothing reached is a task of its own, at once."""
    unreached = session.scalars(
        select(Contact.id)
        .join(BroadcastRecipient, BroadcastRecipient.contact_id == Contact.id)
        .where(
            BroadcastRecipient.broadcast_id == broadcast.id,
            BroadcastRecipient.outcome.in_(UNREACHED_BY),
            Contact.vulnerable,
        )
        .order_by(BroadcastRecipient.id)
    ).all()
    for contact_id in unreached:
        cases.open_case(
            session,
            kind=CaseKind.BROADCAST_REPLY,
            contact_id=survivor(session, contact_id),
            subject=text(centre.settings.language, CALL_THEM, title=broadcast.text_zh[:40]),
            zone=centre.settings.zone,
            now=now,
            facts={"unreached": True},
            urgency=Urgency.URGENT,
            queue="emergency",
            broadcast_id=broadcast.id,
        )


def _hand_to_people(session: Session, centre: Centre, broadcast: Broadcast, now: datetime) -> None:
    """The last rung of the ladder is staff: whom nobody reached is called by a person (REQ-F40)."""
    left = counts(session, broadcast.id)
    missing = sum(left[outcome] for outcome in UNREACHED_BY)
    if not missing or broadcast.drill:
        return
    _cases_for_the_vulnerable(session, centre, broadcast, now)
    staff = session.scalars(
        select(Staff).join(StaffRole).where(Staff.active, StaffRole.role.in_(COMMAND)).distinct()
    ).all()
    alerts.tell(
        session,
        staff,
        UNREACHED,
        cause=f"broadcast:{broadcast.id}:unreached",
        link=f"/console/broadcasts/{broadcast.id}",
        now=now,
        title=broadcast.text_zh[:20],
        count=missing,
    )
