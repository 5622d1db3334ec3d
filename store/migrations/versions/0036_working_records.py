"""Records of the centre's own work can be disposed of; what came of an event is found by it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

KINDS = (
    "'incident', 'review', 'drill', 'complaint', 'case', 'follow_up', 'satisfaction', 'transcript', 'recording', "
    "'by_hand'"
)
WORK = (
    "'reported', 'event', 'hand_over', 'shift', 'seat_leave', 'surge', 'proposal', 'alert', 'import', 'look', 'export'"
)
CHECK = "ck_disposal_item_kind"
FROM_EVENT = sa.text("event_id IS NOT NULL")


def upgrade() -> None:
    _held_to(KINDS, f"{KINDS}, {WORK}")
    op.create_index("ix_planned_message_event_id", "planned_message", ["event_id"])
    op.create_index(
        "ix_callback_event_id", "callback", ["event_id"], sqlite_where=FROM_EVENT, postgresql_where=FROM_EVENT
    )


def downgrade() -> None:
    op.drop_index("ix_callback_event_id", "callback")
    op.drop_index("ix_planned_message_event_id", "planned_message")
    op.execute(f"DELETE FROM disposal_item WHERE kind IN ({WORK})")  # noqa: S608 - constants
    _held_to(f"{KINDS}, {WORK}", KINDS)


def _held_to(before: str, after: str) -> None:
    """Holds the kind to other values. SQLite changes no constraint: the table is made anew, whatever it holds."""
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        op.drop_constraint(CHECK, "disposal_item", type_="check")
        op.create_check_constraint(CHECK, "disposal_item", f"kind IN ({after})")
        return
    made = "SELECT sql FROM sqlite_master WHERE tbl_name = 'disposal_item' AND sql IS NOT NULL AND type = '{}'"
    (table,) = connection.scalars(sa.text(made.format("table"))).all()
    indexes = connection.scalars(sa.text(made.format("index"))).all()
    assert before in table
    op.execute(table.replace(before, after).replace("CREATE TABLE disposal_item", "CREATE TABLE disposal_anew", 1))
    op.execute("INSERT INTO disposal_anew SELECT * FROM disposal_item")
    op.execute("DROP TABLE disposal_item")
    op.execute("ALTER TABLE disposal_anew RENAME TO disposal_item")
    for index in indexes:
        op.execute(index)
