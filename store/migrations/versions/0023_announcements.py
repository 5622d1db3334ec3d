"""Announcements: a reason may stand for the second person or for the night; corrections; CAP alerts that came in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.base import UTCDateTime

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SECOND = "approver_id IS NULL OR approver_id <> author_id"
OVERRIDDEN = f"{SECOND} OR override_reason <> ''"
CHECK = "ck_broadcast_second_person"


def upgrade() -> None:
    op.add_column("broadcast", sa.Column("override_reason", sa.Text(), nullable=False, server_default=""))
    op.add_column("broadcast", sa.Column("amends", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("broadcast_recipient", sa.Column("told", sa.Boolean(), nullable=False, server_default=sa.false()))
    _second_person(SECOND, OVERRIDDEN)
    op.create_table(
        "cap_alert",
        sa.Column("id", ID, nullable=False),
        sa.Column("sender", sa.String(120), nullable=False),
        sa.Column("identifier", sa.String(200), nullable=False),
        sa.Column("sent", UTCDateTime(), nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("incident_id", ID, nullable=True),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name="fk_cap_alert_incident_id"),
        sa.PrimaryKeyConstraint("id", name="pk_cap_alert"),
        sa.UniqueConstraint("sender", "identifier", name="uq_cap_alert_sender_identifier"),
    )


def downgrade() -> None:
    op.drop_table("cap_alert")
    _second_person(OVERRIDDEN, SECOND)
    op.drop_column("broadcast_recipient", "told")
    op.drop_column("broadcast", "amends")
    op.drop_column("broadcast", "override_reason")


def _second_person(before: str, after: str) -> None:
    """SQLite changes no constraint: the table is made anew, whatever it holds."""
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        op.drop_constraint(CHECK, "broadcast", type_="check")
        op.create_check_constraint(CHECK, "broadcast", after)
        return
    made = "SELECT sql FROM sqlite_master WHERE tbl_name = 'broadcast' AND sql IS NOT NULL AND type = '{}'"
    (table,) = connection.scalars(sa.text(made.format("table"))).all()
    indexes = connection.scalars(sa.text(made.format("index"))).all()
    assert before in table
    op.execute(table.replace(before, after).replace("CREATE TABLE broadcast", "CREATE TABLE broadcast_anew", 1))
    op.execute("INSERT INTO broadcast_anew SELECT * FROM broadcast")
    op.execute("DROP TABLE broadcast")
    op.execute("ALTER TABLE broadcast_anew RENAME TO broadcast")
    for index in indexes:
        op.execute(index)
