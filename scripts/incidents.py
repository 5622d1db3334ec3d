"""The catalogue of incidents: 35 types each with its own steps, the plans, thresholds, and the frames of announcements
(scripts/incidents.yml and incident_types/*.yml; REQ-F05, F07, F08, F20, F31, F50, F54).

    load_catalogue((SHIPPED, own)) -> Catalogue   later folders lie over earlier ones, key by key; lists are replaced

A wrong file raises CatalogueError with every problem in it, each with file, line, key and what would be right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from bot.core.grades import SCALES, Grading, PlanName, Triggers
from bot.core.incident_plan import EVENTS, Step
from bot.core.policy import Bilingual, Way
from bot.core.words import Role, StepKind
from scripts.typed import Decoder, Key, Problem, Report, merged, read_yaml

SHIPPED = Path(__file__).parent
FILE, FOLDER = "incidents.yml", "incident_types"
INTENTS = Path(__file__).resolve().parent.parent / "nlu" / "catalogue.yml"
CODE, REF = re.compile(r"INC-\d\d"), re.compile(r"REQ-[A-H]\d\d")
FRAMES: Mapping[str, frozenset[str]] = {
    "notice": frozenset({"issuer", "problem", "scope", "advice", "eta", "next"}),
    "update": frozenset({"issuer", "problem", "scope", "advice", "eta", "next"}),
    "all_clear": frozenset({"issuer", "problem", "scope", "advice", "eta", "next"}),
    "scope": frozenset({"buildings"}),
    "building": frozenset({"name"}),
    "eta": frozenset({"at"}),
    "no_eta": frozenset(),
    "next": frozenset({"at"}),
}
"""The texts of announcements, and the placeholders each may hold."""

Fault = tuple[Key, str, str]  # key, what is wrong in Chinese, in English


class CatalogueError(ValueError):
    """The catalogue cannot be used; `problems` names everything that is wrong."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class IncidentType:
    """A kind of incident. `problem` and `advice` are what an announcement says (None: its own title, no advice).

    `plan` is what this event alone calls for (REQ-F07, F08); `grading` the figures it is graded by; `reports` the
    intents by which customers tell of it; `hall`: it owes the seven-part form; `authorities`: the report in an hour.
    """

    name: Bilingual
    owner: Role
    refs: tuple[str, ...]
    steps: tuple[Step, ...]
    problem: Bilingual | None = None
    advice: Bilingual | None = None
    plan: PlanName | None = None
    grading: Grading | None = None
    reports: tuple[str, ...] = ()
    hall: bool = False
    authorities: bool = False


@dataclass(frozen=True, slots=True)
class Burst:
    """So many different customers telling the same of the same place within so long: an incident is suspected."""

    reports: int
    within: timedelta


@dataclass(frozen=True, slots=True)
class Drills:
    """Each of these types is to be drilled at least this often (REQ-F54)."""

    every: timedelta
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ways:
    """How people of the staff are told of a step: asked to do it, told by it, reminded once it has lapsed (REQ-F60)."""

    asked: tuple[Way, ...]
    told: tuple[Way, ...]
    late: tuple[Way, ...]


@dataclass(frozen=True, slots=True)
class Cap:
    """What becomes of others' alerts (CAP 1.2): the type by CAP's category, else `otherwise`; those of `trusted`
    senders are confirmed as they come, every other is confirmed by a person (REQ-F35)."""

    otherwise: str
    types: Mapping[str, str]
    trusted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """`words` are the frames of announcements, with {placeholders}; `plans` the steps of a plan or of a grade."""

    next_update: timedelta
    words: Mapping[str, Bilingual]
    triggers: Triggers
    review_within: timedelta
    burst: Burst
    drills: Drills
    step_ways: Ways
    cap: Cap
    plans: Mapping[str, tuple[Step, ...]]
    types: Mapping[str, IncidentType]

    def told_by(self, intent: str) -> tuple[str, ...]:
        """The types customers tell of with this intent, the likeliest first."""
        return tuple(code for code, each in self.types.items() if intent in each.reports)


@cache
def load_catalogue(roots: Sequence[Path] = (SHIPPED,)) -> Catalogue:
    """The catalogue of these folders; `roots` is a tuple. Raises CatalogueError."""
    found, problems = examine_catalogue(roots)
    if found is None or problems:
        raise CatalogueError(problems)
    return found


