"""What messages are found by, for those already there too, in pages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from bot.core.search import terms

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

PAGE = 5000
WORDS = sa.Text().with_variant(postgresql.TSVECTOR(), "postgresql")


def upgrade() -> None:
    op.add_column("message", sa.Column("words", WORDS, nullable=True))
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE message_index USING fts5"
            "(words, content='', detail=none, columnsize=0, tokenize='ascii')"
        )
        fill = "INSERT INTO message_index (rowid, words) VALUES (:id, :words)"
    else:
        fill = "UPDATE message SET words = CAST(:words AS tsvector) WHERE id = :id"
    last = _back_fill(connection, fill, quote="" if connection.dialect.name == "sqlite" else "'")
    if connection.dialect.name == "sqlite":
        mark = "INSERT INTO counter (name, value) VALUES ('message index', :last)"
        connection.execute(sa.text(mark), {"last": last})
    else:
        op.create_index("ix_message_words", "message", ["words"], postgresql_using="gin")


def _back_fill(connection: sa.Connection, fill: str, quote: str) -> int:
    """Gives every line of people its terms; the last message's id."""
    page = sa.text("SELECT id, author, text FROM message WHERE id > :last ORDER BY id LIMIT :page")
    last = 0
    while rows := connection.execute(page, {"last": last, "page": PAGE}).all():
        said = [
            {"id": row.id, "words": " ".join(f"{quote}{term}{quote}" for term in terms(row.text))}
            for row in rows
            if row.author in ("customer", "agent")
        ]
        if said:
            connection.execute(sa.text(fill), said)
        last = rows[-1].id
    return last


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE message_index")
        op.execute("DELETE FROM counter WHERE name = 'message index'")
    else:
        op.drop_index("ix_message_words", table_name="message")
    op.drop_column("message", "words")
