"""The real program in a process of its own, to be started, killed and started again."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

PATIENCE = 120.0  # seconds a first start may take on a busy machine
AT = "2026-07-01T10:00:00+08:00"  # a Wednesday morning in summer, when people are at work


class Program:
    """`hotline serve` on a free port with a folder of its own; a rehearsal, so that it is always that morning, and its
    clock runs `speed` times as fast."""

    def __init__(self, folder: Path, models: Path, speed: float = 1) -> None:
        self._folder, self._speed = folder, speed
        folder.mkdir(parents=True, exist_ok=True)
        if models.is_dir():
            (folder / "models").symlink_to(models)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port: int = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._said = folder / "said.txt"
        self._links: list[tuple[str, str]] = []

    def start(self) -> None:
        """Starts it and waits until it answers; one that runs already is left alone."""
        if self._process is not None and self._process.poll() is None:
            return
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HOTLINE_")}
        environment |= {"HOTLINE_DATA_DIR": str(self._folder), "HOTLINE_PORT": str(self._port)}
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                [Path(sys.executable).with_name("hotline"), "serve", "--at", AT, "--speed", str(self._speed)],
                env=environment,
                cwd=self._folder,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        ends = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > ends:
                raise AssertionError(f"the program did not start:\n{self._said.read_text(errors='replace')[-4000:]}")
            time.sleep(0.1)
        self._links = re.findall(r"^\s*(\S+) \S.*?(\S+/sign-in/link/\S+)", self._said.read_text(), re.M)

    def _answers(self) -> bool:
        try:
            ready = httpx.get(f"{self.address}/healthz", timeout=1).status_code == 200
        except httpx.TransportError:
            return False
        return ready and "/sign-in/link/" in self._said.read_text(errors="replace")

    def link(self, role: str) -> str:
        """An unused sign-in link of somebody with this role, as it is printed in Chinese."""
        found = next(link for link in self._links if link[0] == role)
        self._links.remove(found)
        return found[1]

    @property
    def database(self) -> Path:
        """The file it keeps everything in."""
        return self._folder / "rehearsal" / "hotline.db"

    @property
    def api_token(self) -> str:
        """What the program's API asks for."""
        return (self._folder / "api-token").read_text().strip()

    def kill(self) -> None:
        """kill -9: nothing is tidied up."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
