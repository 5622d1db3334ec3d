"""What agents write to customers: words, files, the line they quote, and how far each of their lines got.

A line is sent once however often the desk asks: the page names each by an id of its own. A quote is kept as the number
of the line it quotes; a channel that can shows it as its own, elsewhere it stands in the transcript alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot.core.delivery import Progress, progress
from bot.core.media import Attachment as Announced
from bot.core.media import Enclosure, mark
from bot.core.words import Author, ChannelName, DeliveryState, Say
from bot.services.centre import Centre
from bot.services.conversation import media, talk
from bot.services.conversation.conversations import Held, add_lines, find_open, save
from bot.services.conversation.transcript import FILE
from bot.services.delivery import outbox
from bot.services.desk import escalations
from bot.services.refusal import RefusedError
from store.db import touch
from store.tables import Conversation, Delivery, Message

LATELY = 40  # of somebody's lines, among which one that is sent again is looked for
SHOWN = 80  # lines whose progress a page follows
LOST = frozenset({DeliveryState.FAILED, DeliveryState.EXPIRED, DeliveryState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Typed:
    """How a line was written by hand: characters keyed in, and the seconds of writing, pauses left out (REQ-B04)."""

    characters: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Written:
    """What the desk tells beside the words. `client` is the page's own id of the line; `quotes` the number of the line
    it answers; `typed` None where it was not written by hand."""

    client: str = ""
    quotes: int | None = None
    typed: Typed | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a line got; `again`: nothing of it arrived for sure, so that it may be sent again."""

    progress: Progress
    again: bool = False
    why: str = ""


def say(
    session: Session,
    centre: Centre,
    conversation_id: int,
    staff_id: int,
    text: str,
    now: datetime,
    written: Written | None = None,
) -> int:
    """An agent's line to the customer; gives its sequence number. Raises RefusedError("not_yours")."""
    held = escalations.own(session, conversation_id, staff_id, joined=True)
    written = written or Written()
    if (before := _sent_before(session, held, staff_id, written)) is not None:
        return before
    lines = talk.in_pieces([Say(text)], centre.library.current.policies, held.channel)
    rows = add_lines(
        session, held, Author.AGENT, lines, now, staff_id=staff_id, details=_details(session, held, written)
    )
    outbox.put_lines(session, centre, held, rows, now)
    _answered(session, held)
    return held.seq


def send_file(
    session: Session,
    centre: Centre,
    conversation_id: int,
    staff_id: int,
    kept: Announced,
    now: datetime,
    written: Written | None = None,
) -> int | None:
    """A file that is in the house, to the customer, as a line of its own; None where this very one was sent before, and
    the new copy is wanted by nobody. Raises RefusedError("not_yours" | "no_files_here")."""
    held = escalations.own(session, conversation_id, staff_id, joined=True)
    written = written or Written()
    if held.channel is ChannelName.VOICE:
        raise RefusedError("no_files_here")
    if _sent_before(session, held, staff_id, written) is not None:
        return None
    says = [Say(mark(kept.kind, kept.name), key=FILE)]
    rows = add_lines(
        session, held, Author.AGENT, says, now, staff_id=staff_id, details=_details(session, held, written)
    )
    message_id = session.scalars(
        select(Message.id).where(Message.conversation_id == held.id, Message.seq == held.seq)
    ).one()
    (attachment,) = media.keep(session, held.channel, message_id, (kept,), centre.clock.machine())
    outbox.put_file(
        session,
        centre,
        held,
        rows[0],
        Enclosure(kept.kind, kept.name, kept.mime, kept.file, kept.size or 0, media.link(centre, attachment)),
        now,
    )
    _answered(session, held)
    return held.seq


def again(session: Session, conversation_id: int, seq: int, staff_id: int, now: datetime) -> None:
    """Sends what failed of a line once more. What may have arrived is not sent twice. Raises RefusedError
    ("not_yours" | "not_lost")."""
    held = escalations.own(session, conversation_id, staff_id, joined=True)
    message_id = session.scalar(select(Message.id).where(Message.conversation_id == held.id, Message.seq == seq))
    rows = session.scalars(select(Delivery).where(Delivery.message_id == message_id).order_by(Delivery.id)).all()
    lost = [row for row in _latest(rows).values() if row.state in LOST]
    if not lost:
        raise RefusedError("not_lost")
    for row in lost:
        outbox.repeat(session, row, f"{_part(row)}{outbox.AGAIN}{row.id}", now)
    save(session, held)


