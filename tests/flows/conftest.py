"""Golden transcripts: every .yml file here holds conversations, played against the shipped scripts.

`pytest tests/flows --update-golden` writes what was said; read the difference before committing it.
"""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the transcripts instead of comparing them")
