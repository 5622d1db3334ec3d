"""`python -m nlu train | evaluate | apart`: the tools of the understanding room, for operators and benchmarks."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nlu import evaluation
from nlu.embedded import answer_only
from nlu.examples import near_duplicates, quoted, read
from nlu.rasa_project import RasaFailed
from nlu.training import train as train_embedded


class Engine(StrEnum):
    EMBEDDED = "embedded"
    RASA = "rasa"
    ENCODER = "encoder"


app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Train and measure the understanding engines."""


@app.command()
def train(
    data: Annotated[Path, typer.Option(help="the folder of example files")] = Path("nlu/data"),
    cache: Annotated[Path, typer.Option(help="where the model is kept")] = Path(".hotline/model"),
    extra: Annotated[list[Path] | None, typer.Option(help="further examples; may be given again")] = None,
    encoder: Annotated[str | None, typer.Option(help="a sentence-embedding model: a folder or a name")] = None,
) -> None:
    """Train the embedded model and keep it."""
    try:
        trained = train_embedded(data, cache, extra or [], encoder=encoder)
    except (ValueError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    found = trained.report
    typer.echo(f"{found.examples} examples, {found.intents} intents, accuracy {found.accuracy:.3f}, {found.seconds} s")


@app.command()
def evaluate(
    train: Annotated[list[Path], typer.Option(help="a file or folder to train from; may be given again")],
    test: Annotated[list[Path], typer.Option(help="a file or folder to test with; may be given again")],
    engine: Annotated[Engine, typer.Option(help="what to measure")] = Engine.EMBEDDED,
    json: Annotated[Path | None, typer.Option(help="write the figures here")] = None,
    picture: Annotated[Path | None, typer.Option(help="write the confusions here, as SVG")] = None,
    hold_out: Annotated[float, typer.Option(help="a share of the intents to keep out of training: out of scope")] = 0.0,
    seed: Annotated[int, typer.Option(help="which intents are held out")] = 7,
    epochs: Annotated[int | None, typer.Option(help="Rasa: DIET's epochs")] = None,
    home: Annotated[Path, typer.Option(help="Rasa: where its environment is, or is made")] = Path(".hotline/rasa"),
    encoder: Annotated[str | None, typer.Option(help="encoder: a folder or a name")] = None,
) -> None:
    """Train an engine on one set of examples and measure it on another (Rasa YAML or text<TAB>intent files)."""
    try:
        examples, tests = read(*train), read(*test)
        answers = frozenset[str]().union(*(answer_only(place) for place in train))
        figures, answered = evaluation.evaluate(
            engine.value,
            evaluation.hold_out(examples, hold_out, seed) if hold_out else examples,
            tests,
            answer_only=answers,
            home=home,
            epochs=epochs,
            encoder=encoder,
        )
    except (ValueError, OSError, RasaFailed) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    typer.echo(evaluation.as_text(figures))
    if json:
        json.write_text(evaluation.as_json(figures), "utf-8")
    if picture:
        picture.write_text(evaluation.as_picture(answered), "utf-8")


@app.command()
def apart(
    data: Annotated[list[Path], typer.Option(help="example files or folders; may be given again")],
    quotes: Annotated[Path, typer.Option(help="Markdown, a file or a folder, whose 「」 and quotes nobody may repeat")],
) -> None:
    """Refuse examples that say the same, or nearly, as utterances quoted elsewhere (the requirements' own)."""
    try:
        near = near_duplicates(read(*data), quoted(quotes))
    except (ValueError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    for hit in near:
        typer.echo(f"{hit.left.file}  {hit.left.intent}  {hit.left.text} = {hit.right.text}  {hit.similarity:.2f}")
    if near:
        raise typer.Exit(1)


if __name__ == "__main__":
    sys.exit(app())
