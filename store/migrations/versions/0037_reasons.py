"""Reasons without a language: where the topic stood in the customer's words for it, the id of its flow."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from store.base import Json

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

VERSION = sa.table("version", sa.column("id"), sa.column("kind", sa.String), sa.column("body", Json))
TABLES = [sa.table(name, sa.column("reason", sa.String)) for name in ("conversation", "escalation")]


def upgrade() -> None:
    known = _flows_by_name(op.get_bind())
    if not known:
        return
    for table in TABLES:
        op.execute(
            sa.update(table)
            .where(table.c.reason.in_(list(known)))
            .values(reason=sa.case(known, value=table.c.reason, else_=table.c.reason))
        )


def _flows_by_name(connection: sa.Connection) -> dict[str, str]:
    """Flow ids by their names in either language, of every version kept, the latest last."""
    bodies = connection.scalars(sa.select(VERSION.c.body).where(VERSION.c.kind == "book").order_by(VERSION.c.id))
    known: dict[str, str] = {}
    for body in bodies:
        for flow_id, flow in json.loads(body["source"])["flows"].items():
            names = [flow["name"], *(each.get("name") for each in flow.get("translation", {}).values())]
            known |= {name[:60]: flow_id for name in names if name}
    return known


def downgrade() -> None:
    pass  # a flow's id stands where its name stood
