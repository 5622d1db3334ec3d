"""One person's data: a copy for themselves, and their erasure until nothing names them (REQ-G12, G14)."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta
from functools import partial

import pytest
from openpyxl import load_workbook
from sqlalchemy import LargeBinary, select, text
from sqlalchemy.orm import Session

from bot.console.queries.search import found
from bot.core.media import MediaKind, MediaState
from bot.core.retention import HoldSubject
from bot.core.words import (
    Author,
    CallbackState,
    CaseKind,
    ChannelName,
    ConversationState,
    FollowUpGroup,
    Incoming,
    Language,
    Presence,
    Purpose,
    Role,
)
from bot.reports import exporting
from bot.services import audit, contacts, merging, tags
from bot.services.casework import cases
from bot.services.centre import Centre
from bot.services.conversation import inbox, media
from bot.services.delivery import outbox
from bot.services.records import holds, privacy_requests, unmasking
from bot.services.refusal import RefusedError
from bot.services.staffing.staff import SignedIn, by_username
from store.tables import (
    Address,
    Answer,
    Attachment,
    Base,
    Callback,
    Conversation,
    DoNotContact,
    Event,
    Export,
    Merge,
    Message,
    PrivacyRequest,
    RequestKind,
    RequestState,
)
from tests.fakes import records
from tests.fakes.house import House

PHONE = "+8613900006677"
TRACES = (
    "欧阳雪莲",
    "13900006677",
    "6677",
    "9-3-1204",
    "头晕得厉害",
    "雪莲的水管",
    "独居的雪莲",
    "snowlotus",
    "VIS-6677-A",
)
ZONE = "Asia/Shanghai"


def somebody(session: Session, username: str, *roles: Role) -> SignedIn:
    person = by_username(session, username)
    assert person is not None
    return SignedIn(person.id, username, person.name, frozenset(roles), Presence.ONLINE, "")


async def lived(house: House) -> int:
    """A person with a past: chats, a number, a merged twin, a case, a follow-up with a health answer, a file, and their
    wish not to be called. Gives the contact."""
    centre = house.centre
    incoming = Incoming(ChannelName.WEBCHAT, "snowlotus", "m1", "我是欧阳雪莲，我头晕得厉害，电话 13900006677")
    await inbox.receive(centre, incoming)
    await house.settle()
    (folder := media.folder(centre) / "ab").mkdir(parents=True)
    (folder / "abcdef").write_bytes(b"picture")
    return await centre.db.write(lambda s: _past(s, centre))


def _past(session: Session, centre: Centre) -> int:
    now, agent = centre.clock.now(), somebody(session, "agent").staff_id
    held = session.scalars(select(Conversation).order_by(Conversation.id.desc())).first()
    assert held is not None
    contact_id = held.contact_id
    facts = {"name": "欧阳雪莲", "title": "女士", "unit": "9-3-1204"}
    contacts.learn(session, contact_id, facts, now=now, staff_id=agent, why="欧阳雪莲自己说的")
    tags.add(session, contact_id, "独居的雪莲", now=now, staff_id=agent)
    contacts.learn(session, contact_id, {"name": "欧阳雪莲2"}, now=now, staff_id=agent, why="")
    contacts.add_phone(session, contact_id, PHONE, now)
    contacts.consent(session, contact_id, "all", False, "chat", now)
    twin = contacts.meet(session, ChannelName.TELEGRAM, "77886677", language=Language.ZH, zone=ZONE, now=now)
    contacts.learn(session, twin.contact_id, {"name": "欧阳雪莲"}, now=now, why="")
    merge_id = merging.propose(session, contact_id, twin.contact_id, now)
    assert merge_id is not None
    merging.accept(session, merge_id, agent, now)
    session.get_one(Merge, merge_id).hint = "****6677"
    held.state, held.closed_at, held.staff_id = ConversationState.CLOSED, now, None
    held.wrap_up_note, held.rating_comment = "欧阳雪莲", "头晕得厉害"
    message = session.scalars(
        select(Message).where(Message.conversation_id == held.id, Message.author == Author.CUSTOMER)
    ).first()
    assert message is not None
    session.add(
        Attachment(
            message_id=message.id,
            channel=ChannelName.TELEGRAM,
            kind=MediaKind.PHOTO,
            state=MediaState.KEPT,
            name="欧阳雪莲.jpg",
            mime="image/jpeg",
            source="snowlotus",
            file="abcdef",
            due_at=now,
        )
    )
    case = cases.open_case(
        session,
        kind=CaseKind.COMPLAINT,
        contact_id=contact_id,
        subject="雪莲的水管",
        facts={"unit": "9-3-1204", "phone": PHONE},
        zone=centre.settings.zone,
        now=now,
    )
    cases.note(session, case.id, "note", "欧阳雪莲又打来了", now=now, staff_id=agent)
    audit.revise(session, "case", case.id, "subject", "雪莲的水管", "水管", now=now, staff_id=agent)
    cases.assign(session, case.id, agent, by_staff_id=agent, now=now)
    cases.give_feedback(session, case.id, "告诉了欧阳雪莲", staff_id=agent, now=now)
    cases.close(session, case.id, staff_id=agent, wrap_up="confirmed", now=now)
    event = Event(
        source="visits",
        external_id="VIS-6677-A",
        kind="visit",
        contact_id=contact_id,
        happened_at=now,
        recorded_at=now,
        details={"name": "欧阳雪莲"},
    )
    session.add(event)
    session.flush()
    callback = records.called(
        session,
        f"event:{event.id}",
        contact_id,
        now,
        event_id=event.id,
        plan="visited_purchased",
        flow={"slots": {"name": "欧阳雪莲"}},
        topic="欧阳雪莲",
        remarks="头晕得厉害",
    )
    waiting = Callback(
        dedupe_key=f"event:{event.id}:waits",
        contact_id=contact_id,
        follow_up_group=FollowUpGroup.VISITED_PURCHASED,
        plan="visited_purchased",
        purpose=Purpose.FOLLOW_UP,
        policies="",
        flow_id="x",
        state=CallbackState.SCHEDULED,
        due_at=now + timedelta(days=2),
        created_at=now,
    )
    session.add_all((callback, waiting))
    session.flush()
    session.add(Answer(callback_id=callback.id, question="symptoms", answer="头晕得厉害", at=now))
    sms = contacts.find_address(session, ChannelName.SMS, PHONE)
    assert sms is not None
    outbox.put(
        session,
        dedupe_key="notice for a person",
        purpose=Purpose.SERVICE_NOTICE,
        channel=ChannelName.SMS,
        address_id=sms.id,
        contact_id=contact_id,
        text="欧阳雪莲您好",
        language=Language.ZH,
        now=now + timedelta(days=3),
    )
    unmasking.unmask(session, centre, contact_id, staff_id=agent, reason="other", note="欧阳雪莲急", now=now)
    return contacts.survivor(session, contact_id)


def traces(session: Session) -> set[str]:
    """Every place in the database where something of the person can still be read."""
    there = set()
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, LargeBinary):
                continue
            query = f'SELECT CAST("{column.name}" AS TEXT) FROM "{table.name}"'
            for cell in filter(None, session.scalars(text(query))):
                told = {trace for trace in TRACES if trace in cell or json.dumps(trace)[1:-1] in cell}
                there |= {f"{table.name}.{column.name}: {trace}" for trace in told}
    return there


async def opened(house: House, contact_id: int, kind: RequestKind) -> int:
    """Taken by an agent, who made sure who asks."""
    centre, now = house.centre, house.clock.now()

    def work(session: Session) -> int:
        agent = somebody(session, "agent").staff_id
        request = privacy_requests.open_request(session, centre, contact_id, kind, staff_id=agent, now=now)
        privacy_requests.check_identity(session, request.id, "called_back", staff_id=agent, now=now)
        return request.id

    return await centre.db.write(work)


async def approves(house: House, request_id: int, username: str, *roles: Role) -> None:
    centre, now = house.centre, house.clock.now()
    await centre.db.write(
        lambda s: privacy_requests.approve(
            s, centre, request_id, staff=somebody(s, username, *roles), language=Language.ZH, now=now
        )
    )


async def test_after_an_erasure_nothing_names_the_person(house: House) -> None:
    contact_id = await lived(house)
    centre = house.centre
    assert await centre.db.read(lambda s: traces(s)) != set()
    request_id = await opened(house, contact_id, RequestKind.ERASURE)
    await approves(house, request_id, "supervisor", Role.SUPERVISOR)
    assert await privacy_requests.carry_out(centre) == 0, "one approval is not enough"
    await approves(house, request_id, "manager", Role.MANAGER)
    assert await privacy_requests.carry_out(centre) > 0
    await house.settle()

    request = await centre.db.read(lambda s: s.get_one(PrivacyRequest, request_id))
    assert request.state is RequestState.DONE
    assert request.done["messages"] > 0
    assert request.done["files"] == 1
    assert len(request.digest) == 64
    assert await centre.db.read(lambda s: traces(s)) == set()
    assert not (media.folder(centre) / "ab" / "abcdef").exists()

    def known(session: Session) -> tuple[bool, bool, set[str], CallbackState]:
        vault = centre.db.vault
        sealed = [vault.open(row.sealed) for row in session.scalars(select(Address)) if row.contact_id is not None]
        waiting = session.scalars(select(Callback).where(Callback.dedupe_key.endswith(":waits"))).one()
        kinds = {row.channel.value for row in session.scalars(select(DoNotContact))}
        return PHONE in sealed, contacts.find_address(session, ChannelName.SMS, PHONE) is not None, kinds, waiting.state

    assert await centre.db.read(known) == (
        False,
        False,
        {"telegram", "webchat", "sms", "voice"},
        CallbackState.CANCELLED,
    )
    supervisor = SignedIn(0, "", "", frozenset({Role.SUPERVISOR}), Presence.ONLINE, "")
    for asked in ("头晕", "欧阳雪莲", PHONE):
        assert not await centre.db.read(partial(found, query=asked, viewer=supervisor))


async def test_a_hold_or_an_open_matter_stops_it_even_half_way(house: House) -> None:
    contact_id = await lived(house)
    centre, now = house.centre, house.clock.now()
    request_id = await opened(house, contact_id, RequestKind.ERASURE)
    await approves(house, request_id, "supervisor", Role.SUPERVISOR)

    def hold(session: Session) -> int:
        manager = somebody(session, "manager").staff_id
        return holds.place(session, HoldSubject.CONTACT, contact_id, "诉讼", staff_id=manager, now=now).id

    hold_id = await centre.db.write(hold)
    with pytest.raises(RefusedError, match="erasure_against"):
        await approves(house, request_id, "manager", Role.MANAGER)
    await centre.db.write(lambda s: holds.lift(s, hold_id, "结案", staff_id=somebody(s, "manager").staff_id, now=now))
    await approves(house, request_id, "manager", Role.MANAGER)
    await centre.db.write(hold)
    before = await centre.db.read(traces)
    assert await privacy_requests.carry_out(centre) == 0
    assert await centre.db.read(traces) == before


async def test_it_goes_on_where_it_was_left(house: House) -> None:
    contact_id = await lived(house)
    centre = house.centre
    request_id = await opened(house, contact_id, RequestKind.ERASURE)
    await approves(house, request_id, "supervisor", Role.SUPERVISOR)
    await approves(house, request_id, "manager", Role.MANAGER)
    for _ in range(3):
        assert await privacy_requests._step(centre, request_id)
    half = await centre.db.read(lambda s: s.get_one(PrivacyRequest, request_id))
    assert (half.state, half.step) == (RequestState.RUNNING, 3)
    await privacy_requests.carry_out(centre)
    assert await centre.db.read(traces) == set()


@pytest.mark.parametrize("who", [("agent", Role.SUPERVISOR), ("supervisor", Role.SUPERVISOR)])
async def test_two_others_approve(house: House, who: tuple[str, Role]) -> None:
    contact_id = await lived(house)
    request_id = await opened(house, contact_id, RequestKind.ERASURE)
    await approves(house, request_id, "supervisor", Role.SUPERVISOR)
    with pytest.raises(RefusedError):
        await approves(house, request_id, who[0], who[1])


async def test_whoever_refused_contact_is_not_contacted_as_somebody_new(house: House) -> None:
    contact_id = await lived(house)
    centre, now = house.centre, house.clock.now()
    request_id = await opened(house, contact_id, RequestKind.ERASURE)
    await approves(house, request_id, "supervisor", Role.SUPERVISOR)
    await approves(house, request_id, "manager", Role.MANAGER)
    await privacy_requests.carry_out(centre)

    def again(session: Session) -> dict[str, bool]:
        met = contacts.meet(session, ChannelName.SMS, PHONE, language=Language.ZH, zone=ZONE, now=now)
        assert met.contact_id != contact_id
        return {scope: granted for scope, (granted, _) in contacts.consents(session, met.contact_id).items()}

    assert await centre.db.write(again) == {"all": False}


async def test_a_copy_holds_everything_and_is_handed_out_by_a_link(house: House) -> None:
    contact_id = await lived(house)
    centre, now = house.centre, house.clock.now()
    request_id = await opened(house, contact_id, RequestKind.ACCESS)
    await approves(house, request_id, "supervisor", Role.SUPERVISOR)
    assert await exporting.make(centre) == 1
    assert await privacy_requests.carry_out(centre) == 1
    token = await centre.db.write(
        lambda s: privacy_requests.make_link(s, request_id, staff_id=somebody(s, "agent").staff_id, now=now)
    )
    answer = await house.client.get(f"/my-data/{token}")
    assert answer.headers["content-type"] == "application/zip"
    packed = zipfile.ZipFile(io.BytesIO(answer.content))
    told = packed.read("person.json").decode()
    for trace in ("欧阳雪莲2", PHONE, "9-3-1204", "头晕得厉害", "雪莲的水管", "snowlotus"):
        assert trace in told
    assert load_workbook(io.BytesIO(packed.read("person.xlsx"))).sheetnames[0] == "个人资料 · Personal data"
    assert (await house.client.get("/my-data/guessed")).status_code == 404
    export = await centre.db.read(lambda s: s.get_one(Export, s.get_one(PrivacyRequest, request_id).export_id or 0))
    assert export.downloads == 1
