"""The HTTP client under Twilio's library: it tells what surely did not arrive from what may have."""

from __future__ import annotations

from typing import Any

import httpx
import structlog
from twilio.http import AsyncHttpClient
from twilio.http.response import Response

from bot.core.words import TryLater, Unsure

CONNECT, WHOLE = 5.0, 20.0  # seconds
BUSY = 2.0  # seconds to wait where a "429 Too Many Requests" does not say how long
UNREACHABLE = 15.0
LONGEST = 600.0

log = structlog.get_logger()


class TwilioHttp(AsyncHttpClient):  # type: ignore[misc]  # the library is untyped
    """Raises TryLater where Twilio was not reached or asks us to slow down, Unsure where its answer was lost."""

    def __init__(self) -> None:
        super().__init__(log, is_async=True)
        self._client: httpx.AsyncClient | None = None

    async def request(
        self,
        method: str,
        uri: str,
        params: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=httpx.Timeout(WHOLE, connect=CONNECT))
        try:
            answer = await self._client.request(
                method,
                uri,
                params=params,
                data=data,
                headers=headers,
                auth=auth or httpx.USE_CLIENT_DEFAULT,
                timeout=timeout or httpx.USE_CLIENT_DEFAULT,
                follow_redirects=allow_redirects,
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as error:
            log.warning("twilio.unreachable", error=type(error).__name__)
            raise TryLater(UNREACHABLE, "twilio cannot be reached") from error
        except httpx.HTTPError as error:
            raise Unsure(type(error).__name__) from error
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise TryLater(_seconds(answer.headers.get("Retry-After")), "twilio asks us to slow down")
        return Response(answer.status_code, answer.text, answer.headers)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def _seconds(retry_after: str | None) -> float:
    """Retry-After as seconds; its other form, a date, is not used by Twilio."""
    try:
        return min(max(float(retry_after or BUSY), BUSY), LONGEST)
    except ValueError:
        return BUSY
