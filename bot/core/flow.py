"""The flow engine: pure functions from a book, a state and a message to what is said and done next.

    step = begin(book, State(), "pattern_session_start", context, now)
    step = step(book, step.state, turn, now)
    while step.act: step = resume(book, step.state, result_of(step.act), context, now)

A message is offered to a ladder of readings, first come first served: a pressed choice, danger or a wish for a person,
strong emotion, a command (cancel, repeat, skip), a correction, an answer to the open question, another topic, the
words themselves as an answer, a choice between two close meanings. What none of them takes was not understood: once a
question, twice a person (REQ-D10). The repairs' words are flows named `pattern_…`, which operators may change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from bot.core.book import COMMANDS, Book, Flow, FromEntity, Interrupts
from bot.core.filling import (
    ANSWER,
    CUE,
    NUMERIC,
    accepts_words,
    answer,
    chosen,
    coerce,
    correction,
    intents_of,
    plain,
    volunteered,
    words_answer,
    yes_or_no,
)
from bot.core.flow_run import MAX_ACTS, Run
from bot.core.flow_state import Frame, State, Step, Turn, Visit
from bot.core.payload import IntentPayload, SlotsPayload, read_payload
from bot.core.words import ChannelName, Entity, Parse

__all__ = ["Book", "Frame", "State", "Step", "Turn", "Visit", "begin", "resume", "silence", "step"]

URGENT = 0.5  # confidence from which danger or a wish for a person breaks in
URGENT_IN_WORDS = 0.7  # … where the open question is answered in words
INTERRUPT = 0.5  # confidence from which another topic breaks into an open question
INTERRUPT_WORDS = 0.85  # … where the words could be the answer
COMMAND_IN_WORDS = 0.8
MEANT = 0.8  # so sure of another meaning, words are no address and no date, however often they were asked for
UNDERSTAND = 0.4  # with nothing open, a meaning less sure than this is asked about, not acted on (REQ-D10)
CLARIFY_MARGIN = 0.12  # two meanings closer than this are put to the customer
CLARIFY_ABOVE = 0.5  # together; less is no choice between two, it was not understood
CLARIFY_BELOW = 0.6  # … unless the first one is this sure
STRONG_ANGER = 2
SAID = 200  # characters of a message that a case's subject may quote
NOTHING = frozenset({"", "out_of_scope"})


def begin(book: Book, state: State, flow_id: str, context: Mapping[str, Any], now: datetime) -> Step:
    """Starts a flow by name: a greeting, a follow-up call, the answer to a broadcast."""
    del now
    run = Run(book, replace(state, last=(), offered=(), acts=0), context)
    run.start(flow_id)
    run.advance()
    return run.step()


def step(book: Book, state: State, turn: Turn, now: datetime) -> Step:
    """A customer's message."""
    del now
    heard = _hear(book, state, turn)
    emotion = turn.parse.emotion
    fresh = replace(
        state,
        turns=state.turns + 1,
        silences=0,
        acts=0,
        anger=state.anger + 1 if emotion.anger else 0,
        last=(),
        said=turn.text.strip()[:SAID],
    )
    run = Run(book, fresh, turn.context, heard.parse)
    if any(reads(run, heard) for reads in LADDER):
        run.misses = 0
    else:
        _not_understood(run)
    run.advance()
    return run.step()


def resume(book: Book, state: State, result: Mapping[str, Any], context: Mapping[str, Any], now: datetime) -> Step:
    """The action is done; its result becomes slots."""
    del now
    run = Run(book, replace(state, acts=state.acts + 1), context)
    if not run.stack:
        return run.step()
    run.performed(result)
    if run.acts > MAX_ACTS:
        run.abandon()
    run.advance()
    return run.step()


def silence(book: Book, state: State, context: Mapping[str, Any], now: datetime) -> Step:
    """The customer said nothing for as long as the channel's policy allows; on the telephone that counts like words
    that were not understood."""
    del now
    in_vain = state.misses + (context.get("channel") == ChannelName.VOICE)
    run = Run(book, replace(state, silences=state.silences + 1, misses=in_vain, last=(), acts=0), context)
    run.start("pattern_user_silence")
    run.advance()
    return run.step()


# ── what was heard ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Heard:
    """A message after its choice, number or payload has been looked up. `offered`: the choice was on show."""

    text: str
    parse: Parse
    slots: Mapping[str, Any]
    offered: bool
    last: tuple[Any, ...]


