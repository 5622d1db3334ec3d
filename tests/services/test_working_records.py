"""The centre's own records of its work are kept and disposed of like every other (REQ-G01, G17)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.core.occupancy import Step
from bot.core.policy import RecordKind
from bot.core.retention import HoldSubject
from bot.core.roster import ShiftKind, SwapState
from bot.core.words import (
    CaseKind,
    CaseState,
    ChannelName,
    DeliveryState,
    EscalationState,
    Language,
    Purpose,
    Role,
)
from bot.services import audit, contacts
from bot.services.casework import cases
from bot.services.centre import Centre
from bot.services.escalation import alerts
from bot.services.records import disposals, due_records, holds
from store.tables import (
    Answer,
    Base,
    Case,
    CaseNote,
    Correction,
    CorrectionState,
    CustomerReport,
    Delivery,
    DisposalItem,
    Escalation,
    Event,
    Export,
    ExportKind,
    ExportState,
    HandOver,
    ImportJob,
    ImportPage,
    ImportRun,
    ImportState,
    PlannedMessage,
    PlannedState,
    Proposal,
    ProposalState,
    Revision,
    SeatLeave,
    Shift,
    Staff,
    Surge,
    Swap,
    Unmasking,
)
from tests.fakes import records
from tests.fakes.records import ZONE, Complaint, Talk, keep_long_for_ten_years, person

K = RecordKind
DAY = timedelta(days=1)
WORK = (
    *(K.REPORTED, K.EVENT, K.HAND_OVER, K.SHIFT, K.SEAT_LEAVE, K.SURGE, K.PROPOSAL, K.ALERT, K.IMPORT, K.LOOK),
    K.EXPORT,
)
TABLES = (
    *("customer_report", "event", "planned_message", "hand_over", "shift", "swap", "seat_leave", "surge", "proposal"),
    *("import_run", "import_job", "import_page", "unmasking", "export"),
)


@pytest.fixture(autouse=True)
def ten_years(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long is ten years here; the shipped policies leave it open."""
    keep_long_for_ten_years(centre, monkeypatch)


def work(session: Session, at: datetime) -> dict[RecordKind, int]:
    """One of each, from that day; the ids by kind."""
    staff = session.scalars(select(Staff).order_by(Staff.id).limit(1)).one()
    other = person(session, f"other {at:%Y}", Role.AGENT)
    met = contacts.meet(session, ChannelName.REST, f"lin {at:%Y}", language=Language.ZH, zone="Asia/Shanghai", now=at)
    run = ImportRun(filename="visits.csv", staff_id=staff.id, loaded=1, known=0, refused=[], at=at)
    shift = Shift(staff_id=staff.id, kind=ShiftKind.DUTY, starts_at=at, ends_at=at + DAY / 3)
    made = {
        K.REPORTED: CustomerReport(intent="no_water", contact_id=met.contact_id, at=at),
        K.EVENT: Event(
            source="his",
            external_id=f"V{at:%Y}",
            kind="visit",
            contact_id=met.contact_id,
            happened_at=at,
            recorded_at=at,
        ),
        K.HAND_OVER: HandOver(
            from_staff_id=staff.id, to_staff_id=other, note="", items=[{"case_id": 1, "promise": "明天回电"}], at=at
        ),
        K.SHIFT: shift,
        K.SEAT_LEAVE: SeatLeave(staff_id=staff.id, asked_at=at),
        K.SURGE: Surge(level=1, started_at=at, started_by=staff.id, ended_at=at),
        K.PROPOSAL: Proposal(step=Step.GENERAL, state=ProposalState.REFUSED, since=at, at=at, decided_at=at),
        K.IMPORT: run,
        K.LOOK: Unmasking(contact_id=met.contact_id, staff_id=staff.id, reason="call", at=at, until=at),
        K.EXPORT: Export(
            number=f"E{at:%Y}-1",
            kind=ExportKind.PERSON,
            state=ExportState.EXPIRED,
            scope={"contact": met.contact_id},
            language=Language.ZH,
            purpose="x",
            recipient="x",
            asked_by=staff.id,
            asked_at=at,
        ),
    }
    session.add_all(made.values())
    session.flush()
    job = ImportJob(
        filename="visits.csv",
        staff_id=staff.id,
        header=[],
        header_key="",
        columns=[],
        state=ImportState.DONE,
        lines=1,
        run_id=run.id,
        created_at=at,
        ended_at=at,
    )
    session.add(job)
    session.flush()
    event = made[K.EVENT].id
    session.add_all(
        [
            ImportPage(job_id=job.id, number=0, sealed=b""),
            Swap(shift_id=shift.id, asked_by=staff.id, asked_of=other, state=SwapState.REFUSED, at=at),
            PlannedMessage(
                dedupe_key=f"{event}",
                contact_id=met.contact_id,
                event_id=event,
                plan="care",
                purpose=Purpose.SERVICE_NOTICE,
                policies="",
                state=PlannedState.SAID,
                due_at=at,
                not_after=at,
                created_at=at,
                closed_at=at,
            ),
        ]
    )
    alerts.tell(session, [staff], "x", cause=f"{at:%Y}", link="/console", now=at)
    session.flush()
    told = session.scalars(select(Delivery.id).order_by(Delivery.id.desc()).limit(1)).one()
    return {kind: row.id for kind, row in made.items()} | {K.ALERT: told}


