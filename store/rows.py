"""Rows of one table, a page at a time, for doors that show what they find and ask nothing more."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from store.base import Base

T = TypeVar("T", bound=Base)


def rows(
    session: Session, table: type[T], *, after: int = 0, limit: int | None = None, newest: bool = False, **equal: Any
) -> list[T]:
    """The rows behind id `after` whose columns have these values (None: whatever), by id, or the newest first."""
    key: Any = table.__table__.c.id
    query = select(table).where(key > after).order_by(key.desc() if newest else key)
    for name, value in equal.items():
        if value is not None:
            query = query.where(getattr(table, name) == value)
    return list(session.scalars(query.limit(limit) if limit is not None else query))
