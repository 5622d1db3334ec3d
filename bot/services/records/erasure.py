"""The erasure of one person, step by step (REQ-G12, G14).

What names the person or quotes them goes: identity, numbers, words, files. What the centre must be able to account for
stays without them: numbers of cases and calls, times, states, figures. Each step is a short transaction that notes how
far it came, so that an erasure goes on where it was left; a step done twice finds nothing more to do. Merged contacts
are the same person. An address they did not want to be contacted at stays as its keyed index alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.orm import Session

from bot.core.media import MediaState
from bot.core.retention import HoldSubject
from bot.core.words import (
    CallbackState,
    DeliveryState,
    Disposition,
    Purpose,
)
from bot.services import contacts
from bot.services.records.data_subjects import Person, person, revised, sent_to, withdrew
from bot.services.sandbox import sandbox_rows
from store import search
from store.db import vault_of
from store.holds import unlocked
from store.tables import (
    Abuse,
    Acknowledgement,
    Address,
    Answer,
    Archivable,
    ArchiveChange,
    ArchiveFile,
    Attachment,
    BroadcastRecipient,
    Callback,
    Case,
    CaseNote,
    CaseTask,
    Contact,
    Conversation,
    Correction,
    CorrectionState,
    Coupon,
    Delivery,
    DoNotContact,
    Event,
    FoundItem,
    HandOver,
    LegalHold,
    ManualRecord,
    Merge,
    Message,
    Misunderstood,
    NextStep,
    PlannedMessage,
    PlannedState,
    RepairOrder,
    Revision,
    SandboxCall,
    SandboxText,
    Unmasking,
    Visit,
    VoidMark,
)

GONE = "［已删除 erased］"  # stands where words of or about the person stood, in either language
AT_ONCE = 500  # messages blackened in one transaction
PENDING = (CallbackState.SCHEDULED,)


def _calls(session: Session, who: Person, now: datetime) -> int:
    """Nobody is called or written to any more, and what they answered goes."""
    mine = Callback.id.in_(who.callbacks)
    session.execute(
        update(Callback)
        .where(mine, Callback.state.in_(PENDING))
        .values(state=CallbackState.CANCELLED, disposition=Disposition.OPTED_OUT, due_at=None, closed_at=now)
    )
    session.execute(
        update(PlannedMessage)
        .where(PlannedMessage.contact_id.in_(who.people), PlannedMessage.state == PlannedState.SCHEDULED)
        .values(state=PlannedState.CANCELLED, why="erased", closed_at=now)
    )
    session.execute(update(Callback).where(mine).values(topic="", notes="", remarks="", flow={}, waits=None))
    session.execute(update(Answer).where(Answer.callback_id.in_(who.callbacks)).values(answer=GONE))
    session.execute(update(NextStep).where(NextStep.callback_id.in_(who.callbacks)).values(what=GONE, result=GONE))
    return len(who.callbacks)


def _deliveries(session: Session, who: Person, now: datetime) -> int:
    """What was sent to them, and what colleagues were told about them."""
    session.execute(
        update(Delivery)
        .where(sent_to(who), Delivery.state == DeliveryState.QUEUED)
        .values(state=DeliveryState.CANCELLED, changed_at=now)
    )
    gone = {"text": "", "language": "zh", "erased": True}
    done: Any = session.execute(update(Delivery).where(sent_to(who)).values(body=gone, error=None, provider_id=None))
    session.execute(update(Delivery).where(_told(who)).values(body=gone | {"text": GONE}))
    return int(done.rowcount)


def _told(who: Person) -> ColumnElement[bool]:
    """Alerts to staff that lead to something of theirs."""
    rooms = {"conversations": who.conversations, "cases": who.cases, "callbacks": who.callbacks, "contacts": who.people}
    links = [f"/console/{room}/{each}" for room, ids in rooms.items() for each in ids]
    return and_(Delivery.purpose == Purpose.STAFF_ALERT, Delivery.body["metadata"]["link"].as_string().in_(links))


def _messages(session: Session, who: Person, _: datetime) -> int:
    """A batch of messages; the step goes on while there are more. The search index forgets them first."""
    rows = session.scalars(
        select(Message.id)
        .where(Message.conversation_id.in_(who.conversations), Message.text != GONE)
        .order_by(Message.id)
        .limit(AT_ONCE)
    ).all()
    search.forget(session.connection(), rows)
    session.execute(
        update(Message)
        .where(Message.id.in_(rows))
        .values(text=GONE, buttons=None, understood=None, details=None, words=None)
    )
    return len(rows)


def _talks(session: Session, who: Person, _: datetime) -> int:
    mine = Conversation.id.in_(who.conversations)
    session.execute(
        update(Conversation)
        .where(mine)
        .values(flow={}, wrap_up_note="", rating_comment="", revision=Conversation.revision + 1)
    )
    session.execute(delete(Misunderstood).where(Misunderstood.conversation_id.in_(who.conversations)))
    session.execute(update(Abuse).where(Abuse.conversation_id.in_(who.conversations)).values(note=GONE))
    return 0


def _files(session: Session, who: Person, _: datetime) -> int:
    """The rows of what was removed from the disk before (`files`)."""
    ids = select(Message.id).where(Message.conversation_id.in_(who.conversations))
    done: Any = session.execute(
        update(Attachment)
        .where(Attachment.message_id.in_(ids))
        .values(state=MediaState.FAILED, file=None, name="", source="", tries=0)
    )
    return int(done.rowcount)


def _cases(session: Session, who: Person, _: datetime) -> int:
    mine = who.cases
    session.execute(
        update(Case)
        .where(Case.id.in_(mine))
        .values(subject=GONE, facts={}, feedback="", urgent_why="", revision=Case.revision + 1)
    )
    session.execute(update(CaseNote).where(CaseNote.case_id.in_(mine)).values(text=GONE))
    session.execute(update(CaseTask).where(CaseTask.case_id.in_(mine)).values(what=GONE, result=GONE))
    session.execute(
        update(RepairOrder).where(RepairOrder.case_id.in_(mine)).values(consent_how="", tracking_in="", tracking_out="")
    )
    item = {"what": GONE, "where": GONE, "camera": GONE, "kept_at": GONE, "owner_name": "", "identity": ""}
    session.execute(update(FoundItem).where(FoundItem.case_id.in_(mine)).values(item | {"signature": ""}))
    session.execute(update(Visit).where(Visit.contact_id.in_(who.people)).values(where_sealed=None))
    for row in session.scalars(select(HandOver).order_by(HandOver.id)):
        if any(each.get("case_id") in mine for each in row.items):
            row.items = [_blackened(each) if each.get("case_id") in mine else each for each in row.items]
            row.note = GONE
    return len(mine)


def _blackened(item: dict[str, Any]) -> dict[str, Any]:
    return item | {"summary": GONE, "promise": GONE}


def _records(session: Session, who: Person, _: datetime) -> int:
    """Events, calls taken by hand, acknowledgements, coupons, and the sandbox's telephones."""
    events = session.scalars(select(Event).where(Event.contact_id.in_(who.people))).all()
    for event in events:
        event.external_id, event.details = f"erased:{event.id}", {}
    session.execute(update(ManualRecord).where(ManualRecord.contact_id.in_(who.people)).values(matter=GONE, promise=""))
    recipients = select(BroadcastRecipient.id).where(BroadcastRecipient.contact_id.in_(who.people))
    session.execute(update(Acknowledgement).where(Acknowledgement.recipient_id.in_(recipients)).values(text=""))
    session.execute(update(Coupon).where(Coupon.contact_id.in_(who.people)).values(code=""))
    phones = _phones(session, who)
    session.execute(
        update(SandboxText).where(SandboxText.phone_blind.in_(phones)).values(text=GONE, file=None, phone_blind="")
    )
    session.execute(update(SandboxCall).where(SandboxCall.phone_blind.in_(phones)).values(script={}))
    return len(events)