def listed(centre: Centre) -> dict[RecordKind, list[int]]:
    rows = centre.db.read_now(
        lambda s: s.execute(select(DisposalItem.kind, DisposalItem.record_id).order_by(DisposalItem.record_id)).all()
    )
    found: dict[RecordKind, list[int]] = {}
    for kind, record_id in rows:
        found.setdefault(kind, []).append(record_id)
    return found


def approve_all(centre: Centre) -> int:
    """The one list there is, by an archivist and a manager."""
    centre.db.read_now(lambda s: s.scalars(select(DisposalItem.disposal_id).distinct()).one())
    roles = (Role.ARCHIVIST, Role.MANAGER)
    people = centre.db.write_now(lambda s: [person(s, f"second {role}", role) for role in roles])
    return centre.db.write_now(lambda s: records.approve(s, centre.clock.now(), *people))


def rows(centre: Centre, *tables: str) -> dict[str, int]:
    return centre.db.read_now(
        lambda s: {each: s.scalar(select(func.count()).select_from(Base.metadata.tables[each])) or 0 for each in tables}
    )


def ago(centre: Centre, years: float) -> datetime:
    return centre.clock.now() - years * 365 * DAY


def test_every_kind_is_disposed_of_somehow() -> None:
    """A kind without a way to go would be kept for ever, whatever its class says; a review goes with its incident."""
    assert {*due_records.KINDS, K.REVIEW} == set(RecordKind)


async def test_each_goes_by_its_own_class_and_two_approvals(centre: Centre) -> None:
    at = ago(centre, 11)
    old = centre.db.write_now(lambda s: work(s, at))
    young = centre.db.write_now(lambda s: work(s, ago(centre, 2)))
    middle = centre.db.write_now(lambda s: work(s, ago(centre, 5)))
    await disposals.propose(centre)
    found = listed(centre)
    classes = centre.library.current.policies.retention.classes
    for kind in WORK:
        due = [old[kind], middle[kind]] if classes[kind] == "short" else [old[kind]]
        assert found[kind] == sorted(due), kind
        assert young[kind] not in due
    approve_all(centre)
    before = rows(centre, *TABLES)
    await disposals.carry_out(centre)
    gone = {each: before[each] - left for each, left in rows(centre, *TABLES).items()}
    assert gone == {
        **dict.fromkeys(TABLES, 1),
        **dict.fromkeys(("customer_report", "hand_over", "shift", "swap", "seat_leave", "proposal"), 2),
        **dict.fromkeys(("import_run", "import_job", "import_page"), 2),
    }
    assert centre.db.read_now(lambda s: s.get(Delivery, young[K.ALERT])) is not None


def unsaid(session: Session, made: dict[RecordKind, int], _: int) -> None:
    session.scalars(
        select(PlannedMessage).where(PlannedMessage.event_id == made[K.EVENT])
    ).one().state = PlannedState.SCHEDULED


def called(session: Session, made: dict[RecordKind, int], contact: int) -> None:
    """A call about it was made much later."""
    event = session.get_one(Event, made[K.EVENT])
    at = event.recorded_at + 5 * 365 * DAY
    records.called(session, "late", contact, at, event_id=event.id)


def held(session: Session, made: dict[RecordKind, int], contact: int) -> None:
    staff = session.scalars(select(Staff.id).limit(1)).one()
    at = session.get_one(Event, made[K.EVENT]).recorded_at
    holds.place(session, HoldSubject.CONTACT, contact, "法院来函", staff_id=staff, now=at)


