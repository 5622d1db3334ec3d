"""Scripts and policies as this process holds them: the current version, and any older one a row still pins.

Files are read at start and again by `read` (bot/services/reload.py says when); a version enters the database before
something can pin it, so that a pin survives an edited file, a restart and another host (DESIGN §4). A broken file never
replaces a good version.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.flow import Book
from bot.core.policy import Policies
from bot.core.windows import Calendar
from bot.core.words import Language
from scripts.calendars import calendar_of
from scripts.facts import Tables, load_tables
from scripts.loader import book_from_json, dump_book, load_book
from scripts.policies import PolicyError, dump, from_json, load_policies, policy_files
from scripts.preparation import Preparations, load_preparations
from scripts.source import ScriptsError
from store.tables import Version, VersionKind


@dataclass(frozen=True, slots=True)
class Shelf:
    """What is current: scripts, policies with their version, the holiday calendar they name, the facts in files, and
    the cards agents read before dialling."""

    book: Book
    policies: Policies
    policies_version: str
    calendar: Calendar
    year: int
    facts: Tables = field(default_factory=dict)
    preparations: Preparations = field(default_factory=dict)

    def same(self, other: Shelf) -> bool:
        """Whether their files say the same."""
        return (self.book.version, self.policies_version, self.facts) == (
            other.book.version,
            other.policies_version,
            other.facts,
        )


class Library:
    """`roots` are the folders of scripts, the shipped ones first; later ones lie over earlier ones. `now` is the domain
    clock's: holidays are known for the years around it. `zone` and `language` are the installation's settings, which
    go before what policies.yml says."""

    def __init__(
        self,
        roots: Sequence[Path],
        packs: frozenset[str],
        now: Callable[[], datetime],
        *,
        zone: str | None = None,
        language: Language | None = None,
    ) -> None:
        self._roots = tuple(roots)
        self._packs = packs
        self._now = now
        self._zone, self._language = zone, language
        self._books: dict[str, Book] = {}
        self._policies: dict[str, Policies] = {}
        self.reloading = asyncio.Lock()
        self.seen = self.fingerprint()
        self.refused: tuple[str, ...] = ()
        self._shelf = self._load()

    @property
    def current(self) -> Shelf:
        """What is current; its calendar moves on with the year."""
        if self._shelf.year != self._now().year:
            year = self._now().year
            self._shelf = replace(self._shelf, year=year, calendar=calendar_of(self._shelf.policies.holidays, year))
        return self._shelf

    def _load(self) -> Shelf:
        book = load_book(self._roots, self._packs)
        shipped = load_policies(self.policy_files())
        policies = replace(shipped, zone=self._zone or shipped.zone, language=self._language or shipped.language)
        version = hashlib.sha256(_canonical(dump(policies)).encode()).hexdigest()
        self._books[book.version] = book
        self._policies[version] = policies
        year = self._now().year
        tables = load_tables(self._roots, ZoneInfo(policies.zone))
        return Shelf(
            book, policies, version, calendar_of(policies.holidays, year), year, tables, load_preparations(self._roots)
        )

    def policy_files(self) -> list[Path]:
        """The files policies are read from, the shipped one first."""
        return policy_files(self._roots)

    def fingerprint(self) -> str:
        """Of every file under the roots, by name, size and time of its last change; cheap enough to ask each second."""
        found = []
        for root in self._roots:
            for path in sorted((*root.rglob("*.yml"), *root.rglob("*.csv"))):
                try:
                    known = path.stat()
                except FileNotFoundError:  # removed just now
                    continue
                found.append((str(path), known.st_size, known.st_mtime_ns))
        return hashlib.sha256(repr(found).encode()).hexdigest()

    def read(self) -> Shelf | None:
        """Reads the files again and gives what they hold, which is not current yet (`adopt`). None where they are
        broken: `refused` then says in which file and line, as `hotline check` does. No transaction may be open."""
        self.seen = self.fingerprint()
        try:
            shelf = self._load()
        except (ScriptsError, PolicyError) as error:
            self.refused = tuple(map(str, error.problems))
            return None
        except OSError as error:
            self.refused = (f"{error.filename}: {error.strerror}",)
            return None
        self.refused = ()
        return shelf

    def adopt(self, shelf: Shelf) -> None:
        """Makes what `read` gave current; it is in the database already (`keep`)."""
        self._shelf = shelf

    def keep(self, session: Session, now: datetime, shelf: Shelf | None = None) -> None:
        """Puts these versions, by default the current ones, into the database, once."""
        shelf = shelf or self.current
        for kind, key, body in (
            (VersionKind.BOOK, shelf.book.version, {"source": dump_book(shelf.book)}),
            (VersionKind.POLICIES, shelf.policies_version, dump(shelf.policies)),
        ):
            known = session.scalar(select(Version.id).where(Version.kind == kind, Version.hash == key))
            if known is None:
                session.add(Version(kind=kind, hash=key, body=body, at=now))
                session.flush()

    def book(self, session: Session, version: str) -> Book:
        """The book a conversation pinned; the current one where the pin is empty."""
        if not version:
            return self.current.book
        if (book := self._books.get(version)) is None:
            book = book_from_json(self._body(session, VersionKind.BOOK, version)["source"])
            self._books[version] = book
        return book

    def policies(self, session: Session, version: str) -> Policies:
        """The policies a callback or a broadcast pinned."""
        if not version:
            return self.current.policies
        if (policies := self._policies.get(version)) is None:
            policies = from_json(self._body(session, VersionKind.POLICIES, version))
            self._policies[version] = policies
        return policies

    @staticmethod
    def _body(session: Session, kind: VersionKind, version: str) -> dict[str, Any]:
        body = session.scalar(select(Version.body).where(Version.kind == kind, Version.hash == version))
        if body is None:
            raise LookupError(f"{kind} version {version[:12]} is not in the database")
        return dict(body)


def _canonical(body: Any) -> str:
    return json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
