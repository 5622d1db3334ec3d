"""Staff: who they are, what they may do, and their passwords (REQ-A22, G03); how they come in is sign_in.py's.

A password is hashed and checked outside every transaction, for it takes its time.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from zxcvbn import zxcvbn

from bot.core.words import Language, Presence, Role
from bot.services import audit
from bot.services.permissions import Function, Grant, grants, may
from bot.services.refusal import RefusedError
from store.db import touch
from store.tables import SignInLink, Staff, StaffRole, StaffSession

MIN_PASSWORD = 8
MAX_PASSWORD = 200
MAX_CAPACITY = 50  # conversations at once
HARD_ENOUGH = 3  # of zxcvbn's 0..4: safely unguessable by somebody at the sign-in page, and moderately so with the hash
JUDGED = 72  # so much of a password zxcvbn is asked about; what is longer is hard by its length

_hasher = PasswordHasher()
_NOBODY = "$argon2{}$v=19$m={},t={},p={}${}${}".format(
    _hasher.type.name.lower(),
    _hasher.memory_cost,
    _hasher.time_cost,
    _hasher.parallelism,
    *(b64encode(bytes(length)).decode().rstrip("=") for length in (_hasher.salt_len, _hasher.hash_len)),
)
"""The hash of no password: an unknown name takes as long to refuse as a known one."""


class StaffRefusedError(RefusedError):
    """What was asked is not possible."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The person behind a request and what they hold; `csrf` must come back with every change.

    `second_factor`: theirs is set up. `seen_at`: when this browser was last used, in machine time.
    """

    staff_id: int
    username: str
    name: str
    roles: frozenset[Role]
    presence: Presence
    csrf: str
    second_factor: bool = False
    seen_at: datetime | None = None

    def may(self, function: Function, *wanted: Grant) -> bool:
        return may(self.roles, function, *wanted)

    def grants(self, function: Function) -> frozenset[Grant]:
        return grants(self.roles, function)


# ── the people ──


def hash_password(password: str, *own: str) -> str:
    """The argon2 hash of a new password; `own` are the person's names, which make it easy to guess.

    Raises StaffRefusedError("password_short" | "password_guessable").
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise StaffRefusedError("password_short")
    if zxcvbn(password[:JUDGED], user_inputs=["hotline", *own])["score"] < HARD_ENOUGH:
        raise StaffRefusedError("password_guessable")
    return _hasher.hash(password)


