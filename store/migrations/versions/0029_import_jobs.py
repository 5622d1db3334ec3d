"""Lists that load in the background, page by page."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from store.base import UTCDateTime

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
UTC = UTCDateTime()
RUNNING = sa.text("state = 'running'")


def upgrade() -> None:
    op.create_table(
        "import_job",
        sa.Column("id", ID, nullable=False),
        sa.Column("filename", sa.String(200), nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("header", JSON, nullable=False),
        sa.Column("header_key", sa.String(64), nullable=False),
        sa.Column("columns", JSON, nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("cursor", sa.Integer(), nullable=False),
        sa.Column("loaded", sa.Integer(), nullable=False),
        sa.Column("known", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("unplanned", JSON, nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.Column("created_at", UTC, nullable=False),
        sa.Column("planned_at", UTC, nullable=True),
        sa.Column("ended_at", UTC, nullable=True),
        sa.CheckConstraint("state IN ('draft', 'running', 'done', 'cancelled')", name="ck_import_job_state"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_import_job_staff_id"),
        sa.ForeignKeyConstraint(["run_id"], ["import_run.id"], name="fk_import_job_run_id"),
        sa.PrimaryKeyConstraint("id", name="pk_import_job"),
    )
    op.create_index("ix_import_job_running", "import_job", ["id"], sqlite_where=RUNNING, postgresql_where=RUNNING)
    op.create_index("ix_import_job_header_key", "import_job", ["header_key", "id"])
    op.create_table(
        "import_page",
        sa.Column("id", ID, nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["import_job.id"], name="fk_import_page_job_id"),
        sa.PrimaryKeyConstraint("id", name="pk_import_page"),
        sa.UniqueConstraint("job_id", "number", name="uq_import_page_job_id_number"),
    )


def downgrade() -> None:
    op.drop_table("import_page")
    op.drop_table("import_job")
