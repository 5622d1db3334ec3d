"""Data in and out: `import`, `report` and `backup`."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from bot import app as house
from bot.cli.shared import WRONG, fail, read_settings
from bot.clock import Clock
from bot.core.windows import local_midnight
from bot.reports.delivery import Format, deliver, written
from bot.reports.rows import Rights
from bot.services import backup as backups
from bot.services.plans import imports
from store.vault import Vault

cli = typer.Typer()
reports = typer.Typer(help="报表 · Reports.", no_args_is_help=True)
cli.add_typer(reports, name="report")


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


@reports.command("follow-ups")
def follow_ups(
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="首日 · The first day.")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="末日，含 · The last day, included.")],
    out: Annotated[
        Path, typer.Option(dir_okay=False, writable=True, help="写到哪里，.xlsx 或 .csv · Where to, .xlsx or .csv.")
    ],
    numbers: Annotated[bool, typer.Option("--numbers", help="显示完整号码 · Show whole phone numbers.")] = False,
    health: Annotated[bool, typer.Option("--health", help="显示健康类答案 · Show answers about health.")] = False,
) -> None:
    """回访报表：每次回访一行，另有汇总与图表；每次导出都记入审计。

    The follow-up report: a row for each callback, figures and charts; every delivery is audited.
    """
    settings = read_settings()
    try:
        form = Format(out.suffix.removeprefix(".").lower())
    except ValueError:
        fail(f"{out.name}: .xlsx / .csv", WRONG)
    if last < first:
        fail("--to 早于 --from · --to is before --from", WRONG)
    since = local_midnight(first.date(), settings.timezone)
    until = local_midnight(last.date() + timedelta(days=1), settings.timezone)
    rights = Rights(health=health, numbers=numbers)
    centre = house.build(settings, with_demo=False)
    now = centre.clock.now()
    try:
        report = centre.db.write_now(
            lambda s: deliver(s, centre, since=since, until=until, rights=rights, now=now, staff_id=None)
        )
    finally:
        centre.db.close()
    out.write_bytes(written(centre, report, form, settings.language))
    typer.echo(f"{out}  {len(report.rows)} 行 rows")


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
