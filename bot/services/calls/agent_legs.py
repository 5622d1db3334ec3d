"""A caller in the queue is connected to an agent's telephone.

Whoever is free is rung, hears who it is and why, and takes the call with 1; one who declines or does not come is passed
over; then the caller is offered what else there is.
The queue is ours, not the carrier's: each few seconds the caller's call asks what is next, and hears their place, what
an agent writes, or is connected. A carrier's own queue (Twilio's <Enqueue>) would keep a second order beside it, first
come first served: it knows neither priority, nor the place kept from an earlier call, nor who waits in writing, and it
dies with the call. So it is not used.
Each leg is a row of the outbox, `leg:<conversation>:<n>`: it is known by it, and reported on it, like every other call.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from bot.core.telephone import BadCallError, Connect, Dial, HangUp, Listen, door
from bot.core.words import (
    Author,
    Button,
    ChannelName,
    ConversationState,
    Language,
    Purpose,
    Say,
)
from bot.services import contacts, i18n
from bot.services.calls import agent_first
from bot.services.calls.agent_phones import callback_of, legs_of, owner, pass_on, ring, up_for
from bot.services.calls.speech import BY_KEY, OFF_THE_LINE, ON_THE_LINE, PATIENCE, Spoken, from_here
from bot.services.centre import Centre
from bot.services.conversation.conversations import Held, add_line, hold, save
from bot.services.desk import escalations
from bot.services.i18n import N_
from bot.services.plans import preparation
from bot.services.refusal import NotFoundError
from store.db import vault_of
from store.tables import Address, Contact, Conversation, Delivery, Message

RINGS = 20  # seconds an agent's telephone rings
THINKS = 8  # seconds to press a key after the whisper
WHISPERS = 2  # times it is said
STILL_THERE = timedelta(minutes=2)  # a waiting caller's call asks what is next more often than that
WORDS = 60  # characters of what a customer said that are read out

CONNECTING = N_("正在为您接通客服，请稍候。")
WAITS = N_("来电转接。客户%(who)s，%(why)s。%(said)s")
OWED = N_("请您回访。客户%(who)s，%(why)s。%(said)s")
SAID = N_("客户说：%(words)s。")
NOTES = N_("备注：%(words)s。")
SOMEBODY = N_("号码尾号%(hint)s")
ASKED_FOR_US = N_("要找人工客服")
TAKE, CALL, PASS = N_("接听"), N_("现在拨给客户"), N_("不方便")
GONE = N_("这位客户已由同事接手。谢谢，再见。")
DECLINED = N_("好的，已转给其他同事。再见。")
AGENT_LEFT = N_("客服已挂断电话")
THANKS = N_("本次通话到此结束，感谢您的来电。再见。")


def ring_next(session: Session, held: Held, now: datetime, spoken: Spoken) -> Spoken:
    """Rings the next free agent for a caller who waits, whose turn it is; `spoken` is what they hear otherwise. A leg
    that is up is not rung again: the same request gets the same answer."""
    session.execute(update(Conversation).where(Conversation.id == held.id).values(told_at=now))
    ringing = _ringing(session, held.id, now)
    if ringing is not None:
        return replace(spoken, then=_leg(session, held, ringing))
    if not _first_in_line(session, held, now):
        return spoken
    made = ring(session, legs_of(held.id), {"conversation": held.id}, now, by_the_caller=True)
    if made is None:
        return spoken
    leg = session.get_one(Delivery, made)
    says = (*spoken.says, Say(i18n.text(held.language, CONNECTING)))
    return Spoken(says, held.language, _leg(session, held, leg))


def _ringing(session: Session, conversation_id: int, now: datetime) -> Delivery | None:
    """The leg to an agent that is up for this conversation."""
    latest = next(iter(up_for(session, conversation_id)), None)
    return latest if latest is not None and latest.changed_at > now - timedelta(seconds=RINGS * 2) else None


def _leg(session: Session, held: Held, delivery: Delivery) -> Dial:
    number = vault_of(session).open(session.get_one(Address, delivery.address_id).sealed)
    back = door(conversation=held.id, turn=held.seq, leg=delivery.id)
    return Dial(number, back, door(whisper=delivery.id), delivery.id, RINGS)


def _first_in_line(session: Session, held: Held, now: datetime) -> bool:
    """Whether nobody else on the line has waited longer; whoever hung up waits in the queue, not on the line. That they
    did may never be told, as while the program was down; then their call asks for nothing any more."""
    mine = session.execute(
        select(Conversation.priority, Conversation.queued_at).where(Conversation.id == held.id)
    ).one()
    last = (
        select(Message.key)
        .where(
            Message.conversation_id == Conversation.id,
            Message.author == Author.SYSTEM,
            Message.key.in_((ON_THE_LINE, OFF_THE_LINE)),
        )
        .order_by(Message.seq.desc())
        .limit(1)
        .correlate(Conversation)
        .scalar_subquery()
    )
    others = session.execute(
        select(Conversation.id, Conversation.priority, Conversation.queued_at).where(
            Conversation.state == ConversationState.QUEUED,
            Conversation.channel == ChannelName.VOICE,
            Conversation.id != held.id,
            func.coalesce(last, ON_THE_LINE) == ON_THE_LINE,
            func.coalesce(Conversation.told_at, Conversation.queued_at) > now - STILL_THERE,
        )
    )
    me = (mine.priority, mine.queued_at, held.id)
    ahead = [row.id for row in others if (row.priority, row.queued_at, row.id) < me]
    return all(_ringing(session, conversation_id, now) is not None for conversation_id in ahead)


def leg_over(
    session: Session, *, centre: Centre, conversation_id: int, delivery_id: int, status: str, now: datetime
) -> Spoken:
    """The caller is with us again: the agent has hung up, or did not take the call and the next one is asked."""
    try:
        held = hold(session, conversation_id)
    except NotFoundError as error:
        raise BadCallError("no such conversation") from error
    took = held.state is ConversationState.AGENT
    agent_first.settle(session, centre, delivery_id, status if took or status != "completed" else "no-answer")
    if held.state is ConversationState.QUEUED:
        # At once the words that come now and then, with what the caller may do instead.
        waits = from_here(session, centre, conversation_id, held.seq, waited=PATIENCE)
        return ring_next(session, held, now, waits)
    if took and not _noted(session, delivery_id):
        add_line(
            session,
            held,
            Author.SYSTEM,
            agent_first.ours(centre, AGENT_LEFT),
            now,
            provider_id=f"leg:{delivery_id}:over",
        )
        save(session, held)
    return Spoken((Say(i18n.text(held.language, THANKS)),), held.language, HangUp())


def _noted(session: Session, delivery_id: int) -> bool:
    noted = select(Message.id).where(
        Message.channel == ChannelName.VOICE, Message.provider_id == f"leg:{delivery_id}:over"
    )
    return session.scalar(noted) is not None


# ── what the agent hears and presses ──


def whisper(session: Session, *, centre: Centre, delivery_id: int, now: datetime, again: int = 0) -> Spoken:
    """Who it is, why, and what they said; twice, then the agent is taken not to be there. Raises BadCallError."""
    delivery = _own(session, delivery_id)
    language = Language(delivery.body["language"])
    if again >= WHISPERS:
        return Spoken((), language, HangUp())
    owed = callback_of(session, delivery)
    if owed is not None:
        card = preparation.prepare(session, centre.library.current, owed, language, now)
        notes = i18n.text(language, NOTES, words=card.notes[:WORDS]) if card.notes else ""
        about = _about(session, language, owed.contact_id, card.reason or owed.topic, notes)
        words, take = i18n.text(language, OWED, **about), CALL
    else:
        conversation = session.get_one(Conversation, delivery.body["metadata"]["conversation"])
        last = _said(session, conversation.id)
        said = i18n.text(language, SAID, words=last) if last else ""
        words = i18n.text(language, WAITS, **_about(session, language, conversation.contact_id, "", said))
        take = TAKE
    listen = Listen(door(whisper=delivery_id, heard=1), door(whisper=delivery_id, silent=again + 1), THINKS)
    choices = tuple(Button(i18n.text(language, title), title) for title in (take, PASS))
    return Spoken((Say(words, choices),), language, listen)


def _own(session: Session, delivery_id: int) -> Delivery:
    delivery = session.get(Delivery, delivery_id)
    if delivery is None or delivery.purpose is not Purpose.STAFF_ALERT or delivery.channel is not ChannelName.VOICE:
        raise BadCallError("no such leg")
    return delivery


def _about(session: Session, language: Language, contact_id: int, topic: str, said: str) -> dict[str, str]:
    """The words of a whisper: the name as people are addressed, or the last digits of the number."""
    contact = session.get_one(Contact, contacts.survivor(session, contact_id))
    phone = contacts.phone_of(session, contact.id)
    who = contacts.addressed(contact.name, contact.title) or contact.name
    if not who:
        who = i18n.text(language, SOMEBODY, hint=phone.hint.lstrip("*") if phone is not None else "")
    why = topic or i18n.text(language, ASKED_FOR_US)
    return {"who": who, "why": why, "said": said}


def _said(session: Session, conversation_id: int) -> str:
    """The customer's last words of their own, not the keys they pressed."""
    lines = session.scalars(
        select(Message.text)
        .where(Message.conversation_id == conversation_id, Message.author == Author.CUSTOMER)
        .order_by(Message.seq.desc())
        .limit(10)
    )
    spoken = [line for line in lines if not line.isdecimal() and line not in BY_KEY]
    return "；".join(reversed([line[:WORDS] for line in spoken[:2]]))


