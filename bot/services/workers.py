"""Which processes are alive, and which lanes each of them claims from (DESIGN §5). All in machine time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from store.tables import SLOTS, SlotLease, Worker

ALIVE = timedelta(seconds=20)  # a worker silent for longer has gone
LEASE = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Share:
    """This worker's slots, and how many workers share a channel's rate."""

    slots: frozenset[int]
    workers: int


def beat(session: Session, name: str, machine: datetime) -> Share:
    """Says this worker is alive, renews its slots and takes or gives back what makes the shares fair."""
    worker = session.get(Worker, name)
    if worker is None:
        session.add(Worker(name=name, beat_at=machine, started_at=machine))
    else:
        worker.beat_at = machine
    session.execute(delete(Worker).where(Worker.beat_at < machine - ALIVE * 6))
    session.flush()
    living = len(alive(session, machine)) or 1
    fair = -(-SLOTS // living)
    leases = {lease.slot: lease for lease in session.scalars(select(SlotLease).with_for_update())}
    mine = sorted(slot for slot, lease in leases.items() if lease.worker == name)
    free = [s for s in range(SLOTS) if s not in leases or leases[s].until < machine]
    keep, give = mine[:fair], mine[fair:]
    for slot in free[: max(0, fair - len(keep))]:
        if slot in leases:
            leases[slot].worker, leases[slot].until = name, machine + LEASE
        else:
            session.add(SlotLease(slot=slot, worker=name, until=machine + LEASE))
        keep.append(slot)
    session.execute(
        update(SlotLease)
        .where(SlotLease.worker == name, SlotLease.slot.in_(keep))
        .values(until=machine + LEASE)
        .execution_options(synchronize_session=False)
    )
    if give:
        session.execute(
            delete(SlotLease)
            .where(SlotLease.worker == name, SlotLease.slot.in_(give))
            .execution_options(synchronize_session=False)
        )
    return Share(frozenset(keep), living)


def alive(session: Session, machine: datetime) -> list[str]:
    """The names of the processes that have beaten lately."""
    return list(session.scalars(select(Worker.name).where(Worker.beat_at > machine - ALIVE)))


def leave(session: Session, name: str) -> None:
    """A worker that stops in good order gives back what it holds at once."""
    session.execute(delete(SlotLease).where(SlotLease.worker == name))
    session.execute(delete(Worker).where(Worker.name == name))
