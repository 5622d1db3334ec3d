"""A carrier that only takes text messages and remembers when: Twilio's door for them, made to cost as little as can be.

Measurements want this; what Twilio says to wrong parameters, and its telephones, are tests/fakes/twilio.py's. Started
alone (`python -m tests.fakes.carrier PORT FILE`) it writes a line a message to FILE: when it came (seconds), to whom,
its segments, the delivery its report is wanted for; and one each time it is asked about a number: when, to whom, `?`,
how many messages it tells of. Every `lose`-th message is taken and its answer lost.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any, TextIO, cast
from urllib.parse import parse_qsl, urlsplit

import uvloop

from tests.fakes.twilio import NUMBER, SID, segments


@dataclass
class Carrier:
    """`log` gets a line a message; `taken` is what was sent to each number."""

    log: TextIO
    lose: int = 0
    count: int = 0
    began: int = field(default_factory=time.time_ns)  # no two carriers give the same names
    taken: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def take(self, form: dict[str, str]) -> dict[str, Any] | None:
        """A message; None where its answer is lost."""
        self.count += 1
        at = time.time()
        message = {
            "sid": f"SM{self.began:016x}{self.count:016x}",
            "account_sid": SID,
            "to": form["To"],
            "from": NUMBER,
            "body": form["Body"],
            "status": "queued",
            "date_created": formatdate(at, usegmt=False),
            "num_segments": str(segments(form["Body"])),
            "error_code": None,
        }
        self.taken[form["To"]].append(message)
        delivery = form.get("StatusCallback", "").rpartition("delivery=")[2]
        self.log.write(f"{at:.4f} {form['To']} {message['num_segments']} {delivery}\n")
        return None if self.lose and self.count % self.lose == 0 else message

    def tell(self, to: str) -> list[dict[str, Any]]:
        """What was sent to a number, the latest first."""
        found = self.taken.get(to, [])[::-1]
        self.log.write(f"{time.time():.4f} {to} ? {len(found)}\n")
        return found


class Door(asyncio.Protocol):
    """One connection; just enough HTTP/1.1."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            head = self._read[:end].lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0]) if b"content-length:" in head else 0
            if len(self._read) < end + 4 + length:
                return
            line, body = self._read[:end].split(b"\r\n")[0].decode(), self._read[end + 4 : end + 4 + length]
            self._read = self._read[end + 4 + length :]
            self._answer(*line.split(" ")[:2], body)

    def _answer(self, method: str, target: str, body: bytes) -> None:
        if method == "POST":
            answer: Any = self._carrier.take(dict(parse_qsl(body.decode())))
            if answer is None:
                self._transport.close()
                return
        else:
            to = dict(parse_qsl(urlsplit(target).query)).get("To", "")
            answer = {"messages": self._carrier.tell(to), "next_page_uri": None, "page": 0, "page_size": 50}
        content = json.dumps(answer).encode()
        status = b"201 Created" if method == "POST" else b"200 OK"
        self._transport.write(
            b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (status, len(content), content)
        )


async def serve(port: int, log: Path, lose: int) -> None:
    with log.open("w", buffering=1) as file:
        carrier = Carrier(file, lose)
        server = await asyncio.get_running_loop().create_server(lambda: Door(carrier), "127.0.0.1", port)
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0))
