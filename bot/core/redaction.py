"""Texts that stand in lists and letters without what names somebody: telephone numbers and flats (REQ-G14)."""

from __future__ import annotations

import re

PHONE = re.compile(
    r"(?<![\d-])(?:\+?86[ -]?)?1[3-9]\d{9}(?![\d-])"  # a mobile, whatever stands before it
    r"|(?<![A-Za-z\d-])\+?\d(?:[ -]?\d){6,14}(?![\d-])"  # digits after letters are an order's number: DD20260628001
)
FLAT = re.compile(
    r"(?<![\d-])\d{1,3}(?:-\d{1,4}){1,3}(?![\d-])"  # 3-2-501
    r"|\d{1,3}\s*(?:号楼|栋|幢|座)(?:\s*\d{1,2}\s*单元)?\s*\d{2,4}(?:\s*(?:室|房|户|号))?"  # 3号楼2单元501室
    r"|\d{1,2}\s*单元\s*\d{2,4}(?:\s*(?:室|房|户|号))?"
)
DAY = re.compile(r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}:\d{2}")


def without_addresses(text: str) -> str:
    """The text with telephone numbers down to their last four digits and flats left out; days and times stay.

    >>> without_addresses("3-2-501暖气不热，请回电13800001234")
    '***暖气不热，请回电****1234'
    """
    kept: list[str] = []
    at = 0
    for found in DAY.finditer(text):
        kept += [_hidden(text[at : found.start()]), found.group()]
        at = found.end()
    return "".join([*kept, _hidden(text[at:])])


def _hidden(text: str) -> str:
    def phone(found: re.Match[str]) -> str:
        digits = re.sub(r"\D", "", found.group())
        return f"****{digits[-4:]}"

    return PHONE.sub(phone, FLAT.sub("***", text))
