"""The HTTP client under Twilio's library: it tells what surely did not arrive from what may have.

By aiohttp, which serves a hundred requests at a time with a fifth of the processor time that httpx takes for them.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode
from urllib.request import getproxies, proxy_bypass

import httpx
import structlog
from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientHttpProxyError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    TCPConnector,
)
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from yarl import URL

from bot.core.media import TOO_LARGE
from bot.core.words import Rejected, TryLater, Unsure

CONNECT, WHOLE = 5.0, 20.0  # seconds
BUSY = 2.0  # seconds to wait where a "429 Too Many Requests" does not say how long
UNREACHABLE = 15.0
LONGEST = 600.0
AT_ONCE = 100  # connections
NOT_REACHED = (ClientConnectorError, ClientHttpProxyError, ConnectionTimeoutError)  # before anything was said
FORM = "application/x-www-form-urlencoded"

log = structlog.get_logger()


class TwilioHttp(AsyncHttpClient):  # type: ignore[misc]  # the library is untyped
    """Raises TryLater where Twilio was not reached or asks us to slow down, Unsure where its answer was lost."""

    def __init__(self) -> None:
        super().__init__(log, is_async=True)
        self._session: ClientSession | None = None

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
        url = URL(f"{uri}?{urlencode(params, doseq=True)}" if params else uri, encoded=True)
        try:
            async with self._open().request(
                method,
                url,
                data=urlencode(data, doseq=True) if data else None,
                headers={
                    **({"Content-Type": FORM} if data else {}),
                    **(headers or {}),
                    **(_basic(*auth) if auth else {}),
                },
                timeout=_limits(timeout or WHOLE),
                proxy=_proxy(url.scheme, url.host or ""),
                allow_redirects=allow_redirects,
            ) as answer:
                text = await answer.text()
        except NOT_REACHED as error:
            log.warning("twilio.unreachable", error=type(error).__name__)
            raise TryLater(UNREACHABLE, "twilio cannot be reached") from error
        except (ClientError, TimeoutError, OSError, UnicodeDecodeError) as error:
            raise Unsure(type(error).__name__) from error
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise TryLater(_seconds(answer.headers.get("Retry-After")), "twilio asks us to slow down")
        return Response(answer.status, text, answer.headers)

    async def download(self, url: str, auth: tuple[str, str], limit: int) -> bytes:
        """A file of at most `limit` bytes; Twilio hands it out from elsewhere, where it wants no token. Raises Rejected
        (gone or larger), TryLater or Unsure."""
        content = bytearray()
        try:
            where = URL(url)
            proxy = _proxy(where.scheme, where.host or "")
            async with self._open().get(where, headers=_basic(*auth), proxy=proxy) as answer:
                if answer.status == HTTPStatus.GONE:
                    raise Rejected("gone")
                if not answer.ok:  # a recording is found only once it is ready, and a wrong token is mended
                    raise TryLater(UNREACHABLE, f"twilio answered {answer.status}")
                async for chunk in answer.content.iter_any():
                    content += chunk
                    if len(content) > limit:
                        raise Rejected(TOO_LARGE)
        except (ClientError, TimeoutError, OSError) as error:
            raise TryLater(UNREACHABLE, type(error).__name__) from error
        return bytes(content)

    def _open(self) -> ClientSession:
        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(limit=AT_ONCE, ssl=httpx.create_ssl_context()),
                timeout=_limits(WHOLE),
                cookie_jar=DummyCookieJar(),
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def _basic(name: str, secret: str) -> dict[str, str]:
    """HTTP's Basic authentication (RFC 7617); aiohttp does not hand it on to another host."""
    return {"Authorization": f"Basic {b64encode(f'{name}:{secret}'.encode()).decode()}"}


@cache
def _proxy(scheme: str, host: str) -> str | None:
    """The proxy that the environment names for a host, looked up once: aiohttp would ask a thread for every request."""
    return None if proxy_bypass(host) else getproxies().get(scheme)


def _limits(whole: float) -> ClientTimeout:
    """`connect`: also for a free connection of ours."""
    return ClientTimeout(total=None, connect=whole, sock_connect=CONNECT, sock_read=whole)


def _seconds(retry_after: str | None) -> float:
    """Retry-After as seconds; its other form, a date, is not used by Twilio."""
    try:
        return min(max(float(retry_after or BUSY), BUSY), LONGEST)
    except ValueError:
        return BUSY
