"""The floor: who waits, who is spoken with, what is open, what climbs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from bot.console.queries.cases import CaseRow, case_rows
from bot.console.queries.conversations import may_meet
from bot.core.occupancy import TOP_SURGE, Seen
from bot.core.words import (
    Author,
    CaseState,
    ChannelName,
    ConversationState,
    EscalationState,
    Language,
    Urgency,
)
from bot.services.casework.cases import OPEN_STATES
from bot.services.desk import occupancy, spokesperson
from bot.services.desk.handoff import KEY_ACCOUNT
from bot.services.escalation import alerts
from bot.services.permissions import Function, Grant
from bot.services.staffing.staff import SignedIn
from store.tables import (
    Case,
    Contact,
    Conversation,
    Escalation,
    FloorWatch,
    Message,
    Proposal,
    ProposalState,
    Staff,
    Surge,
)

QUEUE_LIMIT = 100
HELD_LIMIT = 2_000  # conversations with agents: each must find their own among them
JUST_TAKEN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A conversation on the floor. `since` is when the customer began to wait for a person's next word, if they do."""

    id: int
    state: ConversationState
    contact_id: int
    who: str
    channel: ChannelName
    language: Language
    reason: str | None
    urgent: bool
    since: datetime | None
    last_words: str
    agent: str | None
    agent_id: int | None
    unread: int  # lines of the customer nobody has answered
    anger: int
    key_account: bool
    media: bool  # the spokesperson's (REQ-E15)
    joined: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Alert:
    """A ladder that still climbs, or has reached its end unheard."""

    id: int
    state: EscalationState
    reason: str
    rung: int
    urgent: bool
    started_at: datetime
    conversation_id: int | None
    case_id: int | None
    case_number: str | None
    incident_id: int | None
    taken_by: str | None


@dataclass(frozen=True, slots=True)
class Notice:
    """What somebody of the staff was told and has not put away yet."""

    id: int
    text: str
    link: str
    urgent: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Lines:
    """How full the floor is, and what is proposed or on because of it (REQ-F09, F28). `surge` is the level, 0 none;
    `steps` are the open proposals with whether the viewer may decide them."""

    seen: Seen
    busy_since: datetime | None
    steps: tuple[tuple[Proposal, bool], ...]
    surge: int
    surge_since: datetime | None
    calm_since: datetime | None
    called: tuple[tuple[int, tuple[str, ...]], ...]
    may_start: tuple[int, ...]
    may_end: bool


@dataclass(frozen=True, slots=True)
class Floor:
    """What one member of staff sees: who waits, what they hold, and for those who supervise, what the others hold."""

    queue: tuple[Waiting, ...]
    mine: tuple[Waiting, ...]
    others: tuple[Waiting, ...]
    cases: tuple[CaseRow, ...]
    alerts: tuple[Alert, ...]
    notices: tuple[Notice, ...]
    lines: Lines | None


@dataclass(frozen=True, slots=True)
class Talks:
    """The conversations on the floor, the same for whoever looks: who waits, and who is spoken with."""

    waiting: tuple[Waiting, ...]
    held: tuple[Waiting, ...]

    def queue(self, viewer: SignedIn) -> tuple[Waiting, ...]:
        """Who waits, as far as the viewer may meet them."""
        return tuple(row for row in self.waiting if _may_meet(viewer, row))

    def mine(self, viewer: SignedIn) -> tuple[Waiting, ...]:
        return tuple(row for row in self.held if row.agent_id == viewer.staff_id)

    def others(self, viewer: SignedIn) -> tuple[Waiting, ...]:
        """What the colleagues hold, for those who supervise."""
        if not viewer.may(Function.SUPERVISE_FLOOR):
            return ()
        held = (row for row in self.held if row.agent_id != viewer.staff_id and _may_meet(viewer, row))
        return tuple(held)[:QUEUE_LIMIT]


def _may_meet(viewer: SignedIn, row: Waiting) -> bool:
    return may_meet(viewer, media=row.media, holder=row.agent_id, joined=row.joined)


def talks(session: Session) -> Talks:
    return Talks(
        tuple(_conversations(session, Conversation.state == ConversationState.QUEUED, limit=QUEUE_LIMIT)),
        tuple(_conversations(session, Conversation.state == ConversationState.AGENT, limit=HELD_LIMIT)),
    )


def floor(session: Session, viewer: SignedIn, now: datetime, seen: Talks | None = None) -> Floor:
    """`seen` are the conversations, where they are known already."""
    seen = seen or talks(session)
    open_cases = case_rows(
        session,
        viewer,
        Case.state.in_(OPEN_STATES),
        or_(Case.staff_id == viewer.staff_id, and_(Case.staff_id.is_(None), Case.state != CaseState.RESOLVED)),
        limit=30,
    )
    return Floor(
        seen.queue(viewer),
        seen.mine(viewer),
        seen.others(viewer),
        open_cases,
        _alerts(session, viewer, now),
        _notices(session, viewer),
        lines(session, viewer, now) if viewer.may(Function.SUPERVISE_FLOOR) else None,
    )


