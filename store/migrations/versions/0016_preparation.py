"""What an agent should know before dialling: a person's year of birth and interests, and notes on a callback."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("contact", sa.Column("birth_year", sa.Integer(), nullable=True))
    op.add_column("contact", sa.Column("interests", sa.String(200), nullable=False, server_default=""))
    op.add_column("callback", sa.Column("notes", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("callback", "notes")
    op.drop_column("contact", "interests")
    op.drop_column("contact", "birth_year")
