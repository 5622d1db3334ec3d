"""Facts from the operator's own HTTP service (scripts/README.md shows a whole one).

GET  {base}/{table}?column=value        -> 200 {"rows": [{"column": value, …}, …]}; 404: no such table
     orders also with &moved_from=…&moved_before=… (ISO instants): those alone whose `trace_at`, else `ordered_at`, lies
     between -> {"rows": […], "moved": true}; without "moved" the service is taken not to know this
POST {base}/{table}  Idempotency-Key: …    {"key": {…}, "values": {…}}
     -> 200 {"done": true, "values": {…}} or {"done": false, "reason": {"zh": "…", "en": "…"}}
     404, 405 or 501: no such change
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

import httpx

from bot.core.facts import (
    MAX_ROWS,
    Change,
    Changed,
    Outcome,
    Question,
    Row,
    Span,
    TooManyError,
    moved_at,
    read_row,
)

MAX_BYTES = 5_000_000  # of one answer
MAX_REASON = 200  # characters
NO_SUCH_CHANGE = frozenset({404, 405, 501})


class TooLargeError(ValueError):
    """An answer of more than MAX_BYTES."""


@dataclass(frozen=True, slots=True)
class _Found:
    """An answer's rows; `heeded`: only those of the span that was asked for."""

    rows: tuple[Row, ...]
    heeded: bool


class HttpSource:
    """`base` is the address without a trailing slash; `token` goes along as a bearer token where it is given."""

    name = "http"

    def __init__(self, base: str, token: str, zone: tzinfo, timeout: float) -> None:
        self._base = base.rstrip("/")
        self._zone = zone
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.AsyncClient(headers=headers, timeout=timeout)
        self._heeds: bool | None = None  # whether it gives the orders of a span alone; None: not known yet

    async def ask(self, question: Question) -> tuple[Row, ...] | None:
        """None where the service knows no such table. Raises ConnectionError, and ValueError for an answer of another
        shape."""
        found = await self._rows(question, {})
        if found is not None and len(found.rows) > MAX_ROWS:
            raise ValueError(f"{question.table}: {len(found.rows)} rows, at most {MAX_ROWS}")
        return None if found is None else found.rows

    async def moved(self, question: Question, span: Span) -> tuple[Row, ...] | None:
        """As `ask`, of the orders that moved within the span. A service that does not say that it heeds spans is asked
        for all there are. Raises TooManyError too."""
        if self._heeds is not False:
            asked = {"moved_from": span.start.isoformat(), "moved_before": span.end.isoformat()}
            try:
                found = await self._rows(question, asked)
            except TooLargeError as error:
                if self._heeds:
                    raise TooManyError from error
                raise
            if found is None:
                return None
            self._heeds = found.heeded
            if found.heeded and len(found.rows) > MAX_ROWS:
                raise TooManyError
            if found.heeded:
                return tuple(row for row in found.rows if moved_at(row) in span)
        rows = await self.ask(question)
        return None if rows is None else tuple(row for row in rows if moved_at(row) in span)

    async def _rows(self, question: Question, besides: dict[str, str]) -> _Found | None:
        status, body = await self._send("GET", question.table, params={**dict(question.key), **besides})
        if status == 404:
            return None
        if status != 200:
            raise ConnectionError(f"HTTP {status}")
        rows = body.get("rows") if isinstance(body, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError(f'{question.table}: {{"rows": [{{…}}]}} is wanted, at most {MAX_ROWS}')
        return _Found(tuple(read_row(question.table, row, self._zone) for row in rows), body.get("moved") is True)

    async def change(self, change: Change) -> Changed:
        """Asked again once where no answer came: the idempotency key makes that harmless."""
        for _ in range(2):
            try:
                status, body = await self._send(
                    "POST",
                    change.table,
                    json={"key": dict(change.key), "values": dict(change.values)},
                    headers={"Idempotency-Key": change.idempotency_key},
                )
            except (ConnectionError, ValueError):
                continue
            if status in NO_SUCH_CHANGE:
                return Changed(Outcome.CANNOT)
            if status == 200 and isinstance(body, dict) and isinstance(body.get("done"), bool):
                return _changed(body)
        return Changed(Outcome.UNSURE)

    async def close(self) -> None:
        await self._client.aclose()

    async def _send(self, method: str, table: str, **what: Any) -> tuple[int, Any]:
        try:
            async with self._client.stream(method, f"{self._base}/{table}", **what) as response:
                body = b""
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise TooLargeError(f"{table}: more than {MAX_BYTES} bytes")
                good = response.status_code == 200
                return response.status_code, httpx.Response(200, content=body).json() if good else None
        except httpx.HTTPError as error:
            raise ConnectionError(type(error).__name__) from error


def _changed(body: dict[str, Any]) -> Changed:
    outcome = Outcome.TAKEN if body["done"] else Outcome.REFUSED
    return Changed(outcome, _texts(body.get("reason")), _texts(body.get("values")))


def _texts(given: Any) -> dict[str, str]:
    if not isinstance(given, dict):
        return {}
    return {str(name): str(value)[:MAX_REASON] for name, value in given.items() if isinstance(value, str | int)}
