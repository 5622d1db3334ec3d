"""/api/v1/contacts: who people are and what they allow."""

from __future__ import annotations

from datetime import datetime, time
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from bot.core.words import ChannelName, Language
from bot.services import audit, contacts
from bot.services import tags as labels
from bot.services.calls import callbacks
from bot.services.contacts import BadPhoneError
from bot.services.plans.visit_lists import is_zone
from bot.web.api.door import (
    After,
    Asked,
    Guarded,
    Id,
    Instant,
    Limit,
    Line,
    Name,
    Phone,
    centre_of,
    missing,
    reader,
    wrong,
)
from store.db import Session
from store.rows import rows
from store.tables import Address, Contact

router = APIRouter(prefix="/contacts", tags=["contacts"], route_class=Guarded)
WHY = "api"


def _zone(value: str) -> str:
    if not is_zone(value):
        raise ValueError("an IANA time zone such as Asia/Shanghai is wanted")
    return value


def _clock(value: str) -> str:
    return time.fromisoformat(value).strftime("%H:%M")


def _tag(value: str) -> str:
    found = labels.read(value)
    if len(found) != 1:
        raise ValueError("one tag, without commas")
    return found[0]


def _once(tags: list[str]) -> list[str]:
    return labels.joined(tags, ())


Zone = Annotated[Line, AfterValidator(_zone)]
Tag = Annotated[Line, StringConstraints(min_length=1, max_length=labels.LONGEST), AfterValidator(_tag)]
ClockTime = Annotated[str, Field(pattern=r"^\d{2}:\d{2}$", examples=["09:00"]), AfterValidator(_clock)]


class Facts(Asked):
    """What is known of a person; a field left out stays as it is."""

    name: Name | None = None
    title: Annotated[Line, Field(max_length=40)] | None = Field(None, description="How they are addressed: 王女士")
    language: Language | None = None
    timezone: Zone | None = None
    unit: Line | None = Field(None, description="Building, entrance and flat: 3-2-501")
    segments: Annotated[list[Line], Field(max_length=20)] | None = None
    tags: Annotated[list[Tag], Field(max_length=labels.MOST), AfterValidator(_once)] | None = Field(
        None, description="All the free labels they carry from now on"
    )
    vulnerable: bool | None = None
    not_before: ClockTime | None = Field(None, description="Local time before which they do not want to be reached")
    not_after: ClockTime | None = None


class NewContact(Facts):
    """A person and the number they are known by."""

    phone: Phone


class Number(Asked):
    phone: Phone


class ConsentGiven(Asked):
    """A consent given or withdrawn: a purpose of contact, `recording`, `sms`, `calls`, or `all`."""

    scope: Annotated[str, Field(pattern=r"^[a-z_]{2,24}$", examples=["marketing", "all"])]
    granted: bool


class Reachable(BaseModel):
    channel: ChannelName
    address: str = Field(description="Masked")
    reachable: bool


class ConsentShown(BaseModel):
    scope: str
    granted: bool
    at: datetime


class ContactShown(BaseModel):
    """A person as the API shows them: numbers masked, the flat left out."""

    id: int
    name: str
    title: str
    language: Language
    timezone: str
    segments: list[str]
    tags: list[str]
    building: str | None
    vulnerable: bool
    not_before: str | None
    not_after: str | None
    merged_into: int | None
    addresses: list[Reachable]
    consents: list[ConsentShown]
    created_at: Instant


@router.post("", status_code=201, summary="Add a person, or learn about one we know by this number")
async def create(request: Request, new: NewContact) -> ContactShown:
    centre, language = centre_of(request), reader(request)
    now = centre.clock.now()

    def work(session: Session) -> ContactShown:
        number = contacts.phone_number(new.phone)
        known = contacts.meet(
            session,
            ChannelName.VOICE,
            number,
            language=new.language or centre.settings.language,
            zone=new.timezone or centre.settings.timezone,
            now=now,
        )
        contacts.add_phone(session, known.contact_id, number, now)
        _learn(session, known.contact_id, new.model_dump(exclude_unset=True, exclude={"phone"}), now)
        return _show(session, known.contact_id)

    try:
        return await centre.db.write(work)
    except BadPhoneError as error:
        raise wrong("phone", "phone", language) from error


