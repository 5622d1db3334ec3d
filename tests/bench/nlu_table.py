"""The table of the understanding engines: every split, every engine asked for, side by side.

    uv run python tests/bench/nlu_table.py ../shared/data/intents --engines embedded rasa --epochs 12

Splits: banking77 (full, 10 examples an intent in three samples, a seeded fifth of its intents held out as out of
scope), SMP2017 (training part only), and the own catalogue with its held-out sets; each engine sees the same split.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from nlu.embedded import ROOT, answer_only
from nlu.evaluation import as_text, evaluate, hold_out
from nlu.examples import Example, read

OWN = ROOT / "nlu" / "data"
SEED = 7


def splits(public: Path) -> Iterator[tuple[str, list[Example], list[Example]]]:
    banking, smp = public / "banking77", public / "smp2017"
    test = read(banking / "test.tsv")
    yield "own catalogue", read(OWN), [e for e in read(ROOT / "nlu" / "tests") if e.file != "definitions_only.yml"]
    yield "own catalogue, from the definitions alone", read(OWN), read(ROOT / "nlu" / "tests" / "definitions_only.yml")
    yield "SMP2017", read(smp / "train.tsv"), read(smp / "test.tsv")
    for sample in range(3):
        yield f"banking77, 10 examples, sample {sample}", read(banking / f"train_10shot_s{sample}.tsv"), test
    yield "banking77", read(banking / "train.tsv"), test
    yield "banking77, a fifth held out", hold_out(read(banking / "train.tsv"), 0.2, SEED), test


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("public", type=Path, help="the folder with banking77 and smp2017")
    arguments.add_argument("--engines", nargs="+", default=["embedded"], choices=["embedded", "rasa", "encoder"])
    arguments.add_argument("--epochs", type=int, help="DIET's epochs")
    arguments.add_argument("--home", type=Path, default=Path(".hotline/rasa"), help="Rasa's environment")
    arguments.add_argument("--encoder", help="a folder or a name")
    arguments.add_argument("--only", default="", help="the splits whose names hold this")
    given = arguments.parse_args()
    for name, train, test in splits(given.public):
        if given.only not in name:
            continue
        answers = answer_only(OWN) if name.startswith("own") else frozenset[str]()
        print(f"\n── {name}")
        for engine in given.engines:
            figures, _ = evaluate(
                engine, train, test, answer_only=answers, home=given.home, epochs=given.epochs, encoder=given.encoder
            )
            print("\n".join(as_text(figures).splitlines()[:4]))


if __name__ == "__main__":
    main()
