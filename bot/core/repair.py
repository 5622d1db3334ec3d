"""The repair order's one state machine (REQ-D26): which stage may follow, for whom, and never work without consent.

    allowed(order, path, roles) -> stages       what may be done next by somebody with these roles
    check(order, to, path, roles)               raises RepairRefused with the reason's code

NEXT is the whole graph. A pack uses part of it (its path, scripts/policies.yml): a stage of the main way that is not on
the path is passed through, so what follows it follows directly. On top of the graph stands REQ-D28: no work is done on
a charged order before the customer agreed to the quotation, and none before it is decided whether it is charged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.words import RepairStage, Role

S = RepairStage

NEXT: Mapping[RepairStage, tuple[RepairStage, ...]] = {
    S.REGISTERED: (S.JUDGED, S.BOOKED, S.DISPATCHED, S.RECEIVED),
    S.JUDGED: (S.REPAIRING, S.QUOTED, S.BOOKED, S.DISPATCHED, S.RECEIVED, S.INSPECTED),
    S.QUOTED: (S.CONSENTED, S.RETURNED),
    S.CONSENTED: (S.REPAIRING, S.BOOKED),
    S.BOOKED: (S.REPAIRING, S.QUOTED, S.RECEIVED, S.INSPECTED),
    S.DISPATCHED: (S.RECEIVED,),
    S.RECEIVED: (S.INSPECTED,),
    S.INSPECTED: (S.REPAIRING, S.QUOTED, S.REPLACED, S.RETURNED),
    S.REPAIRING: (S.QUALITY_CHECK, S.QUOTED, S.BOOKED),  # more was found, or parts are needed: a new quotation or visit
    S.QUALITY_CHECK: (S.SETTLED, S.REPAIRING),
    S.SETTLED: (S.HANDED_OVER, S.RETURNED),
    S.HANDED_OVER: (S.EVALUATED,),
    S.REPLACED: (S.EVALUATED,),
    S.RETURNED: (S.EVALUATED,),
    S.EVALUATED: (),
    S.CANCELLED: (),
}
"""The first of a row is the main way: where it is not on the path it is passed through. The others are side ways."""
ENDED = frozenset({S.HANDED_OVER, S.REPLACED, S.RETURNED, S.EVALUATED, S.CANCELLED})
WORK = frozenset({S.REPAIRING, S.QUALITY_CHECK, S.SETTLED, S.HANDED_OVER})
"""Where work is done, or has been."""
CROSSROADS = frozenset({S.INSPECTED})
"""What is found there decides; there is no main way to be passed through."""
RECORDED = frozenset({S.QUOTED, S.CONSENTED, S.BOOKED})
"""Reached by what is written down (a quotation, the customer's yes, a visit), never by a bare step."""
DESK = frozenset({Role.AGENT, Role.LEADER, Role.SUPERVISOR, Role.MANAGER})
SENIOR = DESK - {Role.AGENT}


class RepairRefused(Exception):  # noqa: N818 - a refusal, as elsewhere in the core
    """This step is not possible now; `code` names why, for the reader's language."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Order:
    """A repair order as the rules see it. `charged` None: not decided yet; `consented`: to the present quotation."""

    stage: RepairStage
    charged: bool | None = None
    consented: bool = False


def following(stage: RepairStage, path: Collection[RepairStage]) -> tuple[RepairStage, ...]:
    """The stages of `path` that may come after `stage`, in their usual order; cancelling apart."""
    found: set[RepairStage] = set()
    at: RepairStage | None = stage
    passed = {stage}
    while at is not None:
        found.update(each for each in NEXT[at] if each in path)
        main = next(iter(NEXT[at]), None)
        at = main if main is not None and main not in path and main not in passed and at not in CROSSROADS else None
        passed.add(at or stage)
    return tuple(each for each in RepairStage if each in found and each is not stage)


def allowed(order: Order, path: Collection[RepairStage], roles: Collection[Role]) -> tuple[RepairStage, ...]:
    """What somebody with these roles may do next; cancelling last."""
    return tuple(to for to in (*following(order.stage, path), S.CANCELLED) if refusal(order, to, path, roles) is None)


def check(order: Order, to: RepairStage, path: Collection[RepairStage], roles: Collection[Role] | None) -> None:
    """Raises RepairRefused where the order may not go there. `roles` None: the program itself, for the customer."""
    code = refusal(order, to, path, roles)
    if code is not None:
        raise RepairRefused(code)


def refusal(order: Order, to: RepairStage, path: Collection[RepairStage], roles: Collection[Role] | None) -> str | None:
    """Why not, as a code; None where nothing stands against it."""
    if order.stage in ENDED if to is S.CANCELLED else to not in following(order.stage, path):
        return "stage_not_next"
    if roles is not None and not who(order.stage, to) & set(roles):
        return "not_allowed"
    if to in WORK:
        return work_refusal(order, path)
    return None


def work_refusal(order: Order, path: Collection[RepairStage]) -> str | None:
    """REQ-D28: free work may start once it is decided to be free; charged work only after consent. A path without a
    quotation never charges."""
    if order.charged is None:
        return "charge_undecided" if S.QUOTED in path else None
    return "consent_missing" if order.charged and not order.consented else None


def who(stage: RepairStage, to: RepairStage) -> frozenset[Role]:
    """Whose step it is: passing the quality check and giving away a new device are not the front desk's."""
    passes_check = stage is S.QUALITY_CHECK and to not in (S.REPAIRING, S.CANCELLED)
    return SENIOR if passes_check or to is S.REPLACED else DESK


def faults(path: Iterable[RepairStage]) -> Iterator[tuple[str, str]]:
    """What is wrong with an operator's path, in Chinese and English."""
    stages = tuple(path)
    if not stages or stages[0] is not S.REGISTERED:
        yield "第一步应为 registered", "must begin with registered"
        return
    if len(set(stages)) != len(stages):
        yield "同一步写了两次", "names a stage twice"
    if (S.QUOTED in stages) != (S.CONSENTED in stages):
        yield "quoted 和 consented 要么都写，要么都不写", "needs both quoted and consented, or neither"
    if S.CANCELLED in stages:
        yield "cancelled 不用写", "cancelling is always possible; leave cancelled out"
    reached, ahead = {S.REGISTERED}, [S.REGISTERED]
    while ahead:
        found = [each for each in following(ahead.pop(), stages) if each not in reached]
        reached.update(found)
        ahead += found
    for stage in stages:
        if stage not in reached and stage is not S.CANCELLED:
            yield f"走不到 {stage}", f"never reaches {stage}"
    if not reached & ENDED:
        yield "没有结束的一步，如 handed_over", "never ends; add handed_over, for example"


def replacement_due(received_at: datetime | None, days: int | None) -> datetime | None:
    """Until when a replacement is sent (N5, REQ-D39); None while the device is not here, or N5 unset: no promise."""
    return received_at + timedelta(days=days) if received_at and days is not None else None
