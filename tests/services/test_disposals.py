"""What is due is listed, two people approve, then it is destroyed, and nothing half (REQ-G01, G08, G11)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from bot.core.policy import RecordKind
from bot.core.retention import HoldSubject
from bot.core.words import CaseState, Role
from bot.services import audit, sealing
from bot.services.casework import cases
from bot.services.centre import Centre
from bot.services.conversation import media
from bot.services.records import certificates, destruction, disposals, holds
from bot.services.refusal import RefusedError
from store.search import find, follow
from store.tables import (
    Attachment,
    AuditEntry,
    Base,
    Case,
    Conversation,
    Disposal,
    DisposalApproval,
    DisposalItem,
    DisposalState,
    FileRemoval,
    ItemState,
    Message,
    Staff,
    Unlocked,
)
from tests.fakes import records
from tests.fakes.clock import ManualClock
from tests.fakes.records import Complaint, Outage, Talk, keep_long_for_ten_years, link, person, tell

K = RecordKind
DAY = timedelta(days=1)
FILE = "ab" * 20


@pytest.fixture(autouse=True)
def ten_years(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long is ten years here; the shipped policies leave it open."""
    keep_long_for_ten_years(centre, monkeypatch)


def make(centre: Centre, years: float, *, file: str | None = None) -> dict[str, Any]:
    """A complaint with all that belongs to it, a talk about nothing, and an incident, so many years ago."""
    at = centre.clock.now() - years * 365 * DAY

    def work(session: Session) -> dict[str, Any]:
        staff_id = session.scalars(select(Staff.id).order_by(Staff.id).limit(1)).one()
        talk, alone = Talk(session, "lin", at, file=file, said="热水器漏水"), Talk(session, "wu", at)
        complaint, outage = Complaint(session, talk, at, staff_id), Outage(session, alone, at, staff_id)
        return {"talk": talk, "alone": alone, "complaint": complaint, "outage": outage}

    return centre.db.write_now(work)


def items(centre: Centre) -> dict[tuple[RecordKind, int], ItemState]:
    rows = centre.db.read_now(
        lambda s: s.execute(select(DisposalItem.kind, DisposalItem.record_id, DisposalItem.state)).all()
    )
    return {(kind, record_id): state for kind, record_id, state in rows}


def role(centre: Centre, which: Role) -> int:
    return centre.db.write_now(
        lambda s: person(s, f"{which}-{s.scalar(select(func.count()).select_from(Staff))}", which)
    )


def approve(centre: Centre, *people: int) -> int:
    """The one list there is, approved by these people."""
    return centre.db.write_now(lambda s: records.approve(s, centre.clock.now(), *people))


def read(centre: Centre, disposal_id: int) -> Disposal:
    return centre.db.read_now(lambda s: s.get_one(Disposal, disposal_id))


async def test_only_what_is_due_is_listed_and_nothing_is_destroyed(centre: Centre) -> None:
    young, old = make(centre, 2), make(centre, 5)
    assert await disposals.propose(centre) == 1
    assert items(centre) == {(K.TRANSCRIPT, old["alone"].id): ItemState.WAITING}, (
        "the other talk belongs to a complaint"
    )
    assert await disposals.propose(centre) == 0, "it is listed already"
    assert centre.db.read_now(lambda s: s.scalar(select(func.count()).select_from(Message))) == 4
    assert await disposals.carry_out(centre) == 0, "nobody approved it"
    assert young["alone"].id


async def test_after_the_long_period_all_goes_but_what_is_permanent(centre: Centre) -> None:
    old = make(centre, 11, file=FILE)
    assert await disposals.propose(centre) == 7
    talk, alone, complaint, outage = old["talk"], old["alone"], old["complaint"], old["outage"]
    assert set(items(centre)) == {
        (K.RECORDING, talk.recording),
        (K.TRANSCRIPT, talk.id),
        (K.TRANSCRIPT, alone.id),
        (K.SATISFACTION, talk.id),
        (K.SATISFACTION, alone.id),
        (K.FOLLOW_UP, complaint.callback),
        (K.COMPLAINT, complaint.id),
    }, "what was written down by hand stays with its incident"
    assert (K.INCIDENT, outage.id) not in items(centre)