@router.get("", summary="People, by id")
async def browse(request: Request, limit: Limit = 50, after: After = 0) -> list[ContactShown]:
    def work(session: Session) -> list[ContactShown]:
        return [_show(session, each.id) for each in rows(session, Contact, after=after, limit=limit)]

    return await centre_of(request).db.read(work)


@router.post("/lookup", summary="The person behind a number (which then stands in no log of addresses)")
async def look_up(request: Request, wanted: Number) -> ContactShown:
    centre = centre_of(request)

    def work(session: Session) -> ContactShown | None:
        for channel in (ChannelName.VOICE, ChannelName.SMS):
            address = contacts.find_address(session, channel, contacts.phone_number(wanted.phone))
            if address is not None and address.contact_id is not None:
                return _show(session, contacts.survivor(session, address.contact_id))
        return None

    try:
        found = await centre.db.read(work)
    except BadPhoneError as error:
        raise wrong("phone", "phone", reader(request)) from error
    if found is None:
        raise missing("contact")
    return found


@router.get("/{contact_id}")
async def show(request: Request, contact_id: Id) -> ContactShown:
    found = await centre_of(request).db.read(
        lambda s: _show(s, contact_id) if s.get(Contact, contact_id) is not None else None
    )
    if found is None:
        raise missing("contact")
    return found


@router.patch("/{contact_id}", summary="Correct what is known; what it replaces stays legible")
async def correct(request: Request, contact_id: Id, facts: Facts) -> ContactShown:
    centre = centre_of(request)
    now = centre.clock.now()

    def work(session: Session) -> ContactShown | None:
        if session.get(Contact, contact_id) is None:
            return None
        kept = contacts.survivor(session, contact_id)
        _learn(session, kept, facts.model_dump(exclude_unset=True), now)
        return _show(session, kept)

    found = await centre.db.write(work)
    if found is None:
        raise missing("contact")
    return found


@router.post("/{contact_id}/consents", status_code=201, summary="A consent given or withdrawn, from now on")
async def consent(request: Request, contact_id: Id, given: ConsentGiven) -> ContactShown:
    centre = centre_of(request)
    now = centre.clock.now()

    def work(session: Session) -> ContactShown | None:
        if session.get(Contact, contact_id) is None:
            return None
        kept = contacts.survivor(session, contact_id)
        contacts.consent(session, kept, given.scope, given.granted, WHY, now)
        if not given.granted and given.scope in (contacts.EVERYTHING, "calls", "follow_up", "callbacks"):
            callbacks.stop(session, kept, now)
        audit.record(session, "contact.consent", "contact", kept, now=now, note=WHY, **given.model_dump())
        return _show(session, kept)

    found = await centre.db.write(work)
    if found is None:
        raise missing("contact")
    return found


def _learn(session: Session, contact_id: int, facts: dict[str, Any], now: datetime) -> None:
    contacts.learn(session, contact_id, facts, now=now, why=WHY)
    if facts:
        audit.record(session, "contact.learn", "contact", contact_id, now=now, note=WHY, fields=sorted(facts))


def _show(session: Session, contact_id: int) -> ContactShown:
    contact = session.get_one(Contact, contact_id)
    addresses = sorted(rows(session, Address, contact_id=contact_id), key=lambda each: (each.rank, each.id))
    return ContactShown(
        id=contact.id,
        name=contact.name,
        title=contact.title,
        language=contact.language,
        timezone=contact.timezone,
        segments=contact.segments,
        tags=contact.tags,
        building=contact.building,
        vulnerable=contact.vulnerable,
        not_before=contact.not_before,
        not_after=contact.not_after,
        merged_into=contact.merged_into_id,
        addresses=[Reachable(channel=a.channel, address=a.hint, reachable=a.reachable) for a in addresses],
        consents=[
            ConsentShown(scope=scope, granted=granted, at=at)
            for scope, (granted, at) in sorted(contacts.consents(session, contact_id).items())
        ],
        created_at=contact.created_at,
    )
