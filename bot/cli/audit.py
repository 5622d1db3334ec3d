"""The audit: `audit verify`."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.cli.shared import database, fail, read_settings
from bot.services import sealing
from bot.services.sealing import Break

cli = typer.Typer(help="审计 · The audit.", no_args_is_help=True)

BROKEN = {
    Break.CHANGED: "第 {id} 条审计记录被改过 · audit entry {id} was changed",
    Break.REMOVED: "第 {id} 条审计记录被删掉了 · audit entry {id} was removed",
    Break.ADDED: "第 {id} 条审计记录是后来插进去的 · audit entry {id} was slipped in afterwards",
    Break.SEAL: "第 {id} 个封存被改过或缺了前一个 · seal {id} was changed, or the one before it is gone",
    Break.HEAD: "链上没有您记下的封存；最后封存到第 {id} 条 · the chain does not hold the seal you noted; it ends at "
    "entry {id}",
}


@cli.callback()
def audit() -> None:
    """审计 · The audit."""


@cli.command()
def verify(
    head: Annotated[
        str, typer.Option(help="以前记下的封存，链上应当有它 · A seal noted earlier, which the chain must hold.")
    ] = "",
) -> None:
    """核对审计记录与封存链；指出第一条对不上的记录。

    Check the audit against its chain of seals; the first entry that does not agree is named.
    """
    settings = read_settings()
    with database(settings) as db:
        found = db.read_now(lambda session: sealing.verify(session, head.strip()))
    typer.echo(f"已封存 {found.sealed} 条，待封存 {found.waiting} 条 · {found.sealed} sealed, {found.waiting} not yet")
    if found.broken is not None:
        kind, broken_id = found.broken
        fail(BROKEN[kind].format(id=broken_id))
    typer.echo(
        f"没有改动 · Nothing was changed\n最新封存，请另行记下 · The newest seal; note it elsewhere: {found.head}"
    )
