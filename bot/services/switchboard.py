"""Where a carrier's webhooks come out in the house: calls, text messages and what became of either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from bot.core.telephone import ENDED, CallReport, OptOut
from bot.core.words import ChannelName, DeliveryState, Incoming, Report
from bot.services import contacts, dispatch, texts, voice
from bot.services.centre import Centre
from bot.services.conversations import MAX_TEXT

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Desk:
    """A `Switchboard` (bot/core/telephone.py) over the services."""

    centre: Centre

    async def ask(self, url: str, form: Mapping[str, str]) -> str | None:
        try:
            return await voice.ask(self.centre, url, form)
        except voice.BadCallError:
            log.warning("switchboard.no_such_call")
            return None

    async def call(self, report: CallReport) -> None:
        if report.state in ENDED:
            await self.centre.db.write(
                lambda s: voice.ended(
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
            rings = Report(
                ChannelName.VOICE, report.call_sid, report.delivery_id, DeliveryState.ACCEPTED, report.sequence
            )
            await dispatch.report(self.centre, rings)

    async def delivery(self, report: Report) -> None:
        await dispatch.report(self.centre, report)

    async def text(self, text: Incoming, opt_out: OptOut | None = None, media: int = 0) -> None:
        try:
            number = contacts.phone_number(text.address)
        except contacts.BadPhoneError:
            number = text.address  # a short code or a name: answered as it came
        said = Incoming(text.channel, number, text.provider_id, text.text[:MAX_TEXT], text.language)
        await texts.receive(self.centre, said, opt_out, media)
