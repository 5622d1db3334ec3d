"""How staff sign in and out: by password or one-time link, then by their second factor, each browser by itself.

Sessions, links and attempts live in machine time (`machine`); audit entries in domain time (`now`). Only hashes of
cookies and links are stored. A password is checked outside every transaction, for it takes its time (REQ-G03).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from bot.core.words import Presence
from bot.services import audit
from bot.services.refusal import NotFoundError
from bot.services.staffing import second_factor
from bot.services.staffing.staff import (
    MAX_PASSWORD,
    SignedIn,
    StaffRefusedError,
    by_username,
    password_is,
    set_presence,
)
from store.db import Database, touch, vault_of
from store.tables import SignInAttempt, SignInLink, Staff, StaffSession

SESSION_LIFE = timedelta(hours=12)
LINK_LIFE = timedelta(hours=24)
HALF_WAY_LIFE = timedelta(minutes=5)
SEEN_EVERY = timedelta(minutes=5)  # how exactly it is known when a browser was last used
ATTEMPT_SPAN = timedelta(minutes=15)
TRIES_PER_NAME = 5
TRIES_PER_NETWORK = 30
NAME, NETWORK, CODE = "sign-in name", "sign-in network", "sign-in code"  # what tries are counted by
HANDLE = 16  # so much of a session's hash names it on pages


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a request comes from: a network address, and a browser's name as people say it."""

    network: str = ""
    browser: str = ""


