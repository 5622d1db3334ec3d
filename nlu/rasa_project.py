"""The Rasa project in nlu/rasa: its environment, its training, its server.

Rasa 3.6 runs on Python 3.10 with libraries Hotline must not share, so everything here is a process of its own, in an
environment that `uv` builds from the project's lock file. Nothing is sent to Rasa's makers (telemetry is off).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from nlu.examples import Example

PROJECT = Path(__file__).with_name("rasa")
DOMAIN = PROJECT / "domain.yml"
CONFIG = PROJECT / "config.yml"
PYTHON = "3.10"
MODEL = "hotline"

_EPOCHS = re.compile(r"(?m)^(\s*epochs:\s*)\d+")

Tell = Callable[[str], None]
"""Called with each line a long command prints."""


class RasaFailed(RuntimeError):  # noqa: N818 - what happened
    """A command of the Rasa environment failed; the message ends with what it printed last."""


def domain(intents: Sequence[str]) -> str:
    """The domain file of a model that knows `intents`."""
    return 'version: "3.1"\nintents:\n' + "".join(f"  - {intent}\n" for intent in sorted(set(intents)))


def config(epochs: int) -> str:
    """The committed configuration with another number of DIET epochs."""
    return _EPOCHS.sub(rf"\g<1>{epochs}", CONFIG.read_text("utf-8"))


def training_file(examples: Sequence[Example]) -> str:
    """`examples` in Rasa's training format."""
    blocks: dict[str, list[str]] = {}
    for example in examples:
        blocks.setdefault(example.intent, []).append(" ".join(example.text.split()))
    listed = (
        f"- intent: {intent}\n  examples: |\n" + "".join(f"    - {t}\n" for t in texts)
        for intent, texts in blocks.items()
    )
    return 'version: "3.1"\nnlu:\n' + "".join(listed)


def install(home: Path, tell: Tell = lambda _line: None) -> Path:
    """The environment under `home`, made when missing or out of date; returns its folder. Raises RasaFailed."""
    environment = home / "env"
    uv = shutil.which("uv")
    if uv is None:
        raise RasaFailed("uv is needed to build Rasa's environment: https://docs.astral.sh/uv/")
    command = [uv, "sync", "--project", str(PROJECT), "--frozen", "--python", _python()]
    _run(command, tell, {"UV_PROJECT_ENVIRONMENT": str(environment.resolve())})
    return environment


def _python() -> str:
    """A Python 3.10 kept by pyenv, which uv does not look for; else the version, which uv finds or fetches."""
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    return next((str(path) for path in sorted(kept.glob(f"{PYTHON}.*/bin/python{PYTHON}"))), PYTHON)


def train(home: Path, examples: Sequence[Example], epochs: int | None = None, tell: Tell = lambda _line: None) -> Path:
    """Trains on `examples` in the environment under `home`; returns the model file. Raises RasaFailed."""
    project = home / "project"
    project.mkdir(parents=True, exist_ok=True)
    (project / "domain.yml").write_text(domain([example.intent for example in examples]), "utf-8")
    (project / "config.yml").write_text(config(epochs) if epochs else CONFIG.read_text("utf-8"), "utf-8")
    (project / "nlu.yml").write_text(training_file(examples), "utf-8")
    models = home / "models"
    part = f"{MODEL}-part"
    command = [
        *(str(home / "env" / "bin" / "rasa"), "train", "nlu"),
        *("--config", str(project / "config.yml"), "--domain", str(project / "domain.yml")),
        *("--nlu", str(project / "nlu.yml"), "--out", str(models), "--fixed-model-name", part),
    ]
    _run(command, tell)
    return (models / f"{part}.tar.gz").replace(models / f"{MODEL}.tar.gz")  # a server never reads half a model


@contextmanager
def serving(home: Path, model: Path, port: int, patience: float = 180.0) -> Iterator[tuple[str, int]]:
    """A server of `model` on this machine, for as long as the block lasts: its URL and process id.

    Ready when entered. Raises RasaFailed when it ends or is not ready within `patience` seconds.
    """
    home, model = home.resolve(), model.resolve()  # the server runs there, wherever it was asked for
    command = [
        *(str(home / "env" / "bin" / "rasa"), "run", "--enable-api", "--model", str(model)),
        *("--interface", "127.0.0.1", "--port", str(port)),
    ]
    log = home / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=home, env=_quiet(), stdout=out, stderr=subprocess.STDOUT)  # noqa: S603
        try:
            url = f"http://127.0.0.1:{port}"
            _await_ready(process, url, patience, log)
            yield url, process.pid
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_ready(process: subprocess.Popen[bytes], url: str, patience: float, log: Path) -> None:
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            if httpx.post(f"{url}/model/parse", json={"text": "你好"}, timeout=10).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.5)
    raise RasaFailed(f"Rasa's server is not ready: {log.read_text('utf-8', 'replace')[-500:]}")


def _quiet() -> dict[str, str]:
    return os.environ | {
        "RASA_TELEMETRY_ENABLED": "false",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
    }


def _run(command: Sequence[str], tell: Tell, environment: dict[str, str] | None = None) -> None:
    """Runs to the end, telling each line as it comes."""
    last = ""
    with subprocess.Popen(  # noqa: S603 - our own commands
        command,
        cwd=PROJECT.parent.parent,
        env=_quiet() | (environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            if line.strip():
                last = line.strip()
                tell(last)
    if process.returncode:
        raise RasaFailed(f"{Path(command[0]).name} {command[1]} failed ({process.returncode}): {last}")
