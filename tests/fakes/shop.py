"""A shop's own HTTP service, as scripts/README.md describes it; it can be slow, broken, odd or gone."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

TOKEN = "a shop's token"


class Shop(ThreadingHTTPServer):
    """`tables` are what it answers from; `asked` what it was asked, `changes` what was changed, by idempotency key."""

    daemon_threads = True

    def __init__(self, tables: Mapping[str, list[dict[str, Any]]]) -> None:
        super().__init__(("127.0.0.1", 0), _Door)
        self.tables = tables
        self.asked: list[str] = []
        self.posts: list[str] = []
        self.changes: dict[str, dict[str, Any]] = {}
        self.status = 200
        self.body: str | None = None  # said instead of the rows
        self.refusal: dict[str, str] | None = None
        self.heeds = True  # gives the orders of a span alone, and says so
        self.silent = False  # it takes the change, and its answer gets lost
        self.gate = threading.Event()  # cleared: answers wait until it is set
        self.gate.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


def _moved(order: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(order.get("trace_at") or order["ordered_at"])


class _Door(BaseHTTPRequestHandler):
    server: Shop

    def do_GET(self) -> None:
        shop = self.server
        where = urlsplit(self.path)
        shop.asked.append(self.path)
        shop.gate.wait(10)
        rows = shop.tables.get(where.path.strip("/"))
        wanted = dict(parse_qsl(where.query))
        if rows is None:
            self._answer(404, "{}")
            return
        said: dict[str, Any] = {}
        if shop.heeds and "moved_from" in wanted:
            start, end = (datetime.fromisoformat(wanted.pop(name)) for name in ("moved_from", "moved_before"))
            rows = [row for row in rows if start <= _moved(row) < end]
            said = {"moved": True}
        found = [row for row in rows if all(str(row.get(k)) == v for k, v in wanted.items())]
        self._answer(shop.status, shop.body or json.dumps({"rows": found, **said}))

    def do_POST(self) -> None:
        shop = self.server
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers["Idempotency-Key"]
        shop.posts.append(key)
        if shop.refusal:
            self._answer(200, json.dumps({"done": False, "reason": shop.refusal}))
            return
        shop.changes[key] = {"table": self.path.strip("/"), **asked}
        if shop.silent:
            self.close_connection = True
            return
        self._answer(200, json.dumps({"done": True, "values": {"code": "SHOP-1"}}))

    def _answer(self, status: int, text: str) -> None:
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            status, text = 401, "{}"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def serving(tables: Mapping[str, list[dict[str, Any]]]) -> Iterator[Shop]:
    """The shop, open for as long as the block runs."""
    with Shop(tables) as shop:
        thread = threading.Thread(target=shop.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield shop
        finally:
            shop.gate.set()
            shop.shutdown()
            thread.join()