@pytest.mark.parametrize(
    ("why", "stays"),
    [(unsaid, {K.EVENT}), (called, {K.EVENT}), (held, {K.EVENT, K.REPORTED, K.LOOK, K.EXPORT})],
)
async def test_what_goes_on_belongs_to_something_longer_or_is_held_stays(
    centre: Centre, why: Callable[[Session, dict[RecordKind, int], int], None], stays: set[RecordKind]
) -> None:
    at = ago(centre, 11)

    def make(session: Session) -> None:
        made = work(session, at)
        why(session, made, session.get_one(Event, made[K.EVENT]).contact_id)

    centre.db.write_now(make)
    await disposals.propose(centre)
    assert set(WORK) - set(listed(centre)) == stays


async def test_an_open_shift_a_surge_and_a_file_that_is_kept_go_on(centre: Centre) -> None:
    at = ago(centre, 11)

    def make(session: Session) -> None:
        made = work(session, at)
        session.get_one(Surge, made[K.SURGE]).ended_at = None
        proposal = session.get_one(Proposal, made[K.PROPOSAL])
        proposal.state, proposal.decided_at = ProposalState.OPEN, None
        session.get_one(Export, made[K.EXPORT]).state = ExportState.ASKED
        session.get_one(Delivery, made[K.ALERT]).state = DeliveryState.QUEUED
        session.get_one(Shift, made[K.SHIFT]).ends_at = centre.clock.now() + DAY

    centre.db.write_now(make)
    await disposals.propose(centre)
    assert set(WORK) - set(listed(centre)) == {K.SHIFT, K.SURGE, K.PROPOSAL, K.EXPORT, K.ALERT}


async def test_the_alert_of_an_escalation_is_kept_with_its_case(centre: Centre) -> None:
    at = ago(centre, 5)

    def make(session: Session) -> None:
        staff = session.scalars(select(Staff).order_by(Staff.id).limit(1)).one()
        met = contacts.meet(session, ChannelName.REST, "lin", language=Language.ZH, zone="Asia/Shanghai", now=at)
        for closed in (True, False):
            case = cases.open_case(
                session, kind=CaseKind.COMPLAINT, contact_id=met.contact_id, subject="水", zone=ZONE, now=at
            )
            escalation = Escalation(
                case_id=case.id, policy={}, reason="x", started_at=at, state=EscalationState.ACKNOWLEDGED
            )
            session.add(escalation)
            session.flush()
            alerts.tell(session, [staff], "x", cause=case.number, link="/console", now=at, escalation_id=escalation.id)
            if closed:
                case.state, case.feedback, case.feedback_at, case.closed_at = CaseState.CLOSED, "好", at, at

    centre.db.write_now(make)
    await disposals.propose(centre)
    assert K.ALERT not in listed(centre), "a complaint is kept for ten years, and one goes on"


async def test_corrections_of_a_case_and_of_what_was_answered_go_with_it(centre: Centre) -> None:
    at = ago(centre, 11)

    def make(session: Session) -> None:
        staff = session.scalars(select(Staff.id).order_by(Staff.id).limit(1)).one()
        complaint = Complaint(session, Talk(session, "lin", at), at, staff)
        cases.note(session, complaint.id, "note", "客户在家", now=at, staff_id=staff)
        session.flush()
        note = session.scalars(select(CaseNote.id).where(CaseNote.case_id == complaint.id)).first()
        answer = session.scalars(select(Answer.id)).one()
        for subject, subject_id in (("case_note", note), ("answer", answer), ("case", complaint.id)):
            assert subject_id is not None
            audit.revise(session, subject, subject_id, "text", "旧", "新", now=at)
            session.add(
                Correction(
                    subject=subject,
                    subject_id=subject_id,
                    field="text",
                    old=b"",
                    new=b"",
                    why="写错了",
                    state=CorrectionState.MADE,
                    proposed_by=staff,
                    proposed_at=at,
                    decided_by=staff,
                )
            )

    centre.db.write_now(make)
    await disposals.propose(centre)
    approve_all(centre)
    await disposals.carry_out(centre)

    def left(session: Session) -> list[str]:
        assert session.scalars(select(Case.id)).all() == []
        return [*session.scalars(select(Correction.subject)), *session.scalars(select(Revision.subject))]

    assert {"case", "case_note", "answer"}.isdisjoint(centre.db.read_now(left))
