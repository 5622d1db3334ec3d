"""Logs: one line an event, key=value on a terminal and JSON elsewhere, without secrets and without full phone numbers.

Everything goes through the same last steps, the libraries' own records too, so that nothing passes the scrubber by.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Collection, MutableMapping
from typing import Any, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import Processor

from bot.core.words import mask

HIDDEN = "•••"
SECRET_KEYS = re.compile(r"secret|token|password|passwd|authorization|cookie|csrf|api_?key|credential", re.IGNORECASE)
SHORTEST_SECRET = 8  # a shorter one would hide ordinary words

_SECRETS = re.compile(
    r"(?<!\d)\d{8,10}:[A-Za-z0-9_-]{30,}"  # a Telegram bot token, as it stands in Bot API addresses
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"  # the user and password of a URL
    r"|(?i:(?<=bearer )\S+)"
    r"|(?<=/sign-in/link/)[\w-]+",
    re.ASCII,
)
_PHONES = re.compile(
    r"(?<![\w+])\+\d[\d ()-]{6,18}\d"  # international
    r"|(?<![\w.-])1[3-9]\d(?:[ -]?\d{4}){2}(?!\d)"  # a mobile number in China
    r"|(?<![\w.-])0\d{2,3}[ -]?\d{7,8}(?!\d)"  # a landline in China
    r"|(?<![\w.-])\(?\d{3}\)?[ -]\d{3}[ -]\d{4}(?!\d)"  # North America
    r"|(?<![\w.-])\d{10,15}(?![\w.-])",
    re.ASCII,  # a Chinese character beside a number does not make it a word
)
QUIET = ("uvicorn.error", "httpx", "httpcore", "uvicorn.access", "apscheduler", "aiogram.event", "alembic", "twilio")
LEFT = frozenset({"timestamp", "level", "logger"})


class Scrub:
    """The processor that hides what must not be written down; `secrets` are this installation's own."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        known = sorted({s for s in secrets if len(s) >= SHORTEST_SECRET}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for key in event:
            if key not in LEFT and not key.startswith("_"):
                event[key] = HIDDEN if SECRET_KEYS.search(key) else self._clean(event[key])
        return event

    def _clean(self, value: Any) -> Any:
        match value:
            case str():
                return self.text(value)
            case dict():
                return {k: HIDDEN if SECRET_KEYS.search(str(k)) else self._clean(v) for k, v in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self._clean(each) for each in value]
            case bool() | int() | float() | None:
                return value
        return self.text(str(value))

    def text(self, text: str) -> str:
        """A text without this installation's secrets, without what looks like one, and with phone numbers masked."""
        if self._known:
            text = self._known.sub(HIDDEN, text)
        return _PHONES.sub(lambda found: mask(found[0]), _SECRETS.sub(HIDDEN, text))


def configure(secrets: Collection[str] = (), out: TextIO | None = None, level: int = logging.INFO) -> None:
    """Sends every log of this process to `out` (standard error): for people on a terminal, else as JSON."""
    out = out or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = [
        ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        Scrub(secrets),
        _for_people(out) if out.isatty() else structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
    ]
    structlog.configure(
        processors=[*shared, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(ProcessorFormatter(foreign_pre_chain=shared, processors=last))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _for_people(out: TextIO) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=out.isatty(), pad_event_to=24, exception_formatter=structlog.dev.plain_traceback
    )
