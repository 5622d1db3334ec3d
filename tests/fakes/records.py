"""A small world of records that are over, one of each kind, hanging together or not, and who lets them go."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.media import MediaKind, MediaState
from bot.core.words import (
    Author,
    BroadcastKind,
    BroadcastState,
    CallbackState,
    CaseKind,
    CaseState,
    ChannelName,
    ConversationState,
    DeliveryState,
    Disposition,
    FollowUpGroup,
    IncidentState,
    Language,
    Outcome,
    Purpose,
    Role,
)
from bot.services import audit, contacts
from bot.services.casework import cases
from bot.services.centre import Centre
from bot.services.records import disposals
from store.tables import (
    Acknowledgement,
    Answer,
    Attachment,
    Broadcast,
    BroadcastRecipient,
    CallAttempt,
    Callback,
    CaseLink,
    Conversation,
    CustomerReport,
    Delivery,
    Disposal,
    Incident,
    IncidentEntry,
    LinkKind,
    ManualRecord,
    Message,
    NextStep,
    Staff,
    StaffRole,
)

NOW = datetime(2026, 7, 1, 2, 0, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Shanghai")


def keep_long_for_ten_years(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped policies leave it open how long "long" is."""
    shelf = centre.library.current
    retention = replace(shelf.policies.retention, long=timedelta(days=3650))
    monkeypatch.setattr(centre.library, "_shelf", replace(shelf, policies=replace(shelf.policies, retention=retention)))


def approve(session: Session, now: datetime, *people: int) -> int:
    """The newest list, approved by these people; its id."""
    disposal_id = session.scalars(select(Disposal.id).order_by(Disposal.id.desc()).limit(1)).one()
    for each in people:
        seen = disposals.list_digest(session, disposal_id)
        disposals.approve(session, disposal_id, seen=seen, staff_id=each, note="", now=now)
    return disposal_id


def called(session: Session, key: str, contact_id: int, at: datetime, **more: Any) -> Callback:
    """A follow-up call that was made and is over; `more` are columns of it."""
    plan = more.get("plan", "after_complaint")
    callback = Callback(
        **{
            "dedupe_key": key,
            "contact_id": contact_id,
            "follow_up_group": FollowUpGroup(plan),
            "plan": plan,
            "purpose": Purpose.FOLLOW_UP,
            "policies": "",
            "flow_id": "x",
            "state": CallbackState.DONE,
            "disposition": Disposition.COMPLETED,
            "created_at": at,
            "closed_at": at,
            **more,
        }
    )
    session.add(callback)
    session.flush()
    return callback


def person(session: Session, username: str, *roles: Role) -> int:
    """A member of staff."""
    staff = Staff(username=username, name=username, language=Language.ZH, created_at=NOW)
    staff.roles.extend(StaffRole(role=role) for role in roles)
    session.add(staff)
    session.flush()
    return staff.id


class Talk:
    """A closed conversation of somebody, with a line of theirs, a voice message and a rating."""

    def __init__(self, session: Session, who: str, at: datetime, *, file: str | None = None, said: str = "喂") -> None:
        met = contacts.meet(session, ChannelName.REST, who, language=Language.ZH, zone="Asia/Shanghai", now=at)
        talk = Conversation(
            contact_id=met.contact_id,
            address_id=met.address_id,
            channel=ChannelName.REST,
            language=Language.ZH,
            state=ConversationState.CLOSED,
            flow={"slots": {"phone": "13800001234"}},
            rating=2,
            rating_comment="太慢了",
            wrap_up_note="客户很急",
            opened_at=at,
            closed_at=at,
        )
        session.add(talk)
        session.flush()
        line = Message(
            conversation_id=talk.id, seq=1, channel=ChannelName.REST, author=Author.CUSTOMER, text=said, at=at
        )
        session.add(line)
        session.flush()
        session.add(_delivery(f"say:{line.id}", met.address_id, at, message_id=line.id))
        voice = Attachment(
            message_id=line.id,
            channel=ChannelName.REST,
            kind=MediaKind.VOICE,
            state=MediaState.KEPT if file else MediaState.FAILED,
            file=file,
            mime="audio/mpeg",
            source="x",
            due_at=at,
        )
        session.add(voice)
        session.flush()
        self.contact, self.address, self.id, self.recording = met.contact_id, met.address_id, talk.id, voice.id


