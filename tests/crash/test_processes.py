"""`serve` by several processes: killed one by one or all at once, and stopped as an operator stops it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import httpx
import pytest

from tests.crash.conftest import Start
from tests.fakes.process import PATIENCE, Hotline

pytestmark = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)


@pytest.fixture
def two(hotline: Start) -> Hotline:
    program = hotline(processes="2")
    program.serve("--no-demo")
    return program


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


def answering(program: Hotline) -> dict[int, str]:
    """Who answers, by the process's number: each question is a caller of its own."""
    found = {}
    for _ in range(30):
        with suppress(httpx.TransportError):
            worker = httpx.get(f"{program.address}/readyz", timeout=10).json()["worker"]
            found[int(worker.split("-")[-2])] = worker
    return found


def test_callers_are_shared_out_and_who_dies_is_replaced(two: Hotline) -> None:
    until(lambda: len(answering(two)) == 2)
    before = answering(two)
    os.kill(min(before), signal.SIGKILL)
    until(lambda: len(answering(two)) == 2 and min(before) not in answering(two))
    assert max(before) in answering(two)
    assert "hotline_heartbeat_seconds" in httpx.get(f"{two.address}/metrics", timeout=10).text
    two.stop()
    assert two.ended() == 0
    assert not answering(two)


def test_nobody_outlives_the_first(two: Hotline) -> None:
    until(lambda: len(answering(two)) == 2)
    two.kill()
    until(lambda: not answering(two))
