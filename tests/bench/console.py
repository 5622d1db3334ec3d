"""200 agents at the console, 50 customers' messages a second: how long until a message is at its agent's page.

    uv run python tests/bench/console.py [--databases sqlite,postgresql] [--agents 200] [--rate 50] [--processes 2]

`hotline serve` runs as a process of its own, or as several. Every agent has a conversation open and its events
connected (a leader in twenty the floor instead); the messages come by the REST channel, each to the next conversation.
A message's time counts from the moment its request is sent until its line has arrived at the agent's connection. Every
line must arrive, once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from sqlalchemy import text, update
from sqlalchemy.orm import Session

from bot.core.words import Author, ChannelName, ConversationState, Role, Say
from bot.services.conversation import conversations
from bot.services.staffing import sign_in, staff
from bot.services.staffing.sign_in import Caller
from store.db import Database
from store.migrate import upgrade
from store.tables import Conversation, Staff
from store.vault import Vault
from tests.bench.turns import ROOT, processor
from tests.fakes import postgres
from tests.fakes.process import Hotline

SECRET, NAME = "a secret for measuring", "hotline_bench_console"
LIMIT_MS, LIMIT_MB = 300.0, 1024.0
LEADERS = 20  # one in so many sits at the floor
WARM_UP = 5.0  # seconds not counted
LAST_WORDS = 5.0  # seconds the last lines may take
EARLIER = 20  # lines each conversation has already
WORDS = "暖气还是不热，请问师傅什么时候来"


@dataclass
class Agent:
    """Whoever sits at a page: `page` is what is kept open, `sender` the customer whose lines come there."""

    cookie: str
    page: str
    sender: str = ""


@dataclass
class Arrivals:
    """When each message was sent and when it arrived, by its words; seconds of the monotonic clock."""

    sent: dict[str, float] = field(default_factory=dict)
    came: dict[str, float] = field(default_factory=dict)
    twice: int = 0
    events: Counter[str] = field(default_factory=Counter)
    bytes: int = 0

    def line(self, html: str) -> None:
        word = next((each for each in html.replace("<", " ").split() if each.startswith("no-")), None)
        if word is not None:
            self.twice += word in self.came
            self.came.setdefault(word, time.monotonic())


# ── the house ──


def people(database: Database, agents: int) -> list[Agent]:
    """So many agents, signed in, each with a customer's conversation in hand."""
    now = datetime.now(UTC)

    def work(session: Session) -> list[Agent]:
        found = []
        for n in range(agents):
            leads = n % LEADERS == LEADERS - 1
            role = Role.LEADER if leads else Role.AGENT
            person = staff.create_staff(session, f"agent{n}", f"客服{n}", [role], now=now)
            caller = Caller("127.0.0.1", "measuring")
            cookie = sign_in.open_session(session, person.id, caller, now=now, machine=now, how="bench")
            if leads:
                found.append(Agent(cookie, "/console/events"))
                continue
            sender = f"customer-{n}"
            book = ""
            held = conversations.open_at(
                session, ChannelName.REST, sender, language=person.language, zone="Asia/Shanghai", book=book, now=now
            )
            conversations.add_lines(session, held, Author.CUSTOMER, [Say(WORDS)] * EARLIER, now)
            conversations.save(session, held)
            session.execute(
                update(Conversation)
                .where(Conversation.id == held.id)
                .values(state=ConversationState.AGENT, staff_id=person.id, claimed_at=now)
            )
            found.append(Agent(cookie, f"/console/conversations/{held.id}/events", sender))
        session.execute(update(Staff).values(capacity=10))
        return found

    def count(session: Session) -> None:
        """As in a database that has been in use for more than a minute."""
        session.execute(text("ANALYZE"))

    there = database.write_now(work)
    if not database.is_sqlite:
        database.write_now(count)
    return there


# ── the pages ──


async def watch(address: str, agent: Agent, arrivals: Arrivals, connected: asyncio.Event) -> None:
    """Reads a page's events as a browser does, by hand: 200 clients of a library would take the machine."""
    parts = urlsplit(address)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=2**22)
    writer.write(
        f"GET {agent.page} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: text/event-stream\r\n"
        f"Cookie: hotline_session={agent.cookie}\r\n\r\n".encode()
    )
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise AssertionError(head.decode())
        event = ""
        while True:  # an event may lie across chunks, so the chunks' own lines are taken for what they are: no field
            line = await reader.readline()
            if not line:
                return
            arrivals.bytes += len(line)
            if line.startswith(b"event:"):
                event = line[6:].strip().decode()
                arrivals.events[event] += 1
                connected.set()
            elif line.startswith(b"data:") and event == "line":
                arrivals.line(json.loads(line[5:])["html"])
    finally:
        writer.close()