async def test_each_night_once_and_not_before_its_hour(centre: Centre, clock: ManualClock) -> None:
    make(centre, 5)
    clock.advance(timedelta(hours=-8))  # two at night
    assert await disposals.look(centre) == 0
    clock.advance(timedelta(hours=1))
    assert await disposals.look(centre) == 1
    make(centre, 6)
    assert await disposals.look(centre) == 0
    clock.advance(DAY)
    assert await disposals.look(centre) == 1
    assert centre.db.read_now(lambda s: s.scalar(select(func.count()).select_from(Disposal))) == 1, "the list grew"


async def test_two_people_one_the_manager_and_never_who_asked(centre: Centre) -> None:
    make(centre, 5)
    asked, archivist, manager = (role(centre, each) for each in (Role.MANAGER, Role.ARCHIVIST, Role.MANAGER))
    supervisor, agent = role(centre, Role.SUPERVISOR), role(centre, Role.AGENT)
    await disposals.propose(centre, asked)

    def refused(who: int, code: str) -> None:
        with pytest.raises(RefusedError, match=code):
            approve(centre, who)

    refused(asked, "disposal_proposer")
    refused(agent, "not_allowed")
    disposal_id = approve(centre, archivist)
    assert read(centre, disposal_id).state is DisposalState.PROPOSED
    refused(archivist, "disposal_approved_by_you")
    refused(supervisor, "disposal_wants_manager")
    assert await disposals.carry_out(centre) == 0
    approve(centre, manager)
    assert read(centre, disposal_id).state is DisposalState.APPROVED
    refused(supervisor, "disposal_not_open")
    given = centre.db.read_now(
        lambda s: s.scalars(select(DisposalApproval.decides).order_by(DisposalApproval.id)).all()
    )
    assert given == [False, True]


async def test_a_list_is_approved_as_it_was_seen_and_grows_no_more(centre: Centre) -> None:
    make(centre, 5)
    archivist = role(centre, Role.ARCHIVIST)
    await disposals.propose(centre)
    disposal_id = centre.db.read_now(lambda s: s.scalars(select(Disposal.id)).one())
    seen = centre.db.read_now(lambda s: disposals.list_digest(s, disposal_id))
    make(centre, 6)
    await disposals.propose(centre)
    with pytest.raises(RefusedError, match="disposal_changed"):
        centre.db.write_now(
            lambda s: disposals.approve(s, disposal_id, seen=seen, staff_id=archivist, note="", now=centre.clock.now())
        )
    approve(centre, archivist)
    make(centre, 7)
    await disposals.propose(centre)
    sizes = centre.db.read_now(
        lambda s: s.scalars(
            select(func.count()).select_from(DisposalItem).group_by(DisposalItem.disposal_id).order_by(func.count())
        ).all()
    )
    assert sizes == [1, 2]


async def test_what_is_sent_back_is_left_alone_for_a_while(centre: Centre, clock: ManualClock) -> None:
    make(centre, 5)
    archivist = role(centre, Role.ARCHIVIST)
    await disposals.propose(centre)
    disposal_id = centre.db.read_now(lambda s: s.scalars(select(Disposal.id)).one())

    def send_back(why: str) -> None:
        now = clock.now()
        centre.db.write_now(lambda s: disposals.decline(s, disposal_id, why=why, staff_id=archivist, now=now))

    with pytest.raises(RefusedError, match="reason_missing"):
        send_back(" ")
    send_back("还要核对")
    clock.advance(30 * DAY)
    assert await disposals.propose(centre) == 0
    clock.advance(61 * DAY)
    assert await disposals.propose(centre) == 1


