"""The house at an address of its own, for stories over real HTTP with event streams."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import uvicorn

from tests.fakes.house import House
from tests.fakes.people import Colleague, Customer


@pytest.fixture
async def address(house: House) -> AsyncIterator[str]:
    """Where the running house is reached."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(house.app, port=port, lifespan="off", log_level="error", timeout_graceful_shutdown=1)
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    server.force_exit = True
    with suppress(asyncio.CancelledError):
        await serving


@pytest.fixture
async def customer(address: str) -> AsyncIterator[Customer]:
    somebody = Customer(address)
    yield somebody
    await somebody.leaves()


@pytest.fixture
async def english_customer(address: str) -> AsyncIterator[Customer]:
    somebody = Customer(address, "en")
    yield somebody
    await somebody.leaves()


@pytest.fixture
async def agent(address: str, house: House) -> AsyncIterator[Colleague]:
    somebody = await Colleague(address).signs_in(house.centre, "agent")
    yield somebody
    await somebody.leaves()


@pytest.fixture
async def second_agent(address: str, house: House) -> AsyncIterator[Colleague]:
    somebody = await Colleague(address).signs_in(house.centre, "agent2")
    yield somebody
    await somebody.leaves()


@pytest.fixture
async def supervisor(address: str, house: House) -> AsyncIterator[Colleague]:
    somebody = await Colleague(address).signs_in(house.centre, "supervisor")
    yield somebody
    await somebody.leaves()