def standings(session: Session, conversation_id: int) -> dict[int, Standing]:
    """How far the agents' latest lines got, by their number; lines nobody can tell anything of (calls) are left out."""
    conversation = session.get_one(Conversation, conversation_id, populate_existing=True)
    lines = session.execute(
        select(Message.id, Message.seq)
        .where(
            Message.conversation_id == conversation_id,
            Message.author == Author.AGENT,
            Message.private.is_(False),
        )
        .order_by(Message.seq.desc())
        .limit(SHOWN)
    ).all()
    if conversation.channel in outbox.OWN_PAGES:
        return {line.seq: Standing(_on_page(conversation, line.seq)) for line in lines}
    sent: dict[int, list[Delivery]] = {}
    query = select(Delivery).where(Delivery.message_id.in_([line.id for line in lines])).order_by(Delivery.id)
    for row in session.scalars(query) if lines else ():
        sent.setdefault(row.message_id or 0, []).append(row)
    return {line.seq: _standing(sent[line.id]) for line in lines if line.id in sent}


def seen(session: Session, conversation_id: int, seq: int, *, read: bool) -> None:
    """The customer's page has the lines up to `seq`; `read`: it is being looked at."""
    for column in (Conversation.delivered_seq, *((Conversation.read_seq,) if read else ())):
        moved = session.execute(
            update(Conversation)
            .where(Conversation.id == conversation_id, column < seq, Conversation.seq >= seq)
            .values({column: seq})
            .returning(Conversation.id)
        )
        if moved.scalar_one_or_none() is not None:
            touch(session, f"conversation:{conversation_id}")


def seen_at(session: Session, channel: ChannelName, address: str, seq: int) -> None:
    """The program that asks for an address's lines has them up to `seq`."""
    held = find_open(session, channel, address)
    if held is not None:
        seen(session, held.id, seq, read=False)


def _on_page(conversation: Conversation, seq: int) -> Progress:
    if seq <= conversation.read_seq:
        return Progress.READ
    return Progress.DELIVERED if seq <= conversation.delivered_seq else Progress.SENT


def _standing(rows: list[Delivery]) -> Standing:
    """A line in several parts is as far as the one furthest behind."""
    latest = _latest(rows).values()
    how = progress(row.state for row in latest)
    why = next((row.error or "" for row in latest if row.state in LOST), "")
    return Standing(how, how is Progress.FAILED, why)


def _latest(rows: Any) -> dict[str, Delivery]:
    """The last try of each part of a line; `rows` are in the order they were made."""
    return {_part(row): row for row in rows}


def _part(row: Delivery) -> str:
    return row.dedupe_key.partition(outbox.AGAIN)[0]


def _details(session: Session, held: Held, written: Written) -> Mapping[str, Any]:
    """What is kept with the line; a quote of a line that is not there, or is staff's own, is none."""
    details: dict[str, Any] = {}
    if written.client:
        details["client"] = written.client
    if written.typed is not None:
        details["typed"] = {"characters": written.typed.characters, "seconds": round(written.typed.seconds, 1)}
    if written.quotes is not None and session.scalar(
        select(Message.id).where(
            Message.conversation_id == held.id, Message.seq == written.quotes, Message.private.is_(False)
        )
    ):
        details["quotes"] = written.quotes
    return details


def _sent_before(session: Session, held: Held, staff_id: int, written: Written) -> int | None:
    """The number of the line this id was given already, whose answer the page has not heard."""
    if not written.client:
        return None
    lately = session.execute(
        select(Message.seq, Message.details)
        .where(Message.conversation_id == held.id, Message.staff_id == staff_id, Message.details.is_not(None))
        .order_by(Message.seq.desc())
        .limit(LATELY)
    )
    return next((row.seq for row in lately if row.details.get("client") == written.client), None)


def _answered(session: Session, held: Held) -> None:
    held.change(unanswered_since=None)
    save(session, held)
