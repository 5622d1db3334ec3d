"""Systems somewhere else: asked within a time limit, remembered for a moment, left alone after a failure."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from bot.core.facts import MAX_ROWS, Change, Outcome, Question, Span, TooManyError
from bot.core.policy import FactSource
from bot.services.facts.fact_sources import PatientFacts
from bot.services.facts.facts_http import HttpSource
from scripts.loader import SHIPPED
from store.facts import SqlSource
from tests.fakes.shop import TOKEN, Shop, serving

ZONE = ZoneInfo("Asia/Shanghai")
PRODUCTS = Question("products")
MUG = {"product_no": "MUG1", "name_zh": "马克杯", "name_en": "Mug", "stock": 8}
ORDER = {"order_no": "A1", "phone": "13800000000", "state": "paid", "ordered_at": "2026-07-01T09:00:00+08:00"}
CANCEL = Change("orders", (("order_no", "A1"),), (("change", "cancel"), ("value", "")), "key-1")


class Seconds:
    """A machine's clock to move by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def shop() -> Iterator[Shop]:
    with serving({"products": [MUG], "orders": []}) as shop:
        yield shop


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
async def facts(shop: Shop, seconds: Seconds) -> PatientFacts:
    return patient(HttpSource(shop.url, TOKEN, ZONE, 5), seconds)


def patient(
    source: HttpSource | SqlSource, seconds: Seconds, timeout: float = 5, *, read_only: bool = False
) -> PatientFacts:
    figures = FactSource(timedelta(seconds=timeout), timedelta(seconds=10), timedelta(days=3))
    return PatientFacts(source, lambda: figures, read_only=read_only, monotonic=seconds)


async def test_an_answer_is_used_again_for_a_moment(facts: PatientFacts, shop: Shop, seconds: Seconds) -> None:
    assert await facts.rows(PRODUCTS) == (MUG,)
    assert await facts.rows(PRODUCTS) == (MUG,)
    assert len(shop.asked) == 1
    shop.tables["products"][0] = {**MUG, "stock": 7}
    seconds.now += 11
    assert await facts.rows(PRODUCTS) == ({**MUG, "stock": 7},)
    await facts.close()


async def test_that_there_is_none_is_an_answer_and_remembered_too(facts: PatientFacts, shop: Shop) -> None:
    nobody = Question("orders", (("order_no", "A1"),))
    assert [await facts.rows(nobody) for _ in range(3)] == [(), (), ()]
    assert shop.asked == ["/orders?order_no=A1"]
    await facts.close()


async def test_many_turns_ask_once(facts: PatientFacts, shop: Shop) -> None:
    shop.gate.clear()
    asking = [asyncio.create_task(facts.rows(PRODUCTS)) for _ in range(20)]
    while not shop.asked:
        await asyncio.sleep(0.01)
    asking[0].cancel()  # one who gives up spoils it for nobody
    shop.gate.set()
    assert await asyncio.gather(*asking[1:]) == [(MUG,)] * 19
    assert len(shop.asked) == 1
    await facts.close()


async def test_a_failed_system_is_left_alone_and_tried_again(facts: PatientFacts, shop: Shop, seconds: Seconds) -> None:
    shop.status = 503
    assert await facts.rows(PRODUCTS) is None
    assert not facts.health().ok
    assert await facts.rows(Question("promotions")) is None
    assert len(shop.asked) == 1
    shop.status = 200
    seconds.now += 2
    assert await facts.rows(PRODUCTS) == (MUG,)
    assert facts.health().ok
    await facts.close()


async def test_a_slow_system_is_not_waited_for(shop: Shop, seconds: Seconds) -> None:
    facts = patient(HttpSource(shop.url, TOKEN, ZONE, 5), seconds, timeout=0.05)
    shop.gate.clear()
    assert await facts.rows(PRODUCTS) is None
    assert facts.health().detail == "TimeoutError"
    await facts.close()


