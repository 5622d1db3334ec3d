"""The shipped engine, trained once a test process in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from nlu.embedded import ROOT, Embedded, load

DATA = ROOT / "nlu" / "data"


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def engine(model_dir: Path) -> Embedded:
    return load(DATA, model_dir)
