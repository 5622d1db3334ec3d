"""Templates kept at the console stand before those of the scripts; what a change replaces stays legible (REQ-F31)."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from bot.core.policy import Bilingual
from bot.core.words import BroadcastKind
from bot.services.announcements import announcement_templates as templates
from bot.services.announcements import announcements
from bot.services.announcements.announcement_templates import Draft
from bot.services.announcements.broadcasts import BroadcastRefusedError
from bot.services.centre import Centre
from store.tables import Incident
from tests.fakes.announcing import Outage

TEXT = Bilingual("{issuer}：{problem}。{scope}{eta}", "{issuer}: {problem}. {scope}{eta}")


@pytest.fixture
def outage(centre: Centre) -> Outage:
    return Outage(centre)


def keep(outage: Outage, draft: Draft, template_id: int | None = None, version: int = 0) -> int:
    who = outage.staff("supervisor")
    return outage.write(
        lambda s: templates.keep(s, outage.centre, template_id, draft, staff_id=who, now=outage.now, version=version)
    )


def words(outage: Outage, incident: int, kind: BroadcastKind = BroadcastKind.NOTICE, chosen: int = 0) -> str:
    def drafted(session: Session) -> str:
        about = session.get_one(Incident, incident)
        return announcements.drafted(session, outage.centre, about, kind, outage.now, chosen).zh

    return outage.write(drafted)


def test_the_types_own_comes_before_the_general_and_both_before_the_scripts(outage: Outage) -> None:
    incident = outage.incident()
    shipped = words(outage, incident)
    general = keep(outage, Draft("通用", "", BroadcastKind.NOTICE, TEXT))
    assert words(outage, incident).startswith("云栖综合服务中心：供热管道爆裂")
    keep(outage, Draft("爆管", "INC-29", BroadcastKind.NOTICE, Bilingual("爆管：{problem}", "Burst: {problem}")))
    keep(outage, Draft("停电", "INC-12", BroadcastKind.NOTICE, Bilingual("停电", "Power")))
    assert words(outage, incident).startswith("爆管：")
    assert words(outage, incident, chosen=general).startswith("云栖")
    assert words(outage, incident, BroadcastKind.UPDATE).startswith("【")
    assert shipped.startswith("【")


def test_a_change_keeps_what_it_replaced_and_a_stale_one_is_refused(outage: Outage) -> None:
    template = keep(outage, Draft("通用", "", BroadcastKind.NOTICE, TEXT))
    keep(outage, Draft("通用", "", BroadcastKind.NOTICE, Bilingual("新", "new")), template, 1)
    (before,) = outage.write(lambda s: templates.versions(s, template))
    assert before.text == TEXT
    with pytest.raises(BroadcastRefusedError, match="changed_meanwhile"):
        keep(outage, Draft("通用", "", BroadcastKind.NOTICE, TEXT), template, 1)


def test_a_retired_one_is_offered_no_more_and_frees_its_name(outage: Outage) -> None:
    incident = outage.incident()
    template = keep(outage, Draft("通用", "", BroadcastKind.NOTICE, TEXT))
    who = outage.staff("supervisor")
    outage.write(lambda s: templates.retire(s, template, staff_id=who, now=outage.now))
    assert words(outage, incident).startswith("【")
    assert keep(outage, Draft("通用", "", BroadcastKind.NOTICE, TEXT)) != template
    with pytest.raises(BroadcastRefusedError, match="not_found"):
        outage.write(lambda s: templates.retire(s, template, staff_id=who, now=outage.now))


@pytest.mark.parametrize(
    ("draft", "code"),
    [
        (Draft("", "", BroadcastKind.NOTICE, TEXT), "template_name"),
        (Draft("甲", "INC-99", BroadcastKind.NOTICE, TEXT), "template_name"),
        (Draft("甲", "", BroadcastKind.NOTICE, Bilingual("{issuer}", "")), "text_missing"),
        (Draft("甲", "", BroadcastKind.NOTICE, Bilingual("{who}", "x")), "template_blank"),
        (Draft("甲", "", BroadcastKind.NOTICE, Bilingual("{issuer", "x")), "template_blank"),
        (Draft("甲", "", BroadcastKind.NOTICE, Bilingual("{issuer.__class__}", "x")), "template_blank"),
        (Draft("甲", "", BroadcastKind.NOTICE, Bilingual("长" * 1001, "x")), "text_long"),
        (Draft("有了", "", BroadcastKind.NOTICE, TEXT), "template_taken"),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_cannot_be_a_template_is_refused(outage: Outage, draft: Draft, code: str) -> None:
    keep(outage, Draft("有了", "", BroadcastKind.UPDATE, TEXT))
    with pytest.raises(BroadcastRefusedError, match=code):
        keep(outage, draft)
