"""The first schema: every table of store/tables.py, and the triggers that keep append-only tables as they were written."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from store.base import UTCDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
UTC = UTCDateTime()
APPEND_ONLY = (
    "acknowledgement",
    "answer",
    "audit_entry",
    "case_note",
    "consent",
    "import_run",
    "incident_entry",
    "revision",
    "version",
)


def upgrade() -> None:
    _tables()
    for table in APPEND_ONLY:
        _guard(table)


def _guard(table: str) -> None:
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


def _tables() -> None:
    op.create_table(
        "contact",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("title", sa.String(length=40), nullable=False),
        sa.Column("language", sa.String(24), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("segments", JSON, nullable=False),
        sa.Column("building", sa.String(length=40), nullable=True),
        sa.Column("unit_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("vulnerable", sa.Boolean(), nullable=False),
        sa.Column("not_before", sa.String(length=5), nullable=True),
        sa.Column("not_after", sa.String(length=5), nullable=True),
        sa.Column("merged_into_id", ID, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.CheckConstraint("language IN ('zh', 'en')", name="ck_contact_language"),
        sa.CheckConstraint("merged_into_id IS NULL OR merged_into_id <> id", name="ck_contact_merged_elsewhere"),
        sa.ForeignKeyConstraint(["merged_into_id"], ["contact.id"], name="fk_contact_merged_into_id"),
        sa.PrimaryKeyConstraint("id", name="pk_contact"),
    )
    op.create_index("ix_contact_building", "contact", ["building"], unique=False)
    op.create_table(
        "counter",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counter"),
    )
    op.create_table(
        "sandbox_call",
        sa.Column("id", ID, nullable=False),
        sa.Column("delivery_id", ID, nullable=True),
        sa.Column("phone_blind", sa.String(length=43), nullable=False),
        sa.Column("direction", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("script", JSON, nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("started_at", UTC, nullable=False),
        sa.Column("changed_at", UTC, nullable=False),
        sa.CheckConstraint("direction IN ('in', 'out')", name="ck_sandbox_call_direction"),
        sa.CheckConstraint(
            "state IN ('queued', 'initiated', 'ringing', 'in-progress', 'completed', 'busy', 'no-answer', 'failed', 'canceled')",
            name="ck_sandbox_call_state",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_sandbox_call"),
        sa.UniqueConstraint("delivery_id", name="uq_sandbox_call_delivery_id"),
    )
    op.create_index("ix_sandbox_call_phone", "sandbox_call", ["phone_blind", "id"], unique=False)
    op.create_index(
        "uq_sandbox_call_busy",
        "sandbox_call",
        ["phone_blind"],
        unique=True,
        sqlite_where=sa.text("state IN ('ringing', 'in-progress')"),
        postgresql_where=sa.text("state IN ('ringing', 'in-progress')"),
    )
    op.create_table(
        "sandbox_text",
        sa.Column("id", ID, nullable=False),
        sa.Column("delivery_id", ID, nullable=True),
        sa.Column("client_id", sa.String(length=120), nullable=True),
        sa.Column("phone_blind", sa.String(length=43), nullable=False),
        sa.Column("direction", sa.String(length=8), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.CheckConstraint("direction IN ('in', 'out')", name="ck_sandbox_text_direction"),
        sa.PrimaryKeyConstraint("id", name="pk_sandbox_text"),
        sa.UniqueConstraint("client_id", name="uq_sandbox_text_client_id"),
        sa.UniqueConstraint("delivery_id", name="uq_sandbox_text_delivery_id"),
    )
    op.create_index("ix_sandbox_text_phone", "sandbox_text", ["phone_blind", "id"], unique=False)
    op.create_table(
        "sign_in_attempt",
        sa.Column("id", ID, nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sign_in_attempt"),
    )
    op.create_index("ix_sign_in_attempt_who", "sign_in_attempt", ["who", "at"], unique=False)
    op.create_table(
        "slot_lease",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("worker", sa.String(length=60), nullable=False),
        sa.Column("until", UTC, nullable=False),
        sa.PrimaryKeyConstraint("slot", name="pk_slot_lease"),
    )
    op.create_table(
        "worker",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("beat_at", UTC, nullable=False),
        sa.Column("started_at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_worker"),
    )
    op.create_table(
        "address",
        sa.Column("id", ID, nullable=False),
        sa.Column("contact_id", ID, nullable=True),
        sa.Column("channel", sa.String(24), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("blind", sa.String(length=43), nullable=False),
        sa.Column("hint", sa.String(length=16), nullable=False),
        sa.Column("reachable", sa.Boolean(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.CheckConstraint("(channel = 'staff') = (contact_id IS NULL)", name="ck_address_staff_or_contact"),
        sa.CheckConstraint(
            "channel IN ('webchat', 'rest', 'telegram', 'sms', 'voice', 'staff')", name="ck_address_channel"
        ),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name="fk_address_contact_id"),
        sa.PrimaryKeyConstraint("id", name="pk_address"),
        sa.UniqueConstraint("channel", "blind", name="uq_address_channel_blind"),
    )
    op.create_index("ix_address_contact_id", "address", ["contact_id"], unique=False)
    op.create_table(
        "consent",
        sa.Column("id", ID, nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("scope", sa.String(length=24), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("source", sa.String(length=60), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name="fk_consent_contact_id"),
        sa.PrimaryKeyConstraint("id", name="pk_consent"),
    )
    op.create_index("ix_consent_contact_id", "consent", ["contact_id", "scope", "id"], unique=False)
    op.create_table(
        "event",
        sa.Column("id", ID, nullable=False),
        sa.Column("source", sa.String(length=60), nullable=False),
        sa.Column("external_id", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("happened_at", UTC, nullable=False),
        sa.Column("recorded_at", UTC, nullable=False),
        sa.Column("details", JSON, nullable=False),
        sa.Column("unplanned", sa.String(length=40), nullable=True),
        sa.Column("tried", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name="fk_event_contact_id"),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
        sa.UniqueConstraint("source", "external_id", name="uq_event_source_external_id"),
    )
    op.create_index("ix_event_contact_id", "event", ["contact_id", "happened_at"], unique=False)
    op.create_index(
        "ix_event_unplanned",
        "event",
        ["id"],
        unique=False,
        sqlite_where=sa.text("unplanned IS NOT NULL"),
        postgresql_where=sa.text("unplanned IS NOT NULL"),
    )
    op.create_table(
        "staff",
        sa.Column("id", ID, nullable=False),
        sa.Column("username", sa.String(length=60), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=True),
        sa.Column("language", sa.String(24), nullable=False),
        sa.Column("presence", sa.String(24), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("demo", sa.Boolean(), nullable=False),
        sa.Column("address_id", ID, nullable=True),
        sa.Column("created_at", UTC, nullable=False),
        sa.CheckConstraint("language IN ('zh', 'en')", name="ck_staff_language"),
        sa.CheckConstraint("presence IN ('online', 'away', 'offline')", name="ck_staff_presence"),
        sa.ForeignKeyConstraint(["address_id"], ["address.id"], name="fk_staff_address_id"),
        sa.PrimaryKeyConstraint("id", name="pk_staff"),
        sa.UniqueConstraint("username", name="uq_staff_username"),
    )
    op.create_table(
        "audit_entry",
        sa.Column("id", ID, nullable=False),
        sa.Column("staff_id", ID, nullable=True),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("subject_id", ID, nullable=True),
        sa.Column("details", JSON, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_audit_entry_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_audit_entry"),
    )
    op.create_index("ix_audit_entry_subject", "audit_entry", ["subject", "subject_id", "id"], unique=False)
    op.create_table(
        "conversation",
        sa.Column("id", ID, nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("address_id", ID, nullable=False),
        sa.Column("channel", sa.String(24), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("language", sa.String(24), nullable=False),
        sa.Column("book", sa.String(length=64), nullable=False),
        sa.Column("flow", JSON, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("staff_id", ID, nullable=True),
        sa.Column("queue", sa.String(length=40), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=60), nullable=True),
        sa.Column("callback_id", ID, nullable=True),
        sa.Column("broadcast_id", ID, nullable=True),
        sa.Column("wrap_up", sa.String(length=40), nullable=True),
        sa.Column("wrap_up_note", sa.Text(), nullable=False),
        sa.Column("rating", sa.Integer(), nullable=True),
        sa.Column("rating_comment", sa.Text(), nullable=False),
        sa.Column("opened_at", UTC, nullable=False),
        sa.Column("queued_at", UTC, nullable=True),
        sa.Column("claimed_at", UTC, nullable=True),
        sa.Column("unanswered_since", UTC, nullable=True),
        sa.Column("silence_at", UTC, nullable=True),
        sa.Column("closed_at", UTC, nullable=True),
        sa.CheckConstraint("(state = 'agent') = (staff_id IS NOT NULL)", name="ck_conversation_agent_holds"),
        sa.CheckConstraint(
            "channel IN ('webchat', 'rest', 'telegram', 'sms', 'voice', 'staff')", name="ck_conversation_channel"
        ),
        sa.CheckConstraint("language IN ('zh', 'en')", name="ck_conversation_language"),
        sa.CheckConstraint("state IN ('bot', 'queued', 'agent', 'closed')", name="ck_conversation_state"),
        sa.CheckConstraint("rating IS NULL OR rating BETWEEN 1 AND 5", name="ck_conversation_rating"),
        sa.ForeignKeyConstraint(["address_id"], ["address.id"], name="fk_conversation_address_id"),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name="fk_conversation_contact_id"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_conversation_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_conversation"),
    )
    op.create_index("ix_conversation_contact_id", "conversation", ["contact_id", "id"], unique=False)
    op.create_index(
        "ix_conversation_silence_at",
        "conversation",
        ["silence_at"],
        unique=False,
        sqlite_where=sa.text("silence_at IS NOT NULL"),
        postgresql_where=sa.text("silence_at IS NOT NULL"),
    )
    op.create_index(
        "ix_conversation_unanswered",
        "conversation",
        ["unanswered_since"],
        unique=False,
        sqlite_where=sa.text("unanswered_since IS NOT NULL"),
        postgresql_where=sa.text("unanswered_since IS NOT NULL"),
    )
    op.create_index(
        "ix_conversation_waiting",
        "conversation",
        ["state", "queued_at"],
        unique=False,
        sqlite_where=sa.text("state IN ('queued', 'agent')"),
        postgresql_where=sa.text("state IN ('queued', 'agent')"),
    )
    op.create_index(
        "uq_conversation_open",
        "conversation",
        ["address_id"],
        unique=True,
        sqlite_where=sa.text("state <> 'closed'"),
        postgresql_where=sa.text("state <> 'closed'"),
    )
    op.create_table(
        "import_run",
        sa.Column("id", ID, nullable=False),
        sa.Column("filename", sa.String(length=200), nullable=False),
        sa.Column("staff_id", ID, nullable=True),
        sa.Column("loaded", sa.Integer(), nullable=False),
        sa.Column("known", sa.Integer(), nullable=False),
        sa.Column("refused", JSON, nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_import_run_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_import_run"),
    )
    op.create_table(
        "incident",
        sa.Column("id", ID, nullable=False),
        sa.Column("code", sa.String(length=8), nullable=False),
        sa.Column("title", sa.String(length=160), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("plan", sa.String(length=12), nullable=True),
        sa.Column("grade", sa.String(length=12), nullable=True),
        sa.Column("drill", sa.Boolean(), nullable=False),
        sa.Column("buildings", JSON, nullable=False),
        sa.Column("wording_zh", sa.Text(), nullable=False),
        sa.Column("wording_en", sa.Text(), nullable=False),
        sa.Column("eta_at", UTC, nullable=True),
        sa.Column("started_at", UTC, nullable=False),
        sa.Column("ended_at", UTC, nullable=True),
        sa.Column("owner_id", ID, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state IN ('suspected', 'confirmed', 'contained', 'recovered', 'all_clear', 'reviewed', 'closed')",
            name="ck_incident_state",
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["staff.id"], name="fk_incident_owner_id"),
        sa.PrimaryKeyConstraint("id", name="pk_incident"),
    )
    op.create_index("ix_incident_state", "incident", ["state"], unique=False)
    op.create_table(
        "revision",
        sa.Column("id", ID, nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("subject_id", ID, nullable=False),
        sa.Column("field", sa.String(length=60), nullable=False),
        sa.Column("old", JSON, nullable=False),
        sa.Column("new", JSON, nullable=False),
        sa.Column("staff_id", ID, nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_revision_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_revision"),
    )
    op.create_index("ix_revision_subject", "revision", ["subject", "subject_id", "id"], unique=False)
    op.create_table(
        "sign_in_link",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("expires_at", UTC, nullable=False),
        sa.Column("used_at", UTC, nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_sign_in_link_staff_id"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_sign_in_link"),
    )
    op.create_table(
        "staff_role",
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("role", sa.String(24), nullable=False),
        sa.CheckConstraint(
            "role IN ('agent', 'leader', 'supervisor', 'manager', 'ops', 'report_owner', 'archivist', 'administrator')",
            name="ck_staff_role_role",
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_staff_role_staff_id"),
        sa.PrimaryKeyConstraint("staff_id", "role", name="pk_staff_role"),
    )
    op.create_table(
        "staff_session",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.Column("expires_at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_staff_session_staff_id"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_staff_session"),
    )
    op.create_table(
        "version",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("body", JSON, nullable=False),
        sa.Column("staff_id", ID, nullable=True),
        sa.Column("at", UTC, nullable=False),
        sa.CheckConstraint("kind IN ('book', 'policies', 'plan')", name="ck_version_kind"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_version_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_version"),
        sa.UniqueConstraint("kind", "hash", name="uq_version_kind_hash"),
    )
    op.create_table(
        "broadcast",
        sa.Column("id", ID, nullable=False),
        sa.Column("incident_id", ID, nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("follows_id", ID, nullable=True),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("drill", sa.Boolean(), nullable=False),
        sa.Column("purpose", sa.String(24), nullable=False),
        sa.Column("audience", JSON, nullable=False),
        sa.Column("channels", JSON, nullable=False),
        sa.Column("text_zh", sa.Text(), nullable=False),
        sa.Column("text_en", sa.Text(), nullable=False),
        sa.Column("author_id", ID, nullable=False),
        sa.Column("approver_id", ID, nullable=True),
        sa.Column("audience_size", sa.Integer(), nullable=False),
        sa.Column("cursor", ID, nullable=False),
        sa.Column("fanned_out", sa.Boolean(), nullable=False),
        sa.Column("policies", sa.String(length=64), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.Column("approved_at", UTC, nullable=True),
        sa.Column("expires_at", UTC, nullable=True),
        sa.Column("finished_at", UTC, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('notice', 'update', 'all_clear')", name="ck_broadcast_kind"),
        sa.CheckConstraint(
            "purpose IN ('reply', 'requested_callback', 'service_notice', 'follow_up', 'marketing', 'emergency', 'staff_alert')",
            name="ck_broadcast_purpose",
        ),
        sa.CheckConstraint(
            "state IN ('draft', 'approved', 'running', 'stopped', 'finished', 'cancelled')", name="ck_broadcast_state"
        ),
        sa.CheckConstraint(
            "state IN ('draft', 'cancelled') OR approver_id IS NOT NULL", name="ck_broadcast_approved_by"
        ),
        sa.CheckConstraint("approver_id IS NULL OR approver_id <> author_id", name="ck_broadcast_second_person"),
        sa.ForeignKeyConstraint(["approver_id"], ["staff.id"], name="fk_broadcast_approver_id"),
        sa.ForeignKeyConstraint(["author_id"], ["staff.id"], name="fk_broadcast_author_id"),
        sa.ForeignKeyConstraint(["follows_id"], ["broadcast.id"], name="fk_broadcast_follows_id"),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name="fk_broadcast_incident_id"),
        sa.PrimaryKeyConstraint("id", name="pk_broadcast"),
    )
    op.create_index("ix_broadcast_incident_id", "broadcast", ["incident_id"], unique=False)
    op.create_index("ix_broadcast_state", "broadcast", ["state"], unique=False)
    op.create_table(
        "case_file",
        sa.Column("id", ID, nullable=False),
        sa.Column("number", sa.String(length=20), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("urgency", sa.String(24), nullable=False),
        sa.Column("queue", sa.String(length=40), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("conversation_id", ID, nullable=True),
        sa.Column("callback_id", ID, nullable=True),
        sa.Column("broadcast_id", ID, nullable=True),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("facts", JSON, nullable=False),
        sa.Column("emotion", sa.Integer(), nullable=False),
        sa.Column("staff_id", ID, nullable=True),
        sa.Column("feedback", sa.Text(), nullable=False),
        sa.Column("feedback_at", UTC, nullable=True),
        sa.Column("opened_at", UTC, nullable=False),
        sa.Column("due_at", UTC, nullable=True),
        sa.Column("closed_at", UTC, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('complaint', 'repair', 'inquiry', 'red_flag', 'broadcast_reply', 'found_item', 'media', 'privacy')",
            name="ck_case_file_kind",
        ),
        sa.CheckConstraint("state <> 'closed' OR feedback_at IS NOT NULL", name="ck_case_file_closed_with_feedback"),
        sa.CheckConstraint("state IN ('open', 'assigned', 'pending', 'resolved', 'closed')", name="ck_case_file_state"),
        sa.CheckConstraint("urgency IN ('ordinary', 'urgent')", name="ck_case_file_urgency"),
        sa.CheckConstraint("level BETWEEN 0 AND 3", name="ck_case_file_level"),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name="fk_case_file_contact_id"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversation.id"], name="fk_case_file_conversation_id"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_case_file_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_case_file"),
        sa.UniqueConstraint("number", name="uq_case_file_number"),
    )
    op.create_index("ix_case_file_closed_at", "case_file", ["closed_at"], unique=False)
    op.create_index("ix_case_file_contact_id", "case_file", ["contact_id"], unique=False)
    op.create_index("ix_case_file_conversation_id", "case_file", ["conversation_id"], unique=False)
    op.create_index("ix_case_file_open", "case_file", ["state", "due_at"], unique=False)
    op.create_table(
        "delivery",
        sa.Column("id", ID, nullable=False),
        sa.Column("dedupe_key", sa.String(length=160), nullable=False),
        sa.Column("lane", sa.String(length=40), nullable=False),
        sa.Column("lane_class", sa.String(24), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(24), nullable=False),
        sa.Column("channel", sa.String(24), nullable=False),
        sa.Column("address_id", ID, nullable=False),
        sa.Column("contact_id", ID, nullable=True),
        sa.Column("conversation_id", ID, nullable=True),
        sa.Column("message_id", ID, nullable=True),
        sa.Column("callback_id", ID, nullable=True),
        sa.Column("recipient_id", ID, nullable=True),
        sa.Column("drill", sa.Boolean(), nullable=False),
        sa.Column("body", JSON, nullable=False),
        sa.Column("not_before", UTC, nullable=False),
        sa.Column("expires_at", UTC, nullable=True),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("lease_until", UTC, nullable=True),
        sa.Column("lease_owner", sa.String(length=60), nullable=True),
        sa.Column("provider_id", sa.String(length=120), nullable=True),
        sa.Column("provider_seq", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", UTC, nullable=False),
        sa.Column("changed_at", UTC, nullable=False),
        sa.CheckConstraint(
            "channel IN ('webchat', 'rest', 'telegram', 'sms', 'voice', 'staff')", name="ck_delivery_channel"
        ),
        sa.CheckConstraint("lane_class IN ('chat', 'emergency')", name="ck_delivery_lane_class"),
        sa.CheckConstraint(
            "purpose IN ('reply', 'requested_callback', 'service_notice', 'follow_up', 'marketing', 'emergency', 'staff_alert')",
            name="ck_delivery_purpose",
        ),
        sa.CheckConstraint("state <> 'sending' OR lease_until IS NOT NULL", name="ck_delivery_sending_leased"),
        sa.CheckConstraint(
            "state IN ('queued', 'sending', 'accepted', 'delivered', 'heard', 'read', 'failed', 'unknown', 'expired', 'cancelled')",
            name="ck_delivery_state",
        ),
        sa.CheckConstraint("attempt >= 0", name="ck_delivery_attempt"),
        sa.CheckConstraint("slot BETWEEN 0 AND 63", name="ck_delivery_slot"),
        sa.ForeignKeyConstraint(["address_id"], ["address.id"], name="fk_delivery_address_id"),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name="fk_delivery_contact_id"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversation.id"], name="fk_delivery_conversation_id"),
        sa.PrimaryKeyConstraint("id", name="pk_delivery"),
        sa.UniqueConstraint("dedupe_key", name="uq_delivery_dedupe_key"),
    )
    op.create_index("ix_delivery_callback_id", "delivery", ["callback_id"], unique=False)
    op.create_index("ix_delivery_contact_id", "delivery", ["contact_id", "created_at"], unique=False)
    op.create_index(
        "ix_delivery_lane_queued",
        "delivery",
        ["lane", "priority", "not_before", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "ix_delivery_lease_until",
        "delivery",
        ["lease_until"],
        unique=False,
        sqlite_where=sa.text("state = 'sending'"),
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.create_index("ix_delivery_message_id", "delivery", ["message_id"], unique=False)
    op.create_index(
        "ix_delivery_not_before",
        "delivery",
        ["not_before"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index("ix_delivery_provider_id", "delivery", ["channel", "provider_id"], unique=False)
    op.create_index(
        "ix_delivery_queued",
        "delivery",
        ["priority", "not_before", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index("ix_delivery_recipient_id", "delivery", ["recipient_id"], unique=False)
    op.create_index(
        "ix_delivery_unknown",
        "delivery",
        ["changed_at"],
        unique=False,
        sqlite_where=sa.text("state = 'unknown'"),
        postgresql_where=sa.text("state = 'unknown'"),
    )
    op.create_index(
        "uq_delivery_lane_in_flight",
        "delivery",
        ["lane"],
        unique=True,
        sqlite_where=sa.text("state = 'sending'"),
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.create_table(
        "incident_entry",
        sa.Column("id", ID, nullable=False),
        sa.Column("incident_id", ID, nullable=False),
        sa.Column("staff_id", ID, nullable=True),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name="fk_incident_entry_incident_id"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_incident_entry_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_incident_entry"),
    )
    op.create_index("ix_incident_entry_incident_id", "incident_entry", ["incident_id", "id"], unique=False)
    op.create_table(
        "message",
        sa.Column("id", ID, nullable=False),
        sa.Column("conversation_id", ID, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(24), nullable=False),
        sa.Column("author", sa.String(24), nullable=False),
        sa.Column("staff_id", ID, nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("buttons", JSON, nullable=True),
        sa.Column("understood", JSON, nullable=True),
        sa.Column("provider_id", sa.String(length=120), nullable=True),
        sa.Column("reply_to", ID, nullable=True),
        sa.Column("private", sa.Boolean(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.CheckConstraint("author IN ('customer', 'bot', 'agent', 'system')", name="ck_message_author"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversation.id"], name="fk_message_conversation_id"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_message_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_message"),
        sa.UniqueConstraint("conversation_id", "seq", name="uq_message_conversation_id_seq"),
    )
    op.create_index(
        "uq_message_provider",
        "message",
        ["channel", "provider_id"],
        unique=True,
        sqlite_where=sa.text("provider_id IS NOT NULL"),
        postgresql_where=sa.text("provider_id IS NOT NULL"),
    )
    op.create_table(
        "misunderstood",
        sa.Column("id", ID, nullable=False),
        sa.Column("message_id", ID, nullable=False),
        sa.Column("conversation_id", ID, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("language", sa.String(24), nullable=False),
        sa.Column("guess", sa.String(length=60), nullable=False),
        sa.Column("intent", sa.String(length=60), nullable=True),
        sa.Column("staff_id", ID, nullable=True),
        sa.Column("at", UTC, nullable=False),
        sa.Column("decided_at", UTC, nullable=True),
        sa.CheckConstraint("language IN ('zh', 'en')", name="ck_misunderstood_language"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversation.id"], name="fk_misunderstood_conversation_id"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_misunderstood_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_misunderstood"),
        sa.UniqueConstraint("message_id", name="uq_misunderstood_message_id"),
    )
    op.create_index(
        "ix_misunderstood_waiting",
        "misunderstood",
        ["id"],
        unique=False,
        sqlite_where=sa.text("intent IS NULL"),
        postgresql_where=sa.text("intent IS NULL"),
    )
    op.create_table(
        "notify_me",
        sa.Column("id", ID, nullable=False),
        sa.Column("incident_id", ID, nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name="fk_notify_me_contact_id"),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name="fk_notify_me_incident_id"),
        sa.PrimaryKeyConstraint("id", name="pk_notify_me"),
        sa.UniqueConstraint("incident_id", "contact_id", name="uq_notify_me_incident_id_contact_id"),
    )
    op.create_table(
        "broadcast_recipient",
        sa.Column("id", ID, nullable=False),
        sa.Column("broadcast_id", ID, nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("outcome", sa.String(24), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("due_at", UTC, nullable=True),
        sa.Column("changed_at", UTC, nullable=False),
        sa.CheckConstraint(
            "outcome IN ('pending', 'sending', 'accepted', 'delivered', 'heard', 'acknowledged', 'failed', 'unknown', 'unreachable', 'expired', 'cancelled')",
            name="ck_broadcast_recipient_outcome",
        ),
        sa.ForeignKeyConstraint(["broadcast_id"], ["broadcast.id"], name="fk_broadcast_recipient_broadcast_id"),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name="fk_broadcast_recipient_contact_id"),
        sa.PrimaryKeyConstraint("id", name="pk_broadcast_recipient"),
        sa.UniqueConstraint("broadcast_id", "contact_id", name="uq_broadcast_recipient_broadcast_id_contact_id"),
    )
    op.create_index(
        "ix_broadcast_recipient_due_at",
        "broadcast_recipient",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index("ix_broadcast_recipient_outcome", "broadcast_recipient", ["broadcast_id", "outcome"], unique=False)
    op.create_table(
        "callback",
        sa.Column("id", ID, nullable=False),
        sa.Column("dedupe_key", sa.String(length=120), nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("event_id", ID, nullable=True),
        sa.Column("case_id", ID, nullable=True),
        sa.Column("address_id", ID, nullable=True),
        sa.Column("follow_up_group", sa.String(24), nullable=False),
        sa.Column("purpose", sa.String(24), nullable=False),
        sa.Column("policies", sa.String(length=64), nullable=False),
        sa.Column("flow_id", sa.String(length=80), nullable=False),
        sa.Column("flow", JSON, nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("due_at", UTC, nullable=True),
        sa.Column("window_end", UTC, nullable=True),
        sa.Column("late_after", UTC, nullable=True),
        sa.Column("not_after", UTC, nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("flags", JSON, nullable=False),
        sa.Column("disposition", sa.String(24), nullable=True),
        sa.Column("remarks", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.Column("closed_at", UTC, nullable=True),
        sa.CheckConstraint(
            "follow_up_group IN ('visited_no_purchase', 'visited_purchased', 'not_visited', 'interrupted', 'outpatient_surgery', 'inpatient_surgery', 'after_complaint', 'requested')",
            name="ck_callback_follow_up_group",
        ),
        sa.CheckConstraint(
            "purpose IN ('reply', 'requested_callback', 'service_notice', 'follow_up', 'marketing', 'emergency', 'staff_alert')",
            name="ck_callback_purpose",
        ),
        sa.CheckConstraint("state <> 'scheduled' OR due_at IS NOT NULL", name="ck_callback_scheduled_when"),
        sa.CheckConstraint(
            "state IN ('scheduled', 'dialling', 'done', 'given_up', 'cancelled')", name="ck_callback_state"
        ),
        sa.CheckConstraint(
            "state NOT IN ('done', 'given_up', 'cancelled') OR disposition IS NOT NULL", name="ck_callback_ended_with"
        ),
        sa.ForeignKeyConstraint(["address_id"], ["address.id"], name="fk_callback_address_id"),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name="fk_callback_case_id"),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name="fk_callback_contact_id"),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"], name="fk_callback_event_id"),
        sa.PrimaryKeyConstraint("id", name="pk_callback"),
        sa.UniqueConstraint("dedupe_key", name="uq_callback_dedupe_key"),
    )
    op.create_index("ix_callback_case_id", "callback", ["case_id"], unique=False)
    op.create_index("ix_callback_closed_at", "callback", ["closed_at"], unique=False)
    op.create_index("ix_callback_contact_id", "callback", ["contact_id", "id"], unique=False)
    op.create_index(
        "ix_callback_due_at",
        "callback",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state IN ('scheduled', 'dialling')"),
        postgresql_where=sa.text("state IN ('scheduled', 'dialling')"),
    )
    op.create_table(
        "case_note",
        sa.Column("id", ID, nullable=False),
        sa.Column("case_id", ID, nullable=False),
        sa.Column("staff_id", ID, nullable=True),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name="fk_case_note_case_id"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_case_note_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_case_note"),
    )
    op.create_index("ix_case_note_case_id", "case_note", ["case_id", "id"], unique=False)
    op.create_table(
        "escalation",
        sa.Column("id", ID, nullable=False),
        sa.Column("conversation_id", ID, nullable=True),
        sa.Column("case_id", ID, nullable=True),
        sa.Column("incident_id", ID, nullable=True),
        sa.Column("policy", JSON, nullable=False),
        sa.Column("first_rung", sa.Integer(), nullable=False),
        sa.Column("notified", sa.Integer(), nullable=False),
        sa.Column("notified_at", UTC, nullable=True),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("urgency", sa.String(24), nullable=False),
        sa.Column("reason", sa.String(length=60), nullable=False),
        sa.Column("started_at", UTC, nullable=False),
        sa.Column("due_at", UTC, nullable=True),
        sa.Column("acknowledged_by", ID, nullable=True),
        sa.Column("acknowledged_at", UTC, nullable=True),
        sa.CheckConstraint("state IN ('running', 'acknowledged', 'exhausted', 'closed')", name="ck_escalation_state"),
        sa.CheckConstraint("urgency IN ('ordinary', 'urgent')", name="ck_escalation_urgency"),
        sa.CheckConstraint(
            "conversation_id IS NOT NULL OR case_id IS NOT NULL OR incident_id IS NOT NULL",
            name="ck_escalation_subject",
        ),
        sa.ForeignKeyConstraint(["acknowledged_by"], ["staff.id"], name="fk_escalation_acknowledged_by"),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name="fk_escalation_case_id"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversation.id"], name="fk_escalation_conversation_id"),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name="fk_escalation_incident_id"),
        sa.PrimaryKeyConstraint("id", name="pk_escalation"),
    )
    op.create_index(
        "ix_escalation_due_at",
        "escalation",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index(
        "uq_escalation_case",
        "escalation",
        ["case_id"],
        unique=True,
        sqlite_where=sa.text("state = 'running' AND conversation_id IS NULL AND case_id IS NOT NULL"),
        postgresql_where=sa.text("state = 'running' AND conversation_id IS NULL AND case_id IS NOT NULL"),
    )
    op.create_index(
        "uq_escalation_conversation",
        "escalation",
        ["conversation_id"],
        unique=True,
        sqlite_where=sa.text("state = 'running' AND conversation_id IS NOT NULL"),
        postgresql_where=sa.text("state = 'running' AND conversation_id IS NOT NULL"),
    )
    op.create_table(
        "acknowledgement",
        sa.Column("id", ID, nullable=False),
        sa.Column("recipient_id", ID, nullable=False),
        sa.Column("channel", sa.String(24), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.CheckConstraint(
            "channel IN ('webchat', 'rest', 'telegram', 'sms', 'voice', 'staff')", name="ck_acknowledgement_channel"
        ),
        sa.ForeignKeyConstraint(["recipient_id"], ["broadcast_recipient.id"], name="fk_acknowledgement_recipient_id"),
        sa.PrimaryKeyConstraint("id", name="pk_acknowledgement"),
        sa.UniqueConstraint("recipient_id", name="uq_acknowledgement_recipient_id"),
    )
    op.create_table(
        "answer",
        sa.Column("id", ID, nullable=False),
        sa.Column("callback_id", ID, nullable=False),
        sa.Column("conversation_id", ID, nullable=True),
        sa.Column("question", sa.String(length=80), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=True),
        sa.Column("at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["callback_id"], ["callback.id"], name="fk_answer_callback_id"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversation.id"], name="fk_answer_conversation_id"),
        sa.PrimaryKeyConstraint("id", name="pk_answer"),
    )
    op.create_index("ix_answer_callback_id", "answer", ["callback_id", "id"], unique=False)
    op.create_table(
        "call_attempt",
        sa.Column("id", ID, nullable=False),
        sa.Column("callback_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("address_id", ID, nullable=False),
        sa.Column("delivery_id", ID, nullable=True),
        sa.Column("conversation_id", ID, nullable=True),
        sa.Column("window", sa.String(length=40), nullable=False),
        sa.Column("rang", sa.Boolean(), nullable=False),
        sa.Column("answered_by", sa.String(length=12), nullable=True),
        sa.Column("disposition", sa.String(24), nullable=True),
        sa.Column("started_at", UTC, nullable=False),
        sa.Column("ended_at", UTC, nullable=True),
        sa.CheckConstraint(
            "disposition IN ('completed', 'partly_completed', 'no_answer', 'busy', 'machine', 'refused', 'wrong_number', 'another_time', 'escalated', 'opted_out', 'failed', 'cancelled')",
            name="ck_call_attempt_disposition",
        ),
        sa.ForeignKeyConstraint(["address_id"], ["address.id"], name="fk_call_attempt_address_id"),
        sa.ForeignKeyConstraint(["callback_id"], ["callback.id"], name="fk_call_attempt_callback_id"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversation.id"], name="fk_call_attempt_conversation_id"),
        sa.PrimaryKeyConstraint("id", name="pk_call_attempt"),
        sa.UniqueConstraint("callback_id", "number", name="uq_call_attempt_callback_id_number"),
    )
    op.create_index("ix_call_attempt_conversation_id", "call_attempt", ["conversation_id"], unique=False)
    op.create_index("ix_call_attempt_delivery_id", "call_attempt", ["delivery_id"], unique=False)
    op.create_index("ix_call_attempt_started_at", "call_attempt", ["started_at"], unique=False)
    op.create_table(
        "next_step",
        sa.Column("id", ID, nullable=False),
        sa.Column("callback_id", ID, nullable=False),
        sa.Column("owner_id", ID, nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("created_by", ID, nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.CheckConstraint("state IN ('open', 'done')", name="ck_next_step_state"),
        sa.ForeignKeyConstraint(["callback_id"], ["callback.id"], name="fk_next_step_callback_id"),
        sa.ForeignKeyConstraint(["created_by"], ["staff.id"], name="fk_next_step_created_by"),
        sa.ForeignKeyConstraint(["owner_id"], ["staff.id"], name="fk_next_step_owner_id"),
        sa.PrimaryKeyConstraint("id", name="pk_next_step"),
    )
    op.create_index("ix_next_step_callback_id", "next_step", ["callback_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_next_step_callback_id", table_name="next_step")
    op.drop_table("next_step")
    op.drop_index("ix_call_attempt_started_at", table_name="call_attempt")
    op.drop_index("ix_call_attempt_delivery_id", table_name="call_attempt")
    op.drop_index("ix_call_attempt_conversation_id", table_name="call_attempt")
    op.drop_table("call_attempt")
    op.drop_index("ix_answer_callback_id", table_name="answer")
    op.drop_table("answer")
    op.drop_table("acknowledgement")
    op.drop_index(
        "uq_escalation_conversation",
        table_name="escalation",
        sqlite_where=sa.text("state = 'running' AND conversation_id IS NOT NULL"),
        postgresql_where=sa.text("state = 'running' AND conversation_id IS NOT NULL"),
    )
    op.drop_index(
        "uq_escalation_case",
        table_name="escalation",
        sqlite_where=sa.text("state = 'running' AND conversation_id IS NULL AND case_id IS NOT NULL"),
        postgresql_where=sa.text("state = 'running' AND conversation_id IS NULL AND case_id IS NOT NULL"),
    )
    op.drop_index(
        "ix_escalation_due_at",
        table_name="escalation",
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.drop_table("escalation")
    op.drop_index("ix_case_note_case_id", table_name="case_note")
    op.drop_table("case_note")
    op.drop_index(
        "ix_callback_due_at",
        table_name="callback",
        sqlite_where=sa.text("state IN ('scheduled', 'dialling')"),
        postgresql_where=sa.text("state IN ('scheduled', 'dialling')"),
    )
    op.drop_index("ix_callback_contact_id", table_name="callback")
    op.drop_index("ix_callback_closed_at", table_name="callback")
    op.drop_index("ix_callback_case_id", table_name="callback")
    op.drop_table("callback")
    op.drop_index("ix_broadcast_recipient_outcome", table_name="broadcast_recipient")
    op.drop_index(
        "ix_broadcast_recipient_due_at",
        table_name="broadcast_recipient",
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.drop_table("broadcast_recipient")
    op.drop_table("notify_me")
    op.drop_index(
        "ix_misunderstood_waiting",
        table_name="misunderstood",
        sqlite_where=sa.text("intent IS NULL"),
        postgresql_where=sa.text("intent IS NULL"),
    )
    op.drop_table("misunderstood")
    op.drop_index(
        "uq_message_provider",
        table_name="message",
        sqlite_where=sa.text("provider_id IS NOT NULL"),
        postgresql_where=sa.text("provider_id IS NOT NULL"),
    )
    op.drop_table("message")
    op.drop_index("ix_incident_entry_incident_id", table_name="incident_entry")
    op.drop_table("incident_entry")
    op.drop_index(
        "uq_delivery_lane_in_flight",
        table_name="delivery",
        sqlite_where=sa.text("state = 'sending'"),
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.drop_index(
        "ix_delivery_unknown",
        table_name="delivery",
        sqlite_where=sa.text("state = 'unknown'"),
        postgresql_where=sa.text("state = 'unknown'"),
    )
    op.drop_index("ix_delivery_recipient_id", table_name="delivery")
    op.drop_index(
        "ix_delivery_queued",
        table_name="delivery",
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.drop_index("ix_delivery_provider_id", table_name="delivery")
    op.drop_index(
        "ix_delivery_not_before",
        table_name="delivery",
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.drop_index("ix_delivery_message_id", table_name="delivery")
    op.drop_index(
        "ix_delivery_lease_until",
        table_name="delivery",
        sqlite_where=sa.text("state = 'sending'"),
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.drop_index(
        "ix_delivery_lane_queued",
        table_name="delivery",
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.drop_index("ix_delivery_contact_id", table_name="delivery")
    op.drop_index("ix_delivery_callback_id", table_name="delivery")
    op.drop_table("delivery")
    op.drop_index("ix_case_file_open", table_name="case_file")
    op.drop_index("ix_case_file_conversation_id", table_name="case_file")
    op.drop_index("ix_case_file_contact_id", table_name="case_file")
    op.drop_index("ix_case_file_closed_at", table_name="case_file")
    op.drop_table("case_file")
    op.drop_index("ix_broadcast_state", table_name="broadcast")
    op.drop_index("ix_broadcast_incident_id", table_name="broadcast")
    op.drop_table("broadcast")
    op.drop_table("version")
    op.drop_table("staff_session")
    op.drop_table("staff_role")
    op.drop_table("sign_in_link")
    op.drop_index("ix_revision_subject", table_name="revision")
    op.drop_table("revision")
    op.drop_index("ix_incident_state", table_name="incident")
    op.drop_table("incident")
    op.drop_table("import_run")
    op.drop_index(
        "uq_conversation_open",
        table_name="conversation",
        sqlite_where=sa.text("state <> 'closed'"),
        postgresql_where=sa.text("state <> 'closed'"),
    )
    op.drop_index(
        "ix_conversation_waiting",
        table_name="conversation",
        sqlite_where=sa.text("state IN ('queued', 'agent')"),
        postgresql_where=sa.text("state IN ('queued', 'agent')"),
    )
    op.drop_index(
        "ix_conversation_unanswered",
        table_name="conversation",
        sqlite_where=sa.text("unanswered_since IS NOT NULL"),
        postgresql_where=sa.text("unanswered_since IS NOT NULL"),
    )
    op.drop_index(
        "ix_conversation_silence_at",
        table_name="conversation",
        sqlite_where=sa.text("silence_at IS NOT NULL"),
        postgresql_where=sa.text("silence_at IS NOT NULL"),
    )
    op.drop_index("ix_conversation_contact_id", table_name="conversation")
    op.drop_table("conversation")
    op.drop_index("ix_audit_entry_subject", table_name="audit_entry")
    op.drop_table("audit_entry")
    op.drop_table("staff")
    op.drop_index(
        "ix_event_unplanned",
        table_name="event",
        sqlite_where=sa.text("unplanned IS NOT NULL"),
        postgresql_where=sa.text("unplanned IS NOT NULL"),
    )
    op.drop_index("ix_event_contact_id", table_name="event")
    op.drop_table("event")
    op.drop_index("ix_consent_contact_id", table_name="consent")
    op.drop_table("consent")
    op.drop_index("ix_address_contact_id", table_name="address")
    op.drop_table("address")
    op.drop_table("worker")
    op.drop_table("slot_lease")
    op.drop_index("ix_sign_in_attempt_who", table_name="sign_in_attempt")
    op.drop_table("sign_in_attempt")
    op.drop_index("ix_sandbox_text_phone", table_name="sandbox_text")
    op.drop_table("sandbox_text")
    op.drop_index(
        "uq_sandbox_call_busy",
        table_name="sandbox_call",
        sqlite_where=sa.text("state IN ('ringing', 'in-progress')"),
        postgresql_where=sa.text("state IN ('ringing', 'in-progress')"),
    )
    op.drop_index("ix_sandbox_call_phone", table_name="sandbox_call")
    op.drop_table("sandbox_call")
    op.drop_table("counter")
    op.drop_index("ix_contact_building", table_name="contact")
    op.drop_table("contact")
    if op.get_bind().dialect.name == "postgresql":
        for table in APPEND_ONLY:
            op.execute(f"DROP FUNCTION {table}_append_only()")
