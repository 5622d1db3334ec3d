"""Twilio's words for what became of a call or a message, as ours."""

from __future__ import annotations

from collections.abc import Mapping

from bot.core.delivery import NOT_CARRIED
from bot.core.telephone import FAILURES, CallState
from bot.core.words import ChannelName, DeliveryState, Report

CALL_ERRORS: Mapping[int, str] = {
    13223: "invalid",
    13224: "invalid",
    21211: "invalid",
    21214: "invalid",
    21217: "invalid",
    21614: "invalid",  # not a mobile number
    13227: "not_permitted",
    21215: "not_permitted",
    21408: "not_permitted",  # this country is not enabled for our account
    21612: "not_permitted",
    21610: "opted_out",  # replied STOP
    21617: "too_long",
}
"""Why Twilio refuses a request, by its error code."""

FILE_ERRORS: Mapping[int, str] = {
    **CALL_ERRORS,
    **dict.fromkeys((11200, 11751, 12300, 21612, 21620, 21623, 30019, 63034), NOT_CARRIED),
}
"""The same for a message with a file: Twilio could not fetch it, does not take its type or its size, or brings no file
from our number to that one."""

SMS_ERRORS: Mapping[int, str] = {
    21610: "opted_out",
    21614: "invalid",
    30003: "unreachable",
    30004: "blocked",
    30005: "invalid",
    30006: "unreachable",
    30007: "filtered",
    **dict.fromkeys((11200, 11751, 12300, 30019, 63034), NOT_CARRIED),
}
"""Why a message that Twilio took did not arrive, by its error code."""

MESSAGES: Mapping[str, DeliveryState] = {
    "accepted": DeliveryState.ACCEPTED,
    "scheduled": DeliveryState.ACCEPTED,
    "queued": DeliveryState.ACCEPTED,
    "sending": DeliveryState.ACCEPTED,
    "sent": DeliveryState.ACCEPTED,
    "delivered": DeliveryState.DELIVERED,
    "read": DeliveryState.READ,
    "undelivered": DeliveryState.FAILED,
    "failed": DeliveryState.FAILED,
    "canceled": DeliveryState.FAILED,
}

NO_SUCH_NUMBER = frozenset({"404", "410", "484", "604"})  # SIP: not found, gone, address incomplete, exists nowhere
SWITCHED_OFF = frozenset({"408", "480"})  # SIP: the telephone does not respond, is temporarily unavailable


def why_failed(state: CallState, sip: str) -> str | None:
    """Why a call reached nobody, by its SIP response code (SipResponseCode); None where its state says it all.

    A telephone that is switched off may also be told as nobody having answered. (RFC 3261, section 21.)
    """
    if state in (CallState.FAILED, CallState.NO_ANSWER) and sip in SWITCHED_OFF:
        return "unreachable"
    if state is not CallState.FAILED:
        return None
    return "invalid" if sip in NO_SUCH_NUMBER else "failed"


def call_report(sid: str, delivery_id: int, state: CallState, *, talks: bool) -> Report:
    """A call as Twilio lists it. `talks`: once it is over it was heard; an announcement must say so itself."""
    reached = {
        CallState.IN_PROGRESS: DeliveryState.DELIVERED,
        CallState.COMPLETED: DeliveryState.HEARD if talks else DeliveryState.DELIVERED,
    }.get(state, DeliveryState.ACCEPTED)
    error = FAILURES.get(state)
    return Report(ChannelName.VOICE, sid, delivery_id, DeliveryState.FAILED if error else reached, error=error)


def message_report(sid: str, delivery_id: int | None, status: str, code: int | None) -> Report | None:
    """A message's state; None for one of Twilio's that says nothing of its arrival."""
    state = MESSAGES.get(status)
    if state is None:
        return None
    error = SMS_ERRORS.get(code or 0, f"twilio {code}" if code else status) if state is DeliveryState.FAILED else None
    return Report(ChannelName.SMS, sid, delivery_id, state, error=error)
