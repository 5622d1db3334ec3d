"""The composition root: the only place that builds concrete things and hands them to the doors (DESIGN §1)."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import structlog
from fastapi import FastAPI
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from bot.channels import telegram
from bot.channels.carrier import Carrier
from bot.channels.sandbox import SandboxCarrier
from bot.channels.sms import SmsChannel
from bot.channels.twilio.carrier import Account, TwilioCarrier
from bot.channels.voice import VoiceChannel
from bot.channels.webchat import PageChannel
from bot.clock import Clock, RehearsalClock
from bot.core.arrivals import Moved
from bot.core.words import Channel, ChannelName, Closes
from bot.reports import delivery, exporting
from bot.services import demo, demo_week, reload, sealing, watch
from bot.services.calls import unreported
from bot.services.centre import Centre
from bot.services.conversation import branches, media, messenger, polling
from bot.services.delivery import outbox
from bot.services.facts import fact_sources
from bot.services.heartbeat import Errand, Heartbeat
from bot.services.incidents import drills
from bot.services.library import Library
from bot.services.plans import happenings, next_steps, plan_owners
from bot.services.records import disposals, privacy_requests
from bot.services.sandbox import sandbox
from bot.settings import Settings
from bot.web import doors, webhooks
from nlu.understanding import Understanding
from store.db import Database
from store.migrate import upgrade
from store.vault import Vault

log = structlog.get_logger()
ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "scripts"
TRAINING = ROOT / "nlu" / "data"
HOURLY = 3600.0


def build(settings: Settings, *, clock: Clock | None = None, with_demo: bool | None = None) -> Centre:
    """Everything a process needs, with the database up to date. `with_demo` None: only into an empty default database.

    Raises what the loader, the policies or the database say; nothing is served then.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    upgrade(settings.database)
    clock = clock or _clock(settings)
    database = Database(settings.database, Vault(settings.kept_secret()))
    fresh = _load_demo(settings, database, clock, with_demo)
    library = Library(
        script_roots(settings, demonstrates=bool(database.read_now(demo.accounts))),
        settings.packs,
        clock.now,
        zone=settings.timezone,
        language=settings.language,
    )
    database.write_now(lambda session: library.keep(session, clock.now()))
    centre = Centre(
        settings=settings,
        clock=clock,
        db=database,
        library=library,
        understanding=_understanding(settings),
        facts=fact_sources.connect(settings, library),
        channels=_channels(settings, database, clock, library),
        worker=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}",
    )
    if fresh:
        database.write_now(lambda session: demo_week.load(session, centre, clock.now()))
    return centre


