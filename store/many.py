"""Many rows in one statement, whose text does not depend on how many there are: so it is compiled, and prepared, once.

On PostgreSQL the values travel as arrays, a value that all rows share by itself; on SQLite, where a statement costs no
journey, each row is one of its own. Values are of the columns' own Python types.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any, cast

from sqlalchemy import ARRAY, JSON, BigInteger, Boolean, Dialect, Table, Update, bindparam, column, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Row
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from store.base import Base

Values = Mapping[str, Any]


class _Ids(TypeDecorator[Any]):
    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return ARRAY(BigInteger()) if dialect.name == "postgresql" else JSON()


class _Among(FunctionElement[bool]):
    type = Boolean()
    inherit_cache = True


@compiles(_Among, "postgresql")
def _as_array(among: _Among, compiler: SQLCompiler, **asked: Any) -> str:
    asked_of, ids = (compiler.process(each, **asked) for each in among.clauses)
    return f"{asked_of} = ANY ({ids})"


@compiles(_Among, "sqlite")
def _as_json(among: _Among, compiler: SQLCompiler, **asked: Any) -> str:
    asked_of, ids = (compiler.process(each, **asked) for each in among.clauses)
    return f"{asked_of} IN (SELECT value FROM json_each({ids}))"  # noqa: S608 - both are compiled


def among(asked: Any, ids: Collection[int]) -> ColumnElement[bool]:
    """Whether the column's value is one of these numbers: as `in_`, for lists that are long and never alike."""
    return _Among(asked, bindparam(None, list(ids), type_=_Ids(), unique=True))


def assume(record: Base, values: Values) -> None:
    """Sets columns of a loaded record to what `update_each` writes; the session writes nothing by itself."""
    for name, value in values.items():
        set_committed_value(record, name, value)


def update_each(session: Session, record: type[Base], rows: Sequence[Values]) -> None:
    """Writes columns of many rows, each known by its "id"; rows that name the same columns share a statement. Records
    that are loaded already do not hear of it."""
    session.flush()
    connection, table = session.connection(), cast(Table, record.__table__)
    alike: defaultdict[tuple[str, ...], list[Values]] = defaultdict(list)
    for row in rows:
        alike[tuple(row)].append(row)
    for names, those in alike.items():
        if connection.dialect.name == "sqlite":
            connection.execute(_update(table, names), [{f"new_{n}": v for n, v in row.items()} for row in those])
            continue
        shared = _shared(names, those, "id")
        connection.execute(_update_all(table, names, shared), _arrays(names, shared, those))


def insert_each(
    session: Session,
    record: type[Base],
    rows: Sequence[Values],
    *,
    unless: Sequence[str] | None = None,
    gives: Sequence[str] = (),
) -> Sequence[Row[Any]]:
    """Inserts rows that all name the same columns; gives these columns of those that are new, in no order. A row for
    which there is one already, by the unique columns `unless` (none named: by any), is left out."""
    session.flush()
    connection, table = session.connection(), cast(Table, record.__table__)
    names, by = tuple(rows[0]), None if unless is None else tuple(unless)
    if connection.dialect.name == "sqlite":
        done = connection.execute(_insert(table, by, tuple(gives)), rows)
    else:
        shared = _shared(names, rows, names[0])
        done = connection.execute(_insert_all(table, names, shared, by, tuple(gives)), _arrays(names, shared, rows))
    return done.all() if gives else ()


def _shared(names: Sequence[str], rows: Sequence[Values], key: str) -> frozenset[str]:
    """The columns whose value all rows share; `key` tells the rows apart."""
    first = rows[0]
    return frozenset(n for n in names if n != key and all(row[n] is first[n] or row[n] == first[n] for row in rows))


def _arrays(names: Sequence[str], shared: Collection[str], rows: Sequence[Values]) -> dict[str, Any]:
    return {f"new_{n}": rows[0][n] if n in shared else [row[n] for row in rows] for n in names}


def _new(table: Table, names: Sequence[str], shared: Collection[str]) -> dict[str, ColumnElement[Any]]:
    """Every column's new value: of one row of the arrays, or the shared one."""
    own = [n for n in names if n not in shared]
    arrays = [bindparam(f"new_{n}", type_=ARRAY(table.c[n].type, dimensions=1)) for n in own]
    each = func.unnest(*arrays).table_valued(*(column(n, table.c[n].type) for n in own), name="each").render_derived()
    return {n: each.c[n] if n in own else bindparam(f"new_{n}", type_=table.c[n].type) for n in names}


@cache
def _update(table: Table, names: tuple[str, ...]) -> Update:
    new = {n: bindparam(f"new_{n}", type_=table.c[n].type) for n in names if n != "id"}
    return table.update().where(table.c.id == bindparam("new_id")).values(new)


@cache
def _update_all(table: Table, names: tuple[str, ...], shared: frozenset[str]) -> Update:
    new = _new(table, names, shared)
    return table.update().where(table.c.id == new.pop("id")).values(new)


@cache
def _insert(table: Table, unless: tuple[str, ...] | None, gives: tuple[str, ...]) -> Any:
    return _giving(_but(sqlite.insert(table), unless), table, gives)


@cache
def _insert_all(
    table: Table, names: tuple[str, ...], shared: frozenset[str], unless: tuple[str, ...] | None, gives: tuple[str, ...]
) -> Any:
    new = _new(table, names, shared)
    return _giving(_but(postgresql.insert(table).from_select(names, select(*new.values())), unless), table, gives)


def _but(insert: sqlite.Insert | postgresql.Insert, unless: tuple[str, ...] | None) -> Any:
    return insert if unless is None else insert.on_conflict_do_nothing(index_elements=unless or None)


def _giving(insert: Any, table: Table, gives: tuple[str, ...]) -> Any:
    return insert.returning(*(table.c[n] for n in gives)) if gives else insert
