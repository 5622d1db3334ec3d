"""Staff: who they are, what they may do, and how they sign in (REQ-A22, G03).

Sign-in sessions, links and attempts live in machine time (`machine`); audit entries in domain time (`now`). Only hashes
of cookies and links are stored. A password is hashed and checked outside every transaction, for it takes its time.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from bot.core.words import Language, Presence, Role
from bot.services import audit
from bot.services.permissions import Function, Grant, grants, may
from store.db import Database, touch, vault_of
from store.tables import SignInAttempt, SignInLink, Staff, StaffRole, StaffSession

SESSION_LIFE = timedelta(hours=12)
LINK_LIFE = timedelta(hours=24)
ATTEMPT_SPAN = timedelta(minutes=15)
TRIES_PER_NAME = 5
TRIES_PER_NETWORK = 30
MIN_PASSWORD = 8
MAX_PASSWORD = 200

_hasher = PasswordHasher()
_NOBODY = _hasher.hash(secrets.token_urlsafe(16))  # an unknown name takes as long to refuse as a known one


class StaffRefusedError(Exception):
    """What was asked is not possible; `code` names why, for the reader's language."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The person behind a request and what they hold; `csrf` must come back with every change."""

    staff_id: int
    username: str
    name: str
    roles: frozenset[Role]
    presence: Presence
    csrf: str

    def may(self, function: Function, *wanted: Grant) -> bool:
        return may(self.roles, function, *wanted)

    def grants(self, function: Function) -> frozenset[Grant]:
        return grants(self.roles, function)


# ── the people ──


def hash_password(password: str) -> str:
    """The argon2 hash of a new password; raises StaffRefusedError("password_weak")."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise StaffRefusedError("password_weak")
    return _hasher.hash(password)


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


def person(session: Session, staff_id: int) -> Staff:
    """One of the staff; raises LookupError."""
    return session.get_one(Staff, staff_id)


def set_password(
    session: Session, staff_id: int, password_hash: str, *, now: datetime, by_staff_id: int | None = None
) -> None:
    """Changes a password (already hashed) and signs the person out everywhere."""
    session.get_one(Staff, staff_id).password_hash = password_hash
    session.execute(delete(StaffSession).where(StaffSession.staff_id == staff_id))
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


def set_presence(session: Session, staff_id: int, presence: Presence, *, now: datetime) -> None:
    """Online takes work, away keeps what is held, offline is gone."""
    person = session.get_one(Staff, staff_id)
    if person.presence is not presence:
        person.presence = presence
        audit.record(session, "staff.presence", "staff", staff_id, now=now, staff_id=staff_id, presence=presence)
        touch(session, "floor")


# ── signing in ──


async def sign_in(db: Database, username: str, password: str, network: str, *, now: datetime, machine: datetime) -> str:
    """The session cookie for a name and password; `network` is the caller's network address.

    Raises StaffRefusedError("sign_in_wrong" | "sign_in_too_many"). Every try is written down before it is judged, so
    that guesses sent at the same moment are counted too.
    """
    attempts = await db.write(lambda session: _count_attempt(session, username, network, machine))
    person = await db.read(lambda session: by_username(session, username))
    known = person is not None and person.active and person.password_hash is not None
    stored = person.password_hash if known and person is not None and person.password_hash else _NOBODY
    right = await asyncio.to_thread(_verify, stored, password[:MAX_PASSWORD])
    if person is None or not known or not right:
        raise StaffRefusedError("sign_in_wrong")
    staff_id = person.id

    def open_it(session: Session) -> str:
        session.execute(update(SignInAttempt).where(SignInAttempt.id.in_(attempts)).values(ok=True))
        return open_session(session, staff_id, now=now, machine=machine, how="password")

    return await db.write(open_it)


def _verify(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def _count_attempt(session: Session, username: str, network: str, machine: datetime) -> list[int]:
    vault = vault_of(session)
    since = machine - ATTEMPT_SPAN
    name_key = vault.blind("sign-in name", username.strip().lower()[:200])
    network_key = vault.blind("sign-in network", network)
    for key, limit in ((name_key, TRIES_PER_NAME), (network_key, TRIES_PER_NETWORK)):
        failed = session.scalar(
            select(func.count())
            .select_from(SignInAttempt)
            .where(SignInAttempt.who == key, SignInAttempt.at > since, ~SignInAttempt.ok)
        )
        if (failed or 0) >= limit:
            raise StaffRefusedError("sign_in_too_many")
    attempts = [SignInAttempt(who=key, ok=False, at=machine) for key in (name_key, network_key)]
    session.add_all(attempts)
    session.flush()
    return [attempt.id for attempt in attempts]


def open_session(session: Session, staff_id: int, *, now: datetime, machine: datetime, how: str) -> str:
    """A new session's cookie value; the person is online from now."""
    cookie = secrets.token_urlsafe(32)
    session.execute(delete(StaffSession).where(StaffSession.expires_at < machine))
    session.add(
        StaffSession(
            token_hash=_hashed(cookie),
            staff_id=staff_id,
            csrf=secrets.token_urlsafe(24),
            created_at=machine,
            expires_at=machine + SESSION_LIFE,
        )
    )
    audit.record(session, "staff.sign_in", "staff", staff_id, now=now, staff_id=staff_id, how=how)
    set_presence(session, staff_id, Presence.ONLINE, now=now)
    return cookie


