"""Logs hold no secret and no full phone number, whoever wrote them (REQ-G14)."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from bot import logs

SECRETS = ("kR8-the-installation-secret", "api-token-of-this-house")


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the process logs from here on, as JSON lines."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    out = io.StringIO()
    logs.configure(SECRETS, out)
    yield out
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("call +8613800001234 now", "call ****1234 now"),
        ("拨打13800001234失败", "拨打****1234失败"),
        ("138 0000 1234", "****1234"),
        ("010-62345678", "****5678"),
        ("0371 62345678", "****5678"),
        ("(415) 555-2671", "****2671"),
        ("+44 20 7946 0958", "****0958"),
        ("https://api.example.test/bot123456789:AAH-abcdefghijklmnopqrstuvwxyz0123456/sendMessage", None),
        ("postgresql://hotline:pa55word@db/hotline", "postgresql://•••@db/hotline"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer •••"),
        ("GET /sign-in/link/9s8d7f-KJHkjh", "GET /sign-in/link/•••"),
        ("the kR8-the-installation-secret leaked", "the ••• leaked"),
        ("2026-07-01T02:00:00.123456+00:00", "2026-07-01T02:00:00.123456+00:00"),
        ("C20260701-0042", "C20260701-0042"),
        ("conversation 123456 took 0.0123 s", "conversation 123456 took 0.0123 s"),
        ("host-3177-9f2c", "host-3177-9f2c"),
        ("3号楼2单元501", "3号楼2单元501"),
    ],
)
def test_what_a_line_may_show(text: str, shown: str | None) -> None:
    clean = logs.Scrub(SECRETS).text(text)
    if shown is None:
        assert "AAH-" not in clean
    else:
        assert clean == shown


def test_our_own_lines(written: io.StringIO) -> None:
    structlog.get_logger().info(
        "callback.dialled",
        phone="+8613800001234",
        api_token="short",
        headers={"Cookie": "session=1", "accept": "text/html"},
        numbers=["13800001234"],
        conversation=42,
    )
    line = json.loads(written.getvalue())
    assert line["event"] == "callback.dialled"
    assert line["level"] == "info"
    assert line["conversation"] == 42
    assert line["phone"] == "****1234"
    assert line["numbers"] == ["****1234"]
    assert line["api_token"] == logs.HIDDEN
    assert line["headers"] == {"Cookie": logs.HIDDEN, "accept": "text/html"}


def test_a_librarys_lines_and_tracebacks(written: io.StringIO) -> None:
    try:
        raise ValueError("no route to +8613800001234 with kR8-the-installation-secret")
    except ValueError:
        logging.getLogger("some.library").exception("failed for %s", "13800001234")
    structlog.get_logger().error("again", error=ValueError("13800001234"))
    text = written.getvalue()
    assert len(text.splitlines()) == 2  # one line an event, tracebacks included
    assert "13800001234" not in text
    assert "kR8" not in text
    assert "ValueError" in text


def test_a_terminal_gets_lines_for_people() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out, root = Terminal(), logging.getLogger()
    before, level = root.handlers[:], root.level
    logs.configure(SECRETS, out)
    structlog.get_logger().info("outbox.sent", phone="13800001234", delivery=7)
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()
    assert "outbox.sent" in out.getvalue()
    assert "13800001234" not in out.getvalue()
