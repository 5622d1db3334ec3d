"""A list at the console: brought, its columns mapped beside a preview, loaded, its faulty rows fetched."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from bot.core.words import Role
from store.tables import AuditEntry, Event, ImportJob
from tests.fakes.desk import Desk, columns_of
from tests.fakes.house import House

LIST = (
    "号,患者姓名,联系电话,哪天来的,类别\nV1,王秀英,13900010001,2026-07-01 09:30,到诊未消费\nV2,李强,12,前天,到诊消费\n"
)
MAPPED = ["external_id", "name", "phone", "visited_at", "kind"]


async def brought(desk: Desk, content: str = LIST) -> str:
    await desk.see("/console/callbacks/import")
    return await desk.do("/console/callbacks/import", files={"file": ("名单.csv", content.encode(), "text/csv")})


async def test_a_list_is_mapped_seen_and_then_taken_in(house: House) -> None:
    desk = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    at = await brought(desk)
    page = await desk.see(at)
    assert columns_of(page) == ["-", "name", "phone", "-", "kind"]
    assert "2026-07-01 09:30" in page  # what stands in the column
    assert "columns_missing" in await desk.do(f"{at}/start", column=columns_of(page))
    assert "column_twice" in await desk.do(f"{at}/columns", column=["name", *MAPPED[1:]])
    assert await desk.do(f"{at}/columns", column=MAPPED) == at
    page = await desk.see(at)
    assert "将新增 1" in page
    assert "第 3 行“电话”" in page
    assert "+8613900010001" in page
    assert "名单.csv" in await desk.see("/console/callbacks/import")
    assert house.centre.db.read_now(lambda s: s.scalars(select(Event)).all()) == []
    assert await desk.do(f"{at}/start", column=MAPPED) == at
    assert '<progress max="2" value="0"' in await desk.see(at)
    await house.settle()
    page = await desk.see(at)
    assert "新增 1" in page
    assert "第 3 行" in page
    assert "13900010001" not in page
    for kind in ("xlsx", "csv"):
        answer = await desk.client.get(f"{at}/faults.{kind}")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert "李强,12,前天,到诊消费,联系电话: 不是能拨打的电话号码" in answer.text
    entries = house.centre.db.read_now(lambda s: s.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all())
    assert ("visits.import" in entries, entries.count("import.faults")) == (True, 2)
    assert f'href="{at}"' in await desk.see("/console/callbacks/import")
    assert columns_of(await desk.see(await brought(desk))) == MAPPED  # the next one with the same heading


async def test_a_draft_is_its_owners_and_faulty_rows_too(house: House) -> None:
    owner = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    at = await brought(owner)
    other = await Desk.of(house.centre, house.client, Role.LEADER)
    await other.see("/console/callbacks/import")
    await other.see(at, status=404)
    for action in ("columns", "start"):
        await other.do(f"{at}/{action}", status=404, column=MAPPED)
    owner = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    await owner.see(at)
    await owner.do(f"{at}/start", column=MAPPED)
    await house.settle()
    other = await Desk.of(house.centre, house.client, Role.LEADER)
    assert "faults.csv" not in await other.see(at)
    await other.see(f"{at}/faults.csv", status=404)


@pytest.mark.parametrize("running", [False, True])
async def test_a_list_is_stopped(house: House, running: bool) -> None:
    desk = await Desk.of(house.centre, house.client, Role.SUPERVISOR)
    at = await brought(desk)
    await desk.see(at)
    if running:
        await desk.do(f"{at}/start", column=MAPPED)
    assert "import_cancelled" in await desk.do(f"{at}/cancel")
    await house.settle()
    assert house.centre.db.read_now(lambda s: s.scalars(select(Event)).all()) == []
    assert house.centre.db.read_now(lambda s: s.scalars(select(ImportJob.state)).all()) == ["cancelled"]
    assert "import_over" in await desk.do(f"{at}/cancel")
