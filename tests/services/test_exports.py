"""Files with people's data wait for a second person, name whose they are, and go after a while (REQ-A22, G09, G18)."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta

import docx
import pytest
from openpyxl import load_workbook
from sqlalchemy.orm import Session

from bot.core.words import Author, ChannelName, Language, Presence, Role
from bot.reports import exporting
from bot.services import contacts
from bot.services.centre import Centre
from bot.services.records import export_files, exports
from bot.services.records.exports import Wish
from bot.services.refusal import NotFoundError, RefusedError
from bot.services.staffing.staff import SignedIn, by_username
from store.tables import Export, ExportKind, ExportState, IncidentEntry, Message
from tests.fakes.records import Outage, Talk, tell

PHONE = "+8613900006677"


def somebody(session: Session, username: str, *roles: Role) -> SignedIn:
    person = by_username(session, username)
    assert person is not None
    return SignedIn(person.id, username, person.name, frozenset(roles), Presence.ONLINE, "")


def wish(kind: ExportKind = ExportKind.CONTACTS, *fields: str, outside: bool = False) -> Wish:
    scope = {"since": "2026-06-25", "until": "2026-07-01", "plan": ""}
    return Wish(kind, scope, fields or ("name", "phone"), "核对名单", "王主任", outside, Language.ZH)


def about(kind: ExportKind, of: int, *fields: str) -> Wish:
    return replace(wish(kind, *fields), scope={exports.ABOUT[kind][0]: of})


def asked(centre: Centre, wanted: Wish, username: str = "leader", role: Role = Role.LEADER) -> int:
    now = centre.clock.now()
    return centre.db.write_now(lambda s: exports.ask(s, centre, wanted, staff=somebody(s, username, role), now=now).id)


def decided(centre: Centre, export_id: int, username: str, role: Role, *, yes: bool = True, why: str = "") -> None:
    now = centre.clock.now()
    centre.db.write_now(
        lambda s: exports.decide(s, centre, export_id, yes=yes, why=why, staff=somebody(s, username, role), now=now)
    )


def state(centre: Centre, export_id: int) -> ExportState:
    return centre.db.read_now(lambda s: s.get_one(Export, export_id).state)


def known(session: Session, centre: Centre) -> None:
    now = centre.clock.now()
    met = contacts.meet(session, ChannelName.SMS, PHONE, language=Language.ZH, zone="Asia/Shanghai", now=now)
    contacts.learn(session, met.contact_id, {"name": "欧阳雪莲", "unit": "9-3-1204"}, now=now, why="")


async def test_a_list_is_made_once_it_is_approved_and_goes_in_time(centre: Centre) -> None:
    centre.db.write_now(lambda s: known(s, centre))
    export_id = asked(centre, wish())
    assert await exporting.make(centre) == 0
    decided(centre, export_id, "supervisor", Role.SUPERVISOR)
    assert await exporting.make(centre) == 1
    assert state(centre, export_id) is ExportState.READY

    leader = centre.db.read_now(lambda s: somebody(s, "leader", Role.LEADER))
    row = centre.db.read_now(lambda s: s.get_one(Export, export_id))
    assert exports.may_take(row, leader)
    now = centre.clock.now()
    name = centre.db.write_now(lambda s: exports.take(s, export_id, staff_id=leader.staff_id, now=now))
    book = load_workbook(io.BytesIO((export_files.folder(centre) / name).read_bytes()))
    rows = [[cell.value for cell in line] for line in book["1"].iter_rows()]
    assert rows[0] == ["姓名", "电话"]
    assert ["欧阳雪莲", PHONE] in rows
    assert not any("9-3-1204" in str(cell) for line in rows for cell in line), "only what was asked for"
    mark = "\n".join(str(line[0].value) for line in book["©"].iter_rows())
    assert row.number in mark
    assert "核对名单" in mark
    foot = book["1"].oddFooter
    assert foot is not None
    assert row.number in str(foot.left.text)

    later = now + centre.library.current.policies.privacy.exports_kept
    with pytest.raises(NotFoundError):
        centre.db.write_now(lambda s: exports.take(s, export_id, staff_id=leader.staff_id, now=later))
    assert centre.db.read_now(lambda s: export_files.expiring(s, later)) == [(export_id, name)]
    centre.clock.advance(later - now)  # type: ignore[attr-defined]  # the test's clock
    assert await exporting.make(centre) == 1
    assert state(centre, export_id) is ExportState.EXPIRED
    assert list(export_files.folder(centre).iterdir()) == []


def test_nobody_approves_their_own(centre: Centre) -> None:
    export_id = asked(centre, wish(), "supervisor", Role.SUPERVISOR)
    with pytest.raises(RefusedError, match="export_own"):
        decided(centre, export_id, "supervisor", Role.SUPERVISOR)
    decided(centre, export_id, "manager", Role.MANAGER)
    with pytest.raises(RefusedError, match="export_decided"):
        decided(centre, export_id, "manager", Role.MANAGER)


def leaves_by_the_manager(centre: Centre, export_id: int) -> Export:
    """No supervisor allows what leaves the house, and nobody but the archivist takes it; the export, allowed."""
    with pytest.raises(RefusedError, match="not_allowed"):
        decided(centre, export_id, "supervisor", Role.SUPERVISOR)
    decided(centre, export_id, "manager", Role.MANAGER)
    row, archivist, leader = centre.db.read_now(
        lambda s: (
            s.get_one(Export, export_id),
            somebody(s, "archivist", Role.ARCHIVIST),
            somebody(s, "leader", Role.LEADER),
        )
    )
    assert (exports.may_take(row, archivist), exports.may_take(row, leader)) == (True, False)
    return row


def test_what_leaves_the_house_is_the_managers_and_the_archivists(centre: Centre) -> None:
    export_id = asked(centre, wish(outside=True))
    leaves_by_the_manager(centre, export_id)


def test_a_refusal_says_why(centre: Centre) -> None:
    export_id = asked(centre, wish())
    with pytest.raises(RefusedError, match="reason_missing"):
        decided(centre, export_id, "supervisor", Role.SUPERVISOR, yes=False)
    decided(centre, export_id, "supervisor", Role.SUPERVISOR, yes=False, why="用不着号码")
    assert state(centre, export_id) is ExportState.REFUSED


@pytest.mark.parametrize(
    ("username", "role", "wanted", "code"),
    [
        ("leader", Role.LEADER, wish(ExportKind.FOLLOW_UPS, "health"), "export_health"),
        ("agent", Role.AGENT, wish(), "not_allowed"),
        ("reports", Role.REPORT_OWNER, wish(), "not_allowed"),
        ("leader", Role.LEADER, wish(ExportKind.PERSON), "not_allowed"),
        ("leader", Role.LEADER, wish(ExportKind.CASES, "nonsense"), "export_fields_missing"),
        ("leader", Role.LEADER, about(ExportKind.RECIPIENTS, 99, "name"), "export_about_missing"),
        ("leader", Role.LEADER, wish(ExportKind.INCIDENT), "export_about_missing"),
        ("reports", Role.REPORT_OWNER, about(ExportKind.RECIPIENTS, 99, "name"), "not_allowed"),
        ("ops", Role.OPS, about(ExportKind.INCIDENT, 99), "not_allowed"),
    ],
)
def test_what_one_may_not_ask_for(centre: Centre, username: str, role: Role, wanted: Wish, code: str) -> None:
    with pytest.raises(RefusedError, match=code):
        asked(centre, wanted, username, role)


async def test_one_that_dies_while_it_is_made_is_made_again(centre: Centre) -> None:
    export_id = asked(centre, wish(ExportKind.CASES, "kind", "state"))
    decided(centre, export_id, "supervisor", Role.SUPERVISOR)
    machine = centre.clock.machine()
    assert centre.db.write_now(lambda s: export_files.claim(s, machine)) is not None  # and then the worker was killed
    assert await exporting.make(centre) == 0
    centre.db.write_now(lambda s: setattr(s.get_one(Export, export_id), "due_at", machine - timedelta(seconds=1)))
    assert await exporting.make(centre) == 1
    assert state(centre, export_id) is ExportState.READY


async def test_health_answers_leave_with_whoever_may_see_them(centre: Centre) -> None:
    export_id = asked(centre, wish(ExportKind.FOLLOW_UPS, "health"), "reports", Role.REPORT_OWNER)
    with pytest.raises(RefusedError, match="not_allowed"):
        decided(centre, export_id, "supervisor", Role.SUPERVISOR)
    decided(centre, export_id, "manager", Role.MANAGER)
    assert await exporting.make(centre) == 1
    assert state(centre, export_id) is ExportState.READY


# ── announcements, and what is handed out of the house ──


def outage(session: Session, centre: Centre) -> Outage:
    """An incident that two people were told of; somebody wrote a number into its timeline."""
    at = centre.clock.now() - timedelta(days=1)
    made = Outage(session, Talk(session, "lin", at), at, somebody(session, "leader", Role.LEADER).staff_id)
    met = contacts.meet(session, ChannelName.SMS, PHONE, language=Language.ZH, zone="Asia/Shanghai", now=at)
    contacts.learn(session, met.contact_id, {"name": "欧阳雪莲", "unit": "9-3-1204"}, now=at, why="")
    tell(session, made.broadcast, PHONE, at, ChannelName.SMS)
    session.add(IncidentEntry(incident_id=made.id, kind="note", text=f"9-3-1204来电，回{PHONE[3:]}", at=at))
    return made


def content(centre: Centre, export_id: int) -> bytes:
    """The file as it is handed out."""
    now = centre.clock.now()
    name = centre.db.write_now(lambda s: exports.take(s, export_id, staff_id=None, now=now))
    return (export_files.folder(centre) / name).read_bytes()


async def test_the_recipients_of_an_announcement_leave_by_approval(centre: Centre) -> None:
    made = centre.db.write_now(lambda s: outage(s, centre))
    export_id = asked(centre, about(ExportKind.RECIPIENTS, made.broadcast, "name", "phone", "outcome", "channel"))
    assert await exporting.make(centre) == 0
    decided(centre, export_id, "supervisor", Role.SUPERVISOR)
    assert await exporting.make(centre) == 1
    sheet = load_workbook(io.BytesIO(content(centre, export_id)))["1"]
    rows = [[cell.value for cell in line] for line in sheet.iter_rows()]
    assert rows[0] == ["姓名", "电话", "结果", "确认途径"]
    assert rows[2] == ["欧阳雪莲", PHONE, "已确认收到", "短信"]
    assert len(rows) == 3


@pytest.mark.parametrize("numbers", [False, True])
async def test_an_incidents_file_is_handed_out_by_the_manager_and_the_archivist(centre: Centre, numbers: bool) -> None:
    made = centre.db.write_now(lambda s: outage(s, centre))
    wanted = about(ExportKind.INCIDENT, made.id, *(("phone",) if numbers else ("name",)))
    export_id = asked(centre, wanted)
    row = leaves_by_the_manager(centre, export_id)
    assert await exporting.make(centre) == 1
    document = docx.Document(io.BytesIO(content(centre, export_id)))
    said = "\n".join(cell.text for table in document.tables for line in table.rows for cell in line.cells)
    assert (PHONE[3:] in said, "9-3-1204" in said) == (numbers, numbers)
    assert "报修" in said
    assert row.number in "\n".join(paragraph.text for paragraph in document.paragraphs)


@pytest.mark.parametrize("staff", [False, True])
async def test_the_service_report_is_handed_out_without_anybodys_own_figures(centre: Centre, staff: bool) -> None:
    at = centre.clock.now() - timedelta(days=2)

    def answered(session: Session) -> str:
        leader = somebody(session, "leader", Role.LEADER)
        said = {"conversation_id": Talk(session, "lin", at).id, "channel": ChannelName.REST, "seq": 2}
        session.add(
            Message(**said, author=Author.AGENT, staff_id=leader.staff_id, text="在", at=at + timedelta(minutes=1))
        )
        return leader.name

    name = centre.db.write_now(answered)
    wanted = wish(ExportKind.SERVICE, "staff" if staff else "none")
    export_id = asked(centre, wanted, "reports", Role.REPORT_OWNER)
    decided(centre, export_id, "manager", Role.MANAGER)
    assert await exporting.make(centre) == 1
    book = load_workbook(io.BytesIO(content(centre, export_id)))
    assert {"汇总", "©"} <= set(book.sheetnames)
    assert [line[0].value for line in book["员工"].iter_rows()] == (["姓名", name] if staff else ["姓名"])
