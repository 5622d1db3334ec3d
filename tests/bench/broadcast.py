"""An announcement to 100,000 people on PostgreSQL, with four workers, a carrier that counts, and things that go wrong.

    uv run python tests/bench/broadcast.py [--people 100000] [--only rate,lifted,stop,crash,sqlite] [--rate 300]

PostgreSQL is one of its own, in a folder under /tmp, so that it can be restarted. Four `hotline worker` processes and
one `hotline serve` share it (tests/bench/stage.py); text messages go to tests/fakes/carrier.py, which writes down when
each came. Five announcements are made:

  rate    at the configured rate, while somebody chats by REST five times a second
  lifted  with no rate to speak of
  stop    with no rate; half way every worker is asked to end, and others take over
  crash   with no rate; two workers are killed with -9, PostgreSQL is restarted, the carrier loses every 200th answer
  sqlite  `hotline serve` alone on SQLite, 2,000 people

Every figure is printed beside its limit; nothing is asserted. Processor time is printed too: on a machine that the
carrier, the database and the workers share, it says what each would take on cores of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import signal
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from bot.core.policy import Bilingual
from bot.core.words import ChannelName, DeliveryState, Outcome
from bot.services import workers
from bot.services.announcements import announcements, approvals, audience, broadcasts
from bot.services.centre import Centre
from bot.services.incidents import detection, incidents
from store.db import Session
from store.tables import Broadcast, BroadcastRecipient, Delivery, Staff
from tests.bench.stage import (
    CARRIER_PORT,
    LIFTED,
    PLACE,
    POSTGRES_PORT,
    SERVE_PORT,
    Spent,
    Stage,
    control,
    fill,
    postgres,
    serving,
    wait_for,
)

TEXT = Bilingual("三号楼供热管道爆裂，今晚八点前恢复。", "A heating pipe burst in building 3; heat is back by 8 p.m.")
CHATS = 5.0  # turns a second
WINDOW = 10.0
TOLD = (Outcome.ACCEPTED, Outcome.DELIVERED, Outcome.HEARD, Outcome.ACKNOWLEDGED)
OPEN = (DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.UNKNOWN)


# ── one announcement ──


def launch(centre: Centre) -> int:
    """Drafted by operations, approved and sent by the supervisor."""
    now = centre.clock.now()

    def work(session: Session) -> int:
        by = {each.username: each.id for each in session.scalars(select(Staff))}
        incident = detection.report(
            session, centre, code="INC-29", title="管道爆裂", buildings=[], staff_id=by["leader"], now=now
        )
        incidents.confirm(session, centre, incident.id, staff_id=by["leader"], now=now)
        notice = announcements.draft(
            session,
            centre,
            incident.id,
            staff_id=by["ops"],
            now=now,
            audience=audience.audience_of([], ["bench"]),
            channels=[ChannelName.SMS],
            text=TEXT,
        )
        approvals.approve(session, centre, notice.id, revision=notice.revision, staff_id=by["supervisor"], now=now)
        approvals.send(session, centre, notice.id, staff_id=by["supervisor"], now=now, override="measured at any hour")
        return notice.id

    return centre.db.write_now(work)


@dataclass(frozen=True)
class Heard:
    """What the carrier took: the moment, the number, the segments and our delivery of each message."""

    at: list[float]
    to: Counter[str]
    units: list[int]
    deliveries: Counter[int]

    @classmethod
    def of(cls, log: Path) -> Heard:
        lines = [each for line in log.read_text().splitlines() if (each := line.split())[2] != "?"]
        return cls(
            [float(each[0]) for each in lines],
            Counter(each[1] for each in lines),
            [int(each[2]) for each in lines],
            Counter(int(each[3]) for each in lines),
        )

    def average(self) -> float:
        """Units a second from the first to the last; the first begins the clock."""
        took = self.at[-1] - self.at[0] if len(self.at) > 1 else 0.0
        return sum(self.units[1:]) / took if took else 0.0

    def most_in(self, seconds: float) -> int:
        sums = [0]
        for units in self.units:
            sums.append(sums[-1] + units)
        return max((sums[bisect_left(self.at, at + seconds)] - sums[n] for n, at in enumerate(self.at)), default=0)


def line(what: str, measured: str, limit: str = "") -> None:
    print(f"  {what:<58}{measured:>16}   {limit}", flush=True)


def load() -> str:
    return " ".join(f"{each:.1f}" for each in os.getloadavg())


def fanned_out(centre: Centre, notice: int) -> bool:
    return bool(centre.db.read_now(lambda s: s.scalar(select(Broadcast.fanned_out).where(Broadcast.id == notice))))


def still_open(centre: Centre, notice: int) -> int:
    """Rows that are not settled."""
    mine = select(BroadcastRecipient.id).where(BroadcastRecipient.broadcast_id == notice)
    query = select(func.count()).where(Delivery.recipient_id.in_(mine), Delivery.state.in_(OPEN))
    return centre.db.read_now(lambda s: s.scalar(query)) or 0


def summing(centre: Centre, notice: int) -> tuple[int, int]:
    """The audience, and the sum of its outcomes."""

    def look(session: Session) -> tuple[int, int]:
        return session.get_one(Broadcast, notice).audience_size, sum(broadcasts.counts(session, notice).values())

    return centre.db.read_now(look)


def outcome(centre: Centre, notice: int, heard: Heard) -> None:
    """Who was reached, how often, and whether that is known."""
    counts = centre.db.read_now(lambda s: broadcasts.counts(s, notice))
    size, total = summing(centre, notice)
    mine = select(BroadcastRecipient.id).where(BroadcastRecipient.broadcast_id == notice)

    def of_mine(session: Session, *which: object) -> set[int]:
        return set(session.scalars(select(Delivery.id).where(Delivery.recipient_id.in_(mine), *which)))  # type: ignore[arg-type]

    asked = centre.db.read_now(lambda s: of_mine(s, Delivery.asked > 0))
    resent = centre.db.read_now(lambda s: of_mine(s, Delivery.asked > 0, Delivery.attempt > 1))
    twice = {delivery for delivery, times in heard.deliveries.items() if times > 1}
    line("recipients reached at the carrier", f"{len(heard.to)}", f"= {size}")
    line("recipients told, by their outcome", f"{sum(counts[each] for each in TOLD)}", f"= {size}")
    line("sum of the outcomes", f"{total}", f"= {size}")
    line("rows whose answer was lost: the carrier was asked", f"{len(asked)}")
    line("of them sent again, for it knew of none", f"{len(resent)}")
    line("people sent to twice, though the carrier could tell", f"{sum(1 for n in heard.to.values() if n > 1)}", "0")
    line("rows sent twice that are not marked", f"{len(twice - resent)}", "0")


def costs(spent: Spent, people: int, seconds: float) -> None:
    """What the announcement took of the processor."""
    for who, took in (("workers", spent.workers), ("carrier", spent.carrier), ("database", spent.database)):
        each = f"{took / people * 1000:.2f} ms a person, {took / seconds:.2f} cores" if people and seconds else ""
        line(f"processor time, {who}", f"{took:.1f} s", each)


async def chatting(seconds: Callable[[], bool], times: list[float]) -> None:
    """Somebody writes by REST, again and again; how long each turn took, in ms."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{SERVE_PORT}", timeout=30) as client:
        n = 0
        while seconds():
            n += 1
            body = {"sender": f"bench-{n % 7}-{n // 70}", "message": ("你好", "你们几点上班", "谢谢")[n % 3]}
            began = time.perf_counter()
            await client.post("/webhooks/rest/webhook", json=body | {"metadata": {"message_id": secrets.token_hex(6)}})
            took = time.perf_counter() - began
            times.append(took * 1000)
            await asyncio.sleep(max(0.0, 1 / CHATS - took))


