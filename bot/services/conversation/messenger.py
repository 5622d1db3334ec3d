"""What a messenger's provider brings, committed before it is acknowledged (bot/core/arrivals.py).

A message's and a button's ids are made of where they stand, so that what comes again, late or out of order is found to
be known. Only a keyed hash of a chat's address stands in them (REQ-G14).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.arrivals import Arrival, Linking, Moved, NotNow, Press, Reached, Taken
from bot.core.splitting import cut
from bot.core.words import ConversationState, Incoming, Language, Purpose
from bot.services import contacts
from bot.services.centre import Centre
from bot.services.conversation import asides, inbox
from bot.services.conversation.conversations import MAX_TEXT
from bot.services.delivery import outbox
from bot.services.escalation import alerts, own_chats, staff_answers
from bot.services.i18n import N_, text
from store.db import vault_of
from store.tables import Address, Delivery

log = structlog.get_logger()
ANSWERED = N_("这个问题已经答过了。")
LINKED = N_("%(who)s，您好！这个聊天已连接到您的工作台账号，提醒会同时发到这里。")
BAD_CODE = N_("这个连接码用过了或者已过期，请在工作台“我的账号”里再取一个。")


async def take(centre: Centre, arrival: Arrival) -> Taken:
    """Commits what arrived; what cannot be handled is kept where that is possible, logged, and holds up nothing.

    Raises NotNow where the database does not take anything.
    """
    try:
        return await _take(centre, arrival)
    except Exception as error:
        if not await _database_answers(centre):
            raise NotNow(type(error).__name__) from error
        log.exception("messenger.poison", kind=type(arrival).__name__)
        if isinstance(arrival, Incoming):
            await _keep(centre, arrival)
        return Taken()


async def _take(centre: Centre, arrival: Arrival) -> Taken:
    match arrival:
        case Incoming():
            return await _hear(centre, arrival)
        case Press():
            return await _press(centre, arrival)
        case Linking():
            await centre.db.write(lambda s: _link(s, centre, arrival))
        case Reached():
            await centre.db.write(lambda s: _reached(s, arrival))
        case Moved():
            await centre.db.write(lambda s: _moved(s, arrival))
    return Taken()


async def _hear(centre: Centre, incoming: Incoming) -> Taken:
    """A message; one longer than the house keeps in one line is several."""
    answering = False
    for number, words in enumerate(cut(incoming.text, MAX_TEXT), 1):
        part = replace(incoming, text=words)
        if number > 1:
            part = replace(part, provider_id=f"{incoming.provider_id}#{number}", attachments=())
        receipt = await inbox.receive(centre, _hidden(centre, part))
        answering = receipt.state is ConversationState.BOT and not receipt.repeated and not receipt.answers
    return Taken(answering=answering)


async def _database_answers(centre: Centre) -> bool:
    try:
        await centre.db.write(lambda s: s.scalar(select(1)))
    except Exception:  # noqa: BLE001 - whatever it is, nothing can be committed
        return False
    return True


async def _keep(centre: Centre, incoming: Incoming) -> None:
    try:
        await inbox.keep(centre, _hidden(centre, replace(incoming, text=incoming.text[:MAX_TEXT])))
    except Exception:
        log.exception("messenger.not_kept")


def _hidden(centre: Centre, incoming: Incoming) -> Incoming:
    """The provider's id of a message names the chat; what is stored does not."""

    def hide(provider_id: str) -> str:
        return centre.db.vault.blind(f"{incoming.channel} message", provider_id)

    corrects = hide(incoming.corrects) if incoming.corrects else ""
    kept = {**incoming.metadata, "corrects": corrects} if corrects else incoming.metadata
    return replace(incoming, provider_id=hide(incoming.provider_id), corrects=corrects, metadata=kept)


