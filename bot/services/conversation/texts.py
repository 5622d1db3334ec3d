"""A text message in: words that stop or allow further messages are honoured as such, the rest is the bot's (inbox).

STOP, 退订 and HELP count only where they are the whole message, so that nobody is struck off for mentioning them. STOP
ends what we send by text without being asked (bot/core/permission.py); whoever wants no calls either tells the bot so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.media import refusal
from bot.core.telephone import OptOut
from bot.core.words import Author, Incoming, Say
from bot.services import contacts, i18n, merging
from bot.services.centre import Centre
from bot.services.conversation import inbox
from bot.services.conversation.conversations import Held, add_line, add_lines, find_open, open_at, save
from bot.services.delivery import outbox
from bot.services.escalation import staff_answers
from bot.services.i18n import N_
from store.tables import Consent, Message

KEYWORDS: Mapping[str, OptOut] = {
    **dict.fromkeys(("stop", "unsubscribe", "退订", "td", "t"), OptOut.STOP),
    **dict.fromkeys(("start", "unstop", "恢复订阅", "恢复"), OptOut.START),
    **dict.fromkeys(("help", "帮助"), OptOut.HELP),
}
SCOPE = "sms"
SOURCE = "text message"
STOPPED = N_(
    "已为您退订短信，不再用短信向您推送和回访；您在办的事和紧急安全事项除外。"
    "恢复请回复 START；电话也不想接，请回复“别再联系我”。"
)
STARTED = N_("已为您恢复，可以再给您发短信了。想停止请回复 T。")
STILL_STOPPED = N_("已为您恢复短信。您之前要求过我们不再联系，那一条仍然有效；想取消请回复“转人工”。")
HELP = N_("这里是%(company)s。有事直接回复这条短信，找客服请回复“转人工”。不想再收推送请回复 T，恢复请回复 START。")
SENT_FILE = N_("[文件]")


async def receive(centre: Centre, text: Incoming, opt_out: OptOut | None = None) -> None:
    """Takes one text message, once. `opt_out`: the carrier took it as that and answered it, so we do not. Raises
    inbox.TooLongError."""
    now, words = centre.clock.now(), inbox.clean(text.text)
    keyword = KEYWORDS.get(words.strip("。.!！ ").lower())
    await centre.db.write(lambda s: _is_theirs(s, centre, text, now))
    if opt_out is not None or keyword is not None:
        meant = opt_out or keyword
        assert meant is not None
        await centre.db.write(lambda s: _opted(s, centre, text, meant, answered=opt_out is not None, now=now))
    elif await centre.db.write(lambda s: staff_answers.by_text(s, text, now)):
        return
    else:
        await inbox.receive(centre, _with_files(centre, text, words))


def _is_theirs(session: Session, centre: Centre, text: Incoming, now: datetime) -> None:
    language = text.language or centre.settings.language
    merging.prove(session, text.address, language=language, zone=centre.settings.timezone, now=now)


def _with_files(centre: Centre, text: Incoming, words: str) -> Incoming:
    """Files without a word are answered as such; beside words they only come along. What may not be kept is left."""
    if not text.attachments:
        return text
    kept = tuple(file for file in text.attachments if refusal(file) is None)
    if words:
        return replace(text, attachments=kept)
    aside = "media" if kept else f"media_{refusal(text.attachments[0])}"
    shown = i18n.text(text.language or centre.settings.language, SENT_FILE)
    return replace(text, text=shown, attachments=kept, aside=aside)


def _opted(session: Session, centre: Centre, text: Incoming, word: OptOut, *, answered: bool, now: datetime) -> None:
    held = _line(session, centre, text, now)
    if held is None:
        return
    match word:
        case OptOut.STOP:
            contacts.consent(session, held.contact_id, SCOPE, False, SOURCE, now)
            answer = STOPPED
        case OptOut.START:
            contacts.consent(session, held.contact_id, SCOPE, True, SOURCE, now)
            answer = STARTED if _may_write(session, held.contact_id, now) else STILL_STOPPED
        case OptOut.HELP:
            answer = HELP
    if not answered:
        company = centre.library.current.policies.company.name.of(held.language)
        rows = add_lines(
            session, held, Author.BOT, [Say(i18n.text(held.language, answer, **_named(answer, company)))], now
        )
        outbox.put_lines(session, centre, held, rows, now)
    save(session, held)


def _named(answer: str, company: str) -> dict[str, str]:
    return {"company": company} if answer is HELP else {}


def _may_write(session: Session, contact_id: int, now: datetime) -> bool:
    """Whether START is all it takes: a STOP by text of everything, from before texts were stopped alone, is undone; one
    said on the telephone or in a chat is not."""
    last = session.scalar(
        select(Consent)
        .where(Consent.contact_id == contact_id, Consent.scope == contacts.EVERYTHING)
        .order_by(Consent.id.desc())
        .limit(1)
    )
    if last is None or last.granted:
        return True
    if last.source == SOURCE:
        contacts.consent(session, contact_id, contacts.EVERYTHING, True, SOURCE, now)
        return True
    return False


def _line(session: Session, centre: Centre, text: Incoming, now: datetime) -> Held | None:
    """The conversation with the message in it; None where it came before."""
    known = select(Message.id).where(Message.channel == text.channel, Message.provider_id == text.provider_id)
    held = find_open(session, text.channel, text.address)
    if session.scalar(known) is not None:
        return None
    held = held or open_at(
        session,
        text.channel,
        text.address,
        language=text.language or centre.settings.language,
        zone=centre.settings.timezone,
        book=centre.library.current.book.version,
        now=now,
    )
    add_line(session, held, Author.CUSTOMER, text.text, now, provider_id=text.provider_id)
    return held
