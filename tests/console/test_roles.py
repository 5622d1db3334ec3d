"""Who may open which page and make which change: every route by every role, and by nobody (REQ-A22).

The table is written from the requirement's matrix, not from the program's own. A new route without a line here fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from bot.console.door import COOKIE
from bot.core.words import Role
from bot.services.staffing import sign_in
from bot.services.staffing.sign_in import Caller
from bot.services.staffing.staff import by_username
from tests.fakes.house import House

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

USERNAMES = {
    Role.AGENT: "agent",
    Role.LEADER: "leader",
    Role.SUPERVISOR: "supervisor",
    Role.MANAGER: "manager",
    Role.OPS: "ops",
    Role.REPORT_OWNER: "reports",
    Role.ARCHIVIST: "archivist",
    Role.ADMINISTRATOR: "admin",
}


def of(letters: str) -> frozenset[Role]:
    """Roles by their letters: agent, leader, supervisor, manager, ops, report owner, archivist, adMinistrator."""
    by_letter = dict(zip("alsmorvd", Role, strict=True))
    return frozenset(by_letter[letter] for letter in letters)


QUEUE = of("alsm")  # "Handle queue, fill records"
FLOOR = of("lsm")
SUPERVISORS = of("sm")  # "Edit windows, holidays, thresholds"
INCIDENTS = of("alsmo")  # "Open incident"; an agent's is a report only
OPENS = of("lsmo")
DRAFTS = of("also")  # "Draft announcement"
CONTACTS = of("alsmorv")  # each as far as the matrix says: own, team, all, masked, rows, by loan
EXPORTS = of("lsmrv")  # the archivist carries out what leaves the house
REPORTS = of("lsmr")
ASSIGNS = of("smr")
STEPS = of("alsmr")
AUDIT = of("smvd")
ARCHIVE = of("lsmv")
DISPOSES = of("smv")  # two of them, one the manager
STAFF = of("d")
ANYBODY = frozenset(Role)

TABLE: Mapping[str, frozenset[Role]] = {
    line.strip(): roles
    for roles, lines in {
        ANYBODY: """
            POST /console/me/phone
            POST /sign-out
            GET /console
            POST /console/presence
            POST /console/alerts/read
            POST /console/alerts/{escalation_id}
            GET /console/roster
            GET /console/roster/print
            POST /console/roster/shifts/{shift_id}/swap
            POST /console/roster/swaps/{swap_id}
            GET /console/me
            POST /console/me/password
            GET /console/me/second-factor
            POST /console/me/second-factor
            POST /console/me/second-factor/remove
            POST /console/me/sessions/{handle}/end
            POST /console/me/telegram
            POST /console/me/telegram/unlink
        """,
        QUEUE: """
            POST /console/contacts/{contact_id}/consent
            POST /console/contacts/{contact_id}/tags
            POST /console/contacts/{contact_id}/tags/remove
            POST /console/privacy/corrections
            GET /console/privacy/requests
            POST /console/privacy/requests
            GET /console/privacy/requests/{request_id}
            POST /console/privacy/requests/{request_id}/identity
            POST /console/privacy/requests/{request_id}/link
            GET /console/privacy/requests/{request_id}/file
            GET /console/canned
            GET /console/conversations/{conversation_id}/canned
            POST /console/conversations/{conversation_id}/call-in
            POST /console/conversations/{conversation_id}/leave
            GET /console/conversations/{conversation_id}/abuse
            POST /console/conversations/{conversation_id}/abuse
            GET /console/cases/new
            POST /console/cases/new
            POST /console/cases/{case_id}/urgent
            POST /console/cases/{case_id}/escalate
            POST /console/cases/{case_id}/pend
            POST /console/cases/{case_id}/go-on
            POST /console/cases/{case_id}/links
            POST /console/cases/{case_id}/tasks
            POST /console/cases/{case_id}/tasks/{task_id}
            POST /console/cases/{case_id}/item
            POST /console/cases/{case_id}/item/confirm
            POST /console/cases/{case_id}/item/return
            GET /console/hand-overs
            POST /console/hand-overs
            POST /console/hand-overs/{hand_over_id}/confirm
            GET /console/callbacks/calendar
            POST /console/callbacks/several
            GET /console/callbacks/new
            POST /console/callbacks/new
            POST /console/callbacks/{callback_id}/edit
            GET /console/manual
            GET /console/manual/print
            GET /console/manual/offline.html
            POST /console/manual
            POST /console/manual/import
            GET /console/events
            GET /console/conversations/{conversation_id}
            GET /console/conversations/{conversation_id}/events
            POST /console/conversations/{conversation_id}/claim
            POST /console/conversations/{conversation_id}/say
            POST /console/conversations/{conversation_id}/files
            POST /console/conversations/{conversation_id}/lines/{seq}/again
            POST /console/conversations/{conversation_id}/note
            POST /console/conversations/{conversation_id}/typing
            POST /console/conversations/{conversation_id}/transfer
            POST /console/conversations/{conversation_id}/release
            POST /console/conversations/{conversation_id}/hand-back
            POST /console/conversations/{conversation_id}/close
            GET /console/conversations/{conversation_id}/files/{attachment_id}
            GET /console/cases
            GET /console/cases/{case_id}
            POST /console/cases/{case_id}/assign
            POST /console/cases/{case_id}/note
            POST /console/cases/{case_id}/feedback
            POST /console/cases/{case_id}/close
            POST /console/cases/{case_id}/reopen
            POST /console/repairs/{case_id}/stage
            POST /console/repairs/{case_id}/charge
            POST /console/repairs/{case_id}/quote
            POST /console/repairs/{case_id}/consent
            POST /console/repairs/{case_id}/track
            POST /console/repairs/{case_id}/visit
            GET /console/visits
            POST /console/visits/{visit_id}/move
            POST /console/visits/{visit_id}/cancel
            POST /console/visits/{visit_id}/done
            POST /console/visits/{visit_id}/missed
            POST /console/visits/{visit_id}/assign
            GET /console/callbacks
            GET /console/callbacks/events
            GET /console/callbacks/calendar
            GET /console/callbacks/new
            POST /console/callbacks/new
            POST /console/callbacks/several
            POST /console/callbacks/{callback_id}/remarks
            POST /console/callbacks/{callback_id}/prepare
            POST /console/callbacks/{callback_id}/edit
            POST /console/callbacks/{callback_id}/postpone
            POST /console/callbacks/{callback_id}/reorder
            POST /console/callbacks/{callback_id}/cancel
            POST /console/callbacks/{callback_id}/call-now
            GET /console/merges
            GET /console/merges/find
            POST /console/merges
            GET /console/merges/{merge_id}
            POST /console/merges/{merge_id}/accept
            POST /console/merges/{merge_id}/decline
        """,
        FLOOR: """
            POST /console/archive/files/{file_id}/check
            POST /console/archive/files/{file_id}/changes
            POST /console/contacts/{contact_id}/unmask
            GET /console/privacy/corrections
            POST /console/privacy/corrections/{correction_id}
            POST /console/canned
            POST /console/canned/{reply_id}
            POST /console/canned/{reply_id}/drop
            POST /console/conversations/{conversation_id}/join
            POST /console/callbacks/plans/{plan}/pause
            POST /console/callbacks/plans/{plan}/resume
            POST /console/callbacks/recovery/{incident_id}
            POST /console/incidents/leaves/{leave_id}
            POST /console/proposals/{proposal_id}
            POST /console/surge
            POST /console/surge/end
            POST /console/conversations/{conversation_id}/take-over
            POST /console/merges/{merge_id}/undo
            GET /console/callbacks/plans
            GET /console/callbacks/plans/{plan_id}
            GET /console/callbacks/plans/events
            GET /console/callbacks/plans/{plan_id}/events
            POST /console/callbacks/plans/{plan_id}/people
            POST /console/callbacks/plans/{plan_id}/people/{kind}/{contact_id}/skip
            POST /console/callbacks/plans/{plan_id}/people/{kind}/{contact_id}/take-out
            GET /console/callbacks/import
            GET /console/callbacks/import/{job_id}
            GET /console/callbacks/import/{job_id}/events
            GET /console/callbacks/import/{job_id}/faults.{kind}
            POST /console/callbacks/import/{job_id}/columns
            POST /console/callbacks/import/{job_id}/start
            POST /console/callbacks/import/{job_id}/cancel
            POST /console/callbacks/import
            POST /console/callbacks/replan
            POST /console/callbacks/plans/{plan}/pause
            POST /console/callbacks/plans/{plan}/resume
            POST /console/callbacks/recovery/{incident_id}
        """,
        INCIDENTS: """
            GET /console/incidents/wall
            GET /console/incidents/wall/events
            GET /console/incidents/drills
            POST /console/incidents/{incident_id}/steps/{step_id}/done
            POST /console/incidents/{incident_id}/steps/{step_id}/drop
            POST /console/incidents/{incident_id}/steps/{step_id}/ack
            POST /console/incidents/{incident_id}/plan
            GET /console/incidents
            GET /console/incidents/events
            POST /console/incidents
            GET /console/incidents/{incident_id}
            GET /console/incidents/{incident_id}/events
            POST /console/incidents/{incident_id}/confirm
            POST /console/incidents/{incident_id}/contain
            POST /console/incidents/{incident_id}/recover
            POST /console/incidents/{incident_id}/waive
            POST /console/incidents/{incident_id}/review
            POST /console/incidents/{incident_id}/close
            POST /console/incidents/{incident_id}/dismiss
            POST /console/incidents/{incident_id}/eta
            POST /console/incidents/{incident_id}/wording
            POST /console/incidents/{incident_id}/note
            POST /console/incidents/{incident_id}/costs
            GET /console/broadcasts
            GET /console/broadcasts/templates
            GET /console/broadcasts/templates/{template_id}
            GET /console/broadcasts/{broadcast_id}
            GET /console/broadcasts/{broadcast_id}/events
            POST /console/broadcasts/{broadcast_id}/approve
            POST /console/broadcasts/{broadcast_id}/launch
            POST /console/broadcasts/{broadcast_id}/stop
            POST /console/broadcasts/{broadcast_id}/resume
            POST /console/broadcasts/{broadcast_id}/cancel
        """,
        OPENS: """
            POST /console/incidents/{incident_id}/facts
            POST /console/incidents/{incident_id}/grade
            POST /console/incidents/{incident_id}/forms/{form}
            POST /console/incidents/{incident_id}/actions
            GET /console/incidents/{incident_id}/{kind}.{form}
        """,
        DRAFTS: """
            GET /console/broadcasts/audiences
            POST /console/broadcasts/audiences/{saved_id}/drop
            GET /console/broadcasts/new/{incident}
            POST /console/broadcasts/preview
            POST /console/broadcasts
            POST /console/broadcasts/{broadcast_id}/edit
            POST /console/broadcasts/{broadcast_id}/list
            POST /console/broadcasts/{broadcast_id}/follow
        """,
        CONTACTS: """
            GET /console/archive/files
            GET /console/archive/files/{file_id}
            POST /console/archive/files/{file_id}/loans
            POST /console/archive/loans/{loan_id}/return
            GET /console/contacts
            GET /console/contacts/{contact_id}
            GET /console/search
            GET /console/search/few
        """,
        STEPS: """
            GET /console/callbacks/{callback_id}
            POST /console/callbacks/{callback_id}/steps/{step_id}
            GET /console/steps
            POST /console/steps/{step_id}/finish
        """,
        ASSIGNS: """
            POST /console/callbacks/{callback_id}/steps
            POST /console/steps
            POST /console/steps/{step_id}/change
            POST /console/steps/{step_id}/chase
        """,
        EXPORTS: """
            GET /console/privacy
            GET /console/privacy/exports/{export_id}
            GET /console/privacy/exports/{export_id}/file
        """,
        REPORTS: """
            POST /console/privacy/exports
            GET /console/reports/service
            GET /console/reports/service/service.xlsx
            GET /console/reports
            GET /console/reports/follow-ups.{form}
            GET /console/reports/daily
            GET /console/reports/daily/{day}.xlsx
            GET /console/scripts
            GET /console/scripts/{flow_id}
        """,
        SUPERVISORS: """
            POST /console/privacy/exports/{export_id}/decide
            POST /console/privacy/requests/{request_id}/approve
            POST /console/privacy/requests/{request_id}/refuse
            POST /console/archive/void
            POST /console/archive/files/{file_id}/changes/{change_id}
            GET /console/privacy/looks
            POST /console/callbacks/plans/{plan_id}/owner
            POST /console/callbacks/calendar/block
            POST /console/callbacks/calendar/unblock
            POST /console/roster/shifts
            POST /console/roster/shifts/{shift_id}/cancel
            POST /console/roster/numbers
            POST /console/roster/numbers/{number_id}/verified
            POST /console/scripts/reload
            GET /console/learning
            POST /console/learning
            GET /console/broadcasts/templates/new
            POST /console/broadcasts/templates
            POST /console/broadcasts/templates/preview
            POST /console/broadcasts/templates/{template_id}
            POST /console/broadcasts/templates/{template_id}/retire
        """,
        ARCHIVE: """
            GET /console/archive
            GET /console/archive/disposals/{disposal_id}
            GET /console/archive/disposals/{disposal_id}/certificate.{form}
            GET /console/archive/holds
        """,
        DISPOSES: """
            POST /console/archive/disposals
            POST /console/archive/disposals/{disposal_id}/approve
            POST /console/archive/disposals/{disposal_id}/decline
            POST /console/archive/holds
        """,
        of("m"): """
            POST /console/archive/holds/{hold_id}/lift
            POST /console/archive/loans/{loan_id}
        """,
        of("v"): """
            POST /console/archive/files
            POST /console/archive/loans/{loan_id}/register
        """,
        AUDIT: """
            GET /console/audit
        """,
        STAFF: """
            POST /console/staff/{staff_id}/skills
            GET /console/staff
            POST /console/staff
            POST /console/staff/{staff_id}/roles
            POST /console/staff/{staff_id}/active
            POST /console/staff/{staff_id}/unlock
            POST /console/staff/{staff_id}/second-factor/remove
            POST /console/staff/{staff_id}/link
        """,
    }.items()
    for line in lines.strip().splitlines()
}

OPEN = frozenset(
    {
        "GET /docs", "GET /healthz", "GET /readyz", "GET /", "GET /widget.js", "GET /favicon.ico",
        "GET /chat", "POST /chat/open", "POST /chat/join", "POST /chat/messages", "POST /chat/typing",
        "POST /chat/read", "GET /chat/events", "POST /chat/files", "GET /chat/files/{attachment_id}",
        "GET /files/{attachment_id}/{token}", "HEAD /files/{attachment_id}/{token}",
        "GET /my-data/{token}",
        "GET /setup/{token}", "POST /setup/{token}", "GET /sign-in", "POST /sign-in", "GET /sign-in/code",
        "POST /sign-in/code", "GET /sign-in/link/{token}", "POST /sign-in/link/{token}",
        "GET /notices.json", "GET /notices/feed.json", "GET /notices/feed.atom", "GET /notices/{broadcast_id}.cap",
        "GET /phone", "POST /phone", "GET /phone/{token}", "GET /phone/{token}/events", "POST /phone/{token}/dial",
        "POST /phone/{token}/calls/{call_id}/answer", "POST /phone/{token}/calls/{call_id}/hang-up",
        "POST /phone/{token}/calls/{call_id}/next", "POST /phone/{token}/texts",
    }
)  # fmt: skip
"""What anybody may call; what is behind it has a key of its own (a token in the address, a signature, a cookie)."""

BY_TOKEN = ("/api/", "/metrics", "/webhooks/")
"""Machines' doors: no sign-in of the staff opens them."""

