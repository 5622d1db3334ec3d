"""Follow-ups (回访): planned from events, answered question by question, closed with a disposition (requirements C)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from bot.core.words import CallbackState, CaseState, Disposition, FollowUpGroup
from bot.services import cases
from bot.services.scene import Perform, Scene
from store.db import touch
from store.tables import Answer, CallAttempt, Callback, Case

LOW_SCORE = 2  # of 5: somebody should look (REQ-C37)
LOW = "low_score"
SOLVED = frozenset({"solved", "problem_solved"})  # the questions of an after-complaint call that reopen its case


def record_answer(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """action_record_answer: keeps an answer as soon as it is given (REQ-C13); a bad one may reopen a case."""
    callback_id, answer = scene.held.callback_id, args.get("answer")
    if callback_id is None or answer is None:
        return {}
    question, score = str(args.get("question") or "")[:80], _score(answer)
    scene.session.add(
        Answer(
            callback_id=callback_id,
            conversation_id=scene.held.id,
            question=question,
            answer=_written(answer),
            score=score,
            at=scene.now,
        )
    )
    callback = scene.session.get_one(Callback, callback_id)
    low = score is not None and score <= LOW_SCORE
    if low:
        callback.flags = sorted({*callback.flags, LOW})
    if callback.follow_up_group is FollowUpGroup.AFTER_COMPLAINT and (low or (question in SOLVED and not answer)):
        _reopen(scene, callback, question)
    touch(scene.session, "callbacks")
    return {}


def _score(answer: Any) -> int | None:
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        text = str(answer).strip() if isinstance(answer, str) else ""
        return int(text) if text.isascii() and text.isdecimal() and len(text) <= 2 else None
    return int(answer)


def _written(answer: Any) -> str:
    if isinstance(answer, bool):
        return "yes" if answer else "no"
    if isinstance(answer, float) and answer.is_integer():
        return str(int(answer))
    return str(answer)


def _reopen(scene: Scene, callback: Callback, why: str) -> None:
    """The complaint is not settled after all: its case is open again, one level higher, once a call (REQ-E07)."""
    case = scene.session.get(Case, callback.case_id) if callback.case_id is not None else None
    if case is not None and case.state is CaseState.CLOSED:
        cases.reopen(scene.session, case.id, why, now=scene.now)


def disposition(scene: Scene, args: Mapping[str, Any]) -> Mapping[str, Any]:
    """action_disposition: how the call under way ends (REQ-C18); outside a call there is nothing to mark."""
    code = Disposition(str(args.get("code")))
    if scene.held.callback_id is None:
        return {}
    attempt = scene.session.scalar(
        select(CallAttempt)
        .join(Callback, Callback.id == CallAttempt.callback_id)
        .where(
            CallAttempt.callback_id == scene.held.callback_id,
            CallAttempt.ended_at.is_(None),
            Callback.state == CallbackState.DIALLING,
        )
        .order_by(CallAttempt.number.desc())
        .limit(1)
    )
    if attempt is not None:
        attempt.disposition = code
    return {}


ACTIONS: Mapping[str, Perform] = {"action_record_answer": record_answer, "action_disposition": disposition}
