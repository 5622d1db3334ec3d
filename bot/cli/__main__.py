"""`python -m bot.cli` is `hotline`."""

from __future__ import annotations

from bot.cli import main

main()
