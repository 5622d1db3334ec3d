"""Data in and out: `import`, `report` and `backup`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot import app as house
from bot.cli.shared import fail, read_settings
from bot.clock import Clock
from bot.services import backup as backups
from bot.services import imports
from store.vault import Vault

cli = typer.Typer()


@cli.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, metavar="FILE", help="CSV")],
) -> None:
    """导入到访名单并排好回访；坏行按行号报告，同一文件导入两次不会重复。

    Import a list of visits and plan their follow-ups; bad rows are told by line, a second import adds nothing.
    """
    settings = read_settings()
    centre = house.build(settings, with_demo=False)
    try:
        done = imports.import_file(centre, file.name, file.read_bytes(), now=centre.clock.now())
    except imports.UnreadableError as error:
        fail(imports.explain_file(error, settings.language))
    finally:
        centre.db.close()
    for problem in done.refused + done.unplanned:
        typer.echo(imports.explain(problem, settings.language), err=True)
    typer.echo(
        f"新增 {done.loaded} · 已有 {done.known} · 退回 {done.refused_lines} 行 — "
        f"{done.loaded} added, {done.known} known already, {done.refused_lines} lines refused"
    )
    if done.refused:
        raise typer.Exit(1)


@cli.command()
def backup(
    to: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="放到哪里 · Where; by default in the data folder."),
    ] = None,
    keep: Annotated[int, typer.Option(min=1, help="保留几份 · How many to keep.")] = backups.KEEP,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="只恢复并检查最近一份 · Make none; restore and check the newest."),
    ] = False,
) -> None:
    """在线备份数据库并检查；密钥不在备份里，请另行妥善保存。

    Back the database up while it is in use, and check the copy. It does not hold the secret: keep that too, elsewhere.
    """
    settings = read_settings()
    folder = to or settings.home / "backups"
    try:
        if verify:
            path = backups.newest(folder)
        else:
            path = backups.back_up(settings.database, folder, machine=Clock().machine(), keep=keep)
        checked = backups.verify(path, Vault(settings.kept_secret()))
    except backups.BackupError as error:
        fail(str(error))
    rows = sum(checked.rows.values())
    typer.echo(f"{checked.path}  {checked.size / 1e6:.1f} MB  {len(checked.rows)} 表 tables  {rows} 行 rows")
    if checked.sealed is False:
        fail("备份完好，但现在的密钥打不开里面的号码 · Sound, but the present secret does not open its addresses")
    typer.echo("备份可以恢复 · The backup can be restored")
