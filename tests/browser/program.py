"""The real program as a browser meets it: with its demo, on a morning in summer."""

from __future__ import annotations

import fcntl
import re
import shutil
import time
from pathlib import Path

from tests.fakes.process import PATIENCE, Hotline

AT = "2026-07-01T10:00:00+08:00"  # a Wednesday morning in summer, when people are at work


class Program:
    """`hotline serve` with a folder of its own, a copy of `prepared`; a rehearsal, so that it is always that morning,
    and its clock runs `speed` times as fast."""

    def __init__(self, folder: Path, prepared: Path, speed: float = 1) -> None:
        shutil.copytree(prepared, folder, symlinks=True)
        self._folder, self._speed = folder, speed
        self._hotline = Hotline(folder)
        self.address = self._hotline.address
        self._links: list[tuple[str, str]] = []

    def start(self) -> None:
        """Starts it and waits until it answers; one that runs already is left alone."""
        if self._hotline.runs():
            return
        before = len(self._hotline.said())
        self._hotline.serve("--at", AT, "--speed", str(self._speed))
        until = time.monotonic() + PATIENCE
        while "Ctrl+C" not in (said := self._hotline.said()[before:]):
            assert time.monotonic() < until, said
            time.sleep(0.02)
        self._links = re.findall(r"^\s*(\S+) \S.*?(\S+/sign-in/link/\S+)", said, re.M)

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
        self._hotline.kill()

    def stop(self) -> None:
        self._hotline.stop()


def prepare(folder: Path, models: Path) -> Path:
    """The folder of a program that was started and stopped once, on the model in `models`: the demo is there.

    Made by the first who comes, whichever process of the tests that is.
    """
    done = folder / "done"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            (folder / "models").symlink_to(models)
            first = Hotline(folder)
            first.serve("--at", AT)
            first.stop()
            (folder / "said.txt").unlink()
            done.touch()
    return folder