async def test_a_system_that_is_not_there(seconds: Seconds) -> None:
    facts = patient(HttpSource("http://127.0.0.1:1", TOKEN, ZONE, 5), seconds)
    assert await facts.rows(PRODUCTS) is None
    assert (await facts.change(CANCEL)).outcome is Outcome.UNSURE
    assert facts.health().detail == "ConnectError"
    await facts.close()


async def test_a_wrong_token_is_a_failure(shop: Shop, seconds: Seconds) -> None:
    facts = patient(HttpSource(shop.url, "another", ZONE, 5), seconds)
    assert await facts.rows(PRODUCTS) is None
    assert facts.health().detail == "HTTP 401"
    await facts.close()


async def test_an_odd_answer_stops_only_its_own_table(facts: PatientFacts, shop: Shop) -> None:
    shop.tables["products"][0] = {**MUG, "stock": "some"}
    assert await facts.rows(PRODUCTS) is None
    assert "stock: “some”" in facts.health().detail
    assert await facts.rows(Question("orders")) == ()
    await facts.close()


async def test_rows_that_were_not_asked_for_are_dropped(facts: PatientFacts, shop: Shop) -> None:
    """A system that disregards the key tells nobody else's order."""
    order = {"order_no": "B2", "phone": "13800000000", "state": "paid", "ordered_at": "2026-07-01"}
    shop.body = f'{{"rows": [{str(order).replace(chr(39), chr(34))}]}}'
    assert await facts.rows(Question("orders", (("order_no", "A1"),))) == ()
    assert len(await facts.rows(Question("orders", (("order_no", "b2"),))) or ()) == 1
    await facts.close()


async def test_a_rehearsal_looks_up_and_changes_nothing(shop: Shop, seconds: Seconds) -> None:
    facts = patient(HttpSource(shop.url, TOKEN, ZONE, 5), seconds, read_only=True)
    assert await facts.rows(PRODUCTS) == (MUG,)
    assert (await facts.change(CANCEL)).outcome is Outcome.CANNOT
    assert shop.posts == []
    await facts.close()


async def test_what_was_changed_is_looked_up_anew(facts: PatientFacts, shop: Shop) -> None:
    await facts.rows(Question("orders"))
    assert (await facts.change(CANCEL)).outcome is Outcome.TAKEN
    await facts.rows(Question("orders"))
    assert len(shop.asked) == 2
    await facts.close()


# ── SQL ──


