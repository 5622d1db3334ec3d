"""Contact data is shown to whom it concerns, and every look at it is written down (REQ-A22, G14)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.console.queries.conversations import visible
from bot.console.queries.people import card, find_contacts, own_contact
from bot.console.queries.timeline import timeline
from bot.core.words import CaseKind, ChannelName, ConversationState, Language, Presence, Role
from bot.services import contacts
from bot.services.casework import cases
from bot.services.centre import Centre
from bot.services.conversation.conversations import hold, open_at, save
from bot.services.desk import escalations
from bot.services.escalation import alerts
from bot.services.records import unmasking
from bot.services.staffing.staff import SignedIn, by_username
from store.tables import AuditEntry
from tests.fakes.house import House
from tests.fakes.people import Colleague

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
PHONE = "+8613900007788"


def viewer(staff_id: int, *roles: Role) -> SignedIn:
    return SignedIn(staff_id, "somebody", "某人", frozenset(roles), Presence.ONLINE, "")


def staff_id(session: Session, username: str) -> int:
    person = by_username(session, username)
    assert person is not None
    return person.id


def waiting(session: Session, centre: Centre) -> tuple[int, int]:
    """A queued conversation and its contact, whose number and unit are known."""
    now = centre.clock.now()
    held = open_at(
        session, ChannelName.WEBCHAT, "a visitor", language=Language.ZH, zone="Asia/Shanghai", book="", now=now
    )
    contacts.add_phone(session, held.contact_id, PHONE, now)
    contacts.learn(session, held.contact_id, {"unit": "7-1-902", "name": "吴小雨"}, now=now, why="test")
    held.state = ConversationState.QUEUED
    held.change(queued_at=now)
    save(session, held)
    return held.id, held.contact_id


@pytest.mark.parametrize(
    ("roles", "may"),
    [
        ([Role.AGENT], False),
        ([Role.LEADER], True),
        ([Role.SUPERVISOR], True),
        ([Role.MANAGER], True),
        ([Role.OPS], False),
        ([Role.REPORT_OWNER], False),
        ([Role.ARCHIVIST], False),
        ([Role.ADMINISTRATOR], False),
        ([Role.OPS, Role.SUPERVISOR], True),
    ],
)
def test_numbers_and_units_are_masked_and_shown_with_a_reason(centre: Centre, roles: list[Role], may: bool) -> None:
    def look(session: Session) -> tuple[str | None, list[str]]:
        _, contact_id = waiting(session, centre)
        shown = card(session, contact_id, viewer(0, *roles), centre.clock.now())
        assert (shown.full, shown.unmaskable) == (False, may)
        return shown.unit, [value for _, value, _ in shown.addresses if value]

    assert centre.db.write_now(look) == ("****", ["****7788"])


def test_an_agent_sees_the_numbers_of_their_own_matters(centre: Centre) -> None:
    def story(session: Session) -> list[bool]:
        conversation_id, contact_id = waiting(session, centre)
        agent, now = staff_id(session, "agent"), centre.clock.now()
        seen = [own_contact(session, contact_id, agent)]
        assert escalations.claim(session, conversation_id, agent, now)
        seen.append(card(session, contact_id, viewer(agent, Role.AGENT), now).full)
        escalations.release(session, conversation_id, agent, now)
        seen.append(card(session, contact_id, viewer(agent, Role.AGENT), now).full)
        case = cases.open_case(
            session,
            kind=CaseKind.REPAIR,
            contact_id=contact_id,
            subject="灯坏了",
            zone=centre.settings.zone,
            now=now,
        )
        cases.assign(session, case.id, agent, by_staff_id=agent, now=now)
        seen.append(card(session, contact_id, viewer(agent, Role.AGENT), now).full)
        return seen

    assert centre.db.write_now(story) == [False, True, False, True]


def test_a_colleagues_conversation_is_none_of_an_agents_business(centre: Centre) -> None:
    def story(session: Session) -> list[bool]:
        conversation_id, _ = waiting(session, centre)
        agent, other = staff_id(session, "agent"), staff_id(session, "agent2")
        seen = [visible(session, conversation_id, viewer(other, Role.AGENT))]
        escalations.claim(session, conversation_id, agent, centre.clock.now())
        seen.append(visible(session, conversation_id, viewer(other, Role.AGENT)))
        seen.append(visible(session, conversation_id, viewer(agent, Role.AGENT)))
        seen.append(visible(session, conversation_id, viewer(other, Role.LEADER)))
        return seen

    assert centre.db.write_now(story) == [True, False, True, True]


def test_a_merged_contacts_past_stays_on_the_one_timeline(centre: Centre) -> None:
    def story(session: Session) -> list[str]:
        conversation_id, contact_id = waiting(session, centre)
        now = centre.clock.now()
        other = contacts.meet(
            session, ChannelName.TELEGRAM, "77", language=Language.ZH, zone="Asia/Shanghai", now=now
        ).contact_id
        contacts.merge(session, contact_id, other, staff_id=staff_id(session, "leader"), why="同一人", now=now)
        assert hold(session, conversation_id).id == conversation_id
        assert find_contacts(session, PHONE) == [other]
        return [moment.kind for moment in timeline(session, [other, contact_id])]

    assert centre.db.write_now(story) == ["conversation"]


def test_a_search_takes_no_wildcards(centre: Centre) -> None:
    centre.db.write_now(lambda s: waiting(s, centre))
    assert centre.db.read_now(lambda s: find_contacts(s, "%")) == []
    assert centre.db.read_now(lambda s: find_contacts(s, "_")) == []
    assert len(centre.db.read_now(lambda s: find_contacts(s, "小雨"))) == 1


async def test_a_look_at_full_details_says_why_and_ends_by_itself(house: House) -> None:
    conversation_id, contact_id = await house.centre.db.write(lambda s: waiting(s, house.centre))
    leader = Colleague("http://hotline.test")
    leader.client = house.client
    await leader.signs_in(house.centre, "leader")
    here, person = f"/console/conversations/{conversation_id}", f"/console/contacts/{contact_id}"
    assert PHONE not in await leader.sees(here)

    refused = await leader.does(f"{person}/unmask", on=here, reason="other", note=" ", back=here)
    assert refused.headers["location"] == f"{here}?said=reason_missing"
    shown = await leader.does(f"{person}/unmask", on=here, reason="other", note="客户催了两次", back=here)
    assert shown.headers["location"] == here
    page = await leader.sees(here)
    assert PHONE in page
    assert "7-1-902" in page
    assert "客户催了两次" in await leader.sees(person)

    house.clock.advance(timedelta(minutes=5))
    assert PHONE not in await leader.sees(here)
    entries = await house.centre.db.read(
        lambda s: s.scalars(select(AuditEntry).where(AuditEntry.action == "contact.unmask")).all()
    )
    assert [(entry.staff_id, entry.subject_id, entry.details) for entry in entries] == [
        (leader.staff_id, contact_id, {"reason": "other"})
    ]


async def test_it_leads_nowhere_else(house: House) -> None:
    _, contact_id = await house.centre.db.write(lambda s: waiting(s, house.centre))
    leader = Colleague("http://hotline.test")
    leader.client = house.client
    await leader.signs_in(house.centre, "leader")
    person = f"/console/contacts/{contact_id}"
    answer = await leader.does(f"{person}/unmask", on=person, reason="call", back="//elsewhere.example/")
    assert answer.headers["location"] == person


def test_who_looks_at_many_is_reported_once_and_not_to_themselves(centre: Centre) -> None:
    usual = centre.library.current.policies.privacy.unusual.times

    def story(session: Session) -> tuple[list[int], list[str]]:
        now, supervisor = centre.clock.now(), staff_id(session, "supervisor")
        told = []
        for number in range(usual + 1):
            known = contacts.meet(
                session, ChannelName.TELEGRAM, str(number), language=Language.ZH, zone="Asia/Shanghai", now=now
            )
            unmasking.unmask(session, centre, known.contact_id, staff_id=supervisor, reason="call", note="", now=now)
            told.append(len(alerts.unread(session, staff_id(session, "manager"))))
        mine = [row.body["text"] for row in alerts.unread(session, supervisor)]
        rows = unmasking.counted(session, now - timedelta(days=1))
        assert [(who, times, people) for _, who, times, people in rows] == [(rows[0][1], usual + 1, usual + 1)]
        return told, mine

    told, mine = centre.db.write_now(story)
    assert told == [0] * (usual - 1) + [1, 1]
    assert mine == []


async def test_an_agent_meets_no_number_of_a_stranger(house: House) -> None:
    conversation_id, contact_id = await house.centre.db.write(lambda s: waiting(s, house.centre))
    agent = Colleague("http://hotline.test")
    agent.client = house.client
    await agent.signs_in(house.centre, "agent")
    for path in ("/console", f"/console/conversations/{conversation_id}", f"/console/contacts/{contact_id}"):
        page = await agent.sees(path)
        assert PHONE not in page
        assert "7-1-902" not in page
