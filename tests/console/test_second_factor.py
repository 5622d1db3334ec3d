"""The second factor, the browsers somebody is signed in with, and being locked out."""

from __future__ import annotations

import dataclasses
import re
from datetime import timedelta
from pathlib import Path

import httpx
import pyotp
import pytest
from sqlalchemy import select

from bot.core.words import Presence, Role
from bot.services.library import Library
from bot.services.staffing import second_factor, sign_in
from bot.services.staffing import staff as staff_service
from bot.services.staffing.sign_in import HALF_WAY_LIFE, TRIES_PER_NAME
from bot.services.staffing.staff import StaffRefusedError, hash_password
from bot.settings import PACKS
from store.tables import AuditEntry, RecoveryCode, Staff
from tests.conftest import ROOT
from tests.fakes.desk import Desk
from tests.fakes.house import House
from tests.fakes.people import csrf_of

PASSWORD = "correct horse battery"
FORM = {"accept": "text/html"}
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
)
MINE = "/console/me/second-factor"


@pytest.fixture
async def lan(house: House) -> Staff:
    """An administrator with a password."""
    return await house.centre.db.write(
        lambda s: staff_service.create_staff(
            s, "lan", "兰", [Role.ADMINISTRATOR], now=house.clock.now(), password_hash=hash_password(PASSWORD)
        )
    )


async def come(client: httpx.AsyncClient, password: str = PASSWORD, browser: str = CHROME) -> httpx.Response:
    page = await client.get("/sign-in", headers=FORM)
    return await client.post(
        "/sign-in",
        data={"username": "lan", "password": password, "csrf": csrf_of(page.text)},
        headers={**FORM, "user-agent": browser},
    )


async def give(client: httpx.AsyncClient, code: str) -> httpx.Response:
    page = await client.get("/sign-in/code", headers=FORM)
    return await client.post("/sign-in/code", data={"code": code, "csrf": csrf_of(page.text)}, headers=FORM)


async def submit(client: httpx.AsyncClient, path: str, on: str, **form: str) -> httpx.Response:
    page = await client.get(on, headers=FORM)
    return await client.post(path, data={"csrf": csrf_of(page.text), **form}, headers=FORM)


class App:
    """The app on somebody's phone: it was shown the secret once, and has a clock of its own."""

    def __init__(self, page: str, house: House) -> None:
        found = re.search(r"<code>([A-Z2-7 ]+)</code>", page)
        assert found, page
        self._totp, self._house = pyotp.TOTP(found[1].replace(" ", "")), house

    @property
    def shows(self) -> str:
        return self._totp.at(self._house.clock.machine())

    def waits(self) -> str:
        """The next code."""
        self._house.clock.skip(timedelta(seconds=30))
        return self.shows


async def set_up(house: House, client: httpx.AsyncClient) -> tuple[App, list[str]]:
    """Signed in, and the second factor proved: the app, and the recovery codes."""
    assert (await come(client)).headers["location"] == "/console"
    page = (await client.get(MINE, headers=FORM)).text
    app = App(page, house)
    shown = await client.post(MINE, data={"csrf": csrf_of(page), "code": app.shows}, headers=FORM)
    assert shown.status_code == 200
    return app, re.findall(r"<code>(\w{5}-\w{5})</code>", shown.text)


async def test_with_a_second_factor_the_password_alone_lets_nobody_in(
    house: House, client: httpx.AsyncClient, lan: Staff
) -> None:
    app, codes = await set_up(house, client)
    assert len(set(codes)) == second_factor.RECOVERY_CODES
    client.cookies.clear()
    half = await come(client)
    assert (half.status_code, half.headers["location"]) == (303, "/sign-in/code?next=%2Fconsole")
    assert "hotline_session" not in client.cookies
    assert (await client.get("/console")).status_code == 401
    assert (await give(client, "000000")).status_code == 401
    assert (await give(client, app.waits())).headers["location"] == "/console"
    assert (await client.get("/console/me")).status_code == 200
    sealed = await house.centre.db.read(lambda s: s.get_one(Staff, lan.id).totp_sealed)
    assert sealed is not None
    stored = await house.centre.db.read(lambda s: s.scalars(select(RecoveryCode.code_hash)).all())
    assert not {code.replace("-", "") for code in codes} & set(stored)


@pytest.mark.usefixtures("lan")
async def test_a_code_is_taken_once(house: House, client: httpx.AsyncClient) -> None:
    app, _ = await set_up(house, client)
    client.cookies.clear()
    await come(client)
    code = app.waits()
    assert (await give(client, code)).status_code == 303
    client.cookies.clear()
    await come(client)
    assert (await give(client, code)).status_code == 401
    assert (await give(client, app.waits())).status_code == 303


@pytest.mark.usefixtures("lan")
async def test_a_recovery_code_stands_in_once(house: House, client: httpx.AsyncClient) -> None:
    _, codes = await set_up(house, client)
    for expected in (303, 401):
        client.cookies.clear()
        await come(client)
        assert (await give(client, codes[0].upper())).status_code == expected
    assert (await give(client, codes[1])).status_code == 303
    assert "还剩 8 个恢复码" in (await client.get("/console/me")).text


@pytest.mark.usefixtures("lan")
async def test_the_half_way_ends_with_time_and_guessing_is_limited(house: House, client: httpx.AsyncClient) -> None:
    app, _ = await set_up(house, client)
    client.cookies.clear()
    await come(client)
    house.clock.skip(HALF_WAY_LIFE + timedelta(seconds=1))
    late = await give(client, app.shows)
    assert late.status_code == 401
    assert "重新登录" in late.text
    await come(client)
    for _ in range(TRIES_PER_NAME):
        assert (await give(client, "000000")).status_code == 401
    assert (await give(client, app.waits())).status_code == 429


