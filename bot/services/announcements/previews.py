"""What an announcement would do if it were launched now: people, blockers, segments, cost, time to finish (PEERS)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy.orm import Session

from bot.core import broadcast as arithmetic
from bot.core.permission import ContactFacts, Refused, Why, may_contact
from bot.core.words import BroadcastKind, ChannelName, Language
from bot.services.announcements.announcement_lines import words_for
from bot.services.announcements.audience import members
from bot.services.announcements.recipients import policy_of, reaches_of, usable
from bot.services.centre import Centre
from store.tables import Broadcast, Contact, Incident

PAGE = 2000


@dataclass(frozen=True, slots=True)
class Preview:
    """What a launch would do now. `first` is how many people each channel reaches first, `held` who is waiting for the
    gate and why; `units` are segments, calls and messages, `finish` how long they take at the channels' rates,
    `lasts` how long on each. `no_address` have none on these channels, `barred` of them one that takes nothing now.
    `too_late`: it would still be going out when the incident is expected to be over."""

    size: int
    vulnerable: int
    first: Mapping[ChannelName, int]
    no_address: int
    held: Mapping[Why, int]
    segments: Mapping[Language, int]
    units: Mapping[ChannelName, int]
    cost: Decimal
    currency: str
    finish: timedelta
    lasts: Mapping[ChannelName, timedelta]
    barred: int
    too_late: bool


def preview(session: Session, centre: Centre, broadcast: Broadcast, now: datetime) -> Preview:
    """Counts people, blockers, segments, cost and time to finish. `broadcast` may be a draft that was never stored."""
    policies = centre.library.current.policies
    rungs = policy_of(session, centre, broadcast)
    people = session.execute(
        members(session, broadcast.audience, now).with_only_columns(
            Contact.id, Contact.language, Contact.timezone, Contact.vulnerable
        )
    ).all()
    first: Counter[tuple[Language, ChannelName]] = Counter()
    zones: Counter[tuple[str, ChannelName]] = Counter()
    no_address = barred = 0
    for start in range(0, len(people), PAGE):
        page = people[start : start + PAGE]
        reaches = reaches_of(session, [person.id for person in page])
        for person in page:
            counts, missing = arithmetic.first_channels([reaches.get(person.id, ())], rungs)
            no_address += missing
            barred += bool(missing and reaches.get(person.id))
            for channel in (channel for channel, count in counts.items() if count):
                first[person.language, channel] += 1
                zones[person.timezone, channel] += 1
    texts = {
        language: words_for(centre, broadcast, language, ChannelName.SMS, told=bool(broadcast.amends)).text
        for language in Language
    }
    units: Counter[ChannelName] = Counter()
    for language in Language:
        counts = {channel: count for (spoken, channel), count in first.items() if spoken is language}
        units.update(arithmetic.units(counts, texts[language]))
    finish = arithmetic.time_to_finish(units, policies.rates)
    return Preview(
        size=len(people),
        vulnerable=sum(person.vulnerable for person in people),
        first={step.channel: sum(first[language, step.channel] for language in Language) for step in rungs.ladder},
        no_address=no_address,
        held=_held_by_gate(centre, broadcast, zones, now),
        segments={language: arithmetic.sms_segments(said) for language, said in texts.items()},
        units=dict(units),
        cost=arithmetic.cost(units, policies.rates),
        currency=policies.broadcast.currency,
        finish=finish,
        lasts={name: arithmetic.time_to_finish({name: n}, policies.rates) for name, n in units.items() if n},
        barred=barred,
        too_late=_too_late(session, broadcast, now + finish),
    )


def _too_late(session: Session, broadcast: Broadcast, done: datetime) -> bool:
    incident = session.get(Incident, broadcast.incident_id)
    if broadcast.kind is BroadcastKind.ALL_CLEAR or incident is None or incident.eta_at is None:
        return False
    return done > incident.eta_at


def _held_by_gate(
    centre: Centre, broadcast: Broadcast, people: Mapping[tuple[str, ChannelName], int], now: datetime
) -> dict[Why, int]:
    """How many people the gate would not let through now, and why; it is asked again when each row goes out."""
    shelf = centre.library.current
    held: Counter[Why] = Counter()
    for (zone, channel), count in people.items():
        facts = ContactFacts(zone, drill=broadcast.drill)
        answer = may_contact(broadcast.purpose, channel, facts, shelf.policies, shelf.calendar, now)
        if isinstance(answer, Refused):
            held[answer.reason] += count
    return dict(held)


def missing_channels(centre: Centre, broadcast: Broadcast) -> list[ChannelName]:
    """The channels asked for that this installation does not have."""
    there = usable(centre, broadcast)
    return [name for name in map(ChannelName, broadcast.channels) if name not in there]
