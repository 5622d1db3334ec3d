"""The certificate of a disposal: what was destroyed, on whose approval, when, as a value nobody can change unseen
(REQ-G08).

Its digest stands in the audit, which is sealed; the list itself stays with the disposal, and the certificate holds the
digest of that too. It names no customer.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from store.tables import Disposal, DisposalApproval, DisposalItem, ItemState, Staff

AT_ONCE = 500


def write(session: Session, disposal: Disposal, approvals: Sequence[DisposalApproval], now: datetime) -> dict[str, Any]:
    """The certificate of a list whose records are all dealt with; instants are ISO 8601."""
    rows: Counter[str] = Counter()
    kinds: dict[str, dict[str, Any]] = {}
    kept: defaultdict[str, Counter[str]] = defaultdict(Counter)
    begun = 0
    for item in items(session, disposal.id):
        rows.update(item.counts)
        if item.state is ItemState.KEPT:
            kept[item.kind][item.kept_why] += 1
            begun += bool(item.counts)
            continue
        of_kind = kinds.setdefault(
            item.kind, {"cls": item.cls.value, "count": 0, "from": item.since, "until": item.since}
        )
        of_kind["count"] += 1
        of_kind["from"], of_kind["until"] = min(of_kind["from"], item.since), max(of_kind["until"], item.since)
    destroyed = {
        kind: {**of_kind, "from": of_kind["from"].isoformat(), "until": of_kind["until"].isoformat()}
        for kind, of_kind in kinds.items()
    }
    return {
        "number": disposal.number,
        "proposed": {"at": disposal.proposed_at.isoformat(), "by": _name(session, disposal.proposed_by)},
        "approved": [
            {
                "at": each.at.isoformat(),
                "by": _name(session, each.staff_id),
                "decides": each.decides,
                "note": each.note,
            }
            for each in approvals
        ],
        "done_at": now.isoformat(),
        "destroyed": sum(of_kind["count"] for of_kind in kinds.values()),
        "kept": sum(count for reasons in kept.values() for count in reasons.values()),
        "begun": begun,  # of those kept: a part was gone before they were held
        "kinds": destroyed,
        "kept_why": {kind: dict(reasons) for kind, reasons in kept.items()},
        "rows": dict(rows),
        "list": disposal.digest,
        "outcome": outcome_digest(session, disposal.id),
    }


def digest_of(certificate: Mapping[str, Any]) -> str:
    """SHA-256 of a certificate, the same for the same content."""
    told = json.dumps(certificate, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(told.encode()).hexdigest()


def genuine(session: Session, disposal: Disposal) -> bool:
    """Whether certificate and list are still as they were written."""
    written = disposal.certificate
    return (
        written is not None
        and disposal.sealed == digest_of(written)
        and written["outcome"] == outcome_digest(session, disposal.id)
    )


def outcome_digest(session: Session, disposal_id: int) -> str:
    """SHA-256 over what became of each record of a list, in the order of its rows."""
    digest = hashlib.sha256()
    for item in items(session, disposal_id):
        line = [item.kind.value, item.record_id, item.title, item.state.value, item.kept_why, item.counts]
        digest.update(json.dumps(line, sort_keys=True, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()


def items(session: Session, disposal_id: int) -> Iterator[DisposalItem]:
    """Every record of a list, in the order of its rows. Some at a time: a list may be long, and a read has no
    transaction in which PostgreSQL would keep a cursor."""
    after: int | None = 0
    while after is not None:
        rows = session.scalars(
            select(DisposalItem)
            .where(DisposalItem.disposal_id == disposal_id, DisposalItem.id > after)
            .order_by(DisposalItem.id)
            .limit(AT_ONCE)
        ).all()
        yield from rows
        after = rows[-1].id if len(rows) == AT_ONCE else None


def _name(session: Session, staff_id: int | None) -> str | None:
    return session.get_one(Staff, staff_id).name if staff_id is not None else None
