"""A broadcast in flight: launched once, fanned out in pages, climbed by the silent, acknowledged, stopped, finished
(DESIGN §3, ONE BROADCAST). What happens before the launch is announcements.py's; one person's way is recipients.py's.

The outbox asks `wanted` before a row goes out and tells `delivery_changed` what becomes of it; the heartbeat calls
`tick`. The rows of a stopped broadcast wait until it expires, so that resuming it needs nothing but their time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, Update, exists, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, aliased

from bot.core.broadcast import outcome_of
from bot.core.words import Author, BroadcastState, ChannelName, DeliveryState, Outcome, Role
from bot.services import alerts, audit
from bot.services.announcement_lines import LINE, put_line, words_for
from bot.services.centre import Centre
from bot.services.i18n import N_
from bot.services.outbox import OWN_PAGES
from bot.services.recipients import Person, advance, people, tried_of
from store.db import touch
from store.tables import (
    Acknowledgement,
    Broadcast,
    BroadcastRecipient,
    Contact,
    Delivery,
    Message,
    Staff,
    StaffRole,
)

PAGE = 500  # recipients fanned out in one transaction
CLIMB = 100
LEFT_US = frozenset({DeliveryState.ACCEPTED, DeliveryState.DELIVERED, DeliveryState.READ, DeliveryState.UNKNOWN})
IN_FLIGHT = (BroadcastState.RUNNING, BroadcastState.STOPPED)
COMMAND = (Role.LEADER, Role.SUPERVISOR)  # who calls the people nobody reached
UNREACHED = N_("通知“%(title)s”有 %(count)s 人没有联系到，请安排人工联系")


class BroadcastRefusedError(Exception):
    """What was asked of an announcement is not possible now; `code` names why, for the reader's language."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


# ── by people ──


def launch(session: Session, centre: Centre, broadcast_id: int, *, staff_id: int, now: datetime) -> bool:
    """Lets an approved broadcast go; False where it went already: pressed twice, it happens once.

    What it follows is superseded: nobody is told of an outage after its all-clear.
    """
    broadcast = _lock(session, broadcast_id)
    if broadcast.state in (*IN_FLIGHT, BroadcastState.FINISHED):
        return False
    if broadcast.state is not BroadcastState.APPROVED:
        raise BroadcastRefusedError("not_approved")
    policies = centre.library.policies(session, broadcast.policies)
    broadcast.state, broadcast.expires_at = BroadcastState.RUNNING, now + policies.broadcast.expires_after
    for earlier in _chain(session, broadcast):
        if earlier.state in IN_FLIGHT:
            _end_early(session, earlier, staff_id, now, why=f"superseded by {broadcast.id}")
    _changed(session, broadcast, "broadcast.launch", staff_id, now)
    touch(session, "outbox")
    return True


def stop(session: Session, broadcast_id: int, *, staff_id: int, now: datetime) -> None:
    """Holds everything that has not left yet; what is on its way cannot be called back."""
    broadcast = _lock(session, broadcast_id)
    if broadcast.state is not BroadcastState.RUNNING:
        raise BroadcastRefusedError("not_running")
    broadcast.state = BroadcastState.STOPPED
    session.execute(_queued(broadcast).values(not_before=broadcast.expires_at))
    _changed(session, broadcast, "broadcast.stop", staff_id, now)


def resume(session: Session, broadcast_id: int, *, staff_id: int | None, now: datetime) -> None:
    """Goes on where it was stopped; everybody open is looked at again."""
    broadcast = _lock(session, broadcast_id)
    if broadcast.state is not BroadcastState.STOPPED:
        raise BroadcastRefusedError("not_stopped")
    broadcast.state = BroadcastState.RUNNING
    session.execute(_queued(broadcast).values(not_before=now))
    session.execute(
        update(BroadcastRecipient)
        .where(
            BroadcastRecipient.broadcast_id == broadcast.id,
            BroadcastRecipient.id <= broadcast.cursor,
            BroadcastRecipient.outcome.not_in((Outcome.ACKNOWLEDGED, Outcome.HEARD, Outcome.UNREACHABLE)),
        )
        .values(due_at=now)
    )
    _changed(session, broadcast, "broadcast.resume", staff_id, now)
    touch(session, "outbox")


def cancel(session: Session, broadcast_id: int, *, staff_id: int, why: str, now: datetime) -> None:
    """Ends it for good: what has not left never will."""
    broadcast = _lock(session, broadcast_id)
    if broadcast.state in (BroadcastState.FINISHED, BroadcastState.CANCELLED):
        raise BroadcastRefusedError("already_over")
    _end_early(session, broadcast, staff_id, now, why=why)


