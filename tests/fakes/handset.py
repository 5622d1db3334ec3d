"""A sandbox phone in a test's hand: what the page does, by HTTP, without a browser."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from bot.core.telephone import CallState
from bot.core.twiml import Gather
from bot.services.sandbox import sandbox, sandbox_rows
from bot.services.sandbox.sandbox import Screen
from tests.fakes.house import House


@dataclass
class Handset:
    """`heard()` gives what was said since it was last asked, as the page's transcript has it."""

    house: House
    number: str
    url: str
    _seen: dict[int, int] = field(default_factory=dict)

    @classmethod
    async def of(cls, house: House, number: str) -> Handset:
        answer = await house.client.post("/phone", data={"number": number})
        assert answer.status_code == 303, answer.text
        return cls(house, number, answer.headers["location"])

    async def screen(self) -> Screen:
        blind = sandbox_rows.phone(self.house.centre.db.vault, self.number)
        return await self.house.centre.db.read(lambda s: sandbox.screen(s, blind))

    async def state(self) -> CallState | None:
        call = (await self.screen()).call
        return call.state if call else None

    async def heard(self) -> list[str]:
        call = (await self.screen()).call
        assert call is not None
        lines = call.script.get("lines", [])
        fresh = lines[self._seen.get(call.id, 0) :]
        self._seen[call.id] = len(lines)
        return [line["text"] for line in fresh if line["who"] == "them"]

    async def texts(self) -> list[tuple[str, str]]:
        return [(t.direction, t.text) for t in (await self.screen()).texts]

    async def dial(self) -> None:
        await self._post("dial")

    async def answer(self) -> None:
        await self._post(f"calls/{await self._call()}/answer")

    async def hang_up(self) -> None:
        await self._post(f"calls/{await self._call()}/hang-up")

    async def press(self, digits: str) -> None:
        await self._next(digits=digits)

    async def say(self, words: str) -> None:
        await self._next(speech=words)

    async def silence(self) -> None:
        """Hears the passage out and says nothing."""
        await self._next()

    async def listen(self) -> None:
        """Hears everything until the phone listens, or the call is over."""
        for _ in range(10):
            screen = await self.screen()
            if screen.call is None or screen.call.state is not CallState.IN_PROGRESS:
                return
            if screen.passage is not None and isinstance(screen.passage.then, Gather):
                return
            await self._next()

    async def text(self, words: str, client_id: str = "") -> None:
        await self._post("texts", {"text": words, "client_id": client_id or secrets.token_hex(8)})

    async def _call(self) -> int:
        call = (await self.screen()).call
        assert call is not None, "the phone has no call"
        return call.id

    async def _next(self, **heard: str) -> None:
        call = (await self.screen()).call
        assert call is not None
        await self._post(f"calls/{call.id}/next", {"step": call.sequence, **heard})

    async def _post(self, path: str, body: dict[str, object] | None = None) -> None:
        answer = await self.house.client.post(f"{self.url}/{path}", json=body or {})
        assert answer.status_code < 300, answer.text
