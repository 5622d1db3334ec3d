"""Chat turns per second through POST /webhooks/rest/webhook, on a database that already holds a million messages.

    uv run python tests/bench/turns.py [--databases sqlite,postgresql] [--seconds 15] [--json FILE]

`hotline serve` runs as a process of its own on one core, the load comes from another. First 50 senders who each wait
for their answer (closed loop), then 300 turns a second offered whether answered or not (open loop; a turn's time counts
from the moment it was due). Each sender plays a conversation of six lines and then is somebody new. On a machine that
does other work too, `cpu ms`, the server's processor time a turn, is the figure to compare. The filled database is kept
under .hotline/bench and copied for each run.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import insert
from sqlalchemy.schema import CreateTable

from store.db import offline_engine
from store.migrate import upgrade
from store.tables import Address, Base, Contact, Conversation, Message
from store.vault import Vault
from tests.fakes import postgres

ROOT = Path(__file__).parents[2]
PLACE = ROOT / ".hotline" / "bench"
SECRET = "a secret for measuring"
PORT = 18790
SERVER_CORE, LOAD_CORE = 0, 1
PER_CONVERSATION = 50  # messages of an old conversation
CHUNK = 20_000
WARM_UP = 3.0  # seconds not counted

LINES = (
    ("你好", "你们几点上班", "暖气不热，家里很冷", "3号楼2单元501", "你是机器人吗", "谢谢，没事了"),
    ("hello", "what are your opening hours", "my radiator is cold", "building 3 unit 2 room 501", "ok", "thanks, bye"),
    ("您好", "发票怎么开", "算了", "家里没有暖气", "请问供暖什么时候开始", "再见"),
)

AIM_CLOSED, AIM_OPEN = 600.0, 50.0
"""Turns a second with 50 senders; the 99th percentile in ms at 300 a second offered."""

PEER = (
    "for comparison, a Rasa 3.6 assistant of 22 intents: 70–91 turns/s with its memory store, 42–49 with SQLite, "
    "p50 470–590 ms at 50 senders"
)


@dataclass(frozen=True)
class Figures:
    """One measurement. Times in ms; `cpu` is the server's processor time a turn, `silent` the share of turns without an
    answer (people hold the conversation)."""

    name: str
    turns: int
    per_second: float
    p50: float
    p99: float
    slowest: float
    cpu: float
    failed: int
    silent: float


# ── a database with a past ──


def filled(kind: str, messages: int) -> str:
    """The URL of a fresh copy of a database with so many messages."""
    schema = "".join(str(CreateTable(table)) for table in Base.metadata.sorted_tables)
    name = f"hotline_bench_{messages}_{hashlib.sha256(schema.encode()).hexdigest()[:8]}"
    PLACE.mkdir(parents=True, exist_ok=True)
    if kind == "sqlite":
        master, copy = PLACE / f"{name}.db", PLACE / "run.db"
        if not master.exists():
            part = master.with_suffix(".part")
            part.unlink(missing_ok=True)
            fill(f"sqlite:///{part}", messages)
            part.rename(master)
        for old in PLACE.glob("run.db*"):
            old.unlink()
        shutil.copyfile(master, copy)
        return f"sqlite:///{copy}"
    with psycopg.connect(postgres.server(), autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
        if not known:
            postgres.drop(f"{name}_part")
            fill(postgres.create(f"{name}_part"), messages)
            connection.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(f"{name}_part"), sql.Identifier(name))
            )
        postgres.drop("hotline_bench_run")
        connection.execute(sql.SQL("CREATE DATABASE hotline_bench_run TEMPLATE {}").format(sql.Identifier(name)))
    url = postgres.server().rpartition("/")[0] + "/hotline_bench_run"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    return url


def fill(url: str, messages: int) -> None:
    """Writes `messages` messages of closed conversations, 50 each."""
    upgrade(url)
    vault, began = Vault(SECRET), datetime(2026, 1, 1, tzinfo=UTC)
    engine = offline_engine(url)
    numbers = range(1, messages // PER_CONVERSATION + 1)
    with engine.begin() as connection:
        for at_once in range(0, len(numbers), CHUNK // PER_CONVERSATION):
            ids = numbers[at_once : at_once + CHUNK // PER_CONVERSATION]
            at = [began + timedelta(minutes=n) for n in ids]
            connection.execute(
                insert(Contact),
                [{"id": n, "timezone": "Asia/Shanghai", "created_at": t} for n, t in zip(ids, at, strict=True)],
            )
            connection.execute(
                insert(Address),
                [
                    {
                        "id": n,
                        "contact_id": n,
                        "channel": "rest",
                        "sealed": vault.seal(f"old-{n}"),
                        "blind": vault.blind("rest", f"old-{n}"),
                        "created_at": t,
                    }
                    for n, t in zip(ids, at, strict=True)
                ],
            )
            connection.execute(
                insert(Conversation),
                [
                    {
                        "id": n,
                        "contact_id": n,
                        "address_id": n,
                        "channel": "rest",
                        "state": "closed",
                        "language": "zh",
                        "seq": PER_CONVERSATION,
                        "opened_at": t,
                        "closed_at": t + timedelta(hours=1),
                    }
                    for n, t in zip(ids, at, strict=True)
                ],
            )
            connection.execute(insert(Message), [row for n, t in zip(ids, at, strict=True) for row in _old(n, t)])
        if engine.dialect.name == "postgresql":
            for table in ("contact", "address", "conversation"):
                connection.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {numbers[-1]})")
    engine.dispose()


def _old(conversation: int, at: datetime) -> Iterator[dict[str, Any]]:
    for seq in range(1, PER_CONVERSATION + 1):
        yield {
            "conversation_id": conversation,
            "seq": seq,
            "channel": "rest",
            "author": "customer" if seq % 2 else "bot",
            "text": "暖气不热，家里很冷，麻烦尽快安排师傅上门看一下"
            if seq % 2
            else "好的，已为您登记，师傅会尽快联系您。",
            "provider_id": f"old-{conversation}-{seq}" if seq % 2 else None,
            "at": at + timedelta(minutes=seq),
        }


# ── the server ──


@contextmanager
def serving(url: str) -> Iterator[subprocess.Popen[bytes]]:
    """`hotline serve` on a core of its own, ready."""
    scripts = PLACE / "scripts"
    scripts.mkdir(exist_ok=True)
    (scripts / "policies.yml").write_text("rates:\n  rest: {per_second: 5000, per_address: 1000}\n", "utf-8")
    environment = os.environ | {
        "HOTLINE_DATABASE_URL": url,
        "HOTLINE_DATA_DIR": str(ROOT / ".hotline"),
        "HOTLINE_SCRIPTS": str(scripts),
        "HOTLINE_SECRET": SECRET,
        "HOTLINE_PORT": str(PORT),
    }
    log = (PLACE / "server.log").open("wb")
    command = ["taskset", "-c", str(SERVER_CORE), sys.executable, "-m", "bot.cli", "serve", "--no-demo"]
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{PORT}/readyz", timeout=2).read()
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > until:
                    raise SystemExit((PLACE / "server.log").read_text("utf-8", "replace")) from None
                time.sleep(0.2)
        yield server
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)
        log.close()


# ── the load ──


class Line:
    """One connection to the server; a turn is a request and its answer. Just enough HTTP/1.1 to cost little."""

    def __init__(self) -> None:
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def turn(self, sender: str, text: str) -> tuple[int, int]:
        """The status and how many lines were answered."""
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", PORT)
        assert self._reader is not None
        body = json.dumps(
            {"sender": sender, "message": text, "metadata": {"message_id": secrets.token_hex(6)}}
        ).encode()
        self._writer.write(
            b"POST /webhooks/rest/webhook HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        answer = await self._reader.readexactly(length)
        return int(head[9:12]), answer.count(b'"recipient_id"')

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class Tally:
    """What was measured so far."""

    def __init__(self, server: int) -> None:
        self._server, self._before = server, processor(server)
        self.times: list[float] = []
        self.failed = 0
        self.silent = 0

    async def turn(self, line: Line, sender: str, text: str, due: float) -> None:
        try:
            status, said = await line.turn(sender, text)
        except (OSError, asyncio.IncompleteReadError):
            status, said = 0, 0
        self.times.append((time.perf_counter() - due) * 1000)
        self.failed += status != 200
        self.silent += said == 0

    def figures(self, name: str, seconds: float) -> Figures:
        times = sorted(self.times)
        return Figures(
            name,
            len(times),
            round(len(times) / seconds, 1),
            round(times[len(times) // 2], 1),
            round(times[int(len(times) * 0.99)], 1),
            round(times[-1], 1),
            round((processor(self._server) - self._before) * 1000 / len(times), 2),
            self.failed,
            round(self.silent / len(times), 3),
        )


def talking(prefix: str) -> Iterator[tuple[str, str]]:
    """One sender after the other, each with a whole conversation."""
    for n in itertools.count():
        for text in LINES[n % len(LINES)]:
            yield f"{prefix}-{n}", text


async def closed(server: int, senders: int, seconds: float, name: str) -> Figures:
    """Every sender waits for the answer before writing again."""
    tally, until = Tally(server), time.perf_counter() + seconds

    async def sender(n: int) -> None:
        line = Line()
        for who, text in talking(f"{name}-{n}-{secrets.token_hex(3)}"):
            if (now := time.perf_counter()) >= until:
                break
            await tally.turn(line, who, text, now)
        line.close()

    await asyncio.gather(*(sender(n) for n in range(senders)))
    return tally.figures(f"{senders} senders waiting", seconds)


async def opened(server: int, rate: float, seconds: float, name: str) -> Figures:
    """Turns come at their time, whoever still waits; as many senders as that takes."""
    tally, free, running = Tally(server), asyncio.LifoQueue[tuple[Line, Iterator[tuple[str, str]]]](), set()
    numbers = itertools.count()
    began = time.perf_counter()

    async def one(due: float) -> None:
        try:
            line, talk = free.get_nowait()
        except asyncio.QueueEmpty:
            line, talk = Line(), talking(f"{name}-open-{next(numbers)}-{secrets.token_hex(3)}")
        await tally.turn(line, *next(talk), due)
        free.put_nowait((line, talk))

    for n in range(int(rate * seconds)):
        due = began + n / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(one(due))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    took = time.perf_counter() - began
    while not free.empty():
        free.get_nowait()[0].close()
    return tally.figures(f"{rate:g}/s offered", took)


async def measure(server: int, kind: str, senders: int, rate: float, seconds: float) -> list[Figures]:
    await closed(server, senders, WARM_UP, f"{kind}-warm")
    return [await closed(server, senders, seconds, kind), await opened(server, rate, seconds, kind)]


def processor(pid: int) -> float:
    """Seconds of processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def shown(kind: str, found: Sequence[Figures]) -> str:
    head = ("turns", "turns/s", "p50 ms", "p99 ms", "max ms", "cpu ms", "failed", "silent")
    rows = [(f.turns, f.per_second, f.p50, f.p99, f.slowest, f.cpu, f.failed, f"{f.silent:.1%}") for f in found]
    lines = [f"{kind:<22}" + "".join(f"{each:>9}" for each in head)]
    lines += [f"  {f.name:<20}" + "".join(f"{cell:>9}" for cell in row) for f, row in zip(found, rows, strict=True)]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--senders", type=int, default=50)
    parser.add_argument("--rate", type=float, default=300)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE % (os.cpu_count() or 1)})
    everything: dict[str, list[Figures]] = {}
    for kind in asked.databases.split(","):
        url = filled(kind, asked.messages)
        with serving(url) as server:
            found = everything[kind] = asyncio.run(measure(server.pid, kind, asked.senders, asked.rate, asked.seconds))
        print(shown(kind, found), flush=True)
    print(f"aims: {AIM_CLOSED:g} turns/s at 50 senders; p99 under {AIM_OPEN:g} ms at 300/s offered\n{PEER}")
    if asked.json:
        asked.json.write_text(json.dumps({k: [asdict(f) for f in v] for k, v in everything.items()}, indent=1), "utf-8")


if __name__ == "__main__":
    main()