def _end_early(session: Session, broadcast: Broadcast, staff_id: int, now: datetime, *, why: str) -> None:
    broadcast.state, broadcast.finished_at = BroadcastState.CANCELLED, now
    session.execute(_queued(broadcast).values(state=DeliveryState.CANCELLED, changed_at=now))
    mine = BroadcastRecipient.broadcast_id == broadcast.id
    session.execute(update(BroadcastRecipient).where(mine, BroadcastRecipient.due_at.is_not(None)).values(due_at=None))
    session.execute(
        update(BroadcastRecipient)
        .where(mine, BroadcastRecipient.outcome == Outcome.PENDING)
        .values(outcome=Outcome.CANCELLED, changed_at=now)
    )
    _changed(session, broadcast, "broadcast.cancel", staff_id, now, note=why)


# ── by the outbox ──


def wanted(session: Session, delivery: Delivery) -> bool:
    """Whether a row may still go out: its broadcast is not over, and the person has not acknowledged it."""
    row = session.execute(
        select(BroadcastRecipient.outcome, Broadcast.state)
        .join(Broadcast, Broadcast.id == BroadcastRecipient.broadcast_id)
        .where(BroadcastRecipient.id == delivery.recipient_id)
    ).one_or_none()
    return row is not None and row.state in IN_FLIGHT and row.outcome is not Outcome.ACKNOWLEDGED


def delivery_changed(session: Session, centre: Centre, delivery: Delivery, now: datetime) -> None:
    """A delivery moved: the recipient's outcome follows, and a failed one is followed by the next channel at once."""
    recipient, broadcast = _recipient(session, delivery.recipient_id or 0)
    if broadcast.state is BroadcastState.STOPPED and delivery.state is DeliveryState.QUEUED and broadcast.expires_at:
        delivery.not_before = broadcast.expires_at
    if delivery.state in LEFT_US and delivery.message_id is None:
        person = people(session, broadcast, [recipient.contact_id])[recipient.contact_id]
        _keep_line(session, centre, broadcast, person, delivery, now)
    advance(session, centre, broadcast, [recipient], now)


def _keep_line(
    session: Session, centre: Centre, broadcast: Broadcast, person: Person, delivery: Delivery, now: datetime
) -> None:
    """What went out stands in the conversation at that address, which now waits for the answer. A call has its own
    conversation, once it is answered."""
    if delivery.channel is ChannelName.VOICE:
        return
    delivery.conversation_id, delivery.message_id = put_line(
        session,
        centre,
        broadcast,
        contact_id=person.contact_id,
        address_id=delivery.address_id,
        channel=delivery.channel,
        language=person.language,
        say=words_for(centre, broadcast, person.language, delivery.channel),
        now=now,
    )


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
        recipient, broadcast = _recipient(session, delivery.recipient_id or 0)
        states = [each.state for each in tried_of(session, [recipient.id])[recipient.id]]
        recipient.outcome = outcome_of(states, acknowledged=recipient.outcome is Outcome.ACKNOWLEDGED, reachable=True)
        recipient.changed_at = now
        touch(session, f"broadcast:{broadcast.id}")


# ── by the person ──


def acknowledge(
    session: Session,
    contact_id: int,
    channel: ChannelName,
    text: str,
    now: datetime,
    *,
    broadcast_id: int | None = None,
) -> bool:
    """The person knows: everything of this announcement still queued for them, on any channel, is cancelled.

    `broadcast_id` None means the latest one sent to them. False where nothing was sent to them; twice is as once.
    """
    merged = select(Contact.id).where(or_(Contact.id == contact_id, Contact.merged_into_id == contact_id))
    query = (
        select(BroadcastRecipient)
        .where(BroadcastRecipient.contact_id.in_(merged), BroadcastRecipient.step > 0)
        .order_by(BroadcastRecipient.broadcast_id.desc())
        .limit(1)
        .with_for_update()
    )
    if broadcast_id is not None:
        query = query.where(BroadcastRecipient.broadcast_id == broadcast_id)
    recipient = session.scalar(query)
    if recipient is None:
        return False
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    session.execute(
        insert(Acknowledgement)
        .values(recipient_id=recipient.id, channel=channel, text=text[:500], at=now)
        .on_conflict_do_nothing(index_elements=["recipient_id"])
    )
    if recipient.outcome is not Outcome.ACKNOWLEDGED:
        recipient.outcome, recipient.changed_at = Outcome.ACKNOWLEDGED, now
    recipient.due_at = None
    session.execute(
        update(Delivery)
        .where(Delivery.recipient_id == recipient.id, Delivery.state == DeliveryState.QUEUED)
        .values(state=DeliveryState.CANCELLED, changed_at=now)
    )
    touch(session, f"broadcast:{recipient.broadcast_id}", "broadcasts")
    return True


# ── by the heartbeat ──


