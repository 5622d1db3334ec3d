"""What a measurement of announcements plays on: a PostgreSQL of its own, the carrier, workers and a server, and what
each of them costs in processor time."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import insert
from sqlalchemy.exc import DBAPIError

from bot import app
from bot.core.words import ChannelName
from bot.services.centre import Centre
from bot.settings import Settings
from store.db import Session
from store.tables import Address, Contact
from tests.fakes.twilio import NUMBER, SID, TOKEN

ROOT = Path(__file__).parents[2]
PLACE = ROOT / ".hotline" / "bench" / "broadcast"
SECRET = "a secret for measuring"
SERVE_PORT, CARRIER_PORT, POSTGRES_PORT = 18791, 18792, 18793
LIFTED = 100_000.0  # a second
CHUNK = 10_000
TICKS = os.sysconf("SC_CLK_TCK")


def _run(*command: str) -> None:
    """PostgreSQL refuses to run as root."""
    someone = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
    subprocess.run([*someone, *command], check=True, stdout=subprocess.DEVNULL)


@contextmanager
def postgres() -> Iterator[Path]:
    """A server of our own; gives its folder."""
    folder = Path("/tmp") / f"hotline-bench-{os.getpid()}"
    folder.mkdir()
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    data = folder / "data"
    _run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8")
    with (data / "postgresql.conf").open("a") as conf:
        conf.write(f"port={POSTGRES_PORT}\nlisten_addresses='127.0.0.1'\nunix_socket_directories='{folder}'\n")
        conf.write("shared_buffers=256MB\nmax_wal_size=2GB\nmax_connections=120\n")
    try:
        control(data, "start")
        yield data
    finally:
        control(data, "stop")
        shutil.rmtree(folder, ignore_errors=True)


def control(data: Path, verb: str) -> None:
    """Starts, stops or restarts the server."""
    log = str(data.parent / "log")
    _run("pg_ctl", "-D", str(data), "-l", log, "-m", "fast", "-w", verb)


@dataclass
class Stage:
    """Everything one measurement plays on. `log` is the carrier's."""

    url: str
    log: Path
    rate: float = LIFTED
    lose: int = 0
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    carrier: subprocess.Popen[bytes] | None = None
    server: subprocess.Popen[bytes] | None = None

    @property
    def scripts(self) -> Path:
        return PLACE / "scripts"

    def environment(self) -> dict[str, str]:
        return os.environ | {
            "HOTLINE_DATABASE_URL": self.url,
            "HOTLINE_DATA_DIR": str(ROOT / ".hotline"),
            "HOTLINE_SCRIPTS": str(self.scripts),
            "HOTLINE_SECRET": SECRET,
            "HOTLINE_PORT": str(SERVE_PORT),
            "HOTLINE_PUBLIC_URL": f"http://127.0.0.1:{SERVE_PORT}",
            "HOTLINE_REDIS_URL": os.environ.get("HOTLINE_BENCH_REDIS", "redis://127.0.0.1:6379/15"),
            "HOTLINE_TWILIO_ACCOUNT_SID": SID,
            "HOTLINE_TWILIO_AUTH_TOKEN": TOKEN,
            "HOTLINE_TWILIO_NUMBER": NUMBER,
            "HOTLINE_TWILIO_API": f"http://127.0.0.1:{CARRIER_PORT}",
        }

    def write_rates(self) -> None:
        self.scripts.mkdir(parents=True, exist_ok=True)
        rates = f"sms: {{per_second: {self.rate}}}\n  rest: {{per_second: 5000, per_address: 1000}}"
        (self.scripts / "policies.yml").write_text(f"rates:\n  {rates}\n", "utf-8")

    def start(self, stack: ExitStack, *command: str) -> subprocess.Popen[bytes]:
        """A process of ours, ended with the stack."""
        log = stack.enter_context(
            (PLACE / f"{'-'.join(command[:3]).replace('/', '_')}-{secrets.token_hex(2)}.log").open("wb")
        )
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=ROOT, env=self.environment(), stdout=log, stderr=subprocess.STDOUT
        )
        stack.callback(_end, process)
        return process

    def centre(self) -> Centre:
        """The house in this process, to press the buttons; it sends nothing."""
        settings = Settings(
            _env_file=None,  # type: ignore[call-arg]
            data_dir=ROOT / ".hotline",
            database_url=self.url,
            secret=SECRET,
            scripts=self.scripts,
            twilio_account_sid=SID,
            twilio_auth_token=TOKEN,
            twilio_number=NUMBER,
            public_url=f"http://127.0.0.1:{SERVE_PORT}",
        )
        return app.build(settings, with_demo=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def wait_for(what: Callable[[], bool], seconds: float, every: float = 0.2) -> bool:
    """Whether it came true in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if what():
                return True
        except (OSError, DBAPIError):
            pass
        time.sleep(every)
    return False


def serving() -> bool:
    urllib.request.urlopen(f"http://127.0.0.1:{SERVE_PORT}/readyz", timeout=2).read()
    return True


def fill(centre: Centre, people: int) -> None:
    """People with a number for text messages each, all of the segment "bench"."""

    def chunk(session: Session, numbers: range) -> None:
        vault, now = centre.db.vault, centre.clock.now()
        contacts = [{"timezone": "Asia/Shanghai", "segments": ["bench"], "created_at": now} for _ in numbers]
        ids = session.scalars(insert(Contact).returning(Contact.id, sort_by_parameter_order=True), contacts).all()
        phones = [f"+86138{n:08d}" for n in numbers]
        session.execute(
            insert(Address),
            [
                {
                    "contact_id": contact_id,
                    "channel": ChannelName.SMS,
                    "sealed": vault.seal(phone),
                    "blind": vault.blind(ChannelName.SMS, phone),
                    "created_at": now,
                }
                for contact_id, phone in zip(ids, phones, strict=True)
            ],
        )

    for at in range(0, people, CHUNK):
        centre.db.write_now(lambda s, at=at: chunk(s, range(at, min(at + CHUNK, people))))  # type: ignore[misc]
    if not centre.db.is_sqlite:
        with centre.db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


# ── what it costs ──


@dataclass(frozen=True)
class Spent:
    """Processor seconds up to now, by who took them."""

    workers: float
    server: float
    carrier: float
    database: float

    @classmethod
    def now(cls, stage: Stage, data: Path | None) -> Spent:
        postmaster = int((data / "postmaster.pid").read_text().split()[0]) if data else 0
        return cls(
            sum(_seconds(each.pid) for each in stage.workers),
            _seconds(stage.server.pid) if stage.server else 0.0,
            _seconds(stage.carrier.pid) if stage.carrier else 0.0,
            _seconds(postmaster) + sum(_seconds(pid) for pid in _children(postmaster)) if postmaster else 0.0,
        )

    def since(self, before: Spent) -> Spent:
        return Spent(
            self.workers - before.workers,
            self.server - before.server,
            self.carrier - before.carrier,
            self.database - before.database,
        )


def _seconds(pid: int) -> float:
    """A process and those of its children that have ended. One that is gone has taken nothing."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(each) for each in fields[11:15]) / TICKS


def _children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
        except OSError:
            continue
    return found
