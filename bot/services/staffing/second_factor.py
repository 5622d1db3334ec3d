"""The second factor: codes of an authenticator app (TOTP, RFC 6238), and recovery codes for who lost their phone.

A secret asks for nothing until a first code has proved that the app knows it. No code is taken twice: its time step is
kept, and a recovery code is used up. Secrets are sealed, recovery codes only hashed. Steps are of machine time.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

import pyotp
from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from bot.services import audit
from bot.services.staffing.staff import StaffRefusedError
from store.db import vault_of
from store.tables import RecoveryCode, Staff

ISSUER = "Hotline"
DRIFT = 1  # steps of 30 s a phone's clock may be off, either way
RECOVERY_CODES = 10
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that is misread
LENGTH = 10


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """Somebody's second factor: since when it is asked for (None: not yet), and how many recovery codes are left."""

    since: datetime | None
    codes_left: int


def of(session: Session, staff_id: int) -> SecondFactor:
    left = session.scalar(select(func.count()).where(RecoveryCode.staff_id == staff_id, RecoveryCode.used_at.is_(None)))
    return SecondFactor(session.get_one(Staff, staff_id).totp_since, left or 0)


def begin(session: Session, staff_id: int) -> str:
    """A new secret in base 32 for this person's app; nothing changes until `prove`.

    Raises StaffRefusedError("second_factor_set") where one is in use.
    """
    person = session.get_one(Staff, staff_id, with_for_update=True)
    if person.totp_since is not None:
        raise StaffRefusedError("second_factor_set")
    secret = pyotp.random_base32()
    person.totp_sealed, person.totp_step = vault_of(session).seal(secret), None
    return secret


def begun(session: Session, staff_id: int) -> str:
    """The secret that waits for its first code; a new one where none does."""
    person = session.get_one(Staff, staff_id)
    if person.totp_sealed is None or person.totp_since is not None:
        return begin(session, staff_id)
    return vault_of(session).open(person.totp_sealed)


def address_of(secret: str, username: str) -> str:
    """The otpauth:// address an app reads from the QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=ISSUER)


def prove(session: Session, staff_id: int, code: str, *, now: datetime, machine: datetime) -> list[str]:
    """The app's first code: from now on one is asked for. Returns the recovery codes, to be shown this once.

    Raises StaffRefusedError("code_wrong" | "second_factor_set").
    """
    person = session.get_one(Staff, staff_id, with_for_update=True)
    if person.totp_since is not None:
        raise StaffRefusedError("second_factor_set")
    if not _takes(session, person, code, machine):
        raise StaffRefusedError("code_wrong")
    person.totp_since = now
    audit.record(session, "staff.set_second_factor", "staff", staff_id, now=now, staff_id=staff_id)
    return _new_codes(session, staff_id)


def check(session: Session, staff_id: int, code: str, *, now: datetime, machine: datetime) -> bool:
    """Whether this is a code of the person's app or an unused recovery code; it is used up then."""
    person = session.get_one(Staff, staff_id, with_for_update=True)
    if person.totp_since is None or _takes(session, person, code, machine):
        return person.totp_since is not None
    used = session.execute(
        update(RecoveryCode)
        .where(
            RecoveryCode.code_hash == _hashed(code), RecoveryCode.staff_id == staff_id, RecoveryCode.used_at.is_(None)
        )
        .values(used_at=machine)
        .returning(RecoveryCode.code_hash)
    ).one_or_none()
    if used is None:
        return False
    audit.record(session, "staff.use_recovery_code", "staff", staff_id, now=now, staff_id=staff_id)
    return True


def remove(session: Session, staff_id: int, *, now: datetime, by_staff_id: int | None) -> None:
    """The password alone lets this person in again, as when their phone is lost."""
    person = session.get_one(Staff, staff_id, with_for_update=True)
    if person.totp_sealed is None:
        return
    person.totp_sealed = person.totp_since = person.totp_step = None
    session.execute(delete(RecoveryCode).where(RecoveryCode.staff_id == staff_id))
    audit.record(session, "staff.remove_second_factor", "staff", staff_id, now=now, staff_id=by_staff_id)


def _takes(session: Session, person: Staff, code: str, machine: datetime) -> bool:
    """Whether the app shows this code now; its step is used up then, by one of several that come at once."""
    if person.totp_sealed is None:
        return False
    totp = pyotp.TOTP(vault_of(session).open(person.totp_sealed))
    digits, step = "".join(code.split()), totp.timecode(machine)
    for near in range(step - DRIFT, step + DRIFT + 1):
        if pyotp.utils.strings_equal(totp.generate_otp(near), digits):
            taken = session.execute(
                update(Staff)
                .where(Staff.id == person.id, or_(Staff.totp_step.is_(None), Staff.totp_step < near))
                .values(totp_step=near)
                .returning(Staff.id)
            ).one_or_none()
            return taken is not None
    return False


def _new_codes(session: Session, staff_id: int) -> list[str]:
    session.execute(delete(RecoveryCode).where(RecoveryCode.staff_id == staff_id))
    codes = ["".join(secrets.choice(ALPHABET) for _ in range(LENGTH)) for _ in range(RECOVERY_CODES)]
    session.add_all(RecoveryCode(code_hash=_hashed(code), staff_id=staff_id) for code in codes)
    return [f"{code[: LENGTH // 2]}-{code[LENGTH // 2 :]}" for code in codes]


def _hashed(code: str) -> str:
    bare = "".join(char for char in code.lower() if char.isalnum())
    return hashlib.sha256(bare.encode()).hexdigest()
