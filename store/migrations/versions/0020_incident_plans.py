"""Plans of incidents: their steps, who was told, customers' reports, calls written by hand, seats given up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from store.base import UTCDateTime

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
UTC = UTCDateTime()


def upgrade() -> None:
    for column in (
        sa.Column("place", sa.String(120), nullable=False, server_default=""),
        sa.Column("source", sa.String(24), nullable=False, server_default="staff"),
        sa.Column("dedupe_key", sa.String(120), nullable=True),
        sa.Column("proposed_plan", sa.String(12), nullable=True),
        sa.Column("facts", JSON, nullable=False, server_default="{}"),
    ):
        op.add_column("incident", column)
    op.create_index("uq_incident_dedupe_key", "incident", ["dedupe_key"], unique=True)
    op.add_column("notify_me", sa.Column("settled_at", UTC, nullable=True))
    _steps()
    _told()
    _reports()
    _by_hand()


def _steps() -> None:
    op.create_table(
        "incident_step",
        sa.Column("id", ID, nullable=False),
        sa.Column("incident_id", ID, nullable=False),
        sa.Column("plan", sa.String(12), nullable=False),
        sa.Column("key", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("text_zh", sa.Text(), nullable=False),
        sa.Column("text_en", sa.Text(), nullable=False),
        sa.Column("refs", JSON, nullable=False),
        sa.Column("roles", JSON, nullable=False),
        sa.Column("tell", JSON, nullable=False),
        sa.Column("within", sa.Integer(), nullable=True),
        sa.Column("after", sa.String(40), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("started_at", UTC, nullable=True),
        sa.Column("due_at", UTC, nullable=True),
        sa.Column("notified", sa.Integer(), nullable=False),
        sa.Column("notified_at", UTC, nullable=True),
        sa.Column("remind_at", UTC, nullable=True),
        sa.Column("staff_id", ID, nullable=True),
        sa.Column("done_at", UTC, nullable=True),
        sa.Column("done_by", ID, nullable=True),
        sa.Column("result", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('do', 'tell', 'relay', 'arrive', 'decide', 'report')", name="ck_incident_step_kind"
        ),
        sa.CheckConstraint("state IN ('waiting', 'open', 'done', 'dropped')", name="ck_incident_step_state"),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name="fk_incident_step_incident_id"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_incident_step_staff_id"),
        sa.ForeignKeyConstraint(["done_by"], ["staff.id"], name="fk_incident_step_done_by"),
        sa.PrimaryKeyConstraint("id", name="pk_incident_step"),
        sa.UniqueConstraint("incident_id", "plan", "key", name="uq_incident_step_incident_id_plan_key"),
    )
    op.create_index(
        "ix_incident_step_remind_at",
        "incident_step",
        ["remind_at"],
        sqlite_where=sa.text("remind_at IS NOT NULL"),
        postgresql_where=sa.text("remind_at IS NOT NULL"),
    )


def _told() -> None:
    op.create_table(
        "incident_told",
        sa.Column("id", ID, nullable=False),
        sa.Column("incident_id", ID, nullable=False),
        sa.Column("step_id", ID, nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("told_at", UTC, nullable=False),
        sa.Column("acknowledged_at", UTC, nullable=True),
        sa.Column("over_at", UTC, nullable=True),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name="fk_incident_told_incident_id"),
        sa.ForeignKeyConstraint(["step_id"], ["incident_step.id"], name="fk_incident_told_step_id"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_incident_told_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_incident_told"),
        sa.UniqueConstraint("step_id", "staff_id", name="uq_incident_told_step_id_staff_id"),
    )
    op.create_index("ix_incident_told_incident_id", "incident_told", ["incident_id"])


def _reports() -> None:
    op.create_table(
        "customer_report",
        sa.Column("id", ID, nullable=False),
        sa.Column("intent", sa.String(40), nullable=False),
        sa.Column("place", sa.String(40), nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("conversation_id", ID, nullable=True),
        sa.Column("incident_id", ID, nullable=True),
        sa.Column("at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name="fk_customer_report_contact_id"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversation.id"], name="fk_customer_report_conversation_id"),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name="fk_customer_report_incident_id"),
        sa.PrimaryKeyConstraint("id", name="pk_customer_report"),
    )
    op.create_index("ix_customer_report_burst", "customer_report", ["intent", "place", "at"])
    op.create_index("ix_customer_report_incident_id", "customer_report", ["incident_id"])


def _by_hand() -> None:
    op.create_table(
        "manual_record",
        sa.Column("id", ID, nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("incident_id", ID, nullable=True),
        sa.Column("contact_id", ID, nullable=True),
        sa.Column("taken_at", UTC, nullable=False),
        sa.Column("agent", sa.String(60), nullable=False),
        sa.Column("matter", sa.Text(), nullable=False),
        sa.Column("promise", sa.Text(), nullable=False),
        sa.Column("wants_callback", sa.Boolean(), nullable=False),
        sa.Column("callback_id", ID, nullable=True),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name="fk_manual_record_incident_id"),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name="fk_manual_record_contact_id"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_manual_record_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_manual_record"),
        sa.UniqueConstraint("key", name="uq_manual_record_key"),
    )
    op.create_index("ix_manual_record_incident_id", "manual_record", ["incident_id"])
    op.create_table(
        "seat_leave",
        sa.Column("id", ID, nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("asked_at", UTC, nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=True),
        sa.Column("decided_by", ID, nullable=True),
        sa.Column("decided_at", UTC, nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_seat_leave_staff_id"),
        sa.ForeignKeyConstraint(["decided_by"], ["staff.id"], name="fk_seat_leave_decided_by"),
        sa.PrimaryKeyConstraint("id", name="pk_seat_leave"),
    )
    op.create_index("ix_seat_leave_staff_id", "seat_leave", ["staff_id", "id"])


def downgrade() -> None:
    for table in ("seat_leave", "manual_record", "customer_report", "incident_told", "incident_step"):
        op.drop_table(table)
    op.drop_column("notify_me", "settled_at")
    op.drop_index("uq_incident_dedupe_key", table_name="incident")
    for column in ("facts", "proposed_plan", "dedupe_key", "source", "place"):
        op.drop_column("incident", column)