@pytest.fixture(params=["sqlite", "postgres"])
def own_tables(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A shop's own database: a table, and a view without every column."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'shop.db'}"
    else:
        url = request.getfixturevalue("migrated_postgres").replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE goods (sku VARCHAR(20), zh TEXT, en TEXT, n INTEGER)"))
        connection.execute(text("INSERT INTO goods VALUES ('MUG1', '马克杯', 'Mug', 8)"))
        connection.execute(
            text(
                "CREATE VIEW products AS SELECT sku AS product_no, zh AS name_zh, en AS name_en, n AS stock FROM goods"
            )
        )
        connection.execute(
            text("CREATE TABLE orders (order_no TEXT, phone TEXT, state TEXT, ordered_at TIMESTAMP, secret TEXT)")
        )
        connection.execute(
            text("INSERT INTO orders VALUES ('A1', '13800000000', 'paid', '2026-07-01 09:00:00.000000', 's')")
        )
    yield url
    with engine.begin() as connection:
        for what in ("VIEW products", "TABLE goods", "TABLE orders"):
            connection.execute(text(f"DROP {what}"))
    engine.dispose()


async def test_tables_and_views_of_a_database(own_tables: str, seconds: Seconds) -> None:
    facts = patient(SqlSource(own_tables, ZONE), seconds)
    assert await facts.rows(PRODUCTS) == (MUG,)
    (order,) = await facts.rows(Question("orders", (("phone", "+8613800000000"),))) or ()
    assert order["ordered_at"].isoformat() == "2026-07-01T09:00:00+08:00"
    assert "secret" not in order
    assert await facts.rows(Question("orders", (("order_no", "a1"),))) == (order,)
    assert await facts.rows(Question("orders", (("order_no", "A2' OR '1'='1"),))) == ()
    assert await facts.rows(Question("orders", (("tracking_no", "A1"),))) is None
    assert await facts.rows(Question("coupons")) is None
    assert (await facts.change(CANCEL)).outcome is Outcome.CANNOT
    assert facts.health().ok
    await facts.close()


MORNING = Span(datetime(2026, 7, 1, 8, tzinfo=ZONE), datetime(2026, 7, 1, 10, tzinfo=ZONE))
PAID = Question("orders", (("state", "paid"),))


async def test_a_database_gives_the_orders_that_moved(own_tables: str, seconds: Seconds) -> None:
    facts = patient(SqlSource(own_tables, ZONE), seconds)
    (order,) = await facts.moved(PAID, MORNING) or ()
    assert order["order_no"] == "A1"
    first, second = MORNING.halves()
    assert await facts.moved(PAID, first) == ()
    assert await facts.moved(PAID, second) == (order,)
    assert await facts.moved(Question("orders", (("state", "unpaid"),)), MORNING) == ()
    await facts.close()


async def test_a_service_gives_the_orders_that_moved(shop: Shop, facts: PatientFacts) -> None:
    early = {**ORDER, "order_no": "A0", "ordered_at": "2026-07-01T07:59:59+08:00"}
    moved = {**ORDER, "order_no": "A2", "ordered_at": "2026-06-01T09:00:00+08:00", "trace_at": ORDER["ordered_at"]}
    shop.tables["orders"] = [early, dict(ORDER), moved]
    assert [row["order_no"] for row in await facts.moved(PAID, MORNING) or ()] == ["A1", "A2"]
    assert len(shop.asked) == 1
    shop.tables["orders"] = [{**ORDER, "order_no": f"B{n}"} for n in range(MAX_ROWS + 1)]
    with pytest.raises(TooManyError):
        await facts.moved(PAID, MORNING)
    assert facts.health().ok


async def test_a_service_that_knows_no_spans_is_asked_for_all(shop: Shop, facts: PatientFacts) -> None:
    shop.heeds = False
    shop.tables["orders"] = [dict(ORDER), {**ORDER, "order_no": "A2", "ordered_at": "2026-07-01T11:00:00+08:00"}]
    for _ in range(2):
        assert [row["order_no"] for row in await facts.moved(PAID, MORNING) or ()] == ["A1"]
    assert ["moved_from" in path for path in shop.asked] == [True, False, False]


async def test_a_database_that_is_not_there(seconds: Seconds) -> None:
    facts = patient(SqlSource("postgresql://nobody@127.0.0.1:1/none", ZONE), seconds)
    assert await facts.rows(PRODUCTS) is None
    assert not facts.health().ok
    await facts.close()


# ── the operators' page ──


async def test_the_example_on_the_operators_page_works(seconds: Seconds, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (SHIPPED / "README.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert example is not None
    there: dict[str, object] = {"__name__": "shop"}
    exec(compile(example[1], "shop.py", "exec"), there)
    door = there["Shop"]
    assert isinstance(door, type)
    assert issubclass(door, BaseHTTPRequestHandler)
    monkeypatch.setattr(door, "log_message", lambda *_: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), door) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        facts = patient(HttpSource(url, str(there["TOKEN"]), ZONE, 5), seconds)
        (mug,) = await facts.rows(PRODUCTS) or ()
        assert mug["stock"] == 8
        mine = Question("orders", (("phone", "+8619900000109"),))
        (order,) = await facts.rows(mine) or ()
        cancel = Change("orders", (("order_no", order["order_no"]),), CANCEL.values, "key-2")
        assert (await facts.change(cancel)).outcome is Outcome.TAKEN
        assert [row["state"] for row in await facts.rows(mine) or ()] == ["cancelled"]
        assert (await facts.change(Change("coupons", (), (), "key-3"))).outcome is Outcome.CANNOT
        await facts.close()
        server.shutdown()
        thread.join()
