"""A real Rasa server: installed, trained on a few intents of the own catalogue, started, asked by the seam.

Runs where HOTLINE_RASA_HOME names a folder for its environment (2.5 GB, some minutes):
`HOTLINE_RASA_HOME=.hotline/rasa uv run pytest tests/nlu/test_rasa.py`. HOTLINE_RASA_EPOCHS says how many (default 4).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from nlu import rasa_project
from nlu.embedded import ROOT, Embedded, answer_only
from nlu.engine import OUT_OF_SCOPE
from nlu.examples import Example, read
from nlu.understanding import Understanding
from tests.nlu.conftest import DATA

BUSY = 10.0
"""Seconds an answer may take here: a test machine trains and serves at once."""

HOME = os.environ.get("HOTLINE_RASA_HOME")
needs_rasa = pytest.mark.skipif(not HOME, reason="HOTLINE_RASA_HOME names no folder for Rasa's environment")


def test_the_domain_is_of_the_same_data() -> None:
    intents = [example.intent for example in read(DATA)]
    assert rasa_project.DOMAIN.read_text("utf-8") == rasa_project.domain(intents)


def test_the_number_of_epochs_is_configurable() -> None:
    assert "epochs: 3 " in rasa_project.config(3)
    assert rasa_project.config(100) == rasa_project.CONFIG.read_text("utf-8")


def test_the_training_file_reads_back(tmp_path: Path) -> None:
    examples = read(DATA)
    (tmp_path / "nlu.yml").write_text(rasa_project.training_file(examples), "utf-8")
    assert {(e.text, e.intent) for e in read(tmp_path)} == {(" ".join(e.text.split()), e.intent) for e in examples}


def of_few(examples: Sequence[Example]) -> list[Example]:
    """Those of ten intents: on all of them, an epoch of DIET takes minutes."""
    few = sorted({example.intent for example in read(DATA)} - {OUT_OF_SCOPE})[:10]
    return [example for example in examples if example.intent in few]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    home = Path(HOME or "").resolve()
    rasa_project.install(home)
    model = rasa_project.train(home, of_few(read(DATA)), int(os.environ.get("HOTLINE_RASA_EPOCHS", "4")))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with rasa_project.serving(home, model, port) as (url, _):
        yield url


@needs_rasa
@pytest.mark.usefixtures("engine")
async def test_held_out_texts_are_understood_through_rasa(server: str, models: Path) -> None:
    seam = Understanding(DATA, models, wanted="rasa", rasa_url=server, patience=BUSY)
    answers = answer_only(DATA)
    tests = of_few(read(ROOT / "nlu" / "tests"))
    async with seam.running():
        assert seam.health().ok, seam.health().detail
        parses = [await seam.parse(e.text, expecting=answers & {e.intent}) for e in tests]
        assert seam.health().ok, seam.health().detail
    assert {parse.engine for parse in parses} == {"rasa"}
    right = sum(p.ranking[0][0] == e.intent for p, e in zip(parses, tests, strict=True))
    assert right / len(tests) >= 0.3  # after so few epochs


@needs_rasa
async def test_hostile_texts_through_rasa(server: str, engine: Embedded, models: Path) -> None:
    seam = Understanding(DATA, models, wanted="rasa", rasa_url=server, patience=BUSY)
    async with seam.running():
        for text in ("", "😀😀", "退款" * 5000, "\x00\x01", "帮我check一下order"):
            assert (await seam.parse(text)).text == text
    assert engine.parse("").intent == ""
