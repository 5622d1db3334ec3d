"""One person under two contacts: offered, decided by a person, undone."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.console.queries.timeline import timeline
from bot.core.permission import Refused
from bot.core.words import CaseKind, ChannelName, Language, Purpose, Role, Rule
from bot.services import contacts, gate, merging
from bot.services.casework import cases
from bot.services.centre import Centre
from bot.services.conversation.actions import ACTIONS
from bot.services.conversation.conversations import Held, find_open, open_at, save
from bot.services.conversation.scene import Scene
from bot.services.refusal import RefusedError
from store.tables import AuditEntry, Contact, Merge, MergeState, Staff
from tests.fakes.desk import Desk
from tests.fakes.house import House

PHONE = "+8613900007788"
GIVES_A_NUMBER = {
    "action_set_contact": {"phone": PHONE},
    "action_book_callback": {"phone": PHONE},
    "action_notify_when_over": {"phone": PHONE},
}


def talking(session: Session, centre: Centre, channel: ChannelName, address: str, name: str = "") -> Held:
    now = centre.clock.now()
    held = open_at(session, channel, address, language=Language.ZH, zone="Asia/Shanghai", book="", now=now)
    if name:
        contacts.learn(session, held.contact_id, {"name": name}, now=now, why="test")
    return held


def gives(session: Session, centre: Centre, held: Held, action: str = "action_set_contact") -> None:
    """The customer's number, as a flow passes it on."""
    ACTIONS[action](Scene(session, centre, held, centre.clock.now(), {}), GIVES_A_NUMBER[action])
    save(session, held)


def somebody(session: Session) -> int:
    return session.scalars(select(Staff.id).limit(1)).one()


def twins(session: Session, centre: Centre) -> tuple[Held, Held, Merge]:
    """The same person at the web chat and on Telegram."""
    web = talking(session, centre, ChannelName.WEBCHAT, "visitor", "王秀英")
    gives(session, centre, web)
    telegram = talking(session, centre, ChannelName.TELEGRAM, "77")
    gives(session, centre, telegram)
    (offer,) = merging.open_offers(session)
    return web, telegram, offer


@pytest.mark.parametrize("action", sorted(GIVES_A_NUMBER))
def test_the_same_number_given_twice_is_offered_once_and_nothing_is_merged(centre: Centre, action: str) -> None:
    def story(session: Session) -> None:
        web = talking(session, centre, ChannelName.WEBCHAT, "visitor")
        gives(session, centre, web)
        telegram = talking(session, centre, ChannelName.TELEGRAM, "77")
        for _ in range(2):
            gives(session, centre, telegram, action)
        (offer,) = merging.open_offers(session)
        assert (offer.kept_id, offer.other_id) == (web.contact_id, telegram.contact_id)
        assert (offer.why, offer.conversation_id) == ("same_phone", telegram.id)
        assert PHONE[3:-4] not in offer.hint
        assert merging.open_offers(session, telegram.contact_id) == merging.open_offers(session, web.contact_id)
        assert contacts.survivor(session, telegram.contact_id) == telegram.contact_id

    centre.db.write_now(story)


@pytest.mark.parametrize(
    "order", [(ChannelName.REST, ChannelName.WEBCHAT), (ChannelName.WEBCHAT, ChannelName.REST)], ids=["holds", "claims"]
)
def test_a_rest_senders_word_is_never_enough(centre: Centre, order: tuple[ChannelName, ChannelName]) -> None:
    def story(session: Session) -> None:
        for channel in order:
            gives(session, centre, talking(session, centre, channel, "somebody"))
        assert merging.open_offers(session) == []

    centre.db.write_now(story)


def test_what_was_declined_is_not_offered_again(centre: Centre) -> None:
    def story(session: Session) -> None:
        _, telegram, offer = twins(session, centre)
        merging.decline(session, offer.id, somebody(session), centre.clock.now())
        gives(session, centre, telegram)
        assert merging.open_offers(session) == []
        assert session.scalars(select(AuditEntry.action).where(AuditEntry.action == "contact.not_same")).all()

    centre.db.write_now(story)


