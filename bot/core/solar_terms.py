"""The 24 solar terms (节气): on which local day the sun reaches each multiple of 15° of ecliptic longitude.

The sun's apparent longitude is the low-precision series of the Astronomical Almanac (0.01° between 1950 and 2050, a
quarter of an hour), which is enough for a day. A term's day is the one in the zone asked for; the Chinese calendar
means Asia/Shanghai.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from math import radians, sin
from zoneinfo import ZoneInfo

J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)


class SolarTerm(StrEnum):
    """In the order of the year, from early January on; each is 15° after the one before."""

    LESSER_COLD = "lesser_cold"
    GREATER_COLD = "greater_cold"
    START_OF_SPRING = "start_of_spring"
    RAIN_WATER = "rain_water"
    AWAKENING_OF_INSECTS = "awakening_of_insects"
    SPRING_EQUINOX = "spring_equinox"
    CLEAR_AND_BRIGHT = "clear_and_bright"
    GRAIN_RAIN = "grain_rain"
    START_OF_SUMMER = "start_of_summer"
    GRAIN_BUDS = "grain_buds"
    GRAIN_IN_EAR = "grain_in_ear"
    SUMMER_SOLSTICE = "summer_solstice"
    LESSER_HEAT = "lesser_heat"
    GREATER_HEAT = "greater_heat"
    START_OF_AUTUMN = "start_of_autumn"
    END_OF_HEAT = "end_of_heat"
    WHITE_DEW = "white_dew"
    AUTUMN_EQUINOX = "autumn_equinox"
    COLD_DEW = "cold_dew"
    FROST_DESCENT = "frost_descent"
    START_OF_WINTER = "start_of_winter"
    LESSER_SNOW = "lesser_snow"
    GREATER_SNOW = "greater_snow"
    WINTER_SOLSTICE = "winter_solstice"


TERMS = tuple(SolarTerm)


def longitude(at: datetime) -> float:
    """The sun's apparent ecliptic longitude in degrees, 0 ≤ λ < 360."""
    days = (at - J2000) / timedelta(days=1)
    anomaly = radians((357.528 + 0.9856003 * days) % 360)
    mean = 280.460 + 0.9856474 * days
    return (mean + 1.915 * sin(anomaly) + 0.020 * sin(2 * anomaly)) % 360


def term_on(day: date, zone: str) -> SolarTerm | None:
    """The term that begins on this local day; None on the other days."""
    local = ZoneInfo(zone)
    start = datetime(day.year, day.month, day.day, tzinfo=local).astimezone(UTC)
    end = datetime.combine(day + timedelta(days=1), datetime.min.time(), tzinfo=local).astimezone(UTC)
    before, after = int(longitude(start) // 15), int(longitude(end) // 15)
    return None if before == after else TERMS[(after + TERMS.index(SolarTerm.SPRING_EQUINOX)) % len(TERMS)]
