"""A broadcast as people steer it: launched once, stopped, resumed, cancelled (DESIGN §3, ONE BROADCAST). What happens
before the launch is announcements.py's; how it flies is flights.py's; what those it reaches answer answers.py's.

The rows of a stopped broadcast wait until it expires, so that resuming it needs nothing but their time.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Update, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from bot.core.words import Author, BroadcastState, CaseState, DeliveryState, Outcome
from bot.services import audit
from bot.services.centre import Centre
from bot.services.refusal import RefusedError
from store.db import touch
from store.tables import Broadcast, BroadcastRecipient, Case, Contact, Delivery, Message

TOLD = (
    Outcome.SENDING,
    Outcome.ACCEPTED,
    Outcome.DELIVERED,
    Outcome.HEARD,
    Outcome.ACKNOWLEDGED,
    Outcome.UNKNOWN,
)
"""The outcomes of people who have, or may have, got an announcement."""
IN_FLIGHT = (BroadcastState.RUNNING, BroadcastState.STOPPED)


class BroadcastRefusedError(RefusedError):
    """What was asked of an announcement is not possible now."""


# ── by people ──


def launch(session: Session, centre: Centre, broadcast_id: int, *, staff_id: int, now: datetime) -> bool:
    """Lets an approved broadcast go; False where it went already: pressed twice, it happens once.

    What it follows is superseded: nobody is told of an outage after its all-clear.
    """
    broadcast = lock(session, broadcast_id)
    if broadcast.state in (*IN_FLIGHT, BroadcastState.FINISHED):
        return False
    if broadcast.state is not BroadcastState.APPROVED:
        raise BroadcastRefusedError("not_approved")
    policies = centre.library.policies(session, broadcast.policies)
    broadcast.state, broadcast.expires_at = BroadcastState.RUNNING, now + policies.broadcast.expires_after
    for earlier in _chain(session, broadcast):
        if earlier.state in IN_FLIGHT:
            _end_early(session, earlier, staff_id, now, why=f"superseded by {broadcast.id}")
    if broadcast.amends:
        _mark_told(session, broadcast)
    changed(session, broadcast, "broadcast.launch", staff_id, now)
    touch(session, "launched")
    return True


def _mark_told(session: Session, broadcast: Broadcast) -> None:
    """Whom the corrected one had reached, or may have: they are told that it was wrong."""
    earlier = aliased(BroadcastRecipient)
    reached = (
        select(earlier.contact_id)
        .join(Contact, Contact.id == earlier.contact_id)
        .where(earlier.broadcast_id == broadcast.follows_id, earlier.outcome.in_(TOLD))
    )
    became = select(Contact.merged_into_id).where(Contact.id.in_(reached), Contact.merged_into_id.is_not(None))
    session.execute(
        update(BroadcastRecipient)
        .where(
            BroadcastRecipient.broadcast_id == broadcast.id,
            or_(BroadcastRecipient.contact_id.in_(reached), BroadcastRecipient.contact_id.in_(became)),
        )
        .values(told=True)
        .execution_options(synchronize_session=False)
    )


def stop(session: Session, broadcast_id: int, *, staff_id: int, now: datetime) -> None:
    """Holds everything that has not left yet; what is on its way cannot be called back."""
    broadcast = lock(session, broadcast_id)
    if broadcast.state is not BroadcastState.RUNNING:
        raise BroadcastRefusedError("not_running")
    broadcast.state = BroadcastState.STOPPED
    session.execute(_queued(broadcast).values(not_before=broadcast.expires_at))
    changed(session, broadcast, "broadcast.stop", staff_id, now)


def resume(session: Session, broadcast_id: int, *, staff_id: int | None, now: datetime) -> None:
    """Goes on where it was stopped; everybody open is looked at again."""
    broadcast = lock(session, broadcast_id)
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
    changed(session, broadcast, "broadcast.resume", staff_id, now)
    touch(session, "outbox", "launched")


def cancel(session: Session, broadcast_id: int, *, staff_id: int, why: str, now: datetime) -> None:
    """Ends it for good: what has not left never will."""
    broadcast = lock(session, broadcast_id)
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
    changed(session, broadcast, "broadcast.cancel", staff_id, now, note=why)


# ── figures ──


def counts(session: Session, broadcast_id: int) -> dict[Outcome, int]:
    """Recipients by outcome, every outcome named; they sum to the audience at every moment."""
    rows = session.execute(
        select(BroadcastRecipient.outcome, func.count())
        .where(BroadcastRecipient.broadcast_id == broadcast_id)
        .group_by(BroadcastRecipient.outcome)
    ).all()
    return dict.fromkeys(Outcome, 0) | {row[0]: row[1] for row in rows}


@dataclass(frozen=True, slots=True)
class Replies:
    """What people wrote back about one matter: how many cases, how many of them are open, the latest of them."""

    matter: str
    cases: int
    open: int
    latest: str
    case_id: int


def replies(session: Session, broadcast_ids: Collection[int]) -> list[Replies]:
    """The cases that came of these announcements, grouped by what was meant (an intent, else the kind of case), the
    most open first. For the announcement's page and for a board of incidents."""
    rows = session.scalars(select(Case).where(Case.broadcast_id.in_(broadcast_ids)).order_by(Case.id.desc())).all()
    meant = _meant(session, rows)
    found: dict[str, list[Case]] = {}
    for case in rows:
        matter = "unreached" if case.facts.get("unreached") else meant.get(case.id) or case.kind.value
        found.setdefault(matter, []).append(case)
    grouped = [
        Replies(
            matter,
            len(each),
            sum(case.state not in (CaseState.RESOLVED, CaseState.CLOSED) for case in each),
            each[0].subject,
            each[0].id,
        )
        for matter, each in found.items()
    ]
    return sorted(grouped, key=lambda each: (-each.open, -each.cases, each.matter))


def _meant(session: Session, rows: Sequence[Case]) -> dict[int, str]:
    """What the customer's last words before each case were understood as."""
    talks = {case.conversation_id for case in rows if case.conversation_id is not None}
    said = session.execute(
        select(Message.conversation_id, Message.at, Message.understood)
        .where(Message.conversation_id.in_(talks), Message.author == Author.CUSTOMER)
        .order_by(Message.id)
    ).all()
    meant: dict[int, str] = {}
    for case in rows:
        words = [
            row.understood for row in said if row.conversation_id == case.conversation_id and row.at <= case.opened_at
        ]
        if words and words[-1] and words[-1].get("intent"):
            meant[case.id] = str(words[-1]["intent"])
    return meant


# ── shared ──


def lock(session: Session, broadcast_id: int) -> Broadcast:
    """The broadcast, locked; raises BroadcastRefusedError where there is none."""
    broadcast = session.get(Broadcast, broadcast_id, with_for_update=True, populate_existing=True)
    if broadcast is None:
        raise BroadcastRefusedError("not_found")
    return broadcast


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


def changed(
    session: Session, broadcast: Broadcast, action: str, staff_id: int | None, now: datetime, note: str = ""
) -> None:
    """Counts and audits what became of a broadcast, and wakes whoever looks at it."""
    broadcast.revision += 1
    audit.record(session, action, "broadcast", broadcast.id, now=now, staff_id=staff_id, note=note)
    touch(session, f"broadcast:{broadcast.id}", "broadcasts")
