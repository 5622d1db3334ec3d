"""A caller leaves a message: told that it is recorded, kept with the conversation, followed up as a case (REQ-G11).

The carrier tells of a recording twice, when the caller has spoken and when it may be fetched, in any order; the case is
opened by whichever comes first. The caller is no longer in the queue: the case is what the staff work on.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot.core.media import Attachment as Announced
from bot.core.media import MediaKind, MediaState
from bot.core.telephone import RECORDED, BadCallError, HangUp, Record, Recording, door
from bot.core.words import Author, CaseKind, ChannelName, ConversationState, Say, Urgency
from bot.services import i18n
from bot.services.calls.speech import Spoken
from bot.services.casework import cases
from bot.services.centre import Centre
from bot.services.conversation import inbox, media
from bot.services.conversation.conversations import MAX_TEXT, Held, add_line, hold, save
from bot.services.escalation import ladders
from bot.services.i18n import N_
from bot.services.refusal import NotFoundError
from store.db import touch
from store.tables import Attachment, Conversation, Message

LONGEST = 120  # seconds
REASON = "voicemail"
MIME, ENDING = "audio/mpeg", ".mp3"
SPEAK = N_(
    "请在提示音后留言，说清您的事和怎么联系您，最长两分钟。留言会被录音，只供我们为您办理。说完请按井号键，或者直接挂断。"
)
THANKS = N_("您的留言收到了，已经登记，同事会尽快处理。再见。")
LEFT = N_("[电话留言 %(seconds)s 秒]")
SUBJECT = N_("电话留言（%(seconds)s 秒）%(words)s")


def record(held: Held, turn: int) -> Spoken:
    """Asks the caller to speak after the beep."""
    here = {"conversation": held.id, "turn": turn}
    ready = f"{RECORDED}?conversation={held.id}"
    then = Record(door(**here, left=1), door(**here, silent=0), ready, LONGEST)
    return Spoken((Say(i18n.text(held.language, SPEAK)),), held.language, then)


def of_form(form: Mapping[str, str]) -> Recording:
    """What a carrier's request tells of a recording. Raises BadCallError."""
    sid, seconds = form.get("RecordingSid", ""), form.get("RecordingDuration", "")
    if not 0 < len(sid) <= 100:
        raise BadCallError("RecordingSid is missing")
    words = inbox.clean(form.get("TranscriptionText", "")[:MAX_TEXT])
    return Recording(sid, form.get("RecordingUrl", ""), int(seconds) if seconds.isdecimal() else 0, words)


def left(
    session: Session, *, centre: Centre, conversation_id: int, recording: Recording, now: datetime, machine: datetime
) -> Spoken:
    """The caller has spoken. Raises BadCallError where there is no such conversation."""
    held = keep(session, centre, conversation_id, recording, now, machine)
    return Spoken((Say(i18n.text(held.language, THANKS)),), held.language, HangUp())


def keep(
    session: Session, centre: Centre, conversation_id: int, recording: Recording, now: datetime, machine: datetime
) -> Held:
    """Keeps a recording, once. Raises BadCallError."""
    try:
        held = hold(session, conversation_id)
    except NotFoundError as error:
        raise BadCallError("no such conversation") from error
    provider_id = f"recording:{recording.sid}"
    known = session.scalar(
        select(Message.id).where(Message.channel == ChannelName.VOICE, Message.provider_id == provider_id)
    )
    if known is not None:
        _may_be_fetched(session, known, machine)
        return held
    seconds = str(recording.seconds)
    shown = f"{i18n.text(held.language, LEFT, seconds=seconds)} {recording.words}".strip()
    line = add_line(session, held, Author.CUSTOMER, shown, now, provider_id=provider_id)
    if recording.source:
        audio = Announced(MediaKind.VOICE, recording.source + ENDING, f"voicemail{ENDING}", MIME)
        media.keep(session, ChannelName.VOICE, line.id, (audio,), machine)
    _open_case(session, centre, held, recording, now)
    _leave_queue(session, held, now)
    save(session, held)
    return held


def _may_be_fetched(session: Session, message_id: int, machine: datetime) -> None:
    waiting = Attachment.message_id == message_id, Attachment.state == MediaState.WAITING, Attachment.due_at > machine
    session.execute(update(Attachment).where(*waiting).values(due_at=machine))
    touch(session, media.TOPIC)


def _open_case(session: Session, centre: Centre, held: Held, recording: Recording, now: datetime) -> None:
    queue = session.scalar(select(Conversation.queue).where(Conversation.id == held.id))
    words = i18n.text(centre.settings.language, SUBJECT, seconds=str(recording.seconds), words=f" {recording.words}")
    case = cases.open_case(
        session,
        kind=CaseKind.INQUIRY,
        contact_id=held.contact_id,
        subject=words.strip(),
        zone=centre.settings.zone,
        now=now,
        queue=queue or "service",
        conversation_id=held.id,
    )
    ladders.start(session, centre, reason=REASON, urgency=Urgency.ORDINARY, case_id=case.id, now=now)


def _leave_queue(session: Session, held: Held, now: datetime) -> None:
    """The case has taken the conversation's place; one that somebody holds by now stays theirs."""
    if held.state in (ConversationState.QUEUED, ConversationState.BOT):
        held.state = ConversationState.CLOSED
        held.change(closed_at=now, queue=None, queued_at=None, unanswered_since=None, silence_at=None)
        ladders.end(session, ladders.of_conversation(held.id), now)
        touch(session, "floor")