def _hear(book: Book, state: State, turn: Turn) -> _Heard:
    payload = turn.payload or _typed(book, state, turn)
    text, parse = turn.text, turn.parse
    read = read_payload(payload) if payload else None
    shown = payload is not None and any(b.payload == payload for b in state.offered)
    if isinstance(read, SlotsPayload):
        return _Heard(text, replace(parse, intent="", ranking=()), read.slots, shown, state.last)
    if isinstance(read, IntentPayload):
        entities = tuple(Entity(k, str(v), str(v), 0, 0) for k, v in read.entities.items())
        meant = replace(parse, intent=read.intent, confidence=1.0, ranking=(), entities=entities)
        return _Heard(text, meant, {}, shown, state.last)
    return _Heard(payload or text, parse, {}, False, state.last)


def _typed(book: Book, state: State, turn: Turn) -> str | None:
    """The payload that typed words stand for: a choice's number or title, or an intent's name after a slash."""
    text = turn.text.strip()
    if text.startswith("/"):
        read = read_payload(text)
        return text if isinstance(read, IntentPayload) and read.intent in book.intents else None
    slot = Run(book, state, turn.context).slot
    if slot is not None and slot.kind in NUMERIC and plain(text).isdecimal():
        return None
    choice = chosen(text, state.offered)
    return choice.payload if choice else None


# ── the ladder ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _pressed(run: Run, heard: _Heard) -> bool:
    if not heard.slots:
        return False
    question = run.question
    allowed = tuple(heard.slots) if heard.offered else ()
    if question is not None and question.slot in heard.slots:
        allowed = (*allowed, question.slot)
    values = run.coerced(heard.slots, allowed)
    run.fill(values)
    if not allowed:  # a choice of an earlier question: the open one is put again
        return question is not None
    return bool(values) and bool(run.stack)


def _urgent(run: Run, heard: _Heard) -> bool:
    flow = run.trigger(heard.parse.intent, heard.parse.confidence)
    if flow is None or flow.interrupts is not Interrupts.ALWAYS or _answers(run, heard):
        return False
    question = run.question
    sure = URGENT_IN_WORDS if question and question.force_slot_filling else URGENT
    return heard.parse.confidence >= sure and _open(run, heard, flow)


def _upset(run: Run, heard: _Heard) -> bool:
    emotion = heard.parse.emotion
    strong = emotion.anger >= STRONG_ANGER or run.angry_turns > 1 or emotion.threatening
    if not emotion.anger or not strong or _is_open(run, "pattern_angry"):
        return False
    run.start("pattern_angry")
    return True


def _command(run: Run, heard: _Heard) -> bool:
    intent, question = heard.parse.intent, run.question
    if intent in NOTHING and yes_or_no(heard.text, heard.parse) is False:
        intent = "deny"
    if intent not in COMMANDS or _answers(run, heard) or 0 < heard.parse.confidence < _understand(run):
        return False
    if question and question.force_slot_filling and heard.parse.confidence < COMMAND_IN_WORDS:
        return False
    match intent:
        case "repeat_that" if heard.last:
            run.says.extend(heard.last)
            run.last.extend(heard.last)
            run.waits = True
            return True
        case "cancel":
            if run.stack:
                run.cancel()
            run.start("pattern_cancel_flow")
            return True
        case "skip" if question is not None:
            if question.optional:
                run.skip()
            else:
                run.start("pattern_skip_question")
            return True
        case "deny" if question is not None and question.optional:  # "anything else?" — "no"
            run.skip()
            return True
    return False


def _correct(run: Run, heard: _Heard) -> bool:
    if not run.stack:
        return _correct_later(run, heard)
    found = correction(run.book, run.filled, run.slot, heard.text, heard.parse, run.slots)
    if found is None:
        return False
    if found.value is None:
        if not run.go_back(found.slot.name):
            return False
        run.slots.pop(found.slot.name)
        return True
    run.slots[found.slot.name] = found.value
    run.go_back(found.slot.name)
    run.say("utter_corrected")
    return True


def _correct_later(run: Run, heard: _Heard) -> bool:
    """A fact about the person put right when the matter is already in a case."""
    if run.slots.get("case_number") is None or CUE.search(heard.text) is None:
        return False
    changed = {
        slot.name: value
        for slot in run.book.slots.values()
        if slot.personal
        for entity in heard.parse.entities
        if FromEntity(entity.kind) in slot.mappings and (value := coerce(slot, entity.value)) is not None
    }
    if not changed:
        return False
    run.start("pattern_correction")
    run.fill(changed)
    return True


def _answer(run: Run, heard: _Heard) -> bool:
    slot = run.slot
    found = answer(slot, heard.text, heard.parse) if slot else None
    if slot is None or found is None:
        return False
    run.fill({slot.name: found.value})
    run.fill(volunteered(run.book, run.flow(run.stack[-1]), heard.parse, run.slots, found.entity))
    return True