def pressed(session: Session, *, centre: Centre, delivery_id: int, heard: str, now: datetime) -> Spoken:
    """1, or saying so, takes the call; anything else leaves it to others. Raises BadCallError."""
    delivery = _own(session, delivery_id)
    language, person = Language(delivery.body["language"]), owner(session, delivery)
    owed = callback_of(session, delivery)
    takes = {"1", *(i18n.text(language, title) for title in (TAKE, CALL))}
    if person is None or heard.strip("。. ") not in takes:
        if owed is not None:
            pass_on(session, owed, now)
        return Spoken((Say(i18n.text(language, DECLINED)),), language, HangUp())
    if owed is not None:
        return agent_first.call_customer(session, centre, delivery, owed, person, now)
    conversation_id = delivery.body["metadata"]["conversation"]
    if escalations.claim(session, conversation_id, person.id, now):
        held = hold(session, conversation_id)
        add_line(session, held, Author.SYSTEM, agent_first.ours(centre, agent_first.TOOK, who=person.name), now)
        save(session, held)
        return Spoken((), language, Connect())
    holder = session.scalar(select(Conversation.staff_id).where(Conversation.id == conversation_id))
    if holder == person.id:
        return Spoken((), language, Connect())
    return Spoken((Say(i18n.text(language, GONE)),), language, HangUp())