def test_merged_people_have_one_history_and_one_will(centre: Centre) -> None:
    now = centre.clock.now()

    def may_not(session: Session, contact_id: int) -> bool:
        shelf = centre.library.current
        how = {"policies": shelf.policies, "calendar": shelf.calendar, "now": now}
        answer = gate.ask(session, purpose=Purpose.FOLLOW_UP, channel=ChannelName.VOICE, contact_id=contact_id, **how)  # type: ignore[arg-type]
        return isinstance(answer, Refused) and answer.rule is Rule.DO_NOT_CONTACT

    def story(session: Session) -> None:
        web, telegram, offer = twins(session, centre)
        contacts.learn(session, telegram.contact_id, {"title": "王女士", "unit": "3-2-501"}, now=now, why="test")
        contacts.consent(session, telegram.contact_id, contacts.EVERYTHING, False, "test", now)
        zone = centre.settings.zone
        who = telegram.contact_id
        case = cases.open_case(session, kind=CaseKind.COMPLAINT, contact_id=who, subject="x", zone=zone, now=now)
        assert not may_not(session, web.contact_id)
        merging.accept(session, offer.id, somebody(session), now)
        assert may_not(session, web.contact_id)
        assert may_not(session, telegram.contact_id)
        kept = session.get_one(Contact, web.contact_id)
        assert (kept.name, kept.title) == ("王秀英", "王女士")
        assert contacts.unit_of(session, kept) == "3-2-501"
        kinds = [moment.kind for moment in timeline(session, contacts.same_person(session, telegram.contact_id))]
        assert sorted(kinds) == ["case", "conversation", "conversation"]
        found = cases.open_for(session, web.contact_id)
        assert found is not None
        assert found.id == case.id
        again = find_open(session, ChannelName.TELEGRAM, "77")
        assert again is not None
        assert (again.id, again.contact_id) == (telegram.id, web.contact_id)
        with pytest.raises(RefusedError, match="merged_already"):
            merging.decline(session, offer.id, somebody(session), now)

    centre.db.write_now(story)


def test_a_merge_is_undone(centre: Centre) -> None:
    now = centre.clock.now()

    def story(session: Session) -> None:
        web, telegram, offer = twins(session, centre)
        merging.accept(session, offer.id, somebody(session), now)
        merging.undo(session, offer.id, somebody(session), now)
        for held, address in ((web, "visitor"), (telegram, "77")):
            again = find_open(session, held.channel, address)
            assert again is not None
            assert (again.id, again.contact_id) == (held.id, held.contact_id)
        assert contacts.same_person(session, web.contact_id) == [web.contact_id]
        assert offer.state is MergeState.DECLINED
        with pytest.raises(RefusedError, match="not_merged"):
            merging.undo(session, offer.id, somebody(session), now)
        merging.accept(session, offer.id, somebody(session), now)  # and once more, the other way round
        assert contacts.survivor(session, telegram.contact_id) == web.contact_id

    centre.db.write_now(story)


def test_three_of_one_person_become_one(centre: Centre) -> None:
    now = centre.clock.now()

    def story(session: Session) -> None:
        _, telegram, offer = twins(session, centre)
        third = talking(session, centre, ChannelName.WEBCHAT, "another browser")
        second = merging.propose(session, third.contact_id, telegram.contact_id, now)
        merging.accept(session, offer.id, somebody(session), now)
        merging.accept(session, second, somebody(session), now)
        assert merging.open_offers(session) == []
        assert contacts.survivor(session, third.contact_id) == offer.kept_id
        with pytest.raises(RefusedError, match="same_contact"):
            merging.propose(session, third.contact_id, telegram.contact_id, now)

    centre.db.write_now(story)


async def test_an_agent_decides_at_the_console(house: House) -> None:
    centre = house.centre
    web, telegram, offer = centre.db.write_now(lambda s: twins(s, centre))
    agent = await Desk.of(centre, house.client, Role.AGENT)
    at = f"/console/merges/{offer.id}"
    assert at in await agent.see("/console/merges")
    assert f"/console/merges?contact={web.contact_id}" in await agent.see(f"/console/contacts/{web.contact_id}")
    pair = await agent.see(at)
    assert "王秀英" in pair
    assert PHONE not in pair
    assert "said=merged" in await agent.do(f"{at}/accept")
    assert "merged_already" in await agent.do(f"{at}/decline")
    await agent.do(f"{at}/undo", status=403)
    page = await agent.see(f"/console/contacts/{telegram.contact_id}")
    assert page.count('<li class="conversation">') == 2
    leader = await Desk.of(centre, house.client, Role.LEADER)
    assert "撤销合并" in await leader.see(at)
    assert "merge_undone" in await leader.do(f"{at}/undo")
    ops = await Desk.of(centre, house.client, Role.OPS)
    await ops.see(at, status=403)


async def test_two_contacts_are_put_side_by_side_by_hand(house: House) -> None:
    centre = house.centre

    def people(session: Session) -> tuple[Held, Held]:
        one = talking(session, centre, ChannelName.WEBCHAT, "one", "赵一")
        return one, talking(session, centre, ChannelName.REST, "two", "赵二")

    one, other = centre.db.write_now(people)
    agent = await Desk.of(centre, house.client, Role.AGENT)
    found = await agent.see(f"/console/merges/find?contact={one.contact_id}&q=赵")
    assert f'name="other" value="{other.contact_id}"' in found
    assert f'name="other" value="{one.contact_id}"' not in found
    where = await agent.do("/console/merges", one=one.contact_id, other=other.contact_id)
    assert "赵二" in await agent.see(where)
    assert "same_contact" in await agent.do("/console/merges", one=one.contact_id, other=one.contact_id)
    await agent.do("/console/merges", status=404, one=one.contact_id, other=999999)
    await agent.see("/console/merges/find?contact=999999", status=404)
