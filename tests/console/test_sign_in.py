"""Who comes in by the console's door, and what the door keeps out (REQ-A22, G03)."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import select

from bot.core.words import Presence, Role
from bot.services.centre import Centre
from bot.services.staffing import sign_in
from bot.services.staffing import staff as staff_service
from bot.services.staffing.sign_in import SESSION_LIFE, TRIES_PER_NAME, Caller
from bot.services.staffing.staff import StaffRefusedError
from store.tables import AuditEntry, Staff, StaffSession
from tests.fakes.house import House
from tests.fakes.people import csrf_of

PASSWORD = "correct horse battery"
pytestmark = [pytest.mark.parametrize("database_url", ["sqlite"], indirect=True), pytest.mark.usefixtures("mei")]
FORM = {"accept": "text/html"}


@pytest.fixture
async def mei(house: House) -> Staff:
    """A supervisor with a password."""
    password_hash = staff_service.hash_password(PASSWORD)
    return await house.centre.db.write(
        lambda s: staff_service.create_staff(
            s, "Mei", "梅", [Role.SUPERVISOR], now=house.clock.now(), password_hash=password_hash
        )
    )


async def try_password(client: httpx.AsyncClient, password: str, username: str = "mei") -> httpx.Response:
    page = await client.get("/sign-in", headers=FORM)
    return await client.post(
        "/sign-in", data={"username": username, "password": password, "csrf": csrf_of(page.text)}, headers=FORM
    )


async def link_for(centre: Centre, staff_id: int) -> str:
    now, machine = centre.clock.now(), centre.clock.machine()
    return await centre.db.write(lambda s: sign_in.make_link(s, staff_id, now=now, machine=machine))


async def test_a_password_opens_the_console(house: House, client: httpx.AsyncClient, mei: Staff) -> None:
    answer = await try_password(client, PASSWORD)
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert (await client.get("/console")).status_code == 200
    stored = await house.centre.db.read(lambda s: s.scalars(select(StaffSession.token_hash)).all())
    assert client.cookies["hotline_session"] not in stored
    assert (await house.centre.db.read(lambda s: s.get_one(Staff, mei.id))).presence is Presence.ONLINE


async def test_a_wrong_password_and_an_unknown_name_are_refused_alike(client: httpx.AsyncClient) -> None:
    wrong = await try_password(client, "wrong")
    unknown = await try_password(client, "wrong", "nobody")
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert "用户名或密码不对" in wrong.text
    assert "用户名或密码不对" in unknown.text


async def test_tries_are_limited_and_the_limit_passes(house: House, client: httpx.AsyncClient) -> None:
    for _ in range(TRIES_PER_NAME):
        assert (await try_password(client, "wrong")).status_code == 401
    assert (await try_password(client, PASSWORD)).status_code == 429
    house.clock.skip(sign_in.ATTEMPT_SPAN + timedelta(seconds=1))
    assert (await try_password(client, PASSWORD)).status_code == 303


async def test_domain_time_does_not_lift_the_limit(house: House, client: httpx.AsyncClient) -> None:
    for _ in range(TRIES_PER_NAME):
        await try_password(client, "wrong")
    await house.advance(days=1)
    assert (await try_password(client, PASSWORD)).status_code == 429


async def test_a_session_ends_in_machine_time(house: House, client: httpx.AsyncClient) -> None:
    await try_password(client, PASSWORD)
    house.clock.skip(SESSION_LIFE)
    answer = await client.get("/console", headers=FORM)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/console")


async def test_looking_at_a_link_does_not_use_it(house: House, client: httpx.AsyncClient, mei: Staff) -> None:
    token = await link_for(house.centre, mei.id)
    for _ in range(3):
        page = await client.get(f"/sign-in/link/{token}")
        assert page.status_code == 200
    assert "hotline_session" not in client.cookies
    answer = await client.post(f"/sign-in/link/{token}", data={"csrf": csrf_of(page.text)})
    assert answer.status_code == 303
    assert (await client.get("/console")).status_code == 200


async def test_a_link_lets_in_exactly_once(house: House, mei: Staff) -> None:
    token = await link_for(house.centre, mei.id)
    now, machine = house.centre.clock.now(), house.centre.clock.machine()

    async def use() -> bool:
        try:
            await house.centre.db.write(lambda s: sign_in.sign_in_by_link(s, token, Caller(), now=now, machine=machine))
        except StaffRefusedError:
            return False
        return True

    assert sorted(await asyncio.gather(use(), use(), use())) == [False, False, True]


async def test_a_new_link_ends_the_old_one(house: House, client: httpx.AsyncClient, mei: Staff) -> None:
    old = await link_for(house.centre, mei.id)
    await link_for(house.centre, mei.id)
    assert (await client.get(f"/sign-in/link/{old}")).status_code == 410


async def test_a_change_needs_the_token_of_the_session(client: httpx.AsyncClient) -> None:
    await try_password(client, PASSWORD)
    for data in ({"presence": "away"}, {"presence": "away", "csrf": "guess"}):
        assert (await client.post("/console/presence", data=data)).status_code == 403
    page = await client.get("/console")
    data = {"presence": "away", "csrf": csrf_of(page.text)}
    assert (await client.post("/console/presence", data=data)).status_code == 303


async def test_a_foreign_form_cannot_sign_somebody_in(client: httpx.AsyncClient) -> None:
    answer = await client.post("/sign-in", data={"username": "mei", "password": PASSWORD, "csrf": "x"})
    assert answer.status_code == 403
    assert "hotline_session" not in client.cookies


@pytest.mark.parametrize("away", ["//evil.test", "https://evil.test", "/\\evil.test", "javascript:alert(1)", ""])
async def test_signing_in_leads_nowhere_else(client: httpx.AsyncClient, away: str) -> None:
    page = await client.get("/sign-in", params={"next": away})
    data = {"username": "mei", "password": PASSWORD, "csrf": csrf_of(page.text), "next": away}
    answer = await client.post("/sign-in", data=data)
    assert answer.headers["location"] == "/console"


async def test_signing_out_ends_the_session(house: House, client: httpx.AsyncClient, mei: Staff) -> None:
    await try_password(client, PASSWORD)
    cookie = client.cookies["hotline_session"]
    page = await client.get("/console")
    assert (await client.post("/sign-out", data={"csrf": csrf_of(page.text)})).status_code == 303
    machine = house.centre.clock.machine()
    assert await house.centre.db.read(lambda s: sign_in.signed_in(s, cookie, machine)) is None
    assert (await house.centre.db.read(lambda s: s.get_one(Staff, mei.id))).presence is Presence.OFFLINE
    done = await house.centre.db.read(
        lambda s: s.scalars(select(AuditEntry.action).where(AuditEntry.staff_id == mei.id)).all()
    )
    assert {"staff.sign_in", "staff.sign_out"} <= set(done)


async def test_who_is_shut_out_is_out_at_once(house: House, client: httpx.AsyncClient, mei: Staff) -> None:
    await try_password(client, PASSWORD)
    await house.centre.db.write(lambda s: staff_service.set_active(s, mei.id, False, now=house.clock.now()))
    assert (await client.get("/console")).status_code == 401
    assert (await try_password(client, PASSWORD)).status_code == 401


async def test_roles_keep_rooms_shut(client: httpx.AsyncClient) -> None:
    await try_password(client, PASSWORD)
    assert (await client.get("/console/audit")).status_code == 200
    answer = await client.get("/console/staff", headers=FORM)
    assert answer.status_code == 403
    assert "权限" in answer.text


async def test_the_last_administrator_stays(house: House) -> None:
    db, now = house.centre.db, house.clock.now()
    admin = await db.read(lambda s: staff_service.by_username(s, "admin"))
    assert admin is not None
    with pytest.raises(StaffRefusedError, match="last_administrator"):
        await db.write(lambda s: staff_service.set_active(s, admin.id, False, now=now))
    with pytest.raises(StaffRefusedError, match="last_administrator"):
        await db.write(lambda s: staff_service.set_roles(s, admin.id, [Role.AGENT], now=now))


@pytest.mark.parametrize(
    ("username", "name", "roles", "code"),
    [
        ("", "甲", [Role.AGENT], "username_bad"),
        ("two words", "甲", [Role.AGENT], "username_bad"),
        ("a" * 61, "甲", [Role.AGENT], "username_bad"),
        ("jia", " ", [Role.AGENT], "name_bad"),
        ("jia", "甲", [], "roles_missing"),
        ("AGENT", "甲", [Role.AGENT], "username_taken"),
    ],
)
async def test_wrong_staff_are_not_added(house: House, username: str, name: str, roles: list[Role], code: str) -> None:
    with pytest.raises(StaffRefusedError, match=code):
        await house.centre.db.write(
            lambda s: staff_service.create_staff(s, username, name, roles, now=house.clock.now())
        )
