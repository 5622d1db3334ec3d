"""A turn of a conversation: the flow engine decides, its actions are performed in the same transaction, the answers are
written (DESIGN §3). Nothing here parses, waits or sends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.orm import Session

from bot.core import flow
from bot.core.flow import Book, State, Step, Turn, Visit
from bot.core.policy import Policies
from bot.core.wording import pieces
from bot.core.words import Author, ChannelName, ConversationState, Emotion, Parse, Say, Urgency
from bot.services import contacts
from bot.services.announcements import answers
from bot.services.centre import Centre
from bot.services.conversation import branches
from bot.services.conversation.actions import ACTIONS
from bot.services.conversation.conversations import Held, add_lines
from bot.services.conversation.scene import Scene
from bot.services.delivery import outbox
from bot.services.desk import handoff
from bot.services.desk.handoff import KEY_ACCOUNT

log = structlog.get_logger()
START = "pattern_session_start"
CALM = Emotion()
MAX_ACTS = 20  # actions in one turn; a script that wants more is broken
WAITING_CHANNELS = frozenset({ChannelName.WEBCHAT, ChannelName.TELEGRAM})  # where silence gets a reminder
WHOLE = frozenset({ChannelName.SMS, ChannelName.VOICE})  # where a long answer is not parted


class StuckError(Exception):
    """The scripts cannot answer this turn; the message is kept and a person is called."""


Decide = Callable[[Book, State, Mapping[str, Any]], Step]


def expecting(stored: Mapping[str, Any]) -> frozenset[str]:
    """The intents a conversation's open question can take; `stored` is the conversation's `flow` column."""
    return frozenset(stored.get("expecting", ()))


def turn(
    session: Session,
    centre: Centre,
    held: Held,
    text: str,
    parse: Parse,
    payload: str | None,
    now: datetime,
    *,
    reply_to: int | None = None,
    extra: Mapping[str, Any] | None = None,
) -> tuple[Say, ...]:
    """Answers one message of a conversation the bot holds; `held` is changed, not yet saved. `extra` is context from
    now on. Raises StuckError."""

    def decide(book: Book, state: State, context: Mapping[str, Any]) -> Step:
        asked = answers.opened(session, centre, held, book, state, context, text, payload, now)
        return flow.step(book, asked, Turn(text, parse, payload, context), now)

    return _play(session, centre, held, decide, now, reply_to=reply_to, emotion=parse.emotion, extra=extra)


def begin(
    session: Session,
    centre: Centre,
    held: Held,
    flow_id: str,
    now: datetime,
    *,
    context: Mapping[str, Any] | None = None,
    state: Mapping[str, Any] | None = None,
) -> tuple[Say, ...]:
    """Starts a flow in a conversation; `state` is an earlier one to go on from, such as a call that was cut off."""
    if state is not None:
        held.flow = dict(state)

    def decide(book: Book, known: State, given: Mapping[str, Any]) -> Step:
        return flow.begin(book, known, flow_id, given, now)

    return _play(session, centre, held, decide, now, greet=False, extra=context)


def greet(session: Session, centre: Centre, held: Held, now: datetime) -> tuple[Say, ...]:
    """The bot's first words in a conversation somebody opened without writing yet."""
    return begin(session, centre, held, START, now)


def silence(session: Session, centre: Centre, held: Held, now: datetime) -> tuple[Say, ...]:
    """The customer said nothing for as long as the policy allows."""

    def decide(book: Book, state: State, context: Mapping[str, Any]) -> Step:
        return flow.silence(book, state, context, now)

    return _play(session, centre, held, decide, now, greet=False)


def turn_or_person(
    session: Session, centre: Centre, held: Held, text: str, parse: Parse, now: datetime, *, reply_to: int
) -> None:
    """`turn`, and where the scripts are stuck a person takes over."""
    try:
        with session.begin_nested():
            turn(session, centre, held, text, parse, None, now, reply_to=reply_to)
    except StuckError:
        log.exception("talk.stuck", conversation=held.id)
        handoff.to_people(session, centre, held, reason="stuck", urgency=Urgency.ORDINARY, queue="service", now=now)


