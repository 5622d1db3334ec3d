"""`hotline …` in a process of its own that a test may stop or kill at any moment.

The processes are forked from one that has the program imported already, so that a start takes a fraction of a second.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import time
from pathlib import Path

import httpx

from bot.cli import main

PATIENCE = 180.0  # seconds; a busy machine takes its time
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["bot.cli"])


def _hotline(arguments: list[str], environment: dict[str, str], said: Path) -> None:
    """What the forked process does: become the command."""
    out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ.update(environment)
    os.chdir(said.parent)
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
        self._process: multiprocessing.process.BaseProcess | None = None

    def start(self, *arguments: str) -> None:
        process = _forks.Process(target=_hotline, args=(list(arguments), self._environment, self._said), daemon=True)
        process.start()
        self._process = process

    def serve(self, *arguments: str) -> None:
        """`hotline serve`; returns once it answers."""
        self.start("serve", *arguments)
        until = time.monotonic() + PATIENCE
        while True:
            try:
                if httpx.get(f"{self.address}/healthz", timeout=1).is_success:
                    return
            except httpx.TransportError:
                pass
            assert self._process is not None
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
