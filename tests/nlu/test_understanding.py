"""The asynchronous seam: a server that is asked first, and what happens when it is dead, slow or half-trained.

The server here is a real HTTP server in a thread that answers in Rasa's shape, or badly, as the test wishes.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from nlu.training import train
from nlu.understanding import Understanding
from tests.nlu.conftest import DATA
from tests.nlu.test_evaluation import TRAIN, write

BUSY = 30.0  # seconds a machine with other work may take for what takes a moment
SHORT = 2.0  # seconds a server that does not answer is waited for


class FakeRasa(ThreadingHTTPServer):
    """Answers /model/parse with `ranking`, under `status`, or with `body` as it is; not before it is `awake`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ranking = [("no_heating", 0.7), ("ask_size", 0.2), ("out_of_scope", 0.1)]
        self.status, self.body, self.asked = 200, b"", 0
        self.awake = threading.Event()
        self.awake.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: FakeRasa

    def do_POST(self) -> None:
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"]
        self.server.asked += 1
        self.server.awake.wait()
        rows = [{"name": name, "confidence": share} for name, share in self.server.ranking]
        answer: dict[str, Any] = {"text": text, "intent": rows[0], "intent_ranking": rows, "entities": []}
        body = self.server.body or json.dumps(answer).encode()
        try:
            self.send_response(self.server.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            pass  # whoever asked did not wait

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        pass


@pytest.fixture
def rasa() -> Iterator[FakeRasa]:
    server = FakeRasa()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.awake.set()
    server.shutdown()
    server.server_close()
    thread.join()


def understanding(models: Path, url: str, patience: float = BUSY) -> Understanding:
    return Understanding(DATA, models, wanted="rasa", rasa_url=url, patience=patience)


async def test_the_server_names_the_intent_and_the_rest_is_found_here(rasa: FakeRasa, models: Path) -> None:
    seam = understanding(models, rasa.url)
    async with seam.running():
        parse = await seam.parse("3号楼2单元501，气死我了")
        assert (parse.intent, parse.engine) == ("no_heating", "rasa")
        assert parse.ranking == (("no_heating", pytest.approx(7 / 9)), ("ask_size", pytest.approx(2 / 9)))
        assert parse.first("unit").value == "3-2-501"  # type: ignore[union-attr] # fails rightly when there is none
        assert parse.emotion.anger == 2
        assert (await seam.parse("x", enabled=frozenset({"ask_size"}))).intent == "ask_size"
        assert (seam.health().ok, seam.health().engine) == (True, "rasa")


async def test_answers_to_an_open_question_and_fallbacks_are_respected(rasa: FakeRasa, models: Path) -> None:
    seam = understanding(models, rasa.url)
    async with seam.running():
        rasa.ranking = [("call_back_later", 0.6), ("greet", 0.4)]
        assert (await seam.parse("在忙")).intent == "greet"
        assert (await seam.parse("在忙", expecting=frozenset({"call_back_later"}))).intent == "call_back_later"
        rasa.ranking = [("nlu_fallback", 0.7), ("greet", 0.2)]
        assert (await seam.parse("blah")).intent == ""
        rasa.ranking = [("out_of_scope", 0.7), ("greet", 0.2)]
        assert (await seam.parse("blah")).intent == ""


BROKEN: dict[str, dict[str, Any]] = {
    "without a model": {"status": 409, "body": b"{}"},
    "failing": {"status": 500},
    "talking nonsense": {"body": b"<html>"},
    "of another shape": {"body": b'{"intent_ranking": [{"x": 1}], "text": "a"}'},
    "half-trained": {"ranking": [("something_else", 0.9)]},
}


@pytest.mark.parametrize("how", BROKEN.values(), ids=BROKEN.keys())
async def test_a_server_that_fails_is_replaced_at_once_and_taken_back(
    rasa: FakeRasa, models: Path, how: dict[str, Any]
) -> None:
    seam = understanding(models, rasa.url)
    healthy = {name: getattr(rasa, name) for name in how}
    async with seam.running():
        for name, value in how.items():
            setattr(rasa, name, value)
        await falls_back(seam)
        for name, value in healthy.items():
            setattr(rasa, name, value)
        await taken_back(seam)


async def test_a_server_that_does_not_answer_is_not_waited_for(rasa: FakeRasa, models: Path) -> None:
    seam = understanding(models, rasa.url, SHORT)
    async with seam.running():
        rasa.awake.clear()
        await falls_back(seam)
        rasa.awake.set()
        await taken_back(seam)


async def falls_back(seam: Understanding) -> None:
    """The next parse is ours, and those after it are too; that it is so is told once."""
    with capture_logs() as logs:
        parse = await seam.parse("家里暖气片冰凉")
        assert (parse.intent, parse.engine) == ("no_heating", "embedded")
        for _ in range(3):
            await seam.parse("你好")
    assert [entry["event"] for entry in logs] == ["understanding.fell_back"]
    health = seam.health()
    assert (health.ok, health.engine, health.wanted) == (False, "embedded", "rasa")
    assert health.detail


async def taken_back(seam: Understanding) -> None:
    async with asyncio.timeout(BUSY):
        while not seam.health().ok:
            await asyncio.sleep(0.05)
    assert (await seam.parse("你好")).engine == "rasa"


async def test_no_server_at_all(models: Path) -> None:
    seam = understanding(models, "http://127.0.0.1:9")
    async with seam.running():
        assert not seam.health().ok
        assert (await seam.parse("你好")).engine == "embedded"


async def test_new_examples_are_live_after_training_without_a_restart(
    tmp_path: Path,
) -> None:
    data, cache, own = tmp_path / "data", tmp_path / "cache", tmp_path / "own.tsv"
    data.mkdir()
    write(data / "a.tsv", TRAIN)
    seam = Understanding(data, cache, (own,))
    async with seam.running():
        before = await seam.parse("我的小猫饿了要吃罐头")
        own.write_text("我的小猫饿了\tfeed_cat\n猫要吃罐头\tfeed_cat\n给猫咪买罐头\tfeed_cat\n", "utf-8")
        assert not seam.reload()  # written, but not trained yet
        train(data, cache, (own,))
        assert seam.reload()
        assert not seam.reload()
        after = await seam.parse("我的小猫饿了要吃罐头")
        assert (before.ranking[0][0] != "feed_cat", after.ranking[0][0]) == (True, "feed_cat")
