"""Conversations and their messages: the transcript everybody reads from."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from bot.core.media import MediaKind, MediaState
from bot.core.words import Author, ChannelName, ConversationState, Language
from store.base import Base, BigId, Json, JsonOrNull, UTCDateTime, held, words


class Conversation(Base):
    """One exchange with one contact over one address; at most one is open per address.

    `book` pins the scripts' version it started with and `flow` is the flow engine's state as a value. `seq` is the
    last message's number, given under this row's lock, so that pages resume without missing a row that commits late.
    `revision` changes with every write: a turn parsed against an older one is parsed again (DESIGN §3).
    """

    __tablename__ = "conversation"
    __table_args__ = (
        held(ChannelName, "channel"),
        held(ConversationState, "state"),
        held(Language, "language"),
        CheckConstraint("(state = 'agent') = (staff_id IS NOT NULL)", name="agent_holds"),
        CheckConstraint("rating IS NULL OR rating BETWEEN 1 AND 5", name="rating"),
        Index(
            "uq_conversation_open",
            "address_id",
            unique=True,
            sqlite_where=text("state <> 'closed'"),
            postgresql_where=text("state <> 'closed'"),
        ),
        Index(
            "ix_conversation_waiting",
            "state",
            "queued_at",
            sqlite_where=text("state IN ('queued', 'agent')"),
            postgresql_where=text("state IN ('queued', 'agent')"),
        ),
        Index("ix_conversation_contact_id", "contact_id", "id"),
        Index(
            "ix_conversation_unanswered",
            "unanswered_since",
            sqlite_where=text("unanswered_since IS NOT NULL"),
            postgresql_where=text("unanswered_since IS NOT NULL"),
        ),
        Index(
            "ix_conversation_silence_at",
            "silence_at",
            sqlite_where=text("silence_at IS NOT NULL"),
            postgresql_where=text("silence_at IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"))
    address_id: Mapped[int] = mapped_column(ForeignKey("address.id"))
    channel: Mapped[ChannelName] = mapped_column(words(ChannelName))
    state: Mapped[ConversationState] = mapped_column(words(ConversationState), default=ConversationState.BOT)
    language: Mapped[Language] = mapped_column(words(Language))
    book: Mapped[str] = mapped_column(String(64), default="")
    flow: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    seq: Mapped[int] = mapped_column(default=0)
    revision: Mapped[int] = mapped_column(default=0)
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    queue: Mapped[str | None] = mapped_column(String(40))
    priority: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str | None] = mapped_column(String(60))
    callback_id: Mapped[int | None] = mapped_column(BigId)  # an outbound call's conversation
    broadcast_id: Mapped[int | None] = mapped_column(BigId)  # what the customer is answering to
    wrap_up: Mapped[str | None] = mapped_column(String(40))
    wrap_up_note: Mapped[str] = mapped_column(Text, default="")
    rating: Mapped[int | None]
    rating_comment: Mapped[str] = mapped_column(Text, default="")
    opened_at: Mapped[datetime] = mapped_column(UTCDateTime)
    queued_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    claimed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    unanswered_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    silence_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # when silence wants a word
    closed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_staff_id: Mapped[int | None] = mapped_column(BigId)  # who held it last, or holds it
    passed: Mapped[list[int]] = mapped_column(Json, default=list, server_default=text("'[]'"))  # who let it wait
    joined: Mapped[list[int]] = mapped_column(Json, default=list, server_default=text("'[]'"))  # who may write too
    warned_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # when its holder was told to answer
    told_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # when they were told their place; a caller: anything
    delivered_seq: Mapped[int] = mapped_column(
        default=0, server_default=text("0")
    )  # as far as the customer's page has it
    read_seq: Mapped[int] = mapped_column(default=0, server_default=text("0"))  # as far as they have looked at it


class CannedReply(Base):
    """An answer kept ready for agents, in both languages, found by its short name; `{name}` and the like are filled in.
    `intent` is what customers say when it fits ("": anything)."""

    __tablename__ = "canned_reply"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    shortcut: Mapped[str] = mapped_column(String(40), unique=True)
    intent: Mapped[str] = mapped_column(String(60), default="")
    zh: Mapped[str] = mapped_column(Text)
    en: Mapped[str] = mapped_column(Text)
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Message(Base):
    """A line of a conversation. `provider_id` makes a repeated inbound request harmless; `reply_to` ties the answers to
    the inbound row, so that the same request gets the same answer again. `private` lines are agents' notes. `details`
    is what a messenger tells beside the words (edited, quoted, latitude and longitude …), or the desk (the number of
    the line it quotes, how it was typed). `words` is what the line is found by on PostgreSQL (store/search.py)."""

    __tablename__ = "message"
    __table_args__ = (
        held(Author, "author"),
        UniqueConstraint("conversation_id", "seq"),
        Index(
            "uq_message_provider",
            "channel",
            "provider_id",
            unique=True,
            sqlite_where=text("provider_id IS NOT NULL"),
            postgresql_where=text("provider_id IS NOT NULL"),
        ),
        Index("ix_message_words", "words", postgresql_using="gin").ddl_if(dialect="postgresql"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversation.id"))
    seq: Mapped[int]
    channel: Mapped[ChannelName] = mapped_column(words(ChannelName))
    author: Mapped[Author] = mapped_column(words(Author))
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    text: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(String(80), default="")
    buttons: Mapped[list[dict[str, str]] | None] = mapped_column(JsonOrNull)
    understood: Mapped[dict[str, Any] | None] = mapped_column(JsonOrNull)  # an inbound line's intent, entities …
    details: Mapped[dict[str, Any] | None] = mapped_column(JsonOrNull)
    provider_id: Mapped[str | None] = mapped_column(String(120))
    reply_to: Mapped[int | None] = mapped_column(BigId)
    private: Mapped[bool] = mapped_column(default=False)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    words: Mapped[str | None] = mapped_column(Text().with_variant(TSVECTOR(), "postgresql"), deferred=True)


class Attachment(Base):
    """A file that came, or went out, with a message. `source` is the provider's id of it, by which it is fetched after
    the commit, "" for one of staff; `file` is its random name under HOTLINE_DATA_DIR/media once it is kept. `mime` and
    `name` are as the sender claims, `mime` proved by the first bytes once kept. `due_at` (machine time) is when it may
    be tried again."""

    __tablename__ = "attachment"
    __table_args__ = (
        held(ChannelName, "channel"),
        held(MediaKind, "kind"),
        held(MediaState, "state"),
        CheckConstraint("(state = 'kept') = (file IS NOT NULL)", name="kept_has_file"),
        Index("ix_attachment_message_id", "message_id"),
        Index(
            "ix_attachment_due_at",
            "due_at",
            sqlite_where=text("state = 'waiting'"),
            postgresql_where=text("state = 'waiting'"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("message.id"))
    channel: Mapped[ChannelName] = mapped_column(words(ChannelName))
    kind: Mapped[MediaKind] = mapped_column(words(MediaKind))
    state: Mapped[MediaState] = mapped_column(words(MediaState), default=MediaState.WAITING)
    name: Mapped[str] = mapped_column(String(120), default="")
    mime: Mapped[str] = mapped_column(String(120))
    size: Mapped[int | None]
    source: Mapped[str] = mapped_column(String(250))
    file: Mapped[str | None] = mapped_column(String(80), unique=True)
    tries: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime] = mapped_column(UTCDateTime)
