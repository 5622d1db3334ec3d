"""Twilio: calls and text messages over its REST API, what it says of them, and its webhooks (doors.py).

Parameters, states and errors: Twilio documentation, "Call resource", "Message resource", "Error and warning
dictionary".
Twilio has no idempotency key for what it sends. So an answer that is lost raises Unsure, and `look_up` finds what
became of it in Twilio's own list.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from fastapi import APIRouter
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.rest import Client

from bot.channels import twiml
from bot.channels.numbers import place_of
from bot.channels.twilio import doors
from bot.channels.twilio.http import TwilioHttp
from bot.channels.twilio.states import CALL_ERRORS, FILE_ERRORS, call_report, message_report
from bot.core.media import Enclosure
from bot.core.mms import fits, reaches
from bot.core.policy import OnMachine
from bot.core.telephone import CallState, Next, Switchboard, door
from bot.core.words import ChannelName, Language, Outgoing, Purpose, Rejected, Report, Say, Sent, TryLater, Unsure

log = structlog.get_logger()
LISTED = 50  # of one number's latest calls or messages that are looked through
SKEW = timedelta(seconds=5)  # between our clock and Twilio's, which tells whole seconds
TRY_AGAIN = 300.0  # seconds: Twilio refuses our account or number, which only people can mend
OURS = frozenset({20003, 20005, 20006, 10001, 21210, 21212, 21603, 21606, 21660})
"""Errors that are about our account, token or number, not about whom we try to reach."""


@dataclass(frozen=True, slots=True)
class Account:
    """What an installation has at Twilio. `number` is E.164; `address` is where Twilio reaches us, `api` where we reach
    Twilio, both without a trailing slash."""

    sid: str
    token: str
    number: str
    address: str
    api: str = "https://api.twilio.com"


class TwilioCarrier:
    """`ring` says how long a call rings; `taken` which of these provider ids belong to other deliveries already; `mms`
    in which regions texts may carry files."""

    name = "twilio"

    def __init__(
        self,
        account: Account,
        *,
        ring: Callable[[], timedelta],
        taken: Callable[[ChannelName, Sequence[str]], Awaitable[frozenset[str]]],
        mms: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._account = account
        self._ring = ring
        self._taken = taken
        self._mms = mms
        self._place = place_of(account.number)
        self._http = TwilioHttp()
        self._client = Client(account.sid, account.token, http_client=self._http)
        self._client.api.base_url = account.api

    async def place_call(self, out: Outgoing) -> Sent:
        call = await _answer(
            self._client.calls.create_async(
                to=out.address,
                from_=self._account.number,
                url=self._here(door(delivery=out.delivery_id)),
                method="POST",
                status_callback=self._report_to(doors.CALL_STATUS, out),
                status_callback_event=["initiated", "completed"],
                status_callback_method="POST",
                timeout=round(self._ring().total_seconds()),
                machine_detection="DetectMessageEnd" if _leaves_message(out) else "Enable",
                **self._beside(out),
            )
        )
        return Sent(call.sid)

    def _beside(self, out: Outgoing) -> dict[str, str]:
        """A person hears the first word at once: who answered is found out meanwhile, and told to `doors.MACHINE`. An
        announcement waits for it, or a machine's greeting would count as somebody who listened."""
        if out.purpose is Purpose.EMERGENCY:
            return {}
        return {
            "async_amd": "true",
            "async_amd_status_callback": self._report_to(doors.MACHINE, out),
            "async_amd_status_callback_method": "POST",
        }

    async def turn(self, call_sid: str, url: str) -> None:
        try:
            await _answer(self._client.calls(call_sid).update_async(url=self._here(url), method="POST"))
        except Rejected as over:
            log.info("twilio.call_over", reason=over.reason)

    async def how_far(self, call_sid: str) -> CallState:
        call = await _answer(self._client.calls(call_sid).fetch_async())
        return CallState(call.status)

    def _here(self, path: str) -> str:
        return self._account.address + doors.PREFIX + path

    def carries(self, address: str, file: Enclosure) -> bool:
        theirs = place_of(address)
        known = self._place is not None and theirs is not None and reaches(self._place, theirs, self._mms())
        return known and fits(file.mime, file.size)

    async def send_sms(self, out: Outgoing) -> Sent:
        """A file goes out as its link, by which Twilio fetches it at once."""
        request = self._client.messages.create_async(
            to=out.address,
            from_=self._account.number,
            status_callback=self._report_to(doors.SMS_STATUS, out),
            **({"body": out.text} if out.text else {}),
            **({"media_url": [out.enclosure.link]} if out.enclosure is not None else {}),
        )
        message = await _answer(request, FILE_ERRORS if out.enclosure is not None else CALL_ERRORS)
        return Sent(message.sid)

    def _report_to(self, path: str, out: Outgoing) -> str:
        return f"{self._account.address}{path}?delivery={out.delivery_id}"

    async def look_up(self, out: Outgoing, since: datetime) -> Report | None:
        """The first call or message to this address since then that is no other delivery's.

        By the time it was created: a queued one has not been started or sent yet, so Twilio's own filters miss it.
        """
        sms = out.channel is ChannelName.SMS
        resource = self._client.messages if sms else self._client.calls
        listed: list[Any] = await _answer(
            resource.list_async(to=out.address, from_=self._account.number, limit=LISTED, page_size=LISTED)
        )
        recent = [each for each in listed if each.date_created is None or each.date_created >= since - SKEW]
        if sms:
            files = int(out.enclosure is not None)
            recent = [m for m in recent if out.text.strip() in (m.body or "") and int(m.num_media or 0) == files]
        taken = await self._taken(out.channel, [each.sid for each in recent])
        ours = [each for each in recent if each.sid not in taken]
        if not ours:
            return None
        found = ours[-1]  # Twilio lists the latest first
        if sms:
            return message_report(found.sid, out.delivery_id, found.status, found.error_code)
        return call_report(
            found.sid, out.delivery_id, CallState(found.status), talks=out.metadata.get("callback_id") is not None
        )

    async def fetch(self, source: str, limit: int) -> bytes:
        """A picture or a recording, by its address at Twilio; our token is shown to nobody else."""
        if not source.startswith(f"{self._account.api}/2010-04-01/Accounts/{self._account.sid}/"):
            raise Rejected("no file of our account")
        return await self._http.download(source, (self._account.sid, self._account.token), limit)

    def render(self, says: Sequence[Say], language: Language, then: Next) -> str:
        return twiml.render(says, language, then, self._account.address + doors.PREFIX)

    def routes(self, switchboard: Switchboard) -> APIRouter:
        return doors.routes(switchboard, self._account.address, self._account.token)

    async def close(self) -> None:
        await self._http.close()


def _leaves_message(out: Outgoing) -> bool:
    """Whether a machine is waited out to its beep: announcements always leave their words."""
    wanted = out.metadata.get("machine")
    return wanted == OnMachine.LEAVE_MESSAGE or (wanted is None and out.purpose is Purpose.EMERGENCY)


async def _answer(request: Awaitable[Any], errors: Mapping[int, str] = CALL_ERRORS) -> Any:
    """Twilio's answer; what it refuses as Rejected, named by `errors`, or TryLater, what nobody knows as Unsure."""
    try:
        return await request
    except TwilioRestException as error:
        if error.status == 429 or error.status >= 500:  # TwilioHttp has dealt with it where it said how long
            raise Unsure(f"twilio answered {error.status}") from error
        if error.code in OURS or error.status == 401:
            log.error("twilio.account", code=error.code, status=error.status)
            raise TryLater(TRY_AGAIN, f"twilio {error.code}") from error
        raise Rejected(errors.get(error.code or 0, f"twilio {error.code or error.status}")) from error
    except (TwilioException, ValueError, TypeError, KeyError) as error:
        raise Unsure("twilio's answer cannot be read") from error