def examine_catalogue(roots: Sequence[Path]) -> tuple[Catalogue | None, list[Problem]]:
    """The catalogue as far as it can be read, and all its problems."""
    report = Report()
    plain: dict[str, Any] = {}
    for root in roots:
        for path in (root / FILE, *sorted((root / FOLDER).glob("*.yml"))):
            if path.is_file():
                plain = merged(plain, read_yaml(path, report))
    found = Decoder(report, strict=True).value(plain, Catalogue, ())
    if isinstance(found, Catalogue) and not report.problems:
        for key, zh, en in _faults(found):
            report.add(key, zh, en)
    return found, report.problems


def _faults(catalogue: Catalogue) -> Iterator[Fault]:
    intents = frozenset(yaml.load(INTENTS.read_bytes(), Loader=yaml.CSafeLoader))
    for name in FRAMES:
        if name not in catalogue.words:
            yield ("words", name), "缺少这一项", "is missing"
    for name, frame in catalogue.words.items():
        yield from _frame_faults(("words", name), name, frame)
    wanted = {plan.value for plan in PlanName} | {f"grade_{grade.value}" for grade in SCALES[Grading.HEATING]}
    for name in sorted(wanted - catalogue.plans.keys()):
        yield ("plans", name), "缺少这一项", "is missing"
    for name, steps in catalogue.plans.items():
        yield from _steps_faults(("plans", name), steps)
    for code, each in catalogue.types.items():
        key = ("types", code)
        if not CODE.fullmatch(code):
            yield key, "应为 INC-01 这样的编号", "must be a code such as INC-01"
        yield from _ref_faults((*key, "refs"), each.refs)
        yield from _steps_faults((*key, "steps"), each.steps)
        for intent in sorted(set(each.reports) - intents):
            yield (*key, "reports"), f"没有 {intent} 这个意图", f"there is no intent {intent}"
        if each.authorities and not any(step.kind is StepKind.REPORT for step in each.steps):
            yield (*key, "steps"), "要上报的类型需要一个 report 步骤", "a type that reports needs a step of kind report"
    if catalogue.burst.reports < 2:
        yield ("burst", "reports"), "至少为 2", "must be 2 or more"
    for category, code in {**catalogue.cap.types, "otherwise": catalogue.cap.otherwise}.items():
        if code not in catalogue.types:
            yield ("cap", category), f"没有 {code} 这个类型", f"there is no type {code}"
    for code in catalogue.drills.types:
        if code not in catalogue.types:
            yield ("drills", "types"), f"没有 {code} 这个类型", f"there is no type {code}"


def _frame_faults(key: Key, name: str, frame: Bilingual) -> Iterator[Fault]:
    known = FRAMES.get(name)
    if known is None:
        yield key, "没有这一项", "is not known here"
        return
    for language, text in (("zh", frame.zh), ("en", frame.en)):
        for blank in sorted(set(re.findall(r"\{(\w*)\}", text)) - known):
            names = ", ".join(sorted(known)) or "—"
            yield (*key, language), f"没有 {{{blank}}}；可用：{names}", f"{{{blank}}} is not known; known: {names}"


def _steps_faults(key: Key, steps: Sequence[Step]) -> Iterator[Fault]:
    if not steps:
        yield key, "至少要有一个步骤", "needs at least one step"
    seen: list[str] = []
    for number, step in enumerate(steps):
        here = (*key, str(number))
        if step.id in seen or step.id in EVENTS:
            yield (*here, "id"), f"{step.id} 用过了", f"{step.id} is taken"
        if step.after not in (*EVENTS, *seen):
            known = ", ".join((*EVENTS, *seen))
            yield (*here, "after"), f"应为前面的步骤或事件：{known}", f"must be an earlier step or an event: {known}"
        seen.append(step.id)
        yield from _ref_faults((*here, "refs"), step.refs)
        if step.kind is not StepKind.TELL and not step.who:
            yield (*here, "who"), "要写明谁负责", "somebody must be in charge"
        if step.kind in (StepKind.TELL, StepKind.RELAY) and not step.tell:
            yield (*here, "tell"), "要写明通知谁", "somebody must be told"
        if step.kind in (StepKind.TELL, StepKind.RELAY, StepKind.ARRIVE, StepKind.REPORT) and step.within is None:
            yield (*here, "within"), "这种步骤要有时限", "a step of this kind needs a time"


def _ref_faults(key: Key, refs: Sequence[str]) -> Iterator[Fault]:
    if not refs:
        yield key, "要写明出自哪条要求", "must name the requirements it comes from"
    for ref in refs:
        if not REF.fullmatch(ref):
            yield key, f"{ref} 应为 REQ-F11 这样的编号", f"{ref} must be an id such as REQ-F11"
