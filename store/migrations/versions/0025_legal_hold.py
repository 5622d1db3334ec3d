"""Legal holds; and rows that were append-only for ever may be disposed of where it was approved, but for the audit and
what is pinned."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.base import UTCDateTime, guarding, guards_on_sqlite

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UTC = UTCDateTime()
SUBJECTS = "'contact', 'case', 'incident', 'conversation', 'recording'"
MAY_GO = (
    "abuse",
    "acknowledgement",
    "answer",
    "case_note",
    "consent",
    "import_run",
    "incident_entry",
    "revision",
)


def upgrade() -> None:
    op.create_table(
        "legal_hold",
        sa.Column("id", ID, nullable=False),
        sa.Column("subject", sa.String(24), nullable=False),
        sa.Column("subject_id", ID, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.Column("lifted_by", ID, nullable=True),
        sa.Column("lifted_why", sa.Text(), nullable=False, server_default=""),
        sa.Column("lifted_at", UTC, nullable=True),
        sa.CheckConstraint(f"subject IN ({SUBJECTS})", name="ck_legal_hold_subject"),
        sa.CheckConstraint("reason <> ''", name="ck_legal_hold_reason"),
        sa.CheckConstraint(
            "lifted_at IS NULL OR (lifted_by IS NOT NULL AND lifted_why <> '')", name="ck_legal_hold_lifted"
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_legal_hold_staff_id"),
        sa.ForeignKeyConstraint(["lifted_by"], ["staff.id"], name="fk_legal_hold_lifted_by"),
        sa.PrimaryKeyConstraint("id", name="pk_legal_hold"),
    )
    op.create_index("ix_legal_hold_subject", "legal_hold", ["subject", "subject_id"])
    still = sa.text("lifted_at IS NULL")
    op.create_index("ix_legal_hold_open", "legal_hold", ["id"], sqlite_where=still, postgresql_where=still)
    op.create_table(
        "unlocked",
        sa.Column("id", ID, nullable=False),
        sa.Column("why", sa.String(60), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_unlocked"),
    )
    _guard(for_ever=False)


def downgrade() -> None:
    _guard(for_ever=True)
    op.drop_table("unlocked")
    op.drop_table("legal_hold")


def _guard(*, for_ever: bool) -> None:
    """The guards of what may be disposed of, anew."""
    for name in MAY_GO:
        if op.get_bind().dialect.name == "postgresql":
            op.execute(guarding(name, for_ever=for_ever))
            continue
        for verb in ("update", "delete"):
            op.execute(f"DROP TRIGGER IF EXISTS {name}_no_{verb}")
        for statement in guards_on_sqlite(name, for_ever=for_ever):
            op.execute(statement)