def _conversations(session: Session, where: ColumnElement[bool], *, limit: int) -> list[Waiting]:
    theirs = Message.conversation_id == Conversation.id, Message.author == Author.CUSTOMER
    last, understood = (
        select(column).where(*theirs).order_by(Message.seq.desc()).limit(1).correlate(Conversation).scalar_subquery()
        for column in (Message.text, Message.understood)
    )
    unread = (
        select(func.count())
        .where(*theirs, Message.at >= Conversation.unanswered_since)
        .correlate(Conversation)
        .scalar_subquery()
    )
    urgent = exists().where(
        Escalation.conversation_id == Conversation.id,
        Escalation.urgency == Urgency.URGENT,
        Escalation.state != EscalationState.CLOSED,
    )
    c = Conversation
    rows = session.execute(
        select(
            *(c.id, c.state, c.contact_id, c.channel, c.language, c.reason, c.queued_at, c.unanswered_since),
            *(c.staff_id, c.joined, Contact.name, Contact.title, Contact.segments, Staff.name.label("agent")),
            last.label("words"),
            urgent.label("urgent"),
            understood.label("known"),
            unread.label("new"),
            spokesperson.theirs().label("media"),
        )
        .join(Contact, Contact.id == Conversation.contact_id)
        .outerjoin(Staff, Staff.id == Conversation.staff_id)
        .where(where)
        .order_by(Conversation.priority, Conversation.queued_at, Conversation.id)
        .limit(limit)
    )
    return [
        Waiting(
            row.id,
            row.state,
            row.contact_id,
            row.title or row.name,
            row.channel,
            row.language,
            row.reason,
            row.urgent,
            row.queued_at if row.state is ConversationState.QUEUED else row.unanswered_since,
            (row.words or "")[:160],
            row.agent,
            row.staff_id,
            row.new,
            int((row.known or {}).get("anger") or 0),
            KEY_ACCOUNT in (row.segments or ()),
            row.media,
            tuple(row.joined),
        )
        for row in rows
    ]


def _alerts(session: Session, viewer: SignedIn, now: datetime) -> tuple[Alert, ...]:
    """Ladders nobody has taken, and for a while who has just taken one; the media's are the spokesperson's."""
    rows = session.execute(
        select(Escalation, Case.number, Staff.name)
        .outerjoin(Case, Case.id == Escalation.case_id)
        .outerjoin(Staff, Staff.id == Escalation.acknowledged_by)
        .where(
            or_(
                Escalation.state == EscalationState.EXHAUSTED,
                and_(
                    Escalation.state == EscalationState.ACKNOWLEDGED,
                    Escalation.acknowledged_at > now - JUST_TAKEN,
                ),
                and_(
                    Escalation.state == EscalationState.RUNNING,
                    or_(Escalation.notified > 1, Escalation.conversation_id.is_(None)),
                ),
            )
        )
        .order_by(Escalation.started_at)
        .limit(QUEUE_LIMIT)
    )
    return tuple(
        Alert(
            e.id,
            e.state,
            e.reason,
            e.notified,
            e.urgency is Urgency.URGENT,
            e.started_at,
            e.conversation_id,
            e.case_id,
            number,
            e.incident_id,
            taker if e.state is EscalationState.ACKNOWLEDGED else None,
        )
        for e, number, taker in rows
        if viewer.may(Function.PERMIT_MEDIA) or e.policy.get("ladder") != spokesperson.LADDER
    )


def _notices(session: Session, viewer: SignedIn) -> tuple[Notice, ...]:
    """What the viewer was told beside ladders, which stand there themselves."""
    return tuple(
        Notice(
            row.id,
            row.body["text"],
            row.body["metadata"].get("link", "/console"),
            bool(row.body["metadata"].get("urgent")),
            row.created_at,
        )
        for row in alerts.unread(session, viewer.staff_id)
        if row.escalation_id is None
    )


def lines(session: Session, viewer: SignedIn, now: datetime) -> Lines:
    """The occupancy as it stands now, for those who supervise."""
    watch = session.scalar(select(FloorWatch).limit(1))
    on = occupancy.current_surge(session)
    level = on.level if on else 0
    open_steps = session.scalars(
        select(Proposal).where(Proposal.state == ProposalState.OPEN).order_by(Proposal.id)
    ).all()
    levels = session.scalars(select(Surge.level).where(Surge.ended_at.is_(None)).order_by(Surge.level)).all()
    general = viewer.may(Function.START_GENERAL_PLAN, Grant.YES)
    major = viewer.may(Function.START_MAJOR_PLAN, Grant.YES)
    following = level + 1
    allowed = following <= TOP_SURGE and (general if following == 1 else major)
    return Lines(
        seen=occupancy.seen(session),
        busy_since=watch.busy_since if watch else None,
        steps=tuple((each, viewer.may(occupancy.DECIDES[each.step], Grant.YES)) for each in open_steps),
        surge=level,
        surge_since=on.started_at if on else None,
        calm_since=on.calm_since if on else None,
        called=tuple((each, tuple(p.name for p in occupancy.people_of(session, each, now))) for each in levels),
        may_start=(following,) if allowed else (),
        may_end=bool(on) and general,
    )
