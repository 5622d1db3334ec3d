"""The web chat's own reads: a visitor's lines over all their conversations, who holds the present one, and the welcome.

A visitor is the address their cookie's token is; the token is never shown again. A line's place is the pair
(conversation id, sequence): both only grow, so a page resumes behind the last pair it has without missing one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from bot.core.media import MediaState
from bot.core.words import Author, ChannelName, ConversationState, Language
from bot.services import contacts
from bot.services.centre import Centre
from bot.services.conversation import asides, media, talk
from bot.services.conversation.conversations import find_open, open_at, save
from bot.services.conversation.transcript import Quote, files_of, is_wordless, quotes
from bot.services.desk import agent_lines
from store.db import vault_of
from store.tables import Attachment, Conversation, Message, Staff

Place = tuple[int, int]
START: Place = (0, 0)
HISTORY = 500  # lines a page is given at most, the latest
FILES = "/chat/files"


@dataclass(frozen=True, slots=True)
class ChatFile:
    """A file of an agent's, or of the visitor's own; `url` is a path of ours."""

    url: str
    name: str
    mime: str
    size: int


@dataclass(frozen=True, slots=True)
class ChatLine:
    """A line as its customer sees it. `client` is the page's own id of a line it sent; `name` is the agent's; `text` is
    "" where it is a file and nothing else; beside an `aside` the question before it stays open."""

    place: Place
    author: Author
    text: str
    buttons: tuple[dict[str, str], ...]
    at: datetime
    name: str | None
    client: str | None
    files: tuple[ChatFile, ...] = ()
    quote: Quote | None = None
    aside: bool = False


@dataclass(frozen=True, slots=True)
class Present:
    """Where a visitor stands: their latest conversation, who holds it, and how many wait before them."""

    address_id: int | None
    conversation_id: int | None
    state: ConversationState | None
    ahead: int = 0


def provider_id(visitor: str, client: str) -> str:
    """The inbound id of a page's message: the same message sent again has the same; `visitor` is a keyed hash."""
    return f"{visitor}:{client}"


def present(session: Session, token: str) -> Present:
    address = contacts.find_address(session, ChannelName.WEBCHAT, token)
    if address is None:
        return Present(None, None, None)
    latest = session.scalar(
        select(Conversation).where(Conversation.address_id == address.id).order_by(Conversation.id.desc()).limit(1)
    )
    if latest is None:
        return Present(address.id, None, None)
    ahead = 0
    if latest.state is ConversationState.QUEUED:
        ahead = (
            session.scalar(
                select(func.count())
                .select_from(Conversation)
                .where(
                    Conversation.state == ConversationState.QUEUED,
                    or_(
                        Conversation.priority < latest.priority,
                        and_(Conversation.priority == latest.priority, Conversation.queued_at < latest.queued_at),
                    ),
                )
            )
            or 0
        )
    return Present(address.id, latest.id, latest.state, ahead)


def lines(session: Session, address_id: int, after: Place = START) -> list[ChatLine]:
    """A visitor's lines behind `after`, oldest first; agents' private notes are never among them."""
    conversation_id, seq = after
    rows = session.execute(
        select(Message, Staff.name)
        .join(Conversation, Conversation.id == Message.conversation_id)
        .outerjoin(Staff, Staff.id == Message.staff_id)
        .where(
            Conversation.address_id == address_id,
            Message.private.is_(False),
            or_(
                Message.conversation_id > conversation_id,
                and_(Message.conversation_id == conversation_id, Message.seq > seq),
            ),
        )
        .order_by(Message.conversation_id.desc(), Message.seq.desc())
        .limit(HISTORY)
    ).all()
    messages = [m for m, _ in rows]
    quoted = quotes(session, messages)
    sent = files_of(session, [m.id for m in messages if m.author in (Author.AGENT, Author.CUSTOMER)])
    return [
        ChatLine(
            (m.conversation_id, m.seq),
            m.author,
            "" if m.id in sent and is_wordless(m.key, m.understood) else m.text,
            tuple(m.buttons or ()),
            m.at,
            name,
            m.provider_id.rpartition(":")[2] if m.provider_id and m.author is Author.CUSTOMER else None,
            _files(session, m.author, sent.get(m.id, ())),
            quoted.get(m.id),
            asides.is_aside(m.key, m.understood),
        )
        for m, name in reversed(rows)
    ]


def shown_files(session: Session, files: Sequence[Attachment]) -> tuple[ChatFile, ...]:
    """Agents' files as customers' pages show them."""
    vault = vault_of(session)
    return tuple(ChatFile(media.path_to(vault, each), each.name, each.mime, each.size or 0) for each in files)


def _files(session: Session, author: Author, files: Sequence[Attachment]) -> tuple[ChatFile, ...]:
    """What the visitor sent lies behind their own cookie; what is not here yet is not shown."""
    if author is not Author.CUSTOMER:
        return shown_files(session, files)
    here = (each for each in files if each.state is MediaState.KEPT)
    return tuple(ChatFile(f"{FILES}/{each.id}", each.name, each.mime, each.size or 0) for each in here)


def own_file(session: Session, token: str, attachment_id: int) -> Attachment | None:
    """A file this visitor sent."""
    address = contacts.find_address(session, ChannelName.WEBCHAT, token)
    return media.of_address(session, address.id, attachment_id) if address is not None else None


def seen(session: Session, token: str, place: Place, *, read: bool) -> None:
    """A visitor's page has their lines up to `place`; `read`: they look at it. Somebody else's place is none."""
    address = contacts.find_address(session, ChannelName.WEBCHAT, token)
    conversation_id, seq = place
    conversation = session.get(Conversation, conversation_id)
    if address is not None and conversation is not None and conversation.address_id == address.id:
        agent_lines.seen(session, conversation_id, seq, read=read)


def welcome(session: Session, centre: Centre, token: str, language: Language, now: datetime) -> bool:
    """Opens a first conversation with the bot's greeting; False where the visitor was here before."""
    if present(session, token).conversation_id is not None:
        return False
    if find_open(session, ChannelName.WEBCHAT, token) is not None:
        return False
    held = open_at(
        session,
        ChannelName.WEBCHAT,
        token,
        language=language,
        zone=centre.settings.timezone,
        book=centre.library.current.book.version,
        now=now,
    )
    talk.greet(session, centre, held, now)
    save(session, held)
    return True
