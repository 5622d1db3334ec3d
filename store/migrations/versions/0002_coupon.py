"""Coupons that were issued."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.base import UTCDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "coupon",
        sa.Column("id", ID, nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("campaign", sa.String(length=60), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("conversation_id", ID, nullable=False),
        sa.Column("code", sa.String(length=200), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name="fk_coupon_contact_id"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversation.id"], name="fk_coupon_conversation_id"),
        sa.PrimaryKeyConstraint("id", name="pk_coupon"),
        sa.UniqueConstraint("contact_id", "campaign", "number", name="uq_coupon_contact_id_campaign_number"),
    )


def downgrade() -> None:
    op.drop_table("coupon")
