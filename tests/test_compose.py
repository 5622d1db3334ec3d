"""docker-compose.yml and the image: valid, complete, and in step with the program's settings."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.settings import Settings

ROOT = Path(__file__).parents[1]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "bot" / "Dockerfile"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text("utf-8"))
    return loaded


def test_it_is_valid_by_the_compose_specification() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_whole_house_is_there(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"hotline", "worker", "postgres", "redis"}
    for name, service in compose["services"].items():
        assert service["healthcheck"]["test"], name
        assert service["restart"] == "unless-stopped", name
    for name in ("hotline", "worker"):
        service = compose["services"][name]
        assert service["build"]["dockerfile"] == "bot/Dockerfile"
        assert {each["condition"] for each in service["depends_on"].values()} == {"service_healthy"}


def test_only_the_web_server_has_a_port_and_only_on_this_machine(compose: dict[str, Any]) -> None:
    ports = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert list(ports) == ["hotline"]
    assert all(port.startswith("127.0.0.1:") for port in ports["hotline"])


def test_what_it_sets_is_what_the_program_reads(compose: dict[str, Any]) -> None:
    known = {f"HOTLINE_{name.upper()}" for name in Settings.model_fields}
    for name in ("hotline", "worker"):
        assert set(compose["services"][name]["environment"]) <= known
    in_image = set(re.findall(r"HOTLINE_[A-Z_]+", DOCKERFILE.read_text("utf-8")))
    assert in_image <= known


def test_no_password_is_written_down(compose: dict[str, Any]) -> None:
    assert compose["services"]["postgres"]["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")
    assert compose["services"]["hotline"]["environment"]["HOTLINE_SECRET"].startswith("${HOTLINE_SECRET:?")


def test_the_image_holds_every_room_and_runs_as_nobody_special() -> None:
    text = DOCKERFILE.read_text("utf-8")
    for room in ("bot", "nlu", "scripts", "store"):
        assert f"COPY {room} {room}" in text
        assert f"!{room}\n" in (ROOT / ".dockerignore").read_text("utf-8")
    users = re.findall(r"^USER (\w+)$", text, re.MULTILINE)
    assert users
    assert users[-1] != "root"
