"""Staff accounts: `staff add | list | link | password | roles`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from bot.cli.shared import database, fail, read_settings
from bot.clock import Clock
from bot.core.words import Language, Presence, Role
from bot.services.i18n import label
from bot.services.staffing import second_factor, sign_in, staff
from bot.settings import Settings
from store.db import Database
from store.tables import Staff

cli = typer.Typer(help="员工账号 · Staff accounts.", no_args_is_help=True)


@cli.command("add")
def staff_add(
    username: str,
    name: Annotated[str, typer.Option(help="姓名 · The name others see.")],
    role: Annotated[list[Role], typer.Option(help="角色，可多次给出 · A role; may be given again.")],
    lang: Annotated[Language, typer.Option(help="界面语言 · Their language.")] = Language.ZH,
) -> None:
    """新增员工，并给出一次性登录链接。

    Add a person, and print a one-time sign-in link.
    """
    settings, clock = read_settings(), Clock()
    with database(settings) as db, refusals():
        added = db.write_now(lambda s: staff.create_staff(s, username, name, role, language=lang, now=clock.now()).id)
        typer.echo(sign_in_link(settings, db, clock, added))


@cli.command("list")
def staff_list() -> None:
    """列出员工与角色。

    Everybody and their roles.
    """
    settings = read_settings()
    with database(settings) as db:
        for person in db.read_now(staff.everybody):
            roles = "、".join(label(settings.language, held.role) for held in person.roles)
            state = label(settings.language, person.presence if person.active else Presence.OFFLINE)
            typer.echo(f"{person.username:<16}{person.name}\t{roles}\t{state}{'' if person.active else ' ✗'}")


@cli.command("link")
def staff_link(username: str) -> None:
    """给一个一次性登录链接（24 小时内有效）。

    A one-time sign-in link, good for 24 hours.
    """
    settings = read_settings()
    with database(settings) as db:
        typer.echo(sign_in_link(settings, db, Clock(), _person(db, username).id))


@cli.command("password")
def staff_password(username: str) -> None:
    """设置密码（输入时不显示），并让其在各处退出登录。

    Set a password, typed unseen, and sign the person out everywhere.
    """
    settings = read_settings()
    with database(settings) as db, refusals():
        person = _person(db, username)
        given = typer.prompt("密码 Password", hide_input=True, confirmation_prompt=True)
        hashed = staff.hash_password(given, person.username, person.name)
        db.write_now(lambda s: staff.set_password(s, person.id, hashed, now=Clock().now()))
    typer.echo("已设置 · Done")


@cli.command("roles")
def staff_roles(username: str, roles: list[Role]) -> None:
    """改换角色（写全，原有的会被替换）。

    Replace somebody's roles with these.
    """
    with database(read_settings()) as db, refusals():
        staff_id = _person(db, username).id
        db.write_now(lambda s: staff.set_roles(s, staff_id, roles, now=Clock().now()))
    typer.echo("已更改 · Done")


@cli.command("no-second-factor")
def staff_no_second_factor(username: str) -> None:
    """取消两步验证（手机丢了、恢复码也没有时用）。

    Take the second factor away, as when phone and recovery codes are lost.
    """
    with database(read_settings()) as db:
        staff_id = _person(db, username).id
        db.write_now(lambda s: second_factor.remove(s, staff_id, now=Clock().now(), by_staff_id=None))
    typer.echo("已取消 · Done")


def _person(db: Database, username: str) -> Staff:
    found = db.read_now(lambda s: staff.by_username(s, username))
    if found is None:
        fail(f"没有这个员工 · Nobody is called {username}")
    return found


def sign_in_link(settings: Settings, db: Database, clock: Clock, staff_id: int) -> str:
    token = db.write_now(lambda s: sign_in.make_link(s, staff_id, now=clock.now(), machine=clock.machine()))
    return f"{settings.address}/sign-in/link/{token}"


@contextmanager
def refusals() -> Iterator[None]:
    try:
        yield
    except staff.StaffRefusedError as error:
        fail(f"不能这样做 · That cannot be done: {error.code}")
