"""The people of a story, each at their own browser: customers in the chat, staff at the console. Over real HTTP."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import httpx
from sqlalchemy import select

from bot.services.centre import Centre
from bot.services.staffing import sign_in
from store.tables import Staff

TOKEN = re.compile(r'name="csrf" value="([^"]+)"')
OURS = {"X-Hotline-Chat": "1"}
PATIENCE = 60.0  # seconds a busy machine may take


class Customer:
    """Somebody at the chat page. `lines` asks the page's event stream, as the page does after a reload."""

    def __init__(self, address: str, language: str = "zh") -> None:
        self._client = httpx.AsyncClient(base_url=address, timeout=PATIENCE, params={"lang": language})
        self._numbers = itertools.count(1)

    async def comes(self) -> None:
        await self._client.get("/chat")
        await self._client.post("/chat/open", headers=OURS)

    async def writes(self, text: str, *, client_id: str | None = None, payload: str | None = None) -> dict[str, Any]:
        """Sends a line; the same `client_id` is the same line again."""
        body = {"text": text, "client_id": client_id or f"line-{next(self._numbers)}", "payload": payload}
        answer = await self._client.post("/chat/messages", json=body, headers=OURS)
        assert answer.status_code == 200, answer.text
        given: dict[str, Any] = answer.json()
        return given

    async def sends(self, content: bytes, name: str, words: str = "", *, client_id: str | None = None) -> None:
        """Sends a file with what is written to it; the same `client_id` is the same line again."""
        form = {"client_id": client_id or f"line-{next(self._numbers)}", "text": words}
        answer = await self._client.post("/chat/files", data=form, files={"file": (name, content)}, headers=OURS)
        assert answer.status_code == 200, answer.text

    async def opens(self, path: str) -> httpx.Response:
        """Something of the page's, with the visitor's cookie."""
        return await self._client.get(path)

    async def lines(self, after: str = "") -> list[dict[str, Any]]:
        """Every line behind `after` ("<conversation>:<seq>"), as the stream gives them before its first state."""
        return (await self._read(after))[0]

    async def state(self) -> dict[str, Any]:
        """Who holds the conversation now."""
        return (await self._read(""))[1]

    async def texts(self) -> list[str]:
        return [line["text"] for line in await self.lines()]

    async def _read(self, after: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        lines: list[dict[str, Any]] = []
        async with self._client.stream("GET", "/chat/events", params={"after": after}) as stream:
            event = ""
            async for row in stream.aiter_lines():
                name, _, value = row.partition(": ")
                if name == "event":
                    event = value
                elif name == "data" and event == "line":
                    lines.append(json.loads(value))
                elif name == "data" and event == "state":
                    return lines, json.loads(value)
        raise AssertionError("the stream ended before it told the state")

    async def leaves(self) -> None:
        await self._client.aclose()


class Colleague:
    """Somebody of the staff, signed in at the console by a one-time link."""

    def __init__(self, address: str) -> None:
        self.client = httpx.AsyncClient(base_url=address, timeout=PATIENCE, params={"lang": "zh"})
        self.staff_id = 0

    async def signs_in(self, centre: Centre, username: str) -> Colleague:
        now, machine = centre.clock.now(), centre.clock.machine()
        self.staff_id = await centre.db.read(
            lambda s: s.scalars(select(Staff.id).where(Staff.username == username)).one()
        )
        token = await centre.db.write(lambda s: sign_in.make_link(s, self.staff_id, now=now, machine=machine))
        await come_in(self.client, token)
        return self

    async def sees(self, path: str) -> str:
        """A page of the console."""
        page = await self.client.get(path)
        assert page.status_code == 200, f"{page.status_code} at {path}"
        return page.text

    async def does(self, path: str, *, on: str = "/console/audit", **form: Any) -> httpx.Response:
        """Submits a form; `on` is the page it stands on."""
        page = await self.client.get(on)
        return await self.client.post(path, data={"csrf": csrf_of(page.text), **form})

    async def leaves(self) -> None:
        await self.client.aclose()


async def come_in(client: httpx.AsyncClient, token: str) -> None:
    """By a one-time link; `client` carries the session's cookie afterwards."""
    page = await client.get(f"/sign-in/link/{token}")
    answer = await client.post(f"/sign-in/link/{token}", data={"csrf": csrf_of(page.text)})
    assert answer.status_code == 303, answer.text


def csrf_of(page: str) -> str:
    """The token a page's forms carry."""
    found = TOKEN.search(page)
    assert found, f"the page has no form: {page[:2000]}"
    return found[1]
