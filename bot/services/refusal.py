"""Refusals: what somebody asked of the centre and cannot have now."""

from __future__ import annotations


class RefusedError(Exception):
    """What was asked is not possible now; `code` names why, for the reader's language (bot/console/notices.py)."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class NotFoundError(RefusedError):
    """What was asked about is not there, or not there any more."""

    def __init__(self) -> None:
        super().__init__("not_found")