class Complaint:
    """A closed complaint from a talk, its repair visit aside, with the call made afterwards."""

    def __init__(self, session: Session, talk: Talk, at: datetime, staff_id: int) -> None:
        case = cases.open_case(
            session,
            kind=CaseKind.COMPLAINT,
            contact_id=talk.contact,
            subject="漏水",
            zone=ZONE,
            now=at,
            conversation_id=talk.id,
        )
        case.state, case.feedback, case.feedback_at, case.closed_at = CaseState.CLOSED, "修好了", at, at
        audit.revise(session, "case", case.id, "subject", "水", "漏水", now=at)
        callback = called(session, f"case:{case.id}", talk.contact, at, case_id=case.id, remarks="满意")
        session.add_all(
            [
                Answer(callback_id=callback.id, question="solved", answer="是", at=at),
                CallAttempt(callback_id=callback.id, number=1, address_id=talk.address, started_at=at),
                NextStep(
                    callback_id=callback.id,
                    owner_id=staff_id,
                    what="送件",
                    due_on=at.date(),
                    state="done",
                    created_by=staff_id,
                    created_at=at,
                ),
                _delivery(f"call:{callback.id}", talk.address, at, callback_id=callback.id),
            ]
        )
        session.flush()
        self.id, self.number, self.callback = case.id, case.number, callback.id


class Outage:
    """An incident that is over, with its announcement to somebody who acknowledged it, and a call taken by hand."""

    def __init__(self, session: Session, talk: Talk, at: datetime, staff_id: int, *, drill: bool = False) -> None:
        incident = Incident(
            code="INC-01", title="停水", state=IncidentState.CLOSED, drill=drill, started_at=at, ended_at=at
        )
        session.add(incident)
        session.flush()
        broadcast = Broadcast(
            incident_id=incident.id,
            kind=BroadcastKind.NOTICE,
            state=BroadcastState.FINISHED,
            audience={},
            channels=["sms"],
            text_zh="停水",
            text_en="No water",
            author_id=staff_id,
            approver_id=staff_id,
            override_reason="test",
            created_at=at,
        )
        entry = IncidentEntry(incident_id=incident.id, kind="note", text="报修", at=at)
        session.add_all([broadcast, entry])
        session.flush()
        by_hand = ManualRecord(
            key=f"by hand {incident.id}",
            incident_id=incident.id,
            contact_id=talk.contact,
            taken_at=at,
            agent="林",
            matter="没水",
            staff_id=staff_id,
            at=at,
        )
        report = CustomerReport(intent="no_water", contact_id=talk.contact, incident_id=incident.id, at=at)
        session.add_all([by_hand, report])
        session.flush()
        _told(session, broadcast.id, talk.contact, talk.address, at)
        self.id, self.broadcast, self.by_hand, self.entry = incident.id, broadcast.id, by_hand.id, entry.id


def tell(session: Session, broadcast_id: int, who: str, at: datetime, channel: ChannelName = ChannelName.REST) -> None:
    """Somebody else got the announcement, and acknowledged it."""
    met = contacts.meet(session, channel, who, language=Language.ZH, zone="Asia/Shanghai", now=at)
    _told(session, broadcast_id, met.contact_id, met.address_id, at)


def _told(session: Session, broadcast_id: int, contact_id: int, address_id: int, at: datetime) -> None:
    recipient = BroadcastRecipient(
        broadcast_id=broadcast_id, contact_id=contact_id, outcome=Outcome.ACKNOWLEDGED, changed_at=at
    )
    session.add(recipient)
    session.flush()
    session.add_all(
        [
            Acknowledgement(recipient_id=recipient.id, channel=ChannelName.SMS, text="1", at=at),
            _delivery(f"tell:{recipient.id}", address_id, at, recipient_id=recipient.id),
        ]
    )
    session.flush()


def link(session: Session, case_id: int, incident_id: int, at: datetime) -> None:
    session.add(CaseLink(case_id=case_id, kind=LinkKind.INCIDENT, other_id=incident_id, at=at))
    session.flush()


def _delivery(key: str, address_id: int, at: datetime, **of: int) -> Delivery:
    return Delivery(
        dedupe_key=key,
        lane=f"{address_id}:chat",
        slot=0,
        purpose=Purpose.REPLY,
        channel=ChannelName.REST,
        address_id=address_id,
        body={"text": "您好"},
        not_before=at,
        state=DeliveryState.ACCEPTED,
        created_at=at,
        changed_at=at,
        **of,
    )