def signed_in(session: Session, cookie: str, machine: datetime) -> SignedIn | None:
    """Who holds this cookie now, or None."""
    row = session.execute(
        select(StaffSession, Staff)
        .join(Staff, Staff.id == StaffSession.staff_id)
        .where(StaffSession.token_hash == _hashed(cookie), StaffSession.expires_at > machine, Staff.active)
    ).one_or_none()
    if row is None:
        return None
    opened, person = row
    return SignedIn(
        person.id,
        person.username,
        person.name,
        frozenset(held.role for held in person.roles),
        person.presence,
        opened.csrf,
    )


def sign_out(session: Session, cookie: str, *, now: datetime) -> None:
    """Ends this session; with their last one the person goes offline."""
    opened = session.get(StaffSession, _hashed(cookie))
    if opened is None:
        return
    session.delete(opened)
    session.flush()
    audit.record(session, "staff.sign_out", "staff", opened.staff_id, now=now, staff_id=opened.staff_id)
    if session.scalar(select(StaffSession.token_hash).where(StaffSession.staff_id == opened.staff_id).limit(1)) is None:
        set_presence(session, opened.staff_id, Presence.OFFLINE, now=now)


def make_link(
    session: Session, staff_id: int, *, now: datetime, machine: datetime, by_staff_id: int | None = None
) -> str:
    """The token of a one-time sign-in link: open /sign-in/link/<token>. Older unused links of the person end."""
    token = secrets.token_urlsafe(24)
    session.execute(delete(SignInLink).where(SignInLink.staff_id == staff_id, SignInLink.used_at.is_(None)))
    session.add(SignInLink(token_hash=_hashed(token), staff_id=staff_id, expires_at=machine + LINK_LIFE))
    audit.record(session, "staff.make_link", "staff", staff_id, now=now, staff_id=by_staff_id)
    return token


def whose_link(session: Session, token: str, machine: datetime) -> Staff | None:
    """Whom an unused link would let in; looking does not use it, so a mail scanner's prefetch is harmless."""
    return session.scalar(
        select(Staff)
        .join(SignInLink, SignInLink.staff_id == Staff.id)
        .where(
            SignInLink.token_hash == _hashed(token),
            SignInLink.used_at.is_(None),
            SignInLink.expires_at > machine,
            Staff.active,
        )
    )


def sign_in_by_link(session: Session, token: str, *, now: datetime, machine: datetime) -> str:
    """Uses a link up and returns the session cookie; raises StaffRefusedError("link_used")."""
    used = session.execute(
        update(SignInLink)
        .where(SignInLink.token_hash == _hashed(token), SignInLink.used_at.is_(None), SignInLink.expires_at > machine)
        .values(used_at=machine)
        .returning(SignInLink.staff_id)
    ).scalar_one_or_none()
    if used is None or not session.get_one(Staff, used).active:
        raise StaffRefusedError("link_used")
    return open_session(session, used, now=now, machine=machine, how="link")


def same_token(given: str, held: str) -> bool:
    """Compares two secrets without telling by the time taken where they differ."""
    return hmac.compare_digest(given.encode(), held.encode())


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
