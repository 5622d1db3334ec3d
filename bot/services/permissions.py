"""Who may do what: REQ-A22's matrix as data, with functions of our own that the console needs besides.

A cell says how far a role may go; most are plain yes. What the customer may do (chat, ask for a callback, rate) needs
no sign-in and so is no row here. Nobody but the administrator manages staff, and the administrator does nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from bot.core.words import Role


class Function(StrEnum):
    """What a person at the console may want to do: the rows of the matrix."""

    HANDLE_QUEUE = "handle_queue"
    SUPERVISE_FLOOR = "supervise_floor"  # see every conversation, take one over (PEERS "Console")
    OPEN_INCIDENT = "open_incident"
    START_GENERAL_PLAN = "start_general_plan"
    START_MAJOR_PLAN = "start_major_plan"
    DRAFT_ANNOUNCEMENT = "draft_announcement"
    APPROVE_ANNOUNCEMENT = "approve_announcement"
    CHANGE_ETA = "change_eta"
    LEAVE_SEAT = "leave_seat"  # sign out of a seat while an incident is open
    PERMIT_MEDIA = "permit_media"
    SEE_CONTACT = "see_contact"
    SEE_HEALTH = "see_health"  # follow-up answers about somebody's health, beyond one's own cases (REQ-G18)
    RELEASE_DATA = "release_data"
    EXPORT_DATA = "export_data"  # ask for a file with people's data, inside the house
    CORRECT_RECORD = "correct_record"
    EDIT_POLICIES = "edit_policies"
    MANAGE_CALLBACKS = "manage_callbacks"  # see, edit, reorder and cancel the callback queue
    SEE_REPORTS = "see_reports"
    ASSIGN_NEXT_STEP = "assign_next_step"  # REQ-A11, C17
    SEE_NEXT_STEPS = "see_next_steps"  # one's own; whoever assigns them sees all
    SEE_ARCHIVE = "see_archive"  # what is kept how long, lists to be disposed of, the archive's register
    HOLD_RECORDS = "hold_records"  # REQ-G11; whoever may approve lifts a hold
    DISPOSE = "dispose"  # REQ-G08: two people look through a list, one of them the general manager
    ARCHIVE = "archive"  # REQ-G05: the archivist registers, the responsible leader checks
    BORROW = "borrow"  # REQ-G07: asked for by whoever needs it, granted by the manager, handed out by the archivist
    SEE_AUDIT = "see_audit"
    GUARD_PRIVACY = "guard_privacy"  # see who had whose numbers shown (REQ-G14)
    MANAGE_STAFF = "manage_staff"


class Grant(StrEnum):
    """How far a role may go with a function: the cells of the matrix."""

    YES = "yes"
    REPORT_ONLY = "report_only"
    PROPOSE = "propose"
    FALLBACK = "fallback"  # only when the supervisor is unreachable
    WITH_APPROVAL = "with_approval"  # of the leader
    OWN_CASES = "own_cases"
    TEAM = "team"
    MASKED = "masked"
    REPORT_ROWS = "report_rows"
    REVIEW = "review"
    BY_LOAN = "by_loan"  # by an approved, timed loan (REQ-G07)
    APPROVE = "approve"
    APPROVE_SMALL = "approve_small"
    APPROVE_ARCHIVED = "approve_archived"
    EXECUTE = "execute"
    RECORD = "record"


def _row(**cells: Grant) -> Mapping[Role, Grant]:
    return {Role(role): grant for role, grant in cells.items()}


_YES = Grant.YES

PERMISSIONS: Mapping[Function, Mapping[Role, Grant]] = {
    Function.HANDLE_QUEUE: _row(agent=_YES, leader=_YES, supervisor=_YES, manager=_YES),
    Function.SUPERVISE_FLOOR: _row(leader=_YES, supervisor=_YES, manager=_YES),
    Function.OPEN_INCIDENT: _row(agent=Grant.REPORT_ONLY, leader=_YES, supervisor=_YES, manager=_YES, ops=_YES),
    Function.START_GENERAL_PLAN: _row(leader=Grant.PROPOSE, supervisor=_YES, manager=_YES),
    Function.START_MAJOR_PLAN: _row(supervisor=_YES, manager=_YES),
    Function.DRAFT_ANNOUNCEMENT: _row(agent=_YES, leader=_YES, supervisor=_YES, ops=_YES),
    Function.APPROVE_ANNOUNCEMENT: _row(leader=Grant.FALLBACK, supervisor=_YES, manager=_YES),
    Function.CHANGE_ETA: _row(supervisor=_YES, manager=_YES, ops=_YES),
    Function.LEAVE_SEAT: _row(agent=Grant.WITH_APPROVAL, leader=_YES, supervisor=_YES, manager=_YES),
    Function.PERMIT_MEDIA: _row(manager=_YES),
    Function.SEE_CONTACT: _row(
        agent=Grant.OWN_CASES,
        leader=Grant.TEAM,
        supervisor=_YES,
        manager=_YES,
        ops=Grant.MASKED,
        report_owner=Grant.REPORT_ROWS,
        archivist=Grant.BY_LOAN,
    ),
    Function.SEE_HEALTH: _row(manager=_YES, report_owner=_YES),
    Function.RELEASE_DATA: _row(manager=Grant.APPROVE, archivist=Grant.EXECUTE),
    Function.EXPORT_DATA: _row(leader=_YES, supervisor=_YES, manager=_YES, report_owner=_YES, archivist=Grant.EXECUTE),
    Function.CORRECT_RECORD: _row(
        agent=Grant.PROPOSE,
        leader=Grant.APPROVE_SMALL,
        supervisor=Grant.APPROVE,
        manager=Grant.APPROVE_ARCHIVED,
        archivist=Grant.RECORD,
    ),
    Function.EDIT_POLICIES: _row(supervisor=_YES, manager=_YES),
    Function.MANAGE_CALLBACKS: _row(agent=Grant.OWN_CASES, leader=_YES, supervisor=_YES, manager=_YES),
    Function.SEE_REPORTS: _row(leader=_YES, supervisor=_YES, manager=_YES, report_owner=_YES),
    Function.ASSIGN_NEXT_STEP: _row(supervisor=_YES, manager=_YES, report_owner=_YES),
    Function.SEE_NEXT_STEPS: _row(agent=_YES, leader=_YES, supervisor=_YES, manager=_YES, report_owner=_YES),
    Function.SEE_ARCHIVE: _row(leader=_YES, supervisor=_YES, manager=_YES, archivist=_YES),
    Function.HOLD_RECORDS: _row(supervisor=_YES, manager=Grant.APPROVE, archivist=_YES),
    Function.DISPOSE: _row(supervisor=Grant.REVIEW, manager=Grant.APPROVE, archivist=Grant.REVIEW),
    Function.ARCHIVE: _row(
        leader=Grant.APPROVE, supervisor=Grant.APPROVE, manager=Grant.APPROVE, archivist=Grant.RECORD
    ),
    Function.BORROW: _row(
        agent=_YES,
        leader=_YES,
        supervisor=_YES,
        manager=Grant.APPROVE,
        ops=_YES,
        report_owner=_YES,
        archivist=Grant.RECORD,
    ),
    Function.SEE_AUDIT: _row(supervisor=_YES, manager=_YES, archivist=_YES, administrator=_YES),
    Function.GUARD_PRIVACY: _row(supervisor=_YES, manager=_YES),
    Function.MANAGE_STAFF: _row(administrator=_YES),
}


def grants(roles: Iterable[Role], function: Function) -> frozenset[Grant]:
    """Everything these roles together are granted for `function`; empty where it is not theirs."""
    row = PERMISSIONS[function]
    return frozenset(row[role] for role in roles if role in row)


def may(roles: Iterable[Role], function: Function, *wanted: Grant) -> bool:
    """Whether these roles may use `function`: at all, or as far as one of `wanted`."""
    held = grants(roles, function)
    return bool(held & set(wanted)) if wanted else bool(held)