async def test_a_forged_half_way_is_none(house: House, client: httpx.AsyncClient, lan: Staff) -> None:
    app, _ = await set_up(house, client)
    client.cookies.clear()
    expires = int((house.clock.machine() + HALF_WAY_LIFE).timestamp())
    client.cookies.set("hotline_half_way", f"{lan.id}.{expires}.{'A' * 43}", path="/sign-in")
    assert (await give(client, app.waits())).status_code == 401


async def test_a_link_asks_for_the_code_too_and_the_administrator_can_take_it_away(
    house: House, client: httpx.AsyncClient, lan: Staff
) -> None:
    await set_up(house, client)
    client.cookies.clear()
    now, machine = house.clock.now(), house.clock.machine()
    token = await house.centre.db.write(lambda s: sign_in.make_link(s, lan.id, now=now, machine=machine))
    page = await client.get(f"/sign-in/link/{token}")
    answer = await client.post(f"/sign-in/link/{token}", data={"csrf": csrf_of(page.text)})
    assert answer.headers["location"].startswith("/sign-in/code")
    await Desk.of(house.centre, client, Role.ADMINISTRATOR)
    await submit(client, f"/console/staff/{lan.id}/second-factor/remove", "/console/staff")
    client.cookies.clear()
    assert (await come(client)).headers["location"] == "/console"
    done = await house.centre.db.read(lambda s: s.scalars(select(AuditEntry.action)).all())
    assert {"staff.set_second_factor", "staff.remove_second_factor"} <= set(done)


@pytest.mark.usefixtures("lan")
async def test_turning_it_off_wants_a_code(house: House, client: httpx.AsyncClient) -> None:
    app, _ = await set_up(house, client)
    refused = await submit(client, f"{MINE}/remove", "/console/me", code="123456")
    assert "said=code_wrong" in refused.headers["location"]
    await submit(client, f"{MINE}/remove", "/console/me", code=app.waits())
    assert "开启两步验证" in (await client.get("/console/me")).text


@pytest.mark.usefixtures("lan")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_role_may_be_made_to_set_it_up_first(house: House, client: httpx.AsyncClient, tmp_path: Path) -> None:
    (tmp_path / "policies.yml").write_text("sign_in: {second_factor: [administrator]}\n", "utf-8")
    strict = Library([ROOT / "scripts", ROOT / "scripts" / "demo", tmp_path], frozenset(PACKS), house.clock.now)
    house.app.state.centre = dataclasses.replace(house.centre, library=strict)
    await come(client)
    for path in ("/console/staff", "/console/me"):
        answer = await client.get(path, headers=FORM)
        assert (answer.status_code, answer.headers["location"]) == (303, MINE)
    page = (await client.get(MINE, headers=FORM)).text
    assert "您的角色要求两步验证" in page
    app = App(page, house)
    await client.post(MINE, data={"csrf": csrf_of(page), "code": app.shows}, headers=FORM)
    assert (await client.get("/console/staff", headers=FORM)).status_code == 200


async def test_one_sees_ones_browsers_and_signs_another_out(
    house: House, client: httpx.AsyncClient, lan: Staff
) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(house.app), base_url="http://hotline.test") as other:
        await come(
            other, browser="Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1"
        )
        await come(client)
        page = (await client.get("/console/me")).text
        assert "Chrome · Windows" in page
        assert "iOS" in page
        ends = re.findall(r"/console/me/sessions/\w+/end", page)
        assert len(ends) == 1  # not the one asking
        assert (await submit(client, ends[0], "/console/me")).status_code == 303
        assert (await other.get("/console/me")).status_code == 401
        assert (await client.get("/console/me")).status_code == 200
        assert (await house.centre.db.read(lambda s: s.get_one(Staff, lan.id))).presence is Presence.ONLINE
        assert (await submit(client, "/console/me/sessions/0123456789abcdef/end", "/console/me")).status_code == 404


@pytest.mark.usefixtures("lan")
async def test_a_browser_left_open_cannot_change_the_password(client: httpx.AsyncClient) -> None:
    await come(client)
    new = "quite another long sentence"
    refused = await submit(client, "/console/me/password", "/console/me", password=new, current="wrong")
    assert "said=password_wrong" in refused.headers["location"]
    await submit(client, "/console/me/password", "/console/me", password=new, current=PASSWORD)
    client.cookies.clear()
    assert (await come(client)).status_code == 401
    assert (await come(client, new)).status_code == 303


async def test_an_administrator_lets_somebody_try_again(house: House, client: httpx.AsyncClient, lan: Staff) -> None:
    for _ in range(TRIES_PER_NAME):
        await come(client, "wrong")
    assert (await come(client)).status_code == 429
    await Desk.of(house.centre, client, Role.ADMINISTRATOR)
    assert "登录已锁定" in (await client.get("/console/staff")).text
    await submit(client, f"/console/staff/{lan.id}/unlock", "/console/staff")
    assert "登录已锁定" not in (await client.get("/console/staff")).text
    client.cookies.clear()
    assert (await come(client)).status_code == 303


@pytest.mark.parametrize("password", ["12345678", "password", "qwertyuiop", "xiaoyun2026", "11111111111111"])
def test_what_is_easily_guessed_is_refused(password: str) -> None:
    with pytest.raises(StaffRefusedError, match="password_guessable"):
        hash_password(password, "xiaoyun", "小云")


def test_what_is_long_is_taken_however_long() -> None:
    words = "correct horse battery staple " * 6
    assert staff_service.password_is(hash_password(words), words)
    assert not staff_service.password_is(hash_password(words), words[:-1])
