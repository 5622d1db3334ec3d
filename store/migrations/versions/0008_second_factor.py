"""A second factor for staff, and from which browser each session came."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.base import UTCDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UTC = UTCDateTime()


def upgrade() -> None:
    op.create_table(
        "recovery_code",
        sa.Column("code_hash", sa.String(64), nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("used_at", UTC, nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_recovery_code_staff_id"),
        sa.PrimaryKeyConstraint("code_hash", name="pk_recovery_code"),
    )
    op.create_index("ix_recovery_code_staff_id", "recovery_code", ["staff_id"], unique=False)
    op.add_column("staff", sa.Column("totp_sealed", sa.LargeBinary(), nullable=True))
    op.add_column("staff", sa.Column("totp_since", UTC, nullable=True))
    op.add_column("staff", sa.Column("totp_step", ID, nullable=True))
    op.add_column("staff_session", sa.Column("browser", sa.String(60), nullable=False, server_default=""))
    op.add_column("staff_session", sa.Column("network", sa.String(45), nullable=False, server_default=""))
    op.add_column("staff_session", sa.Column("seen_at", UTC, nullable=True))


def downgrade() -> None:
    op.drop_column("staff_session", "seen_at")
    op.drop_column("staff_session", "network")
    op.drop_column("staff_session", "browser")
    op.drop_column("staff", "totp_step")
    op.drop_column("staff", "totp_since")
    op.drop_column("staff", "totp_sealed")
    op.drop_index("ix_recovery_code_staff_id", table_name="recovery_code")
    op.drop_table("recovery_code")