def _phones(session: Session, who: Person) -> list[str]:
    vault = vault_of(session)
    rows = session.scalars(
        select(Address).where(Address.id.in_(who.addresses), Address.channel.in_(contacts.PHONE_CHANNELS))
    )
    return [sandbox_rows.phone(vault, vault.open(row.sealed)) for row in rows]


def _revisions(session: Session, who: Person, _: datetime) -> int:
    _corrections(session, who)
    _archive(session, who)
    done: Any = session.execute(update(Revision).where(revised(session, who)).values(old=None, new=None, why=GONE))
    return int(done.rowcount)


def _archive(session: Session, who: Person) -> None:
    """What was written about them on archived files, void marks and holds that were lifted."""
    cases = (ArchiveFile.subject == Archivable.CASE) & ArchiveFile.subject_id.in_(who.cases)
    calls = (ArchiveFile.subject == Archivable.CALLBACK) & ArchiveFile.subject_id.in_(who.callbacks)
    files = session.scalars(select(ArchiveFile.id).where(or_(cases, calls))).all()
    session.execute(update(ArchiveFile).where(ArchiveFile.id.in_(files)).values(note=""))
    about = ArchiveChange.file_id.in_(files)
    session.execute(update(ArchiveChange).where(about).values(new=GONE, why=GONE, note=""))
    void = or_(
        (VoidMark.subject == Archivable.CASE) & VoidMark.subject_id.in_(who.cases),
        (VoidMark.subject == Archivable.CALLBACK) & VoidMark.subject_id.in_(who.callbacks),
    )
    session.execute(update(VoidMark).where(void).values(why=GONE))
    mine = {
        HoldSubject.CONTACT: who.people,
        HoldSubject.CASE: who.cases,
        HoldSubject.CONVERSATION: who.conversations,
    }
    once = or_(*((LegalHold.subject == kind) & LegalHold.subject_id.in_(ids) for kind, ids in mine.items()))
    session.execute(update(LegalHold).where(once).values(reason=GONE))
    lifted = LegalHold.lifted_at.is_not(None)
    session.execute(update(LegalHold).where(once, lifted).values(lifted_why=GONE))


