"""The roster and its swaps, the floor's occupancy and surges, and what stands beside a case."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from store.base import UTCDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
UTC = UTCDateTime()


def upgrade() -> None:
    op.create_table(
        "floor_watch",
        sa.Column("id", ID, nullable=False),
        sa.Column("busy_since", UTC, nullable=True),
        sa.Column("free_since", UTC, nullable=True),
        sa.Column("proposed", sa.String(24), nullable=True),
        sa.Column("gap_told_until", UTC, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_floor_watch"),
    )
    op.create_table(
        "hand_over",
        sa.Column("id", ID, nullable=False),
        sa.Column("from_staff_id", ID, nullable=False),
        sa.Column("to_staff_id", ID, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("items", JSON, nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.Column("confirmed_at", UTC, nullable=True),
        sa.ForeignKeyConstraint(["from_staff_id"], ["staff.id"], name="fk_hand_over_from_staff_id"),
        sa.ForeignKeyConstraint(["to_staff_id"], ["staff.id"], name="fk_hand_over_to_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_hand_over"),
    )
    op.create_index("ix_hand_over_to", "hand_over", ["to_staff_id", "confirmed_at"], unique=False)
    op.create_table(
        "shift",
        sa.Column("id", ID, nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("starts_at", UTC, nullable=False),
        sa.Column("ends_at", UTC, nullable=False),
        sa.Column("note", sa.String(length=120), nullable=False),
        sa.Column("cancelled_at", UTC, nullable=True),
        sa.CheckConstraint("kind IN ('duty', 'on_call', 'stand_by', 'leave')", name="ck_shift_kind"),
        sa.CheckConstraint("starts_at < ends_at", name="ck_shift_forward"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_shift_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_shift"),
    )
    op.create_index("ix_shift_ends_at", "shift", ["ends_at"], unique=False)
    op.create_index("ix_shift_staff_id", "shift", ["staff_id", "starts_at"], unique=False)
    op.create_table(
        "surge",
        sa.Column("id", ID, nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("started_at", UTC, nullable=False),
        sa.Column("started_by", ID, nullable=False),
        sa.Column("calm_since", UTC, nullable=True),
        sa.Column("proposed", sa.Integer(), nullable=False),
        sa.Column("ended_at", UTC, nullable=True),
        sa.Column("ended_by", ID, nullable=True),
        sa.Column("why", sa.String(length=200), nullable=False),
        sa.CheckConstraint("level BETWEEN 1 AND 3", name="ck_surge_level"),
        sa.ForeignKeyConstraint(["ended_by"], ["staff.id"], name="fk_surge_ended_by"),
        sa.ForeignKeyConstraint(["started_by"], ["staff.id"], name="fk_surge_started_by"),
        sa.PrimaryKeyConstraint("id", name="pk_surge"),
    )
    op.create_index(
        "uq_surge_open",
        "surge",
        ["level"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "abuse",
        sa.Column("id", ID, nullable=False),
        sa.Column("conversation_id", ID, nullable=False),
        sa.Column("address_id", ID, nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("step", sa.String(24), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.CheckConstraint("step IN ('asked', 'warned', 'ended', 'threat')", name="ck_abuse_step"),
        sa.ForeignKeyConstraint(["address_id"], ["address.id"], name="fk_abuse_address_id"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversation.id"], name="fk_abuse_conversation_id"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_abuse_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_abuse"),
    )
    op.create_index("ix_abuse_address_id", "abuse", ["address_id"], unique=False)
    op.create_index("ix_abuse_conversation_id", "abuse", ["conversation_id"], unique=False)
    op.create_table(
        "proposal",
        sa.Column("id", ID, nullable=False),
        sa.Column("step", sa.String(24), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("since", UTC, nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.Column("incident_id", ID, nullable=True),
        sa.Column("decided_by", ID, nullable=True),
        sa.Column("decided_at", UTC, nullable=True),
        sa.Column("why", sa.String(length=200), nullable=False),
        sa.CheckConstraint("state IN ('open', 'confirmed', 'refused', 'withdrawn')", name="ck_proposal_state"),
        sa.CheckConstraint("step IN ('general', 'major', 'surge_2', 'surge_3')", name="ck_proposal_step"),
        sa.ForeignKeyConstraint(["decided_by"], ["staff.id"], name="fk_proposal_decided_by"),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name="fk_proposal_incident_id"),
        sa.PrimaryKeyConstraint("id", name="pk_proposal"),
    )
    op.create_index("ix_proposal_state", "proposal", ["state", "id"], unique=False)
    op.create_table(
        "swap",
        sa.Column("id", ID, nullable=False),
        sa.Column("shift_id", ID, nullable=False),
        sa.Column("asked_by", ID, nullable=False),
        sa.Column("asked_of", ID, nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("why", sa.String(length=200), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.Column("decided_by", ID, nullable=True),
        sa.Column("decided_at", UTC, nullable=True),
        sa.CheckConstraint(
            "state IN ('asked', 'accepted', 'approved', 'declined', 'refused', 'withdrawn')", name="ck_swap_state"
        ),
        sa.ForeignKeyConstraint(["asked_by"], ["staff.id"], name="fk_swap_asked_by"),
        sa.ForeignKeyConstraint(["asked_of"], ["staff.id"], name="fk_swap_asked_of"),
        sa.ForeignKeyConstraint(["decided_by"], ["staff.id"], name="fk_swap_decided_by"),
        sa.ForeignKeyConstraint(["shift_id"], ["shift.id"], name="fk_swap_shift_id"),
        sa.PrimaryKeyConstraint("id", name="pk_swap"),
    )
    op.create_index(
        "uq_swap_open",
        "swap",
        ["shift_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('asked', 'accepted')"),
        postgresql_where=sa.text("state IN ('asked', 'accepted')"),
    )
    op.create_table(
        "case_link",
        sa.Column("id", ID, nullable=False),
        sa.Column("case_id", ID, nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("other_id", ID, nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.CheckConstraint("kind IN ('conversation', 'incident', 'case')", name="ck_case_link_kind"),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name="fk_case_link_case_id"),
        sa.PrimaryKeyConstraint("id", name="pk_case_link"),
        sa.UniqueConstraint("case_id", "kind", "other_id", name="uq_case_link_case_id_kind_other_id"),
    )
    op.create_table(
        "case_task",
        sa.Column("id", ID, nullable=False),
        sa.Column("case_id", ID, nullable=False),
        sa.Column("department", sa.String(length=60), nullable=False),
        sa.Column("what", sa.String(length=200), nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("due_at", UTC, nullable=True),
        sa.Column("done_at", UTC, nullable=True),
        sa.Column("result", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name="fk_case_task_case_id"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_case_task_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_case_task"),
    )
    op.create_index("ix_case_task_case_id", "case_task", ["case_id"], unique=False)
    op.create_index("ix_case_task_staff_id", "case_task", ["staff_id", "done_at"], unique=False)
    op.create_table(
        "found_item",
        sa.Column("case_id", ID, nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("where", sa.String(length=120), nullable=False),
        sa.Column("camera", sa.String(length=120), nullable=False),
        sa.Column("kept_at", sa.String(length=120), nullable=False),
        sa.Column("found_at", UTC, nullable=False),
        sa.Column("counted_by", ID, nullable=False),
        sa.Column("counted_at", UTC, nullable=False),
        sa.Column("confirmed_by", ID, nullable=True),
        sa.Column("confirmed_at", UTC, nullable=True),
        sa.Column("owner_name", sa.String(length=60), nullable=False),
        sa.Column("identity", sa.String(length=120), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("returned_by", ID, nullable=True),
        sa.Column("returned_at", UTC, nullable=True),
        sa.CheckConstraint("confirmed_by IS NULL OR confirmed_by <> counted_by", name="ck_found_item_two_people"),
        sa.CheckConstraint("returned_at IS NULL OR confirmed_by IS NOT NULL", name="ck_found_item_confirmed_first"),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name="fk_found_item_case_id"),
        sa.ForeignKeyConstraint(["confirmed_by"], ["staff.id"], name="fk_found_item_confirmed_by"),
        sa.ForeignKeyConstraint(["counted_by"], ["staff.id"], name="fk_found_item_counted_by"),
        sa.ForeignKeyConstraint(["returned_by"], ["staff.id"], name="fk_found_item_returned_by"),
        sa.PrimaryKeyConstraint("case_id", name="pk_found_item"),
    )
    op.add_column("case_file", sa.Column("category", sa.String(length=40), server_default="", nullable=False))
    op.add_column("case_file", sa.Column("urgent_why", sa.String(length=200), server_default="", nullable=False))
    op.add_column("case_file", sa.Column("wrap_up", sa.String(length=40), nullable=True))
    op.add_column("case_file", sa.Column("reopened", sa.Integer(), server_default="0", nullable=False))
    op.add_column("case_file", sa.Column("responded_at", UTC, nullable=True))
    op.add_column("case_file", sa.Column("resolved_at", UTC, nullable=True))
    op.add_column("case_file", sa.Column("pauses", JSON, server_default="[]", nullable=False))
    op.add_column("case_file", sa.Column("standing", sa.String(length=24), server_default="", nullable=False))
    op.add_column("case_file", sa.Column("look_at", UTC, nullable=True))
    op.create_index(
        "ix_case_file_look_at",
        "case_file",
        ["look_at"],
        unique=False,
        sqlite_where=sa.text("look_at IS NOT NULL"),
        postgresql_where=sa.text("look_at IS NOT NULL"),
    )

    op.execute("UPDATE case_file SET reopened = level")
    _append_only("abuse")


def _append_only(table: str) -> None:
    """The database itself refuses to change or delete rows (REQ-G02)."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE OR REPLACE FUNCTION {table}_append_only() RETURNS trigger AS $$ "
            f"BEGIN RAISE EXCEPTION '{table} is append-only'; END $$ LANGUAGE plpgsql"
        )
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION {table}_append_only()"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )


