"""What every table stands on: the declarative base, UTC time, enum checks and append-only tables.

Times are zone-aware on both sides of the database: stored in UTC, refused when naive. Enums are stored as their text
and held to their values by a CHECK constraint, so that a wrong state cannot be written by anybody.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    DDL,
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Enum,
    Integer,
    MetaData,
    event,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """The mapped classes are the records."""

    metadata = MetaData(naming_convention=NAMING)


class UTCDateTime(TypeDecorator[datetime]):
    """A zone-aware instant; SQLite keeps it as naive UTC text, PostgreSQL as timestamptz."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored: give it a time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


BigId = BigInteger().with_variant(Integer, "sqlite")
"""SQLite only counts an INTEGER PRIMARY KEY by itself."""

Json = JSON().with_variant(JSONB(), "postgresql")
JsonOrNull = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""None is SQL's NULL here, not JSON's: such a column can be asked for what it lacks."""


def words(kind: type[StrEnum], length: int = 24) -> Enum:
    """A text column for an enum, returned as the enum; pair it with `held(kind, column)`."""
    return Enum(
        kind,
        native_enum=False,
        create_constraint=False,
        length=length,
        values_callable=lambda members: [m.value for m in members],
        validate_strings=True,
    )


def held(kind: type[StrEnum], column: str) -> CheckConstraint:
    """The CHECK constraint that holds `column` to the enum's values."""
    values = ", ".join(f"'{member.value}'" for member in kind)
    return CheckConstraint(f"{column} IN ({values})", name=column)


UNLOCKED = "unlocked"
"""The table whose row lets its own transaction past the guard of rows that may be disposed of (store/holds.py)."""
PERMITTED = "EXISTS (SELECT 1 FROM unlocked)"


def append_only(table: Any, *, for_ever: bool = False) -> None:
    """Lets the database itself refuse to change or delete rows of `table` (REQ-G02, REQ-G03).

    Only under a permit of store/holds.py they may be, for a disposal or an erasure; `for_ever`: not even then.
    """
    for dialect, statements in (
        ("postgresql", (guard_on_postgresql(table.name, for_ever=for_ever),)),
        ("sqlite", guards_on_sqlite(table.name, for_ever=for_ever)),
    ):
        for statement in statements:
            made = DDL(statement)  # type: ignore[no-untyped-call]
            event.listen(table, "after_create", made.execute_if(dialect=dialect))


def guard_on_postgresql(name: str, *, for_ever: bool = False) -> str:
    """The statements that guard the table of this name."""
    return (
        f"{guarding(name, for_ever=for_ever)}; CREATE TRIGGER {name}_append_only BEFORE UPDATE OR DELETE ON {name} "
        + (f"FOR EACH ROW EXECUTE FUNCTION {name}_append_only()")
    )


def guarding(name: str, *, for_ever: bool = False) -> str:
    """The statement that makes, or replaces, the function behind a guard on PostgreSQL."""
    passes = "IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW"
    permit = "" if for_ever else f"IF {PERMITTED} THEN {passes}; END IF; "
    return (
        f"CREATE OR REPLACE FUNCTION {name}_append_only() RETURNS trigger AS $$ "
        f"BEGIN {permit}RAISE EXCEPTION '{name} is append-only'; END $$ LANGUAGE plpgsql"
    )


def guards_on_sqlite(name: str, *, for_ever: bool = False) -> tuple[str, str]:
    """The statements that guard the table of this name."""
    permit = "" if for_ever else f"WHEN NOT {PERMITTED} "
    update, delete = (
        f"CREATE TRIGGER {name}_no_{verb.lower()} BEFORE {verb} ON {name} "
        f"{permit}BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"
        for verb in ("UPDATE", "DELETE")
    )
    return update, delete