async def write(address: str, senders: list[str], rate: float, seconds: float, arrivals: Arrivals) -> Counter[int]:
    """Customers write, whether they were answered or not."""
    answers: Counter[int] = Counter()
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
    async with httpx.AsyncClient(base_url=address, timeout=30, limits=limits) as client, asyncio.TaskGroup() as group:

        async def say(n: int) -> None:
            word = f"no-{n}"
            arrivals.sent[word] = time.monotonic()
            body = {
                "sender": senders[n % len(senders)],
                "message": f"{WORDS} {word} .",
                "metadata": {"message_id": word, "language": "zh"},
            }
            try:
                answers[(await client.post("/webhooks/rest/webhook", json=body)).status_code] += 1
            except httpx.HTTPError:
                answers[0] += 1

        began = time.monotonic()
        for n in range(int(rate * seconds)):
            if (wait := began + n / rate - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            group.create_task(say(n))
    return answers


def family(pid: int) -> list[int]:
    """A process and those it started."""
    started = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    return [pid, *(each for child in started for each in family(int(child)))]


def memory(pid: int) -> Counter[str]:
    """A server's memory now and at most, in MB."""
    found: Counter[str] = Counter()
    for each in family(pid):
        lines = Path(f"/proc/{each}/status").read_text("ascii").splitlines()
        pairs = (line.split(":") for line in lines if line.startswith(("VmRSS", "VmHWM")))
        found.update({name: int(told.split()[0]) / 1024 for name, told in pairs})
    return found


def spent_by(pid: int) -> float:
    """Seconds of processor time a server has used."""
    return sum(processor(each) for each in family(pid))


# ── the measurement ──


async def load(address: str, agents: list[Agent], rate: float, seconds: float, pid: int) -> bool:
    """One measurement; whether the limits hold."""
    arrivals = Arrivals()
    connected = [asyncio.Event() for _ in agents]
    began = time.monotonic()
    pages = [
        asyncio.create_task(watch(address, agent, arrivals, there))
        for agent, there in zip(agents, connected, strict=True)
    ]
    await asyncio.wait_for(asyncio.gather(*(there.wait() for there in connected)), 120)
    print(f"  {len(agents)} pages connected within {time.monotonic() - began:.1f} s", flush=True)
    senders = [agent.sender for agent in agents if agent.sender]
    cpu, start = spent_by(pid), time.monotonic()
    answers = await write(address, senders, rate, WARM_UP + seconds, arrivals)
    until = time.monotonic() + LAST_WORDS
    while len(arrivals.came) < answers[200] and time.monotonic() < until:
        await asyncio.sleep(0.05)
    spent, took = spent_by(pid) - cpu, time.monotonic() - start
    for page in pages:
        page.cancel()
    broken = [end for end in await asyncio.gather(*pages, return_exceptions=True) if isinstance(end, AssertionError)]
    first = int(rate * WARM_UP)
    counted = [f"no-{n}" for n in range(first, int(rate * (WARM_UP + seconds)))]
    times = sorted(1000 * (arrivals.came[word] - arrivals.sent[word]) for word in counted if word in arrivals.came)
    missing = answers[200] - len(arrivals.came)
    p50, p95, p99 = (statistics.quantiles(times, n=100)[at] for at in (49, 94, 98))
    kept = memory(pid)
    print(f"  {answers.total()} messages: {dict(answers)}; {missing} lines missing, {arrivals.twice} twice")
    print(f"  events {dict(arrivals.events)}, {arrivals.bytes / 1e6 / took:.1f} MB/s to the pages")
    print(f"  server: {spent / took:.0%} of a core, {1000 * spent / answers.total():.1f} ms a message")
    print(f"  at the agent's page: p50 {p50:.0f} ms, p95 {p95:.0f} ms (limit {LIMIT_MS:.0f}), p99 {p99:.0f} ms")
    print(f"  memory: {kept['VmRSS']:.0f} MB, at most {kept['VmHWM']:.0f} MB (limit {LIMIT_MB:.0f})", flush=True)
    good = not missing and not arrivals.twice and not broken and set(answers) == {200}
    return good and p95 < LIMIT_MS and kept["VmHWM"] < LIMIT_MB


def measure(kind: str, agents: int, rate: float, seconds: float, processes: int) -> bool:
    several = processes if kind == "postgresql" else 1
    print(f"{kind}: {agents} agents, {rate:.0f} messages a second, {several} process{'es' * (several > 1)}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if (ROOT / ".hotline" / "models").exists():
            (folder / "models").symlink_to(ROOT / ".hotline" / "models")
        if kind == "sqlite":
            url = f"sqlite:///{folder / 'hotline.db'}"
            upgrade(url)
        else:
            postgres.drop(NAME)
            url = postgres.create(NAME)
        program = Hotline(folder, secret=SECRET, api_token="a token", database_url=url)
        if several > 1:
            program.knows(processes=str(several))
        try:
            database = Database(url, Vault(SECRET))
            there = people(database, agents)
            database.close()
            program.serve("--no-demo")
            return asyncio.run(load(program.address, there, rate, seconds, program.pid))
        finally:
            program.kill()
            if kind != "sqlite":
                postgres.drop(NAME)


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--databases", default="sqlite,postgresql")
    ask.add_argument("--agents", type=int, default=200)
    ask.add_argument("--rate", type=float, default=50)
    ask.add_argument("--seconds", type=float, default=30)
    ask.add_argument("--processes", type=int, default=2, help="of the server, on PostgreSQL")
    given = ask.parse_args()
    figures = (given.agents, given.rate, given.seconds, given.processes)
    held = [measure(kind, *figures) for kind in given.databases.split(",")]
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