def _corrections(session: Session, who: Person) -> None:
    """What was proposed about them; nothing waits to be written back."""
    notes = session.scalars(select(CaseNote.id).where(CaseNote.case_id.in_(who.cases)))
    answers = session.scalars(select(Answer.id).where(Answer.callback_id.in_(who.callbacks)))
    gone, subjects = (
        vault_of(session).seal(GONE),
        {"contact": who.people, "case": who.cases, "case_note": notes.all(), "answer": answers.all()},
    )
    about = or_(*((Correction.subject == name) & Correction.subject_id.in_(ids) for name, ids in subjects.items()))
    session.execute(delete(Correction).where(about, Correction.state == CorrectionState.PROPOSED))
    session.execute(update(Correction).where(about).values(old=gone, new=gone, why=GONE))


def _identity(session: Session, who: Person, now: datetime) -> int:
    """Last of all: who they are, and where they were reached."""
    scopes = withdrew(session, who.people[0])
    for row in session.scalars(select(Address).where(Address.id.in_(who.addresses)).with_for_update()):
        if row.blind.startswith("erased:"):
            continue
        if scopes:
            _do_not_contact(session, row, scopes, now)
        row.sealed, row.blind, row.hint = vault_of(session).seal(""), f"erased:{row.id}", ""
        row.reachable, row.rank = False, 9
    session.execute(
        update(Contact)
        .where(Contact.id.in_(who.people))
        .values(
            name="",
            title="",
            segments=[],
            tags=[],
            building=None,
            unit_sealed=None,
            vulnerable=False,
            birth_year=None,
            birthday=None,
            interests="",
            not_before=None,
            not_after=None,
            erased_at=now,
            revision=Contact.revision + 1,
        )
    )
    session.execute(
        update(Merge).where(or_(Merge.kept_id.in_(who.people), Merge.other_id.in_(who.people))).values(hint="")
    )
    session.execute(update(Unmasking).where(Unmasking.contact_id.in_(who.people)).values(note=""))
    return len(who.addresses)


def _do_not_contact(session: Session, row: Address, scopes: list[str], now: datetime) -> None:
    there = select(DoNotContact).where(DoNotContact.channel == row.channel, DoNotContact.blind == row.blind)
    known = session.scalar(there)
    if known is None:
        session.add(DoNotContact(channel=row.channel, blind=row.blind, scopes=scopes, at=now))
        session.flush()
    else:
        known.scopes = sorted({*known.scopes, *scopes})


Step = Callable[[Session, Person, datetime], int]
STEPS: tuple[tuple[str, Step], ...] = (
    ("callbacks", _calls),
    ("deliveries", _deliveries),
    ("messages", _messages),
    ("talks", _talks),
    ("files", _files),
    ("cases", _cases),
    ("records", _records),
    ("revisions", _revisions),
    ("addresses", _identity),
)
"""In this order; identity is last, since what hangs on it is found by it."""
IN_BATCHES = frozenset({"messages"})


def take(session: Session, contact_id: int, step: int, now: datetime) -> tuple[str, int, bool]:
    """Takes one step: its name, how much it did, and whether it is through."""
    name, work = STEPS[step]
    with unlocked(session, "erasure"):
        done = work(session, person(session, contact_id), now)
    return name, done, name not in IN_BATCHES or done < AT_ONCE


def digest_of(number: str, done: dict[str, int], at: datetime, people: Sequence[int | None]) -> str:
    """The certificate's SHA-256 over what it says."""
    told = {"number": number, "done": done, "at": at.isoformat(), "approved_by": list(people)}
    return hashlib.sha256(json.dumps(told, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
