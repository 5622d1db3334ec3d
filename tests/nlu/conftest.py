"""The shipped engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from nlu.embedded import ROOT, Embedded, load

DATA = ROOT / "nlu" / "data"


@pytest.fixture(scope="session")
def engine(models: Path) -> Embedded:
    return load(DATA, models)
