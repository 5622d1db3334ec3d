"""The `hotline` command. Exit codes: 0 done, 1 it could not be done, 2 what was asked or set is wrong.

What people are told here is in Chinese first and English second.
"""

from __future__ import annotations

import sys

import typer

from bot.cli import audit, data, people, running, teaching
from bot.cli.shared import WRONG
from bot.settings import SettingsError
from nlu.encoder import NoEncoder
from scripts.policies import PolicyError
from scripts.source import ScriptsError
from store.migrate import UnreachableError
from store.vault import WrongSecretError

cli = typer.Typer(
    name="hotline",
    help="自托管的客服中心机器人：在线客服、人工升级、定时回访、应急通知。先试试：hotline serve\n\n"
    "A self-hosted contact-centre bot: chat, escalation to agents, follow-up calls, emergency announcements. "
    "Try first: hotline serve",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (running, teaching, data):
    cli.add_typer(commands.cli)
cli.add_typer(people.cli, name="staff")
cli.add_typer(audit.cli, name="audit")


def main() -> None:
    """The entry point: what an operator can mend is said in one message, anything else shows its traceback."""
    try:
        cli()
    except SettingsError as error:
        _end(f"设置有误 · These settings are missing or wrong:\n{error}", WRONG)
    except (ScriptsError, PolicyError) as error:
        _end(f"脚本或策略有误 · The scripts or policies cannot be used:\n{error}")
    except NoEncoder as error:
        _end(f"句向量模型用不了 · The encoder cannot be used: {error}", WRONG)
    except UnreachableError as error:
        _end(f"连不上数据库 · The database cannot be reached: {error}")
    except WrongSecretError:
        _end("HOTLINE_SECRET 与数据库不符 · HOTLINE_SECRET is not the one this database was sealed with")


def _end(message: str, code: int = 1) -> None:
    typer.echo(message, err=True)
    sys.exit(code)
