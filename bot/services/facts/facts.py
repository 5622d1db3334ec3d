"""Facts in a turn: asked for outside the transaction, at hand when the turn runs again (DESIGN §1, REQ-D11).

An action asks `known(session, question)` and gets rows, or None where nobody can say. The first time the turn is rolled
back (`FactsWanted`), `write` asks the source and runs the turn again. Whoever runs a flow writes through `write`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from sqlalchemy.orm import Session

from bot.core.facts import Change, Changed, Facts, Key, Outcome, Question, Row
from bot.services.centre import Centre

T = TypeVar("T")
MAX_ASKED = 12  # questions of one turn; what a script asks beyond them is not known


class FactsWanted(Exception):  # noqa: N818 - not an error: the turn is run again with the answer at hand
    """Raised in a turn, and never caught there: its transaction must end before anything outside is asked."""

    def __init__(self, what: Question | Change) -> None:
        super().__init__(what.table)
        self.what = what


class Hand:
    """The facts at hand while one turn is tried. `cause` names what caused the turn, such as a message: a change
    made because of it gets the same idempotency key whenever it is tried."""

    def __init__(self, caused_by: str = "") -> None:
        self.cause = caused_by
        self.rows: dict[Question, tuple[Row, ...] | None] = {}
        self.changed: dict[Change, Changed] = {}
        self.closed = False  # no more questions

    async def reach(self, facts: Facts, what: Question | Change) -> None:
        """Asks outside, so that the answer is at hand."""
        if isinstance(what, Question):
            self.rows[what] = await facts.rows(what)
        else:
            self.changed[what] = await facts.change(what)


def cause(channel: str, provider_id: str | None) -> str:
    """What names a message for good, whatever number its row gets in the end."""
    return f"{channel}:{provider_id}"


async def write(centre: Centre, work: Callable[[Session], T], hand: Hand | None = None, *, bulk: bool = False) -> T:
    """`centre.db.write` for work that may run a flow: it is run again whenever it wants a fact."""
    hand = hand or Hand()
    for _ in range(MAX_ASKED):
        try:
            return await centre.db.write(partial(_with, hand, work), bulk=bulk)
        except FactsWanted as wanted:
            await hand.reach(centre.facts, wanted.what)
    hand.closed = True
    return await centre.db.write(partial(_with, hand, work), bulk=bulk)


def _with(hand: Hand, work: Callable[[Session], T], session: Session) -> T:
    session.info["facts"] = hand
    return work(session)


def known(session: Session, question: Question) -> tuple[Row, ...] | None:
    """The rows that answer `question`; None: it is not known. Raises FactsWanted the first time."""
    hand = _hand(session)
    if question not in hand.rows:
        if hand.closed:
            return None
        raise FactsWanted(question)
    return hand.rows[question]


def changed(session: Session, table: str, key: Key, values: Key) -> Changed:
    """What became of a change, which is made outside before the turn runs again; so `key` and `values` must be the same
    in every try of the turn. Raises FactsWanted the first time."""
    hand = _hand(session)
    whole = repr((hand.cause, table, key, values))
    change = Change(table, key, values, hashlib.sha256(whole.encode()).hexdigest())
    if change not in hand.changed:
        if hand.closed or not hand.cause:  # without a cause a repeat could not be told from a second change
            return Changed(Outcome.CANNOT)
        raise FactsWanted(change)
    return hand.changed[change]


def _hand(session: Session) -> Hand:
    found = session.info.get("facts")
    if isinstance(found, Hand):
        return found
    nobody = Hand()  # this caller asks nobody: nothing is known to it
    nobody.closed = True
    return nobody