@dataclass(frozen=True, slots=True)
class HalfWay:
    """The password or link was right, and the second factor is asked for: `step` goes to the browser and comes back
    with the code, within five minutes."""

    step: str


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A browser somebody is signed in with; `handle` names it and opens nothing."""

    handle: str
    browser: str
    network: str
    created_at: datetime
    seen_at: datetime
    this: bool


# ── coming in ──


async def sign_in(
    db: Database, username: str, password: str, caller: Caller, *, now: datetime, machine: datetime
) -> str | HalfWay:
    """The session cookie for a name and password, or the way to the second factor.

    Raises StaffRefusedError("sign_in_wrong" | "sign_in_too_many"). Every try is written down before it is judged, so
    that guesses sent at the same moment are counted too.
    """
    tries = ((NAME, _bare(username), TRIES_PER_NAME), (NETWORK, caller.network, TRIES_PER_NETWORK))
    attempts = await db.write(lambda session: _count_attempt(session, tries, machine))
    person = await db.read(lambda session: by_username(session, username))
    held = person.password_hash if person is not None and person.active else None
    right = await asyncio.to_thread(password_is, held, password[:MAX_PASSWORD])
    if person is None or not right:
        raise StaffRefusedError("sign_in_wrong")
    staff_id = person.id

    def come_in(session: Session) -> str | HalfWay:
        session.execute(update(SignInAttempt).where(SignInAttempt.id.in_(attempts)).values(ok=True))
        return _come_in(session, staff_id, caller, now=now, machine=machine, how="password")

    return await db.write(come_in)


def sign_in_by_link(session: Session, token: str, caller: Caller, *, now: datetime, machine: datetime) -> str | HalfWay:
    """Uses a link up and lets its person in as a password does; raises StaffRefusedError("link_used")."""
    used = session.execute(
        update(SignInLink)
        .where(SignInLink.token_hash == _hashed(token), SignInLink.used_at.is_(None), SignInLink.expires_at > machine)
        .values(used_at=machine)
        .returning(SignInLink.staff_id)
    ).scalar_one_or_none()
    if used is None or not session.get_one(Staff, used).active:
        raise StaffRefusedError("link_used")
    return _come_in(session, used, caller, now=now, machine=machine, how="link")


async def finish(db: Database, step: str, code: str, caller: Caller, *, now: datetime, machine: datetime) -> str:
    """The session cookie for the second factor's code.

    Raises StaffRefusedError("code_wrong" | "sign_in_too_many"), or ("half_way_over") where the password is wanted anew.
    """
    staff_id = await db.read(lambda session: _whose_step(session, step, machine))
    if staff_id is None:
        raise StaffRefusedError("half_way_over")
    tries = ((CODE, str(staff_id), TRIES_PER_NAME), (NETWORK, caller.network, TRIES_PER_NETWORK))
    attempts = await db.write(lambda session: _count_attempt(session, tries, machine))

    def judge(session: Session) -> str | None:
        if not second_factor.check(session, staff_id, code, now=now, machine=machine):
            return None
        session.execute(update(SignInAttempt).where(SignInAttempt.id.in_(attempts)).values(ok=True))
        return open_session(session, staff_id, caller, now=now, machine=machine, how="second factor")

    if (cookie := await db.write(judge)) is None:
        raise StaffRefusedError("code_wrong")
    return cookie


def _come_in(
    session: Session, staff_id: int, caller: Caller, *, now: datetime, machine: datetime, how: str
) -> str | HalfWay:
    person = session.get_one(Staff, staff_id)
    if person.totp_since is None:
        return open_session(session, staff_id, caller, now=now, machine=machine, how=how)
    expires = int((machine + HALF_WAY_LIFE).timestamp())
    return HalfWay(f"{staff_id}.{expires}.{_step_of(session, person, expires)}")


def _step_of(session: Session, person: Staff, expires: int) -> str:
    """What proves that the first step was taken; it ends with the password and with the second factor."""
    since = person.totp_since.timestamp() if person.totp_since else 0
    return vault_of(session).blind("half way in", f"{person.id} {expires} {since} {person.password_hash}")


def _whose_step(session: Session, step: str, machine: datetime) -> int | None:
    staff_id, _, rest = step.partition(".")
    expires, _, proof = rest.partition(".")
    if not (staff_id.isdecimal() and expires.isdecimal()) or int(expires) < machine.timestamp():
        return None
    person = session.get(Staff, int(staff_id))
    if person is None or not person.active or not same_token(proof, _step_of(session, person, int(expires))):
        return None
    return person.id


# ── tries ──


def _count_attempt(session: Session, tries: Sequence[tuple[str, str, int]], machine: datetime) -> list[int]:
    """Writes a try down by each of its names, unless one of them failed too often of late."""
    vault = vault_of(session)
    keys = [(vault.blind(space, value), limit) for space, value, limit in tries]
    for key, limit in keys:
        if _failed(session, key, machine) >= limit:
            raise StaffRefusedError("sign_in_too_many")
    attempts = [SignInAttempt(who=key, ok=False, at=machine) for key, _ in keys]
    session.add_all(attempts)
    session.flush()
    return [attempt.id for attempt in attempts]


def _failed(session: Session, key: str, machine: datetime) -> int:
    return (
        session.scalar(
            select(func.count())
            .select_from(SignInAttempt)
            .where(SignInAttempt.who == key, SignInAttempt.at > machine - ATTEMPT_SPAN, ~SignInAttempt.ok)
        )
        or 0
    )


def locked_out(session: Session, people: Sequence[Staff], machine: datetime) -> set[int]:
    """Those of these people whose tries are refused for now, however right they are."""
    names = {key: person.id for person in people for key in _keys(session, person)}
    often = (
        select(SignInAttempt.who)
        .where(SignInAttempt.who.in_(names), SignInAttempt.at > machine - ATTEMPT_SPAN, ~SignInAttempt.ok)
        .group_by(SignInAttempt.who)
        .having(func.count() >= TRIES_PER_NAME)
    )
    return {names[key] for key in session.scalars(often)}


def let_try_again(session: Session, staff_id: int, *, now: datetime, by_staff_id: int) -> None:
    """Forgets this person's failed tries, before their quarter of an hour is over."""
    keys = _keys(session, session.get_one(Staff, staff_id))
    session.execute(delete(SignInAttempt).where(SignInAttempt.who.in_(keys), ~SignInAttempt.ok))
    audit.record(session, "staff.unlock", "staff", staff_id, now=now, staff_id=by_staff_id)


