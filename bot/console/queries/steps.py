"""Next steps as their owners and the report owner see them (REQ-C17)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, aliased

from bot.core.words import Disposition, FollowUpGroup
from bot.services.plans.next_steps import DONE, OPEN
from store.tables import Callback, Contact, Event, NextStep, Staff

PAGE = 50


class StepsView(StrEnum):
    """The tabs."""

    MINE = "mine"
    OPEN = "open"
    LATE = "late"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step with the follow-up it is about; `who` is the customer."""

    step: NextStep
    owner: str
    by: str
    who: str
    contact_id: int
    group: FollowUpGroup
    result: Disposition | None
    late: bool


def counted(session: Session, staff_id: int, today: date) -> dict[StepsView, int]:
    """How many steps each tab has."""
    return {
        view: session.scalar(select(func.count()).select_from(NextStep).where(*_in(view, staff_id, today))) or 0
        for view in StepsView
    }


def steps(session: Session, view: StepsView, staff_id: int, today: date, *, page: int = 1) -> tuple[StepRow, ...]:
    """A page of a tab: open ones by their day, done ones from the latest on."""
    owner, by = aliased(Staff), aliased(Staff)
    order: tuple[Any, ...] = (NextStep.due_on, NextStep.id)
    if view is StepsView.DONE:
        order = (NextStep.done_at.desc(), NextStep.id.desc())
    found = session.execute(
        select(NextStep, owner.name, by.name, Callback, Contact, Event)
        .join(owner, owner.id == NextStep.owner_id)
        .join(by, by.id == NextStep.created_by)
        .join(Callback, Callback.id == NextStep.callback_id)
        .join(Contact, Contact.id == Callback.contact_id)
        .outerjoin(Event, Event.id == Callback.event_id)
        .where(*_in(view, staff_id, today))
        .order_by(*order)
        .limit(PAGE)
        .offset((page - 1) * PAGE)
    )
    return tuple(
        StepRow(
            step=step,
            owner=owns,
            by=gave,
            who=(event.details.get("name") if event is not None else "") or contact.name or contact.title,
            contact_id=contact.id,
            group=callback.follow_up_group,
            result=callback.disposition,
            late=step.state == OPEN and step.due_on < today,
        )
        for step, owns, gave, callback, contact, event in found
    )


def _in(view: StepsView, staff_id: int, today: date) -> tuple[ColumnElement[bool], ...]:
    match view:
        case StepsView.MINE:
            return (NextStep.state == OPEN, NextStep.owner_id == staff_id)
        case StepsView.OPEN:
            return (NextStep.state == OPEN,)
        case StepsView.LATE:
            return (NextStep.state == OPEN, NextStep.due_on < today)
        case StepsView.DONE:
            return (NextStep.state == DONE,)
