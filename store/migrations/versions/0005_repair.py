"""Repair orders with their stage, quotation and consent; visits. Repair cases there already are registered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.base import UTCDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UTC = UTCDateTime()
BOOKED, WAITING = sa.text("state = 'booked'"), sa.text("notice_at IS NOT NULL")
STAGES = (
    "'registered', 'judged', 'quoted', 'consented', 'booked', 'dispatched', 'received', 'inspected', 'repairing', "
    "'quality_check', 'settled', 'handed_over', 'replaced', 'returned', 'evaluated', 'cancelled'"
)


def upgrade() -> None:
    _repair_order()
    _visit()
    op.execute(
        "INSERT INTO repair_order (case_id, stage, consent_how, tracking_in, tracking_out, changed_at, revision) "
        "SELECT id, 'registered', '', '', '', opened_at, 0 FROM case_file WHERE kind = 'repair'"
    )


def _repair_order() -> None:
    op.create_table(
        "repair_order",
        sa.Column("case_id", ID, autoincrement=False, nullable=False),
        sa.Column("stage", sa.String(24), nullable=False),
        sa.Column("charged", sa.Boolean(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("parts", sa.Integer(), nullable=True),
        sa.Column("travel", sa.Integer(), nullable=True),
        sa.Column("quoted_at", UTC, nullable=True),
        sa.Column("quoted_by", ID, nullable=True),
        sa.Column("consented_at", UTC, nullable=True),
        sa.Column("consent_how", sa.String(length=200), nullable=False),
        sa.Column("received_at", UTC, nullable=True),
        sa.Column("tracking_in", sa.String(length=60), nullable=False),
        sa.Column("tracking_out", sa.String(length=60), nullable=False),
        sa.Column("changed_at", UTC, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint(f"stage IN ({STAGES})", name="ck_repair_order_stage"),
        sa.CheckConstraint(
            "consented_at IS NULL OR quoted_at IS NOT NULL", name="ck_repair_order_consent_to_quotation"
        ),
        sa.CheckConstraint("total >= parts + travel AND parts >= 0 AND travel >= 0", name="ck_repair_order_amounts"),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name="fk_repair_order_case_id"),
        sa.ForeignKeyConstraint(["quoted_by"], ["staff.id"], name="fk_repair_order_quoted_by"),
        sa.PrimaryKeyConstraint("case_id", name="pk_repair_order"),
    )


def _visit() -> None:
    op.create_table(
        "visit",
        sa.Column("id", ID, nullable=False),
        sa.Column("case_id", ID, nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("address_id", ID, nullable=True),
        sa.Column("starts_at", UTC, nullable=False),
        sa.Column("ends_at", UTC, nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("where_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("technician_id", ID, nullable=True),
        sa.Column("notice", sa.String(24), nullable=True),
        sa.Column("notice_at", UTC, nullable=True),
        sa.Column("told_at", UTC, nullable=True),
        sa.Column("confirmed_at", UTC, nullable=True),
        sa.Column("booked_at", UTC, nullable=False),
        sa.Column("changed_at", UTC, nullable=False),
        sa.Column("changed_by", ID, nullable=True),
        sa.CheckConstraint("state IN ('booked', 'moved', 'cancelled', 'done', 'missed')", name="ck_visit_state"),
        sa.CheckConstraint("notice IN ('reminder', 'changed', 'cancelled', 'missed')", name="ck_visit_notice"),
        sa.CheckConstraint("starts_at < ends_at", name="ck_visit_span"),
        sa.CheckConstraint("place >= 0", name="ck_visit_place"),
        sa.ForeignKeyConstraint(["address_id"], ["address.id"], name="fk_visit_address_id"),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name="fk_visit_case_id"),
        sa.ForeignKeyConstraint(["changed_by"], ["staff.id"], name="fk_visit_changed_by"),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name="fk_visit_contact_id"),
        sa.ForeignKeyConstraint(["technician_id"], ["staff.id"], name="fk_visit_technician_id"),
        sa.PrimaryKeyConstraint("id", name="pk_visit"),
    )
    for name, columns, unique, where in (
        ("ix_visit_case_id", ["case_id", "id"], False, None),
        ("ix_visit_contact_id", ["contact_id"], False, None),
        ("ix_visit_notice_at", ["notice_at"], False, WAITING),
        ("ix_visit_starts_at", ["starts_at"], False, None),
        ("uq_visit_case", ["case_id"], True, BOOKED),
        ("uq_visit_place", ["starts_at", "place"], True, BOOKED),
    ):
        op.create_index(name, "visit", columns, unique=unique, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    op.drop_table("visit")
    op.drop_table("repair_order")