def _clarify(run: Run, heard: _Heard) -> bool:
    if run.question is not None or len(heard.parse.ranking) < 2:
        return False
    (first, sure), (second, close) = heard.parse.ranking[:2]
    margin = float(run.given.get("clarify_margin", CLARIFY_MARGIN))
    if (
        heard.parse.intent != first
        or sure < _understand(run)
        or sure >= CLARIFY_BELOW
        or sure - close >= margin
        or sure + close < CLARIFY_ABOVE
    ):
        return False
    one, other = run.trigger(first, 1.0), run.trigger(second, 1.0)  # which of them is what is asked
    if one is None or other is None or one.id == other.id:
        return False
    run.start("pattern_clarification")
    return True


def _interrupt(run: Run, heard: _Heard) -> bool:
    flow = run.trigger(heard.parse.intent, heard.parse.confidence)
    if flow is None:
        return False
    question, slot = run.question, run.slot
    if question is not None and slot is not None:
        if flow.interrupts is Interrupts.NEVER or question.force_slot_filling:
            return False
        if heard.parse.confidence < (INTERRUPT_WORDS if accepts_words(slot) else INTERRUPT):
            return False
    elif heard.parse.confidence < _understand(run):
        return False
    return _open(run, heard, flow)


def _words(run: Run, heard: _Heard) -> bool:
    slot = run.slot
    found = words_answer(slot, heard.text, run.tries) if slot else None
    if slot is None or found is None or heard.text.startswith("/"):
        return False
    last_resort = any(isinstance(m, FromEntity) for m in slot.mappings)
    if last_resort and heard.parse.intent not in NOTHING and (run.tries == 0 or heard.parse.confidence >= MEANT):
        return False  # they speak of something else than what was asked
    if any(len(e.text) * 2 > len(heard.text.strip()) for e in heard.parse.entities) and _later(run, heard):
        return False  # all they say is the answer to a later question
    run.fill({slot.name: found.value})
    return True


def _later(run: Run, heard: _Heard) -> Mapping[str, Any]:
    """What the message says of later questions than the open one."""
    return volunteered(run.book, run.flow(run.stack[-1]), heard.parse, run.slots, None)


def _volunteer(run: Run, heard: _Heard) -> bool:
    """The message answers a later question than the open one."""
    if run.question is None:
        return False
    found = _later(run, heard)
    run.fill(found)
    if found:
        run.say("utter_noted")
    return bool(found)


def _polite(run: Run, heard: _Heard) -> bool:
    """Heard, but no answer: a greeting, a "yes" to no question, the same matter again. The question is put again."""
    if run.question is None:
        return False
    flow = run.trigger(heard.parse.intent, heard.parse.confidence)
    if flow is None or not (flow.interrupts is Interrupts.NEVER or _is_open(run, flow.id)):
        return False
    run.tried()
    return True


LADDER: tuple[Callable[[Run, _Heard], bool], ...] = (
    _pressed,
    _urgent,
    _upset,
    _command,
    _correct,
    _answer,
    _clarify,
    _interrupt,
    _words,
    _volunteer,
    _polite,
)


def _not_understood(run: Run) -> None:
    run.missed = True
    run.misses += 1
    question = run.question
    if question is not None and question.optional and run.misses >= run.limit:
        run.misses = 0
        run.skip()
        return
    if question is not None:
        frame = run.stack[-1]
        run.stack[-1] = replace(frame, tries=frame.tries + 1)
    run.start("pattern_cannot_handle")


def _understand(run: Run) -> float:
    """How sure a meaning must be to be acted on, by the operator's policy."""
    return float(run.given.get("understand", UNDERSTAND))


def _answers(run: Run, heard: _Heard) -> bool:
    """Whether the open question takes this intent as its answer."""
    slot = run.slot
    return slot is not None and heard.parse.confidence >= ANSWER and heard.parse.intent in intents_of(slot)


def _is_open(run: Run, flow_id: str) -> bool:
    return any(frame.flow == flow_id for frame in run.stack)


def _open(run: Run, heard: _Heard, flow: Flow) -> bool:
    """Starts `flow` with what the message already names; False where it is the very flow that is open."""
    if run.in_chain(flow.id):
        return False
    if _is_open(run, flow.id):
        return run.return_to(flow.id)
    run.start(flow.id)
    if run.topic == flow.id:
        run.request = run.before.said
    run.fill(volunteered(run.book, flow, heard.parse, run.slots, None))
    return True
