"""Every door of the house, mounted in one place."""

from __future__ import annotations

from functools import cache

from fastapi import APIRouter, Depends, FastAPI

from bot.channels.voice import VoiceChannel
from bot.console import routes as console
from bot.console.door import visitor
from bot.core.words import ChannelName
from bot.services.calls.switchboard import Desk
from bot.services.centre import Centre
from bot.services.delivery.pace import Bound, PerAddress
from bot.web import api, chat, chat_files, docs, files, health, look, notices, pages, phone, rest, webhooks


@cache
def _doors() -> APIRouter:
    """Those of every house, in one router. FastAPI works out once what each route of a router asks for, and keeps it
    there: gathered here, that is once in a process that serves, not once an application, and never for a command that
    does not."""
    gathered = APIRouter()
    for door in (health, pages, notices, chat, chat_files, files, rest, api, console):
        gathered.include_router(door.router)
    return gathered


@cache
def _phone() -> APIRouter:
    """The sandbox phone, for the staff."""
    gathered = APIRouter(dependencies=[Depends(visitor)])
    gathered.include_router(phone.router)
    return gathered


def mount(app: FastAPI, centre: Centre) -> None:
    """Puts the application's routes in place; a carrier's webhooks where it has any, the sandbox phone only
    where the sandbox carrier is in use."""
    look.Look(centre).install(app)
    app.state.rest_limiter = PerAddress(ChannelName.REST, centre.settings.redis_url)
    app.state.chat_limiter = PerAddress(ChannelName.WEBCHAT, centre.settings.redis_url)
    app.state.network_limiter = Bound("chat network", centre.settings.redis_url)
    docs.install(app)
    app.router.routes.extend(_doors().routes)
    if centre.settings.telegram and centre.settings.telegram_mode == "webhook":
        app.include_router(webhooks.router)
    voice = centre.channels.get(ChannelName.VOICE)
    reports = voice.routes(Desk(centre)) if isinstance(voice, VoiceChannel) else None
    if reports is not None:
        app.include_router(reports)
    app.state.has_phone = phone.in_use(centre)
    if app.state.has_phone:
        app.router.routes.extend(_phone().routes)
