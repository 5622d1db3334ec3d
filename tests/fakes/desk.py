"""Somebody of the staff at a browser: signed in, with the token every change must bring."""

from __future__ import annotations

import re

import httpx
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import Role
from bot.services.centre import Centre
from bot.services.staffing import sign_in
from store.tables import Staff, StaffRole
from tests.fakes.people import TOKEN, come_in

COLUMN = re.compile(r'<select name="column".*?</select>', re.S)
CHOSEN = re.compile(r'<option value="([^"]*)" selected>')


def columns_of(page: str) -> list[str]:
    """What the page of a list's draft says its columns are."""
    return [found[1] if (found := CHOSEN.search(each)) else "-" for each in COLUMN.findall(page)]


class Desk:
    """`client` carries the session's cookie."""

    def __init__(self, client: httpx.AsyncClient, person: Staff) -> None:
        self.client = client
        self.staff_id = person.id
        self._csrf = ""

    @classmethod
    async def of(cls, centre: Centre, client: httpx.AsyncClient, role: Role) -> Desk:
        """The demo's first holder of a role, come in by a one-time link."""

        def link(session: Session) -> tuple[Staff, str]:
            person = session.scalars(
                select(Staff).join(StaffRole).where(StaffRole.role == role).order_by(Staff.id).limit(1)
            ).one()
            now, machine = centre.clock.now(), centre.clock.machine()
            return person, sign_in.make_link(session, person.id, now=now, machine=machine)

        person, token = centre.db.write_now(link)
        client.cookies.clear()
        desk = cls(client, person)
        await come_in(client, token)
        return desk

    async def see(self, path: str, status: int = 200) -> str:
        """A page's HTML."""
        answer = await self.client.get(path, headers={"accept": "text/html"})
        assert answer.status_code == status, answer.text[:2000]
        if found := TOKEN.search(answer.text):
            self._csrf = found[1]
        return answer.text

    async def do(self, path: str, status: int = 303, files: dict[str, object] | None = None, **fields: object) -> str:
        """Sends a form; gives where it leads, or what it answers."""
        data: dict[str, object] = {
            "csrf": self._csrf,
            **{name: value if isinstance(value, list) else str(value) for name, value in fields.items()},
        }
        answer = await self.client.post(path, data=data, files=files)  # type: ignore[arg-type]
        assert answer.status_code == status, answer.text[:2000]
        return answer.headers.get("location", answer.text)
