"""Every door of the house, mounted in one place."""

from __future__ import annotations

from fastapi import Depends, FastAPI

from bot.channels.voice import VoiceChannel
from bot.console import routes as console
from bot.console.door import visitor
from bot.core.words import ChannelName
from bot.services.calls.switchboard import Desk
from bot.services.centre import Centre
from bot.services.delivery.pace import PerAddress
from bot.web import api, chat, docs, files, health, look, notices, pages, phone, rest, webhooks


def mount(app: FastAPI, centre: Centre) -> None:
    """Puts the application's routes in place; a carrier's webhooks where it has any, the sandbox phone only
    where the sandbox carrier is in use."""
    look.Look(centre).install(app)
    app.state.rest_limiter = PerAddress(ChannelName.REST, centre.settings.redis_url)
    app.state.chat_limiter = PerAddress(ChannelName.WEBCHAT, centre.settings.redis_url)
    docs.install(app)
    for door in (health, pages, notices, chat, files, rest, api, console):
        app.include_router(door.router)
    if centre.settings.telegram and centre.settings.telegram_mode == "webhook":
        app.include_router(webhooks.router)
    voice = centre.channels.get(ChannelName.VOICE)
    reports = voice.routes(Desk(centre)) if isinstance(voice, VoiceChannel) else None
    if reports is not None:
        app.include_router(reports)
    app.state.has_phone = phone.in_use(centre)
    if app.state.has_phone:
        app.include_router(phone.router, dependencies=[Depends(visitor)])
