"""Tags: free labels on a customer, kept through a merge, gone with an erasure, and what an announcement may go by."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.services import contacts, search, tags
from bot.services.announcements import audience, previews
from bot.services.announcements.audience import audience_of, query_of
from bot.services.centre import Centre
from bot.services.plans import imports
from bot.services.tags import TagRefusedError
from store.tables import AuditEntry, Broadcast, Contact, Revision
from tests.fakes.announcing import Outage

ZHAO, SUN, LI = "赵春生", "孙立夏", "李长河"


@pytest.fixture
def outage(centre: Centre) -> Outage:
    return Outage(centre)


def put(outage: Outage, name: str, words: str) -> None:
    who, staff = outage.contact(name), outage.staff("agent")
    outage.write(lambda s: tags.add(s, who, words, now=outage.now, staff_id=staff))


def on(outage: Outage, name: str) -> list[str]:
    return outage.write(lambda s: list(s.scalars(select(Contact.tags).where(Contact.name == name)).one()))


def names(outage: Outage, asked: dict[str, object]) -> set[str]:
    def look(session: Session) -> set[str]:
        chosen = audience.members(session, asked, outage.now).with_only_columns(Contact.name).order_by(None)
        return set(session.scalars(chosen))

    return outage.write(look)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("独居、志愿者", ["独居", "志愿者"]),
        (" VIP ; vip，ＶＩＰ ", ["VIP"]),
        ("lives   alone", ["lives alone"]),
        ("", []),
        ("，、", []),
    ],
)
def test_tags_are_read_as_people_write_them(text: str, found: list[str]) -> None:
    assert tags.read(text) == found


@pytest.mark.parametrize(("text", "code"), [("长" * 25, "tag_long"), ("、".join(map(str, range(21))), "tags_many")])
def test_what_is_no_tag_is_said(text: str, code: str) -> None:
    with pytest.raises(TagRefusedError, match=code):
        tags.read(text)


def test_put_on_and_taken_off_with_a_trace(outage: Outage) -> None:
    put(outage, SUN, "独居、VIP")
    put(outage, LI, "vip")
    assert (on(outage, SUN), on(outage, LI)) == (["独居", "VIP"], ["VIP"])
    assert outage.write(tags.known) == {"VIP": 2, "独居": 1}
    sun, staff = outage.contact(SUN), outage.staff("agent")
    for _ in range(2):
        outage.write(lambda s: tags.remove(s, sun, "VIP", now=outage.now, staff_id=staff))
    assert on(outage, SUN) == ["独居"]

    def traces(session: Session) -> tuple[list[str], list[object]]:
        actions = session.scalars(
            select(AuditEntry.action).where(AuditEntry.action.like("contact.%tag")).order_by(AuditEntry.id)
        )
        olds = session.scalars(
            select(Revision.new).where(Revision.field == "tags", Revision.subject_id == sun).order_by(Revision.id)
        )
        return list(actions), list(olds)

    assert outage.write(traces) == (["contact.tag", "contact.tag", "contact.untag"], [["独居", "VIP"], ["独居"]])
    for empty in ("", "，"):
        with pytest.raises(TagRefusedError, match="tag_empty"):
            put(outage, SUN, empty)
    put(outage, LI, "、".join(map(str, range(19))))
    with pytest.raises(TagRefusedError, match="tags_many"):
        put(outage, LI, "one more")


def test_a_merge_keeps_both_and_search_finds_them(outage: Outage) -> None:
    put(outage, SUN, "独居、VIP")
    put(outage, LI, "VIP、志愿者")
    sun, li, staff = outage.contact(SUN), outage.contact(LI), outage.staff("agent")
    outage.write(lambda s: contacts.merge(s, sun, li, staff_id=staff, why="同一人", now=outage.now))
    assert on(outage, LI) == ["VIP", "志愿者", "独居"]
    assert outage.write(tags.known) == {"VIP": 1, "志愿者": 1, "独居": 1}
    assert outage.write(lambda s: search.people(s, "vip", 10)) == [li]
    put(outage, SUN, "搬走了")  # whoever they became carries it
    assert on(outage, LI)[-1] == "搬走了"


def test_an_audience_by_tag_alone_and_with_the_rest(outage: Outage) -> None:
    put(outage, SUN, "独居")
    put(outage, ZHAO, "独居、志愿者")
    three = names(outage, audience_of(["3"], []))
    everybody = names(outage, {"everybody": True})
    assert names(outage, audience_of([], [], tags=["独居"])) == {SUN, ZHAO}
    assert names(outage, audience_of(["3"], [], tags=["志愿者"])) == {ZHAO}
    assert names(outage, audience_of(["9"], [], tags=["独居"])) == set()
    without = audience_of(["3"], [], without=[audience_of([], [], tags=["独居"])])
    assert names(outage, without) == three - {SUN, ZHAO}
    assert names(outage, query_of("all", {"tags": ["独居", "没有人"]})) == {SUN, ZHAO}
    assert names(outage, query_of("all", {"tags": ["独居"]}, ["tags"])) == everybody - {SUN, ZHAO}
    assert names(outage, query_of("any", {"tags": ["志愿者"], "segments": ["没有"]})) == {ZHAO}


def test_a_preview_counts_them(outage: Outage) -> None:
    put(outage, SUN, "独居")
    notice = outage.draft(outage.incident())

    def look(session: Session) -> int:
        broadcast = session.get_one(Broadcast, notice)
        broadcast.audience = audience_of([], [], tags=["独居"])
        return previews.preview(session, outage.centre, broadcast, outage.now).size

    assert outage.write(look) == 1


def test_a_list_brings_them(outage: Outage) -> None:
    rows = (
        "姓名,电话,到诊时间,事件,标签\n"
        "周小满,+8619900008801,2026-06-30 10:00,到诊未消费,独居、志愿者\n"
        f"孙立夏,{outage.phone(SUN)},2026-06-30 10:00,到诊未消费,老客户\n"
        f"周大雪,+8619900008803,2026-06-30 10:00,到诊未消费,{'长' * 25}\n"
    )
    loaded = imports.import_file(outage.centre, "标签.csv", rows.encode(), now=outage.now)
    assert [(each.line, each.field, each.code) for each in loaded.refused] == [(4, "tags", "tag_long")]
    assert on(outage, "周小满") == ["独居", "志愿者"]
    assert on(outage, SUN) == ["老客户"]
