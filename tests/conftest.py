"""What the tests stand on.

`db` is an empty, migrated database, once on SQLite and once on PostgreSQL; `clock` a clock to move by hand; `centre`
the house built on both with the demo's people and policies; `house` that centre running, with `house.client` (also
`client`) to speak to it and `await house.advance(minutes=5)` to let time pass. A test for one database alone says
`@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)`.
"""

from __future__ import annotations

import fcntl
import importlib
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import httpx
import hypothesis
import pytest
from sqlalchemy import Table, create_engine, insert, select
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from bot.settings import PACKS, Settings
from store.db import Database, offline_engine
from store.migrate import upgrade
from store.tables import Base
from store.vault import Vault
from tests.fakes import postgres
from tests.fakes.clock import ManualClock

if TYPE_CHECKING:
    from bot.services.centre import Centre
    from bot.services.library import Library
    from nlu.understanding import Understanding
    from tests.fakes.house import House
    from tests.fakes.twilio import Twilio

ROOT = Path(__file__).parents[1]
SECRET = "a secret for tests"
LONG = ("tests/nlu/test_rasa.py", "tests/crash/", "tests/browser/")
WEDNESDAY = datetime(2026, 7, 1, 10, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
DemoRows = dict[tuple[object, ...], list[tuple[Table, list[dict[str, object]]]]]
CI = os.environ.get("CI") == "true"
hypothesis.settings.load_profile("ci")  # the same cases everywhere, and a busy machine is no fault of theirs


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In whatever order the others come, the files that take longest come first, else one process is left with them."""

    def place(item: pytest.Item) -> int:
        return next((n for n, long in enumerate(LONG) if item.nodeid.startswith(long)), len(LONG))

    items.sort(key=place)


@pytest.fixture(scope="session", autouse=True)
def _own_environment() -> None:
    """No setting of the person who runs the tests reaches them."""
    for name in [name for name in os.environ if name.startswith("HOTLINE_") and not name.startswith("HOTLINE_TEST_")]:
        del os.environ[name]


# ── databases ──


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file to copy."""
    path = tmp_path_factory.mktemp("schema") / "empty.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres() -> Iterator[str]:
    """A migrated PostgreSQL database of this process's own."""
    if trouble := postgres.answers():
        if CI:
            pytest.fail(trouble)
        pytest.skip(trouble)
    name = f"hotline_test_{os.getpid()}"
    postgres.drop(name)
    yield postgres.create(name, durable=False)
    postgres.drop(name)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a migrated database without a row: the same for every test, so that what SQLAlchemy has compiled for
    one serves the next."""
    if request.param == "sqlite":
        empty: Path = request.getfixturevalue("migrated_sqlite")
        path = empty.with_name("hotline.db")
        offline_engine(f"sqlite:///{path}").dispose()
        for left in empty.parent.glob("hotline.db*"):
            left.unlink()
        shutil.copyfile(empty, path)
        return f"sqlite:///{path}"
    url: str = request.getfixturevalue("migrated_postgres")
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool)
    postgres.empty(engine)
    engine.dispose()
    return url


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """An empty database."""
    database = Database(database_url, Vault(SECRET))
    yield database
    database.close()


# ── the house ──


@pytest.fixture
async def twilio() -> AsyncIterator[Twilio]:
    """A Twilio of our own, at an address of its own."""
    fakes = importlib.import_module("tests.fakes.twilio")
    async with fakes.serving(fakes.Twilio()) as carrier:
        yield carrier


@pytest.fixture
def clock() -> ManualClock:
    """Domain time stands at ten on a Wednesday morning in summer, in Shanghai."""
    return ManualClock(WEDNESDAY.astimezone(UTC))


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """As shipped, on the test's database and folder."""
    return Settings(
        _env_file=None,  # type: ignore[call-arg]  # pydantic-settings takes it, its signature does not say so
        data_dir=tmp_path / "data",
        database_url=database_url,
        secret=SECRET,
        api_token="a token for tests",
    )


@pytest.fixture(scope="session")
def models() -> Path:
    """Where the shipped examples' model is: trained by whoever wants it first, kept beside a developer's own."""
    folder = ROOT / ".hotline" / "models"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "training.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        importlib.import_module("nlu.embedded").load(ROOT / "nlu" / "data", folder)
    return folder


@pytest.fixture(scope="session")
def understanding(models: Path) -> Understanding:
    understanding: Understanding = importlib.import_module("nlu.understanding").Understanding(
        ROOT / "nlu" / "data", models
    )
    return understanding


@pytest.fixture(scope="session")
def shipped() -> tuple[Library, list[ManualClock]]:
    """The shipped scripts with the demo's figures, read once; its calendar follows the clock that is put last."""
    clocks = [ManualClock(WEDNESDAY)]
    library = importlib.import_module("bot.services.library").Library(
        [ROOT / "scripts", ROOT / "scripts" / "demo"], frozenset(PACKS), lambda: clocks[-1].now()
    )
    return library, clocks


@pytest.fixture(scope="session")
def demo_rows() -> DemoRows:
    """What the demo and the shipped scripts are in the database, by what they depend on: made once, then copied."""
    return {}


@pytest.fixture
def centre(
    settings: Settings,
    db: Database,
    clock: ManualClock,
    understanding: Understanding,
    shipped: tuple[Library, list[ManualClock]],
    demo_rows: DemoRows,
) -> Centre:
    """What bot.app.build makes, with the demo's people, on the test's database and clock."""
    app = importlib.import_module("bot.app")
    demo = importlib.import_module("bot.services.demo")
    library, clocks = shipped
    clocks[:] = [clock]
    shelf = library.current
    same = (db.is_sqlite, settings.timezone, clock.now(), shelf.book.version, shelf.policies_version)
    if same in demo_rows:
        db.write_now(lambda session: [session.execute(insert(table), rows) for table, rows in demo_rows[same] if rows])
    else:
        before = dict(db.read_now(_every_row))
        db.write_now(lambda session: demo.load(session, settings.timezone, clock.now()))
        db.write_now(lambda session: library.keep(session, clock.now()))
        after = db.read_now(_every_row)
        demo_rows[same] = [(table, [row for row in rows if row not in before.get(table, ())]) for table, rows in after]
    centre: Centre = importlib.import_module("bot.services.centre").Centre(
        settings=settings,
        clock=clock,
        db=db,
        library=library,
        understanding=understanding,
        facts=importlib.import_module("bot.services.facts.fact_sources").connect(settings, library),
        channels=app._channels(settings, db, clock, library),
        worker="test",
    )
    return centre


def _every_row(session: Session) -> list[tuple[Table, list[dict[str, object]]]]:
    found = (
        (table, [dict(row) for row in session.execute(select(table)).mappings()])
        for table in Base.metadata.sorted_tables
    )
    return [(table, rows) for table, rows in found if rows]


@pytest.fixture
async def house(centre: Centre, clock: ManualClock) -> AsyncIterator[House]:
    """The program, running; its heartbeat beats when told."""
    app = importlib.import_module("bot.app").create_app(centre, heartbeat=False)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://hotline.test") as client,
    ):
        house: House = importlib.import_module("tests.fakes.house").House(centre, clock, app, client)
        yield house


@pytest.fixture
def client(house: House) -> httpx.AsyncClient:
    """A browser or a program at the door of `house`."""
    return house.client
