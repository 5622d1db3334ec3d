"""Callbacks know their plan and which of its contacts they are; further follow-up groups; events are named by what
happened."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

BEFORE = (
    "'visited_no_purchase', 'visited_purchased', 'not_visited', 'interrupted', 'outpatient_surgery', "
    "'inpatient_surgery', 'after_complaint', 'requested'"
)
AFTER = BEFORE.replace("'requested'", "'after_repair', 'order', 'upkeep', 'care', 'requested'")
CHECK = "ck_callback_follow_up_group"


def upgrade() -> None:
    _groups(BEFORE, AFTER)
    op.add_column("callback", sa.Column("plan", sa.String(40), nullable=False, server_default=""))
    op.add_column("callback", sa.Column("step", sa.Integer(), nullable=False, server_default="0"))
    op.execute("UPDATE callback SET plan = follow_up_group")
    op.execute("UPDATE event SET kind = 'complaint_closed' WHERE kind = 'after_complaint'")
    op.create_index("ix_callback_plan", "callback", ["plan", "due_at"])


def downgrade() -> None:
    op.execute("UPDATE event SET kind = 'after_complaint' WHERE kind = 'complaint_closed'")
    op.drop_index("ix_callback_plan", "callback")
    op.drop_column("callback", "step")
    op.drop_column("callback", "plan")
    _groups(AFTER, BEFORE)


def _groups(before: str, after: str) -> None:
    """Holds the group to other values. SQLite changes no constraint: the table is made anew, whatever it holds."""
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        op.drop_constraint(CHECK, "callback", type_="check")
        op.create_check_constraint(CHECK, "callback", f"follow_up_group IN ({after})")
        return
    made = "SELECT sql FROM sqlite_master WHERE tbl_name = 'callback' AND sql IS NOT NULL AND type = '{}'"
    (table,) = connection.scalars(sa.text(made.format("table"))).all()
    indexes = connection.scalars(sa.text(made.format("index"))).all()
    assert before in table
    op.execute(table.replace(before, after).replace("CREATE TABLE callback", "CREATE TABLE callback_anew", 1))
    op.execute("INSERT INTO callback_anew SELECT * FROM callback")
    op.execute("DROP TABLE callback")
    op.execute("ALTER TABLE callback_anew RENAME TO callback")
    for index in indexes:
        op.execute(index)
