"""A week of follow-ups in one go: 5,000 people, `hotline serve --speed max`, callees who answer by themselves.

    uv run python tests/bench/week.py [--people 5000] [--hours 2]

The program runs as its own process on a rehearsal's database: the visits are told while time goes on as everywhere,
then it is started again and time jumps from one thing to do to the next. Afterwards every call is held against a
calendar that is computed apart from the program (tests/fakes/week.py): who was called when, and that everybody came to
an end.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from bot.services.sandbox.callees import Callees
from store.vault import Vault
from tests.fakes.process import Hotline
from tests.fakes.week import BEGINS, FAST, judge, visits

ROOT = Path(__file__).parents[2]
SECRET, TOKEN = "a secret for measuring", "a token for measuring"
SHOWN = 20
LOOK_EVERY = 5.0  # seconds
TELLERS = 16


def take_in(address: str, people: int) -> float:
    """Tells the program of every visit; the seconds it took."""
    began = time.perf_counter()
    with (
        httpx.Client(base_url=address, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60) as client,
        ThreadPoolExecutor(TELLERS) as tellers,
    ):
        for told in tellers.map(lambda event: client.post("/api/v1/events", json=event), visits(people)):
            told.raise_for_status()
    return time.perf_counter() - began


def wait_for_the_end(database: Path, until: float) -> bool:
    """Prints how it goes; whether everybody came to an end in time."""
    engine = create_engine(f"sqlite:///{database}")
    left = text("SELECT count(*), min(due_at) FROM callback WHERE state IN ('scheduled', 'dialling')")
    calls = text("SELECT count(*), max(started_at) FROM call_attempt")
    try:
        while time.monotonic() < until:
            with engine.connect() as connection:
                waiting, due = connection.execute(left).one()
                made, latest = connection.execute(calls).one()
            print(f"{time.strftime('%H:%M:%S')}  {waiting} wait (next {due}), {made} calls, {latest}", flush=True)
            if not waiting:
                return True
            time.sleep(LOOK_EVERY)
        return False
    finally:
        engine.dispose()


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--people", type=int, default=5000)
    ask.add_argument("--hours", type=float, default=2.0, help="give up after so long")
    ask.add_argument("--keep", type=Path, help="a folder to keep everything in")
    given = ask.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place: Path = given.keep or Path(temporary)
        folder, scripts = place / "program", place / "scripts"
        folder.mkdir(parents=True)
        scripts.mkdir()
        if (ROOT / ".hotline" / "models").exists():
            (folder / "models").symlink_to(ROOT / ".hotline" / "models")
        demo = (ROOT / "scripts" / "demo" / "policies.yml").read_text("utf-8")
        (scripts / "policies.yml").write_text(f"{demo}\n{FAST}", "utf-8")
        program = Hotline(folder, secret=SECRET, api_token=TOKEN, scripts=str(scripts))
        began = time.monotonic()
        try:
            program.serve("--at", BEGINS.isoformat(), "--speed", "1", "--no-demo")
            print(f"{given.people} visits taken in within {take_in(program.address, given.people):.0f} s", flush=True)
            program.kill()
            program.serve("--at", BEGINS.isoformat(), "--speed", "max", "--no-demo")
            ended = wait_for_the_end(folder / "rehearsal" / "hotline.db", began + given.hours * 3600)
            time.sleep(LOOK_EVERY)  # the last messages go out
        finally:
            program.kill()
        engine = create_engine(f"sqlite:///{folder / 'rehearsal' / 'hotline.db'}")
        with Session(engine, info={"vault": Vault(SECRET), "topics": set()}) as session:
            judged = judge(session, Callees())
        engine.dispose()
    took = time.monotonic() - began
    print(f"{judged.people} people in {took:.0f} s ({judged.people / took:.1f} a second), {judged.calls} calls")
    print("ended: " + ", ".join(f"{how} {n}" for how, n in Counter(judged.by).most_common()))
    print(f"{len(judged.wrong)} differ from the calendar")
    for each in judged.wrong[:SHOWN]:
        print(f"  {each}")
    sys.exit(0 if ended and not judged.wrong and judged.people == given.people else 1)


if __name__ == "__main__":
    main()