def tick(session: Session, centre: Centre, now: datetime) -> int:
    """A page of what is due: fan out, climb, finish; gives how much there was."""
    return (
        _expire(session, now)
        + _fan_out_next(session, centre, now)
        + climb(session, centre, now)
        + _finish(session, now)
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


def _fan_out_next(session: Session, centre: Centre, now: datetime) -> int:
    broadcast_id = session.scalar(
        select(Broadcast.id)
        .where(Broadcast.state == BroadcastState.RUNNING, Broadcast.fanned_out.is_(False))
        .order_by(Broadcast.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return fan_out(session, centre, broadcast_id, now) if broadcast_id is not None else 0


def fan_out(session: Session, centre: Centre, broadcast_id: int, now: datetime, page: int = PAGE) -> int:
    """Makes the next page's first deliveries and moves the cursor in the same transaction: a crash loses and doubles
    nothing. Gives how many recipients it took."""
    broadcast = _lock(session, broadcast_id)
    if broadcast.state is not BroadcastState.RUNNING or broadcast.fanned_out:
        return 0
    recipients = session.scalars(
        select(BroadcastRecipient)
        .where(BroadcastRecipient.broadcast_id == broadcast_id, BroadcastRecipient.id > broadcast.cursor)
        .order_by(BroadcastRecipient.id)
        .limit(page)
        .with_for_update()
    ).all()
    advance(session, centre, broadcast, recipients, now)
    if recipients:
        broadcast.cursor = recipients[-1].id
    broadcast.fanned_out = len(recipients) < page
    touch(session, f"broadcast:{broadcast_id}")
    return len(recipients)


def climb(session: Session, centre: Centre, now: datetime, limit: int = CLIMB) -> int:
    """Takes the silent whose time has come to their next channel, or to the end of the ladder."""
    due = session.scalars(
        select(BroadcastRecipient)
        .join(Broadcast, Broadcast.id == BroadcastRecipient.broadcast_id)
        .where(BroadcastRecipient.due_at <= now, Broadcast.state == BroadcastState.RUNNING)
        .order_by(BroadcastRecipient.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True, of=BroadcastRecipient)
    ).all()
    _note_answers(session, [recipient.id for recipient in due], now)
    for broadcast_id in sorted({recipient.broadcast_id for recipient in due}):
        broadcast = session.get_one(Broadcast, broadcast_id)
        advance(session, centre, broadcast, [r for r in due if r.broadcast_id == broadcast_id], now)
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


def _finish(session: Session, now: datetime) -> int:
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
        _changed(session, broadcast, "broadcast.finish", None, now)
        _hand_to_people(session, broadcast, now)
    return len(done)


def _hand_to_people(session: Session, broadcast: Broadcast, now: datetime) -> None:
    """The last rung of the ladder is staff: whom nobody reached is called by a person (REQ-F40)."""
    left = counts(session, broadcast.id)
    missing = sum(left[outcome] for outcome in (Outcome.UNREACHABLE, Outcome.FAILED, Outcome.EXPIRED, Outcome.UNKNOWN))
    if not missing or broadcast.drill:
        return
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


# ── figures ──


def counts(session: Session, broadcast_id: int) -> dict[Outcome, int]:
    """Recipients by outcome, every outcome named; they sum to the audience at every moment."""
    rows = session.execute(
        select(BroadcastRecipient.outcome, func.count())
        .where(BroadcastRecipient.broadcast_id == broadcast_id)
        .group_by(BroadcastRecipient.outcome)
    ).all()
    return dict.fromkeys(Outcome, 0) | {row[0]: row[1] for row in rows}


# ── shared ──


def _lock(session: Session, broadcast_id: int) -> Broadcast:
    broadcast = session.get(Broadcast, broadcast_id, with_for_update=True, populate_existing=True)
    if broadcast is None:
        raise BroadcastRefusedError("not_found")
    return broadcast


def _recipient(session: Session, recipient_id: int) -> tuple[BroadcastRecipient, Broadcast]:
    recipient = session.get_one(BroadcastRecipient, recipient_id, with_for_update=True, populate_existing=True)
    return recipient, session.get_one(Broadcast, recipient.broadcast_id)


def _chain(session: Session, broadcast: Broadcast) -> Sequence[Broadcast]:
    """What this one follows, and the others that follow the same."""
    if broadcast.follows_id is None:
        return ()
    return session.scalars(
        select(Broadcast)
        .where(
            or_(Broadcast.id == broadcast.follows_id, Broadcast.follows_id == broadcast.follows_id),
            Broadcast.id != broadcast.id,
        )
        .order_by(Broadcast.id)
        .with_for_update()
    ).all()


def _queued(broadcast: Broadcast) -> Update:
    """The broadcast's rows that have not left yet, to be updated in one statement."""
    mine = select(BroadcastRecipient.id).where(BroadcastRecipient.broadcast_id == broadcast.id)
    return (
        update(Delivery)
        .where(Delivery.recipient_id.in_(mine), Delivery.state == DeliveryState.QUEUED)
        .execution_options(synchronize_session=False)
    )


def _changed(
    session: Session, broadcast: Broadcast, action: str, staff_id: int | None, now: datetime, note: str = ""
) -> None:
    broadcast.revision += 1
    audit.record(session, action, "broadcast", broadcast.id, now=now, staff_id=staff_id, note=note)
    touch(session, f"broadcast:{broadcast.id}", "broadcasts")