def create_app(centre: Centre, *, heartbeat: bool = True) -> FastAPI:
    """The web application over a built centre; it owns the centre's life from start-up to shutdown."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        beat = Heartbeat(
            centre,
            (
                Errand("watch", watch.sweep),
                Errand("unreported_calls", unreported.look),
                Errand("daily_report", delivery.daily),
                Errand("next_steps", next_steps.remind),
                Errand("exports", exporting.make, exporting.EVERY),
                Errand("privacy_requests", privacy_requests.carry_out, exporting.EVERY),
                Errand("audit_seal", sealing.Sealer().round, sealing.EVERY),
                Errand("trained_model", _take_over_model),
                Errand("edited_scripts", reload.Follower().look, reload.EVERY),
                Errand("plan_owners", plan_owners.look, plan_owners.EVERY),
                Errand("happenings", happenings.Lookout().look, happenings.EVERY),
                Errand("drills", drills.look, HOURLY),
                Errand("due_records", disposals.look),
                Errand("disposals", disposals.carry_out, disposals.EVERY),
                Errand("old_passages", _forget_passages, HOURLY),
            ),
        )
        app.state.heartbeat = beat
        async with centre.live.running(), centre.understanding.running():
            if heartbeat:
                await beat.start()
                if poller is not None:
                    poller.start()
            try:
                yield
            finally:
                if poller is not None:
                    await poller.stop()
                if heartbeat:
                    await beat.stop()
                await centre.facts.close()
                for channel in centre.channels.values():
                    if isinstance(channel, Closes):
                        await channel.close()
        centre.db.close()

    app = FastAPI(title="Hotline", version="0.1.0", lifespan=life, docs_url=None, redoc_url=None)
    if centre.settings.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(centre.settings.trusted_proxies))
    app.state.centre = centre
    poller = _telegram(centre)
    app.state.telegram = poller
    doors.mount(app, centre)
    return app


def _telegram(centre: Centre) -> telegram.Poller | None:
    """What asks Telegram for updates, or has them brought; None where it is not connected."""
    channel = centre.channels.get(ChannelName.TELEGRAM)
    if channel is None:
        return None
    assert isinstance(channel, telegram.TelegramChannel)
    name, db, machine = ChannelName.TELEGRAM, centre.db, centre.clock.machine
    take = partial(messenger.take, centre)
    webhook = None
    if centre.settings.telegram_mode == "webhook":
        webhook = telegram.Webhook(f"{centre.settings.address}{webhooks.TELEGRAM}", webhooks.secret(centre))
    url = webhook.url if webhook else None

    async def moved(address: str, to: str) -> None:
        await take(Moved(name, address, to))

    channel.moved = moved
    return telegram.Poller(
        channel,
        telegram.Receiver(channel.bot, take),
        telegram.Office(
            lease=lambda: db.write(
                lambda s: polling.lease(s, name, centre.worker, machine(), url=url, alone=db.is_sqlite)
            ),
            heard=lambda: db.write(lambda s: polling.heard(s, name, machine())),
            failed=lambda error: db.write(lambda s: polling.failed(s, name, error, machine())),
            leave=lambda: db.write(lambda s: polling.leave(s, name, centre.worker, machine())),
        ),
        messenger.menu(centre.settings.language),
        webhook,
    )


async def _take_over_model(centre: Centre) -> int:
    """What `hotline train` has taught meanwhile goes live without a restart."""
    return int(centre.understanding.reload())


async def _forget_passages(centre: Centre) -> int:
    today = centre.clock.now().astimezone(centre.settings.zone).date()
    return await centre.db.write(lambda session: branches.forget(session, today))


def _clock(settings: Settings) -> Clock:
    rehearsal = settings.rehearsal
    return RehearsalClock(rehearsal.at, rehearsal.speed) if rehearsal else Clock()


def _load_demo(settings: Settings, database: Database, clock: Clock, with_demo: bool | None) -> bool:
    """Loads the demo people where they belong; says whether they have just come."""
    wanted = settings.default_database if with_demo is None else with_demo
    fresh = bool(wanted and database.read_now(demo.is_empty))
    if fresh:
        database.write_now(lambda session: demo.load(session, settings.timezone, clock.now()))
    return fresh


def script_roots(settings: Settings, *, demonstrates: bool) -> list[Path]:
    """Where scripts and policies lie: the shipped ones, the demo's figures over them, the operator's over all."""
    roots = [SHIPPED]
    if demonstrates:
        roots.append(SHIPPED / "demo")
    return [*roots, settings.own_scripts]


def models(settings: Settings) -> Path:
    """Where trained models are kept."""
    return settings.data_dir.resolve() / "models"


def taught(settings: Settings) -> tuple[Path, ...]:
    """The operator's own training examples, besides the shipped ones."""
    return (settings.home / "nlu",)


def _understanding(settings: Settings) -> Understanding:
    return Understanding(
        data_dir=TRAINING,
        cache_dir=models(settings),
        extra=taught(settings),
        wanted="rasa" if settings.nlu == "rasa" else "embedded",
        rasa_url=str(settings.rasa_url),
        encoder=settings.encoder or None,
    )


def _channels(settings: Settings, database: Database, clock: Clock, library: Library) -> Mapping[ChannelName, Channel]:
    """One line a channel (DESIGN §8). A rehearsal builds sandbox ones only, whatever is configured."""
    carrier = _twilio(settings, database, library) if settings.twilio else _sandbox(database, clock, library)
    channels: tuple[Channel, ...] = (
        PageChannel(ChannelName.WEBCHAT),
        PageChannel(ChannelName.REST),
        SmsChannel(carrier),
        VoiceChannel(carrier),
        *((_telegram_channel(settings),) if settings.telegram else ()),
    )
    return {channel.name: channel for channel in channels}


def _telegram_channel(settings: Settings) -> telegram.TelegramChannel:
    return telegram.TelegramChannel(telegram.connect(*settings.telegram_server), settings.home / media.FOLDER)


def _sandbox(database: Database, clock: Clock, library: Library) -> Carrier:
    return SandboxCarrier(
        ring=lambda out: database.write(lambda s: sandbox.ring(s, out, clock.now(), clock.machine())),
        text=lambda out: database.write(lambda s: sandbox.deliver(s, out, clock.now())),
        known=lambda out: database.read(lambda s: sandbox.known(s, out)),
        mms=lambda: library.current.policies.mms.regions,
    )


def _twilio(settings: Settings, database: Database, library: Library) -> Carrier:
    account = Account(
        settings.twilio_account_sid,
        settings.twilio_auth_token.get_secret_value(),
        settings.twilio_number,
        address=settings.address,
        api=str(settings.twilio_api).rstrip("/"),
    )
    return TwilioCarrier(
        account,
        ring=lambda: library.current.policies.calls.ring,
        taken=lambda channel, ids: database.read(lambda s: outbox.taken(s, channel, ids)),
        mms=lambda: library.current.policies.mms.regions,
    )