def chats(until: Callable[[], bool], limit: float) -> list[float]:
    times: list[float] = []
    end = time.monotonic() + limit

    async def going() -> None:
        over = asyncio.Event()

        async def watch() -> None:
            while time.monotonic() < end and not await asyncio.to_thread(until):
                await asyncio.sleep(0.5)
            over.set()

        await asyncio.gather(watch(), chatting(lambda: not over.is_set(), times))

    asyncio.run(going())
    return sorted(times)


def turns(times: list[float]) -> None:
    if times:
        half, p99 = times[len(times) // 2], times[min(len(times) - 1, int(len(times) * 0.99))]
        line(f"a chat turn meanwhile, p50 / p99 of {len(times)}", f"{half:.0f} / {p99:.0f} ms", "p99 < 200 ms")


@contextmanager
def played(
    url: str, name: str, *, rate: float, lose: int = 0, hands: int, serve: bool = True
) -> Iterator[tuple[Stage, Centre]]:
    """The carrier, the workers and the server, ready."""
    PLACE.mkdir(parents=True, exist_ok=True)
    stage = Stage(url, PLACE / f"{name}.log", rate, lose)
    stage.write_rates()
    with ExitStack() as stack:
        centre = stage.centre()
        stack.callback(centre.db.close)
        stage.carrier = stage.start(stack, "tests.fakes.carrier", str(CARRIER_PORT), str(stage.log), str(lose))
        stage.workers = [stage.start(stack, "bot.cli", "worker") for _ in range(hands)]
        if serve:
            stage.server = stage.start(stack, "bot.cli", "serve", "--no-demo")
            if not wait_for(serving, 600):
                raise SystemExit(f"`hotline serve` did not start: see {PLACE}")
        if hands:
            if not wait_for(lambda: _alive(centre) >= hands + serve, 600):
                raise SystemExit(f"the workers did not start: see {PLACE}")
            time.sleep(6)  # every worker has looked once around at how many share the lanes
        yield stage, centre


def messages(stage: Stage) -> int:
    """How many the carrier has taken."""
    return sum(1 for line in stage.log.open() if " ? " not in line)


def _alive(centre: Centre) -> int:
    return len(centre.db.read_now(lambda s: workers.alive(s, centre.clock.machine())))


def measure_rate(url: str, rate: float, people: int, hands: int) -> None:
    with played(url, "rate", rate=rate, hands=hands) as (stage, centre):
        began = time.monotonic()
        notice = launch(centre)
        frozen = time.monotonic()
        wait_for(lambda: fanned_out(centre, notice), 600, 0.1)
        out = time.monotonic()
        times = chats(lambda: still_open(centre, notice) == 0, people / rate * 3 + 120)
        heard = Heard.of(stage.log)
        print(f"rate: {people} people, {rate:g}/s, {hands} workers, load {load()}")
        line("drafted, approved, frozen, launched", f"{frozen - began:.1f} s")
        line("fan-out", f"{out - frozen:.1f} s", "< 30 s")
        line("sustained", f"{heard.average():.1f}/s", f">= {rate * 0.98:.1f}/s (98 %)")
        line("most in any 10 s", f"{heard.most_in(WINDOW)}", f"<= {10 * rate + 1:.0f}")
        turns(times)
        outcome(centre, notice, heard)


def measure_lifted(url: str, data: Path, people: int, hands: int) -> None:
    with played(url, "lifted", rate=LIFTED, hands=hands, serve=False) as (stage, centre):
        before = Spent.now(stage, data)
        began = time.monotonic()
        notice = launch(centre)
        frozen = time.monotonic()
        wait_for(lambda: fanned_out(centre, notice), 600, 0.1)
        out = time.monotonic()
        wait_for(lambda: still_open(centre, notice) == 0, 1200, 0.5)
        heard = Heard.of(stage.log)
        print(f"lifted: {people} people, no rate, {hands} workers, load {load()}")
        line("drafted, approved, frozen, launched", f"{frozen - began:.1f} s")
        line("fan-out, while it is sent", f"{out - frozen:.1f} s", "< 30 s")
        line("deliveries", f"{heard.average():.0f}/s", ">= 1500/s")
        costs(Spent.now(stage, data).since(before), people, time.monotonic() - began)
        outcome(centre, notice, heard)


def measure_stop(url: str, people: int, hands: int) -> None:
    with played(url, "stop", rate=LIFTED, hands=hands, serve=False) as (stage, centre):
        notice = launch(centre)
        wait_for(lambda: messages(stage) > people * 0.3, 600, 0.05)
        asked = time.monotonic()
        for process in stage.workers:
            process.send_signal(signal.SIGTERM)
        wait_for(lambda: all(each.poll() is not None for each in stage.workers), 120, 0.05)
        ended = time.monotonic() - asked
        mine = select(BroadcastRecipient.id).where(BroadcastRecipient.broadcast_id == notice)
        lost = select(func.count()).where(Delivery.recipient_id.in_(mine), Delivery.state == DeliveryState.SENDING)
        in_the_air = centre.db.read_now(lambda s: s.scalar(lost))
        with ExitStack() as stack:
            stage.workers = [stage.start(stack, "bot.cli", "worker") for _ in range(hands)]
            wait_for(lambda: fanned_out(centre, notice) and still_open(centre, notice) == 0, 900, 0.5)
        heard = Heard.of(stage.log)
        print(f"stop: {people} people, {hands} workers asked to end, {hands} others take over, load {load()}")
        line("until the last of them had ended", f"{ended:.1f} s", "< 10 s")
        line("rows left in the air", f"{in_the_air}", "0")
        outcome(centre, notice, heard)


def measure_crash(url: str, data: Path, people: int, hands: int) -> None:
    with played(url, "crash", rate=LIFTED, lose=200, hands=hands, serve=False) as (stage, centre):
        notice = launch(centre)
        wait_for(lambda: messages(stage) > people * 0.3, 600, 0.1)
        for process in stage.workers[: hands // 2]:
            process.kill()
        wait_for(lambda: messages(stage) > people * 0.6, 600, 0.1)
        control(data, "restart")
        sums = []
        until = time.monotonic() + 900
        while time.monotonic() < until:
            try:
                sums.append(summing(centre, notice))
                if still_open(centre, notice) == 0 and fanned_out(centre, notice):
                    break
            except DBAPIError:
                pass
            time.sleep(1)
        heard = Heard.of(stage.log)
        print(f"crash: {people} people, {hands // 2} of {hands} workers killed, PostgreSQL restarted, load {load()}")
        line("sums looked at on the way that were not the audience", f"{sum(1 for a, b in sums if a != b)}", "0")
        line("from the first message to the last", f"{heard.at[-1] - heard.at[0]:.0f} s")
        outcome(centre, notice, heard)


def measure_sqlite(people: int) -> None:
    PLACE.mkdir(parents=True, exist_ok=True)
    for old in PLACE.glob("run.db*"):
        old.unlink()
    url = f"sqlite:///{PLACE / 'run.db'}"
    stage = Stage(url, PLACE / "none.log")
    stage.write_rates()
    centre = stage.centre()
    fill(centre, people)
    centre.db.close()
    with played(url, "sqlite", rate=LIFTED, hands=0) as (stage, centre):
        began = time.monotonic()
        notice = launch(centre)
        # What another process writes reaches the server at its next beat.
        times = chats(lambda: fanned_out(centre, notice) and still_open(centre, notice) == 0, 600)
        out = time.monotonic()
        heard = Heard.of(stage.log)
        print(f"sqlite: {people} people, no rate, one process, load {load()}")
        line("from the launch to the last row settled", f"{out - began:.1f} s")
        line("deliveries", f"{heard.average():.0f}/s")
        turns(times)
        outcome(centre, notice, heard)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=300)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--only", default="rate,lifted,stop,crash,sqlite")
    parser.add_argument("--sqlite-people", type=int, default=2_000)
    asked = parser.parse_args()
    wanted = set(asked.only.split(","))
    print(f"{os.cpu_count()} cores, load {load()}", flush=True)
    if wanted - {"sqlite"}:
        with postgres() as data:
            url = f"postgresql://postgres@127.0.0.1:{POSTGRES_PORT}/postgres"
            stage = Stage(url, PLACE / "none.log")
            stage.write_rates()
            centre = stage.centre()
            fill(centre, asked.people)
            centre.db.close()
            if "rate" in wanted:
                measure_rate(url, asked.rate, asked.people, asked.workers)
            if "lifted" in wanted:
                measure_lifted(url, data, asked.people, asked.workers)
            if "stop" in wanted:
                measure_stop(url, asked.people, asked.workers)
            if "crash" in wanted:
                measure_crash(url, data, asked.people, asked.workers)
    if "sqlite" in wanted:
        measure_sqlite(asked.sqlite_people)


if __name__ == "__main__":
    main()
