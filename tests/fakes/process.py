"""`hotline …` in a process of its own that a test may stop or kill at any moment.

The processes are forked from one that has the program imported already, so that a start takes a fraction of a second.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import multiprocessing
import os
import pkgutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from bot.cli import main
from bot.clock import Clock

PATIENCE = 180.0  # seconds; a busy machine takes its time
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["bot.cli"])


@dataclass(frozen=True, slots=True)
class Dies:
    """kill -9 where a test says: as the program begins, or with `done` as it ends, the `nth` call of `at`
    ("module:function" or "module:Class.method"), whatever the machine happens to be doing."""

    at: str
    done: bool = False
    nth: int = 1


def _function(moment: Dies) -> tuple[Any, str, Callable[..., Any]]:
    """What it names: where it stands, its name there, and itself. AttributeError where there is no such function."""
    where, _, name = moment.at.rpartition(".") if "." in moment.at.partition(":")[2] else moment.at.rpartition(":")
    owner = pkgutil.resolve_name(where)
    return owner, name, getattr(owner, name)


def _set(moment: Dies) -> None:
    """Lays the end of the process into its own code."""
    owner, name, real = _function(moment)
    calls = itertools.count(1)

    def now(call: int, done: bool) -> None:
        if (call, done) == (moment.nth, moment.done):
            os.kill(os.getpid(), signal.SIGKILL)

    @functools.wraps(real)
    def plain(*given: Any, **named: Any) -> Any:
        now(call := next(calls), False)
        result = real(*given, **named)
        now(call, True)
        return result

    @functools.wraps(real)
    async def waited(*given: Any, **named: Any) -> Any:
        now(call := next(calls), False)
        result = await real(*given, **named)
        now(call, True)
        return result

    setattr(owner, name, waited if inspect.iscoroutinefunction(real) else plain)


def _tell(ahead: timedelta) -> None:
    """Domain time is so far ahead of the machine's."""
    Clock.now = lambda self: self.machine() + ahead  # type: ignore[method-assign]


def _hotline(
    arguments: list[str], environment: dict[str, str], said: Path, ahead: timedelta, dies: Dies | None
) -> None:
    """What the forked process does: become the command."""
    out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ.update(environment)
    os.chdir(said.parent)
    _tell(ahead)
    if dies is not None:
        _set(dies)
    sys.argv = ["hotline", *arguments]
    main()


class Hotline:
    """A command on one database and folder, started as often as it is killed."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self._environment = {
            "HOTLINE_DATA_DIR": str(folder),
            "HOTLINE_PORT": str(port),
            **{f"HOTLINE_{name.upper()}": value for name, value in environment.items()},
        }
        self._said = folder / "said.txt"
        self._ahead = timedelta()
        self._process: multiprocessing.process.BaseProcess | None = None

    def knows(self, **environment: str) -> None:
        """More settings, from its next start on."""
        self._environment |= {f"HOTLINE_{name.upper()}": value for name, value in environment.items()}

    def now(self) -> datetime:
        """What domain time is to it."""
        return datetime.now(UTC) + self._ahead

    def start(self, *arguments: str, at: datetime | None = None, dies: Dies | None = None) -> None:
        """`at`: the domain time it begins at, else the machine's; `dies`: the moment it is killed by itself."""
        self._ahead = at - datetime.now(UTC) if at is not None else timedelta()
        if dies is not None:
            _function(dies)  # a name that is gone is said at once
        given = (list(arguments), self._environment, self._said, self._ahead, dies)
        alone = "HOTLINE_PROCESSES" not in self._environment  # else it starts others, as no daemon may
        process = _forks.Process(target=_hotline, args=given, daemon=alone)
        process.start()
        self._process = process

    def serve(self, *arguments: str, at: datetime | None = None, dies: Dies | None = None) -> None:
        """`hotline serve`; returns once it answers, or is dead where it `dies` before."""
        self.start("serve", *arguments, at=at, dies=dies)
        until = time.monotonic() + PATIENCE
        while True:
            try:
                if httpx.get(f"{self.address}/healthz", timeout=1).is_success:
                    return
            except httpx.TransportError:
                pass
            assert self._process is not None
            if dies is not None and self.ended() == -signal.SIGKILL:
                return
            if not self._process.is_alive() or time.monotonic() > until:
                raise AssertionError(self.said())
            time.sleep(0.02)

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    def said(self) -> str:
        return self._said.read_text("utf-8", "replace") if self._said.exists() else ""

    def runs(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def ended(self) -> int | None:
        """The exit code, once there is one."""
        return self._process.exitcode if self._process else None

    def wait(self) -> int:
        """Waits for the end of a command; its exit code."""
        assert self._process is not None
        self._process.join(PATIENCE)
        assert self._process.exitcode is not None, self.said()
        return self._process.exitcode

    def died(self) -> None:
        """Waits for the moment it was to die at."""
        assert self.wait() == -signal.SIGKILL, self.said()

    def kill(self) -> None:
        """kill -9: nothing is tidied up."""
        if self._process is not None:
            self._process.kill()
            self._process.join(10)

    def stop(self) -> None:
        """As an operator stops it; what does not end in time is killed."""
        if self._process is not None:
            self._process.terminate()
            self._process.join(15)
            self.kill()
