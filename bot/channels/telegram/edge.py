"""The Bot API's edge: a client for any server of it, and what its errors mean for a delivery.

Honest limits (DESIGN §4): an error the Bot API itself words means that nothing was done; a lost answer means nobody
knows. (Source: Bot API documentation, "Making requests" and ResponseParameters.)
"""

from __future__ import annotations

from typing import Any

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    AiogramError,
    TelegramAPIError,
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.methods import TelegramMethod
from aiohttp import ClientConnectorError, ClientError, ClientResponseError

from bot.core.words import Rejected, TryLater, Unsure

PATIENCE = 20.0  # seconds one request may take
SOON = 5.0  # seconds after which a server in trouble is asked again
MISCONFIGURED = 300.0  # seconds; a revoked token is mended by a person
GONE = (
    "chat not found",
    "user is deactivated",
    "peer_id_invalid",
    "bot was kicked",
    "not enough rights",
    "user not found",
)


class RawUpdates(TelegramMethod[list[dict[str, Any]]]):
    """getUpdates, each update as it came: one that this aiogram cannot read must not hold up the others."""

    __returning__ = list[dict[str, Any]]
    __api_method__ = "getUpdates"

    offset: int | None = None
    limit: int | None = None
    timeout: int | None = None
    allowed_updates: list[str] | None = None


def connect(token: str, api: str) -> Bot:
    """A client; nothing is asked yet. Raises ValueError where the token is none."""
    session = AiohttpSession(api=TelegramAPIServer.from_base(api), timeout=PATIENCE)
    return Bot(token, session)


def meaning(error: Exception) -> Rejected | TryLater | Unsure:
    """What an error says about the request that met it."""
    match error:
        case TelegramRetryAfter(retry_after=after):
            return TryLater(float(after), "flood control")
        case TelegramUnauthorizedError() | TelegramNotFound():
            return TryLater(MISCONFIGURED, "the bot token is not accepted")
        case TelegramForbiddenError():
            return Rejected("the person has blocked the bot or left", unreachable=True)
        case TelegramBadRequest(message=said):
            return Rejected(said[:200], unreachable=any(word in said.casefold() for word in GONE))
        case TelegramServerError():
            return TryLater(SOON, "the server has a fault of its own")
        case TelegramNetworkError(__cause__=ClientConnectorError()):
            return TryLater(SOON, "the server cannot be reached")
        case ClientResponseError(status=404):
            return Rejected("the file is gone")
        case TelegramNetworkError():
            return Unsure("the answer was lost")
        case TelegramAPIError(message=said):
            return Rejected(said[:200])
    return Unsure(type(error).__name__)


FAULTS = (AiogramError, ClientError, OSError, TimeoutError)
"""What a request may raise."""
