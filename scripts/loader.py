"""Scripts to books: from files, and from the JSON a conversation pins."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from bot.core.book import Book
from scripts.checker import examine
from scripts.compiler import Compiler
from scripts.source import Problem, ScriptsError

SHIPPED = Path(__file__).parent


def load_book(roots: Sequence[Path] = (SHIPPED,), packs: frozenset[str] | None = None) -> Book:
    """The book of these packs (None: all; `service` always comes along). Later roots lie over earlier ones.

    Raises ScriptsError naming every problem with file and line, so that a broken script never goes live.
    """
    book, problems = examine(roots, packs)
    if problems:
        raise ScriptsError(problems)
    return book


def dump_book(book: Book) -> str:
    """The book as canonical JSON, to be stored under `book.version`."""
    return book.source


def book_from_json(text: str) -> Book:
    """The book of a stored source, with the same version. Raises ScriptsError where it can no longer be read."""
    problems: list[Problem] = []
    book = Compiler(json.loads(text), problems).book()
    if problems:
        raise ScriptsError(problems)
    return book
