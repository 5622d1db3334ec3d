"""The house's own law (DESIGN §1): who may import whom, where a framework may appear, what lies at the top."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ROOMS = ("bot.core", "bot.services", "bot.channels", "bot.web", "bot.console", "bot.reports", "nlu", "scripts", "store")
SHARED = ("bot.settings", "bot.clock", "bot.logs")  # plain values handed around with the centre
MAY: dict[str, frozenset[str]] = {
    "bot.core": frozenset(),
    "store": frozenset({"bot.core"}),
    "scripts": frozenset({"bot.core"}),
    "nlu": frozenset({"bot.core"}),
    "bot.channels": frozenset({"bot.core"}),
    "bot.services": frozenset({"bot.core", "store", "scripts", "nlu", *SHARED}),
    "bot.web": frozenset({"bot.core", "bot.services", "store", *SHARED}),
    "bot.console": frozenset({"bot.core", "bot.services", "bot.web", "bot.reports", "store", *SHARED}),
    "bot.reports": frozenset({"bot.core", "bot.services", "store", *SHARED}),
    "bot.settings": frozenset({"bot.core"}),
    "bot.clock": frozenset({"bot.core"}),
    "bot.logs": frozenset({"bot.core"}),
}
"""What of ours each room may import, besides itself."""

BUILDERS = ("bot.app", "bot.cli", "bot.web.doors")
"""What puts the house together may import all of it."""

ONLY_IN: dict[str, tuple[str, ...]] = {
    "aiogram": ("bot.channels",),
    "twilio": ("bot.channels",),
    "apscheduler": ("bot.services.heartbeat",),
    "sqlalchemy": ("store", "bot.services", "bot.console", "bot.reports"),
    "alembic": ("store",),
}

TREES = ("bot", "nlu", "scripts", "store")
TOP = {*TREES, "tests", "docker-compose.yml", "pyproject.toml", "README.md", "LICENSE", "uv.lock"}
"""Besides dot-files."""


@dataclass(frozen=True)
class Import:
    """`module` imports `name` at `line` of `path`."""

    module: str
    name: str
    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.module} imports {self.name}"


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources() -> list[Path]:
    return sorted(p for room in TREES for p in (ROOT / room).rglob("*.py"))


def imports_of(path: Path) -> list[Import]:
    """Every absolute import of a file; `from bot import x` counts as bot.x."""
    module, found = module_of(path), []
    for node in ast.walk(ast.parse(path.read_text("utf-8"), path.name)):
        if isinstance(node, ast.Import):
            found += [Import(module, alias.name, path, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            source = node.module or ""
            whole = [f"{source}.{alias.name}" for alias in node.names] if source in PACKAGES else [source]
            found += [Import(module, name, path, node.lineno) for name in whole]
    return found


PACKAGES = {module_of(path) for path in sources() if path.name == "__init__.py"} | set(TREES)
IMPORTS = [each for path in sources() for each in imports_of(path)]


def inside(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def room_of(name: str) -> str | None:
    """The room a module of ours lies in; None for somebody else's."""
    return next((room for room in (*BUILDERS, *ROOMS, *SHARED) if inside(name, room)), None)


def breaks_the_law(each: Import) -> bool:
    room, target = room_of(each.module), room_of(each.name)
    if room in BUILDERS or target is None or target == room:
        return False
    return room is None or target not in MAY[room]


def test_every_module_lies_in_a_room() -> None:
    strays = [module_of(p) for p in sources() if module_of(p) != "bot" and room_of(module_of(p)) is None]
    assert strays == []


def test_who_may_import_whom() -> None:
    assert [str(each) for each in IMPORTS if breaks_the_law(each)] == []


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_framework_stays_in_its_place(library: str) -> None:
    astray = [
        str(each)
        for each in IMPORTS
        if inside(each.name, library) and not any(inside(each.module, place) for place in ONLY_IN[library])
    ]
    assert astray == []


def test_the_core_is_pure() -> None:
    """Standard library only, and none of its clocks, sockets, files or threads."""
    worldly = {"time", "socket", "asyncio", "threading", "subprocess", "os", "pathlib", "random", "logging", "io"}
    impure = [
        str(each)
        for each in IMPORTS
        if inside(each.module, "bot.core")
        and not inside(each.name, "bot.core")
        and ((top := each.name.partition(".")[0]) not in sys.stdlib_module_names or top in worldly)
    ]
    assert impure == []


def test_the_core_has_no_clock() -> None:
    """`now` is an argument: nobody in the core asks what time it is."""
    asked = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / "bot" / "core").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in {"now", "utcnow", "today"}
        and isinstance(node.value, ast.Name)
        and node.value.id in {"datetime", "date"}
    ]
    assert asked == []


def test_imports_stand_at_the_top_of_a_file() -> None:
    """An import in a function hides a circle or a cost; `if TYPE_CHECKING` is the one exception."""
    hidden = [
        f"{path.relative_to(ROOT)}:{inner.lineno}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]
    assert hidden == []


def test_the_top_of_the_repository_is_fixed() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {line.partition("/")[0] for line in listed.splitlines()}
    assert {name for name in top if not name.startswith(".")} - TOP == set()
