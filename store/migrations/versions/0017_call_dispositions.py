"""Calls to telephones switched off, and to numbers that do not exist, end with dispositions of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

BEFORE, AFTER = "'failed', 'cancelled'", "'unreachable', 'invalid_number', 'failed', 'cancelled'"
VALUES = (
    "'completed', 'partly_completed', 'no_answer', 'busy', 'machine', 'refused', 'wrong_number', 'another_time', "
    "'escalated', 'opted_out', "
)
CHECK = "ck_call_attempt_disposition"


def upgrade() -> None:
    _held_to(BEFORE, AFTER)


def downgrade() -> None:
    op.execute("UPDATE call_attempt SET disposition = 'failed' WHERE disposition IN ('unreachable', 'invalid_number')")
    _held_to(AFTER, BEFORE)


def _held_to(before: str, after: str) -> None:
    """Holds the disposition to other values. SQLite changes no constraint: the table is made anew, whatever it holds."""
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        op.drop_constraint(CHECK, "call_attempt", type_="check")
        op.create_check_constraint(CHECK, "call_attempt", f"disposition IN ({VALUES}{after})")
        return
    made = "SELECT sql FROM sqlite_master WHERE tbl_name = 'call_attempt' AND sql IS NOT NULL AND type = '{}'"
    (table,) = connection.scalars(sa.text(made.format("table"))).all()
    indexes = connection.scalars(sa.text(made.format("index"))).all()
    assert before in table
    op.execute(table.replace(before, after).replace("CREATE TABLE call_attempt", "CREATE TABLE call_attempt_anew", 1))
    op.execute("INSERT INTO call_attempt_anew SELECT * FROM call_attempt")
    op.execute("DROP TABLE call_attempt")
    op.execute("ALTER TABLE call_attempt_anew RENAME TO call_attempt")
    for index in indexes:
        op.execute(index)
