"""The API: its token, its shapes, what it does, and that no request makes it stumble."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.core.words import IncidentState
from bot.services.centre import Centre
from store.tables import Callback, Contact, Event, Incident
from tests.fakes.house import House

TOKEN = {"Authorization": "Bearer a token for tests"}
VISIT: dict[str, Any] = {
    "external_id": "HIS-1",
    "kind": "visited_no_purchase",
    "phone": "13900010001",
    "name": "王秀英",
    "title": "王女士",
    "happened_at": "2026-07-01T09:30:00+08:00",
}


@pytest.fixture
def api(house: House) -> httpx.AsyncClient:
    house.client.headers.update(TOKEN)
    return house.client


def count(centre: Centre, table: type) -> int:
    return centre.db.read_now(lambda s: s.scalar(select(func.count()).select_from(table)) or 0)


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer "}],
)
async def test_nobody_comes_in_without_the_token(house: House, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/contacts"), ("POST", "/events"), ("GET", "/cases"), ("GET", "/broadcasts")):
        answer = await house.client.request(method, f"/api/v1{path}", headers=headers, json=VISIT)
        assert answer.status_code == 401


async def test_a_visit_is_told_once_and_its_call_planned(api: httpx.AsyncClient, house: House) -> None:
    first = await api.post("/api/v1/events", json=VISIT)
    assert first.status_code == 201
    told = first.json()
    assert (told["fresh"], told["unplanned"]) == (True, None)
    assert told["callback"]["due_at"] == "2026-07-01T06:30:00Z"
    again = await api.post("/api/v1/events", json=VISIT)
    assert (again.status_code, again.json()["fresh"]) == (200, False)
    assert again.json()["callback"]["id"] == told["callback"]["id"]
    assert (count(house.centre, Event), count(house.centre, Callback)) == (1, 1)
    shown = await api.get(f"/api/v1/events/{told['id']}")
    assert shown.json()["external_id"] == "HIS-1"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "requested"),
        ("kind", "nonsense"),
        ("phone", "12"),
        ("phone", None),
        ("name", ""),
        ("name", "\x00"),
        ("name", "\ud800"),
        ("name", "x" * 61),
        ("happened_at", "2026-07-01T09:30:00"),
        ("happened_at", "yesterday"),
        ("happened_at", "9999-12-31T23:59:59-12:00"),
        ("happened_at", "2030-01-01T00:00:00Z"),
        ("timezone", "Mars/Olympus"),
        ("language", "fr"),
        ("happend_at", "2026-07-01T09:30:00Z"),
        ("remarks", ["a"]),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_kept(
    api: httpx.AsyncClient, house: House, field: str, value: object
) -> None:
    body = {**VISIT, field: value}
    answer = await api.post("/api/v1/events", content=_json(body), headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert any(problem["loc"][-1] == field for problem in answer.json()["detail"])
    assert count(house.centre, Event) == 0


def _json(body: object) -> bytes:
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"null", 422),
        (b"[]", 422),
        (b"{", 422),
        (b"\xff\xfe\x00", 400),
        (b"[" * 20_000, 400),
        (b'"' + b"x" * 300_000 + b'"', 413),
        (b'{"kind": NaN}', 422),
        (b'{"\\ud800": 1}', 422),
    ],
)
async def test_broken_bodies_are_refused(api: httpx.AsyncClient, content: bytes, status: int) -> None:
    answer = await api.post("/api/v1/events", content=content, headers={"content-type": "application/json"})
    assert answer.status_code in {status, 422}
    assert answer.status_code < 500


@pytest.mark.parametrize(
    "path",
    [
        "/contacts/0",
        "/contacts/999999999999999999999999",
        "/contacts/abc",
        "/contacts/999999",
        "/callbacks/999999",
        "/cases/DROP-TABLE",
        "/cases/C20260701-0001",
        "/broadcasts/999999",
        "/events/999999",
        "/contacts?limit=0",
        "/contacts?after=-1",
        "/callbacks?state=asleep",
        "/callbacks?contact_id=99999999999999999999",
    ],
)
async def test_what_is_not_there_is_a_clear_answer(api: httpx.AsyncClient, path: str) -> None:
    assert (await api.get(f"/api/v1{path}")).status_code in (404, 422)


async def test_a_person_is_added_found_and_corrected_with_numbers_masked(api: httpx.AsyncClient, house: House) -> None:
    people = count(house.centre, Contact)
    made = await api.post("/api/v1/contacts", json={"phone": "139 0001 0001", "name": "王秀英", "unit": "3-2-501"})
    assert made.status_code == 201
    contact = made.json()
    assert (contact["name"], contact["building"]) == ("王秀英", "3")
    assert "13900010001" not in made.text
    assert "501" not in made.text
    found = await api.post("/api/v1/contacts/lookup", json={"phone": "+8613900010001"})
    assert found.json()["id"] == contact["id"]
    at = f"/api/v1/contacts/{contact['id']}"
    corrected = await api.patch(at, json={"name": "王秀瑛", "not_before": "09:00", "timezone": "Asia/Tokyo"})
    assert (corrected.json()["name"], corrected.json()["not_before"]) == ("王秀瑛", "09:00")
    assert (await api.patch(at, json={"not_before": "25:00"})).status_code == 422
    assert (await api.patch(at, json={"tags": ["独居", " VIP", "vip"]})).json()["tags"] == ["独居", "VIP"]
    assert (await api.patch(at, json={"tags": ["a,b"]})).status_code == 422
    assert (await api.patch(at, json={"tags": []})).json()["tags"] == []
    assert (await api.post("/api/v1/contacts", json={"phone": "13900010001"})).json()["id"] == contact["id"]
    assert count(house.centre, Contact) == people + 1
    assert (await api.post("/api/v1/contacts/lookup", json={"phone": "13900010099"})).status_code == 404


async def test_consent_withdrawn_ends_the_calls_it_forbids(api: httpx.AsyncClient) -> None:
    told = (await api.post("/api/v1/events", json=VISIT)).json()
    contact = await api.post(f"/api/v1/contacts/{told['contact_id']}/consents", json={"scope": "all", "granted": False})
    assert contact.json()["consents"][0]["granted"] is False
    callback = (await api.get(f"/api/v1/callbacks/{told['callback']['id']}")).json()
    assert (callback["state"], callback["disposition"]) == ("cancelled", "opted_out")
    later = await api.post("/api/v1/events", json={**VISIT, "external_id": "HIS-2"})
    assert (later.json()["unplanned"], later.json()["callback"]) == ("opted_out", None)
    assert later.json()["message"]


async def test_a_callback_is_booked_moved_and_cancelled(api: httpx.AsyncClient) -> None:
    contact = (await api.post("/api/v1/contacts", json={"phone": "13900010001", "name": "王秀英"})).json()
    wish = {"contact_id": contact["id"], "external_id": "W1", "topic": "账单"}
    booked = await api.post("/api/v1/callbacks", json={**wish, "wish": "2026-07-02T13:00:00+08:00"})
    assert (booked.status_code, booked.json()["due_at"]) == (201, "2026-07-02T05:00:00Z")
    night = await api.post("/api/v1/callbacks", json={**wish, "wish": "2026-07-02T23:00:00+08:00"})
    assert (night.status_code, night.json()["detail"]["code"]) == (409, "outside_window")
    assert len(night.json()["detail"]["nearest"]) == 2
    at = f"/api/v1/callbacks/{booked.json()['id']}"
    moved = await api.patch(at, json={"revision": booked.json()["revision"], "due_at": "2026-07-02T15:00:00+08:00"})
    assert moved.json()["due_at"] == "2026-07-02T07:00:00Z"
    stale = await api.patch(at, json={"revision": booked.json()["revision"], "priority": 1})
    assert (stale.status_code, stale.json()["detail"]["code"]) == (409, "callback_changed")
    assert "别人" in stale.json()["detail"]["message"]
    gone = await api.post(f"{at}/cancel", json={"revision": moved.json()["revision"], "why": "已解决"})
    assert gone.json()["state"] == "cancelled"
    assert (await api.get("/api/v1/callbacks?state=cancelled")).json()[0]["id"] == booked.json()["id"]
    nobody = await api.post("/api/v1/callbacks", json={**wish, "contact_id": 999_999})
    assert nobody.status_code == 404


async def test_a_case_is_opened_with_a_number_and_a_deadline(api: httpx.AsyncClient) -> None:
    contact = (await api.post("/api/v1/contacts", json={"phone": "13900010001"})).json()
    opened = await api.post(
        "/api/v1/cases", json={"contact_id": contact["id"], "kind": "complaint", "subject": "暖气不热"}
    )
    assert opened.status_code == 201
    number = opened.json()["number"]
    assert number.startswith("C20260701-")
    assert opened.json()["due_at"]
    assert (await api.get(f"/api/v1/cases/{number.lower()}")).json()["subject"] == "暖气不热"
    assert (await api.get(f"/api/v1/cases?contact_id={contact['id']}")).json()[0]["number"] == number


async def test_an_announcement_is_drafted_for_somebody_who_may_and_not_launched(
    api: httpx.AsyncClient, house: House
) -> None:
    def open_incident(session: Session) -> int:
        incident = Incident(
            code="INC-12",
            title="3 号楼供热中断",
            state=IncidentState.CONFIRMED,
            buildings=["3"],
            started_at=house.clock.now(),
        )
        session.add(incident)
        session.flush()
        return incident.id

    incident_id = house.centre.db.write_now(open_incident)
    body = {"incident_id": incident_id, "author": "supervisor", "buildings": ["3"], "text_zh": "停暖", "text_en": "Off"}
    drafted = await api.post("/api/v1/broadcasts", json=body)
    assert drafted.status_code == 201, drafted.text
    assert (drafted.json()["state"], drafted.json()["approved_at"]) == ("draft", None)
    shown = await api.get(f"/api/v1/broadcasts/{drafted.json()['id']}")
    assert shown.json()["text_zh"] == "停暖"
    assert len((await api.get("/api/v1/broadcasts")).json()) == 1
    for change, status in (
        ({"author": "nobody"}, 409),
        ({"author": "archivist"}, 409),
        ({"buildings": []}, 409),
        ({"text_en": None}, 422),
        ({"incident_id": 99_999}, 404),
        ({"channels": ["pigeon"]}, 422),
    ):
        assert (await api.post("/api/v1/broadcasts", json={**body, **change})).status_code == status, change


async def test_the_api_describes_itself(house: House) -> None:
    paths = (await house.client.get("/openapi.json")).json()["paths"]
    for path in ("contacts", "events", "callbacks", "cases", "broadcasts"):
        assert f"/api/v1/{path}" in paths


async def test_another_system_reports_an_incident_once(api: httpx.AsyncClient, house: House) -> None:
    new = {"key": "SCADA-7", "code": "INC-30", "title": "二号炉停炉", "buildings": ["3"]}
    first = await api.post("/api/v1/incidents", json=new, headers=TOKEN)
    assert first.status_code == 201, first.text
    again = await api.post("/api/v1/incidents", json=new, headers=TOKEN)
    assert again.json() == first.json()
    assert (first.json()["state"], first.json()["source"]) == ("suspected", "api")
    count = await house.centre.db.read(lambda s: s.scalar(select(func.count()).select_from(Incident)))
    assert count == 1
    assert (await api.post("/api/v1/incidents", json={**new, "code": "INC-99"}, headers=TOKEN)).status_code == 404
    shown = await api.get(f"/api/v1/incidents/{first.json()['id']}", headers=TOKEN)
    assert shown.json()["title"] == "二号炉停炉"
