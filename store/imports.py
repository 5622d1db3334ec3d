"""Lists on their way in: a file's rows, sealed, and how far they have been loaded (REQ-C02)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from store.base import Base, BigId, Json, UTCDateTime, held, words


class ImportState(StrEnum):
    """A draft waits for somebody to say what its columns are."""

    DRAFT = "draft"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


class ImportJob(Base):
    """A file being imported. `header` is its first line, `columns` what each column is ("" is left out); the next file
    with the same header (`header_key`) begins with them. `cursor` is the number of the page that is next.

    `loaded`, `known` and `refused` count rows, `unplanned` rows that loaded but wait for something, by what. Pages are
    planned as of `planned_at`, which is renewed now and then.
    """

    __tablename__ = "import_job"
    __table_args__ = (
        held(ImportState, "state"),
        Index("ix_import_job_running", "id", sqlite_where=text("state = 'running'"),
              postgresql_where=text("state = 'running'")),
        Index("ix_import_job_header_key", "header_key", "id"),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    filename: Mapped[str] = mapped_column(String(200))
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    header: Mapped[list[str]] = mapped_column(Json)
    header_key: Mapped[str] = mapped_column(String(64))
    columns: Mapped[list[str]] = mapped_column(Json)
    state: Mapped[ImportState] = mapped_column(words(ImportState), default=ImportState.DRAFT)
    lines: Mapped[int]
    cursor: Mapped[int] = mapped_column(default=0)
    loaded: Mapped[int] = mapped_column(default=0)
    known: Mapped[int] = mapped_column(default=0)
    refused: Mapped[int] = mapped_column(default=0)
    unplanned: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    run_id: Mapped[int | None] = mapped_column(ForeignKey("import_run.id"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    planned_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class ImportPage(Base):
    """Some rows of a job, sealed (store/vault.py): those to load; once loaded, those that were wrong, and why."""

    __tablename__ = "import_page"
    __table_args__ = (UniqueConstraint("job_id", "number"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("import_job.id"))
    number: Mapped[int]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
