"""Every action a script may ask for is performed."""

from __future__ import annotations

from bot.core.actions import ACTIONS as TABLE
from bot.services.conversation.actions import ACTIONS


def test_the_services_perform_exactly_the_actions_of_the_table() -> None:
    assert set(ACTIONS) == set(TABLE)
