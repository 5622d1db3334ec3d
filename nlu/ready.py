"""`python -m nlu.ready MODEL`: how long a fresh process takes to answer its first text, and what memory that adds.

Prints JSON: `ready_s` from before the first import of ours to the first answer, `memory_mb` added by it.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from pathlib import Path


def resident_mb() -> float:
    """This process's resident memory, in MB; 0 where the system does not say."""
    return memory_of("self")


def memory_of(pid: int | str) -> float:
    """A process's resident memory, in MB; 0 where the system does not say."""
    status = Path(f"/proc/{pid}/status")
    if not status.is_file():
        return 0.0
    line = next((line for line in status.read_text().splitlines() if line.startswith("VmRSS")), "VmRSS: 0")
    return int(line.split()[1]) / 1024


def main() -> None:
    before, started = resident_mb(), time.perf_counter()
    embedded, model = import_module("nlu.embedded"), import_module("nlu.model")  # timed, so not at the top
    engine = embedded.Embedded(model.Model.load(Path(sys.argv[1])))
    engine.parse("明天下午三点 can you call me back?")
    ready = time.perf_counter() - started
    sys.stdout.write(json.dumps({"ready_s": round(ready, 3), "memory_mb": round(resident_mb() - before, 1)}))


if __name__ == "__main__":
    main()
