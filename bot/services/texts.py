"""A text message in: words that stop or allow further messages are honoured as such, the rest is the bot's (inbox).

STOP and 退订 count only where they are the whole message, so that nobody is struck off for mentioning them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.telephone import OptOut
from bot.core.words import Author, Incoming, Say
from bot.services import callbacks, contacts, i18n, inbox, outbox
from bot.services.centre import Centre
from bot.services.conversations import Held, add_lines, find_open, open_at, save
from bot.services.i18n import N_
from store.tables import Consent, Message

KEYWORDS: Mapping[str, OptOut] = {
    **dict.fromkeys(("stop", "unsubscribe", "退订", "td", "t"), OptOut.STOP),
    **dict.fromkeys(("start", "unstop", "恢复订阅", "恢复"), OptOut.START),
}
SOURCE = "text message"
STOPPED = N_("已为您退订，今后不再向您推送和回访；紧急安全事项除外。想恢复请回复 START。")
STARTED = N_("已为您恢复，我们可以再次联系您了。想停止请回复 T。")
MEDIA = N_("谢谢，您发来的图片我们收到了，但在短信里看不到内容，请用文字告诉我们。")
SENT_MEDIA = N_("（发来 %(n)s 个附件）")


async def receive(centre: Centre, text: Incoming, opt_out: OptOut | None = None, media: int = 0) -> None:
    """Takes one text message, once. `opt_out`: the carrier took it as that and answered it, so we do not; `media`: how
    many pictures came with it. Raises inbox.TooLongError."""
    now, words = centre.clock.now(), inbox.clean(text.text)
    keyword = KEYWORDS.get(words.strip("。.!！ ").lower())
    if opt_out is not None or keyword is not None:
        meant = opt_out or keyword
        assert meant is not None
        await centre.db.write(lambda s: _opted(s, centre, text, meant, answered=opt_out is not None, now=now))
    elif media and not words:
        await centre.db.write(lambda s: _media(s, centre, text, media, now))
    else:
        await inbox.receive(centre, text)


def _opted(session: Session, centre: Centre, text: Incoming, word: OptOut, *, answered: bool, now: datetime) -> None:
    held = _line(session, centre, text, text.text, now)
    if held is None:
        return
    if word is OptOut.STOP:
        contacts.consent(session, held.contact_id, contacts.EVERYTHING, False, SOURCE, now)
        callbacks.stop(session, held.contact_id, now)
    elif word is OptOut.START and _stopped_by_text(session, held.contact_id):
        contacts.consent(session, held.contact_id, contacts.EVERYTHING, True, SOURCE, now)
    if not answered:
        _say(session, centre, held, STOPPED if word is OptOut.STOP else STARTED, now)
    save(session, held)


def _stopped_by_text(session: Session, contact_id: int) -> bool:
    """Whether what holds is a STOP of the same kind: one said on the telephone is not undone by a text message."""
    last = session.scalar(
        select(Consent)
        .where(Consent.contact_id == contact_id, Consent.scope == contacts.EVERYTHING)
        .order_by(Consent.id.desc())
        .limit(1)
    )
    return last is not None and not last.granted and last.source == SOURCE


def _media(session: Session, centre: Centre, text: Incoming, media: int, now: datetime) -> None:
    """Pictures without a word: those who read the conversation see that they came, and the customer hears it kindly."""
    language = text.language or centre.settings.language
    held = _line(session, centre, text, i18n.text(language, SENT_MEDIA, n=media), now)
    if held is not None:
        _say(session, centre, held, MEDIA, now)
        save(session, held)


def _line(session: Session, centre: Centre, text: Incoming, words: str, now: datetime) -> Held | None:
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
    held.seq += 1
    session.add(
        Message(
            conversation_id=held.id,
            seq=held.seq,
            channel=held.channel,
            author=Author.CUSTOMER,
            text=words,
            provider_id=text.provider_id,
            at=now,
        )
    )
    session.flush()
    return held


def _say(session: Session, centre: Centre, held: Held, words: str, now: datetime) -> None:
    rows = add_lines(session, held, Author.BOT, [Say(i18n.text(held.language, words))], now)
    outbox.put_lines(session, centre, held, rows, now)