def _keys(session: Session, person: Staff) -> tuple[str, str]:
    vault = vault_of(session)
    return vault.blind(NAME, person.username), vault.blind(CODE, str(person.id))


def _bare(username: str) -> str:
    return username.strip().lower()[:200]


# ── sessions ──


def open_session(session: Session, staff_id: int, caller: Caller, *, now: datetime, machine: datetime, how: str) -> str:
    """A new session's cookie value; the person is online from now."""
    cookie = secrets.token_urlsafe(32)
    session.execute(delete(StaffSession).where(StaffSession.expires_at < machine))
    session.execute(delete(SignInAttempt).where(SignInAttempt.at < machine - ATTEMPT_SPAN))
    session.add(
        StaffSession(
            token_hash=_hashed(cookie),
            staff_id=staff_id,
            csrf=secrets.token_urlsafe(24),
            browser=caller.browser[:60],
            network=caller.network[:45],
            seen_at=machine,
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
        second_factor=person.totp_since is not None,
        seen_at=opened.seen_at or opened.created_at,
    )


def seen(session: Session, cookie: str, machine: datetime) -> None:
    """This browser was used just now."""
    session.execute(
        update(StaffSession)
        .where(
            StaffSession.token_hash == _hashed(cookie),
            or_(StaffSession.seen_at.is_(None), StaffSession.seen_at < machine),
        )
        .values(seen_at=machine)
    )


def sessions_of(session: Session, staff_id: int, cookie: str, machine: datetime) -> tuple[OpenSession, ...]:
    """The browsers this person is signed in with, the one asking (`cookie`) first."""
    mine = _hashed(cookie)
    rows = session.scalars(
        select(StaffSession).where(StaffSession.staff_id == staff_id, StaffSession.expires_at > machine)
    )
    found = [
        OpenSession(
            row.token_hash[:HANDLE],
            row.browser,
            row.network,
            row.created_at,
            row.seen_at or row.created_at,
            row.token_hash == mine,
        )
        for row in rows
    ]
    return tuple(sorted(found, key=lambda each: (each.this, each.seen_at), reverse=True))


def end_session(session: Session, staff_id: int, handle: str, *, now: datetime, by_staff_id: int) -> None:
    """Signs one of this person's browsers out; raises NotFoundError."""
    opened = session.scalar(
        select(StaffSession).where(
            StaffSession.staff_id == staff_id, StaffSession.token_hash.startswith(handle, autoescape=True)
        )
    )
    if opened is None or len(handle) != HANDLE:
        raise NotFoundError
    _end(session, opened, "staff.end_session", now=now, by_staff_id=by_staff_id)


def sign_out(session: Session, cookie: str, *, now: datetime) -> None:
    """Ends this session; with their last one the person goes offline."""
    opened = session.get(StaffSession, _hashed(cookie))
    if opened is not None:
        _end(session, opened, "staff.sign_out", now=now, by_staff_id=opened.staff_id)


def _end(session: Session, opened: StaffSession, action: str, *, now: datetime, by_staff_id: int) -> None:
    session.delete(opened)
    session.flush()
    touch(session, f"staff:{opened.staff_id}")
    audit.record(session, action, "staff", opened.staff_id, now=now, staff_id=by_staff_id)
    if session.scalar(select(StaffSession.token_hash).where(StaffSession.staff_id == opened.staff_id).limit(1)) is None:
        set_presence(session, opened.staff_id, Presence.OFFLINE, now=now)


# ── one-time links ──


def make_link(
    session: Session, staff_id: int, *, now: datetime, machine: datetime, by_staff_id: int | None = None
) -> str:
    """The token of a one-time sign-in link: open /sign-in/link/<token>. Older unused links of the person end."""
    token = secrets.token_urlsafe(24)
    older = and_(SignInLink.staff_id == staff_id, SignInLink.used_at.is_(None))
    session.execute(delete(SignInLink).where(or_(older, SignInLink.expires_at < machine)))
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


def same_token(given: str, held: str) -> bool:
    """Compares two secrets without telling by the time taken where they differ."""
    return hmac.compare_digest(given.encode(), held.encode())


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
