"""Whom an announcement is for, as its form says it: by place, segment and tag, everybody, by conditions, or saved
(REQ-F32)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Form
from sqlalchemy.orm import Session

from bot.console.incidents import split
from bot.core.words import CaseKind, Language
from bot.services import tags as labels
from bot.services.announcements import saved_audiences
from bot.services.announcements.audience import audience_of, known_buildings, known_segments, query_of
from bot.services.centre import Centre

Names = Annotated[list[str] | None, Form()]
Line = Annotated[str, Form(max_length=400)]
Days = Annotated[str, Form(pattern=r"^\d{0,4}$")]


def query(
    mode: Annotated[str, Form(pattern="^(all|any)$")] = "all",
    q_segments: Names = None,
    q_tags: Names = None,
    q_buildings: Line = "",
    q_units: Line = "",
    q_languages: Annotated[list[Language] | None, Form()] = None,
    q_plans: Names = None,
    q_cases: Annotated[str, Form(max_length=24)] = "",
    q_contacted: Days = "",
    q_vulnerable: Annotated[bool, Form()] = False,
    turned: Names = None,
) -> dict[str, Any]:
    """The conditions as they are stored; `turned` names those asked the other way round."""
    return query_of(
        mode,
        {
            "segments": q_segments or [],
            "tags": q_tags or [],
            "buildings": split(q_buildings),
            "units": split(q_units),
            "languages": [each.value for each in q_languages or []],
            "plans": q_plans or [],
            "cases": [q_cases] if q_cases in (*CaseKind, "any") else [],
            "contacted": [q_contacted] if q_contacted else [],
            "vulnerable": ["yes"] if q_vulnerable else [],
        },
        turned or (),
    )


def whom(
    asked: Annotated[dict[str, Any], Depends(query)],
    incident: Annotated[int, Form()] = 0,
    whom: Annotated[str, Form(pattern="^(chosen|everybody|query|saved|same)$")] = "chosen",
    saved: Annotated[int, Form()] = 0,
    buildings: Line = "",
    units: Line = "",
    segments: Names = None,
    tags: Names = None,
    plans: Names = None,
    reporters: Annotated[bool, Form()] = False,
    without_buildings: Line = "",
    without_segments: Names = None,
    without_tags: Names = None,
) -> dict[str, Any]:
    """Whom the form chooses."""
    if whom == "query":
        return asked
    if whom == "saved":
        return {"saved": saved} if saved else {}
    return audience_of(
        split(buildings),
        segments or [],
        tags=tags or [],
        everybody=whom == "everybody",
        units=split(units),
        plans=plans or [],
        reporters=incident if reporters else None,
        without=[
            audience_of(split(without_buildings), []),
            audience_of([], without_segments or []),
            audience_of([], [], tags=without_tags or []),
        ],
    )


Whom = Annotated[dict[str, Any], Depends(whom)]


def choices(session: Session, centre: Centre, audience: Mapping[str, Any]) -> dict[str, Any]:
    """What the form offers, and the query it stands at."""
    where = {each["is"]: each for each in audience.get("match", {}).get("where", ())}
    return {
        "buildings": known_buildings(session),
        "segments": known_segments(session),
        "tags": labels.known(session),
        "plans": {key: plan.name for key, plan in sorted(centre.library.current.policies.plans.items())},
        "kinds": list(CaseKind),
        "languages": list(Language),
        "saved": saved_audiences.everything(session),
        "asked": {field: each["in"] for field, each in where.items()},
        "turned": {field for field, each in where.items() if each.get("not")},
        "mode": audience.get("match", {}).get("mode", "all"),
    }
