"""kill -9 in the middle of each story, and again after the restart: nothing is lost, nothing happens twice (DESIGN §4).

The moments are random but seeded, and new ones fall wherever the machine happens to be at them.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import create_engine, func, select, text
from sqlalchemy.orm import Session

from bot.core.words import Author, BroadcastState, CallbackState, ChannelName, ConversationState, DeliveryState
from bot.services.centre import Centre
from store.db import Database, vault_of
from store.tables import (
    Address,
    BroadcastRecipient,
    CallAttempt,
    Callback,
    Case,
    Contact,
    Conversation,
    Delivery,
    Escalation,
    Event,
    Message,
    SandboxCall,
    SandboxText,
)
from tests.conftest import SECRET
from tests.fakes.announcing import Outage
from tests.fakes.clock import ManualClock
from tests.fakes.process import Hotline
from tests.fakes.telegram import TOKEN, FakeTelegram

SHANGHAI = ZoneInfo("Asia/Shanghai")
FROM_CUSTOMER = (Message.author == Author.CUSTOMER) & (Message.channel == ChannelName.TELEGRAM)
UNDERWAY = (DeliveryState.QUEUED, DeliveryState.SENDING)
IN_BOT = Conversation.state == ConversationState.BOT

Start = Callable[..., Hotline]


def count(db: Database, query: object) -> int:
    return db.read_now(lambda s: s.scalar(select(func.count()).select_from(query))) or 0  # type: ignore[call-overload]


# ── story 1: a conversation ──

STORY = ("暖气两天不热了，报修也没人来", "3号楼2单元501", "{phone}", "好的，谢谢")
CUSTOMERS = 8


async def asks(client: httpx.AsyncClient, sender: str, line: int, message: str) -> str:
    """Sends a line until it is answered, always under the same id, as a client that lost its connection does."""
    body = {"sender": sender, "message": message, "metadata": {"message_id": f"{sender}-{line}"}}
    for _ in range(600):
        try:
            answer = await client.post("/webhooks/rest/webhook", json=body, timeout=5)
        except httpx.TransportError:
            await asyncio.sleep(0.05)
            continue
        assert answer.status_code == 200, answer.text
        return answer.text
    raise AssertionError("no answer any more")


@pytest.mark.parametrize("seed", [1])
async def test_a_conversation_survives(hotline: Start, centre: Centre, seed: int) -> None:
    dice, program = random.Random(seed), hotline()
    program.serve()
    answers: dict[tuple[str, int], str] = {}

    async def customer(n: int, client: httpx.AsyncClient) -> None:
        for line, message in enumerate(STORY):
            said = message.format(phone=19900000300 + n)
            answers[f"guest-{n}", line] = await asks(client, f"guest-{n}", line, said)
            await asyncio.sleep(dice.uniform(0, 0.3))

    async with httpx.AsyncClient(base_url=program.address) as client:
        talks = asyncio.gather(*(customer(n, client) for n in range(CUSTOMERS)))
        for _ in range(2):
            await asyncio.sleep(dice.uniform(0.05, 0.5))
            program.kill()
            await asyncio.to_thread(program.serve)
        await talks
        for (sender, line), answer in answers.items():  # the same question gets the same answer, and does nothing
            said = STORY[line].format(phone=19900000300 + int(sender.rpartition("-")[2]))
            assert json.loads(await asks(client, sender, line, said)) == json.loads(answer), (sender, line)

    def look(session: Session) -> None:
        asked = select(func.count()).select_from(Message).where(Message.author == Author.CUSTOMER)
        assert session.scalar(asked) == CUSTOMERS * len(STORY)
        for conversation in session.scalars(select(Conversation)):
            seqs = session.scalars(
                select(Message.seq).where(Message.conversation_id == conversation.id).order_by(Message.seq)
            ).all()
            assert list(seqs) == list(range(1, conversation.seq + 1))
        assert session.scalar(select(func.count()).select_from(Conversation)) == CUSTOMERS
        per_person = Counter(session.scalars(select(Case.contact_id)))
        assert len(per_person) == CUSTOMERS
        assert set(per_person.values()) == {1}
        subjects = Counter((e.conversation_id, e.case_id) for e in session.scalars(select(Escalation)))
        assert set(subjects.values()) == {1}

    centre.db.read_now(look)


# ── the same on Telegram: killed between an update and its commit, and between a send and its answer ──


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # elsewhere a dead asker's turn is waited out
@pytest.mark.parametrize("seed", [1])
async def test_a_telegram_conversation_survives(hotline: Start, centre: Centre, seed: int) -> None:
    telegram = FakeTelegram()
    await telegram.start()
    people = [telegram.person(f"guest-{n}") for n in range(CUSTOMERS)]
    dice, program = random.Random(seed), hotline(telegram_api=telegram.url, telegram_token=TOKEN)
    await asyncio.to_thread(program.serve)
    for n, person in enumerate(people):
        for message in STORY[:3]:
            person.writes(message.format(phone=19900000400 + n))
    for _ in range(3):
        await asyncio.sleep(dice.uniform(0.2, 3.0))
        program.kill()
        await asyncio.to_thread(program.serve)

    async def told() -> bool:
        """Whether everything came in and every line of the bot stands in its chat."""
        inbound = await centre.db.read(lambda s: s.scalars(select(Message.text).where(FROM_CUSTOMER)).all())
        open_ = select(Delivery.id).where(Delivery.channel == ChannelName.TELEGRAM, Delivery.state.in_(UNDERWAY))
        waits = select(Conversation.id).where(Conversation.unanswered_since.is_not(None), IN_BOT)
        busy = await centre.db.read(lambda s: s.scalar(open_.limit(1)) or s.scalar(waits.limit(1)))
        return len(inbound) >= CUSTOMERS * 3 and busy is None

    for _ in range(600):
        if await told():
            break
        await asyncio.sleep(0.2)
    program.kill()
    await telegram.stop()

    def look(session: Session) -> None:
        assert session.scalar(select(func.count()).select_from(Message).where(FROM_CUSTOMER)) == CUSTOMERS * 3
        lines = select(Message.text).where(Message.author == Author.BOT, Message.channel == ChannelName.TELEGRAM)
        said = Counter(session.scalars(lines))
        sent = Counter(telegram.sent())
        assert {text: n for text, n in said.items() if sent[text] < n} == {}  # nothing is lost
        assert {text: n for text, n in sent.items() if n > said[text] * 2} == {}  # nothing is sent a third time

    await centre.db.read(look)
    assert telegram.problems == []


# ── story 2: a list is imported; calls are placed ──

ROWS = 500


async def test_an_import_half_way_and_again(
    hotline: Start,
    centre: Centre,
    tmp_path: Path,
) -> None:
    dice, program = random.Random(2), hotline()
    visited = datetime.now(SHANGHAI) - timedelta(hours=20)
    known = count(centre.db, Event)
    rows = [f"V{n},顾客{n},女士,{19900010000 + n},{visited:%Y-%m-%d %H:%M},到诊未消费" for n in range(ROWS)]
    file = tmp_path / "visits.csv"
    file.write_text("\n".join(["外部编号,姓名,称呼,电话,到诊时间,事件", *rows]), "utf-8")
    for _ in range(2):
        before = count(centre.db, Event)
        program.start("import", str(file))
        while program.ended() is None and count(centre.db, Event) == before:
            await asyncio.sleep(0.01)
        await asyncio.sleep(dice.uniform(0, 0.15))
        program.kill()
    program.start("import", str(file))
    assert program.wait() == 0, program.said()
    assert count(centre.db, Event) - known == ROWS
    numbers = centre.db.read_now(lambda s: Counter(s.scalars(select(Callback.event_id))))
    assert len(numbers) == ROWS
    assert set(numbers.values()) == {1}


CALLS = 12


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # a rehearsal has a database of its own
async def test_calls_being_placed(hotline: Start, tmp_path: Path, database_url: str) -> None:
    assert database_url
    dice, token = random.Random(3), "a token for the api"
    program = hotline(api_token=token, secret=SECRET)
    rehearsal = ("serve", "--no-demo", "--at", "2026-07-02T14:29:58+08:00")
    program.serve(*rehearsal[1:])
    async with httpx.AsyncClient(base_url=program.address, headers={"Authorization": f"Bearer {token}"}) as client:
        for n in range(CALLS):
            event = {
                "external_id": f"V{n}",
                "kind": "visited_no_purchase",
                "phone": str(19900020000 + n),
                "name": f"顾客{n}",
                "happened_at": "2026-07-01T09:30:00+08:00",
            }
            answer = await client.post("/api/v1/events", json=event, timeout=10)
            assert answer.status_code in (200, 201), answer.text
    for _ in range(2):
        await asyncio.sleep(dice.uniform(0.5, 2.0))
        program.kill()
        await asyncio.to_thread(program.serve, *rehearsal[1:])
    rehearsed = tmp_path / "program" / "rehearsal" / "hotline.db"
    engine = create_engine(f"sqlite:///{rehearsed}")
    dialled = text("SELECT count(DISTINCT callback_id) FROM call_attempt")
    for _ in range(1200):
        with engine.connect() as connection:
            if connection.scalar(dialled) == CALLS:
                break
        await asyncio.sleep(0.05)
    program.kill()
    with Session(engine) as session:
        waiting = {CallbackState.DIALLING, CallbackState.SCHEDULED}  # which rings out meanwhile is tried again later
        assert set(session.scalars(select(Callback.state))) <= waiting
        attempts = Counter(session.scalars(select(CallAttempt.callback_id)))
        assert sorted(attempts.values()) == [1] * CALLS
        deliveries = list(session.scalars(select(Delivery).where(Delivery.callback_id.is_not(None))))
        assert len(deliveries) == CALLS
        rung = Counter(session.scalars(select(SandboxCall.delivery_id)))
        assert set(rung.values()) <= {1}  # no telephone rang twice
        for delivery in deliveries:
            honest = DeliveryState.SENDING, DeliveryState.UNKNOWN, DeliveryState.QUEUED
            assert delivery.id in rung or delivery.state in honest, delivery.state
    engine.dispose()


# ── story 3: an announcement fans out ──

AUDIENCE = 1200


async def test_an_announcement_half_way(hotline: Start, centre: Centre, clock: ManualClock) -> None:
    dice, program = random.Random(4), hotline()
    clock.set(datetime.now(UTC))

    def people(session: Session) -> None:
        vault = vault_of(session)
        for n in range(AUDIENCE - 5):  # five of the demo live in building 3 already
            person = Contact(name=f"住户{n}", timezone="Asia/Shanghai", building="3", created_at=clock.now())
            session.add(person)
            session.flush()
            number = f"+861990003{n:04}"
            for channel in (ChannelName.SMS, ChannelName.VOICE):
                sealed, blind = vault.seal(number), vault.blind(channel, number)
                session.add(
                    Address(contact_id=person.id, channel=channel, sealed=sealed, blind=blind, created_at=clock.now())
                )

    centre.db.write_now(people)
    outage = Outage(centre)
    broadcast_id = outage.launched()
    for _ in range(2):
        program.serve()
        await asyncio.sleep(dice.uniform(0.1, 0.8))
        program.kill()
    program.serve()
    sms = select(SandboxText.id).where(SandboxText.direction == "out").subquery()
    for _ in range(1200):
        if outage.broadcast(broadcast_id).state is BroadcastState.RUNNING and count(centre.db, sms) > AUDIENCE // 4:
            break
        await asyncio.sleep(0.05)
    program.kill()

    recipients = count(centre.db, BroadcastRecipient)
    size = outage.broadcast(broadcast_id).audience_size
    assert recipients == size == AUDIENCE
    assert sum(outage.counts(broadcast_id).values()) == AUDIENCE

    def look(session: Session) -> None:
        per_person = Counter(session.scalars(select(Delivery.recipient_id).where(Delivery.recipient_id.is_not(None))))
        assert set(per_person.values()) == {1}
        texts = Counter(session.scalars(select(SandboxText.delivery_id).where(SandboxText.direction == "out")))
        assert set(texts.values()) <= {1}  # nobody got it twice
        by_text = select(Delivery.id, Delivery.state).where(Delivery.channel == ChannelName.SMS)
        states = dict(session.execute(by_text).tuples().all())
        gone = {DeliveryState.ACCEPTED, DeliveryState.DELIVERED, DeliveryState.READ}
        lost = [n for n, state in states.items() if state in gone and n not in texts]
        assert lost == []

    centre.db.read_now(look)
