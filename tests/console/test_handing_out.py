"""What is read in the house is downloaded where it is read, masked by role; what leaves it is allowed first
(REQ-A22, G09, F48)."""

from __future__ import annotations

import io
from datetime import timedelta

import docx
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.reports import exporting
from bot.services.staffing.staff import by_username
from store.tables import AuditEntry, Export, ExportState, Incident, IncidentEntry
from tests.fakes.house import House
from tests.fakes.people import Colleague
from tests.fakes.records import Outage, Talk

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
PHONE = "13900006677"


def outage(session: Session, house: House) -> int:
    """An incident in whose timeline somebody wrote a customer's number."""
    at = house.clock.now() - timedelta(days=1)
    leader = by_username(session, "leader")
    assert leader is not None
    made = Outage(session, Talk(session, "lin", at), at, leader.id)
    session.add(IncidentEntry(incident_id=made.id, kind="note", text=f"回{PHONE}", at=at))
    session.get_one(Incident, made.id).facts = {"authorities": {"loss": "3000元"}}
    return made.id


async def comes(house: House, username: str) -> Colleague:
    somebody = Colleague("http://hotline.test")
    somebody.client = house.client
    await somebody.signs_in(house.centre, username)
    return somebody


def words(content: bytes) -> str:
    """What stands in a document's tables."""
    tables = docx.Document(io.BytesIO(content)).tables
    return "\n".join(cell.text for table in tables for row in table.rows for cell in row.cells)


@pytest.mark.parametrize(("username", "numbers"), [("leader", True), ("ops", False)])
@pytest.mark.parametrize("kind", ["file", "authorities"])
async def test_an_incidents_documents_wait_for_nobody_and_are_masked_by_role(
    house: House, username: str, numbers: bool, kind: str
) -> None:
    incident_id = house.centre.db.write_now(lambda s: outage(s, house))
    reader = await comes(house, username)
    answer = await reader.client.get(f"/console/incidents/{incident_id}/{kind}.docx")
    assert answer.status_code == 200
    assert (PHONE in words(answer.content)) is numbers
    noted = house.centre.db.read_now(
        lambda s: s.scalars(select(AuditEntry).where(AuditEntry.action == "incident.document")).one()
    )
    assert (noted.staff_id, noted.details) == (reader.staff_id, {"kind": kind, "numbers": numbers})


async def test_a_file_goes_out_of_the_house_by_two_people_and_the_archivist(house: House) -> None:
    incident_id = house.centre.db.write_now(lambda s: outage(s, house))
    leader = await comes(house, "leader")
    form = f"/console/privacy?kind=incident&of={incident_id}"
    page = await leader.sees(form)
    assert f'<option value="{incident_id}" selected>' in page
    assert 'name="outside"' not in page, "it leaves the house in any case"
    said = {"kind": "incident", "about": str(incident_id), "purpose": "保险理赔", "recipient": "保险公司"}
    refused = await leader.does("/console/privacy/exports", on=form, **(said | {"about": "x"}))
    assert "export_about_missing" in refused.headers["location"]
    answer = await leader.does("/console/privacy/exports", on=form, **said)
    at = answer.headers["location"].split("?")[0]
    assert f"/console/incidents/{incident_id}" in await leader.sees(at)

    manager = await comes(house, "manager")
    await manager.does(f"{at}/decide", on=at, yes="1")
    await exporting.make(house.centre)
    assert (await manager.client.get(f"{at}/file")).status_code == 403
    archivist = await comes(house, "archivist")
    taken = await archivist.client.get(f"{at}/file")
    assert taken.headers["content-disposition"].endswith('.docx"')
    assert PHONE not in words(taken.content)
    row = house.centre.db.read_now(lambda s: s.scalars(select(Export)).one())
    assert (row.state, row.outside, row.downloads) == (ExportState.READY, True, 1)


async def test_the_recipients_are_asked_for_from_the_announcements_page(house: House) -> None:
    house.centre.db.write_now(lambda s: outage(s, house))
    leader = await comes(house, "leader")
    page = await leader.sees("/console/privacy?kind=recipients")
    assert "哪一次公告" in page
    assert 'value="phone"' in page


async def test_a_figure_of_a_closed_incident_is_struck_and_stays_legible(house: House) -> None:
    incident_id = house.centre.db.write_now(lambda s: outage(s, house))
    at = f"/console/incidents/{incident_id}"
    supervisor = await comes(house, "supervisor")
    page = await supervisor.sees(at)
    assert 'name="field" value="authorities.loss"' in page
    right = {"subject": "incident", "subject_id": str(incident_id), "field": "authorities.loss", "new": "3500元"}
    answer = await supervisor.does("/console/privacy/corrections", on=at, back=at, why="核对票据", **right)
    assert answer.headers["location"] == f"{at}?said=corrected"
    page = await supervisor.sees(at)
    assert "3000元</s>3500元" in page
    assert "核对票据" in page
