"""Recipients of an announcement, an incident's file and the service report leave by approval."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

KINDS = "'contacts', 'cases', 'follow_ups', 'person'"
MORE = "'recipients', 'incident', 'service'"
CHECK = "ck_export_kind"


def upgrade() -> None:
    _held_to(KINDS, f"{KINDS}, {MORE}")


def downgrade() -> None:
    op.execute(f"DELETE FROM export WHERE kind IN ({MORE})")  # noqa: S608 - constants
    _held_to(f"{KINDS}, {MORE}", KINDS)


def _held_to(before: str, after: str) -> None:
    """Holds the kind to other values. SQLite changes no constraint: the table is made anew, whatever it holds."""
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        op.drop_constraint(CHECK, "export", type_="check")
        op.create_check_constraint(CHECK, "export", f"kind IN ({after})")
        return
    made = "SELECT sql FROM sqlite_master WHERE tbl_name = 'export' AND sql IS NOT NULL AND type = '{}'"
    (table,) = connection.scalars(sa.text(made.format("table"))).all()
    indexes = connection.scalars(sa.text(made.format("index"))).all()
    assert before in table
    op.execute(table.replace(before, after).replace("CREATE TABLE export", "CREATE TABLE export_anew", 1))
    op.execute("INSERT INTO export_anew SELECT * FROM export")
    op.execute("DROP TABLE export")
    op.execute("ALTER TABLE export_anew RENAME TO export")
    for index in indexes:
        op.execute(index)