# ── carrying out ──


async def test_what_two_people_approved_is_gone_and_certified(centre: Centre) -> None:
    old = make(centre, 11, file=FILE)
    path = media.folder(centre) / FILE[:2] / FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(b"sound")
    centre.db.write_now(lambda s: follow(s.connection()))
    await disposals.propose(centre)
    disposal_id = approve(centre, role(centre, Role.ARCHIVIST), role(centre, Role.MANAGER))
    assert await disposals.carry_out(centre) == 7
    assert not path.exists()

    def check(session: Session) -> None:
        left = {
            name: session.scalar(select(func.count()).select_from(Base.metadata.tables[name])) or 0
            for name in ("message", "attachment", "case_file", "case_note", "callback", "answer", "call_attempt")
        }
        assert set(left.values()) == {0}, left
        assert session.scalars(select(Unlocked)).all() == []
        talk = session.get_one(Conversation, old["talk"].id)
        assert (talk.flow, talk.rating, talk.rating_comment, talk.wrap_up_note) == ({}, None, "", "")
        assert find(session.connection(), [("热水", False)], 2**40, 10) == []
        done = session.get_one(Disposal, disposal_id)
        assert done.state is DisposalState.DONE
        assert done.certificate is not None
        assert (done.certificate["destroyed"], done.certificate["kept"]) == (7, 0)
        assert done.certificate["rows"]["file"] == 1
        assert [each["decides"] for each in done.certificate["approved"]] == [False, True]
        assert certificates.genuine(session, done)
        noted = session.scalars(select(AuditEntry).where(AuditEntry.action == "disposal.certify")).one()
        assert noted.details["digest"] == done.sealed

    centre.db.read_now(check)
    centre.db.write_now(lambda s: sealing.seal(s, 2**40, centre.clock.now()))
    assert centre.db.read_now(sealing.verify).broken is None


