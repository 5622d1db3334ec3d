"""`python -m nlu train | evaluate`: the tools of the understanding room, for operators and benchmarks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nlu.training import train as train_embedded

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def main() -> None:
    """Train and measure the understanding engines."""


@app.command()
def train(
    data: Annotated[Path, typer.Option(help="the folder of example files")] = Path("nlu/data"),
    cache: Annotated[Path, typer.Option(help="where the model is kept")] = Path(".hotline/model"),
    extra: Annotated[list[Path] | None, typer.Option(help="a further example file; may be given again")] = None,
) -> None:
    """Train the embedded model and keep it."""
    try:
        trained = train_embedded(data, cache, extra or [])
    except (ValueError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    found = trained.report
    typer.echo(f"{found.examples} examples, {found.intents} intents, accuracy {found.accuracy:.3f}, {found.seconds} s")


if __name__ == "__main__":
    sys.exit(app())
