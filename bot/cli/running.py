"""Running: `serve`, `worker` and `talk`."""

from __future__ import annotations

import asyncio
import gc
import logging
import secrets
import signal
import socket
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated

import typer
import uvicorn
import uvloop

from bot import app as house
from bot import logs
from bot.cli import several
from bot.cli.people import sign_in_link
from bot.cli.shared import WRONG, database, fail, read_settings
from bot.clock import Clock
from bot.core.words import ChannelName, Incoming, Language
from bot.services import demo, workers
from bot.services.centre import Centre
from bot.services.conversation import inbox
from bot.services.conversation.explain import explain
from bot.services.i18n import label
from bot.services.staffing import first_run
from bot.settings import Rehearsal, Settings, load_settings

cli = typer.Typer()
COLLECT_AFTER = (10_000, 20, 50)
"""Objects made since the last look at the youngest, and looks until the next at those that lasted: a turn makes
thousands, nearly all of which go by themselves."""


@cli.command()
def serve(
    at: Annotated[
        str | None,
        typer.Option(
            metavar="ISO",
            help="演练：业务时间从这一刻开始，只用沙盒通道和自己的数据库 · Rehearse: business time starts here, "
            "with sandbox channels and a database of its own. 例 e.g. 2026-07-01T14:29:50+08:00",
        ),
    ] = None,
    speed: Annotated[
        str,
        typer.Option(
            metavar="N|max",
            help="演练的快慢：60 即一分钟当一小时；max 空闲时直接跳到下一件事 · How fast a rehearsal runs; "
            "max jumps to the next due instant when idle.",
        ),
    ] = "1",
    demo_data: Annotated[
        bool | None,
        typer.Option(
            "--demo/--no-demo",
            help="是否装入虚构的演示人员；默认只装入空的默认数据库 · Load the fictional demo people; "
            "by default only into an empty default database.",
        ),
    ] = None,
) -> None:
    """启动服务：网页、接口、外呼，全在这一个程序里。

    Start everything in one program: the pages, the API, the calls.
    """
    settings = read_settings(rehearsal=_rehearsal(at, speed))
    shared = settings.processes > 1 and settings.rehearsal is None
    door = _bind(settings, shared=shared)
    typer.echo("正在准备，第一次要训练，约二十秒 · Preparing; the first time it trains, about twenty seconds …")
    centre = house.build(settings, with_demo=demo_data)
    if shared:
        several.run(serve_beside_others, settings.processes, lambda: _welcome(centre))
    _serve(centre, door, lambda: _welcome(centre))


def serve_beside_others(ready: Callable[[], None]) -> None:
    """The life of one of several processes, which asks for the settings again; the first one has loaded what is new."""
    settings = read_settings()
    _serve(house.build(settings, with_demo=False), _bind(settings, shared=True), ready)


def _serve(centre: Centre, door: socket.socket, ready: Callable[[], None]) -> None:
    config = uvicorn.Config(
        house.create_app(centre),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )
    _Server(config, ready).run(sockets=[door])


class _Server(uvicorn.Server):
    """Says where it is to be found once it listens."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            _stays()
            self._ready()


def _stays() -> None:
    """What was built at the start stays as long as the program: scripts, models and pages are left out of what the
    garbage collector looks through, which took a second and more now and then while somebody waited."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


@cli.command()
def worker(
    alive: Annotated[
        bool,
        typer.Option("--alive", help="只检查本机有没有在工作的进程 · Only ask whether one lives on this host."),
    ] = False,
) -> None:
    """多一个没有网页的工作进程（只用于 PostgreSQL）：外呼、发送、定时。

    One more process without pages, for PostgreSQL: it calls, sends and keeps time.
    """
    settings = read_settings()
    if settings.database.startswith("sqlite"):
        fail(
            "worker 需要 PostgreSQL；SQLite 下 serve 已包含一切 · A worker wants PostgreSQL; on SQLite serve is all",
            WRONG,
        )
    if alive:
        with database(settings) as db:
            names = db.read_now(lambda s: workers.alive(s, Clock().machine()))
        raise typer.Exit(0 if any(name.startswith(f"{socket.gethostname()}-") for name in names) else 1)
    uvloop.run(_work(house.build(settings, with_demo=False)))


async def _work(centre: Centre) -> None:
    """The life of the application, without its doors."""
    told = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, told.set)
    application = house.create_app(centre)
    async with application.router.lifespan_context(application):
        _stays()
        typer.echo(f"{centre.worker} 工作中 · working")
        await told.wait()


