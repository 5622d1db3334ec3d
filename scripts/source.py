"""Script files as plain data that remembers its lines, several roots laid over one another.

A root holds one folder a pack (`service/`, `heating/` …); every .yml file in a pack may hold `slots`, `flows` and
`responses`. A later root's flow, slot or response replaces the earlier one of the same name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SECTIONS = ("slots", "flows", "responses")
ALWAYS = "service"  # the pack of the greeting and the repairs


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a script; `line` counts from 1, 0 where a whole file or none is meant."""

    file: str
    line: int
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        hint = f" — {self.suggestion}" if self.suggestion else ""
        return f"{self.file}:{self.line}: {self.message}{hint}"


class ScriptsError(ValueError):
    """The scripts cannot be used; `problems` names every reason."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class Mapped(dict[str, Any]):
    """A YAML mapping that knows its file and the line of each key."""

    def __init__(self, file: str, line: int) -> None:
        super().__init__()
        self.file = file
        self.line = line
        self.lines: dict[str, int] = {}

    def at(self, key: str | None = None) -> tuple[str, int]:
        return self.file, self.lines.get(key or "", self.line)


def read(roots: Sequence[Path], packs: frozenset[str] | None, problems: list[Problem]) -> dict[str, dict[str, Mapped]]:
    """The sections of the enabled packs, merged; each flow carries its pack. Unreadable parts become problems."""
    merged: dict[str, dict[str, Mapped]] = {section: {} for section in SECTIONS}
    for root in roots:
        for pack, file in files(root, packs):
            document = _document(file, problems)
            problems.extend(
                Problem(*document.at(section), f"unknown section `{section}`", _one_of(SECTIONS))
                for section in document
                if section not in (*SECTIONS, "version")
            )
            for section in SECTIONS:
                merged[section].update(_section(document, section, pack, problems))
    return merged


def files(root: Path, packs: frozenset[str] | None) -> Iterator[tuple[str, Path]]:
    """The script files of a root with their packs, in order; a folder is a pack when it holds flows or responses."""
    for folder in sorted(p for p in root.iterdir() if p.is_dir()) if root.is_dir() else ():
        enabled = packs is None or folder.name in packs or folder.name == ALWAYS
        if enabled and ((folder / "flows.yml").exists() or (folder / "responses.yml").exists()):
            for file in sorted(folder.glob("*.yml")):
                yield folder.name, file


def _section(document: Mapped, section: str, pack: str, problems: list[Problem]) -> dict[str, Mapped]:
    found = document.get(section)
    if found is None:
        return {}
    if not isinstance(found, Mapped):
        problems.append(Problem(*document.at(section), f"`{section}` must be a mapping of names"))
        return {}
    entries: dict[str, Mapped] = {}
    for name, body in found.items():
        entry = Mapped(*found.at(name))
        if section == "responses":
            entry["variants"] = body
        elif isinstance(body, Mapped):
            entry.update(body)
            entry.lines = body.lines
        else:
            problems.append(Problem(*found.at(name), f"`{name}` must be a mapping"))
            continue
        if section == "flows":
            entry["pack"] = pack
        entries[name] = entry
    return entries


def _document(file: Path, problems: list[Problem]) -> Mapped:
    shown = str(file)
    try:
        node = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or "not UTF-8 text"
        problems.append(Problem(shown, mark.line + 1 if mark else 0, f"not readable as YAML: {what}"))
        return Mapped(shown, 0)
    plain = _plain(node, shown, problems) if node is not None else None
    if not isinstance(plain, Mapped):
        problems.append(Problem(shown, 1, "the file must be a mapping", _one_of(SECTIONS)))
        return Mapped(shown, 0)
    return plain


def _plain(node: yaml.Node, file: str, problems: list[Problem]) -> Any:
    if isinstance(node, yaml.MappingNode):
        found = Mapped(file, node.start_mark.line + 1)
        for key_node, value_node in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if key in found:
                problems.append(Problem(file, line, f"`{key}` is given twice", f"first in line {found.lines[key]}"))
            found[key] = _plain(value_node, file, problems)
            found.lines[key] = line
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_plain(each, file, problems) for each in node.value]
    return _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    match node.tag.rpartition(":")[2]:
        case "null":
            return None
        case "bool":
            return node.value.casefold() in {"true", "yes", "on"}
        case "int":
            return int(node.value, 0) if node.value.lstrip("+-").isdecimal() else node.value
        case "float":
            return float(node.value)
        case _:
            return node.value


def _one_of(names: Sequence[str]) -> str:
    return "one of: " + ", ".join(names)
