"""Where a telephone number belongs."""

from __future__ import annotations

import phonenumbers

from bot.core.mms import Place


def place_of(number: str) -> Place | None:
    """The place of an E.164 number; None where it is none."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return None
    code = parsed.country_code or 0
    region = phonenumbers.region_code_for_number(parsed) or phonenumbers.region_code_for_country_code(code)
    return Place(code, region)
