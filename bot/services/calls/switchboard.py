"""Where a carrier's webhooks come out in the house: calls, text messages and what became of either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import structlog

from bot.core.telephone import ENDED, BadCallError, CallReport, CallState, OptOut, Recording, Speaks
from bot.core.words import ChannelName, DeliveryState, Incoming, Report, TryLater, Unsure
from bot.services import contacts
from bot.services.calls import agent_first, answered_calls, call_ends, voice, voicemail
from bot.services.centre import Centre
from bot.services.conversation import texts
from bot.services.conversation.conversations import MAX_TEXT
from bot.services.delivery import dispatch

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Desk:
    """A `Switchboard` (bot/core/telephone.py) over the services."""

    centre: Centre

    async def ask(self, url: str, form: Mapping[str, str]) -> str | None:
        try:
            return await voice.ask(self.centre, url, form)
        except BadCallError:
            log.warning("switchboard.no_such_call")
            return None

    async def call(self, report: CallReport) -> None:
        if report.state in ENDED:
            await self.centre.db.write(
                lambda s: call_ends.ended(
                    s,
                    self.centre,
                    call_sid=report.call_sid,
                    delivery_id=report.delivery_id,
                    state=report.state,
                    sequence=report.sequence,
                    error=report.error,
                )
            )
        elif report.delivery_id is not None:
            delivery_id, now = report.delivery_id, self.centre.clock.now()
            talks = report.state is CallState.IN_PROGRESS  # told of an agent's line alone: our own calls ask the door
            state = DeliveryState.DELIVERED if talks else DeliveryState.ACCEPTED
            rings = Report(ChannelName.VOICE, report.call_sid, delivery_id, state, report.sequence)
            await dispatch.report(self.centre, rings)
            if talks:
                await self.centre.db.write(lambda s: agent_first.connected(s, self.centre, delivery_id, now))

    async def answered_by(self, call_sid: str, delivery_id: int, who: str) -> None:
        url = await self.centre.db.write(lambda s: answered_calls.found(s, delivery_id, who, self.centre.clock.now()))
        channel = self.centre.channels.get(ChannelName.VOICE)
        if url is None or not isinstance(channel, Speaks):
            return
        try:
            await channel.turn(call_sid, url)
        except (TryLater, Unsure):  # nobody answers the machine's questions: the call ends by itself
            log.warning("switchboard.not_turned", delivery=delivery_id)

    async def recorded(self, conversation_id: int, recording: Recording) -> None:
        now, machine = self.centre.clock.now(), self.centre.clock.machine()
        try:
            await self.centre.db.write(
                lambda s: voicemail.keep(s, self.centre, conversation_id, recording, now, machine)
            )
        except BadCallError:
            log.warning("switchboard.no_such_call")

    async def delivery(self, report: Report) -> None:
        await dispatch.report(self.centre, report)

    async def text(self, text: Incoming, opt_out: OptOut | None = None) -> None:
        try:
            number = contacts.phone_number(text.address)
        except contacts.BadPhoneError:
            number = text.address  # a short code or a name: answered as it came
        await texts.receive(self.centre, replace(text, address=number, text=text.text[:MAX_TEXT]), opt_out)
