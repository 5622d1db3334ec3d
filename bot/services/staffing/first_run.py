"""The first minutes of an installation: its first administrator, and what only the operator knows (X3).

Who starts the program is shown an invitation; it holds as long as nobody works here. What the operator says about the
centre is written into their own policies.yml, which is then an ordinary file of theirs and never written again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.core.words import Language, Role
from bot.services.staffing.sign_in import same_token
from bot.services.staffing.staff import StaffRefusedError, create_staff
from scripts.policies import PolicyError, load_policies
from store.db import vault_of
from store.tables import Staff

MONTH_DAY = re.compile(r"\d{2}-\d{2}")
LENGTH = 24
HEAD = """\
# 本中心自己的运营参数；只写与自带的 scripts/policies.yml 不同的项，改完几秒后生效，`hotline check` 会指出错处。
# This centre's own figures: only what differs from the shipped scripts/policies.yml. Live within seconds of a change.

"""


@dataclass(frozen=True, slots=True)
class Basics:
    """What the bot calls the centre and itself, and when the seasons of follow-up calls begin ("05-15"; "" unset)."""

    name_zh: str
    name_en: str
    bot_zh: str
    bot_en: str
    summer_start: str = ""
    winter_start: str = ""


def invitation(session: Session) -> str | None:
    """The secret end of the setup page's address; None once somebody works here."""
    if session.scalar(select(Staff.id).limit(1)) is not None:
        return None
    return vault_of(session).blind("invitation", "first administrator")[:LENGTH]


def invited(session: Session, token: str) -> bool:
    held = invitation(session)
    return held is not None and same_token(token, held)


def begin(
    session: Session, token: str, username: str, name: str, password_hash: str, *, language: Language, now: datetime
) -> Staff:
    """The first administrator. Raises StaffRefusedError("link_used" | …)."""
    if not invited(session, token):
        raise StaffRefusedError("link_used")
    return create_staff(
        session, username, name, [Role.ADMINISTRATOR], now=now, language=language, password_hash=password_hash
    )


def draft(basics: Basics, file: Path, earlier: Sequence[Path]) -> Path:
    """The operator's policies beside `file`, where they will stand once renamed; checked as they lie over `earlier`.

    Raises StaffRefusedError("seasons_bad" | "names_bad"), and then leaves nothing behind.
    """
    seasons = {"summer_start": basics.summer_start, "winter_start": basics.winter_start}
    given = [day for day in seasons.values() if day]
    if len(given) == 1 or not all(MONTH_DAY.fullmatch(day) for day in given):
        raise StaffRefusedError("seasons_bad")
    names = (basics.name_zh, basics.name_en, basics.bot_zh, basics.bot_en)
    if not all(0 < len(name) <= 60 and name.isprintable() for name in names):
        raise StaffRefusedError("names_bad")
    plain: dict[str, object] = {
        "company": {
            "name": {"zh": basics.name_zh, "en": basics.name_en},
            "bot": {"zh": basics.bot_zh, "en": basics.bot_en},
        }
    }
    if given:
        plain["seasons"] = seasons
    file.parent.mkdir(parents=True, exist_ok=True)
    drafted = file.with_suffix(".draft")
    drafted.write_text(HEAD + yaml.safe_dump(plain, allow_unicode=True, sort_keys=False), encoding="utf-8")
    try:
        load_policies([*earlier, drafted])
    except PolicyError as error:
        drafted.unlink()
        raise StaffRefusedError("seasons_bad") from error
    return drafted
