"""CAP 1.2: strangers' alerts open a suspected incident and nothing more; our notices are readable by everybody."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from defusedxml.ElementTree import fromstring
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.core.words import BroadcastKind, BroadcastState, IncidentSource, IncidentState
from bot.services.announcements import announcements, notices
from bot.services.centre import Centre
from bot.services.incidents import cap
from bot.services.incidents.cap import CapError, CapRefusedError
from store.tables import Broadcast, Delivery, Incident, IncidentEntry
from tests.fakes.announcing import Outage
from tests.fakes.house import House

SENT = "2026-07-01T09:58:00+08:00"
LATER = "2026-07-01T09:59:00+08:00"


def document(
    identifier: str = "a1",
    *,
    kind: str = "Alert",
    sent: str = SENT,
    about: str = "",
    expires: str = "",
    status: str = "Actual",
) -> bytes:
    references = f"<references>{about}</references>" if about else ""
    until = f"<expires>{expires}</expires>" if expires else ""
    return f"""<?xml version="1.0"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>{identifier}</identifier>
<sender>weather@city.example</sender>
<sent>{sent}</sent><status>{status}</status><msgType>{kind}</msgType><scope>Public</scope>{references}
<info><language>zh-CN</language><category>Met</category><event>寒潮</event><urgency>Expected</urgency>
<severity>Severe</severity><certainty>Likely</certainty>{until}<headline>寒潮橙色预警</headline>
<description>今夜气温骤降</description><area><areaDesc>全市</areaDesc></area></info></alert>""".encode()


@pytest.fixture
def outage(centre: Centre) -> Outage:
    return Outage(centre)


def take(outage: Outage, data: bytes) -> int | None:
    who = outage.staff("ops")

    def work(session):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        incident = cap.take(session, outage.centre, cap.read(data), staff_id=who, now=outage.now)
        return incident.id if incident else None

    return outage.write(work)


def refused(outage: Outage, data: bytes) -> str:
    with pytest.raises(CapRefusedError) as error:
        take(outage, data)
    return error.value.code


async def test_an_alert_is_a_suspicion_and_nothing_leaves(outage: Outage) -> None:
    incident = take(outage, document())
    await outage.settle()
    found = outage.write(lambda s: s.get_one(Incident, incident))
    assert (found.title, found.state, found.drill) == ("寒潮橙色预警", IncidentState.SUSPECTED, False)
    assert (found.code, found.source, found.owner_id) == ("INC-31", IncidentSource.API, None)
    assert outage.write(lambda s: s.scalar(select(func.count()).select_from(Broadcast))) == 0
    assert outage.write(lambda s: s.scalar(select(func.count()).where(Delivery.contact_id.is_not(None)))) == 0
    assert not outage.sms.sent


def test_repeated_expired_and_out_of_order_are_refused(outage: Outage) -> None:
    incident = take(outage, document())
    assert refused(outage, document()) == "cap_repeated"
    assert refused(outage, document("a2", expires="2026-07-01T09:59:30+08:00")) == "cap_expired"
    assert refused(outage, document("a3", kind="Update")) == "cap_unknown_reference"
    about = f"weather@city.example,a1,{SENT}"
    assert take(outage, document("a4", kind="Update", sent=LATER, about=about)) == incident
    assert refused(outage, document("a5", kind="Update", sent=SENT, about=about)) == "cap_out_of_order"
    assert refused(outage, document("a6", sent="2026-07-01T12:00:00+08:00")) == "cap_out_of_order"


def test_a_cancellation_sends_nothing_and_stands_on_the_timeline(outage: Outage) -> None:
    incident = take(outage, document())
    about = f"weather@city.example,a1,{SENT}"
    assert take(outage, document("a2", kind="Cancel", sent=LATER, about=about)) == incident
    noted = select(IncidentEntry.text).where(IncidentEntry.incident_id == incident, IncidentEntry.kind == "note")
    assert "CAP Cancel" in outage.write(lambda s: s.scalars(noted).one())
    assert outage.write(lambda s: s.scalar(select(func.count()).select_from(Incident))) == 1
    assert outage.write(lambda s: s.scalar(select(func.count()).select_from(Broadcast))) == 0


def test_an_exercise_is_a_drill(outage: Outage) -> None:
    incident = take(outage, document(status="Exercise"))
    assert outage.write(lambda s: s.get_one(Incident, incident)).drill


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<alert/>",
        document(status="Draft"),
        document(sent="2026-07-01 10:00"),
        document("a b"),
        b'<!DOCTYPE a [<!ENTITY x "y">]>' + document().partition(b"\n")[2],
        document() + b" " * cap.MAX_BYTES,
    ],
)
def test_what_is_no_alert_says_what_would_be(data: bytes) -> None:
    with pytest.raises(CapError):
        cap.read(data)


async def test_the_door_takes_an_alert_once(house: House) -> None:
    headers = {"Authorization": f"Bearer {house.centre.settings.kept_api_token()}"}
    first = await house.client.post("/api/v1/cap?author=ops", content=document(), headers=headers)
    again = await house.client.post("/api/v1/cap?author=ops", content=document(), headers=headers)
    assert (first.status_code, first.json()["state"]) == (201, "suspected")
    assert (again.status_code, again.json()["detail"]["code"]) == (409, "cap_repeated")
    assert (await house.client.post("/api/v1/cap?author=ops", content=document())).status_code == 401


async def test_what_we_announce_is_public_until_a_day_after_it_is_over(house: House) -> None:
    outage = Outage(house.centre)
    client = house.client
    assert (await client.get("/notices.json")).json() == []
    drill = outage.launched(drill=True)
    notice = outage.launched()
    (shown,) = (await client.get("/notices.json?language=zh")).json()
    assert shown["id"] == notice != drill
    assert "三号楼" in shown["text"]

    feed = (await client.get("/notices/feed.json?language=en")).json()
    assert [item["id"] for item in feed["items"]] == [f"hotline-notice-{notice}"]
    atom = fromstring((await client.get("/notices/feed.atom")).content)
    assert (
        atom.findtext("{http://www.w3.org/2005/Atom}entry/{http://www.w3.org/2005/Atom}title") == "三号楼供热管道爆裂"
    )
    document = (await client.get(f"/notices/{notice}.cap")).content
    read = cap.read(document)
    assert (read.identifier, read.kind.value, len(read.infos)) == (f"hotline-notice-{notice}", "Alert", 2)
    assert (await client.get(f"/notices/{drill}.cap")).status_code == httpx.codes.NOT_FOUND
    assert not read.expired(outage.now)
    assert read.expired(outage.now + timedelta(days=2))


def test_a_trusted_senders_alert_needs_no_person(outage: Outage, tmp_path: Path) -> None:
    (tmp_path / "incidents.yml").write_text("cap: {trusted: [weather@city.example], types: {Met: INC-32}}\n")
    centre = replace(outage.centre, settings=outage.centre.settings.model_copy(update={"scripts": tmp_path}))
    incident = take(Outage(centre), document())
    found = outage.write(lambda s: s.get_one(Incident, incident))
    assert (found.code, found.state) == ("INC-32", IncidentState.CONFIRMED)


async def test_every_notice_that_holds_is_found_however_many_came_after(house: House) -> None:
    outage = Outage(house.centre)
    first = outage.launched()

    def many(session: Session) -> None:
        row = session.get_one(Broadcast, first)
        for number in range(notices.FEED + 5):
            other = Incident(
                code="INC-29", title=f"旧 {number}", state=IncidentState.CLOSED, started_at=outage.now, buildings=[]
            )
            session.add(other)
            session.flush()
            session.add(
                Broadcast(
                    incident_id=other.id,
                    kind=BroadcastKind.NOTICE,
                    state=BroadcastState.FINISHED,
                    audience={},
                    channels=[],
                    text_zh="旧",
                    text_en="old",
                    author_id=row.author_id,
                    approver_id=row.approver_id,
                    created_at=outage.now,
                    approved_at=outage.now,
                    expires_at=outage.now,
                )
            )

    outage.write(many)
    (shown,) = (await house.client.get("/notices.json?language=zh")).json()
    assert shown["id"] == first
    items = (await house.client.get("/notices/feed.json")).json()["items"]
    assert len(items) == notices.FEED + 1
    assert items[-1]["id"] == f"hotline-notice-{first}"
    assert (await house.client.get(f"/notices/{first}.cap")).status_code == httpx.codes.OK


async def test_an_update_names_everything_it_replaces_in_the_order_of_the_schema(house: House) -> None:
    """OASIS CAP 1.2, section 3.4 (XML schema): a sequence; a reference is sender,identifier,sent."""
    outage = Outage(house.centre)
    notice = outage.launched()
    author = outage.staff("ops")
    sent = [notice]
    for _ in range(2):
        draft = outage.write(
            lambda s: (
                announcements.follow(s, outage.centre, notice, BroadcastKind.UPDATE, staff_id=author, now=outage.now).id
            )
        )
        outage.approve(draft)
        outage.send(draft, override="等不到天亮")
        sent.append(draft)
    root = fromstring((await house.client.get(f"/notices/{sent[-1]}.cap")).content)
    space = f"{{{cap.NAMESPACE}}}"
    top = [child.tag.removeprefix(space) for child in root]
    assert top == ["identifier", "sender", "sent", "status", "msgType", "scope", "references", "info", "info"]
    names = [each.split(",")[1] for each in root.findtext(f"{space}references").split()]
    assert names == [f"hotline-notice-{each}" for each in sent[:2]]
    order = (
        "language category event responseType urgency severity certainty expires senderName headline description area"
    )
    for info in root.findall(f"{space}info"):
        tags = [child.tag.removeprefix(space) for child in info]
        assert tags == [name for name in order.split() if name in tags]
    moment = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d")
    assert moment.fullmatch(root.findtext(f"{space}sent"))