# ── buttons ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _press(centre: Centre, press: Press) -> Taken:
    """A keyboard is used once: a second press of it, whichever button, changes nothing."""
    found = await centre.db.read(lambda s: _button(s, press))
    if found is None:
        return Taken()
    title, payload, language = found
    if payload.startswith((alerts.SEEN, alerts.CLAIM, alerts.PASS)):
        return await centre.db.write(lambda s: _staff_press(s, centre, press, payload))
    chosen = asides.chosen_language(payload)
    incoming = Incoming(
        press.channel,
        press.address,
        f"keyboard:{press.delivery_id}",
        title,
        language=chosen,
        payload=None if chosen else payload,
        aside="language" if chosen else "",
        spoken=press.spoken,
    )
    receipt = await inbox.receive(centre, _hidden(centre, incoming))
    return Taken(note=text(language, ANSWERED)) if receipt.repeated else Taken(chosen=title)


def _button(session: Session, press: Press) -> tuple[str, str, Language] | None:
    """The title and payload of the pressed button, in the keyboard's language; None where this chat never got it."""
    delivery = session.get(Delivery, press.delivery_id)
    if delivery is None or delivery.channel is not press.channel:
        return None
    blind = session.scalar(select(Address.blind).where(Address.id == delivery.address_id))
    buttons = delivery.body.get("buttons", ())
    if blind != vault_of(session).blind(press.channel, press.address) or not 0 <= press.choice < len(buttons):
        return None
    return buttons[press.choice]["title"], buttons[press.choice]["payload"], Language(delivery.body["language"])


def _staff_press(session: Session, centre: Centre, press: Press, payload: str) -> Taken:
    """Whoever is first has it; everybody's alert then says who, by the outbox."""
    person = own_chats.whose(session, press.channel, press.address)
    if person is None:
        return Taken()
    verb, _, escalation_id = payload.rpartition(" ")
    now = centre.clock.now()
    said = staff_answers.answer(session, person, int(escalation_id), verb, how=press.channel, now=now)
    return Taken(note=said.of(Language(person.language)))


# ── chats ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _link(session: Session, centre: Centre, linking: Linking) -> None:
    """Ties the chat to the account, and says so there; a wrong code is answered too."""
    now, language = centre.clock.now(), linking.spoken or centre.settings.language
    zone = centre.settings.timezone
    person = own_chats.link(
        session,
        linking.channel,
        linking.address,
        linking.code,
        language=language,
        zone=zone,
        now=now,
        machine=centre.clock.machine(),
    )
    known = contacts.meet(session, linking.channel, linking.address, language=language, zone=zone, now=now)
    if person is None and own_chats.whose(session, linking.channel, linking.address) is not None:
        return  # the update that linked it came again
    code = vault_of(session).blind("chat code", linking.code)
    outbox.put(
        session,
        dedupe_key=f"chat_code:{known.address_id}:{code}",
        purpose=Purpose.STAFF_ALERT,
        channel=linking.channel,
        address_id=known.address_id,
        contact_id=None,
        text=text(person.language, LINKED, who=person.name) if person else text(language, BAD_CODE),
        language=Language(person.language) if person else language,
        now=now,
    )


def _reached(session: Session, reached: Reached) -> None:
    address = contacts.find_address(session, reached.channel, reached.address)
    if address is not None:
        address.reachable = reached.reachable


def _moved(session: Session, moved: Moved) -> None:
    """The chat's rows follow it to its new address, unless that has rows of its own already."""
    address = contacts.find_address(session, moved.channel, moved.address)
    if address is not None and contacts.find_address(session, moved.channel, moved.to) is None:
        vault = vault_of(session)
        address.sealed, address.blind = vault.seal(moved.to), vault.blind(moved.channel, moved.to)


COMMANDS = (
    ("start", N_("开始")),
    ("human", N_("转人工")),
    ("cancel", N_("取消正在办的事")),
    ("language", N_("选择语言 Language")),
    ("stop", N_("不再联系我")),
)


def menu(first: Language) -> Mapping[Language, Sequence[tuple[str, str]]]:
    """The commands a messenger's menu offers, in both languages, the installation's own first."""
    languages = sorted(Language, key=lambda language: language is not first)
    return {language: [(name, text(language, words)) for name, words in COMMANDS] for language in languages}