@pytest.fixture
def no_incident_for_ever(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    """Incidents are kept long here; as shipped they are permanent."""
    shelf = centre.library.current
    long = shelf.policies.retention.classes[K.DRILL]
    classes = {**shelf.policies.retention.classes, K.INCIDENT: long, K.REVIEW: long}
    retention = replace(shelf.policies.retention, classes=classes)
    monkeypatch.setattr(centre.library, "_shelf", replace(shelf, policies=replace(shelf.policies, retention=retention)))


@pytest.mark.usefixtures("no_incident_for_ever")
async def test_an_incident_goes_with_all_it_told(centre: Centre) -> None:
    make(centre, 11)
    await disposals.propose(centre)
    approve(centre, role(centre, Role.SUPERVISOR), role(centre, Role.MANAGER))
    await disposals.carry_out(centre)
    tables = ("incident", "incident_entry", "broadcast", "broadcast_recipient", "acknowledgement", "manual_record")
    left = centre.db.read_now(
        lambda s: {name: s.scalar(select(func.count()).select_from(Base.metadata.tables[name])) for name in tables}
    )
    assert set(left.values()) == {0}, left


def reopen(centre: Centre, old: dict[str, Any]) -> None:
    now = centre.clock.now()
    centre.db.write_now(lambda s: cases.reopen(s, centre, old["complaint"].id, "又漏了", now=now))


def hold(centre: Centre, old: dict[str, Any]) -> None:
    now, who = centre.clock.now(), role(centre, Role.MANAGER)
    centre.db.write_now(
        lambda s: holds.place(s, HoldSubject.CASE, old["complaint"].id, "法院来函", staff_id=who, now=now)
    )


@pytest.mark.parametrize(("meanwhile", "why"), [(hold, "held"), (reopen, "goes_on")])
async def test_what_changed_since_the_approval_stays(
    centre: Centre, meanwhile: Callable[[Centre, dict[str, Any]], None], why: str
) -> None:
    old = make(centre, 11)
    await disposals.propose(centre)
    disposal_id = approve(centre, role(centre, Role.ARCHIVIST), role(centre, Role.MANAGER))
    meanwhile(centre, old)
    await disposals.carry_out(centre)
    kept = centre.db.read_now(
        lambda s: s.execute(
            select(DisposalItem.kind, DisposalItem.kept_why).where(DisposalItem.state == ItemState.KEPT)
        ).all()
    )
    assert {(K.TRANSCRIPT, why), (K.COMPLAINT, why), (K.FOLLOW_UP, why)} <= set(map(tuple, kept))
    done = read(centre, disposal_id)
    assert done.state is DisposalState.DONE
    assert done.certificate is not None
    assert done.certificate["kept_why"]["complaint"] == {why: 1}
    assert centre.db.read_now(lambda s: s.get(Case, old["complaint"].id)) is not None


async def test_a_held_thing_is_never_listed(centre: Centre) -> None:
    old = make(centre, 11, file=FILE)
    who, now = role(centre, Role.MANAGER), centre.clock.now()
    centre.db.write_now(
        lambda s: holds.place(s, HoldSubject.CONTACT, old["talk"].contact, "法院来函", staff_id=who, now=now)
    )
    await disposals.propose(centre)
    assert set(items(centre)) == {(K.TRANSCRIPT, old["alone"].id), (K.SATISFACTION, old["alone"].id)}


# ── a crash in the middle ──


def whole_or_gone(session: Session) -> None:
    """Every record that counts as destroyed is gone, every other is whole."""
    for item in session.scalars(select(DisposalItem).where(DisposalItem.kind == K.TRANSCRIPT)):
        lines = select(func.count()).select_from(Message).where(Message.conversation_id == item.record_id)
        assert session.scalar(lines) == (0 if item.state is ItemState.DESTROYED else 1)
    for item in session.scalars(select(DisposalItem).where(DisposalItem.kind == K.RECORDING)):
        there = session.get(Attachment, item.record_id) is not None
        assert there is (item.state is ItemState.WAITING)


async def test_a_crash_between_two_pages_is_gone_on_from(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    make(centre, 11, file=FILE)
    path = media.folder(centre) / FILE[:2] / FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(b"sound")
    await disposals.propose(centre)
    disposal_id = approve(centre, role(centre, Role.ARCHIVIST), role(centre, Role.MANAGER))
    monkeypatch.setattr(disposals, "PAGE", 2)
    now = centre.clock.now()
    assert centre.db.write_now(lambda s: disposals.destroy_page(s, centre, disposal_id, now)) == 2
    # The process is dead here: a page is committed, its file is still on the disk, the rest is untouched.
    centre.db.read_now(whole_or_gone)
    states = list(items(centre).values())
    assert (states.count(ItemState.DESTROYED), states.count(ItemState.WAITING)) == (2, 5)
    assert path.exists()
    assert centre.db.write_now(lambda s: disposals.certify(s, disposal_id, now)) is False
    assert await disposals.carry_out(centre) == 5
    assert not path.exists()
    assert centre.db.read_now(lambda s: s.scalars(select(FileRemoval.removed_at)).all()) == [now]
    assert read(centre, disposal_id).state is DisposalState.DONE


async def test_a_crash_before_the_file_is_removed_shows(centre: Centre) -> None:
    make(centre, 11, file=FILE)
    await disposals.propose(centre)
    disposal_id = approve(centre, role(centre, Role.ARCHIVIST), role(centre, Role.MANAGER))
    now = centre.clock.now()
    while centre.db.write_now(lambda s: disposals.destroy_page(s, centre, disposal_id, now)) is not None:
        pass
    assert centre.db.write_now(lambda s: disposals.certify(s, disposal_id, now)) is False
    assert read(centre, disposal_id).state is DisposalState.APPROVED
    assert await disposals.carry_out(centre) == 0
    assert read(centre, disposal_id).state is DisposalState.DONE


async def test_a_failure_inside_a_page_undoes_the_page(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    make(centre, 11)
    await disposals.propose(centre)
    disposal_id = approve(centre, role(centre, Role.ARCHIVIST), role(centre, Role.MANAGER))
    done: list[int] = []

    def breaks(session: Session, kind: RecordKind, record_id: int, *, disposal_id: int, most: int) -> destruction.Gone:
        if len(done) == 3:
            raise OSError("the disk is full")
        done.append(record_id)
        return destruction.destroy(session, kind, record_id, disposal_id=disposal_id, most=most)

    monkeypatch.setattr(disposals, "destroy", breaks)
    with pytest.raises(OSError, match="full"):
        await disposals.carry_out(centre)
    assert set(items(centre).values()) == {ItemState.WAITING}
    centre.db.read_now(whole_or_gone)
    assert centre.db.read_now(lambda s: s.scalars(select(Unlocked)).all()) == []
    monkeypatch.undo()
    assert read(centre, disposal_id).state is DisposalState.APPROVED


# ── a large record, in pages ──

TOLD = ("broadcast_recipient", "acknowledgement", "delivery", "incident_entry", "broadcast", "incident")


def told(centre: Centre) -> dict[str, int]:
    """How many rows of a large incident are still there."""
    return centre.db.read_now(
        lambda s: {each: s.scalar(select(func.count()).select_from(Base.metadata.tables[each])) or 0 for each in TOLD}
    )


async def large_incident(centre: Centre, people: int) -> tuple[int, dict[str, int]]:
    """An approved list with one incident that so many were told of; what it consists of."""
    at = centre.clock.now() - 11 * 365 * DAY

    def work(session: Session) -> int:
        staff_id = session.scalars(select(Staff.id).order_by(Staff.id).limit(1)).one()
        talk = Talk(session, "wu", at)
        outage = Outage(session, talk, at, staff_id)
        for number in range(people - 1):
            tell(session, outage.broadcast, f"p{number}", at)
        audit.revise(session, "incident_entry", outage.entry, "text", "报休", "报修", now=at)
        return outage.id

    incident_id = centre.db.write_now(work)
    await disposals.propose(centre)

    def alone(session: Session) -> None:
        only = (DisposalItem.kind == K.INCIDENT) & (DisposalItem.record_id == incident_id)
        session.execute(delete(DisposalItem).where(~only))

    centre.db.write_now(alone)
    return approve(centre, role(centre, Role.ARCHIVIST), role(centre, Role.MANAGER)), told(centre)


@pytest.mark.usefixtures("no_incident_for_ever")
@pytest.mark.parametrize("rows", [1, 3, 7, 1000])
async def test_a_large_incident_goes_in_pages_and_nothing_counts_twice(
    centre: Centre, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    disposal_id, before = await large_incident(centre, 12)
    monkeypatch.setattr(disposals, "ROWS", rows)
    now, pages, stood = centre.clock.now(), 0, told(centre)
    while (through := centre.db.write_now(lambda s: disposals.destroy_page(s, centre, disposal_id, now))) is not None:
        # The process may be dead here: what is gone is counted, the incident stands until nothing of it is left.
        left, pages = told(centre), pages + 1
        item = centre.db.read_now(lambda s: s.scalars(select(DisposalItem)).one())
        counted = {name: item.counts.get(name, 0) for name in TOLD}
        assert {name: before[name] - left[name] for name in TOLD} == counted
        assert sum(stood.values()) - sum(left.values()) <= rows + destruction.AT_ONCE
        assert item.state is (ItemState.DESTROYED if through else ItemState.WAITING)
        assert left["incident"] == (0 if through else 1)
        assert centre.db.read_now(lambda s: s.scalars(select(Unlocked)).all()) == []
        assert centre.db.write_now(lambda s: disposals.certify(s, disposal_id, now)) is (through == 1)
        stood = left
    assert pages > before["broadcast_recipient"] // rows
    done = read(centre, disposal_id)
    assert done.certificate is not None
    assert (done.certificate["destroyed"], done.certificate["kept"], done.certificate["begun"]) == (1, 0, 0)
    gone = done.certificate["rows"]
    assert (gone["broadcast_recipient"], gone["acknowledgement"], gone["incident"], gone["revision"]) == (12, 12, 1, 1)
    assert centre.db.read_now(lambda s: certificates.genuine(s, done))


@pytest.mark.usefixtures("no_incident_for_ever")
async def test_the_program_goes_on_where_it_was_killed(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    disposal_id, _ = await large_incident(centre, 12)
    monkeypatch.setattr(disposals, "ROWS", 5)
    now = centre.clock.now()
    assert centre.db.write_now(lambda s: disposals.destroy_page(s, centre, disposal_id, now)) == 0

    def dies(session: Session) -> None:
        disposals.destroy_page(session, centre, disposal_id, now)
        raise KeyboardInterrupt  # in the middle of the next page: nothing of it was committed

    before = told(centre)
    with pytest.raises(KeyboardInterrupt):
        centre.db.write_now(dies)
    assert told(centre) == before
    assert await disposals.carry_out(centre) == 1
    done = read(centre, disposal_id)
    assert done.certificate is not None
    assert done.certificate["rows"]["broadcast_recipient"] == 12
    assert told(centre)["incident"] == 0


@pytest.mark.usefixtures("no_incident_for_ever")
async def test_what_is_held_half_way_stays_from_there_on(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    disposal_id, _ = await large_incident(centre, 12)
    monkeypatch.setattr(disposals, "ROWS", 8)
    now, who = centre.clock.now(), role(centre, Role.MANAGER)
    assert centre.db.write_now(lambda s: disposals.destroy_page(s, centre, disposal_id, now)) == 0
    left = told(centre)
    incident_id = centre.db.read_now(lambda s: s.scalars(select(DisposalItem.record_id)).one())
    centre.db.write_now(lambda s: holds.place(s, HoldSubject.INCIDENT, incident_id, "法院来函", staff_id=who, now=now))
    await disposals.carry_out(centre)
    assert told(centre) == left
    done = read(centre, disposal_id)
    assert done.certificate is not None
    assert (done.certificate["destroyed"], done.certificate["kept"], done.certificate["begun"]) == (0, 1, 1)
    assert sum(done.certificate["rows"].values()) == 8, "what was gone already is not kept quiet"


# ── what goes with what ──


def test_every_row_that_points_to_a_record_is_thought_of() -> None:
    """A new table with a foreign key to something that can be destroyed must say whether it goes along."""
    thought = {
        column for which in (destruction.GOES, destruction.LETS_GO) for found in which.values() for column in found
    }
    roots = {*destruction.GOES, *destruction.TABLES.values()}
    missing = (
        {
            f"{table.name}.{column.name}"
            for table in Base.metadata.sorted_tables
            for column in table.columns
            for key in column.foreign_keys
            if key.column.table.name in roots
        }
        - thought
        - destruction.STAYS
    )
    assert missing == set()


async def test_a_case_linked_with_an_incident_stays_as_long(centre: Centre) -> None:
    old = make(centre, 11)
    at: datetime = centre.clock.now()
    centre.db.write_now(lambda s: link(s, old["complaint"].id, old["outage"].id, at))
    await disposals.propose(centre)
    assert set(items(centre)) == {
        (K.TRANSCRIPT, old["alone"].id),
        (K.SATISFACTION, old["alone"].id),
    }, "the incident is permanent, and so is what belongs to it"
    assert centre.db.read_now(lambda s: s.get_one(Case, old["complaint"].id).state) is CaseState.CLOSED
