"""Whom an announcement is for, asked by conditions: all of them, any of them, turned round; and saved (REQ-F32)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import CaseKind, ChannelName, Incoming
from bot.services import contacts
from bot.services.announcements import announcements, audience, saved_audiences
from bot.services.announcements.audience import query_of
from bot.services.announcements.broadcasts import BroadcastRefusedError
from bot.services.casework import cases
from bot.services.centre import Centre
from bot.services.conversation import inbox
from store.tables import Contact
from tests.fakes.announcing import TEXT, Outage
from tests.fakes.clock import ManualClock


@pytest.fixture
def outage(centre: Centre) -> Outage:
    return Outage(centre)


def names(outage: Outage, asked: dict[str, object]) -> set[str]:
    def look(session: Session) -> set[str]:
        chosen = audience.members(session, asked, outage.now).with_only_columns(Contact.name).order_by(None)
        return set(session.scalars(chosen))

    return outage.write(look)


def people(outage: Outage, work) -> set[str]:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Whom a plain reading of the demo's people gives."""
    return outage.write(lambda s: {c.name for c in s.scalars(select(Contact)) if work(c)})


def test_all_any_and_except(outage: Outage) -> None:
    three = people(outage, lambda c: c.building == "3")
    english = people(outage, lambda c: c.language == "en")
    everybody = names(outage, {"everybody": True})
    assert three - english
    assert three & english
    conditions = {"buildings": ["3"], "languages": ["en"]}
    assert names(outage, query_of("all", conditions)) == three & english
    assert names(outage, query_of("any", conditions)) == three | english
    assert names(outage, query_of("all", conditions, ["languages"])) == three - english
    assert names(outage, query_of("any", conditions, ["buildings", "languages"])) == everybody - (three & english)


def test_whom_a_listed_person_became_is_found(outage: Outage) -> None:
    old, new, staff = outage.contact("孙立夏"), outage.contact("李长河"), outage.staff("agent")
    outage.write(lambda s: contacts.merge(s, old, new, staff_id=staff, why="同一人", now=outage.now))
    assert names(outage, audience.audience_of([], [], contacts=[old])) == {"李长河"}
    assert names(outage, audience.audience_of([], [], contacts=[old, new])) == {"李长河"}


def test_segments_units_and_special_need(outage: Outage) -> None:
    segment = outage.write(audience.known_segments)[0]
    with_it = people(outage, lambda c: segment in c.segments)
    assert names(outage, query_of("all", {"segments": [segment]})) == with_it
    rest = names(outage, {"everybody": True}) - with_it
    assert names(outage, query_of("all", {"segments": [segment]}, ["segments"])) == rest
    need = people(outage, lambda c: c.vulnerable)
    assert names(outage, query_of("all", {"vulnerable": ["yes"]})) == need != set()
    assert names(outage, query_of("all", {"units": ["3-2"]})) <= people(outage, lambda c: c.building == "3")


async def test_open_cases_and_the_last_contact(outage: Outage, clock: ManualClock) -> None:
    who = outage.contact("赵春生")

    def opens(session: Session) -> None:
        cases.open_case(
            session,
            kind=CaseKind.REPAIR,
            contact_id=who,
            subject="不热",
            zone=outage.centre.settings.zone,
            now=outage.now,
        )

    outage.write(opens)
    await inbox.receive(outage.centre, Incoming(ChannelName.SMS, outage.phone("钱雪梅"), "m1", "你好"))
    assert names(outage, query_of("all", {"cases": ["repair"]})) == {"赵春生"}
    assert names(outage, query_of("all", {"cases": ["any"]})) == {"赵春生"}
    assert names(outage, query_of("all", {"cases": ["complaint"]})) == set()
    assert names(outage, query_of("all", {"contacted": ["7"]})) == {"钱雪梅"}
    clock.advance(timedelta(days=8))
    assert names(outage, query_of("all", {"contacted": ["7"]})) == set()
    assert "钱雪梅" in names(outage, query_of("all", {"contacted": ["7"]}, ["contacted"]))


def test_nothing_asked_is_nobody(outage: Outage) -> None:
    assert query_of("any", {"buildings": [" "], "segments": []}, ["segments"]) == {}
    assert names(outage, {}) == set()


def test_a_saved_audience_is_copied_into_the_draft(outage: Outage) -> None:
    ops, incident = outage.staff("ops"), outage.incident()
    three, five = query_of("all", {"buildings": ["3"]}), query_of("all", {"buildings": ["5"]})

    def save(asked: dict[str, object]) -> None:
        outage.write(lambda s: saved_audiences.keep(s, "三号楼", asked, staff_id=ops, now=outage.now))

    save(three)
    (saved,) = outage.write(saved_audiences.everything)
    draft = outage.write(
        lambda s: (
            announcements.draft(
                s, outage.centre, incident, staff_id=ops, now=outage.now, audience={"saved": saved.id}, text=TEXT
            ).id
        )
    )
    save(five)  # the name stands for something else now
    assert outage.broadcast(draft).audience == three
    (again,) = outage.write(saved_audiences.everything)
    assert (again.id, again.audience) == (saved.id, five)
    outage.write(lambda s: saved_audiences.drop(s, saved.id, staff_id=ops, now=outage.now))
    with pytest.raises(BroadcastRefusedError, match="audience_missing"):
        outage.write(lambda s: saved_audiences.resolved(s, {"saved": saved.id}))
    with pytest.raises(BroadcastRefusedError, match="audience_missing"):
        outage.write(lambda s: saved_audiences.keep(s, "名单", {"contacts": [1]}, staff_id=ops, now=outage.now))
