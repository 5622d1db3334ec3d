"""Where Telegram brings updates: POST /telegram/webhook, known by its secret token.

200 is said only after the commit; 503 asks Telegram to bring it again. (Source: Bot API documentation, "setWebhook",
header X-Telegram-Bot-Api-Secret-Token.)
"""

from __future__ import annotations

import json

from fastapi import APIRouter, Request
from starlette.responses import Response

from bot.core.arrivals import NotNow, Receives
from bot.services.centre import Centre
from bot.services.staffing.sign_in import same_token
from bot.web.bodies import read_at_most

TELEGRAM = "/telegram/webhook"
HEADER = "x-telegram-bot-api-secret-token"
MAX_BODY = 1024 * 1024  # bytes; an update is a few kilobytes

router = APIRouter(include_in_schema=False)


def secret(centre: Centre) -> str:
    """What Telegram proves itself with; made of the installation's own secret, the same in every process."""
    return centre.db.vault.blind("telegram webhook", str(centre.settings.public_url))


@router.post(TELEGRAM)
async def take(request: Request) -> Response:
    if not same_token(request.headers.get(HEADER, ""), secret(request.app.state.centre)):
        return Response(status_code=401)
    body = await read_at_most(request, MAX_BODY)
    if body is None:
        return Response(status_code=413)
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError):
        return Response(status_code=400)
    if not isinstance(raw, dict):
        return Response(status_code=400)
    receiver: Receives = request.app.state.telegram.receiver
    try:
        await receiver.receive(raw)
    except NotNow:
        return Response(status_code=503)
    return Response(status_code=200)