def password_is(stored: str | None, password: str) -> bool:
    """Whether this password has that hash; where there is none, refusing takes as long."""
    try:
        return _hasher.verify(stored or _NOBODY, password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def create_staff(
    session: Session,
    username: str,
    name: str,
    roles: Collection[Role],
    *,
    now: datetime,
    by_staff_id: int | None = None,
    language: Language = Language.ZH,
    password_hash: str | None = None,
    demo: bool = False,
) -> Staff:
    """Adds a person; without a password they come in by a link. Raises StaffRefusedError("username_taken" | …)."""
    username, name = username.strip().lower(), name.strip()
    if not username or len(username) > 60 or not username.isprintable() or " " in username:
        raise StaffRefusedError("username_bad")
    if not name or len(name) > 60:
        raise StaffRefusedError("name_bad")
    if not roles:
        raise StaffRefusedError("roles_missing")
    if by_username(session, username) is not None:
        raise StaffRefusedError("username_taken")
    added = Staff(
        username=username,
        name=name,
        password_hash=password_hash,
        language=language,
        demo=demo,
        created_at=now,
        roles=[StaffRole(role=role) for role in sorted(set(roles))],
    )
    session.add(added)
    session.flush()
    audit.record(session, "staff.create", "staff", added.id, now=now, staff_id=by_staff_id, roles=sorted(set(roles)))
    return added


def by_username(session: Session, username: str) -> Staff | None:
    return session.scalar(select(Staff).where(Staff.username == username.strip().lower()))


def everybody(session: Session) -> list[Staff]:
    """All staff, those who left too."""
    return list(session.scalars(select(Staff).order_by(Staff.id)))


def holding(session: Session, *roles: Role) -> list[Staff]:
    """Everybody active who holds one of these roles."""
    held = select(StaffRole.staff_id).where(StaffRole.role.in_(roles))
    return list(session.scalars(select(Staff).where(Staff.active, Staff.id.in_(held)).order_by(Staff.id)))


def person(session: Session, staff_id: int) -> Staff:
    """One of the staff."""
    return session.get_one(Staff, staff_id)


def set_password(
    session: Session, staff_id: int, password_hash: str, *, now: datetime, by_staff_id: int | None = None
) -> None:
    """Changes a password (already hashed) and signs the person out everywhere."""
    session.get_one(Staff, staff_id).password_hash = password_hash
    session.execute(delete(StaffSession).where(StaffSession.staff_id == staff_id))
    touch(session, f"staff:{staff_id}")
    audit.record(session, "staff.set_password", "staff", staff_id, now=now, staff_id=by_staff_id)


def set_roles(
    session: Session, staff_id: int, roles: Collection[Role], *, now: datetime, by_staff_id: int | None = None
) -> None:
    """Replaces somebody's roles; the last administrator stays one."""
    if not roles:
        raise StaffRefusedError("roles_missing")
    person = session.get_one(Staff, staff_id)
    if Role.ADMINISTRATOR not in roles:
        _keep_an_administrator(session, staff_id)
    old = sorted(held.role for held in person.roles)
    person.roles = [held for held in person.roles if held.role in roles] + [
        StaffRole(role=role) for role in sorted(set(roles) - set(old))
    ]
    touch(session, f"staff:{staff_id}")
    audit.record(
        session, "staff.set_roles", "staff", staff_id, now=now, staff_id=by_staff_id, old=old, new=sorted(set(roles))
    )


def set_active(session: Session, staff_id: int, active: bool, *, now: datetime, by_staff_id: int | None = None) -> None:
    """Lets somebody in again, or keeps them out from this moment; the last administrator stays."""
    if not active:
        _keep_an_administrator(session, staff_id)
        session.execute(delete(StaffSession).where(StaffSession.staff_id == staff_id))
        session.execute(delete(SignInLink).where(SignInLink.staff_id == staff_id))
    person = session.get_one(Staff, staff_id)
    person.active = active
    if not active:
        person.presence = Presence.OFFLINE
    touch(session, f"staff:{staff_id}")
    audit.record(session, "staff.set_active", "staff", staff_id, now=now, staff_id=by_staff_id, active=active)


def _keep_an_administrator(session: Session, leaving_id: int) -> None:
    administrators = set(
        session.scalars(
            select(Staff.id)
            .join(StaffRole, StaffRole.staff_id == Staff.id)
            .where(StaffRole.role == Role.ADMINISTRATOR, Staff.active)
            .with_for_update()
        )
    )
    if administrators == {leaving_id}:
        raise StaffRefusedError("last_administrator")


def set_skills(
    session: Session,
    staff_id: int,
    capacity: int,
    queues: Collection[str],
    languages: Collection[Language],
    *,
    now: datetime,
    by_staff_id: int | None = None,
) -> None:
    """How much somebody is given at once and what of (INT-03); none named: everything."""
    if not 1 <= capacity <= MAX_CAPACITY:
        raise StaffRefusedError("capacity_bad")
    person = session.get_one(Staff, staff_id)
    person.capacity, person.queues, person.languages = capacity, sorted(queues), sorted(languages)
    audit.record(
        session,
        "staff.set_skills",
        "staff",
        staff_id,
        now=now,
        staff_id=by_staff_id,
        capacity=capacity,
        queues=sorted(queues),
        languages=sorted(languages),
    )


def set_presence(session: Session, staff_id: int, presence: Presence, *, now: datetime) -> None:
    """Online takes work, away keeps what is held, offline is gone."""
    person = session.get_one(Staff, staff_id)
    if person.presence is not presence:
        person.presence = presence
        audit.record(session, "staff.presence", "staff", staff_id, now=now, staff_id=staff_id, presence=presence)
        touch(session, "floor")