def context_of(centre: Centre, held: Held) -> dict[str, Any]:
    """What conditions read as `context.x` and responses as {x} (scripts/README.md lists them)."""
    policies = centre.library.current.policies
    return {
        "channel": held.channel.value,
        "language": held.language.value,
        "company": policies.company.name.of(held.language),
        "bot_name": policies.company.bot.of(held.language),
        "name": held.name or None,
        "title": contacts.addressed(held.name, held.title) or None,
        "phone": held.phone,
        "unit": held.unit,
        "segment": KEY_ACCOUNT if KEY_ACCOUNT in held.segments else next(iter(held.segments), None),
        "hotline": centre.settings.twilio_number or None,
        "outbound": held.callback_id is not None,
        "broadcast": held.broadcast_id,
        "not_understood_limit": policies.calls.failures if held.channel is ChannelName.VOICE else policies.chat.misses,
        "clarify_margin": policies.chat.clarify,
        "understand": policies.chat.understand,
    }


def _play(
    session: Session,
    centre: Centre,
    held: Held,
    decide: Decide,
    now: datetime,
    *,
    reply_to: int | None = None,
    emotion: Emotion = CALM,
    greet: bool = True,
    extra: Mapping[str, Any] | None = None,
) -> tuple[Say, ...]:
    book = centre.library.book(session, held.book)
    stored = held.flow
    state = State.from_json(stored.get("state", {}))
    kept = {**stored.get("context", {}), **(extra or {})}
    context = {**context_of(centre, held), **kept}
    says: list[Say] = []
    visits: list[Visit] = []
    try:
        if greet and not stored and START in book.flows:
            begun = flow.begin(book, state, START, context, now)
            opening = _finish(session, centre, held, begun, book, context, now, reply_to=reply_to)
            says += opening[1]
            visits += opening[0].visits
            state = opening[0].state
        step, said = _finish(
            session,
            centre,
            held,
            decide(book, state, context),
            book,
            context,
            now,
            emotion=emotion.anger,
            reply_to=reply_to,
        )
        says += said
        visits += step.visits
    except (LookupError, ValueError, TypeError) as error:
        raise StuckError(str(error)) from error
    held.flow = {
        "state": step.state.to_json(),
        "expecting": sorted(step.expecting),
        "question": step.question,
        "missed": step.missed,
        **({"context": kept} if kept else {}),
    }
    branches.keep(session, held.id, book, visits, now.astimezone(centre.settings.zone).date())
    policies = centre.library.current.policies
    lines = in_pieces(says, policies, held.channel)
    _write(session, centre, held, lines, policies, now, reply_to=reply_to, asked=not step.done)
    return tuple(lines)


def in_pieces(says: Sequence[Say], policies: Policies, channel: ChannelName) -> list[Say]:
    """Long answers as several messages, the choices under the last (REQ-B06); a text message is paid by its parts and a
    telephone speaks on, so there they stay whole."""
    if channel in WHOLE:
        return list(says)
    return [
        replace(say, text=text, buttons=say.buttons if last else ())
        for say in says
        for text, last in _ending(pieces(say.text, policies.chat.split_at))
    ]


def _ending(texts: Sequence[str]) -> Iterator[tuple[str, bool]]:
    yield from ((text, False) for text in texts[:-1])
    yield texts[-1], True


def _finish(
    session: Session,
    centre: Centre,
    held: Held,
    step: Step,
    book: Book,
    context: Mapping[str, Any],
    now: datetime,
    *,
    emotion: int = 0,
    reply_to: int | None,
) -> tuple[Step, list[Say]]:
    """Performs the actions a step asks for until it wants nothing more but the customer."""
    says, visits = list(step.says), list(step.visits)
    for _ in range(MAX_ACTS):
        if step.act is None:
            return replace(step, visits=tuple(visits)), says
        perform = ACTIONS[step.act.name]
        result = perform(Scene(session, centre, held, now, step.state.slots, emotion, reply_to), step.act.args)
        step = flow.resume(book, step.state, result, {**context, **context_of(centre, held)}, now)
        says += step.says
        visits += step.visits
    raise StuckError(f"more than {MAX_ACTS} actions in one turn")


def _write(
    session: Session,
    centre: Centre,
    held: Held,
    says: Sequence[Say],
    policies: Policies,
    now: datetime,
    *,
    reply_to: int | None,
    asked: bool,
) -> None:
    rows = add_lines(session, held, Author.BOT, says, now, reply_to=reply_to)
    outbox.put_lines(session, centre, held, rows, now)
    if held.channel in WAITING_CHANNELS:
        waits = asked and held.state is ConversationState.BOT
        held.change(silence_at=now + policies.chat.remind_after if waits else None)
