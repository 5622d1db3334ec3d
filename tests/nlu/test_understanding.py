"""The asynchronous seam: a server that is asked first, and what happens when it is dead, slow or half-trained.

The server here is a real HTTP server in a thread that answers in Rasa's shape, or badly, as the test wishes.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from nlu.embedded import Embedded
from nlu.training import train
from nlu.understanding import Understanding
from tests.nlu.conftest import DATA

WITHIN = 0.3


class FakeRasa(ThreadingHTTPServer):
    """Answers /model/parse with `ranking`, after `delay` seconds, under `status`, or with `body` as it is."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ranking = [("no_heating", 0.7), ("ask_size", 0.2), ("out_of_scope", 0.1)]
        self.delay, self.status, self.body, self.asked = 0.0, 200, b"", 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: FakeRasa

    def do_POST(self) -> None:
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"]
        self.server.asked += 1
        time.sleep(self.server.delay)
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
    server.shutdown()
    server.server_close()
    thread.join()


def understanding(model_dir: Path, url: str) -> Understanding:
    return Understanding(DATA, model_dir, wanted="rasa", rasa_url=url)


@pytest.mark.usefixtures("engine")
async def test_the_server_names_the_intent_and_the_rest_is_found_here(rasa: FakeRasa, model_dir: Path) -> None:
    seam = understanding(model_dir, rasa.url)
    async with seam.running():
        parse = await seam.parse("3号楼2单元501，气死我了")
        assert (parse.intent, parse.engine) == ("no_heating", "rasa")
        assert parse.ranking == (("no_heating", pytest.approx(7 / 9)), ("ask_size", pytest.approx(2 / 9)))
        assert parse.first("unit").value == "3-2-501"  # type: ignore[union-attr] # fails rightly when there is none
        assert parse.emotion.anger == 2
        assert (await seam.parse("x", enabled=frozenset({"ask_size"}))).intent == "ask_size"
        assert (seam.health().ok, seam.health().engine) == (True, "rasa")


@pytest.mark.usefixtures("engine")
async def test_answers_to_an_open_question_and_fallbacks_are_respected(rasa: FakeRasa, model_dir: Path) -> None:
    seam = understanding(model_dir, rasa.url)
    async with seam.running():
        rasa.ranking = [("call_back_later", 0.6), ("greet", 0.4)]
        assert (await seam.parse("在忙")).intent == "greet"
        assert (await seam.parse("在忙", expecting=frozenset({"call_back_later"}))).intent == "call_back_later"
        rasa.ranking = [("nlu_fallback", 0.7), ("greet", 0.2)]
        assert (await seam.parse("blah")).intent == ""
        rasa.ranking = [("out_of_scope", 0.7), ("greet", 0.2)]
        assert (await seam.parse("blah")).intent == ""


BROKEN: dict[str, dict[str, Any]] = {
    "slow": {"delay": 1.0},
    "without a model": {"status": 409, "body": b"{}"},
    "failing": {"status": 500},
    "talking nonsense": {"body": b"<html>"},
    "of another shape": {"body": b'{"intent_ranking": [{"x": 1}], "text": "a"}'},
    "half-trained": {"ranking": [("something_else", 0.9)]},
}


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("how", BROKEN.values(), ids=BROKEN.keys())
async def test_a_server_that_fails_is_replaced_at_once_and_taken_back(
    rasa: FakeRasa, model_dir: Path, how: dict[str, Any]
) -> None:
    seam = understanding(model_dir, rasa.url)
    healthy = {name: getattr(rasa, name) for name in how}
    async with seam.running():
        for name, value in how.items():
            setattr(rasa, name, value)
        with capture_logs() as logs:
            started = time.perf_counter()
            parse = await seam.parse("家里暖气片冰凉")
            assert time.perf_counter() - started < WITHIN
            assert (parse.intent, parse.engine) == ("no_heating", "embedded")
            for _ in range(3):
                await seam.parse("你好")
        assert [entry["event"] for entry in logs] == ["understanding.fell_back"]
        health = seam.health()
        assert (health.ok, health.engine, health.wanted) == (False, "embedded", "rasa")
        assert health.detail
        for name, value in healthy.items():
            setattr(rasa, name, value)
        async with asyncio.timeout(10):
            while not seam.health().ok:
                await asyncio.sleep(0.05)
        assert (await seam.parse("你好")).engine == "rasa"


@pytest.mark.usefixtures("engine")
async def test_no_server_at_all(model_dir: Path) -> None:
    seam = understanding(model_dir, "http://127.0.0.1:9")
    async with seam.running():
        assert not seam.health().ok
        assert (await seam.parse("你好")).engine == "embedded"


async def test_new_examples_are_live_after_training_without_a_restart(
    engine: Embedded, model_dir: Path, tmp_path: Path
) -> None:
    cache, own = tmp_path / "cache", tmp_path / "own.tsv"
    shutil.copytree(model_dir, cache)
    seam = Understanding(DATA, cache, (own,))
    async with seam.running():
        before = await seam.parse("我的小猫饿了要吃罐头")
        own.write_text("我的小猫饿了\tfeed_cat\n猫要吃罐头\tfeed_cat\n给猫咪买罐头\tfeed_cat\n", "utf-8")
        assert not seam.reload()  # written, but not trained yet
        train(DATA, cache, (own,))
        assert seam.reload()
        assert not seam.reload()
        after = await seam.parse("我的小猫饿了要吃罐头")
        assert (before.ranking[0][0] != "feed_cat", after.ranking[0][0]) == (True, "feed_cat")
        assert (await seam.parse("我要退款")).intent == engine.parse("我要退款").intent
