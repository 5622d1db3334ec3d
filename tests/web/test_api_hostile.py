"""Requests nobody sane would make, made up from the API's own description: a clear 4xx each time, never a 5xx."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fakes.house import House

TOKEN = {"Authorization": "Bearer a token for tests"}
WORDS = st.text(max_size=60) | st.sampled_from(
    ["", " ", "\x00", "\ud800", "'; DROP TABLE contact; --", "<b>", "٣", "1e400"]
)
NUMBERS = st.integers() | st.sampled_from([0, -1, 2**31, 2**53, 2**63, 2**64, 10**40])
INSTANTS = st.sampled_from(
    ["2026-07-01T10:00:00+08:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "2026-02-30T00:00:00Z", "24:00"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.floats(allow_nan=False, allow_infinity=False) | WORDS | INSTANTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
GOOD: dict[str, dict[str, Any]] = {
    "/contacts": {
        "phone": "13900010001",
        "name": "王秀英",
        "not_before": "09:00",
        "segments": ["key_account"],
        "tags": ["独居"],
    },
    "/contacts/lookup": {"phone": "13900010001"},
    "/contacts/1/consents": {"scope": "marketing", "granted": True},
    "/events": {
        "external_id": "1",
        "kind": "visited_no_purchase",
        "phone": "13900010001",
        "name": "王秀英",
        "happened_at": "2026-07-01T09:00:00+08:00",
        "timezone": "Asia/Shanghai",
    },
    "/callbacks": {"contact_id": 1, "external_id": "1", "wish": "2026-07-02T10:00:00+08:00", "topic": "账单"},
    "/callbacks/1/cancel": {"revision": 0, "why": ""},
    "/cases": {"contact_id": 1, "kind": "complaint", "subject": "暖气不热"},
    "/broadcasts": {"incident_id": 1, "author": "supervisor", "everybody": True, "text_zh": "停暖", "text_en": "Off"},
}


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
@pytest.mark.parametrize("path", list(GOOD))
async def test_no_body_makes_the_api_stumble(house: House, path: str) -> None:
    fields = GOOD[path]

    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
        database=None,
    )
    @given(changed=st.dictionaries(st.sampled_from([*fields, "surprise"]), VALUES, min_size=1, max_size=3))
    def ask(changed: dict[str, Any]) -> None:
        bodies.append({**fields, **changed})

    bodies: list[Any] = []
    await asyncio.to_thread(ask)
    for body in bodies:
        answer = await _post(house.client, path, body)
        assert answer.status_code < 500, body


async def _post(client: httpx.AsyncClient, path: str, body: Any) -> httpx.Response:
    content = json.dumps(body).encode()
    return await client.post(f"/api/v1{path}", content=content, headers={**TOKEN, "content-type": "application/json"})
