"""Who may be given what, who let it wait and who joined in; the canned replies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from store.base import UTCDateTime

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
LIST = sa.text("'[]'")
COLUMNS = {
    "staff": (
        sa.Column("queues", JSON, nullable=False, server_default=LIST),
        sa.Column("languages", JSON, nullable=False, server_default=LIST),
        sa.Column("seen_at", UTCDateTime(), nullable=True),
        sa.Column("given_at", UTCDateTime(), nullable=True),
    ),
    "conversation": (
        sa.Column("last_staff_id", ID, nullable=True),
        sa.Column("passed", JSON, nullable=False, server_default=LIST),
        sa.Column("joined", JSON, nullable=False, server_default=LIST),
        sa.Column("warned_at", UTCDateTime(), nullable=True),
        sa.Column("told_at", UTCDateTime(), nullable=True),
    ),
}


def upgrade() -> None:
    for table, columns in COLUMNS.items():
        for column in columns:
            op.add_column(table, column)
    op.execute("UPDATE conversation SET last_staff_id = staff_id WHERE staff_id IS NOT NULL")
    op.create_table(
        "canned_reply",
        sa.Column("id", ID, nullable=False),
        sa.Column("shortcut", sa.String(40), nullable=False),
        sa.Column("intent", sa.String(60), nullable=False),
        sa.Column("zh", sa.Text(), nullable=False),
        sa.Column("en", sa.Text(), nullable=False),
        sa.Column("staff_id", ID, nullable=True),
        sa.Column("changed_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_canned_reply_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_canned_reply"),
        sa.UniqueConstraint("shortcut", name="uq_canned_reply_shortcut"),
    )


def downgrade() -> None:
    op.drop_table("canned_reply")
    for table, columns in COLUMNS.items():
        for column in columns:
            op.drop_column(table, column.name)