DEEPER = frozenset(
    {
        "GET /console/conversations/{conversation_id}/files/{attachment_id}",  # a conversation that is none of theirs
        "POST /console/me/second-factor/remove",  # only with the code itself
        "POST /console/callbacks/plans/{plan}/pause",  # a plan that somebody else owns
        "POST /console/callbacks/plans/{plan}/resume",
    }
)
"""Whose door is open to a role, while what is behind it may still refuse."""

SAMPLES = {"form": "xlsx", "day": "2026-07-01", "handle": "x", "flow_id": "x"}  # the rest are ids of nothing
NOTHING = "999999999"


def routes(found: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every route of the app as "METHOD /path", and the path to ask for, through the routers it includes."""
    for each in found:
        if isinstance(each, APIRoute):
            path = prefix + each.path
            filled = path.format(**{name: SAMPLES.get(name, NOTHING) for name in each.param_convertors})
            for method in each.methods:
                yield f"{method} {path}", filled
        elif (inner := getattr(each, "original_router", None)) is not None:
            yield from routes(inner.routes, prefix + each.include_context.prefix)


def test_every_route_has_a_line(house: House) -> None:
    there = {name for name, _ in routes(house.app.routes)}
    machines = {name for name in there if name.partition(" ")[2].startswith(BY_TOKEN)}
    assert there - machines - OPEN - set(TABLE) == set(), "say who may use these"
    assert (set(TABLE) | OPEN) - there == set(), "these are gone"
    assert not set(TABLE) & OPEN


async def asked(house: House, name: str, path: str, **headers: str) -> int:
    """The status; 500 where the program fell over."""
    transport = httpx.ASGITransport(house.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://hotline.test") as client:
        method = name.partition(" ")[0]
        answer = await client.request(method, path, headers={"accept": "application/json", **headers})
    return answer.status_code


async def test_nobody_comes_in_unsigned(house: House) -> None:
    let_in = {
        name: status
        for name, path in routes(house.app.routes)
        if name in TABLE and (status := await asked(house, name, path)) != 401
    }
    assert let_in == {}


@pytest.mark.parametrize("role", list(Role))
async def test_a_role_comes_as_far_as_the_matrix_says(house: House, role: Role) -> None:
    headers = await signed_in(house, role)
    wrong = {}
    for name, path in sorted(routes(house.app.routes), key=lambda each: each[0] == "POST /sign-out"):
        if name not in TABLE:
            continue
        may = role in TABLE[name]
        if may and path.endswith("/events"):
            continue  # a stream without an end
        status = await asked(house, name, path, **headers)
        refused = status in (401, 403)
        if (refused is may and not (may and name in DEEPER)) or status >= 500:
            wrong[name] = status
    assert wrong == {}


async def test_a_change_without_the_pages_token_is_refused(house: House) -> None:
    headers = await signed_in(house, Role.MANAGER)
    del headers["x-csrf-token"]
    done = {}
    for name, path in routes(house.app.routes):
        if name in TABLE and name.startswith("POST"):
            status = await asked(house, name, path, **headers)
            if status != 403:
                done[name] = status
    assert done == {}


async def test_staff_do_not_open_the_machines_doors(house: House) -> None:
    headers = await signed_in(house, Role.MANAGER)
    for name, path in routes(house.app.routes):
        if path.startswith("/api/"):
            assert await asked(house, name, path, **headers) == 401, name
            assert await asked(house, name, path, authorization="Bearer wrong") == 401, name


async def signed_in(house: House, role: Role) -> dict[str, str]:
    """The headers of somebody with this role alone."""
    now, machine = house.clock.now(), house.clock.machine()

    def work(session: Any) -> tuple[str, str]:
        person = by_username(session, USERNAMES[role])
        assert person is not None
        assert [held.role for held in person.roles] == [role]
        cookie = sign_in.open_session(session, person.id, Caller(), now=now, machine=machine, how="test")
        found = sign_in.signed_in(session, cookie, machine)
        assert found is not None
        return cookie, found.csrf

    cookie, csrf = await house.centre.db.write(work)
    return {"cookie": f"{COOKIE}={cookie}", "x-csrf-token": csrf}
