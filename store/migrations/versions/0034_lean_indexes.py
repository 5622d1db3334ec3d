"""Indexes that an announcement's rows need not be written to at every step, and one that its pages follow."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

LEAN = {
    "ix_delivery_provider_id": ("channel", "provider_id"),
    "ix_delivery_message_id": ("message_id",),
    "ix_delivery_recipient_id": ("recipient_id",),
    "ix_delivery_callback_id": ("callback_id",),
}
RECIPIENT = "broadcast_recipient"


def upgrade() -> None:
    for name, columns in LEAN.items():
        there_is = sa.text(f"{columns[-1]} IS NOT NULL")
        op.drop_index(name, "delivery")
        op.create_index(name, "delivery", columns, sqlite_where=there_is, postgresql_where=there_is)
    op.create_index("ix_broadcast_recipient_broadcast_id", RECIPIENT, ["broadcast_id", "id"])
    op.drop_index("ix_broadcast_recipient_outcome", RECIPIENT)


def downgrade() -> None:
    op.create_index("ix_broadcast_recipient_outcome", RECIPIENT, ["broadcast_id", "outcome"])
    op.drop_index("ix_broadcast_recipient_broadcast_id", RECIPIENT)
    for name, columns in LEAN.items():
        op.drop_index(name, "delivery")
        op.create_index(name, "delivery", columns)
