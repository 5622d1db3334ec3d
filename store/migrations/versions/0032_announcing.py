"""Templates kept at the console, audiences saved under a name, and an incident's costs as figures."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from store.base import UTCDateTime

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
KINDS = "kind IN ('notice', 'update', 'all_clear')"


def upgrade() -> None:
    op.create_table(
        "announcement_template",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("code", sa.String(8), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("text_zh", sa.Text(), nullable=False),
        sa.Column("text_en", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("changed_at", UTCDateTime(), nullable=False),
        sa.Column("retired_at", UTCDateTime(), nullable=True),
        sa.CheckConstraint(KINDS, name="ck_announcement_template_kind"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_announcement_template_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_announcement_template"),
    )
    op.create_index(
        "uq_announcement_template_name",
        "announcement_template",
        ["name"],
        unique=True,
        sqlite_where=sa.text("retired_at IS NULL"),
        postgresql_where=sa.text("retired_at IS NULL"),
    )
    op.create_table(
        "saved_audience",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("audience", JSON, nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_saved_audience_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_saved_audience"),
        sa.UniqueConstraint("name", name="uq_saved_audience_name"),
    )
    op.add_column("incident_entry", sa.Column("amount", sa.BigInteger(), nullable=True))
    op.add_column("incident_entry", sa.Column("currency", sa.String(3), nullable=True))


def downgrade() -> None:
    op.drop_column("incident_entry", "currency")
    op.drop_column("incident_entry", "amount")
    op.drop_table("saved_audience")
    op.drop_index("uq_announcement_template_name", "announcement_template")
    op.drop_table("announcement_template")
