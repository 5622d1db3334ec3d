"""The preparation card, and that nobody is dialled without a name and a purpose (REQ-C20)."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.core.plan import Trigger
from bot.core.words import CallbackState, ChannelName, FollowUpGroup, Language
from bot.services import contacts
from bot.services.calls.callback_changes import CallbackRefusedError
from bot.services.centre import Centre
from bot.services.plans import followups, preparation
from bot.services.plans.planning import Occurrence
from scripts.policies import PolicyError
from scripts.preparation import load_preparations
from store.tables import CallAttempt, Callback, Contact, Revision, Staff
from tests.conftest import ROOT
from tests.fakes.house import House

PHONE = "+8613900010001"


def recorded(centre: Centre, name: str, title: str = "", **details: str) -> int:
    what = Occurrence(
        "visits", "V1", Trigger.VISITED_NO_PURCHASE, PHONE, name, centre.clock.now(), title=title, details=details
    )
    return centre.db.write_now(lambda s: followups.record(s, centre, what, centre.clock.now()).callback_id or 0)


def agent(centre: Centre) -> int:
    return centre.db.read_now(lambda s: s.scalars(select(Staff.id).where(Staff.username == "agent")).one())


def card(centre: Centre, callback_id: int, language: Language = Language.ZH) -> preparation.Card:
    shelf, now = centre.library.current, centre.clock.now()
    return centre.db.read_now(lambda s: preparation.prepare(s, shelf, s.get_one(Callback, callback_id), language, now))


def test_every_plan_has_a_card_in_both_languages() -> None:
    cards = load_preparations((ROOT / "scripts",))
    assert set(cards) == set(FollowUpGroup)
    for each in cards.values():
        assert each.refusals
        for words in (each.reason, *(x for e in (*each.questions, *each.refusals) for x in (e.ask, e.answer))):
            assert words.zh
            assert words.en


def test_a_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "preparation.yml").write_text('visited_no_purchase:\n  raeson: {zh: "为", en: "why"}\n', "utf-8")
    with pytest.raises(PolicyError, match=r"preparation.yml:2: .*raeson"):
        load_preparations((ROOT / "scripts", tmp_path))


def test_what_the_list_tells_stands_on_the_card(centre: Centre) -> None:
    callback_id = recorded(centre, "李强", title="先生", department="口腔科", age="46", interests="园艺")
    told = card(centre, callback_id)
    assert (told.name, told.title, told.age, told.interests, told.missing) == ("李强", "先生", 46, "园艺", "")
    assert told.reason.startswith("口腔科 · ")
    assert len(told.asks) >= 2
    assert told.card is not None
    assert card(centre, callback_id, Language.EN).reason != told.reason


def test_what_an_agent_finds_out_is_kept_and_legible(centre: Centre) -> None:
    callback_id = recorded(centre, "李强")

    def write(revision: int, **known: str) -> None:
        now = centre.clock.now()
        centre.db.write_now(
            lambda s: preparation.write(
                s, callback_id, known=known, notes="先问伤口", revision=revision, staff_id=agent(centre), now=now
            )
        )

    write(0, birth_year="1980", interests="钓鱼", name="")
    told = card(centre, callback_id)
    assert (told.age, told.interests, told.notes, told.name) == (46, "钓鱼", "先问伤口", "李强")
    with pytest.raises(CallbackRefusedError, match="callback_changed"):
        write(0)
    with pytest.raises(CallbackRefusedError, match="birth_year_bad"):
        write(1, birth_year="80")
    fields = centre.db.read_now(lambda s: s.scalars(select(Revision.field).order_by(Revision.id)).all())
    assert {"birth_year", "interests", "notes"} <= set(fields)


async def test_nobody_is_dialled_without_a_name(house: House) -> None:
    centre = house.centre

    def nameless(session: Session) -> int:
        now = house.clock.now()
        what = Occurrence("visits", "V9", Trigger.VISITED_NO_PURCHASE, PHONE, "", now)
        return followups.record(session, centre, what, now).callback_id or 0

    callback_id = await centre.db.write(nameless)
    await house.advance(hours=4, minutes=35)  # 14:35: the window is open

    def state() -> tuple[CallbackState, list[str], int]:
        return centre.db.read_now(
            lambda s: (
                s.get_one(Callback, callback_id).state,
                s.get_one(Callback, callback_id).flags,
                s.scalar(select(func.count()).select_from(CallAttempt)) or 0,
            )
        )

    assert state() == (CallbackState.SCHEDULED, ["name_missing"], 0)

    now = house.clock.now()
    await centre.db.write(
        lambda s: preparation.write(
            s, callback_id, known={"name": "吴小雨"}, notes="", revision=0, staff_id=agent(centre), now=now
        )
    )
    await house.settle()
    assert state()[1:] == ([], 1)
    name = centre.db.read_now(lambda s: s.scalars(select(Contact.name).where(Contact.name == "吴小雨")).one())
    assert name
    assert centre.db.read_now(lambda s: contacts.find_address(s, ChannelName.VOICE, PHONE)) is not None