def downgrade() -> None:

    op.drop_index(
        "ix_case_file_look_at",
        table_name="case_file",
        sqlite_where=sa.text("look_at IS NOT NULL"),
        postgresql_where=sa.text("look_at IS NOT NULL"),
    )
    op.drop_column("case_file", "look_at")
    op.drop_column("case_file", "standing")
    op.drop_column("case_file", "pauses")
    op.drop_column("case_file", "resolved_at")
    op.drop_column("case_file", "responded_at")
    op.drop_column("case_file", "reopened")
    op.drop_column("case_file", "wrap_up")
    op.drop_column("case_file", "urgent_why")
    op.drop_column("case_file", "category")
    op.drop_table("found_item")
    op.drop_index("ix_case_task_staff_id", table_name="case_task")
    op.drop_index("ix_case_task_case_id", table_name="case_task")
    op.drop_table("case_task")
    op.drop_table("case_link")
    op.drop_index(
        "uq_swap_open",
        table_name="swap",
        sqlite_where=sa.text("state IN ('asked', 'accepted')"),
        postgresql_where=sa.text("state IN ('asked', 'accepted')"),
    )
    op.drop_table("swap")
    op.drop_index("ix_proposal_state", table_name="proposal")
    op.drop_table("proposal")
    op.drop_index("ix_abuse_conversation_id", table_name="abuse")
    op.drop_index("ix_abuse_address_id", table_name="abuse")
    op.drop_table("abuse")
    op.drop_index(
        "uq_surge_open",
        table_name="surge",
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.drop_table("surge")
    op.drop_index("ix_shift_staff_id", table_name="shift")
    op.drop_index("ix_shift_ends_at", table_name="shift")
    op.drop_table("shift")
    op.drop_index("ix_hand_over_to", table_name="hand_over")
    op.drop_table("hand_over")
    op.drop_table("floor_watch")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION abuse_append_only()")
