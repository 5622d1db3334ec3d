"""A heating outage in building 3 of the demo, the people who announce it, and a provider that keeps what it sent."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.policy import Bilingual
from bot.core.words import (
    SENT,
    Can,
    ChannelName,
    DeliveryState,
    Incoming,
    Language,
    Outcome,
    Outgoing,
    Rejected,
    Report,
    Sent,
    StepState,
    Unsure,
)
from bot.services import contacts
from bot.services.announcements import announcements, answers, approvals, audience, broadcasts, flights
from bot.services.centre import Centre
from bot.services.conversation import inbox, kept
from bot.services.conversation.conversations import hold
from bot.services.delivery import dispatch
from bot.services.delivery.pace import Pace
from bot.services.incidents import detection, incident_record, incident_steps, incidents
from store.db import vault_of
from store.tables import (
    Address,
    Broadcast,
    BroadcastRecipient,
    Contact,
    Conversation,
    Delivery,
    Incident,
    IncidentStep,
    Staff,
)

TEXT = Bilingual("三号楼供热管道爆裂，今晚八点前恢复。", "A heating pipe of building 3 burst; back by 8 p.m.")


@dataclass
class Provider:
    """A carrier that takes everything, unless told what to answer to an address."""

    name: ChannelName
    can: Can = field(default_factory=lambda: Can(receipts=True))
    sent: list[Outgoing] = field(default_factory=list)
    answers: dict[str, Exception] = field(default_factory=dict)

    async def send(self, out: Outgoing) -> Sent:
        self.sent.append(out)
        if (answer := self.answers.get(out.address)) is not None:
            raise answer
        return Sent(f"{self.name}-{out.delivery_id}")


@dataclass
class Outage:
    """`centre` has SMS and voice by `sms` and `voice`; every step is one transaction, as at the console."""

    centre: Centre
    sms: Provider = field(default_factory=lambda: Provider(ChannelName.SMS))
    voice: Provider = field(default_factory=lambda: Provider(ChannelName.VOICE))

    def __post_init__(self) -> None:
        self.centre = replace(self.centre, channels={ChannelName.SMS: self.sms, ChannelName.VOICE: self.voice})

    @property
    def now(self):  # type: ignore[no-untyped-def]  # noqa: ANN201
        return self.centre.clock.now()

    def write(self, work):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        return self.centre.db.write_now(work)

    def staff(self, username: str) -> int:
        return self.write(lambda s: s.scalars(select(Staff.id).where(Staff.username == username)).one())

    def contact(self, name: str) -> int:
        return self.write(lambda s: s.scalars(select(Contact.id).where(Contact.name == name)).one())

    def phone(self, name: str) -> str:
        def look(session: Session) -> str:
            address = contacts.phone_of(session, session.scalars(select(Contact.id).where(Contact.name == name)).one())
            assert address is not None
            return vault_of(session).open(address.sealed)

        return self.write(look)

    def give_webchat(self, name: str, value: str = "browser-1") -> None:
        self.write(
            lambda s: contacts.add_address(
                s,
                s.scalars(select(Contact.id).where(Contact.name == name)).one(),
                ChannelName.WEBCHAT,
                value,
                self.now,
            )
        )

    def incident(self, *, drill: bool = False) -> int:
        def report(session: Session) -> int:
            who = session.scalars(select(Staff.id).where(Staff.username == "leader")).one()
            incident = detection.report(
                session,
                self.centre,
                code="INC-29",
                title="三号楼供热管道爆裂",
                buildings=["3"],
                staff_id=who,
                now=self.now,
                drill=drill,
            )
            incidents.confirm(session, self.centre, incident.id, staff_id=who, now=self.now)
            return incident.id

        return self.write(report)

    def complete(self, incident_id: int) -> None:
        """Everything the record wants before the review: steps, grade, course, cause, measures, the hall's form."""
        who = self.staff("manager")

        def fill(session: Session) -> None:
            incident = session.get_one(Incident, incident_id)
            if incident_record.owed(self.centre, incident).graded:
                incident_record.confirm_grade(
                    session, self.centre, incident_id, "II", staff_id=who, why="看过现场", now=self.now
                )
            for kind in ("action", "cause", "measure"):
                incidents.add_note(session, incident_id, kind, "如实记录", staff_id=who, now=self.now)
            hall = dict.fromkeys(incident_record.FORMS["hall"], "如实记录")
            incident_record.fill(session, incident_id, "hall", hall, staff_id=who, now=self.now)
            while rows := [row for row in incident_steps.steps_of(session, incident_id) if self._to_do(row)]:
                incident_steps.done(session, rows[0].id, staff_id=who, result="已办", now=self.now)

        self.write(fill)

    def _to_do(self, row: IncidentStep) -> bool:
        return row.state is StepState.OPEN and row.plan != incident_steps.AFTERWARDS

    def draft(self, incident_id: int, author: str = "ops", buildings: tuple[str, ...] = ("3",)) -> int:
        who = self.staff(author)
        chosen = audience.audience_of(buildings, [])
        return self.write(
            lambda s: (
                announcements.draft(
                    s, self.centre, incident_id, staff_id=who, now=self.now, audience=chosen, text=TEXT
                ).id
            )
        )

    def approve(self, broadcast_id: int, by: str = "supervisor") -> None:
        who = self.staff(by)
        self.write(
            lambda s: approvals.approve(
                s,
                self.centre,
                broadcast_id,
                revision=s.get_one(Broadcast, broadcast_id).revision,
                staff_id=who,
                now=self.now,
            )
        )

    def send(self, broadcast_id: int, by: str = "supervisor", override: str = "") -> bool:
        who = self.staff(by)
        return self.write(
            lambda s: approvals.send(s, self.centre, broadcast_id, staff_id=who, now=self.now, override=override)
        )

    def launched(self, *, drill: bool = False, author: str = "ops") -> int:
        """A notice on its way to building 3: five people, one of them in need."""
        broadcast_id = self.draft(self.incident(drill=drill), author)
        self.approve(broadcast_id)
        assert self.send(broadcast_id, override="停暖等不到天亮")  # whatever the hour
        return broadcast_id

    def tick(self, rounds: int = 20) -> None:
        for _ in range(rounds):
            if not self.write(lambda s: flights.tick(s, self.centre, self.now)):
                return

    async def drain(self) -> None:
        while await dispatch.drain(self.centre, Pace(), None):
            pass

    async def settle(self) -> None:
        for _ in range(10):
            self.tick()
            await self.drain()

    async def writes(
        self, name: str, words: str, *, nth: int = 1, payload: str | None = None, sent: int | None = None
    ) -> list[str]:
        """A text message of theirs, the `nth` of these words; gives what it is answered with. `sent`: as Incoming's."""
        provider_id = f"in-{name}-{words}-{nth}"
        incoming = Incoming(ChannelName.SMS, self.phone(name), provider_id, words, payload=payload)
        if sent is not None:
            incoming = replace(incoming, metadata={SENT: sent})
        receipt = await inbox.receive(self.centre, incoming)
        await kept.answer(self.centre, receipt.conversation_id)
        return [say.text for say in (await inbox.receive(self.centre, incoming)).answers]

    def acknowledges(self, name: str, channel: ChannelName = ChannelName.SMS) -> int:
        """They answer where that channel reaches them; gives how many announcements they know now."""

        def answer(session: Session) -> int:
            contact = session.scalars(select(Contact.id).where(Contact.name == name)).one()
            reaches = select(Conversation.id).join(Address, Address.id == Conversation.address_id)
            there = session.scalar(reaches.where(Address.contact_id == contact, Address.channel == channel))
            if there is None:
                return 0
            return answers.acknowledge(session, self.centre, hold(session, there), None, "1", self.now)[0]

        return self.write(answer)

    def report(self, delivery_id: int, state: DeliveryState, error: str | None = None) -> None:
        def tell(session: Session) -> None:
            channel = session.get_one(Delivery, delivery_id).channel
            dispatch.report_now(session, self.centre, Report(channel, None, delivery_id, state, error=error))

        self.write(tell)

    def deliveries(self, broadcast_id: int, name: str | None = None) -> list[Delivery]:
        def look(session: Session) -> list[Delivery]:
            query = (
                select(Delivery)
                .join(BroadcastRecipient, BroadcastRecipient.id == Delivery.recipient_id)
                .join(Contact, Contact.id == BroadcastRecipient.contact_id)
                .where(BroadcastRecipient.broadcast_id == broadcast_id)
                .order_by(Delivery.id)
            )
            return list(session.scalars(query.where(Contact.name == name) if name else query))

        return self.write(look)

    def outcome(self, broadcast_id: int, name: str) -> Outcome:
        return self.write(
            lambda s: s.scalars(
                select(BroadcastRecipient.outcome)
                .join(Contact, Contact.id == BroadcastRecipient.contact_id)
                .where(BroadcastRecipient.broadcast_id == broadcast_id, Contact.name == name)
            ).one()
        )

    def counts(self, broadcast_id: int) -> dict[Outcome, int]:
        """Who stands where; also holds that they sum to the audience."""

        def look(session: Session) -> dict[Outcome, int]:
            tally = broadcasts.counts(session, broadcast_id)
            assert sum(tally.values()) == session.get_one(Broadcast, broadcast_id).audience_size
            return {outcome: count for outcome, count in tally.items() if count}

        return self.write(look)

    def broadcast(self, broadcast_id: int) -> Broadcast:
        return self.write(lambda s: s.get_one(Broadcast, broadcast_id))

    def the_incident(self, broadcast_id: int) -> Incident:
        return self.write(lambda s: s.get_one(Incident, s.get_one(Broadcast, broadcast_id).incident_id))


__all__ = ["TEXT", "Language", "Outage", "Provider", "Rejected", "Unsure"]
