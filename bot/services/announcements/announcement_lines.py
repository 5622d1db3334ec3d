"""What an announcement says to one person, and its line in their conversation.

The text is the approved one; how to acknowledge comes from the scripts' own flow (`broadcast_reply`, emergency pack).
It is begun in the conversation the announcement reached, so that a "1", a button or a digit is understood there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from bot.core import flow
from bot.core.flow import Book, State, Step
from bot.core.payload import SlotsPayload, read_payload
from bot.core.words import Author, BroadcastKind, Button, ChannelName, ConversationState, Language, Purpose, Say
from bot.services.centre import Centre
from bot.services.conversation.conversations import Held, Opening, add_line_to_each, hold_many, open_many
from store.tables import Broadcast

FLOW = "broadcast_reply"
NAMED = "broadcast"  # by this a button names its announcement
LINE = "broadcast:"  # how the keys of announcements' lines begin
CORRECTION = {
    Language.ZH: "【更正】刚才的通知有误，请以这条为准：",
    Language.EN: "[Correction] Our last notice was wrong; please go by this one: ",
}
DRILL = {Language.ZH: "【演练】", Language.EN: "[DRILL] "}


def asks(broadcast: Broadcast) -> bool:
    """Whether people are asked to acknowledge: a notice or its correction is; other updates only want to arrive."""
    return broadcast.kind is BroadcastKind.NOTICE or broadcast.amends


def key_of(broadcast: Broadcast) -> str:
    """The name of an announcement's line in a transcript."""
    return f"{LINE}{broadcast.id}"


def words_for(
    centre: Centre, broadcast: Broadcast, language: Language, channel: ChannelName, *, told: bool = False
) -> Say:
    """The announcement as it is sent on this channel: the text, and for a notice how to acknowledge it. `told`: to
    somebody who got the one it corrects."""
    before = DRILL[language] * broadcast.drill + CORRECTION[language] * told
    body = before + (broadcast.text_zh if language is Language.ZH else broadcast.text_en)
    if not asks(broadcast) or FLOW not in centre.library.current.book.flows:
        return Say(body, key=key_of(broadcast))
    context = _context(centre, broadcast, language, channel)
    asked = ask(centre.library.current.book, State(), context, broadcast.created_at).says
    buttons = tuple(_of_its_own(each, broadcast.id) for each in asked[-1].buttons) if asked else ()
    return Say("\n".join((body, *(say.text for say in asked))), buttons, key_of(broadcast))


def ask(book: Book, state: State, context: Mapping[str, Any], now: datetime) -> Step:
    """Puts the question for an answer on top of whatever is open; it is open once, however many announcements wait."""
    others = tuple(frame for frame in state.stack if frame.flow != FLOW)
    return flow.begin(book, replace(state, stack=others), FLOW, context, now)


def _of_its_own(button: Button, broadcast_id: int) -> Button:
    """A button under an announcement's line says which one it stood under: it may be pressed when others have come."""
    read = read_payload(button.payload)
    if not isinstance(read, SlotsPayload):
        return button
    return replace(button, payload=f"{button.payload.rstrip()[:-1]}, {NAMED}={broadcast_id})")


def named_by(payload: str | None) -> int | None:
    """The announcement whose own button has this payload."""
    read = read_payload(payload) if payload else None
    name = read.slots.get(NAMED) if isinstance(read, SlotsPayload) else None
    return int(name) if isinstance(name, str) and name.isdecimal() else None


@dataclass(frozen=True, slots=True)
class Line:
    """Whom an announcement's line is for, and where."""

    contact_id: int
    address_id: int
    channel: ChannelName
    language: Language
    told: bool = False


Says = Callable[[Line], Say]


def put_lines(
    session: Session, centre: Centre, broadcast: Broadcast, lines: Sequence[Line], says: Says, now: datetime
) -> dict[int, tuple[int, int]]:
    """Adds the announcement to the open conversations at many addresses, or opens them; gives conversation and message
    by address. While people hold a conversation the line is added all the same, and nothing else changes there."""
    if not lines:
        return {}
    book, kinds = centre.library.current.book, {(line.language, line.channel) for line in lines}
    flows = {kind: _flow(centre, broadcast, *kind, book, {}, now) for kind in kinds}
    openings = [
        Opening(
            line.contact_id,
            line.address_id,
            line.channel,
            line.language,
            flows[line.language, line.channel],
            says(line),
        )
        for line in lines
    ]
    kept = open_many(session, book.version, openings, now, broadcast_id=broadcast.id)
    held = hold_many(session, {line.address_id for line in lines} - set(kept))
    said = []
    for line in lines:
        if (there := held.get(line.address_id)) is not None:
            there.change(broadcast_id=broadcast.id)
            if there.state is ConversationState.BOT:
                _begin(session, centre, broadcast, there, now)
            said.append((there, says(line)))
    messages = add_line_to_each(session, said, Author.BOT, now) if said else []
    return kept | {each.address_id: (each.id, at) for (each, _), at in zip(said, messages, strict=True)}


def put_line(
    session: Session,
    centre: Centre,
    broadcast: Broadcast,
    *,
    contact_id: int,
    address_id: int,
    channel: ChannelName,
    language: Language,
    say: Say,
    now: datetime,
) -> tuple[int, int]:
    """`put_lines` for one address."""
    line = Line(contact_id, address_id, channel, language)
    return put_lines(session, centre, broadcast, [line], lambda _line: say, now)[address_id]


def _begin(session: Session, centre: Centre, broadcast: Broadcast, held: Held, now: datetime) -> None:
    """The conversation waits for the answer; what was going on there comes back afterwards."""
    book: Book = centre.library.book(session, held.book)
    held.flow = _flow(centre, broadcast, held.language, held.channel, book, held.flow, now)


def _flow(
    centre: Centre,
    broadcast: Broadcast,
    language: Language,
    channel: ChannelName,
    book: Book,
    before: Mapping[str, Any],
    now: datetime,
) -> dict[str, Any]:
    if not asks(broadcast) or FLOW not in book.flows:
        return dict(before)
    context = {**before.get("context", {}), **_context(centre, broadcast, language, channel)}
    step = ask(book, State.from_json(before.get("state", {})), context, now)
    return {
        **before,
        "state": step.state.to_json(),
        "expecting": sorted(step.expecting),
        "question": step.question,
    }


def _context(centre: Centre, broadcast: Broadcast, language: Language, channel: ChannelName) -> Mapping[str, Any]:
    company = centre.library.current.policies.company
    return {
        "channel": channel.value,
        "language": language.value,
        "company": company.name.of(language),
        "bot_name": company.bot.of(language),
        "purpose": Purpose.EMERGENCY.value,
        "broadcast": broadcast.id,
    }
