"""Who asks a provider for updates: one at a time, and another as soon as that one is gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.core.words import ChannelName
from bot.services import workers
from bot.services.conversation import polling
from store.db import Database

TELEGRAM = ChannelName.TELEGRAM
NOW = datetime(2026, 7, 1, 2, 0, tzinfo=UTC)


def lease(db: Database, worker: str, seconds: float, **more: bool) -> bool:
    return db.write_now(lambda s: polling.lease(s, TELEGRAM, worker, NOW + timedelta(seconds=seconds), **more))


def beat(db: Database, worker: str, seconds: float) -> None:
    db.write_now(lambda s: workers.beat(s, worker, NOW + timedelta(seconds=seconds)))


def test_one_asks_and_the_others_stand_back(db: Database) -> None:
    beat(db, "a", 0)
    assert lease(db, "a", 0)
    assert not lease(db, "b", 5)
    assert lease(db, "a", 10)
    db.write_now(lambda s: polling.leave(s, TELEGRAM, "b", NOW))
    assert not lease(db, "b", 15)
    db.write_now(lambda s: polling.leave(s, TELEGRAM, "a", NOW + timedelta(seconds=15)))
    assert lease(db, "b", 16)


@pytest.mark.parametrize(("seconds", "alive_at"), [(61, 60), (25, 0)], ids=["silent", "dead"])
def test_an_asker_that_is_gone_is_followed(db: Database, seconds: float, alive_at: float) -> None:
    beat(db, "a", 0)
    assert lease(db, "a", 0)
    beat(db, "a", alive_at)
    assert lease(db, "b", seconds)


def test_who_is_alone_need_not_wait(db: Database) -> None:
    beat(db, "a", 0)
    assert lease(db, "a", 0)
    assert lease(db, "b", 1, alone=True)


def test_health_says_silence_and_trouble(db: Database) -> None:
    def health(seconds: float) -> polling.Health | None:
        return db.read_now(lambda s: polling.health(s, TELEGRAM, NOW + timedelta(seconds=seconds)))

    assert health(0) is None
    lease(db, "a", 0)
    db.write_now(lambda s: polling.heard(s, TELEGRAM, NOW + timedelta(seconds=1)))
    first = health(10)
    assert first is not None
    assert first.ok
    db.write_now(lambda s: polling.failed(s, TELEGRAM, "409", NOW + timedelta(seconds=20)))
    troubled = health(30)
    assert troubled is not None
    assert (troubled.ok, troubled.error) == (False, "409")
    db.write_now(lambda s: polling.heard(s, TELEGRAM, NOW + timedelta(seconds=40)))
    later = health(300)
    assert later is not None
    assert not later.ok