@cli.command()
def talk(
    channel: Annotated[ChannelName, typer.Option(help="哪种通道 · Speak as this channel.")] = ChannelName.WEBCHAT,
    lang: Annotated[Language | None, typer.Option(help="客户的语言 · The customer's language.")] = None,
    explained: Annotated[bool, typer.Option("--explain", help="显示意图和槽位 · Show intents and slots.")] = False,
) -> None:
    """在终端里当一回客户，用的就是真正的引擎和一个演练数据库。空行结束。

    Be a customer in the terminal, with the real engine and a rehearsal's database. An empty line ends it.
    """
    settings = read_settings(rehearsal=Rehearsal(Clock().now()))
    logs.configure(level=logging.ERROR)
    asyncio.run(_talk(house.build(settings), channel, lang, explained))


async def _talk(centre: Centre, channel: ChannelName, language: Language | None, explained: bool) -> None:
    who = f"talk-{secrets.token_hex(4)}"
    turn = 0
    while text := await asyncio.to_thread(_ask):
        turn += 1
        try:
            receipt = await inbox.receive(centre, Incoming(channel, who, f"{who}-{turn}", text, language))
        except inbox.TooLongError as error:
            typer.echo(f"! {error}")
            continue
        if explained:
            typer.echo(f"~ {await centre.db.read(partial(explain, conversation_id=receipt.conversation_id))}")
        for said in receipt.answers:
            choices = "".join(f"\n  [{button.title}]" for button in said.buttons)
            typer.echo(f"< {said.text}{choices}")
        if not receipt.answers:
            typer.echo(f"  ({label(language or centre.settings.language, receipt.state)})")
    await centre.facts.close()
    centre.db.close()


def _ask() -> str:
    try:
        return input("> ").strip()
    except EOFError:
        return ""


def _rehearsal(at: str | None, speed: str) -> Rehearsal | None:
    try:
        pace = None if speed == "max" else float(speed)
        moment = datetime.fromisoformat(at) if at else None
    except ValueError as error:
        raise typer.BadParameter(f"{error}; --at 2026-07-01T14:29:50+08:00, --speed 60 | max") from error
    if pace is not None and not 0 < pace <= 100_000:
        raise typer.BadParameter("--speed: 0 < N <= 100000")
    if moment is None:
        if pace != 1:
            raise typer.BadParameter("--speed 只用于演练，请同时给出 --at · --speed is for a rehearsal: give --at too")
        return None
    return Rehearsal(moment if moment.tzinfo else moment.replace(tzinfo=load_settings().zone), pace)


def _bind(settings: Settings, *, shared: bool) -> socket.socket:
    """The port, taken before anything slow is done; `shared` among the processes that take it so."""
    host, port = settings.host, settings.port
    door = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        door.bind((host, port))
    except OSError as error:
        door.close()
        fail(f"{host}:{port} 用不了，HOTLINE_PORT 可换 · {error.strerror}; HOTLINE_PORT chooses another")
    return door


def _welcome(centre: Centre) -> None:
    """Where everything is, and how the demo's people get in."""
    settings, db = centre.settings, centre.db
    lines = ["", "Hotline 已就绪 · is ready", ""]
    if settings.rehearsal:
        lines += [f"  演练 Rehearsal      {centre.clock.now().astimezone(settings.zone):%Y-%m-%d %H:%M:%S %Z}"]
    for what, path in (
        ("首页 Start         ", "/"),
        ("在线客服 Chat      ", "/chat"),
        ("沙盒电话 Phone     ", "/phone"),
        ("工作台 Console     ", "/console"),
        ("接口 API           ", "/docs"),
    ):
        lines.append(f"  {what}{settings.address}{path}")
    if not settings.api_token.get_secret_value():
        settings.kept_api_token()
        lines.append(f"  接口令牌 API token {settings.data_dir.resolve() / 'api-token'}")
    if accounts := db.read_now(demo.accounts):
        lines += ["", "  演示登录，每个链接用一次 · Demo sign-in, each link works once:"]
        for person in accounts:
            roles = "、".join(label(settings.language, held.role) for held in person.roles)
            lines.append(f"    {roles} {person.name}  {sign_in_link(settings, db, centre.clock, person.id)}")
    elif token := db.read_now(first_run.invitation):
        lines += ["", "  还没有员工，请打开这个地址开始 · Nobody works here yet; open this address to begin:"]
        lines += [f"    {settings.address}/setup/{token}"]
    lines += ["", "  Ctrl+C 停止 · stops", ""]
    typer.echo("\n".join(lines))
