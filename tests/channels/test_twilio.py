"""Twilio from both sides: what we ask of it, what it tells us, and calls and messages in between."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from bot.channels.twilio.carrier import Account, TwilioCarrier
from bot.core.media import MediaKind, MediaState
from bot.core.plan import Trigger
from bot.core.words import (
    Author,
    CallbackState,
    ChannelName,
    ConversationState,
    DeliveryState,
    Disposition,
    Language,
    Outcome,
    Outgoing,
    Purpose,
    Rejected,
    TryLater,
)
from bot.services import contacts, merging
from bot.services.calls import unreported
from bot.services.conversation import media
from bot.services.conversation.conversations import open_at
from bot.services.delivery import dispatch, outbox
from bot.services.delivery.dispatch import ASK_AFTER, ASK_FOR
from bot.services.delivery.outbox import LEASE
from bot.services.plans import followups
from bot.services.plans.planning import Occurrence
from bot.settings import Settings
from store.tables import Address, Attachment, CallAttempt, Callback, Consent, Conversation, Delivery, Merge, Message
from tests.channels.conftest import WithAccount
from tests.fakes.announcing import Outage
from tests.fakes.house import House
from tests.fakes.twilio import NUMBER, SID, Callee, Twilio

PUBLIC = "https://hotline.example"
VOICE, STATUS = f"{PUBLIC}/twilio/voice", f"{PUBLIC}/twilio/status"
SMS, SMS_STATUS = f"{PUBLIC}/twilio/sms", f"{PUBLIC}/twilio/sms-status"
PATIENT = "+8619900000107"
CALLER = "+8619900000101"


@pytest.fixture
def settings(with_account: WithAccount) -> Settings:
    """As shipped, behind a proxy, with an account at Twilio."""
    return with_account(PUBLIC)


@pytest.fixture
async def phone(house: House, twilio: Twilio) -> House:
    """The house, which Twilio reaches through a proxy."""
    twilio.client = house.client
    twilio.clock = house.centre.clock.machine
    return house


async def all_of(house: House, query: Any) -> list[Any]:
    return await house.centre.db.read(lambda s: list(s.scalars(query)))


async def one(house: House, query: Any) -> Any:
    (found,) = await all_of(house, query)
    return found


async def call_owed(house: House) -> None:
    """A patient who visited this morning is called at 14:30."""
    now = house.clock.now()
    what = Occurrence("visits", "V1", Trigger.VISITED_NO_PURCHASE, PATIENT, "郑晓霜", now, title="女士")
    await house.centre.db.write(lambda s: followups.record(s, house.centre, what, now))
    await house.advance(hours=4.5)


async def delivery(house: House) -> Delivery:
    row: Delivery = await one(house, select(Delivery).where(Delivery.channel == ChannelName.VOICE))
    return row


async def attempts(house: House) -> list[Disposition | None]:
    return await all_of(house, select(CallAttempt.disposition).order_by(CallAttempt.id))


# ── calls we place ──


@pytest.mark.parametrize("chaos", [False, True])
async def test_a_follow_up_call_is_placed_answered_and_closed(phone: House, twilio: Twilio, chaos: bool) -> None:
    twilio.chaos = chaos
    twilio.callees[PATIENT] = Callee(keys=("1", "5", "没有"))
    await call_owed(phone)
    (call,) = twilio.calls
    assert (call["_given"]["Timeout"], call["_given"]["MachineDetection"]) == ("30", "Enable")
    assert (await delivery(phone)).state is DeliveryState.ACCEPTED
    await twilio.play()
    assert twilio.refused == []
    assert "云栖综合服务中心" in "".join(twilio.heard[PATIENT])
    row = await delivery(phone)
    assert (row.state, row.provider_id) == (DeliveryState.HEARD, call["sid"])
    assert (await one(phone, select(Callback))).disposition is Disposition.COMPLETED
    assert await attempts(phone) == [Disposition.COMPLETED]


@pytest.mark.parametrize(
    ("callee", "ends", "minutes"),
    [
        (Callee("busy"), Disposition.BUSY, 10),
        (Callee("no-answer"), Disposition.NO_ANSWER, 24 * 60),  # two hours later this window has closed
        (Callee("failed"), Disposition.FAILED, 30),
        (Callee("failed", sip="480"), Disposition.UNREACHABLE, 60),
        (Callee("no-answer", sip="480"), Disposition.UNREACHABLE, 60),
        (Callee("machine"), Disposition.MACHINE, 24 * 60),
        (Callee(keys=("1",)), Disposition.PARTLY_COMPLETED, 30),
    ],
    ids=str,
)
async def test_how_a_call_ends(phone: House, twilio: Twilio, callee: Callee, ends: Disposition, minutes: float) -> None:
    """And when it is tried again."""
    twilio.callees[PATIENT] = callee
    await call_owed(phone)
    await twilio.play()
    assert twilio.refused == []
    assert await attempts(phone) == [ends]
    await phone.advance(minutes=minutes - 1)
    assert len(twilio.calls) == 1
    await phone.advance(minutes=1)
    assert (await one(phone, select(Callback))).state is CallbackState.DIALLING


async def test_a_number_that_does_not_exist_is_not_called_again(phone: House, twilio: Twilio) -> None:
    twilio.callees[PATIENT] = Callee("failed", sip="404")
    await call_owed(phone)
    await twilio.play()
    await phone.advance(hours=24)
    assert len(twilio.calls) == 1
    assert await attempts(phone) == [Disposition.INVALID_NUMBER]
    address = select(Address).join(CallAttempt, CallAttempt.address_id == Address.id)
    assert (await one(phone, address)).reachable is False


# ── an answer that is lost ──


async def lost(house: House) -> None:
    """Time enough that Twilio is asked what became of it."""
    house.clock.skip(LEASE)
    house.clock.advance(ASK_AFTER * 2)
    await dispatch.sweep(house.centre)


async def test_a_lost_answer_is_resolved_by_asking(phone: House, twilio: Twilio) -> None:
    twilio.faults = ["lost"]
    twilio.callees[PATIENT] = Callee("busy")
    await call_owed(phone)
    assert (await delivery(phone)).state is DeliveryState.UNKNOWN
    await lost(phone)
    row = await delivery(phone)
    assert (row.state, row.provider_id) == (DeliveryState.ACCEPTED, twilio.calls[0]["sid"])
    await twilio.play()
    assert await attempts(phone) == [Disposition.BUSY]
    assert len(twilio.calls) == 1


async def test_somebody_elses_call_to_the_same_number_is_not_taken_for_it(phone: House, twilio: Twilio) -> None:
    twilio.faults = ["lost-before"]
    await call_owed(phone)
    other = twilio._new_call([("To", PATIENT), ("From", NUMBER), ("Url", VOICE)])

    def announcement(session: Any) -> None:
        owed = session.scalars(select(Delivery).where(Delivery.channel == ChannelName.VOICE)).one()
        outbox.put(
            session,
            dedupe_key="another",
            purpose=Purpose.EMERGENCY,
            channel=ChannelName.VOICE,
            address_id=owed.address_id,
            contact_id=owed.contact_id,
            text="x",
            language=phone.centre.settings.language,
            now=phone.clock.now(),
            state=DeliveryState.ACCEPTED,
        )
        session.flush()
        session.scalars(select(Delivery).where(Delivery.dedupe_key == "another")).one().provider_id = other["sid"]

    await phone.centre.db.write(announcement)
    await lost(phone)
    states = {d.dedupe_key: d.state for d in await all_of(phone, select(Delivery))}
    assert [state for key, state in states.items() if key.startswith("callback")] == [DeliveryState.UNKNOWN]
    assert len(twilio.calls) == 1


@pytest.mark.parametrize("fault", ["500", "lost-before"])
async def test_a_call_nobody_knows_about_is_not_placed_again(phone: House, twilio: Twilio, fault: str) -> None:
    twilio.faults = [fault]
    await call_owed(phone)
    await lost(phone)
    assert (await delivery(phone)).state is DeliveryState.UNKNOWN
    await phone.advance(hours=1)
    assert twilio.calls == []


async def test_twilio_says_slow_down(phone: House, twilio: Twilio) -> None:
    twilio.faults = ["429"]
    await call_owed(phone)
    row = await delivery(phone)
    assert (row.state, row.not_before) == (DeliveryState.QUEUED, phone.clock.now() + 7 * ASK_AFTER / 15)
    await asyncio.sleep(1)  # a call a second at most
    await phone.advance(seconds=7)
    assert len(twilio.calls) == 1


# ── calls to us ──


async def test_a_caller_is_greeted_and_served(phone: House, twilio: Twilio) -> None:
    await twilio.call_in(CALLER, VOICE, "暖气两天不热了，也没人来修")
    assert twilio.refused == []
    assert "机器人" in twilio.heard[CALLER][0]
    conversation = await one(phone, select(Conversation))
    assert (conversation.channel, conversation.state) == (ChannelName.VOICE, ConversationState.CLOSED)


# ── text messages ──


async def text_out(house: House, words: str, *, purpose: Purpose = Purpose.REPLY) -> int:
    """A reply to the caller goes out; gives its delivery."""
    now = house.clock.now()

    def put(session: Any) -> int:
        known = contacts.meet(
            session,
            ChannelName.SMS,
            CALLER,
            language=house.centre.settings.language,
            zone=house.centre.settings.timezone,
            now=now,
        )
        made = outbox.put(
            session,
            dedupe_key=f"text:{words}",
            purpose=purpose,
            channel=ChannelName.SMS,
            address_id=known.address_id,
            contact_id=known.contact_id,
            text=words,
            language=house.centre.settings.language,
            now=now,
        )
        assert made is not None
        return made

    delivery_id = await house.centre.db.write(put)
    await house.settle()
    return delivery_id


async def state_of(house: House, delivery_id: int) -> tuple[DeliveryState, str | None]:
    row = await one(house, select(Delivery).where(Delivery.id == delivery_id))
    return row.state, row.error


@pytest.mark.parametrize(
    ("states", "code", "becomes"),
    [
        (("sent", "delivered"), None, (DeliveryState.DELIVERED, None)),
        (("delivered", "sent", "delivered", "queued"), None, (DeliveryState.DELIVERED, None)),
        (("sent",), None, (DeliveryState.ACCEPTED, None)),
        (("sent", "undelivered"), 30003, (DeliveryState.FAILED, "unreachable")),
        (("undelivered", "delivered"), 30008, (DeliveryState.DELIVERED, "twilio 30008")),
        (("something of 2031",), None, (DeliveryState.ACCEPTED, None)),
    ],
)
async def test_what_becomes_of_a_message(
    phone: House, twilio: Twilio, states: tuple[str, ...], code: int | None, becomes: tuple[DeliveryState, str | None]
) -> None:
    delivery_id = await text_out(phone, "您好")
    await twilio.carry(twilio.messages[0], *states, code=code)
    assert await state_of(phone, delivery_id) == becomes
    assert twilio.refused == []


async def test_long_chinese_messages_are_counted_in_ucs_2(phone: House, twilio: Twilio) -> None:
    await text_out(phone, "暖" * 71)
    assert twilio.messages[0]["num_segments"] == "2"


async def test_a_message_whose_answer_was_lost_is_found_by_its_words(phone: House, twilio: Twilio) -> None:
    twilio.faults = ["lost"]
    delivery_id = await text_out(phone, "您的单号是 7")
    assert (await state_of(phone, delivery_id))[0] is DeliveryState.UNKNOWN
    await lost(phone)
    assert await state_of(phone, delivery_id) == (DeliveryState.ACCEPTED, None)
    assert len(twilio.messages) == 1


async def test_a_provider_that_cannot_be_asked_is_asked_again(phone: House, twilio: Twilio) -> None:
    twilio.faults, twilio.speechless = ["lost"], 2
    delivery_id = await text_out(phone, "停暖通知", purpose=Purpose.EMERGENCY)
    for _ in range(2):
        await lost(phone)
        assert (await state_of(phone, delivery_id))[0] is DeliveryState.UNKNOWN
    await lost(phone)
    assert await state_of(phone, delivery_id) == (DeliveryState.ACCEPTED, None)
    await phone.advance(hours=1)
    assert len(twilio.messages) == 1


async def test_an_emergency_is_sent_again_where_nobody_can_be_asked_for_long(phone: House, twilio: Twilio) -> None:
    twilio.faults, twilio.speechless = ["lost"], 100
    delivery_id = await text_out(phone, "停暖通知", purpose=Purpose.EMERGENCY)
    await lost(phone)
    phone.clock.skip(ASK_FOR)
    await lost(phone)
    assert (await state_of(phone, delivery_id))[0] is DeliveryState.QUEUED
    await asyncio.sleep(1.1)  # one text a second leaves
    await phone.settle()
    assert len(twilio.messages) == 2


async def test_a_customer_writes_and_is_answered_once(phone: House, twilio: Twilio) -> None:
    for _ in range(2):
        answer = await twilio.text_in(CALLER, "你们几点上班", SMS, sid="SM" + "a" * 32)
        assert answer.text == '<?xml version="1.0" encoding="UTF-8"?><Response />'
    await phone.advance(seconds=30)
    assert len(twilio.messages) == 1
    assert twilio.messages[0]["to"] == CALLER


@pytest.mark.parametrize(("word", "answered"), [("STOP", False), ("退订", True), ("T", True), ("Stop ", False)])
async def test_stop_is_honoured_and_answered_once(phone: House, twilio: Twilio, word: str, answered: bool) -> None:
    """Twilio answers STOP itself and lets nothing more through; 退订 it does not know."""
    await twilio.text_in(CALLER, word, SMS)
    await phone.settle()
    assert len(twilio.messages) == int(answered)
    consent = await one(phone, select(Consent).where(Consent.source == "text message"))
    assert (consent.scope, consent.granted) == ("sms", False)
    await twilio.text_in(CALLER, "START", SMS)
    assert [c.granted for c in await all_of(phone, select(Consent).where(Consent.source == "text message"))] == [
        False,
        True,
    ]


async def test_help_is_twilios_to_answer_and_advanced_opt_out_is_believed(phone: House, twilio: Twilio) -> None:
    await twilio.text_in(CALLER, "HELP", SMS)
    await twilio.text_in(CALLER, "Arrêt", SMS, OptOutType="STOP")
    await phone.settle()
    assert twilio.messages == []
    assert (await one(phone, select(Consent).where(Consent.source == "text message"))).granted is False


async def test_whoever_stopped_by_text_gets_the_refusal_as_the_reason(phone: House, twilio: Twilio) -> None:
    await twilio.text_in(CALLER, "STOP", SMS)
    delivery_id = await text_out(phone, "您好")
    assert await state_of(phone, delivery_id) == (DeliveryState.FAILED, "opted_out")


PICTURE = b"\x89PNG\r\n\x1a\n" + b"0" * 40


def enclosed(twilio: Twilio, *kinds: str) -> dict[str, str]:
    """The fields of a message with files of these types, all of which Twilio hands out as pictures."""
    fields = {"NumMedia": str(len(kinds))}
    for number, mime in enumerate(kinds):
        path = f"Messages/MM1/Media/ME{number}"
        twilio.files[path] = PICTURE
        address = f"{twilio.address}/2010-04-01/Accounts/{SID}/{path}"
        fields |= {f"MediaUrl{number}": address, f"MediaContentType{number}": mime}
    return fields


async def test_pictures_are_fetched_and_kept_for_the_staff_and_the_customer_hears_so(
    phone: House, twilio: Twilio
) -> None:
    fields = enclosed(twilio, "image/png", "image/jpeg", "application/x-msdownload")
    for _ in range(2):
        await twilio.text_in(CALLER, "", SMS, sid="MM" + "b" * 32, **fields)
    said = await all_of(phone, select(Message.text).where(Message.author == Author.BOT).order_by(Message.id))
    assert (len(said), "文件" in said[-1]) == (2, True)  # greeted, and told once
    await media.fetch_due(phone.centre)
    files = await all_of(phone, select(Attachment).order_by(Attachment.id))
    assert [(file.state, file.kind) for file in files] == [
        (MediaState.KEPT, MediaKind.PHOTO),
        (MediaState.REFUSED, MediaKind.PHOTO),  # it says JPEG and is none
    ]
    path = media.path_of(phone.centre, files[0])
    assert path is not None
    assert path.read_bytes() == PICTURE


async def test_words_with_a_picture_are_answered_as_words(phone: House, twilio: Twilio) -> None:
    await twilio.text_in(CALLER, "你们几点上班", SMS, **enclosed(twilio, "image/png"))
    await phone.advance(seconds=5)
    said = await all_of(phone, select(Message.text).where(Message.author == Author.BOT).order_by(Message.id))
    assert "09:00" in said[-1]
    assert len(await all_of(phone, select(Attachment))) == 1


@pytest.mark.parametrize("elsewhere", ["https://example.org/x.png", "http://127.0.0.1:1/2010-04-01/Accounts/x"])
async def test_files_elsewhere_are_never_asked_for_with_our_token(phone: House, twilio: Twilio, elsewhere: str) -> None:
    fields = enclosed(twilio, "image/png") | {"MediaUrl0": elsewhere}
    await twilio.text_in(CALLER, "", SMS, **fields)
    await media.fetch_due(phone.centre)
    assert (await one(phone, select(Attachment))).state is MediaState.FAILED


async def test_whoever_stopped_texts_is_still_called(phone: House, twilio: Twilio) -> None:
    twilio.callees[PATIENT] = Callee("busy")
    await twilio.text_in(PATIENT, "退订", SMS)
    await call_owed(phone)
    assert len(twilio.calls) == 1


@pytest.mark.parametrize(("word", "says"), [("帮助", "转人工"), ("help!", "转人工")])
async def test_help_says_who_we_are_and_how_to_stop(phone: House, twilio: Twilio, word: str, says: str) -> None:
    await twilio.text_in(CALLER, word, SMS)
    await phone.settle()
    (message,) = twilio.messages
    assert "云栖综合服务中心" in message["body"]
    assert says in message["body"]
    assert await all_of(phone, select(Consent).where(Consent.source == "text message")) == []


async def test_start_does_not_undo_what_was_said_elsewhere(phone: House, twilio: Twilio) -> None:
    await twilio.text_in(CALLER, "别再联系我", SMS)
    await phone.advance(seconds=5)  # until nothing more comes
    await twilio.text_in(CALLER, "恢复", SMS)
    said = await all_of(phone, select(Message.text).where(Message.author == Author.BOT).order_by(Message.id))
    assert "仍然有效" in said[-1]
    withdrawn = {c.scope: c.granted for c in await all_of(phone, select(Consent).order_by(Consent.id))}
    assert withdrawn["all"] is False


# ── whose number it is ──


async def typed(house: House, number: str) -> int:
    """A guest of the web chat types this number; gives the guest."""
    now = house.clock.now()

    def chat(session: Any) -> int:
        held = open_at(
            session, ChannelName.WEBCHAT, "guest", language=Language.ZH, zone="Asia/Shanghai", book="", now=now
        )
        merging.give_phone(session, held, number, now)
        return held.contact_id

    return await house.centre.db.write(chat)


@pytest.mark.parametrize("comes", ["text", "call"])
async def test_whoever_comes_from_a_number_somebody_typed_is_not_taken_for_them(
    phone: House, twilio: Twilio, comes: str
) -> None:
    guest, number = await typed(phone, "+8619900000777"), "+8619900000777"
    for _ in range(2):
        if comes == "text":
            await twilio.text_in(number, "你好", SMS)
        else:
            await twilio.call_in(number, VOICE, sid="CA" + "d" * 32)
    came = await all_of(phone, select(Conversation).where(Conversation.channel != ChannelName.WEBCHAT))
    callers = {conversation.contact_id for conversation in came}
    assert len(callers) == 1
    assert guest not in callers
    offer = await one(phone, select(Merge))
    assert {offer.kept_id, offer.other_id} == {guest, *callers}
    numbers = await all_of(phone, select(Address).where(Address.channel.in_(contacts.PHONE_CHANNELS)))
    assert {a.claimed for a in numbers if a.contact_id in callers} == {False}


async def test_whoever_has_shown_that_a_number_is_theirs_is_known_by_it(phone: House, twilio: Twilio) -> None:
    await twilio.text_in(CALLER, "你好", SMS)
    await twilio.call_in(CALLER, VOICE)
    assert len({c.contact_id for c in await all_of(phone, select(Conversation))}) == 1
    assert await all_of(phone, select(Merge)) == []


# ── who may knock ──


@pytest.mark.parametrize("url", [VOICE, STATUS, SMS, SMS_STATUS])
async def test_nobody_else_may_knock(phone: House, twilio: Twilio, url: str) -> None:
    fields = {"CallSid": "CA1", "From": CALLER, "MessageSid": "SM1", "Body": "x"}
    assert (await twilio.post(url, fields, token="another token")).status_code == 403
    assert (await phone.client.post(url, data=fields)).status_code == 403
    assert (await phone.client.post(url, data=fields, headers={"X-Twilio-Signature": "é".encode()})).status_code == 403
    assert await all_of(phone, select(Message)) == []


async def test_a_signature_is_for_one_address(phone: House, twilio: Twilio) -> None:
    twilio.client = httpx.AsyncClient(transport=phone.client._transport, base_url="http://hotline.test")
    assert (await twilio.post("http://hotline.test/twilio/sms", {"MessageSid": "SM1"})).status_code == 403


@pytest.mark.parametrize("body", [b"\xff\xfe", b"a=1&" * 300, b"x" * 70_000])
async def test_bodies_that_are_no_forms(phone: House, body: bytes) -> None:
    assert (await phone.client.post(SMS, content=body)).status_code in (400, 403, 413)


async def test_the_sandbox_is_off_and_readyz_says_so(phone: House) -> None:
    assert (await phone.client.get("/phone")).status_code == 404
    assert (await phone.client.get("/readyz")).json()["carrier"] == "twilio"


async def test_many_at_once(phone: House, twilio: Twilio) -> None:
    """Webhooks of one call that come at the same moment are taken one after the other."""
    twilio.callees[PATIENT] = Callee("busy")
    await call_owed(phone)
    call = twilio.calls[0]
    report = twilio._status(call, "busy", 3)
    url = call["_given"]["StatusCallback"]
    await asyncio.gather(*(twilio.post(url, report) for _ in range(4)))
    assert twilio.refused == []
    assert await attempts(phone) == [Disposition.BUSY]


# ── announcements ──


async def test_an_announcement_arrives_and_is_acknowledged(phone: House, twilio: Twilio) -> None:
    outage = Outage(phone.centre)
    broadcast_id = outage.launched()
    outage.tick()
    for _ in range(8):  # a message a second at most
        await phone.settle()
        await twilio.play()
        if len(twilio.messages) >= 3:
            break
        await asyncio.sleep(0.5)
    assert twilio.refused == []
    message = twilio.messages[0]
    assert "三号楼" in message["body"] or "building 3" in message["body"]
    by_sms = [d for d in outage.deliveries(broadcast_id) if d.provider_id == message["sid"]]
    assert [d.state for d in by_sms] == [DeliveryState.DELIVERED]
    await twilio.text_in(message["to"], "1", SMS)
    await phone.advance(seconds=30)
    assert outage.counts(broadcast_id)[Outcome.ACKNOWLEDGED] == 1


@pytest.mark.parametrize(
    ("purpose", "machine", "waits_for"),
    [
        (Purpose.FOLLOW_UP, "hang_up", "Enable"),
        (Purpose.FOLLOW_UP, "no_answer", "Enable"),
        (Purpose.FOLLOW_UP, "leave_message", "DetectMessageEnd"),
        (Purpose.EMERGENCY, None, "DetectMessageEnd"),
    ],
)
async def test_a_message_is_left_only_after_the_beep(
    phone: House, twilio: Twilio, purpose: Purpose, machine: str | None, waits_for: str
) -> None:
    metadata = {"machine": machine} if machine else {}
    out = Outgoing(1, ChannelName.VOICE, CALLER, "x", Language.ZH, purpose=purpose, metadata=metadata)
    await phone.centre.channels[ChannelName.VOICE].send(out)
    assert twilio.calls[0]["_given"]["MachineDetection"] == waits_for


@pytest.mark.parametrize("number", ["12", "+1"])
async def test_a_number_twilio_finds_invalid(phone: House, number: str) -> None:
    out = Outgoing(1, ChannelName.VOICE, number, "x", Language.ZH)
    with pytest.raises(Rejected, match="invalid"):
        await phone.centre.channels[ChannelName.VOICE].send(out)


async def test_a_wrong_token_keeps_calls_for_later(settings: Settings, twilio: Twilio) -> None:
    async def none(_channel: ChannelName, _ids: object) -> frozenset[str]:
        return frozenset()

    wrong = Account(settings.twilio_account_sid, "another token", NUMBER, PUBLIC, twilio.address)
    carrier = TwilioCarrier(wrong, ring=lambda: LEASE, taken=none)
    try:
        with pytest.raises(TryLater):
            await carrier.place_call(Outgoing(1, ChannelName.VOICE, CALLER, "x", Language.ZH))
        assert twilio.calls == []
    finally:
        await carrier.close()


# ── calls whose end nobody told ──


@pytest.mark.parametrize(
    ("ended", "state", "disposition"),
    [
        ("no-answer", DeliveryState.FAILED, Disposition.NO_ANSWER),
        ("busy", DeliveryState.FAILED, Disposition.BUSY),
        ("completed", DeliveryState.HEARD, Disposition.FAILED),  # somebody answered, and nobody spoke with them
        ("in-progress", DeliveryState.ACCEPTED, None),
        ("ringing", DeliveryState.ACCEPTED, None),
    ],
)
async def test_a_call_whose_end_was_not_told_is_asked_about(
    phone: House, twilio: Twilio, ended: str, state: DeliveryState, disposition: Disposition | None
) -> None:
    await call_owed(phone)
    (call,) = twilio.calls
    call["status"] = ended
    assert await unreported.look(phone.centre) == 0  # a call may ring for a while
    await phone.advance(minutes=4)
    assert await unreported.look(phone.centre) == int(disposition is not None)
    assert (await delivery(phone)).state is state
    assert await attempts(phone) == [disposition]
    assert await unreported.look(phone.centre) == 0
    await phone.advance(minutes=1)
    assert len(twilio.calls) == 1


async def test_a_caller_who_hung_up_unheard_leaves_the_line(phone: House, twilio: Twilio) -> None:
    twilio.others["CA7"] = "in-progress"
    form = {"CallSid": "CA7", "CallStatus": "ringing", "Direction": "inbound", "From": "+8619900000101"}
    await twilio.post(VOICE, form)
    await phone.advance(minutes=4)
    assert await unreported.look(phone.centre) == 0
    twilio.others["CA7"] = "completed"
    assert await unreported.look(phone.centre) == 1
    assert (await one(phone, select(Conversation))).state is ConversationState.CLOSED
    assert await unreported.look(phone.centre) == 0
