"""Scripts and understanding: `check` and `train`."""

from __future__ import annotations

import importlib
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from bot import app as house
from bot.cli.shared import fail, read_settings
from bot.settings import Settings
from nlu import rasa_project
from nlu.examples import read
from scripts.checker import check as check_scripts
from scripts.facts import examine_tables
from scripts.incidents import examine_catalogue
from scripts.loader import load_book
from scripts.policies import PolicyError, check_plans, load_policies, policy_files
from scripts.preparation import load_preparations
from scripts.source import ScriptsError

cli = typer.Typer()


@cli.command()
def check() -> None:
    """检查脚本和策略，指出文件与行号。

    Check the scripts and policies; every problem with its file and line.
    """
    settings = read_settings()
    problems: list[object] = []
    for demonstrates in (False, True):  # the demo lays figures of its own over the policies
        roots = house.script_roots(settings, demonstrates=demonstrates)
        problems += [problem for problem in check_scripts(roots, settings.packs) if problem not in problems]
        problems += [problem for problem in examine_tables(roots, settings.zone)[1] if problem not in problems]
        problems += [problem for problem in examine_catalogue(roots)[1] if problem not in problems]
        try:
            check_plans(load_policies(policy_files(roots)), load_book(roots).flows, policy_files(roots))
            load_preparations(roots)
        except PolicyError as error:
            problems += [problem for problem in error.problems if problem not in problems]
        except ScriptsError:
            pass  # told above, where only the packs that are on count
    for problem in problems:
        typer.echo(str(problem))
    if problems:
        fail(f"发现 {len(problems)} 个问题 · {len(problems)} problems found")
    typer.echo("脚本与策略没有问题 · The scripts and policies are in order")


class Engine(StrEnum):
    """Who understands texts (DESIGN §7)."""

    EMBEDDED = "embedded"
    RASA = "rasa"


@cli.command()
def train(
    engine: Annotated[Engine, typer.Option(help="训练哪一个 · Which one to train.")] = Engine.EMBEDDED,
) -> None:
    """训练意图识别并报告：准确率、易混意图、可疑样本。

    Train the intent classifier and report: accuracy, confusions, examples that look mislabelled.
    """
    settings = read_settings()
    try:
        if engine is Engine.RASA:
            _train_rasa(settings)
        else:
            # Training needs scikit-learn, which takes a second and 100 MB that no other command wants.
            training = importlib.import_module("nlu.training")
            trained = training.train(
                house.TRAINING, house.models(settings), house.taught(settings), _progress, settings.encoder or None
            )
            typer.echo(_told(trained.report))
    except (ValueError, OSError, rasa_project.RasaFailed) as error:
        fail(str(error))


def _train_rasa(settings: Settings) -> None:
    """Makes Rasa's own environment where it is missing, and trains its model."""
    home = settings.data_dir.resolve() / "rasa"
    home.mkdir(parents=True, exist_ok=True)
    rasa_project.install(home, typer.echo)
    taught = [path for path in house.taught(settings) if path.exists()]
    model = rasa_project.train(home, read(house.TRAINING, *taught), tell=typer.echo)
    typer.echo(f"{model}\n启动 · start:  {home / 'env' / 'bin' / 'rasa'} run --enable-api --model {model}")


def _progress(what: str, far: float) -> None:
    if sys.stderr.isatty():
        typer.echo(f"\r{far:4.0%} {what:<24}", nl=False, err=True)


def _told(report: Any) -> str:
    """A training report (nlu.training.Report) as lines for an operator."""
    before = "" if report.accuracy_before is None else f"（上次 before {report.accuracy_before:.1%}）"
    lines = [
        f"{report.examples} 条样本 examples · {report.intents} 个意图 intents · {report.seconds:.1f} s",
        f"交叉验证准确率 accuracy {report.accuracy:.1%}{before}",
    ]
    for title, rows in (
        ("易混 confused", [f"{c.intent} → {c.taken_for} ×{c.times}  {c.example}" for c in report.confusions]),
        ("样本太少 scarce", [f"{s.intent}  {s.has}" for s in report.scarce]),
        ("可疑 suspect", [f"{s.file}  {s.text}  {s.intent} → {s.rather}? {s.confidence:.2f}" for s in report.suspects]),
        ("重复 repeated", list(report.repeated)),
    ):
        if rows:
            lines += [f"{title}:", *(f"  {row}" for row in rows)]
    return "\n".join(lines)
