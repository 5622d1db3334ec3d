"""`serve` by several processes at one port (HOTLINE_PROCESSES): each is whole, and the kernel shares the callers out.

The first process does no work of its own: it prepares the database and the model, starts the others, starts one anew
that ends by itself, and ends when one cannot start. Nobody outlives it, even where it is killed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event
from typing import NoReturn

from bot.web.health import FIGURES

PATIENCE = 10.0  # seconds a process may take to end in good order

_spawn = multiprocessing.get_context("spawn")


class _Process:
    """One of them: its process, and whether it has said that it serves."""

    def __init__(self, serve: Callable[[Callable[[], None]], None]) -> None:
        self.ready: Event = _spawn.Event()
        self.itself: SpawnProcess = _spawn.Process(target=_serve, args=(serve, self.ready))
        self.itself.start()

    def end(self) -> None:
        self.itself.join(PATIENCE)
        if self.itself.is_alive():
            self.itself.kill()
            self.itself.join()


def run(serve: Callable[[Callable[[], None]], None], processes: int, ready: Callable[[], None]) -> NoReturn:
    """Runs `serve(said)` in so many processes, each of which calls `said` once it serves; `ready` is called when all
    do. Ends with them: 0 where it was told to, 1 where one could not start. `serve` is a function of a module."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="hotline-figures-") as figures:
        os.environ[FIGURES] = figures  # read by each as it starts
        them = [_Process(serve) for _ in range(processes)]
        try:
            while not all(each.ready.wait(0.1) for each in them):
                _none_failed(them)
            ready()
            while True:
                connection.wait([each.itself.sentinel for each in them])
                _none_failed(them)
                them = [each if each.itself.is_alive() else _Process(serve) for each in them]
        except KeyboardInterrupt:
            sys.exit(0)
        finally:
            for each in them:
                each.itself.terminate()
            for each in them:
                each.end()


def _none_failed(them: list[_Process]) -> None:
    if any(not each.itself.is_alive() and not each.ready.is_set() for each in them):
        sys.exit(1)


def _serve(serve: Callable[[Callable[[], None]], None], ready: Event) -> None:
    threading.Thread(target=_outlive_nobody, daemon=True).start()
    serve(ready.set)


def _outlive_nobody() -> None:
    first = multiprocessing.parent_process()
    if first is not None:
        first.join()
        os.kill(os.getpid(), signal.SIGTERM)
