"""What the commands share: the settings, the database, and how to say that something cannot be done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from bot import logs
from bot.settings import Settings, load_settings
from store.db import Database
from store.migrate import upgrade
from store.vault import Vault

WRONG = 2


def read_settings(**overrides: object) -> Settings:
    """The installation's settings; from here on logs hide its secrets."""
    settings = load_settings(**overrides)
    given = (settings.telegram_token, settings.twilio_auth_token, settings.secret, settings.api_token)
    logs.configure([each.get_secret_value() for each in given])
    return settings


@contextmanager
def database(settings: Settings) -> Iterator[Database]:
    upgrade(settings.database)
    opened = Database(settings.database, Vault(settings.kept_secret()))
    try:
        yield opened
    finally:
        opened.close()


def fail(message: str, code: int = 1) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)
